// Headers: what opens them, and what is not one.

import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import AgeFormat

@Suite("The header of an age file")
struct AgeHeaderTests {
    /// Made by age 1.1.1 for two recipients; the second one has this key.
    private static let foreign = """
        YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSAyU2Fob0t6TnlJNVdFbVdRamVHTzNMRFBRTWdEQjZzTkpubFROeUdZdGtJ
        CmI0STFwU0FKTG82U0g3TWg5MWVhRFhKYlZpR2w2VGpUdDU2eVJwejNTeTQKLT4gWDI1NTE5ICtjUmZUNTdxNnJQR2t5ai9oeEQx
        MUJKU01nUXVxazFGSDY0SmVqSWgxMjQKaXBVdzdlZ25MTlErM1VFWFlqNVllMENjamF2eHBJd2lWRlBRNGtXeHJBVQotLS0gTU52
        dloyUzBWb3JVbmUzbDc5WmdVZ0syWnNPdzBoM013cEFDT0VMWUo0cwqRyR6akxRA7MU3ZNhQz5S5eXY9KRb81HJ/ifRx6N59j/a8
        KW/IETgwy1/9toX9
        """
    private static let foreignIdentity = "AGE-SECRET-KEY-1HJ9Y6CFNUDWU0MMQQQJGVQ0ERPDD4RMWPEFSYR5F955HUX37FLWSGWM9QZ"

    @Test("A file of the program age is opened by the key of one of its recipients")
    func foreignFile() throws {
        let file = try #require(Base64.decode(ByteBuffer(string: Self.foreign), ignoresWhitespace: true))
        let key = try AgeIdentity(Self.foreignIdentity)
        #expect(try plaintext(of: file, [identity(seed: 9), key]) == ByteBuffer(string: "one flow file\n"))
        // The same header is written again, byte for byte.
        let header = try #require(try AgeHeader(file))
        #expect(AgeHeader.text(of: header.stanzas, try header.fileKey([key])) == file.getSlice(at: 0, length: header.length))
    }

