// Offers of HTTP/3 in Alt-Svc fields (RFC 7838).

import HTTPSemantics
import NIOCore
import Testing

@Suite("Alternative services")
struct AltSvcTests {
    /// Lines of a head, and the lines without HTTP/3; nil if nothing changes.
    static let heads: [(lines: String, rest: String?)] = [
        ("Alt-Svc: h3=\":443\"; ma=86400\r\n", ""),
        ("Server: x\r\nalt-svc: h3=\":443\"\r\nX: y\r\n", "Server: x\r\nX: y\r\n"),
        ("Alt-Svc: h3=\":443\", h2=\":443\"; ma=5\r\n", "Alt-Svc: h2=\":443\"; ma=5\r\n"),
        (
            "ALT-SVC: h2=\"a,h3=b;\\\"c:443\"; x=\"1,2\" , h3-29=\":443\";ma=1 ,h3=\"other:1\"; persist=1,http%2F1.1=\":80\"\r\n",
            "ALT-SVC: h2=\"a,h3=b;\\\"c:443\"; x=\"1,2\", http%2F1.1=\":80\"\r\n"
        ),
        (
            "Alt-Svc: h3=\":1\"\r\nA: b\r\nAlt-Svc: h2=\":2\"\r\nAlt-Svc: h3-Q050=\":3\", h2=\":4\"\r\n",
            "A: b\r\nAlt-Svc: h2=\":2\"\r\nAlt-Svc: h2=\":4\"\r\n"
        ),
        ("Alt-Svc: %683=\":1\"\r\n", ""),
        ("Alt-Svc: h3%2D29=\":1\", h2=\":1\"\r\n", "Alt-Svc: h2=\":1\"\r\n"),
        ("Alt-Svc: clear\r\n", nil),
        ("Alt-Svc: h2=\":443\"\r\n", nil),
        ("Alt-Svc: h33=\":443\", h2=\"h3-x:1\", H3=\":443\"\r\n", nil),
        ("Alt-Svc: h3\r\n", nil),
        ("Alt-Svc: \r\n", nil),
        ("X-Alt-Svc: h3=\":443\"\r\n", nil),
        ("", nil),
    ]

    @Test("Alternatives of HTTP/3 are taken out, everything else stays", arguments: heads)
    func strips(lines: String, rest: String?) {
        for (start, version) in [("HTTP/1.1 200 OK\r\n", HTTPVersion.http1_1), (":status: 200\r\n", .http2)] {
            let head = ResponseHead(parsing: ByteBuffer(string: "\(start)\(lines)\r\n"), version: version)
            #expect(head.fields.offersHTTP3 == (rest != nil))
            let stripped = head.withoutHTTP3Alternatives()
            #expect(stripped?.wire == rest.map { ByteBuffer(string: "\(start)\($0)\r\n") })
            // As if it had come so.
            #expect(stripped == stripped.map { ResponseHead(parsing: $0.wire, version: version) })
            #expect(stripped?.fields.lines == stripped.map { ResponseHead(parsing: $0.wire, version: version).fields.lines })
        }
    }

    @Test("Fields that are never indexed stay so")
    func neverIndexed() {
        let head = ResponseHead(
            parsing: ByteBuffer(string: ":status: 200\r\nalt-svc: h3=\":1\"\r\na: b\r\nc: d\r\n\r\n"), version: .http2)
        let fields = FieldSection(wire: head.fields.wire, lines: head.fields.lines, neverIndexed: [0, 2])
        #expect(fields.withoutHTTP3Alternatives()?.neverIndexed == [1])
    }

    @Test("A folded field is read as one, and its rest is written on one line")
    func folded() {
        let head = ResponseHead(
            parsing: ByteBuffer(string: "HTTP/1.1 200 OK\r\nAlt-Svc: h3=\":1\",\r\n h2=\":1\";\r\n ma=2\r\n\r\n"), version: .http1_1
        )
        #expect(
            head.withoutHTTP3Alternatives()?.wire
                == ByteBuffer(string: "HTTP/1.1 200 OK\r\nAlt-Svc: h2=\":1\"; ma=2\r\n\r\n"))
    }
}
