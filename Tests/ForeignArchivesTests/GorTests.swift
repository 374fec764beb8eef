import ContentCoding
import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ForeignArchives

@Suite("Files of GoReplay")
struct GorTests {
    private static let separator = "\n🐵🙈🙉\n"
    private static let id = "932079936fa4306fc308d675"

    private static func request(_ text: String, id: String = id) -> String { "1 \(id) 1700000000000000001 5000\n\(text)" }
    private static func response(_ text: String, id: String = id) -> String { "2 \(id) 1700000000000009001 7000\n\(text)" }

    private static let get = request("GET /a?b HTTP/1.1\r\nHost: a.example:81\r\n\r\n")
    private static let hello = response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

    private static func seen(_ text: String, pieces: Int = .max) throws -> (lines: [String], damage: [String]) {
        try seen(ByteBuffer(string: text), pieces: pieces)
    }

    /// Method, URL, content of the request, status, state and content of the response.
    private static func seen(_ bytes: ByteBuffer, pieces: Int = .max) throws -> (lines: [String], damage: [String]) {
        let (flows, damage, _) = gorFlows(bytes, pieces: pieces)
        return (
            try flows.map { flow in
                let method = flow.request.map { String(buffer: $0.head.method) } ?? "-"
                let sent = String(buffer: try flow.pieces.content(from: .client))
                let content = String(buffer: try flow.pieces.content(from: .server)).replacing("\n", with: "\\n")
                let url = flow.displayURL.map { String(buffer: $0) } ?? "-"
                return "\(method) \(url) \(sent)|\(flow.status) \(flow.state) \(content)"
            }, damage
        )
    }

    @Test(
        "The messages of an exchange are one flow, wherever the file is cut into pieces, also in gzip",
        arguments: [1, 7, 100, .max])
    func pairs(pieces: Int) throws {
        let text =
            Self.get + Self.separator + Self.request("GET / HTTP/1.0\r\n\r\n", id: "b") + Self.separator + Self.hello
            + Self.separator
            + Self.response("HTTP/1.1 404 No\r\n\r\nuntil the end", id: "b") + Self.separator
        let expected = ["GET http://a.example:81/a?b |200 complete hello", "GET http:/// |404 complete until the end"]
        #expect(try Self.seen(text, pieces: pieces).lines == expected)
        var compressed = gzipMember(ByteBuffer(string: String(text.prefix(100))))
        compressed.writeImmutableBuffer(gzipMember(ByteBuffer(string: String(text.dropFirst(100)))))
        #expect(try Self.seen(compressed, pieces: pieces).lines == expected)
        #expect(ForeignFormat(sniffing: ByteBuffer(string: text)) == .gor)
        #expect(ForeignFormat(sniffing: compressed) == .gor)
    }

    @Test("Times and durations are those of the messages")
    func times() throws {
        let flow = try #require(gorFlows(ByteBuffer(string: Self.get + Self.separator + Self.hello + Self.separator)).flows.first)
        let times = [
            flow.started, flow.request?.started, flow.request?.ended, flow.response?.started, flow.response?.ended, flow.ended,
        ]
        #expect(times.map { ($0?.nanoseconds ?? 0) - 1_700_000_000_000_000_000 } == [1, 1, 5001, 9001, 16001, 16001])
    }

    @Test(
        "A stated length ends a message, and otherwise the line that separates records",
        arguments: [
            // Content with the line.
            ("Content-Length: 22", "a\n🐵🙈🙉\nb 12345", "200 complete a\\n🐵🙈🙉\\nb 12345"),
            ("Content-Length: 14", "\n🐵🙈🙉\n", "200 complete \\n🐵🙈🙉\\n"),
            ("Transfer-Encoding: chunked", "10\r\na\n🐵🙈🙉\nb\r\n0\r\n\r\n", "200 complete a\\n🐵🙈🙉\\nb"),
            ("Transfer-Encoding: chunked", "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n", "200 complete hello"),
            // Content that is cut, or longer than its head says.
            ("Content-Length: 9", "hello", "200 incomplete hello"),
            ("Content-Length: 9000000000000000000", "hello", "200 incomplete hello"),
            ("Content-Length: 4", "hello", "200 complete hello"),
            ("Transfer-Encoding: chunked", "5\r\nhello\r\n", "200 incomplete hello"),
            ("Transfer-Encoding: chunked", "9\r\nhello", "200 incomplete hello"),
            ("Transfer-Encoding: chunked", "hello", "200 complete hello"),
            ("X: y", "hello", "200 complete hello"),
        ] as [(String, String, String)])
    func ends(fields: String, body: String, expected: String) throws {
        let text = Self.get + Self.separator + Self.response("HTTP/1.1 200 OK\r\n\(fields)\r\n\r\n\(body)") + Self.separator
        let other = Self.request("GET /b HTTP/1.1\r\nHost: b\r\n\r\n", id: "b") + Self.separator
        let lines = ["GET http://a.example:81/a?b |\(expected)", "GET http://b/b |0 incomplete "]
        for pieces in [1, 50, .max] { #expect(try Self.seen(text + other, pieces: pieces).lines == lines) }
    }

    @Test("Records without the separating line between them, and after the last one, are read")
    func missingLines() throws {
        let expected = ["GET http://a.example:81/a?b |200 complete hello"]
        for text in [Self.get + Self.hello, Self.get + "\n" + Self.hello + "\n", Self.get + Self.separator + Self.hello + "\n🐵"] {
            #expect(try Self.seen(text) == (expected, []))
        }
    }

    @Test("A response to HEAD has no content, although its length would lead into the next records")
    func head() throws {
        let head = Self.request("HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n", id: "h") + Self.separator
        let swallowed = Self.separator + Self.get
        let answer = Self.response("HTTP/1.1 200 OK\r\nContent-Length: \(swallowed.utf8.count)\r\n\r\n", id: "h")
        #expect(
            try Self.seen(head + answer + swallowed + Self.separator + Self.hello + Self.separator) == (
                ["HEAD http://a/h |200 complete ", "GET http://a.example:81/a?b |200 complete hello"], []
            ))
    }

