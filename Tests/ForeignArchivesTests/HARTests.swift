import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ForeignArchives

@Suite("HAR files")
struct HARTests {
    private func text(_ buffer: ByteBuffer?) -> String? { buffer.map { String(buffer: $0) } }

    private func time(_ text: String) -> Timestamp? { Timestamp(rfc3339: text) }

    @Test("A browser's export is read; entries that are not exchanges are reported or counted")
    func browser() throws {
        var reader = try HARReader(try fixture("chromium.har"))
        var count = 0
        let error = #expect(throws: HAREntryError.self) { while try reader.next() != nil { count += 1 } }
        #expect(count == 5)
        #expect(error == HAREntryError(entry: 7, what: "has no request with a method and a URL; it was left out"))
        let end = try reader.next()
        #expect(end == nil)
        #expect(reader.leftOut == ["data": 1])
    }

    @Test("An HTTP/2 entry has its pseudo-fields, times from its timings, and decoded content with fields that fit")
    func http2() throws {
        let flow = try harFlows(try fixture("chromium.har")).flows[0]
        #expect(
            text(flow.request?.head.wire)
                == ":method: GET\r\n:scheme: https\r\n:path: /page?a=1&b=%20\r\n:authority: example.org\r\naccept: text/html\r\ncookie: id=7\r\n\r\n"
        )
        #expect(
            text(flow.response?.head.wire) == ":status: 200\r\ncontent-length: 20\r\ncontent-type: text/html; charset=utf-8\r\n\r\n"
        )
        let body = try flow.pieces.content(from: .server)
        #expect(text(body) == "<p>größer</p>\n<hr>")
        #expect(flow.started == time("2026-01-02T03:04:05.006Z"))
        #expect(flow.request?.started == time("2026-01-02T03:04:05.011Z"))
        #expect(flow.request?.ended == time("2026-01-02T03:04:05.01125Z"))
        #expect(flow.response?.started == time("2026-01-02T03:04:05.01725Z"))
        #expect(flow.ended == time("2026-01-02T03:04:05.01825Z"))
        #expect(flow.server?.value.peer == Endpoint(host: "2001:db8::1", port: 443))
        #expect(flow.state == .complete)
    }

    @Test("Posted text, binary content, failures, conversations and missing bodies are read correctly")
    func others() throws {
        let flows = try harFlows(try fixture("chromium.har")).flows
        let posted = try flows[1].pieces.content(from: .client)
        #expect(text(posted) == "x=1&y=2")
        let image = try flows[1].pieces.content(from: .server)
        #expect(image == ByteBuffer(bytes: [0x89, 0x50, 0x4E, 0x47]))
        #expect(flows[1].target == FlowTarget(scheme: "http", host: "example.org", port: 8080))
        #expect(flows[1].started == time("2026-01-02T03:04:06.5Z"))
        #expect(flows[2].state == .failed)
        #expect(flows[2].error?.message == "net::ERR_NAME_NOT_RESOLVED")
        #expect(flows[2].response == nil)
        #expect(flows[3].isWebSocket)
        #expect(flows[3].target.scheme == "https")
        var messages: [FlowPiece] = []
        var times: [Timestamp] = []
        try flows[3].pieces.forEach { at, piece in
            messages.append(piece)
            times.append(at)
            return true
        }
        #expect(
            messages == [
                FlowPiece(kind: .text, from: .client, content: ByteBuffer(string: "hello")),
                FlowPiece(kind: .binary, from: .server, content: ByteBuffer(bytes: [0, 0xFF])),
            ])
        #expect(times == [time("2026-01-02T03:04:08.25Z"), time("2026-01-02T03:04:08.5Z")])
        #expect(flows[4].state == .incomplete)
        #expect(flows[4].request?.head.version == HTTPVersion(major: 3, minor: 0))
    }

    @Test("Flows written as HAR are read back as they were", arguments: ["chromium.har", "newest.mitm"])
    func roundTrip(file: String) throws {
        let flows = file.hasSuffix(".har") ? try harFlows(try fixture(file)).flows : try mitmproxyFlows(try fixture(file))
        var written = ByteBuffer()
        var writer = HARWriter(version: "1")
        var expected: [Flow] = []
        for flow in flows where try writer.write(flow, into: &written) { expected.append(flow) }
        writer.finish(into: &written)
        let back = try harFlows(written)
        #expect(back.errors == [])
        // HAR has no members for the client, TLS, trailers, tags, and times of notes.
        func bare(_ flow: Flow) throws -> String {
            var flow = flow
            flow.client = nil
            flow.server = nil
            flow.tags = []
            flow.notes = flow.notes.map { Timed(at: flow.started, value: $0.value) }
            flow.response?.trailers = nil
            if let end = flow.ended, flow.response?.ended == nil { flow.response?.ended = end }
            return try line(flow)
        }
        let lines = try (expected.map(bare), back.flows.map(bare))
        #expect(lines.0 == lines.1)
    }

    @Test("An answer of the recorder itself is written as the response and read back as its own")
    func localReply() throws {
        var flow = try #require(try harFlows(try fixture("chromium.har")).flows.first)
        let head = ByteBuffer(string: "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\n\r\n")
        let reply = LocalReply(head: ResponseHead(parsing: head, version: .http1_1), content: ByteBuffer(string: "mitm: no\n"))
        flow.response = nil
        flow.localReply = Timed(at: flow.started, value: reply)
        flow.notes = [Timed(at: flow.started, value: FlowNote(side: .client, "odd"))]
        flow.state = .failed
        var written = ByteBuffer()
        var writer = HARWriter(version: "1")
        #expect(try writer.write(flow, into: &written))
        writer.finish(into: &written)
        #expect(String(buffer: written).contains(#""_notes":["client: odd"]"#))
        let back = try #require(try harFlows(written).flows.first)
        #expect(back.response == nil)
        #expect(back.localReply?.value == reply)
        #expect(back.state == .failed)
    }

    @Test("An archive without flows is one too")
    func empty() throws {
        var written = ByteBuffer()
        var writer = HARWriter(version: "1")
        writer.finish(into: &written)
        let back = try harFlows(written)
        #expect(back.flows.isEmpty && back.errors.isEmpty)
    }

    @Test(
        "A file that is not HAR is rejected with the reason",
        arguments: ["{", "{}", "{\"log\": 1}", "{\"log\": {\"entries\": {}}}", "[]", "\u{FEFF}{\"log\":"])
    func refused(text: String) {
        #expect(throws: ForeignError.self) { try HARReader(ByteBuffer(string: text)) }
    }

    @Test("A byte order mark, pairs for headers, and odd values are tolerated")
    func tolerant() throws {
        let text = """
            \u{FEFF}{"log":{"entries":[
            {"startedDateTime":"2026-01-02T03:04:05","time":-5,"request":{"method":"GET","url":"HTTP://user@EXAMPLE.org","headers":[["A","b"],[],7]},
            "response":{"status":200,"content":{"text":"x","size":"many"}},"timings":{"send":"x","wait":1e300}},
            5, {"request":{"method":"GET"}}, {"request":{"method":"GET","url":"http://[::1]:99999/"}}
            ]}}
            """
        let (flows, errors) = try harFlows(ByteBuffer(string: text))
        #expect(flows.map { self.text($0.request?.head.wire) } == ["GET / HTTP/1.1\r\nA: b\r\n\r\n"])
        #expect(flows.map(\.target) == [FlowTarget(scheme: "http", host: "EXAMPLE.org", port: 80)])
        #expect(errors.map(\.entry) == [2, 3, 4])
    }

    @Test(
        "The beginning of a file identifies its format",
        arguments: [
            ("{\"log\"", .har),
            ("\u{FEFF} \n{", .har),
            ("1688:9:websocket;0:~", .mitmproxy),
            ("31:7:version,", .mitmproxy),
            ("12:30 o'clock", nil),
            ("12", nil),
            ("", nil),
            ("MFLW", nil),
            ("[1]", nil),
            ("1234567890123:1:a", nil),
        ] as [(String, ForeignFormat?)])
    func sniffing(text: String, format: ForeignFormat?) {
        #expect(ForeignFormat(sniffing: ByteBuffer(string: text)) == format)
    }
}
