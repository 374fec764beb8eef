import HTTP1Codec
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

struct Row: CustomTestStringConvertible, Sendable {
    var section: String
    var bytes: String
    var events: String
    var ends = false
    var answering: [HTTP1ResponseDecoder.RequestKind] = [.other, .other, .other]
    var testDescription: String { "\(section): \(bytes.debugDescription)" }

    init(
        _ section: String, _ bytes: String, _ events: String, ends: Bool = false,
        answering: [HTTP1ResponseDecoder.RequestKind] = [.other, .other, .other]
    ) {
        self.section = section
        self.bytes = bytes
        self.events = events
        self.ends = ends
        self.answering = answering
    }

    /// However the bytes arrive, the same events come, and what is accepted is accepted whole.
    func check(_ role: Role) {
        for parts in deliveries(of: ByteBuffer(string: bytes)) {
            let result = decode(role, parts, answering: answering, ends: ends)
            #expect(result.events == events, "in \(parts.count) parts of which the first has \(parts[0].readableBytes) bytes")
            if !events.contains("!"), !events.contains("rest") {
                let begin = bytes.firstIndex { $0 != "\r\n" && $0 != "\n" } ?? bytes.startIndex
                #expect(result.wire == (role == .requests ? String(bytes[begin...]) : bytes))
            }
        }
    }
}

@Suite("Requests are decoded")
struct RequestDecodingTests {
    private static let host = "Host: a\r\n\r\n"

