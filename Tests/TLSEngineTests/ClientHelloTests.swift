// ClientHellos of real clients, at every cut, and of hostile ones.

import NIOCore
import TestSupport
import Testing

@testable import TLSEngine

@Suite struct ClientHelloTests {
    /// Builds a ClientHello by hand.
    struct Builder {
        var version: UInt16 = 0x0303
        var suites: [UInt16] = []
        var extensions: [(UInt16, [UInt8])] = []

        static func words(_ values: [UInt16]) -> [UInt8] { values.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] } }
        static func prefixed(_ bytes: [UInt8]) -> [UInt8] { words([UInt16(bytes.count)]) + bytes }
        static func alpn(_ protocols: [[UInt8]]) -> [UInt8] { prefixed(protocols.flatMap { [UInt8($0.count)] + $0 }) }
        static func name(_ name: [UInt8]) -> [UInt8] { prefixed([0] + prefixed(name)) }

        /// The handshake message.
        var message: [UInt8] {
            var body = Builder.words([version]) + [UInt8](repeating: 7, count: 32) + [0]
            body += Builder.prefixed(Builder.words(suites)) + [1, 0]
            if !extensions.isEmpty {
                body += Builder.prefixed(extensions.flatMap { Builder.words([$0.0]) + Builder.prefixed($0.1) })
            }
            return [1, UInt8(body.count >> 16), UInt8(body.count >> 8 & 0xFF), UInt8(body.count & 0xFF)] + body
        }

        /// The message in records of at most `size` bytes each.
        func records(of size: Int = 16_384) -> ByteBuffer {
            var buffer = ByteBuffer()
            var rest = message[...]
            while !rest.isEmpty {
                buffer.writeBytes([22, 3, 1] + Builder.prefixed(Array(rest.prefix(size))))
                rest = rest.dropFirst(size)
            }
            return buffer
        }

        /// A browser's, with GREASE wherever it may stand.
        static let browser = Builder(
            suites: [
                0x3A3A, 0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014, 0x9C, 0x9D, 0x2F,
                0x35,
            ],
            extensions: [
                (0x4A4A, []),
                (45, [1, 1]),
                (51, prefixed(words([0x2A2A, 1]) + [0])),
                (16, alpn([Array("h2".utf8), Array("http/1.1".utf8)])),
                (65_037, [0]),
                (23, []),
                (17_613, [0, 3, 2, 0x68, 0x32]),
                (0, name(Array("tls.example.com".utf8))),
                (11, [1, 0]),
                (10, prefixed(words([0x2A2A, 4588, 29, 23, 24]))),
                (43, [6] + words([0x5A5A, 0x0304, 0x0303])),
                (65_281, [0]),
                (35, []),
                (18, []),
                (5, [1, 0, 0, 0, 0]),
                (13, prefixed(words([0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]))),
                (27, [2, 0, 2]),
                (0x1A1A, [0]),
            ])
    }

    /// A client that speaks up to a version, and what it says of the keys that it takes.
    private static func needsRSA(
        suites: [UInt16], algorithms: [UInt16]? = nil, groups: [UInt16]? = nil, speaksTLS13: Bool = false
    ) throws -> Bool? {
        var builder = Builder(suites: suites)
        if let groups { builder.extensions.append((10, Builder.prefixed(Builder.words(groups)))) }
        if let algorithms { builder.extensions.append((13, Builder.prefixed(Builder.words(algorithms)))) }
        if speaksTLS13 { builder.extensions.append((43, [4] + Builder.words([0x0304, 0x0303]))) }
        return try ClientHello.parse(builder.records())?.needsRSA
    }

    @Test("Clients that take RSA alone are known by their algorithms, their cipher suites or their curves")
    func needsRSA() throws {
        let both: [UInt16] = [0x0403, 0x0804, 0x0401]
        let rsa: [UInt16] = [0x0804, 0x0401, 0x0201]
        let mixed: [UInt16] = [0xC02B, 0xC02F]
        #expect(try ClientHello.parse(Builder.browser.records())?.needsRSA == false)
        #expect(try Self.needsRSA(suites: [0x1301], algorithms: both, speaksTLS13: true) == false)
        #expect(try Self.needsRSA(suites: [0x1301], algorithms: rsa, speaksTLS13: true) == true)
        // In TLS 1.3 another curve of ECDSA is of no use; before, the curve is named elsewhere.
        #expect(try Self.needsRSA(suites: [0x1301], algorithms: [0x0503, 0x0804], speaksTLS13: true) == true)
        #expect(try Self.needsRSA(suites: mixed, algorithms: [0x0503, 0x0401]) == false)
        #expect(try Self.needsRSA(suites: mixed, algorithms: both) == false)
        #expect(try Self.needsRSA(suites: mixed, algorithms: rsa) == true)
        #expect(try Self.needsRSA(suites: [0xC02F, 0x9C], algorithms: both) == true)
        #expect(try Self.needsRSA(suites: mixed, algorithms: both, groups: [29, 24]) == true)
        #expect(try Self.needsRSA(suites: mixed, algorithms: both, groups: [29, 23]) == false)
        // Clients of before TLS 1.2 name no algorithms.
        #expect(try Self.needsRSA(suites: [0x2F, 0x35]) == true)
        #expect(try Self.needsRSA(suites: [0xC009, 0x2F]) == false)
        // One that takes neither gets what others get.
        #expect(try Self.needsRSA(suites: [0x1301], algorithms: [0x0807], speaksTLS13: true) == false)
    }

    @Test("What curl says first")
    func curl() throws {
        let hello = try #require(try ClientHello.parse(Fixture.curlHello))
        #expect(hello.legacyVersion == 0x0303)
        #expect(hello.serverName == "www.example.com")
        #expect(hello.alpn == ["h2", "http/1.1"])
        #expect(hello.supportedVersions == [0x0304, 0x0303, 0x0302, 0x0301])
        #expect(hello.cipherSuites.count == 31)
        #expect(hello.cipherSuites.prefix(4) == [0x1302, 0x1303, 0x1301, 0xC02C])
        #expect(hello.extensions == [0, 11, 10, 16, 22, 23, 49, 13, 43, 45, 51, 21])
        #expect(hello.supportedGroups == [29, 23, 30, 25, 24, 256, 257, 258, 259, 260])
        #expect(hello.ecPointFormats == [0, 1, 2])
        #expect(hello.signatureAlgorithms.prefix(3) == [0x0403, 0x0503, 0x0603])
    }

    @Test(
        "The fingerprints that others compute for the same bytes",
        arguments: [
            (Fixture.curlHello, "0149f47eabf9a20d0893e2a44e5a6323", "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6"),
            (Fixture.openssl12Hello, "fbe7e189e37a07ee33706f86bc746344", "t12i280600_d943125447b4_e7e480e5a997"),
            (Fixture.openssl13Hello, "5a1edc7f170af1014fc65c994878e63c", "t13d3111h2_e8f1e7e78f70_1f22a2ca17c4"),
            (Builder.browser.records(), "98487aa16281980e7d1120d399efb6a4", "t13d1516h2_8daaf6152771_d8a2da3f94cd"),
        ])
    func fingerprints(bytes: ByteBuffer, ja3: String, ja4: String) throws {
        let hello = try #require(try ClientHello.parse(bytes))
        #expect(hello.ja3 == ja3)
        #expect(hello.ja4 == ja4)
    }

    @Test("Fingerprints where parts are missing")
    func fingerprintsOfLittle() throws {
        var little = Builder(version: 0x0301, suites: [4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99])
        // The example of the JA3 project for a client without extensions.
        #expect(try ClientHello.parse(little.records())?.ja3 == "de350869b8c85de67a350c8d186f11e6")
        #expect(try ClientHello.parse(little.records())?.ja4.hasPrefix("t10i110000_") == true)
        #expect(try ClientHello.parse(little.records())?.ja4.hasSuffix("_000000000000") == true)
        little.suites = []
        little.version = 0x0300
        #expect(try ClientHello.parse(little.records())?.ja4 == "ts3i000000_000000000000_000000000000")
    }

    @Test(
        "The characters of ALPN in JA4",
        arguments: [
            (Array("h2".utf8), "h2"),
            (Array("http/1.1".utf8), "h1"),
            (Array("x".utf8), "xx"),
            ([0xAB], "ab"),
            ([0xAB, 0xCD], "ad"),
            ([0x30, 0xAB], "3b"),
            ([0x30, 0x31, 0xAB, 0xCD], "3d"),
            ([0x30, 0xAB, 0xCD, 0x31], "01"),
            ([], "00"),
        ] as [([UInt8], String)])
    func ja4ALPN(name: [UInt8], characters: String) throws {
        let bytes = Builder(suites: [1], extensions: [(16, Builder.alpn([name]))]).records()
        let hello = try #require(try ClientHello.parse(bytes))
        #expect(hello.ja4.hasPrefix("t12i0101\(characters)_"))
    }

    @Test("A ClientHello is complete at its last byte and not before, whatever follows it", arguments: [1, 2, 100, 16_384])
    func cuts(recordSize: Int) throws {
        let builder = Builder(suites: [0x1301], extensions: [(0, Builder.name(Array("a.example".utf8)))])
        let whole = builder.records(of: recordSize)
        let expected = try #require(try ClientHello.parse(whole))
        #expect(expected.serverName == "a.example")
        for length in 0..<whole.readableBytes {
            #expect(try ClientHello.parse(whole.getSlice(at: 0, length: length)!) == nil)
        }
        var more = whole
        more.writeString("whatever follows")
        #expect(try ClientHello.parse(more) == expected)
        // A buffer that does not begin at its storage's begin.
        var shifted = ByteBuffer(string: "xx")
        shifted.writeImmutableBuffer(whole)
        shifted.moveReaderIndex(forwardBy: 2)
        #expect(try ClientHello.parse(shifted) == expected)
    }

    @Test(
        "Bytes that are not a ClientHello are refused at the first wrong byte",
        arguments: [
            ("G", TLSError(.notTLS, "the client does not speak TLS")),
            ("\u{16}\u{2}", TLSError(.notTLS, "the client does not speak TLS")),
            ("\u{17}\u{3}", TLSError(.protocolError, "the client's first TLS record is not a handshake record")),
            ("\u{16}\u{3}\u{1}\u{0}\u{0}", TLSError(.protocolError, "the client sent a TLS record of 0 bytes")),
            ("\u{16}\u{3}\u{1}\u{41}\u{0}", TLSError(.protocolError, "the client sent a TLS record of 16640 bytes")),
            ("\u{16}\u{3}\u{1}\u{0}\u{9}\u{2}", TLSError(.protocolError, "the client's first TLS message is not a ClientHello")),
            (
                "\u{16}\u{3}\u{1}\u{0}\u{9}\u{1}\u{1}\u{0}\u{1}",
                TLSError(.protocolError, "the client's ClientHello has 65537 bytes")
            ),
            (
                "\u{16}\u{3}\u{1}\u{0}\u{6}\u{1}\u{0}\u{0}\u{2}\u{3}\u{3}",
                TLSError(.protocolError, "the client sent a malformed ClientHello")
            ),
        ])
    func refused(bytes: String, error: TLSError) throws {
        let bytes = ByteBuffer(string: bytes)
        #expect(throws: error) { try ClientHello.parse(bytes) }
        #expect(try ClientHello.parse(bytes.getSlice(at: 0, length: bytes.readableBytes - 1)!) == nil)
    }

    @Test("One that is cut into endless small records is refused")
    func endlessRecords() {
        let builder = Builder(suites: [], extensions: [(21, [UInt8](repeating: 0, count: 300))])
        #expect(throws: TLSError(.protocolError, "the client's ClientHello is spread over more than 256 records")) {
            try ClientHello.parse(builder.records(of: 1))
        }
    }

    @Test("A server name that is not text is nil", arguments: [[], [0x61, 0, 0x62], [0xFF], [0x20], [0x7F]] as [[UInt8]])
    func unreadableNames(name: [UInt8]) throws {
        let hello = try ClientHello.parse(Builder(suites: [1], extensions: [(0, Builder.name(name))]).records())
        #expect(hello != nil)
        #expect(hello?.serverName == nil)
    }

    @Test("Mutated ClientHellos give a value, need more, or are refused: nothing else")
    func mutations() throws {
        var generator = SeededGenerator(seed: 42)
        let seeds = [Fixture.curlHello, Fixture.openssl12Hello, Builder.browser.records(), Builder.browser.records(of: 10)]
        var outcomes = (values: 0, needs: 0, refusals: 0)
        for _ in 0..<100_000 {
            var bytes = seeds.randomElement(using: &generator)!
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let index = Int.random(in: 0..<bytes.readableBytes, using: &generator)
                bytes.setInteger(UInt8.random(in: 0...255, using: &generator), at: index)
            }
            bytes = bytes.getSlice(at: 0, length: Int.random(in: bytes.readableBytes / 2...bytes.readableBytes, using: &generator))!
            do throws(TLSError) {
                if let hello = try ClientHello.parse(bytes) {
                    outcomes.values += 1
                    if outcomes.values % 50 == 0 { #expect(hello.ja4.utf8.count == 36) }
                } else {
                    outcomes.needs += 1
                }
            } catch { outcomes.refusals += 1 }
        }
        #expect(outcomes.values > 0 && outcomes.needs > 0 && outcomes.refusals > 0)
    }
}
