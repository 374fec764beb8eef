// Heads on their way from one version of HTTP to another, alone.

import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import Testing

@testable import ProxyCore

@Suite("Heads between versions")
struct HeadTranslationTests {
    private static let start = ":method: POST\r\n:scheme: http\r\n:authority: a.example\r\n:path: /p\r\n"

    static let requests: [(lines: String, framing: BodyFraming, fields: String, isChunked: Bool)] = [
        ("", .none, "Content-Length: 0\r\n", false),
        ("", .stream, "Transfer-Encoding: chunked\r\n", true),
        ("content-length: 5\r\n", .stream, "content-length: 5\r\n", false),
        ("x: y\r\ncontent-length: 5\r\n", .stream, "x: y\r\ncontent-length: 5\r\n", false),
        ("cookie: a=1\r\nx: y\r\ncookie: b=2\r\n", .stream, "x: y\r\nCookie: a=1; b=2\r\nTransfer-Encoding: chunked\r\n", true),
        ("te: trailers\r\n", .stream, "te: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n", true),
        ("host: b.example\r\n", .stream, "Transfer-Encoding: chunked\r\n", true),
        ("connection: close\r\nkeep-alive: 1\r\n", .stream, "Transfer-Encoding: chunked\r\n", true),
    ]

    @Test("A request of HTTP/2 for a server of HTTP/1", arguments: requests)
    func request(lines: String, framing: BodyFraming, fields: String, isChunked: Bool) {
        let head = RequestHead(parsing: ByteBuffer(string: "\(Self.start)\(lines)\r\n"), version: .http2)
        let written = HTTP1Translation.request(head, framing, target: nil)
        #expect(String(buffer: written.bytes) == "POST /p HTTP/1.1\r\nHost: a.example\r\n\(fields)\r\n")
        #expect(written.isChunked == isChunked)
    }

    static let responses: [(lines: String, isHTTP1_0: Bool, fields: String)] = [
        ("content-length: 5\r\n", false, "content-length: 5\r\n"),
        ("x: y\r\n", false, "x: y\r\nTransfer-Encoding: chunked\r\n"),
        ("x: y\r\n", true, "x: y\r\nConnection: close\r\n"),
        ("content-length: 5\r\n", true, "content-length: 5\r\nConnection: close\r\n"),
        ("connection: x\r\nx: y\r\nz: 1\r\n", false, "z: 1\r\nTransfer-Encoding: chunked\r\n"),
        ("keep-alive: 5\r\n", false, "Transfer-Encoding: chunked\r\n"),
    ]

    @Test("A response of HTTP/2 for a client of HTTP/1", arguments: responses)
    func response(lines: String, isHTTP1_0: Bool, fields: String) {
        let version = isHTTP1_0 ? "1.0" : "1.1"
        let request = RequestHead(
            parsing: ByteBuffer(string: "GET / HTTP/\(version)\r\nHost: a\r\n\r\n"), version: isHTTP1_0 ? .http1_0 : .http1_1)
        let head = ResponseHead(parsing: ByteBuffer(string: ":status: 200\r\n\(lines)\r\n"), version: .http2)
        let written = HTTP1Translation.response(head, to: request, isLast: true, framing: .stream)
        #expect(String(buffer: written.bytes) == "HTTP/1.1 200 OK\r\n\(fields)\r\n")
    }
}
