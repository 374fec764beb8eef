// Why an age file cannot be opened, or a key cannot be used.

/// The reason, without the name of the file.
package enum AgeError: Error, Equatable, CustomStringConvertible {
    /// The header is not one of version 1 of the format.
    case malformedHeader(String)
    /// The first line names another version.
    case unsupportedVersion(String)
    /// No key was given.
    case noIdentity
    /// None of the keys opens it.
    case noMatch
    /// It is encrypted with a passphrase, and none was given.
    case needsPassphrase
    /// The header was changed after it was written.
    case changedHeader
    /// Text that is not a recipient or an identity, and why.
    case invalidKey(String)

    /// The second half of a sentence whose first half names the file or the key.
    package var description: String {
        switch self {
        case .malformedHeader(let why): "its age header is not valid: \(why)"
        case .unsupportedVersion(let version): "it is of version \(version) of the age format; this program reads v1"
        case .noIdentity: "it is encrypted"
        case .noMatch: "it is encrypted to other recipients"
        case .needsPassphrase: "it is encrypted with a passphrase"
        case .changedHeader: "its age header was changed or is damaged"
        case .invalidKey(let why): why
        }
    }
}
