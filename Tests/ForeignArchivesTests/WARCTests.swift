import ContentCoding
import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ForeignArchives

@Suite("WARC files")
struct WARCTests {
    private static func record(_ fields: String, _ block: String, length: Int? = nil) -> String {
        "WARC/1.0\r\n\(fields)\r\nContent-Length: \(length ?? block.utf8.count)\r\n\r\n\(block)\r\n\r\n"
    }

    private static func response(_ name: String, _ block: String, _ more: String = "") -> String {
        record(
            "WARC-Type: response\r\nWARC-Record-ID: <urn:uuid:\(id(name, 1))>\r\nWARC-Date: 2026-01-02T03:04:05Z\r\n"
                + "WARC-Target-URI: http://a.example/\(name)\r\nContent-Type: application/http;msgtype=response\(more)", block)
    }

    private static func request(_ name: String, _ block: String) -> String {
        record(
            "WARC-Type: request\r\nWARC-Record-ID: <urn:uuid:\(id(name, 2))>\r\nWARC-Date: 2026-01-02T03:04:05Z\r\n"
                + "WARC-Concurrent-To: <urn:uuid:\(id(name, 1))>\r\nWARC-Target-URI: <http://a.example/\(name)>", block)
    }

    private static func id(_ name: String, _ half: Int) -> String {
        "0192f3a4-0000-7000-8000-\(String(repeating: String(half), count: 6))\(String(repeating: String(name.prefix(1)), count: 6))"
    }