    @Test("Requests without responses, replayed responses and other protocols are flows with a note, or counted")
    func kinds() throws {
        let replayed = "3 c 1700000000000000009 1\nHTTP/1.1 201 Created\r\n\r\n"
        let text = [
            Self.request("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", id: "a"), Self.response("HTTP/1.1 200 OK\r\n\r\n", id: "z"),
            Self.request("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n", id: "c"), replayed,
            Self.request("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n", id: "d"), replayed.replacing("3 c", with: "3 d"),
            Self.response("HTTP/1.1 202 Accepted\r\n\r\n", id: "d"), Self.request("\u{0}\u{1}thrift", id: "t"),
        ].map { $0 + Self.separator }.joined()
        let (flows, damage, leftOut) = gorFlows(ByteBuffer(string: text))
        #expect(damage == [] && leftOut == ["of other protocols": 1, "of replayed responses": 1])
        #expect(flows.map { $0.displayURL.map { String(buffer: $0) } } == [nil, "http://a/3", "http://a/1", "http://a/2"])
        #expect(flows.map(\.status) == [200, 202, 0, 201])
        #expect(
            flows.map { $0.notes.map(\.value.message) } == [
                ["the file has no request"], [], ["the file has no response"], ["the response came from a replay"],
            ])
        for flow in flows { #expect(try line(flow).contains("\"kind\":\"http\"")) }
    }

    @Test(
        "Damage is reported with its offset, and reading continues after the next separating line",
        arguments: [
            (
                "garbage\n",
                "damaged at offset LENGTH: no record begins there; reading continues after the next line that separates records"
            ),
            (
                "1 x 170000000000000000000000\nGET / HTTP/1.1\r\n\r\n",
                "damaged at offset LENGTH: no record begins there; reading continues after the next line that separates records"
            ),
            (
                String(repeating: "1 ", count: 300),
                "damaged at offset LENGTH: no record begins there; reading continues after the next line that separates records"
            ),
        ] as [(String, String)])
    func damage(text: String, sentence: String) throws {
        let first = Self.get + Self.separator
        let found = try Self.seen(first + text + Self.separator + Self.hello + Self.separator)
        let expected = sentence.replacing("LENGTH", with: "\(first.utf8.count)")
        #expect(found == (["GET http://a.example:81/a?b |200 complete hello"], [expected]))
    }

