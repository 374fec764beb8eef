// The changes to a recorded response.

import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import FlowReplay

@Suite("Dates of HTTP")
struct HTTPDateTests {
    @Test(
        "A date is read",
        arguments: [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 23:59:60 GMT", 951_868_800),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
            ("Mon, 01 Jan 1601 00:00:00 GMT", -11_644_473_600),
            ("Wed, 21-Oct-2026 07:28:00 GMT", 1_792_567_680),
        ] as [(String, Int64)])
    func reading(_ text: String, _ seconds: Int64) {
        let date = HTTPDate(text)
        #expect(date == HTTPDate(seconds: seconds))
    }

    @Test(
        "Text that is not an HTTP date is rejected",
        arguments: [
            "", "0", "-1", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 PST", "Sun Nov  6 08:49:37 1994",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 06 Now 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "1994-11-06T08:49:37Z",
        ])
    func others(_ text: String) {
        let date = HTTPDate(text)
        #expect(date == nil)
    }

    @Test("A written date reads as the same moment, and a day later is the next weekday")
    func bothWays() throws {
        var generator = SeededGenerator(seed: 7)
        let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
        var moments = [0, 951_782_399, 951_782_400, 4_107_542_400].map { Int64($0) }
        for _ in 0..<5000 { moments.append(Int64.random(in: -11_644_473_600...253_402_214_399, using: &generator)) }
        var differing: [Int64] = []
        for seconds in moments {
            let text = HTTPDate(seconds: seconds).text ?? ""
            let next = HTTPDate(seconds: seconds + 86400).text ?? ""
            let day = days.firstIndex(of: String(text.prefix(3))) ?? -9
            let following = days.firstIndex(of: String(next.prefix(3))) ?? -9
            if HTTPDate(text)?.seconds != seconds || (day + 1) % 7 != following || text.utf8.count != 29 {
                differing.append(seconds)
            }
        }
        #expect(differing == [])
        #expect(HTTPDate(seconds: 784_111_777).text == "Sun, 06 Nov 1994 08:49:37 GMT")
    }

    @Test("Years that HTTP cannot write are not written")
    func years() {
        let texts = [HTTPDate(seconds: 253_402_300_800).text, HTTPDate(seconds: -30_641_760_000).text]
        #expect(texts == [nil, nil])
    }
}

@Suite("A recorded response, given again")
struct ResponseTests {
    /// The recording began at 9 October 2025, 08:53:20; now is a day and a half a second later.
    private static let now = moment(86_400_501)

    private func occasion(
        _ head: RequestHead = requestHead(), keepsDates: Bool = true, accept: String? = nil
    ) -> ResponseContext {
        ResponseContext(request: head, now: Self.now, keepsDates: keepsDates, accept: accept)
    }

    private func text(_ response: EditedResponse?) -> String {
        guard let response else { return "none" }
        let range = response.range.map { " \($0.lowerBound)..<\($0.upperBound)" } ?? ""
        return String(buffer: response.head.wire).replacing("\r\n", with: "|") + range + (response.hasContent ? "" : " no content")
    }

