import ContentLimit
import FlowModel
import FlowPrinter
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ForeignArchives

@Suite("Flows as HAR and back")
struct HARRoundTripTests {
    private func flow(
        _ request: ByteBuffer, _ response: ByteBuffer, content: ByteBuffer = ByteBuffer(), trailers: [Side: FieldSection] = [:]
    ) -> Flow {
        var flow = FlowBuilder(target: FlowTarget(scheme: "http", host: "a.example", port: 80))
            .event(.request(RequestHead(parsing: request, version: .http1_1)))
        if let trailers = trailers[.client] { flow = flow.event(.trailers(from: .client, trailers)) }
        flow = flow.event(.finished(.client)).event(.response(ResponseHead(parsing: response, version: .http1_1)))
        if content.readableBytes > 0 { flow = flow.data(content, from: .server) }
        if let trailers = trailers[.server] { flow = flow.event(.trailers(from: .server, trailers)) }
        return flow.event(.finished(.server)).ended().flow
    }

    private func written(_ flow: Flow) throws -> ByteBuffer? {
        var out = ByteBuffer()
        var writer = HARWriter(version: "1")
        guard try writer.write(flow, into: &out) else { return nil }
        writer.finish(into: &out)
        return out
    }

    private func bytes(_ text: String) -> ByteBuffer {
        // U+0080 to U+00FF stand for bytes here.
        ByteBuffer(bytes: text.unicodeScalars.map { UInt8($0.value) })
    }