    @Test("Of a torn file what is there of the last message is used, and the end is reported")
    func torn() throws {
        let first = Self.get + Self.separator
        let post = Self.request("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhell", id: "p")
        let line = "GET http://a.example:81/a?b |0 incomplete "
        let place = "the file ends in the middle of a record at offset \(first.utf8.count)"
        #expect(
            try Self.seen(first + post)
                == ([line, "POST http://a/p hell|0 incomplete "], ["\(place), which is used as far as it is there"]))
        #expect(try Self.seen(first + String(post.prefix(40))) == ([line], ["\(place), which is not used"]))
        #expect(try Self.seen(first + String(post.prefix(60))) == ([line], ["\(place), which is not used"]))
        let open = Self.response("HTTP/1.1 200 OK\r\n\r\nuntil the end")
        #expect(
            try Self.seen(first + open) == (
                ["GET http://a.example:81/a?b |200 incomplete until the end"],
                [
                    "the file ends without the line that ends the record at offset \(first.utf8.count), which is used as far as it is there"
                ]
            ))
    }

    @Test("Files with random damage are read to their end", arguments: [false, true])
    func random(isCompressed: Bool) throws {
        var whole = ByteBuffer()
        for name in ["a", "b", "c", "d"] {
            let body = String(repeating: name, count: 300)
            let text =
                Self.request("GET /\(name) HTTP/1.1\r\nHost: a\r\n\r\n", id: name) + Self.separator
                + Self.response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n12c\r\n\(body)\r\n0\r\n\r\n", id: name)
                + Self.separator
            whole.writeImmutableBuffer(isCompressed ? gzipMember(ByteBuffer(string: text)) : ByteBuffer(string: text))
        }
        #expect(try readableFlows(in: whole, seed: 29) { gorFlows($0, pieces: $1).flows } > 300)
    }

    // MARK: Writing

    private static func written(_ flows: [Flow], isCompressed: Bool = false) throws -> (bytes: ByteBuffer, report: ConversionReport)
    {
        var writer = GorWriter(isCompressed: isCompressed)
        var out = ByteBuffer()
        var drained = ByteBuffer()
        for flow in flows {
            _ = try writer.write(flow, into: &out) { part in
                drained.writeImmutableBuffer(part)
                part.clear()
            }
        }
        drained.writeImmutableBuffer(out)
        return (drained, writer.report)
    }

    @Test("Records have the facts, the head as received, and content in chunks where the head has them")
    func records() throws {
        let flow = try #require(LossSamples.flow(.chunkTimes))
        #expect(
            String(buffer: try Self.written([flow]).bytes) == """
                1 000070008000000000000001 1700000000124456789 0
                GET / HTTP/1.1\r
                Host: a.example\r
                \r

                🐵🙈🙉
                2 000070008000000000000001 1700000000126456789 3000000
                HTTP/1.1 200 OK\r
                Transfer-Encoding: chunked\r
                \r
                2\r
                ab\r
                2\r
                cd\r
                0\r
                \r

                🐵🙈🙉

                """)
    }

    @Test("A message of HTTP/2 has a length or chunks, and one that is not whole shows it")
    func framing() throws {
        func head(_ content: String, isWhole: Bool, trailers: Bool) throws -> String {
            var flow = FlowBuilder(target: LossSamples.target)
                .request(
                    ":method: POST\r\n:scheme: http\r\n:path: /\r\n:authority: a\r\n\r\n", content: ByteBuffer(string: content),
                    isWhole: false)
            if trailers { flow = flow.event(.trailers(from: .client, FieldSection([("X-Sum", "1")]))) }
            if isWhole { flow = flow.event(.finished(.client)) }
            let text = String(buffer: try Self.written([flow.ended().flow]).bytes).replacing("\r\n", with: "\n")
            return text.split(separator: "\n", omittingEmptySubsequences: false).dropFirst(3).dropLast(2).joined(separator: "\n")
        }
        #expect(try head("", isWhole: true, trailers: false) == "\n")
        #expect(try head("abc", isWhole: true, trailers: false) == "Content-Length: 3\n\nabc")
        #expect(try head("abc", isWhole: false, trailers: false) == "Transfer-Encoding: chunked\n\n3\nabc\n")
        #expect(try head("abc", isWhole: true, trailers: true) == "Transfer-Encoding: chunked\n\n3\nabc\n0\nX-Sum: 1\n\n")
    }

    @Test(
        "A flow whose content has the separating line is left out, also where pieces, the end of the content and the line meet",
        arguments: [["a\n🐵🙈🙉\nb"], ["a\n🐵", "🙈🙉\n"], ["a\n🐵🙈🙉"], ["x", "\n\n🐵🙈🙉", "\n"]])
    func separators(parts: [String]) throws {
        func exchange(_ fields: String) -> Flow {
            var flow = FlowBuilder(target: LossSamples.target).request("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
                .response("HTTP/1.1 200 OK\r\n\(fields)\r\n", isWhole: false)
            for part in parts { flow = flow.data(ByteBuffer(string: part), from: .server) }
            return flow.event(.finished(.server)).ended().flow
        }
        let (bytes, report) = try Self.written([exchange("")])
        #expect(bytes.readableBytes == 0 && report.leftOut == [.separator: 1])
        #expect(report.sentence == "gor: 0 of 1 flow written; left out: 1 with the separator line in the content")
    }

    @Test("What is written is read again as it was, and GoReplay's own scanner finds the same records", arguments: [false, true])
    func roundTrip(isCompressed: Bool) throws {
        var random = SeededGenerator(seed: 31)
        let flows = (0..<200).map { RandomExchange(number: $0, &random).flow }
        let kept = try flows.filter { try Self.written([$0]).report.written == 1 }
        let (bytes, report) = try Self.written(flows, isCompressed: isCompressed)
        #expect(report.leftOut == [.separator: flows.count - kept.count] && kept.count > 100)
        let (back, damage, leftOut) = gorFlows(bytes, pieces: 1000)
        #expect(damage == [] && leftOut == [:])
        func facts(_ flow: Flow) throws -> [String] {
            [
                flow.request?.head.wire.escaped ?? "", try flow.pieces.content(from: .client).escaped,
                flow.response?.head.wire.escaped ?? "",
                try flow.pieces.content(from: .server).escaped,
                "\(flow.request?.isComplete == true) \(flow.response?.isComplete == true)",
                "\(flow.request?.started.nanoseconds ?? 0) \(flow.response?.ended?.nanoseconds ?? 0)",
            ]
        }
        let order = { (one: [String], other: [String]) in one.lexicographicallyPrecedes(other) }
        let (found, expected) = (try back.map(facts).sorted(by: order), try kept.map(facts).sorted(by: order))
        #expect(found.first { !expected.contains($0) } == nil && found.count == expected.count)
        guard !isCompressed else { return }
        // Its scanner reads lines, and searches for nothing but the separating one.
        #expect(scannedByGoReplay(bytes).count == kept.count { $0.response != nil } + kept.count)
        #expect(scannedByGoReplay(bytes).allSatisfy { $0.contains(" HTTP/1.1\r\n") || $0.contains("\nHTTP/1.1 200 OK\r\n") })
    }

    /// What GoReplay 1.3 takes for records: the lines before each separating line, without the last line end. A record whose first line has
    /// fewer than three parts is dropped.
    private func scannedByGoReplay(_ bytes: ByteBuffer) -> [String] {
        var (records, record): ([String], [UInt8]) = ([], [])
        for line in bytes.readableBytesView.split(separator: 0x0A, omittingEmptySubsequences: false) {
            guard line.elementsEqual("🐵🙈🙉".utf8) else {
                record += line + [0x0A]
                continue
            }
            let facts = record.prefix { $0 != 0x0A }.split(separator: 0x20, omittingEmptySubsequences: false)
            if facts.count >= 3 { records.append(String(decoding: record.dropLast(), as: UTF8.self)) }
            record = []
        }
        return records
    }
}