    static let rows: [Row] = [
        Row("9112 §2.1 a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1 none | end"),
        Row("9112 §2.2 empty lines before it", "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1 none | end"),
        Row("9112 §2.2 bare LF", "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1 none | end"),
        Row("9112 §2.2 bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "! field"),
        Row("9112 §2.2 bare CR in the start-line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", "! startLine"),
        Row("9112 §2.2 white space before the first field", "GET / HTTP/1.1\r\n X: b\r\nHost: a\r\n\r\n", "! field"),
        Row("9112 §2.3 version", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0 none | end"),
        Row("9112 §2.3 a later minor version", "GET / HTTP/1.7\r\nHost: a\r\n\r\n", "GET / HTTP/1.1 none | end"),
        Row("9112 §2.3 another major version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "! version"),
        Row("9112 §2.3 case", "GET / http/1.1\r\nHost: a\r\n\r\n", "! startLine"),
        Row("9112 §3 no version", "GET /\r\nHost: a\r\n\r\n", "! startLine"),
        Row("9112 §3 two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "! target"),
        Row("9112 §3 space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "! target"),
        Row("9112 §3 no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", "! startLine"),
        Row("9112 §3.1 an unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "BREW / HTTP/1.1 none | end"),
        Row("9112 §3.1 no token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "! startLine"),
        Row("9112 §3.2.1 origin form", "GET /a?b=c&d HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a?b=c&d HTTP/1.1 none | end"),
        Row("9112 §3.2.2 absolute form", "GET http://a/b HTTP/1.1\r\nHost: x\r\n\r\n", "GET http://a/b HTTP/1.1 none | end"),
        Row("9112 §3.2.3 authority form", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "CONNECT a:443 HTTP/1.1 none | end"),
        Row("9112 §3.2.3 no port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "! target"),
        Row("9112 §3.2.3 with another method", "GET a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "! target"),
        Row("9112 §3.2.4 asterisk form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1 none | end"),
        Row("9112 §3.2.4 with another method", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "! target"),
        Row("9112 §3.2 no Host", "GET / HTTP/1.1\r\n\r\n", "! host"),
        Row("9112 §3.2 two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "! host"),
        Row("9112 §3.2 an invalid Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "! host"),
        Row("9112 §5 no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", "! field"),
        Row("9112 §5 no name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", "! field"),
        Row("9112 §5.1 white space before the colon", "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", "! field"),
        Row("9112 §5.1 a tab before the colon", "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", "! field"),
        Row("9112 §5.1 white space in a name", "GET / HTTP/1.1\r\nHost: a\r\nX y: b\r\n\r\n", "! field"),
        Row(
            "9112 §5.1 white space before the colon of a trailer",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX : 1\r\n\r\n",
            "POST / HTTP/1.1 chunked | ! field"),
        Row("9112 §5.2 a folded value", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n  c\r\n\r\n", "GET / HTTP/1.1 none | end"),
        Row("9112 §5.2 a folded length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 5\r\n\r\n", "! framing"),
        Row(
            "9112 §6.1 chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "POST / HTTP/1.1 chunked | <abc> | end"),
        Row(
            "9112 §6.1 with a length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "! framing"),
        Row("9112 §6.1 in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "! framing"),
        Row(
            "9112 §6.1 chunked twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
            "! framing"),
        Row(
            "9112 §6.1 chunked is not last", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
            "! framing"),
        Row("9112 §6.1 not chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "! framing"),
        Row("9112 §6.3 unknown", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", "! framing"),
        Row("9112 §6.3 identity", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", "! framing"),
        Row("9112 §6.3 no coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", "! framing"),
        Row(
            "9112 §6.1 unknown, then chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n",
            "! unknownCoding"),
        Row(
            "9112 §6.1 on two lines",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1 chunked | end"),
        Row(
            "9112 §6.2 length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET",
            "POST / HTTP/1.1 length(3) | <abc> | end | rest 3"),
        Row(
            "9112 §6.3 the same length twice", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
            "POST / HTTP/1.1 length(2) | <ab> | end"),
        Row(
            "9112 §6.3 a list of one length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\nab",
            "POST / HTTP/1.1 length(2) | <ab> | end"),
        Row("9112 §6.3 two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", "! framing"),
        Row("9112 §6.3 a signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n", "! framing"),
        Row("9112 §6.3 a negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -2\r\n\r\n", "! framing"),
        Row("9112 §6.3 a hexadecimal length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x2\r\n\r\n", "! framing"),
        Row("9112 §6.3 no digits", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", "! framing"),
        Row("9112 §6.3 too many digits", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", "! framing"),
        Row(
            "9112 §7.1 several chunks",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
            "POST / HTTP/1.1 chunked | <abc0123456789> | end"),
        Row(
            "9112 §7.1 no size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
            "POST / HTTP/1.1 chunked | ! chunk"),
        Row(
            "9112 §7.1 a signed size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n",
            "POST / HTTP/1.1 chunked | ! chunk"),
        Row(
            "9112 §7.1 0x", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n",
            "POST / HTTP/1.1 chunked | ! chunk"),
        Row(
            "9112 §7.1 a size beyond 64 bits",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
            "POST / HTTP/1.1 chunked | ! chunk"),
        Row(
            "9112 §7.1 bare LF behind the size",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
            "POST / HTTP/1.1 chunked | ! chunk"),
        Row(
            "9112 §7.1 white space behind the size",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",
            "POST / HTTP/1.1 chunked | ! chunk"),
        Row(
            "9112 §7.1 white space before the size",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n",
            "POST / HTTP/1.1 chunked | ! chunk"),
        Row(
            "9112 §7.1.1 extensions",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b;c=\"d\"\r\nx\r\n0;end\r\n\r\n",
            "POST / HTTP/1.1 chunked | <x> | end"),
        Row(
            "9112 §7.1.1 bare LF in an extension",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nx\r\n0\r\n\r\n",
            "POST / HTTP/1.1 chunked | ! chunk"),
        Row(
            "9112 §7.1.2 trailers", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n",
            "POST / HTTP/1.1 chunked | end X-Sum=1,Y=2"),
        Row(
            "9110 §6.5.1 a length in the trailers",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n",
            "POST / HTTP/1.1 chunked | ! framing"),
        Row("9110 §5.5 NUL", "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", "! field"),
        Row("9110 §5.5 obs-text", "GET / HTTP/1.1\r\nHost: a\r\nX: é\r\n\r\n", "GET / HTTP/1.1 none | end"),
        Row("9110 §5.1 an odd name", "GET / HTTP/1.1\r\nHost: a\r\nX(y): b\r\n\r\n", "! field"),
        Row(
            "9110 §5.1 every character of a token", "GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~09azAZ: b\r\n\r\n",
            "GET / HTTP/1.1 none | end"),
        Row("9110 §5.1 a name beyond ASCII", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encodıng: chunked\r\n\r\n", "! field"),
        Row("9112 §8 cut in the head", "GET / HTTP/1.1\r\nHost", "! truncated", ends: true),
        Row(
            "9112 §8 cut in the content", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab",
            "POST / HTTP/1.1 length(5) | <ab> | ! truncated", ends: true),
        Row(
            "9112 §8 cut in a chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            "POST / HTTP/1.1 chunked | <ab> | ! truncated", ends: true),
        Row(
            "9112 §9.3.2 pipelined", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /1 HTTP/1.1 none | end | GET /2 HTTP/1.1 none | end"),
    ]

    @Test("By every rule of the RFCs, however the bytes arrive", arguments: rows)
    func decodes(row: Row) { row.check(.requests) }
}

@Suite("Responses are decoded")
struct ResponseDecodingTests {
    static let rows: [Row] = [
        Row("9112 §4 a response", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 200 OK length(2) | <hi> | end"),
        Row("9112 §4 no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200  none | end"),
        Row("9112 §4 no reason and no space", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200  none | end"),
        Row("9112 §4 two digits", "HTTP/1.1 20 OK\r\n\r\n", "! startLine"),
        Row("9112 §4 something else", "220 mail.example ESMTP\r\n\r\n", "! startLine"),
        Row(
            "9110 §15.2 interim", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            "interim 103 | HTTP/1.1 204 No Content none | end"),
        Row(
            "9110 §15.2.2 101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nabc",
            "HTTP/1.1 101 Switching Protocols tunnel | rest 3"),
        Row("9112 §6.3 to HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 200 OK none | end", answering: [.head]),
        Row(
            "9112 §6.3 304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            "HTTP/1.1 304 Not Modified none | end"),
        Row(
            "9112 §6.3 to CONNECT", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "HTTP/1.1 200 OK tunnel | rest 3",
            answering: [.connect]),
        Row(
            "9112 §6.3 until the connection closes", "HTTP/1.1 200 OK\r\n\r\nabc", "HTTP/1.1 200 OK untilClose | <abc> | end",
            ends: true),
        Row(
            "9112 §6.3 not chunked at the end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
            "HTTP/1.1 200 OK untilClose | <abc> | end", ends: true),
        Row(
            "9112 §6.3 both", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK chunked | <a> | end"),
        Row(
            "9112 §6.3 both, two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK chunked | end"),
        Row(
            "9112 §6.3 chunked twice",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK chunked | end"),
        Row(
            "9112 §6.1 chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK chunked | end"),
        Row(
            "9112 §6.3 unknown", "HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\n\r\nabc",
            "HTTP/1.1 200 OK untilClose | <abc> | end", ends: true),
        Row(
            "9112 §6.3 chunked is not last", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc",
            "HTTP/1.1 200 OK untilClose | <abc> | end", ends: true),
        Row(
            "2616 §3.6 identity with a length",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Identity\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 200 OK length(3) | <abc> | end"),
        Row(
            "2616 §3.6 identity on two lines, without content",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK none | end"),
        Row(
            "2616 §3.6 identity without a length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nabc",
            "HTTP/1.1 200 OK untilClose | <abc> | end", ends: true),
        Row(
            "2616 §3.6 identity with a bad length",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: x\r\n\r\nabc",
            "HTTP/1.1 200 OK untilClose | <abc> | end", ends: true),
        Row(
            "2616 §3.6 identity and another coding",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, gzip\r\nContent-Length: 1\r\n\r\nabc",
            "HTTP/1.1 200 OK untilClose | <abc> | end", ends: true),
        Row(
            "9112 §5.1 white space before the colon of a length", "HTTP/1.1 200 OK\r\nContent-Length \t: 3\r\n\r\nabc",
            "HTTP/1.1 200 OK length(3) | <abc> | end"),
        Row(
            "9112 §5.1 white space before the colon of a coding",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n0\r\nX-Sum : 1\r\n\r\n",
            "HTTP/1.1 200 OK chunked | end X-Sum=1"),
        Row("9112 §6.3 two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "! framing"),
        Row("9110 §5.5 NUL", "HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "! field"),
        Row("9112 §2.2 bare CR", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "! field"),
        Row("9112 §2.2 bare CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", "! startLine"),
        Row(
            "9112 §7.1 padded size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3  \r\nabc\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK chunked | <abc> | end"),
        Row(
            "9112 §8 cut", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na", "HTTP/1.1 200 OK length(3) | <a> | ! truncated",
            ends: true),
        Row("9112 §9.2 not asked for", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "! unexpectedResponse", answering: []),
    ]

    @Test("By every rule of the RFCs, however the bytes arrive", arguments: rows)
    func decodes(row: Row) { row.check(.responses) }

    @Test("A start-line that is too long is 414 however its bytes arrive, one that just fits is read")
    func startLine() {
        var limits = HTTP1Limits()
        limits.maximumStartLine = 40
        limits.maximumFieldSectionSize = 300
        for length in 30...60 {
            // The line feed is not counted, the carriage return is.
            let line = "GET /" + String(repeating: "a", count: length - 15) + " HTTP/1.1\r"
            let request = ByteBuffer(string: line + "\nHost: a\r\nX: \(String(repeating: "b", count: 100))\r\n\r\n")
            let expected = line.utf8.count > 40 ? "! startLineTooLong" : "\(line.dropLast(10)) HTTP/1.1 none | end"
            for parts in deliveries(of: request) {
                let result = decode(.requests, parts, limits: limits)
                #expect(result.events == expected, "\(length) in \(parts.count) parts, the first of \(parts[0].readableBytes)")
            }
        }
    }

    @Test("Limits are kept, with the status that tells which")
    func limits() {
        var limits = HTTP1Limits()
        limits.maximumStartLine = 20
        limits.maximumFieldSectionSize = 60
        limits.maximumFieldCount = 2
        func status(_ text: String) -> Int? {
            let decoder = HTTP1RequestDecoder(limits: limits)
            decoder.receive(ByteBuffer(string: text))
            do throws(HTTP1Error) {
                _ = try decoder.next()
                return nil
            } catch { return error.status }
        }
        #expect(status("GET / HTTP/1.1\r\nHost: a\r\n\r\n") == nil)
        #expect(status("GET /\(String(repeating: "a", count: 20))") == 414)
        #expect(status("GET / HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 50))") == 431)
        #expect(status("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\nY: c\r\n\r\n") == 431)
    }

    @Test("Random damage to messages never traps and always ends")
    func mutations() {
        var generator = SeededGenerator(seed: 7)
        let messages = RequestDecodingTests.rows.map(\.bytes)
        for _ in 0..<20_000 {
            var bytes = Array(messages.randomElement(using: &generator)!.utf8)
            for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            _ = decode(.requests, [ByteBuffer(bytes: bytes)], ends: true)
            _ = decode(.responses, [ByteBuffer(bytes: bytes)], ends: true)
        }
    }
}

/// Events, and notes after them.
private func notes(_ role: Role, _ text: String, _ validation: HTTP1Validation = .strict) -> (
    events: Int, notes: [String], error: HTTP1Error?
) {
    var reader = EventReader(role, answering: [.other], validation: validation)
    reader.shared.receive(ByteBuffer(bytes: text.unicodeScalars.map { UInt8($0.value) }))
    var events = 0
    var notes: [String] = []
    do throws(HTTP1Error) {
        while try reader.next() {
            events += 1
            notes += reader.shared.takeNotes()
        }
        return (events, notes, nil)
    } catch {
        return (events, notes, error)
    }
}

@Suite("What is unusual in fields and chunks")
struct OdditiesTests {
    /// Every byte that a name may not hold, and may be read in one way only.
    private static let inNames = (UInt8.min...UInt8.max).filter { byte in
        !([0x00, 0x09, 0x0A, 0x0D, 0x20, 0x3A].contains(byte)) && !"!#$%&'*+-.^_`|~".utf8.contains(byte)
            && !(0x30...0x39 ~= byte || 0x41...0x5A ~= byte || 0x61...0x7A ~= byte)
    }
    private static let inValues = (UInt8.min...0x1F).filter { ![0x00, 0x09, 0x0A, 0x0D].contains($0) } + [0x7F]
    private static let extensions = [
        "5;", "5; ", "5;;", "5;a;", "5;a=", "5;=b", "5;bad[=x", "5;a=\"", "5;a=\"x", "5;a=\"x\\", "5;a=\"x\"y", "5;a=b c", "5;a b",
        "5;a=\u{1}", "5;a=\"\u{7F}\"", "5;a=b=c", "5;\u{E9}",
    ]

    private func check(_ lines: String, in place: (String) -> (request: String, response: String), events: Int) {
        let (request, response) = place(lines)
        let strict = notes(.requests, request)
        #expect(strict.error?.isRelaxable == true && strict.error?.status == 400, "\(request.debugDescription)")
        let lenient = notes(.requests, request, .lenient)
        #expect(lenient.error == nil && lenient.notes.count == 1 && lenient.events == events, "\(request.debugDescription)")
        let read = notes(.responses, response)
        #expect(read.error == nil && read.notes.count == 1 && read.events == events, "\(response.debugDescription)")
    }

    @Test("Names that are no token are refused in requests, pass when that is asked for, and pass and are noted in responses")
    func names() {
        for byte in Self.inNames {
            let character = String(UnicodeScalar(byte))
            for name in [character, "Fo\(character)", "\(character)x", "Content-Type\(character)Behind-Eight"] {
                // A line that begins with a colon or white space is another thing.
                check(
                    "\(name): b", in: { ("GET / HTTP/1.1\r\nHost: a\r\n\($0)\r\n\r\n", "HTTP/1.1 204 \r\n\($0)\r\n\r\n") },
                    events: 1)
                check(
                    "\(name): b",
                    in: {
                        let coded = "Transfer-Encoding: chunked\r\n\r\n0\r\n\($0)\r\n\r\n"
                        return ("GET / HTTP/1.1\r\nHost: a\r\n\(coded)", "HTTP/1.1 200 \r\n\(coded)")
                    }, events: 2)
            }
        }
    }

    @Test("Control characters in values are refused in requests, and pass and are noted in responses")
    func values() {
        for byte in Self.inValues {
            let character = String(UnicodeScalar(byte))
            for value in [character, "a\(character)", "\(character)b", "a value that is longer than eight\(character)bytes"] {
                check(
                    "X: \(value)", in: { ("GET / HTTP/1.1\r\nHost: a\r\n\($0)\r\n\r\n", "HTTP/1.1 204 \r\n\($0)\r\n\r\n") },
                    events: 1)
            }
        }
        #expect(notes(.responses, "HTTP/1.1 204 a\u{1B}b\r\n\r\n").notes == ["the reason phrase holds a control character"])
    }

    @Test("Invalid chunk extensions are refused in requests, and pass and are noted in responses", arguments: extensions)
    func chunkExtensions(line: String) {
        check(
            line,
            in: {
                let coded = "Transfer-Encoding: chunked\r\n\r\n\($0)\r\nhello\r\n\($0)\r\nhello\r\n0\r\n\r\n"
                return ("POST / HTTP/1.1\r\nHost: a\r\n\(coded)", "HTTP/1.1 200 \r\n\(coded)")
            }, events: 4)
    }

    @Test(
        "Chunk extensions as RFC 9112 section 7.1.1 has them pass in both directions",
        arguments: ["5", "5;a", "5;a=b", "5 ;\ta = b ; c", "5;a=\"\"", "5;a=\"x;\\\"y\u{E9}\";b", "5;a;b=c;d=\"e\""])
    func goodExtensions(line: String) {
        let coded = "Transfer-Encoding: chunked\r\n\r\n\(line)\r\nhello\r\n0\r\n\r\n"
        for result in [notes(.requests, "POST / HTTP/1.1\r\nHost: a\r\n\(coded)"), notes(.responses, "HTTP/1.1 200 \r\n\(coded)")] {
            #expect(result.error == nil && result.notes.isEmpty && result.events == 3)
        }
    }

    @Test(
        "What is ambiguous in a response's framing is read by Transfer-Encoding and noted",
        arguments: [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", 1), ("Transfer-Encoding: chunked, chunked", 1),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 1), ("Transfer-Encoding: chunked,, gzip, chunked", 2),
            ("Transfer-Encoding: gzip, chunked", 0), ("Transfer-Encoding: br, chunked", 1), ("Transfer-Encoding: br", 1),
            ("Content-Length: 5, 5", 0),
        ])
    func framing(fields: String, count: Int) {
        let result = notes(.responses, "HTTP/1.1 200 OK\r\n\(fields)\r\n\r\n0\r\n\r\n")
        #expect(result.error == nil && result.notes.count == count, "\(result)")
    }
}

@Suite("Heads are sent on")
struct EncoderTests {
    private func request(_ text: String, target: String? = nil, host: String? = nil) throws -> String {
        let decoder = HTTP1RequestDecoder()
        decoder.receive(ByteBuffer(string: text))
        guard case .head(let head, let framing, _)? = try decoder.next() else { return "" }
        return String(
            buffer: HTTP1Encoder.request(
                head, framing: framing, target: target.map { ByteBuffer(string: $0) }, host: host.map { ByteBuffer(string: $0) }))
    }

    @Test(
        "Only what an intermediary must change is changed",
        arguments: [
            (
                "GET / HTTP/1.1\r\nhOST:a\r\nX:  b \r\nConnection: keep-alive, Upgrade\r\n\r\n",
                "GET / HTTP/1.1\r\nhOST:a\r\nX:  b \r\nConnection: keep-alive, Upgrade\r\n\r\n"
            ),
            ("GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n \t c\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: b c\r\n\r\n"),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nY: 2\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nY: 2\r\n\r\n"
            ),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop\r\nx-hop: 1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n"
            ),
        ])
    func forwarded(received: String, sent: String) throws {
        #expect(try request(received) == sent)
    }

    @Test(
        "A new target and a new Host stand where the old ones stood, and nothing else changes",
        arguments: [
            (
                "GET http://a/b HTTP/1.1\r\nX: 1\r\nHost: old\r\nY: 2\r\n\r\n", "/b", "a",
                "GET /b HTTP/1.1\r\nX: 1\r\nHost: a\r\nY: 2\r\n\r\n"
            ),
            ("GET http://a/b HTTP/1.0\r\n\r\n", "/b", "a", "GET /b HTTP/1.0\r\nHost: a\r\n\r\n"),
            (
                "GET /b HTTP/1.1\r\nhOST:old \r\nX:  1\r\n\r\n", nil, "a.example",
                "GET /b HTTP/1.1\r\nhOST:a.example \r\nX:  1\r\n\r\n"
            ),
            ("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "/", nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            ("GET / HTTP/1.1\r\nX: 1\r\nHost:\r\n\r\n", nil, "a", "GET / HTTP/1.1\r\nX: 1\r\nHost: a\r\n\r\n"),
            ("GET / HTTP/1.1\nHost: old\n\n", nil, "a", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (
                "GET / HTTP/1.1\r\nHost: old\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n", nil, "a",
                "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            ),
        ] as [(String, String?, String?, String)])
    func rewritten(received: String, target: String?, host: String?, sent: String) throws {
        #expect(try request(received, target: target, host: host) == sent)
    }

    @Test(
        "A connection persists as both versions say",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true), ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false), ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
            ("GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n", true),
        ])
    func persistence(text: String, persists: Bool) {
        #expect(RequestHead(parsing: ByteBuffer(string: text), version: .http1_1).keepsClientConnection == persists)
    }
}
