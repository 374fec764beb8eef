// Content that does not fit its Content-Encoding, in files of other programs.

import FlowModel
import ForeignArchives
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// An answer with a content coding.
private func answer(_ coding: String, _ content: ByteBuffer) -> Flow {
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: \(coding)\r\nContent-Length: \(content.readableBytes)\r\n\r\n"
    return FlowBuilder().request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").response(head, content: content).ended().flow
}

@Suite("Content that cannot be decoded, in HAR files")
struct UndecodableHARTests {
    /// `gzip` of nothing, without its last four bytes.
    private static let torn: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0]

    @Test(
        "It is written as it was sent, and read back with its Content-Encoding",
        arguments: [
            ("gzip", Array("plain".utf8)), ("br", [0xFF, 0, 1]), ("zstd", Array("plain".utf8)), ("deflate", Array("plain".utf8)),
            ("sdch", Array("plain".utf8)), ("sdch, gzip", Array("plain".utf8)), ("gzip", torn),
        ] as [(String, [UInt8])])
    func roundTrip(coding: String, bytes: [UInt8]) throws {
        let flow = answer(coding, ByteBuffer(bytes: bytes))
        var written = ByteBuffer()
        var writer = HARWriter(version: "1")
        #expect(try writer.write(flow, into: &written))
        writer.finish(into: &written)
        let back = try #require(try harFlows(written).flows.first)
        #expect(back.response?.head.wire == flow.response?.head.wire)
        let content = try back.pieces.content(from: .server)
        #expect(content == ByteBuffer(bytes: bytes))
    }
}
