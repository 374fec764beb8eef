import ContentCoding
import Foundation
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
    private static let coders: [(String, [String])] = [
        ("gzip", ["gzip", "-c"]), ("br", ["brotli", "-c"]), ("zstd", ["zstd", "-c", "-q"]),
        ("deflate", ["python3", "-c", "import sys,zlib;sys.stdout.buffer.write(zlib.compress(sys.stdin.buffer.read()))"]),
    ]

    private func encode(_ text: String, _ coder: [String]) throws -> ByteBuffer {
        try coded(coder[0], Array(coder.dropFirst()), Data(text.utf8))
    }

    @Test("Each coding is undone; cut, it gives what could be decoded and says so", arguments: coders)
    func decodes(name: String, coder: [String]) throws {
        let wire = try encode(Self.text, coder)
        let codings = [ByteBuffer(string: name)]
        #expect(
            decodeContent(wire, codings: codings, maximum: .max)
                == DecodedContent(content: ByteBuffer(string: Self.text), outcome: .complete))
        let cut = decodeContent(wire.getSlice(at: 0, length: wire.readableBytes * 2 / 3)!, codings: codings, maximum: .max)
        #expect(cut.outcome == .truncated)
        #expect(Self.text.hasPrefix(String(buffer: cut.content)))
        let limited = decodeContent(wire, codings: codings, maximum: 1000)
        #expect(limited == DecodedContent(content: ByteBuffer(string: String(Self.text.prefix(1000))), outcome: .limited))
    }

    @Test("What is not coded as it says is told", arguments: ["gzip", "br", "zstd", "deflate"])
    func fails(name: String) {
        let decoded = decodeContent(
            ByteBuffer(string: "\u{7f}plain text, not coded at all"), codings: [ByteBuffer(string: name)], maximum: .max)
        guard case .failed = decoded.outcome else {
            Issue.record("\(decoded.outcome)")
            return
        }
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