    @Test("Content that is not all stored comes back as incomplete, with a comment")
    func cut() throws {
        let whole = flow(
            bytes("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), bytes("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"),
            content: bytes("abcdef"))
        let stage = ContentLimit(maximum: 2).stage()
        var assembler: FlowAssembler?
        try whole.forEachEvent { event in
            stage.receive(event.what, at: event.at) { what, at in
                if case .opened(let opening) = what {
                    assembler = FlowAssembler(id: event.flow, at: at, opening: opening, keepsPieces: true)
                }
                assembler?.receive(what, at: at)
            }
        }
        let cut = try #require(assembler?.flow)
        let file = try #require(try written(cut))
        #expect(String(buffer: file).contains(#""comment":"4 bytes are not in the recording""#))
        let (flows, errors) = try harFlows(file)
        #expect(errors == [] && flows.map(\.state) == [.incomplete])
        #expect(try flows.map { try $0.pieces.content(from: .server) } == [bytes("ab")])
    }

    @Test(
        "A head comes back as it was, with bytes that are no text and targets that are no part of a URL",
        arguments: [
            "GET / HTTP/1.1\r\nHost: a.example\r\nX: caf\u{E9}\r\n\r\n",
            "GET /\u{E9}\u{C3}\u{A9}?\u{FF} HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "GET /a b HTTP/1.1\r\nHost: a.example\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "GET http://a.example/x HTTP/1.1\r\nHost: b\r\n\r\n",
            "GET http://u:p@A.example/x#f HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "M\u{E9}TH / HTTP/1.1\r\nHost: a.example\r\n\r\n", "GET /a#b HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a.example\r\nX\u{E9}: 1\r\nY: a\r\n b\r\n\r\n",
            "CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: b\u{FC}cher.example\r\n\r\n",
            "GET / HTTP/1.1\r\nX: \u{EF}\u{BB}\u{BF}bom\r\nhost: a.example\r\n\r\n",
        ])
    func requests(head: String) throws {
        let original = flow(bytes(head), bytes("HTTP/1.1 204 No\u{E9}\r\nX: \u{80}\r\n\r\n"))
        let file = try #require(try written(original))
        #expect(String(validating: file.readableBytesView, as: UTF8.self) != nil)
        let (flows, errors) = try harFlows(file)
        #expect(errors == [])
        #expect(flows.map { $0.request?.head.wire.escaped } == [original.request?.head.wire.escaped])
        #expect(flows.map { $0.response?.head.wire.escaped } == [original.response?.head.wire.escaped])
        #expect(flows.map(\.importNotes) == [[]])
        // Others read it too: every string is Unicode text, and every URL is one.
        let parsed = try JSONSerialization.jsonObject(with: Data(file.readableBytesView)) as? [String: Any]
        let entries = (parsed?["log"] as? [String: Any])?["entries"] as? [[String: Any]]
        let url = (entries?.first?["request"] as? [String: Any])?["url"] as? String
        #expect(url.flatMap { URL(string: $0)?.host() } != nil)
        #expect(url?.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } == true)
    }

    @Test(
        "Content survives, whatever its media type is",
        arguments: [
            ("text/plain; charset=iso-8859-1", "\u{C3}\u{A9}"), ("text/plain; charset=iso-8859-1", "\u{E9}"),
            ("text/plain; charset=utf-16", "ab"),
            ("text/plain; charset=iso-2022-jp", "\u{1B}$BF|\u{1B}(B"), ("text/plain; charset=Shift_JIS", "\u{93}\u{FA}"),
            ("text/plain", "\u{EF}\u{BB}\u{BF}x"), ("text/plain", "\u{ED}\u{A0}\u{80}"), ("text/plain", "a\u{0}\u{7F}\u{C2}\u{80}"),
            ("text/plain; charset=iso-8859-1", "plain"),
        ])
    func contents(type: String, content: String) throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\nContent-Length: \(content.unicodeScalars.count)\r\n\r\n"
        let original = flow(bytes("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), bytes(head), content: bytes(content))
        let back = try harFlows(try #require(try written(original))).flows
        #expect(try back.map { try $0.responseSeen() } == [try original.responseSeen()])
    }

    @Test("Trailers of either side come back as they were")
    func trailers() throws {
        let lines: [Side: ByteBuffer] = [
            .client: bytes("X-Sum: 1\r\nx-sum: 2\r\n"), .server: bytes("grpc-status: 3\r\ngrpc-message: caf\u{E9}\r\n"),
        ]
        let original = flow(
            bytes("GET / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"),
            bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), content: bytes("abc"),
            trailers: lines.mapValues { FieldSection(parsing: $0) })
        let back = try harFlows(try #require(try written(original))).flows
        #expect(back.map { $0.request?.trailers?.wire } == [lines[.client]])
        #expect(back.map { $0.response?.trailers?.wire } == [lines[.server]])
        #expect(back.map(\.importNotes) == [[]])
    }

    @Test(
        "A request that has no URL is left out: others refuse a file with an entry that has none",
        arguments: [
            "\r\n\r\n", "GET\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "GET nonsense HTTP/1.1\r\n\r\n", "CONNECT\r\n\r\n",
            "GET ftp://h/ HTTP/1.1\r\n\r\n",
        ])
    func malformed(head: String) throws {
        let file = try written(flow(bytes(head), bytes("HTTP/1.1 400 Bad Request\r\n\r\n")))
        #expect(file == nil)
    }

    @Test(
        "The fields of content that is stored decoded, cut or not at all fit the content in the file, and it comes back whole",
        arguments: [
            ("{\"p\":\"*\"}", true, ["Content-Length: 9", "A: b"], nil),
            ("{\"p\"", false, ["Content-Length: 4", "A: b"], "95 bytes are not in the recording"),
            ("", false, ["Content-Length: 0", "A: b"], "99 bytes are not in the recording"),
        ] as [(String, Bool, [String], String?)])
    func storedDifferently(_ stored: String, _ isDecoded: Bool, _ fields: [String], _ comment: String?) throws {
        func content(_ side: Side) -> FlowEvent.What {
            .piece(FlowPiece(from: side, content: ByteBuffer(string: stored), wireSize: 99))
        }
        let lines = "Content-Length: 99\r\n" + (isDecoded ? "Content-Encoding: gzip\r\n" : "") + "A: b\r\n\r\n"
        let flow = FlowBuilder(target: FlowTarget(scheme: "http", host: "a.example", port: 80))
            .event(.redacted(FlowRedaction(decoded: isDecoded ? [.client, .server] : [])))
            .request("POST / HTTP/1.1\r\n" + lines, isWhole: false).event(content(.client)).event(.finished(.client))
            .response("HTTP/1.1 200 OK\r\n" + lines, isWhole: false).event(content(.server)).event(.finished(.server)).ended().flow
        let file = try #require(try written(flow))
        let entry = try #require(try HAREntry.entries(file).first)
        for message in [entry.request, entry.response] {
            #expect(message.headers.map { "\($0.name): \($0.value)" } == fields)
        }
        #expect([entry.request.postData?.text, entry.response.content?.text] == [stored, stored])
        #expect([entry.request.postData?.comment, entry.response.content?.comment] == [comment, comment])
        let (flows, errors) = try harFlows(file)
        #expect(errors == [])
        let back = try #require(flows.first)
        #expect(back.request?.isComplete == true && back.response?.isComplete == true)
        #expect(back.importNotes == [])
        #expect(try String(buffer: back.pieces.content(from: .server)) == stored)
    }
}

/// The part of a HAR entry that these tests read.
private struct HAREntry: Decodable {
    struct Field: Decodable { var name, value: String }
    struct Content: Decodable {
        var text: String?
        var comment: String?
    }
    struct Message: Decodable {
        var headers: [Field]
        var postData: Content?
        var content: Content?
    }
    private struct Archive: Decodable {
        struct Log: Decodable { var entries: [HAREntry] }
        var log: Log
    }
    var request, response: Message

    static func entries(_ file: ByteBuffer) throws -> [HAREntry] {
        try JSONDecoder().decode(Archive.self, from: Data(file.readableBytesView)).log.entries
    }
}
