import HTTPSemantics
import NIOCore
import Testing

@Suite("A field section")
struct FieldSectionTests {
    @Test(
        "Lines are found as they were sent, with their case, order and duplicates",
        arguments: [
            ("Host: a\r\nX:  b \r\n\r\nrest", ["Host=a", "X=b"]), ("Host: a\nX: b\n\n", ["Host=a", "X=b"]),
            ("A: 1\r\na: 2\r\n", ["A=1", "a=2"]),
            ("A: one\r\n\ttwo\r\nB: 3\r\n", ["A=one\r\n\ttwo", "B=3"]), ("no colon\r\nB:\r\n", ["no colon=", "B="]),
            (":method: GET\r\n:path: /\r\nx: y\r\n", [":method=GET", ":path=/", "x=y"]), ("", []), ("\r\n", []),
            (" folded first\r\nA: 1\r\n", ["A=1"]),
        ])
    func lines(text: String, expected: [String]) {
        #expect(FieldSection(parsing: ByteBuffer(string: text)).pairs.map { "\($0.name)=\($0.value)" } == expected)
    }

    @Test("Names are compared without regard to case, and lists by their elements")
    func lookup() {
        let fields = FieldSection([("Connection", "keep-alive, \"a, b\" ,Upgrade"), ("CONNECTION", "x")])
        #expect(fields.first("connection").map { String(buffer: $0) } == "keep-alive, \"a, b\" ,Upgrade")
        #expect(fields.all("connection").count == 2)
        #expect(fields.list("connection", contains: "upgrade"))
        #expect(fields.list("connection", contains: "x"))
        #expect(!fields.list("connection", contains: "b"))
        #expect(!fields.contains("host"))
        let elements = ByteBuffer(string: " , a,, \"q\\\",\" , b").listElements().map { String(buffer: $0) }
        #expect(elements == ["a", "\"q\\\",\"", "b"])
    }
}

@Suite("A recorded head")
struct MessageHeadTests {
    @Test(
        "A request's parts are found, whatever was sent",
        arguments: [
            ("GET /a?b HTTP/1.0\r\nHost: x\r\n\r\n", "GET|/a?b|HTTP/1.0|1"),
            ("\r\n\r\nGET / HTTP/1.1\nA: 1\nB: 2\n\n", "GET|/|HTTP/1.1|2"),
            ("GET /with space HTTP/1.1\r\n\r\n", "GET|/with space|HTTP/1.1|0"), ("GARBAGE\r\n\r\n", "GARBAGE||HTTP/1.1|0"),
            ("", "||HTTP/1.1|0"),
            ("GET /", "GET|/|HTTP/1.1|0"),
        ])
    func request(text: String, expected: String) {
        let head = RequestHead(parsing: ByteBuffer(string: text), version: .http1_1)
        #expect(
            "\(String(buffer: head.method))|\(String(buffer: head.target))|\(head.version)|\(head.fields.lines.count)" == expected)
    }

    @Test(
        "A response's parts are found, whatever was sent",
        arguments: [
            ("HTTP/1.1 200 OK then\r\nA: 1\r\n\r\n", "200|OK then|1"), ("HTTP/1.0 404\r\n\r\n", "404||0"),
            ("220 hello\r\n\r\n", "0||0"), ("", "0||0"),
        ])
    func response(text: String, expected: String) {
        let head = ResponseHead(parsing: ByteBuffer(string: text), version: .http1_1)
        #expect("\(head.status)|\(String(buffer: head.reason))|\(head.fields.lines.count)" == expected)
    }

    @Test("A head of HTTP/2 keeps pseudo-fields apart from fields")
    func http2() {
        let wire = ByteBuffer(
            string: ":method: GET\r\n:scheme: https\r\n:authority: a.example\r\n:path: /x\r\nte: trailers\r\n\r\n")
        let head = RequestHead(parsing: wire, version: .http2)
        #expect(
            [head.method, head.scheme, head.authority, head.target].map { String(buffer: $0) } == [
                "GET", "https", "a.example", "/x",
            ])
        #expect(head.fields.pairs.map(\.name) == ["te"])
        #expect(String(buffer: head.fields.slice(head.fields.lines[0].value)) == "trailers")
    }
}

@Suite("A field of several lines")
struct FieldValueTests {
    private static let section = FieldSection([
        ("Accept", "a, b"), ("Cookie", "x=1"), ("accept", "c"), ("Set-Cookie", "p=1, 2"), ("COOKIE", "y=2"), ("Set-Cookie", "q=3"),
    ])

    @Test(
        "Its lines make one value: lists with commas, crumbs with semicolons, Set-Cookie apart",
        arguments: [
            ("accept", "a, b, c"), ("cookie", "x=1; y=2"), ("set-cookie", "p=1, 2\nq=3"), ("accep", nil), ("", nil),
        ] as [(String, String?)])
    func joined(_ name: String, _ expected: String?) {
        let value = Self.section.joined(name).map { String(buffer: $0) }
        #expect(value == expected)
        // What is joined is not written into the section.
        #expect(Self.section.pairs.count == 6 && Self.section.first("accept").map { String(buffer: $0) } == "a, b")
    }
}

@Suite("What fields say of the end of content")
struct DeclaredFramingTests {
    @Test(
        "Lengths agree on one number or say none; codings are one list",
        arguments: [
            (["Content-Length: 5"], 5, []), (["Content-Length: 5, 5"], 5, []),
            (["Content-Length: 05", "content-length: 5"], 5, []),
            (["Content-Length: 5, 6"], nil, []), (["Content-Length: 5", "Content-Length:"], nil, []),
            (["Content-Length: +5"], nil, []),
            (["Content-Length: 6,219"], nil, []), (["Content-Length: 99999999999999999999999"], nil, []), ([], nil, []),
            (["Transfer-Encoding: gzip", "transfer-encoding: Chunked"], nil, ["gzip", "chunked"]),
        ] as [([String], UInt64?, [String])])
    func reading(_ lines: [String], _ length: UInt64?, _ codings: [String]) {
        let declared = DeclaredFraming(FieldSection(parsing: ByteBuffer(string: lines.map { $0 + "\r\n" }.joined())))
        #expect(declared.length == length)
        #expect(declared.codings == codings)
    }
}

@Suite("Numbers as text")
struct DecimalTests {
    @Test("A number has its digits, and zeros before them up to a width")
    func decimals() {
        let values: [UInt64] = [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000, 12_345, 999_999_999, 1_000_000_000, .max / 10, .max]
        for value in values {
            for width in [1, 2, 3, 4, 9, 20] {
                let writer = ByteWriter(capacity: 1)
                writer.append(decimal: value, width: width)
                let digits = "\(value)"
                let expected = String(repeating: "0", count: max(0, width - digits.count)) + digits
                #expect(unsafe String(decoding: writer.bytes, as: UTF8.self) == expected)
            }
        }
    }
}