    @Test("Each recipient of a file opens it, and no other key does")
    func recipients() throws {
        let identities = (1...3).map { identity(seed: $0) }
        let file = try ageFile(ByteBuffer(string: "flows"), to: identities.map { $0.recipient! })
        for identity in identities { #expect(try plaintext(of: file, [identity]) == ByteBuffer(string: "flows")) }
        #expect(throws: AgeError.noMatch) { try plaintext(of: file, [identity(seed: 4), .passphrase("flows")]) }
        #expect(throws: AgeError.noIdentity) { try plaintext(of: file, []) }
    }

    @Test("Two files of the same content have no byte of their keys and content in common")
    func fresh() throws {
        let recipient = identity(seed: 1).recipient!
        let (one, two) = (
            try ageFile(ByteBuffer(string: "flows"), to: [recipient], seed: 1),
            try ageFile(ByteBuffer(string: "flows"), to: [recipient], seed: 2)
        )
        let (oneHeader, twoHeader) = (try AgeHeader(one)!, try AgeHeader(two)!)
        #expect(oneHeader.stanzas[0].arguments != twoHeader.stanzas[0].arguments)
        #expect(oneHeader.stanzas[0].body != twoHeader.stanzas[0].body)
        #expect(one.getSlice(at: oneHeader.length, length: 16) != two.getSlice(at: twoHeader.length, length: 16))
    }

    @Test("A header that is cut anywhere needs more bytes, and one with any changed bit is refused")
    func changed() throws {
        let key = identity(seed: 1)
        let file = try ageFile(ByteBuffer(string: "flows"), to: [key.recipient!, identity(seed: 2).recipient!])
        let length = try AgeHeader(file)!.length
        for count in 0..<length { #expect(try AgeHeader(file.getSlice(at: 0, length: count)!) == nil) }
        for bit in 0..<length * 8 {
            var changed = file
            changed.setInteger(file.getInteger(at: bit / 8, as: UInt8.self)! ^ 1 << UInt8(bit % 8), at: bit / 8)
            // A changed line end makes the header one that has not ended.
            do { #expect(try plaintext(of: changed, [key]) == nil, "bit \(bit)") } catch is AgeError {}
        }
    }

    @Test(
        "A passphrase opens a file that has one, if it is the only way to open it", arguments: [[0], [1], [0, 1], [0, 0]])
    func passphrases(stanzas: [Int]) throws {
        var generator = SeededGenerator(seed: 1)
        let key = AgeFileKey(using: &generator)
        let salt = [UInt8](repeating: 7, count: 16)
        let own = try identity(seed: 1).recipient!.stanza(wrapping: key, ephemeral: randomBytes(32, &generator))
        let file = AgeHeader.text(of: stanzas.map { $0 == 0 ? scryptStanza("open", key, salt: salt, logarithm: 4) : own }, key)
        let header = try #require(try AgeHeader(file))
        #expect(header.needsPassphrase == stanzas.contains(0))
        switch stanzas {
        case [0]:
            #expect(try header.fileKey([.passphrase("open")]) == key)
            #expect(throws: AgeError.noMatch) { try header.fileKey([.passphrase("close")]) }
            #expect(throws: AgeError.needsPassphrase) { try header.fileKey([identity(seed: 1)]) }
        case [1]: #expect(throws: AgeError.noMatch) { try header.fileKey([.passphrase("open")]) }
        default:
            #expect(throws: AgeError.malformedHeader("a scrypt stanza is not the only one")) {
                try header.fileKey([identity(seed: 1), .passphrase("open")])
            }
        }
    }

    // The cases of the CCTV test vectors (c2sp.org/CCTV/age) that concern headers.

    private static let share = "TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc"
    private static let body = "3aKjozt9agh7jGmvOKvR4iax41Wl4zj95MKK4X9JuWc"
    private static let mac = "--- HK2NmOBN9Dpq0Gw6xMCuhFcQlQLvZ/wQUi/2scLG75s"
    private static let full = String(repeating: "A", count: 64)

    private static func header(_ lines: String..., version: String = "age-encryption.org/v1", end: String = mac) -> String {
        ([version] + lines + [end, ""]).joined(separator: "\n")
    }

    private static let stanza = "-> X25519 \(share)"

    @Test(
        "Text that breaks the grammar is not a header",
        arguments: [
            header(stanza, body, version: "age-encryption.org/v1 "), header(stanza, body, version: "age-encryption.org/v1\r"),
            header(stanza, body, version: "Age-encryption.org/v1"), header(),
            // Stanzas
            header("->X25519 \(share)", body), header("-> ", body), header("->", body), header("-> X25519  \(share)", body),
            header("-> X25519 \(share) ", body), header("-> X25519 \u{1}", body), header("-> X25519 é", body),
            header("-- X25519 \(share)", body), header(" \(stanza)", body), header("\(stanza)\r", body),
            // Bodies
            header(stanza, "\(body)="), header(stanza, "\(body) "), header(stanza, "\(body)\r"),
            header(stanza, "\(body.dropLast())d"),
            header(stanza, "!!!!"), header(stanza, "A"), header(stanza, "\(full)A"), header(stanza, full),
            header(stanza, full, full),
            header(stanza, body, "AAAA"), header(stanza, "", body), header("", stanza, body),
            // Codes
            header(stanza, body, end: "---"), header(stanza, body, end: "--- "), header(stanza, body, end: mac + "="),
            header(stanza, body, end: mac + " "), header(stanza, body, end: "---  \(mac.dropFirst(4))"),
            header(stanza, body, end: "---\(mac.dropFirst(4))"), header(stanza, body, end: String(mac.dropLast())),
            header(stanza, body, end: mac.dropLast() + "t"), header(stanza, body, end: mac + "\r"),
            header(stanza, body, end: mac + "AAAA"),
        ])
    func malformed(text: String) {
        do throws(AgeError) {
            // A text that still lacks its end is not a header either.
            #expect(try AgeHeader(ByteBuffer(string: text)) == nil)
        } catch {
            switch error {
            case .malformedHeader, .unsupportedVersion: break
            default: Issue.record("\(error)")
            }
        }
    }

    @Test(
        "Stanzas of other kinds, also with empty and long bodies, are ignored",
        arguments: [
            header("-> other", "", stanza, body), header("-> other a b c", full, "", stanza, body),
            header("-> other", full, full, "AA", stanza, body),
            header("-> x25519 \(share)", body), header("-> !\"#$%&'()*+,-./ ~", "", stanza, body),
        ])
    func grease(text: String) throws {
        let header = try #require(try AgeHeader(ByteBuffer(string: text)))
        #expect(throws: AgeError.noMatch) { try header.fileKey([identity(seed: 1), .passphrase("open")]) }
    }

    @Test(
        "A stanza of a known kind that is not valid makes the file one that is not valid",
        arguments: [
            header("-> X25519", body), header("-> X25519 \(share) x", body), header("-> X25519 \(share)=", body),
            header("-> X25519 \(share.dropLast())d", body), header("-> X25519 \(share.dropLast(2))", body),
            header("-> X25519 \(share)AAAA", body), header(stanza, String(body.dropLast(3))), header(stanza, body + "AAAAAAAA"),
            // A share of low order
            header("-> X25519 \(String(repeating: "A", count: 43))", body),
            header("-> scrypt AAAAAAAAAAAAAAAAAAAAAA", body), header("-> scrypt AAAAAAAAAAAAAAAAAAAAAA 4 5", body),
            header("-> scrypt AAAAAAAAAAAAAAAAAAAAAB 4", body), header("-> scrypt AAAAAAAAAAAAAAAAAAAA 4", body),
            header("-> scrypt AAAAAAAAAAAAAAAAAAAAAAAA 4", body), header("-> scrypt AAAAAAAAAAAAAAAAAAAAAA 4", "AAAA"),
        ]
            + ["0", "04", "+4", "-4", "0x4", "4x", "a", "23", "64", "18446744073709551620"].map {
                header("-> scrypt AAAAAAAAAAAAAAAAAAAAAA \($0)", body)
            })
    func malformedStanza(text: String) throws {
        let header = try #require(try AgeHeader(ByteBuffer(string: text)))
        do {
            _ = try header.fileKey([identity(seed: 1), .passphrase("open")])
            Issue.record("a key")
        } catch AgeError.malformedHeader {}
    }

    @Test("A line without an end is not read for ever, and a later version is named")
    func limits() throws {
        var endless = ByteBuffer(bytes: AgeHeader.firstLine)
        endless.writeString("-> " + String(repeating: "x", count: AgeHeader.maximumLength))
        #expect(throws: AgeError.malformedHeader("it is too long")) { try AgeHeader(endless) }
        #expect(throws: AgeError.unsupportedVersion("v2")) { try AgeHeader(ByteBuffer(string: "age-encryption.org/v2\nanything")) }
    }
}

@Suite("The payload of an age file")
struct AgePayloadTests {
    private static let key: AgeFileKey = {
        var generator = SeededGenerator(seed: 3)
        return AgeFileKey(using: &generator)
    }()
    private static let payload = AgePayload(key, nonce: [UInt8](repeating: 1, count: 16))
    private static let full = ByteBuffer(repeating: 5, count: AgePayload.chunkSize)

    @Test(
        "Content of every length around the ends of chunks comes back",
        arguments: [0, 1, 65535, 65536, 65537, 131071, 131072, 200_000])
    func lengths(count: Int) throws {
        var generator = SeededGenerator(seed: 4)
        let content = ByteBuffer(bytes: (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
        let file = try ageFile(content, to: [identity(seed: 1).recipient!])
        #expect(try plaintext(of: file, [identity(seed: 1)]) == content)
    }

    @Test("A chunk opens only at its place, only whole, and only as last or not as it was written")
    func places() {
        for isLast in [false, true] {
            for index: UInt64 in [0, 1, 255, 256, 1 << 40] {
                var sealed = ByteBuffer()
                Self.payload.seal(Self.full, index: index, isLast: isLast, into: &sealed)
                var opened = ByteBuffer()
                #expect(Self.payload.open(sealed, index: index, isLast: isLast, into: &opened))
                #expect(opened == Self.full)
                var refused = ByteBuffer()
                for (at, last) in [(index, !isLast), (index + 1, isLast), (index ^ 256, isLast)] {
                    #expect(!Self.payload.open(sealed, index: at, isLast: last, into: &refused))
                }
                for count in [0, 15, 16, 17, sealed.readableBytes - 1] {
                    #expect(
                        !Self.payload.open(sealed.getSlice(at: 0, length: count)!, index: index, isLast: isLast, into: &refused))
                }
                #expect(refused.readableBytes == 0)
            }
        }
    }

    @Test("A chunk with any changed byte is refused, and leaves no plaintext")
    func changed() {
        var sealed = ByteBuffer()
        Self.payload.seal(ByteBuffer(string: "a secret of some length"), index: 3, isLast: true, into: &sealed)
        for index in 0..<sealed.readableBytes {
            var changed = sealed
            changed.setInteger(sealed.getInteger(at: index, as: UInt8.self)! ^ 0x20, at: index)
            var out = ByteBuffer(string: "before")
            #expect(!Self.payload.open(changed, index: 3, isLast: true, into: &out))
            #expect(out == ByteBuffer(string: "before"))
        }
    }

    @Test("An empty last chunk is refused after another chunk")
    func emptyLast() {
        var sealed = ByteBuffer()
        Self.payload.seal(ByteBuffer(), index: 0, isLast: true, into: &sealed)
        var out = ByteBuffer()
        #expect(Self.payload.open(sealed, index: 0, isLast: true, into: &out))
        #expect(!Self.payload.open(sealed, index: 1, isLast: true, into: &out))
    }
}
