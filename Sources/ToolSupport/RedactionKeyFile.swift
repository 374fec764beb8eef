// The key of the hashes of redaction on disk: made on first use, read afterwards. All recordings of a user have hashes of one key, so equal
// values stay equal from file to file.

import FlowArchive
import Glibc
import Redaction

package enum RedactionKeyFile {
    /// Its name in the configuration directory.
    package static let name = "redaction.key"

    /// Reads `redaction.key` of the directory, 64 hexadecimal digits, or makes it with mode 0600.
    /// - Parameter made: receives a sentence when it was made.
    /// - Throws: ``ToolError`` if it cannot be read or made, is not a key, or if other users can read it.
    package static func load(from directory: String, made: (String) -> Void = { _ in }) throws(ToolError) -> RedactionKey {
        let path = directory + "/" + name
        if let key = try read(path) { return key }
        try makeDirectory(directory, mode: 0o700, as: "the configuration directory")
        var random = SystemRandomNumberGenerator()
        let bytes = (0..<RedactionKey.size).map { _ in UInt8.random(in: 0...255, using: &random) }
        let digits = Array("0123456789abcdef".utf8)
        var text = bytes.flatMap { (byte: UInt8) -> [UInt8] in [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        text.append(UInt8(ascii: "\n"))
        // Another tool that starts at the same time may be first: both use its key.
        guard try WholeFile.write(text, to: path, mode: 0o600, replaces: false) else {
            guard let other = try read(path) else { throw ToolError("cannot read the redaction key \(path): it went away") }
            return other
        }
        guard let key = RedactionKey(bytes) else { preconditionFailure("the key has its size") }
        made("made a redaction key: \(path); hashes of other keys do not compare with its hashes")
        return key
    }

    /// The key of the directory; nil if there is no such file.
    /// - Throws: as ``load(from:made:)``.
    package static func read(from directory: String) throws(ToolError) -> RedactionKey? { try read(directory + "/" + name) }

    private static func read(_ path: String) throws(ToolError) -> RedactionKey? {
        guard fileExists(path) else { return nil }
        var status = stat()
        if unsafe FileName.withCString(path, { unsafe stat($0, &status) }) == 0, status.st_mode & 0o077 != 0 {
            throw ToolError("the redaction key \(path) can be read by other users; change its mode to 0600 (chmod 600)")
        }
        let text = try readFile(path, as: "the redaction key", maximum: 4096)
        let digits = text.last == 0x0A ? text.dropLast() : text[...]
        guard digits.count == 2 * RedactionKey.size, let bytes = Self.bytes(digits), let key = RedactionKey(bytes) else {
            throw ToolError("the redaction key \(path) is not 64 hexadecimal digits; move it away to have a new one made")
        }
        return key
    }

    private static func bytes(_ digits: ArraySlice<UInt8>) -> [UInt8]? {
        let values = digits.compactMap { Character(Unicode.Scalar($0)).hexDigitValue.map { UInt8($0) } }
        guard values.count == digits.count else { return nil }
        return stride(from: 0, to: values.count, by: 2).map { values[$0] << 4 | values[$0 + 1] }
    }
}
