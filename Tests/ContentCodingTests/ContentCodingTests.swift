import ContentCoding
import Foundation
import HTTPSemantics
import NIOCore
import Testing

private let sentence = "mitm records what programs say on the network, and keeps it. mitm records what programs say."

private func coded(_ program: String, _ arguments: [String], _ input: Data) throws -> ByteBuffer {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    let (stdin, stdout) = (Pipe(), Pipe())
    process.standardInput = stdin
    process.standardOutput = stdout
    try process.run()
    stdin.fileHandleForWriting.write(input)
    try stdin.fileHandleForWriting.close()
    let output = stdout.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return ByteBuffer(bytes: output)
}

@Suite("Content codings")
struct ContentCodingTests {
    private static let text = String(repeating: sentence, count: 300)
    /// Long and varied, so that two thirds of it hold whole blocks of each coding.
    private static let varied = (0..<60_000).map { "\($0 &* 2_654_435_761 % 1_000_003)\n" }.joined()
    private static let coders: [(String, [String])] = [
        ("gzip", ["gzip", "-c"]), ("br", ["brotli", "-c"]), ("zstd", ["zstd", "-c", "-q"]),
        ("deflate", ["python3", "-c", "import sys,zlib;sys.stdout.buffer.write(zlib.compress(sys.stdin.buffer.read()))"]),
    ]

    private func encode(_ text: String, _ coder: [String]) throws -> ByteBuffer {
        try coded(coder[0], Array(coder.dropFirst()), Data(text.utf8))
    }

    @Test("Each coding is decoded; truncated content is decoded as far as possible and marked", arguments: coders)
    func decodes(name: String, coder: [String]) throws {
        let wire = try encode(Self.varied, coder)
        let codings = [ByteBuffer(string: name)]
        let whole = decodeContent(wire, codings: codings, maximum: .max)
        #expect(whole.outcome == .complete)
        let isEqual = whole.content == ByteBuffer(string: Self.varied)
        #expect(isEqual)
        let cut = decodeContent(wire.getSlice(at: 0, length: wire.readableBytes * 2 / 3)!, codings: codings, maximum: .max)
        #expect(cut.outcome == .truncated)
        let isPrefix = Self.varied.hasPrefix(String(buffer: cut.content))
        #expect(isPrefix)
        let limited = decodeContent(wire, codings: codings, maximum: 1000)
        #expect(limited == DecodedContent(content: ByteBuffer(string: String(Self.varied.prefix(1000))), outcome: .limited))
    }

    private static let plain = ByteBuffer(string: "\u{7f}plain text, not coded at all")

    @Test(
        "Content that does not fit its codings is given as it was sent, with the reason",
        arguments: [
            ("gzip", []),
            ("br", []),
            ("zstd", []),
            ("deflate", []),
            ("sdch", []),
            ("gzip, sdch", []),
            ("sdch, gzip", ["gzip", "-c"]),
            ("br, gzip", ["gzip", "-c"]),
            ("gzip, br", ["brotli", "-c"]),
            ("deflate, zstd", ["zstd", "-c", "-q"]),
        ] as [(String, [String])])
    func fails(names: String, coder: [String]) throws {
        let wire = coder.isEmpty ? Self.plain : try encode(String(buffer: Self.plain), coder)
        let codings = ByteBuffer(string: names).listElements()
        let decoded = decodeContent(wire, codings: codings, maximum: .max)
        #expect(decoded.content == wire)
        #expect(!decoded.isDecoded)
        if names.contains("sdch") { #expect(decoded.outcome == .unknownCoding("sdch")) }
    }

    @Test("One changed byte anywhere gives the whole content, or the bytes as they were sent", arguments: coders)
    func damaged(name: String, coder: [String]) throws {
        let wire = try encode(Self.text, coder)
        let codings = [ByteBuffer(string: name)]
        var undecoded = 0
        for index in 0..<wire.readableBytes {
            var bytes = wire
            bytes.setInteger(wire.getInteger(at: index, as: UInt8.self)! ^ 0x55, at: index)
            let decoded = decodeContent(bytes, codings: codings, maximum: 1 << 20)
            guard !decoded.isDecoded else { continue }
            undecoded += 1
            #expect(decoded.content == bytes)
        }
        #expect(undecoded > 0)
    }

    @Test("Content that ends before anything can be decoded is given as it was sent; no content is whole", arguments: coders)
    func short(name: String, coder: [String]) throws {
        let wire = try encode(Self.text, coder)
        let codings = [ByteBuffer(string: name)]
        let first = wire.getSlice(at: 0, length: 2)!
        let decoded = decodeContent(first, codings: codings, maximum: .max)
        #expect(decoded.content == first)
        #expect(!decoded.isDecoded)
        #expect(
            decodeContent(ByteBuffer(), codings: codings, maximum: .max)
                == DecodedContent(content: ByteBuffer(), outcome: .complete))
    }

    @Test("Several codings are undone from the last to the first, several members are one content, and unknown ones stay")
    func several() throws {
        let gzip = Self.coders[0].1
        let brotli = Self.coders[1].1
        let inner = try encode(sentence, gzip)
        let wire = try coded(brotli[0], Array(brotli.dropFirst()), Data(inner.readableBytesView))
        let codings = ["GZip", "identity", "br"].map { ByteBuffer(string: $0) }
        #expect(
            decodeContent(wire, codings: codings, maximum: .max)
                == DecodedContent(content: ByteBuffer(string: sentence), outcome: .complete))
        var members = inner
        members.writeImmutableBuffer(inner)
        members.writeString("garbage")
        #expect(
            decodeContent(members, codings: [ByteBuffer(string: "gzip")], maximum: .max).content
                == ByteBuffer(string: sentence + sentence))
        let unknown = decodeContent(ByteBuffer(string: "x"), codings: [ByteBuffer(string: "aes128gcm")], maximum: .max)
        #expect(unknown == DecodedContent(content: ByteBuffer(string: "x"), outcome: .unknownCoding("aes128gcm")))
    }
}