/// An exchange of HTTP/1 with content of all kinds.
private struct RandomExchange {
    let flow: Flow

    init(number: Int, _ random: inout SeededGenerator) {
        let start = FlowBuilder.start.advanced(byNanoseconds: Int64(number) * 1_000_000_000)
        var flow = FlowBuilder(
            id: FlowID(time: start, sequence: UInt16(number), random: random.next()), at: start, target: LossSamples.target)
        let method = ["GET", "POST", "HEAD"].randomElement(using: &random)!
        let sent = method == "POST" ? Self.content(&random) : []
        let size = sent.reduce(0) { $0 + $1.readableBytes }
        let length = method == "POST" ? "Content-Length: \(size)\r\n" : ""
        flow = flow.request("\(method) /\(number) HTTP/1.1\r\nHost: a.example\r\n\(length)\r\n", isWhole: false)
        for part in sent { flow = flow.data(part, from: .client, at: 1) }
        flow = flow.event(.finished(.client), at: 2)
        if Int.random(in: 0..<8, using: &random) > 0 {
            let content = method == "HEAD" ? [] : Self.content(&random)
            let size = content.reduce(0) { $0 + $1.readableBytes }
            let isWhole = size == 0 || Bool.random(using: &random)
            let framing = ["Content-Length: \(isWhole ? size : size + 5)\r\n", "Transfer-Encoding: chunked\r\n", ""]
            flow = flow.response(
                "HTTP/1.1 200 OK\r\n\(isWhole ? framing.randomElement(using: &random)! : framing[0])\r\n", isWhole: false, at: 3)
            for part in content { flow = flow.data(part, from: .server, at: 4) }
            if isWhole { flow = flow.event(.finished(.server), at: 5) }
        }
        self.flow = flow.ended(at: 6).flow
    }

    private static func content(_ random: inout SeededGenerator) -> [ByteBuffer] {
        let words = ["🐵🙈🙉", "\n", "\n🐵🙈🙉", "\r\n", "1 ab 1\n", "text", "\u{0}", "HTTP/1.1 200 OK\r\n\r\n", "0\r\n\r\n"]
        return (0..<Int.random(in: 0..<4, using: &random)).map { _ in
            ByteBuffer(
                string: (0..<Int.random(in: 1..<6, using: &random)).map { _ in words.randomElement(using: &random)! }.joined())
        }
    }
}
