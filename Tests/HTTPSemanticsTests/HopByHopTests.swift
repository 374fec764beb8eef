// What of a message concerns one connection only.

import HTTPSemantics
import NIOCore
import Testing

@Suite("Fields of one connection")
struct HopByHopTests {
    private static func fields(_ lines: [String]) -> FieldSection {
        RequestHead(
            parsing: ByteBuffer(string: (["GET / HTTP/1.1"] + lines).joined(separator: "\r\n") + "\r\n\r\n"), version: .http1_1
        ).fields
    }

    static let specific: [(line: String, isSpecific: Bool)] = [
        ("Connection: close", true),
        ("KEEP-ALIVE: timeout=5", true),
        ("Proxy-Connection: keep-alive", true),
        ("Transfer-Encoding: chunked", true),
        ("Upgrade: websocket", true),
        ("HTTP2-Settings: AAMAAABk", true),
        ("TE: trailers", false),
        ("TE: gzip, Trailers;q=0.5", true),
        ("TE: gzip, trailers", false),
        ("TE: gzip", true),
        ("Trailer: x", false),
        ("Content-Length: 5", false),
        ("Upgrades: websocket", false),
    ]

    @Test("Connection-specific fields are not translated to another version", arguments: specific)
    func isConnectionSpecific(line: String, isSpecific: Bool) {
        let fields = Self.fields([line])
        #expect(fields.isConnectionSpecific(fields.lines[0]) == isSpecific)
    }

    static let options: [(lines: [String], names: [String])] = [
        ([], []),
        (["Connection: close"], []),
        (["Connection: keep-alive, Upgrade, TE, HTTP2-Settings"], []),
        (["Connection: close, X-Hop"], ["X-Hop"]),
        (["Connection: x-a", "connection: ,x-b ,, X-C"], ["x-a", "x-b", "X-C"]),
        // RFC 9110 §7.6.1: these cannot be made hop-by-hop.
        (["Connection: Host, content-length, Set-Cookie, x"], ["x"]),
        (["X-Connection: x"], []),
    ]

    @Test("Connection names further fields that end at this hop", arguments: options)
    func connectionOptions(lines: [String], names: [String]) {
        #expect(Self.fields(lines).connectionOptions.map { String(buffer: $0) } == names)
    }

    static let folds: [(text: String, unfolded: String)] = [
        ("", ""),
        ("a b", "a b"),
        ("a  \tb", "a  \tb"),
        ("a\r\n b", "a b"),
        ("a \t\r\n\t  b\n c", "a b c"),
        ("a\r\n", "a "),
    ]

    @Test("A fold and the white space around it become one space", arguments: folds)
    func unfolds(text: String, unfolded: String) {
        #expect(String(buffer: ByteBuffer(string: text).unfolded()) == unfolded)
    }
}
