// The header of an age file (C2SP age, "Header"): it wraps the file key for each recipient, and is authenticated by a key that is derived from
// it. The grammar is strict: a header has one text, so nothing can be hidden in it.

import Digests
import NIOCore

/// The file key, wrapped for one recipient.
struct AgeStanza: Sendable, Equatable {
    static let x25519 = "X25519"
    static let scrypt = "scrypt"

    /// The kind of the stanza, and what is needed to unwrap the key.
    var arguments: [String]
    var body: [UInt8]
}

/// A header that was read.
package struct AgeHeader: Sendable {
    /// How every age file begins.
    package static let firstLine = Array("age-encryption.org/v1\n".utf8)
    /// How an age file of any version begins.
    package static let beginning = Array("age-encryption.org/".utf8)
    /// How an age file begins that was encoded as text (age -a).
    package static let armorBeginning = Array("-----BEGIN AGE ENCRYPTED FILE-----".utf8)
    /// The format has no limit; this is room for more than a thousand recipients.
    package static let maximumLength = 256 * 1024
    /// Columns of a full line, and the bytes that it encodes.
    private static let columns = 64
    private static let bytesOfLine = 48
    private static let macMark = "---"

    let stanzas: [AgeStanza]
    /// The bytes up to and including the mark before the MAC.
    private let authenticated: ByteBuffer
    private let mac: [UInt8]
    /// Bytes of the header. The payload follows.
    package let length: Int

    /// Reads the header at the beginning of a file.
    /// - Returns: nil when more bytes are needed.
    /// - Throws: when they are not those of an age file.
    package init?(_ bytes: ByteBuffer) throws(AgeError) {
        var lines = LineReader(bytes)
        guard let version = try lines.next() else { return nil }
        guard version + "\n" == String(decoding: Self.firstLine, as: UTF8.self) else {
            guard version.utf8.starts(with: Self.beginning) else { throw .malformedHeader("the first line") }
            throw .unsupportedVersion(String(version.dropFirst(Self.beginning.count).prefix(20)))
        }
        var stanzas: [AgeStanza] = []
        while true {
            let start = lines.offset
            guard let line = try lines.next() else { return nil }
            if line.hasPrefix(Self.macMark) {
                guard line.hasPrefix(Self.macMark + " "), let mac = AgeBase64.decode(String(line.dropFirst(4))), mac.count == 32
                else {
                    throw .malformedHeader("the last line")
                }
                self.mac = mac
                authenticated = bytes.getSlice(at: bytes.readerIndex, length: start + Self.macMark.utf8.count)!
                length = lines.offset
                break
            }
            guard let body = try Self.body(&lines) else { return nil }
            stanzas.append(AgeStanza(arguments: try Self.arguments(line), body: body))
        }
        guard !stanzas.isEmpty else { throw .malformedHeader("it has no recipient") }
        self.stanzas = stanzas
    }

    private static func arguments(_ line: String) throws(AgeError) -> [String] {
        let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard words.count > 1, words[0] == "->",
            words.dropFirst().allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { 33...126 ~= $0 } })
        else { throw .malformedHeader("a line that begins a stanza") }
        return Array(words.dropFirst())
    }

    /// Full lines, and a shorter one.
    private static func body(_ lines: inout LineReader) throws(AgeError) -> [UInt8]? {
        var body: [UInt8] = []
        while true {
            guard let line = try lines.next() else { return nil }
            guard line.utf8.count <= columns, let bytes = AgeBase64.decode(line) else {
                throw .malformedHeader("the body of a stanza")
            }
            body += bytes
            if line.utf8.count < columns { return body }
        }
    }

    /// Whether the file is opened by a passphrase.
    package var needsPassphrase: Bool { stanzas.contains { $0.arguments[0] == AgeStanza.scrypt } }

    /// The file key.
    /// - Parameter identities: are tried in their order.
    /// - Throws: ``AgeError/noIdentity`` without identities, ``AgeError/noMatch`` when none of them opens it,
    ///   ``AgeError/needsPassphrase``, ``AgeError/malformedHeader(_:)``, ``AgeError/changedHeader``.
    package func fileKey(_ identities: [AgeIdentity]) throws(AgeError) -> AgeFileKey {
        // A passphrase authenticates the sender, so it must be the only way to open the file.
        guard !needsPassphrase || stanzas.count == 1 else { throw .malformedHeader("a scrypt stanza is not the only one") }
        for identity in identities {
            for stanza in stanzas {
                guard let key = try identity.unwrap(stanza) else { continue }
                guard HMACSHA256(key: key.headerKey).code(authenticated) == mac else { throw .changedHeader }
                return key
            }
        }
        if needsPassphrase, !identities.contains(where: { $0.recipient == nil }) { throw .needsPassphrase }
        throw identities.isEmpty ? .noIdentity : .noMatch
    }

    /// Makes the header of a new file.
    /// - Parameters:
    ///   - recipients: at least one.
    ///   - label: words of an additional stanza, which other programs ignore; it can be read without a key.
    /// - Throws: ``AgeError/invalidKey(_:)`` for a recipient that cannot be used.
    package static func write(
        _ fileKey: AgeFileKey, for recipients: [AgeRecipient], label: [String] = [],
        using generator: inout some RandomNumberGenerator
    ) throws(AgeError) -> ByteBuffer {
        precondition(!recipients.isEmpty, "a file has a recipient")
        var stanzas: [AgeStanza] = []
        for recipient in recipients {
            stanzas.append(try recipient.stanza(wrapping: fileKey, ephemeral: randomBytes(32, &generator)))
        }
        if !label.isEmpty { stanzas.append(AgeStanza(arguments: label, body: [])) }
        return text(of: stanzas, fileKey)
    }

    /// The words of a label after its first one; nil without such a label. Only a key shows that they were not changed.
    package func label(_ name: String) -> [String]? {
        stanzas.first { $0.arguments[0] == name }.map { Array($0.arguments.dropFirst()) }
    }

    static func text(of stanzas: [AgeStanza], _ fileKey: AgeFileKey) -> ByteBuffer {
        var out = ByteBuffer(bytes: firstLine)
        for stanza in stanzas {
            out.writeString("-> \(stanza.arguments.joined(separator: " "))\n")
            var rest = stanza.body[...]
            while rest.count >= bytesOfLine {
                out.writeString(AgeBase64.encode(Array(rest.prefix(bytesOfLine))) + "\n")
                rest = rest.dropFirst(bytesOfLine)
            }
            out.writeString(AgeBase64.encode(Array(rest)) + "\n")
        }
        out.writeString(macMark)
        out.writeString(" \(AgeBase64.encode(HMACSHA256(key: fileKey.headerKey).code(out)))\n")
        return out
    }
}

/// Lines that end with LF.
private struct LineReader {
    private let bytes: ByteBuffer
    private(set) var offset = 0

    init(_ bytes: ByteBuffer) { self.bytes = bytes }

    /// The next line, without its end; nil when more bytes are needed.
    mutating func next() throws(AgeError) -> String? {
        let rest = bytes.readableBytesView.dropFirst(offset)
        guard let end = rest.firstIndex(of: 0x0A) else {
            if bytes.readableBytes > AgeHeader.maximumLength { throw .malformedHeader("it is too long") }
            return nil
        }
        let line = rest[..<end]
        // Bytes that are not ASCII are in no line of the grammar.
        guard line.allSatisfy({ $0 < 0x80 }) else { throw .malformedHeader("a line that is not ASCII") }
        offset += line.count + 1
        return String(decoding: line, as: UTF8.self)
    }
}