    private static func exchange(_ name: String, body: String = "hello") -> String {
        request(name, "GET /\(name) HTTP/1.1\r\nHost: a.example\r\n\r\n")
            + response(name, "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    private static func seen(_ text: String, pieces: Int = .max) throws -> (lines: [String], damage: [String]) {
        try seen(ByteBuffer(string: text), pieces: pieces)
    }

    private static func seen(_ bytes: ByteBuffer, pieces: Int = .max) throws -> (lines: [String], damage: [String]) {
        let (flows, damage, _) = warcFlows(bytes, pieces: pieces)
        return (
            try flows.map { flow in
                let method = flow.request.map { String(buffer: $0.head.method) } ?? ""
                let content = try flow.pieces.content(from: .server)
                return
                    "\(method) \(flow.displayURL.map { String(buffer: $0) } ?? "") \(flow.status) \(flow.state) \(content.escaped)"
            }, damage
        )
    }

    @Test(
        "Both halves of an exchange are one flow, in either order, wherever the file is cut into pieces",
        arguments: [1, 7, 100, .max])
    func pairs(pieces: Int) throws {
        let info = Self.record("WARC-Type: warcinfo", "software: x\r\n")
        let text =
            info + Self.exchange("a") + Self.response("b", "HTTP/1.1 404 No\r\n\r\n") + Self.request("b", "GET /b HTTP/1.1\r\n\r\n")
        let expected = ["GET http://a.example/a 200 complete hello", "GET http://a.example/b 404 complete "]
        #expect(try Self.seen(text, pieces: pieces) == (expected, []))
        var compressed = ByteBuffer()
        for part in [info, Self.exchange("a"), Self.response("b", "HTTP/1.1 404 No\r\n\r\n")] {
            compressed.writeImmutableBuffer(gzipMember(ByteBuffer(string: part)))
        }
        compressed.writeImmutableBuffer(gzipMember(ByteBuffer(string: Self.request("b", "GET /b HTTP/1.1\r\n\r\n"))))
        #expect(try Self.seen(compressed, pieces: pieces) == (expected, []))
        #expect(try Self.seen(gzipMember(ByteBuffer(string: text)), pieces: pieces) == (expected, []))
    }

    @Test(
        "Chunks are removed, and content that is not whole is marked",
        arguments: [
            ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", "", "complete hello"),
            ("Transfer-Encoding: chunked", "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n", "", "complete hello"),
            ("Transfer-Encoding: chunked", "5\r\nhello\r\n", "", "incomplete hello"),
            ("Transfer-Encoding: chunked", "9\r\nhello", "", "incomplete hello"),
            ("Transfer-Encoding: chunked", "hello", "", "complete hello"),
            ("Content-Length: 9", "hello", "", "incomplete hello"),
            ("Content-Length: 5", "hello", "\r\nWARC-Truncated: length", "incomplete hello"),
            ("Content-Encoding: gzip\r\nContent-Length: 9", "hello", "", "complete hello"),
            ("X: y", "hello", "", "complete hello"),
        ] as [(String, String, String, String)])
    func contents(fields: String, body: String, more: String, expected: String) throws {
        let text = Self.response("a", "HTTP/1.1 200 OK\r\n\(fields)\r\n\r\n\(body)", more)
        #expect(try Self.seen(text) == (["GET http://a.example/a 200 \(expected)"], []))
    }

    @Test("Resources, revisits and halves without the other are flows with a note; the rest is counted")
    func kinds() throws {
        let at = "WARC-Date: 2026-01-02T03:04:05Z\r\nWARC-Target-URI: http://a.example/x\r\n"
        let text =
            Self.record("WARC-Type: resource\r\nContent-Type: text/plain\r\n\(at)WARC-IP-Address: 192.0.2.1", "text")
            + Self.record(
                "WARC-Type: revisit\r\nWARC-Refers-To: <urn:uuid:1>\r\n\(at)X: y", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            + Self.record(
                "WARC-Type: revisit\r\nWARC-Profile: http://netpreserve.org/warc/1.1/server-not-modified\r\n\(at)X: y",
                "HTTP/1.1 304 Not Modified\r\n\r\n")
            + Self.request("q", "GET /q HTTP/1.1\r\n\r\n") + Self.record("WARC-Type: metadata\r\n\(at)X: y", "a: b")
            + Self.record("WARC-Type: response\r\nWARC-Target-URI: dns:a.example", "a. A 192.0.2.1")
        let (flows, damage, leftOut) = warcFlows(ByteBuffer(string: text))
        #expect(damage == [] && leftOut == ["metadata": 1, "response": 1])
        #expect(flows.map(\.status) == [200, 200, 304, 0])
        #expect(flows.map(\.state) == [.complete, .incomplete, .complete, .failed])
        #expect(flows[0].server?.value.peer == Endpoint(host: "192.0.2.1", port: 80))
        #expect(
            flows.map { $0.notes.map(\.value.message).filter { $0.hasPrefix("the file has") } } == [
                [
                    "the file has no request; it is assumed to be GET",
                    "the file has the content alone; the response is assumed to be 200",
                ],
                ["the file has no request; it is assumed to be GET", "the file has the content in another record of <urn:uuid:1>"],
                ["the file has no request; it is assumed to be GET"], [],
            ])
    }

    @Test(
        "Damage is reported with its offset, and reading continues with the next record",
        arguments: [
            ("garbage\r\n\r\n", "damaged at offset LENGTH: no record begins there; reading continues with the next record"),
            (
                "WARC/1.0\r\nWARC-Type: response\r\nContent-Length: x\r\n\r\n",
                "damaged at offset LENGTH: the fields of a record have no type or no valid length; reading continues with the next record"
            ),
            (
                record("WARC-Type: response", "0123456789", length: 4),
                "damaged at offset LENGTH: the length of a record is wrong; reading continues with the next record"
            ),
            (
                record("WARC-Type: response", "0123456789", length: 40),
                "damaged at offset LENGTH: the length of a record is wrong; reading continues with the next record"
            ),
            (
                record("WARC-Type: response", "0123456789", length: 4000),
                "the file ends in the middle of a record at offset LENGTH, which is not used"
            ),
            (
                record("WARC-Type: response", "0123456789", length: 4_000_000_000),
                "damaged at offset AFTER: a record of 4000000000 bytes is too long; reading continues with the next record"
            ),
        ] as [(String, String)])
    func damage(text: String, sentence: String) throws {
        let first = Self.exchange("a")
        let found = try Self.seen(first + text + Self.exchange("b"))
        let head = text.range(of: "\r\n\r\n").map { text[..<$0.upperBound].utf8.count } ?? 0
        let expected = sentence.replacing("LENGTH", with: "\(first.utf8.count)").replacing(
            "AFTER", with: "\(first.utf8.count + head)")
        #expect(found == (["GET http://a.example/a 200 complete hello", "GET http://a.example/b 200 complete hello"], [expected]))
    }

    @Test("A torn or damaged gzip member loses its record, and no other")
    func members() throws {
        let parts = ["a", "b", "c"].map { gzipMember(ByteBuffer(string: Self.response($0, "HTTP/1.1 200 OK\r\n\r\n\($0)"))) }
        let offset = parts[0].readableBytes
        var torn = parts[0]
        torn.writeImmutableBuffer(parts[1].slice(ByteRange(0, 60)))
        torn.writeImmutableBuffer(parts[2])
        let found = try Self.seen(torn)
        #expect(found.lines == ["GET http://a.example/a 200 complete a", "GET http://a.example/c 200 complete c"])
        #expect(found.damage.count == 1 && found.damage[0].hasPrefix("damaged in the gzip member at offset \(offset) ("))
        var short = parts[0]
        short.writeImmutableBuffer(parts[1].slice(ByteRange(0, 60)))
        let end = try Self.seen(short)
        #expect(end.lines == ["GET http://a.example/a 200 complete a"])
        #expect(end.damage == ["the file ends in the middle of the gzip member at offset \(offset), and a record is lost"])
        var junk = parts[0]
        junk.writeString("junk")
        junk.writeImmutableBuffer(parts[1])
        #expect(
            try Self.seen(junk) == (
                ["GET http://a.example/a 200 complete a", "GET http://a.example/b 200 complete b"],
                ["damaged at offset \(offset): no gzip member begins there; reading continues with the next one"]
            ))
    }

