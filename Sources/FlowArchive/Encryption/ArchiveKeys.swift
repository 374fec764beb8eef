// What opens encrypted recordings, and what they are encrypted to.

import AgeFormat
import FlowModel
import NIOCore

/// The keys with which inputs are decrypted. A file that is not encrypted needs none.
package struct ArchiveKeys: Sendable {
    package var identities: [AgeIdentity]
    /// Asks for the passphrase of a file, which it names; returns nil if there is no one to ask.
    package var passphrase: (@Sendable (_ path: String) -> String?)?

    package init(_ identities: [AgeIdentity] = [], passphrase: (@Sendable (_ path: String) -> String?)? = nil) {
        self.identities = identities
        self.passphrase = passphrase
    }

    /// Reads the header at the beginning of a file, and gets the file's key from it.
    /// - Returns: nil when more bytes are needed.
    /// - Throws: an ``ArchiveError`` of the kind `encrypted`.
    func open(_ beginning: ByteBuffer, path: String) throws(ArchiveError) -> (header: AgeHeader, key: AgeFileKey)? {
        do throws(AgeError) {
            guard let header = try AgeHeader(beginning) else { return nil }
            var identities = identities
            if header.needsPassphrase, let entered = passphrase?(path) { identities.append(.passphrase(entered)) }
            return (header, try header.fileKey(identities))
        } catch {
            throw Self.error(error, path: path)
        }
    }

    private static func error(_ error: AgeError, path: String) -> ArchiveError {
        let sentence =
            switch error {
            case .noIdentity: "\(path) is encrypted; give the file of a key that opens it with -i"
            case .noMatch: "\(path) is encrypted to other keys than those of -i; give the file of a key that opens it"
            case .needsPassphrase: "\(path) is encrypted with a passphrase; decrypt it first: age -d \(path)"
            default: "\(path) cannot be decrypted: \(error)"
            }
        return ArchiveError(.encrypted, sentence)
    }
}

/// To whom a recording is encrypted.
package struct ArchiveEncryption: Sendable {
    private let recipients: [AgeRecipient]

    /// - Parameter recipients: each of them can open the recording; at least one.
    package init(_ recipients: [AgeRecipient]) {
        precondition(!recipients.isEmpty, "a file has a recipient")
        self.recipients = recipients
    }

    /// A new encrypted file.
    /// - Parameters:
    ///   - storage: is empty, and receives the file.
    ///   - begun: of a recording: can be read without a key (``SealedSegments``).
    /// - Throws: an ``ArchiveError`` for a recipient that cannot be used. Nothing is written yet.
    package func storage(
        over storage: any ArchiveStorage, begun: Timestamp? = nil
    ) throws(ArchiveError) -> any ArchiveStorage {
        try EncryptedStorage(storage, self, begun: begun)
    }

    /// The first word of the label of a recording; the second one is the time when it was begun, in nanoseconds since 1970.
    static let label = "mitm/flow-file"

    /// The beginning of a file with a new key: its header and the nonce of its payload.
    func beginFile(_ begun: Timestamp?) throws(ArchiveError) -> (header: ByteBuffer, payload: AgePayload) {
        var generator = SystemRandomNumberGenerator()
        let key = AgeFileKey(using: &generator)
        do throws(AgeError) {
            let label = begun.map { [Self.label, "\($0.nanoseconds)"] } ?? []
            var header = try AgeHeader.write(key, for: recipients, label: label, using: &generator)
            let nonce = AgePayload.makeNonce(using: &generator)
            header.writeBytes(nonce)
            return (header, AgePayload(key, nonce: nonce))
        } catch {
            throw ArchiveError(.encrypted, "a recipient of --encrypt-to \(error)")
        }
    }
}