    @Test("Dates and the expiry of cookies move to now, everything else stays byte for byte")
    func dates() {
        let fields = [
            "dAte:  Thu, 09 Oct 2025 08:53:20 GMT", "Expires: 0", "Last-Modified: Wed, 08 Oct 2025 00:00:00 GMT",
            "X: Thu, 09 Oct 2025 08:53:20 GMT",
            "Set-Cookie: a=\"x, y\"; Path=/;expires=Fri, 10-Oct-2025 00:00:00 GMT; Secure",
            "Set-Cookie: b=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT", "Set-Cookie: c=expires=no; Max-Age=5",
        ]
        let flow = exchange(number: 1, requestHead(), responseHead("HTTP/1.1 200 Fine, thanks", fields), answer: "x")
        let shifted = text(flow.response(for: occasion(keepsDates: false)))
        #expect(
            shifted
                == "HTTP/1.1 200 Fine, thanks|dAte: Fri, 10 Oct 2025 08:53:20 GMT|Expires: 0|Last-Modified: Thu, 09 Oct 2025 00:00:00 GMT|"
                + "X: Thu, 09 Oct 2025 08:53:20 GMT|Set-Cookie: a=\"x, y\"; Path=/;expires=Sat, 11 Oct 2025 00:00:00 GMT; Secure|"
                + "Set-Cookie: b=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT|Set-Cookie: c=expires=no; Max-Age=5||")
        let kept = flow.response(for: occasion())
        #expect(kept?.head == flow.response?.head)
        let second = exchange(number: 1, requestHead(), responseHead(":status: 200", ["date: Thu, 09 Oct 2025 08:53:20 GMT"]))
        let shiftedSecond = text(second.response(for: occasion(keepsDates: false)))
        #expect(shiftedSecond == ":status: 200|date: Fri, 10 Oct 2025 08:53:20 GMT||")
    }

    @Test("Bytes that are no text stay in a head whose dates move")
    func bytesOfHeads() {
        func head(_ date: String, _ expires: String) -> ByteBuffer {
            let lines = [
                "HTTP/1.1 200 Tr\u{E8}s", "Date: \(date)", "X\u{C9}: caf\u{E9}", "Set-Cookie: a=\u{E9}\u{FF}; Expires=\(expires)",
                "", "",
            ]
            return ByteBuffer(bytes: lines.joined(separator: "\r\n").unicodeScalars.map { UInt8($0.value) })
        }
        let wire = head("Thu, 09 Oct 2025 08:53:20 GMT", "Fri, 10 Oct 2025 00:00:00 GMT")
        let flow = exchange(number: 1, requestHead(), ResponseHead(parsing: wire, version: .http1_1))
        let shifted = flow.response(for: occasion(keepsDates: false))?.head.wire
        #expect(shifted == head("Fri, 10 Oct 2025 08:53:20 GMT", "Sat, 11 Oct 2025 00:00:00 GMT"))
    }

    /// Lines about the content, whether it is present or not.
    private static let framings: [[String]] = [
        [], ["Content-Length: 0"], ["Content-Length: 3"], ["Content-Length: 5"], ["Content-Length: 5, 5"], ["Content-Length: 03"],
        ["Content-Length: 6,219"], ["Content-Length:"], ["Content-Length: 3", "content-length: 4"],
        ["Content-Length: 3", "Content-Length: 3"], ["Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "transfer-encoding: Chunked"], ["Transfer-Encoding: chunked", "Content-Length: 3"],
        ["Content-Length: 3", "Transfer-Encoding: identity"], ["Transfer-Encoding: chunked, gzip"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: x", "Content-Length: 3"], ["Transfer-Encoding: identity, chunked"],
    ]

    @Test("The content has one framing that fits it, whatever the recorded head has", arguments: framings.indices)
    func framing(_ index: Int) {
        let lines = Self.framings[index]
        for (start, isWhole, content) in [
            ("HTTP/1.1 200 OK", true, "abc"), ("HTTP/1.1 200 OK", false, "abc"), ("HTTP/1.1 200 OK", true, ""),
            ("HTTP/1.1 200 OK", true, "HTTP/1.1 200 OK\r\n\r\n"), ("HTTP/1.0 200 OK", true, "abc"), (":status: 200", true, "abc"),
            (":status: 200", false, "abc"),
        ] {
            let flow = exchange(
                number: 1, requestHead(), responseHead(start, ["A: b"] + lines + ["C: d"]), answer: content, isComplete: isWhole)
            guard let head = flow.response(for: occasion())?.head else { continue }
            let names = head.fields.pairs.map { $0.name.lowercased() }
            let (lengths, codings) = (head.fields.all("content-length"), head.fields.all("transfer-encoding"))
            let what = "\(start) \(lines) \(isWhole) \(content.utf8.count): \(head.fields)"
            #expect(names.filter { $0 != "content-length" && $0 != "transfer-encoding" } == ["a", "c"], "\(what)")
            #expect(lengths.count + codings.count <= 1, "\(what)")
            #expect(codings.isEmpty || start == "HTTP/1.1 200 OK", "\(what)")
            for coding in codings {
                let list = coding.listElements().map { String(buffer: $0) }
                #expect(!list.contains("identity") && !list.dropLast().contains("chunked"), "\(what)")
            }
            let length = lengths.first.map { UInt64(String(buffer: $0)) }
            let size = UInt64(content.utf8.count)
            #expect(length == nil || (isWhole ? length == size : length.flatMap { $0 }.map { $0 >= size } == true), "\(what)")
            let isOneDeclared =
                lines.count == 1 && (lines == ["Content-Length: \(size)"] || lines == ["Transfer-Encoding: chunked"])
            if isOneDeclared || lines.isEmpty, start == "HTTP/1.1 200 OK" { #expect(head == flow.response?.head, "\(what)") }
        }
    }

    @Test(
        "The head describes the content that is in the recording, where redaction decoded it or left it out",
        arguments: [
            ("Content-Length: 10", "decoded", true, "HTTP/1.1 200 OK|Content-Length: 7||"),
            ("Transfer-Encoding: chunked", "decoded", true, "HTTP/1.1 200 OK|Transfer-Encoding: chunked||"),
            ("Content-Length: 10", "", false, "HTTP/1.1 200 OK|Content-Length: 0||"),
        ] as [(String, String, Bool, String)])
    func storedDifferently(_ line: String, _ stored: String, _ isDecoded: Bool, _ expected: String) {
        let piece = FlowPiece(from: .server, content: bytes(stored), wireSize: 10)
        let flow = flow(
            number: 1,
            [
                (0, .request(requestHead())), (0, .finished(.client)),
                (0, .redacted(FlowRedaction(decoded: isDecoded ? [.server] : []))),
                (1, .response(responseHead("HTTP/1.1 200 OK", ["Content-Encoding: gzip", line]))), (1, .piece(piece)),
                (1, .finished(.server)), (1, .ended(FlowEnding(state: .complete))),
            ])
        #expect(text(flow.response(for: occasion())) == expected)
    }

    @Test("A head without content keeps the length of the content, once")
    func framingWithoutContent() {
        func lengths(_ method: String, _ status: String, _ lines: [String]) -> [String] {
            let flow = exchange(number: 1, requestHead("\(method) / HTTP/1.1"), responseHead("HTTP/1.1 \(status)", lines))
            let head = flow.response(for: occasion(requestHead("\(method) / HTTP/1.1")))?.head
            return head?.fields.pairs.map { "\($0.name): \($0.value)" } ?? []
        }
        let one = ["Content-Length: 9"]
        for (method, status) in [("HEAD", "200 OK"), ("GET", "304 Not Modified")] {
            #expect(lengths(method, status, one) == one)
            #expect(lengths(method, status, ["Content-Length: 9, 09"]) == one)
            #expect(lengths(method, status, one + ["Content-Length: 8"]) == [])
            #expect(lengths(method, status, one + ["Transfer-Encoding: chunked"]) == ["Transfer-Encoding: chunked"])
        }
    }

    @Test(
        "A range is cut from a whole body",
        arguments: [
            ("bytes=0-3", "206 0-3/10 4 0..<4"),
            ("bytes=8-", "206 8-9/10 2 8..<10"),
            ("bytes=-3", "206 7-9/10 3 7..<10"),
            ("bytes=-30", "206 0-9/10 10 0..<10"),
            ("BYTES=2-2", "206 2-2/10 1 2..<3"),
            ("bytes=5-99", "206 5-9/10 5 5..<10"),
            ("bytes=10-", "416 */10 0 0..<0"),
            ("bytes=-0", "416 */10 0 0..<0"),
            ("bytes=0-1,4-5", "200 whole"),
            ("bytes=4-2", "200 whole"),
            ("bytes=+1-2", "200 whole"),
            ("bytes=-", "200 whole"),
            ("items=0-1", "200 whole"),
            ("bytes=1", "200 whole"),
            ("bytes=18446744073709551615-", "416 */10 0 0..<0"),
            ("bytes=0-18446744073709551615", "206 0-9/10 10 0..<10"),
            ("bytes=0-99999999999999999999999", "200 whole"),
        ] as [(String, String)])
    func ranges(_ range: String, _ expected: String) {
        let flow = exchange(
            number: 1, requestHead(), responseHead("HTTP/1.1 200 OK", ["Content-Length: 10", "A: b"]), answer: "0123456789")
        let response = flow.response(for: occasion(requestHead("GET / HTTP/1.1", ["Range: \(range)"])))
        #expect(told(response) == expected)
    }

    private func told(_ response: EditedResponse?) -> String {
        guard let response else { return "none" }
        guard let range = response.range else { return "\(response.head.status) whole" }
        let fields = response.head.fields
        let content = fields.first("content-range").map { String(buffer: $0).dropFirst(6) } ?? ""
        let length = fields.first("content-length").map { String(buffer: $0) } ?? ""
        return "\(response.head.status) \(content) \(length) \(range.lowerBound)..<\(range.upperBound)"
    }

    @Test(
        "The whole is sent where a range has no place",
        arguments: [
            ("GET", "200 OK", ["If-Range: \"e\""], true, "206"),
            ("GET", "200 OK", ["If-Range: \"f\""], true, "200"),
            ("GET", "200 OK", ["If-Range: Wed, 08 Oct 2025 00:00:00 GMT"], true, "206"),
            ("GET", "200 OK", ["If-Range: W/\"w\""], true, "200"),
            ("POST", "200 OK", [], true, "200"),
            ("HEAD", "200 OK", [], true, "200"),
            ("GET", "404 Not Found", [], true, "404"),
            ("GET", "200 OK", [], false, "200"),
            ("GET", "200 OK", [], true, "206"),
        ] as [(String, String, [String], Bool, String)])
    func noRange(_ method: String, _ status: String, _ fields: [String], _ isComplete: Bool, _ expected: String) {
        let tag = fields.first?.contains("W/") == true ? "W/\"w\"" : "\"e\""
        let recorded = ["ETag: \(tag)", "Last-Modified: Wed, 08 Oct 2025 00:00:00 GMT"]
        let flow = exchange(
            number: 1, requestHead(), responseHead("HTTP/1.1 \(status)", recorded), answer: "0123", isComplete: isComplete)
        let response = flow.response(for: occasion(requestHead("\(method) / HTTP/1.1", ["Range: bytes=0-1"] + fields)))
        #expect(response.map { "\($0.head.status)" } == expected)
    }

    @Test("A server that sent the whole when it was asked for a part does so again")
    func ignoredRange() {
        let asked = requestHead("GET / HTTP/1.1", ["Range: bytes=0-1"])
        let flow = exchange(number: 1, asked, responseHead("HTTP/1.1 200 OK", ["Content-Length: 4"]), answer: "0123")
        #expect(told(flow.response(for: occasion(asked))) == "200 whole")
    }

    @Test("A part of a chunked response has a length; of one of HTTP/2 the names stay in lower case")
    func rangeFields() {
        let chunked = exchange(
            number: 1, requestHead(), responseHead("HTTP/1.1 200 OK", ["Transfer-Encoding: chunked"]), answer: "0123")
        let second = exchange(number: 1, requestHead(), responseHead(":status: 200", ["content-length: 4"]), answer: "0123")
        let head = requestHead("GET / HTTP/1.1", ["Range: bytes=1-2"])
        let texts = [chunked, second].map { text($0.response(for: occasion(head))) }
        #expect(
            texts == [
                "HTTP/1.1 206 Partial Content|Content-Length: 2|Content-Range: bytes 1-2/4|| 1..<3",
                ":status: 206|content-length: 2|content-range: bytes 1-2/4|| 1..<3",
            ])
    }

    @Test("HEAD gets the head of the response to GET")
    func head() {
        let flow = exchange(number: 1, requestHead(), responseHead("HTTP/1.1 200 OK", ["Content-Length: 4"]), answer: "0123")
        let response = text(flow.response(for: occasion(requestHead("HEAD / HTTP/1.1", ["Range: bytes=0-1"]))))
        #expect(response == "HTTP/1.1 200 OK|Content-Length: 4|| no content")
    }

    /// How a handshake was recorded, and the handshake for a client of either version.
    static let handshakes: [(String, [String], String, String)] = [
        (
            "HTTP/1.1 101 Web Socket Protocol Handshake",
            [
                "Upgrade: WebSocket", "Connection: upgrade", "Sec-WebSocket-Accept: old", "Sec-WebSocket-Extensions: x",
                "Sec-WebSocket-Protocol: p",
            ],
            "HTTP/1.1 101 Web Socket Protocol Handshake|Upgrade: WebSocket|Connection: upgrade|Sec-WebSocket-Protocol: p|Sec-WebSocket-Accept: new||",
            ":status: 200|sec-websocket-protocol: p||"
        ),
        (
            ":status: 200", ["sec-websocket-extensions: x", "sec-websocket-protocol: p"],
            "HTTP/1.1 101 Switching Protocols|sec-websocket-protocol: p|Upgrade: websocket|Connection: Upgrade|Sec-WebSocket-Accept: new||",
            ":status: 200|sec-websocket-protocol: p||"
        ),
    ]

    @Test("A handshake is written for the client's version of HTTP, whichever was recorded", arguments: handshakes)
    func handshake(_ line: String, _ fields: [String], _ first: String, _ second: String) {
        let request: [(Int64, FlowEvent.What)] = [
            (0, .request(requestHead())), (0, .finished(.client)), (1, .response(responseHead(line, fields))),
        ]
        let recorded = flow(number: 1, request + [(2, said("hi", by: .server, .text))])
        let connect = requestHead2([":method: CONNECT", ":protocol: websocket", ":scheme: http", ":path: /"])
        let texts = [occasion(accept: "new"), occasion(connect)].map { text(recorded.response(for: $0)) }
        #expect(texts == [first, second])
        let versions = [occasion(accept: "new"), occasion(connect)].map { recorded.response(for: $0)?.head.version }
        #expect(versions == [.http1_1, .http2])
    }

    @Test("A handshake without messages after it is one; a refused one is an ordinary response")
    func silentHandshake() {
        let silent = exchange(
            number: 1, requestHead(),
            responseHead("HTTP/1.1 101 Switching Protocols", ["Upgrade: websocket", "Sec-WebSocket-Accept: old"]))
        let refused = exchange(number: 1, requestHead(), responseHead("HTTP/1.1 403 Forbidden", ["Content-Length: 0"]))
        let texts = [silent, refused].map { text($0.response(for: occasion(accept: "new"))) }
        #expect(
            texts == [
                "HTTP/1.1 101 Switching Protocols|Upgrade: websocket|Sec-WebSocket-Accept: new||",
                "HTTP/1.1 403 Forbidden|Content-Length: 0||",
            ])
    }

    @Test("Without a recorded response there is none")
    func noResponse() {
        let recorded = flow(number: 1, [(0, .request(requestHead())), (1, .ended(FlowEnding(state: .failed)))])
        let response = text(recorded.response(for: occasion()))
        #expect(response == "none")
    }
}