    @Test("Fields without an end are damage, not memory")
    func giantHeader() throws {
        let text = "WARC/1.0\r\n" + String(repeating: "X: y\r\n", count: 60_000) + "\r\n"
        let found = try Self.seen(text + Self.exchange("b"), pieces: 64 * 1024)
        #expect(found.lines == ["GET http://a.example/b 200 complete hello"])
        #expect(found.damage == ["damaged at offset 0: the fields of a record have no end; reading continues with the next record"])
    }

    @Test("Files with random damage are read to their end", arguments: [false, true])
    func random(isCompressed: Bool) throws {
        var whole = ByteBuffer()
        for name in ["a", "b", "c", "d"] {
            let text = ByteBuffer(string: Self.exchange(name, body: String(repeating: name, count: 300)))
            if isCompressed { whole.writeImmutableBuffer(gzipMember(text)) } else { whole.writeImmutableBuffer(text) }
        }
        #expect(try readableFlows(in: whole, seed: 28) { warcFlows($0, pieces: $1).flows } > 300)
    }

    @Test("Records are written with their digests, heads as received, and content in chunks where the head has them")
    func written() throws {
        var writer = WARCWriter(version: "1")
        var out = ByteBuffer()
        let flow = try #require(LossSamples.flow(.chunkTimes))
        #expect(try writer.write(flow, into: &out))
        let records = String(buffer: out).components(separatedBy: "WARC/1.1\r\n").dropFirst()
        #expect(records.map { $0.prefix { $0 != "\r\n" } } == ["WARC-Type: warcinfo", "WARC-Type: response", "WARC-Type: request"])
        let response = records[2]
        #expect(
            response == """
                WARC-Type: response\r
                WARC-Record-ID: <urn:uuid:01920000-0000-7000-8000-000000000001>\r
                WARC-Date: 2023-11-14T22:13:20.123456Z\r
                WARC-Target-URI: http://a.example/\r
                WARC-IP-Address: 192.0.2.2\r
                WARC-Protocol: http/1.1\r
                WARC-Protocol: tls/1.3\r
                WARC-Warcinfo-ID: <urn:uuid:01920000-0000-7000-8000-77617263696f>\r
                WARC-Block-Digest: sha1:\(response.components(separatedBy: "sha1:")[1].prefix(32))\r
                Content-Type: application/http;msgtype=response\r
                Content-Length: 66\r
                \r
                HTTP/1.1 200 OK\r
                Transfer-Encoding: chunked\r
                \r
                2\r
                ab\r
                2\r
                cd\r
                0\r
                \r
                \r
                \r

                """)
    }
}
