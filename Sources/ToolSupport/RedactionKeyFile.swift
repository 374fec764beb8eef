// The key of the hashes of redaction: made on first use, read afterwards. It is in no recording.

import FlowArchive
import Glibc
import Redaction

package enum RedactionKeyFile {
    /// Its name in the configuration directory.
    package static let name = "redaction.key"

    /// Reads the key (64 hexadecimal digits, mode 0600) of the directory, or makes it.
    /// - Throws: ``ToolError``.
    package static func load(from directory: String) throws(ToolError) -> RedactionKey {
        if let key = try read(from: directory) { return key }
        let path = directory + "/" + name
        try makeDirectory(directory, mode: 0o700, as: "the configuration directory")
        let bytes = (0..<RedactionKey.size).map { _ in UInt8.random(in: 0 ... .max) }
        let digits = Array("0123456789abcdef".utf8)
        let text = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] } + [UInt8(ascii: "\n")]
        // Another tool that starts at the same time may be first: both use its key.
        _ = try WholeFile.write(text, to: path, mode: 0o600, replaces: false)
        guard let key = try read(from: directory) else { throw ToolError("cannot read the key of redaction \(path): it went away") }
        return key
    }

    /// The key of the directory; nil if there is no such file.
    /// - Throws: ``ToolError`` for a file that cannot be read, or has no key.
    package static func read(from directory: String) throws(ToolError) -> RedactionKey? {
        let path = directory + "/" + name
        guard fileExists(path) else { return nil }
        let text = try readFile(path, as: "the key of redaction", maximum: 4096)
        var digits = text[...]
        while let last = digits.last, last == 0x0A || last == 0x0D || last == 0x20 { digits.removeLast() }
        let values = digits.map(Self.value)
        guard digits.count == 2 * RedactionKey.size, !values.contains(nil),
            let key = RedactionKey(stride(from: 0, to: values.count, by: 2).map { values[$0]! << 4 | values[$0 + 1]! })
        else {
            throw ToolError(
                "the key of redaction \(path) is not 64 hexadecimal digits; restore it, or move it away to have a new one made")
        }
        return key
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x41 + 10
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }
}
