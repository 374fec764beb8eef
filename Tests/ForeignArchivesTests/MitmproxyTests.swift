import FlowModel
import ForeignArchives
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@Suite("Flow files of mitmproxy")
struct MitmproxyTests {
    private func text(_ buffer: ByteBuffer?) -> String? { buffer.map { String(buffer: $0) } }

    /// The facts of one exchange that every version of the format has.
    private struct Exchange: Equatable {
        var id: String
        var state: FlowState
        var started: Int64
        var ended: Int64?
        var target: FlowTarget
        var request: String
        var response: String
        var requestEnd: Int64?
        var responseStart: Int64?
        var body: String
        var client: Endpoint?
        var clientTLS: String?
        var server: Endpoint?
        var local: Endpoint?
        var connected: Int64?
        var serverName: String?
        var handshakeEnded: Int64?

        init(_ flow: Flow) throws {
            id = flow.id.description
            state = flow.state
            started = flow.started.nanoseconds
            ended = flow.ended?.nanoseconds
            target = flow.target
            request = flow.request.map { String(buffer: $0.head.wire) } ?? ""
            response = flow.response.map { String(buffer: $0.head.wire) } ?? ""
            requestEnd = flow.request?.ended?.nanoseconds
            responseStart = flow.response?.started.nanoseconds
            body = String(buffer: try flow.pieces.content(from: .server))
            client = flow.client?.value.peer
            clientTLS = flow.client?.value.tls?.version
            server = flow.server?.value.target
            local = flow.server?.value.local
            connected = flow.server?.value.connected?.nanoseconds
            serverName = flow.server?.value.tls?.serverName
            handshakeEnded = flow.server?.value.tls?.handshakeEnded?.nanoseconds
        }
    }

    @Test(
        "An exchange is the same in every version of the format",
        arguments: [
            ("version-0.11.mitm", nil),
            ("version-0.18.mitm", nil),
            ("version-4.mitm", nil),
            ("version-7.mitm", "TLSv1.3"),
            ("version-11.mitm", "TLSv1.3"),
            ("version-12.mitm", "TLSv1.3"),
            ("version-19.mitm", "TLSv1.3"),
        ] as [(String, String?)])
    func versions(file: String, tlsVersion: String?) throws {
        let flow = try #require(try mitmproxyFlows(try fixture(file)).first)
        let found = try Exchange(flow)
        let second: Int64 = 1_500_000_000_000_000_000
        var expected = found
        expected.id = "11111111-2222-4333-8444-555555555555"
        expected.state = .complete
        expected.started = second + 750_000_000
        expected.ended = second + 1_500_000_000
        expected.target = FlowTarget(scheme: "https", host: "example.org", port: 443)
        expected.request = "GET /a?b=c HTTP/1.1\r\nHost: example.org\r\nX-Twice: 1\r\nx-twice: 2\r\n\r\n"
        expected.response = "HTTP/1.1 200 Fine\r\nContent-Type: text/plain\r\n\r\n"
        expected.requestEnd = second + 1_000_000_000
        expected.responseStart = second + 1_250_000_000
        expected.body = "hello"
        expected.client = Endpoint(host: "192.0.2.1", port: 50000)
        expected.clientTLS = tlsVersion
        expected.server = Endpoint(host: "example.org", port: 443)
        expected.local = Endpoint(host: "192.0.2.3", port: 50001)
        expected.connected = second + 312_500_000
        expected.serverName = "example.org"
        expected.handshakeEnded = second + 375_000_000
        #expect(found == expected)
        #expect(flow.tags == (file == "version-0.18.mitm" ? ["marked"] : []))
        // 0.11 does not tell the server's address.
        #expect(flow.server?.value.peer == (file == "version-0.11.mitm" ? nil : Endpoint(host: "192.0.2.2", port: 443)))
    }

    @Test(
        "Versions that are too old and too new are refused by name",
        arguments: [("version-0.10.mitm", ForeignError.tooOld("0.10.1")), ("version-22.mitm", .tooNew("22"))]
            as [(String, ForeignError)])
    func refused(file: String, error: ForeignError) throws {
        let bytes = try fixture(file)
        let found = #expect(throws: ForeignError.self) { try mitmproxyFlows(bytes) }
        #expect(found == error)
    }

    @Test("A conversation that is a record of its own is joined with its handshake")
    func joined() throws {
        let flows = try mitmproxyFlows(try fixture("version-7.mitm"))
        #expect(flows.map(\.isWebSocket) == [false, true])
        let flow = try #require(flows.last)
        var pieces: [FlowPiece] = []
        try flow.pieces.forEach { _, piece in
            pieces.append(piece)
            return true
        }
        #expect(
            pieces == [
                FlowPiece(kind: .text, from: .client, content: ByteBuffer(string: "ping")),
                FlowPiece(kind: .binary, from: .server, content: ByteBuffer(bytes: [0, 0xFF])),
                FlowPiece(kind: .close, from: .server, content: ByteBuffer(bytes: [0x03, 0xE8] + Array("done".utf8))),
            ])
        #expect(flow.status == 101)
        #expect(flow.ended == Timestamp(nanoseconds: 1_500_000_005_250_000_000))
    }

    @Test(
        "It is joined in whichever order the two come, marked or not; a half without the other, and a second one, are flows of their own"
    )
    func joinedInAnyOrder() throws {
        var rest = try fixture("version-7.mitm")
        var records: [ByteBuffer] = []
        while let length = try Tnetstring.length(at: rest, offset: 0), let record = rest.readSlice(length: length) {
            records.append(record)
        }
        let (handshake, conversation) = (records[1], records[2])
        let unmarked = ByteBuffer(string: String(buffer: handshake).replacingOccurrences(of: "9:websocket", with: "9:webSocket"))
        func seen(_ records: [ByteBuffer]) throws -> [String] {
            try mitmproxyFlows(records.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }).map {
                "\($0.status) \($0.pieces.count) \($0.request == nil ? "alone" : "whole")"
            }
        }
        for shake in [handshake, unmarked] {
            #expect(try seen([shake, conversation]) == ["101 3 whole"])
            #expect(try seen([conversation, shake]) == ["101 3 whole"])
            #expect(try seen([shake, shake, conversation]) == ["101 0 whole", "101 3 whole"])
            #expect(try seen([shake, conversation, conversation]) == ["101 3 whole", "0 3 alone"])
            #expect(try seen([conversation, conversation, shake]) == ["0 3 alone", "101 3 whole"])
            #expect(try seen([shake]) == ["101 0 whole"])
        }
        #expect(try seen([conversation, records[0]]) == ["200 1 whole", "0 3 alone"])
    }

    @Test("An identifier that is not a UUID becomes one that is the same each time", arguments: ["newest.mitm", "version-7.mitm"])
    func otherIdentifiers(file: String) throws {
        let original = try fixture(file)
        var bytes = original
        let length = Array("36:".utf8)
        for at in bytes.readerIndex..<bytes.writerIndex - 40 where bytes.getBytes(at: at, length: 3) == length {
            // The hyphen after the first eight digits.
            if bytes.getInteger(at: at + 11) == UInt8(ascii: "-") { bytes.setInteger(UInt8(ascii: "x"), at: at + 11) }
        }
        #expect(bytes != original)
        let (expected, flows) = (try mitmproxyFlows(original), try mitmproxyFlows(bytes))
        #expect(flows.map(\.displayURL) == expected.map(\.displayURL))
        #expect(flows.map(\.pieces.count) == expected.map(\.pieces.count))
        #expect(Set(flows.map(\.id)).count == Set(expected.map(\.id)).count && flows.map(\.id) != expected.map(\.id))
        #expect(try mitmproxyFlows(bytes).map(\.id) == flows.map(\.id))
    }

    @Test("A file of the newest mitmproxy is read, and flows that a recording cannot contain are counted")
    func newest() throws {
        var reader = MitmproxyReader()
        let flows = try mitmproxyFlows(try fixture("newest.mitm"), &reader)
        #expect(flows.map(\.kind) == [.http, .http, .http, .http, .http, .tcp])
        #expect(flows.map(\.state) == [.complete, .complete, .failed, .incomplete, .complete, .complete])
        #expect(flows.map(\.isWebSocket) == [false, false, false, false, true, false])
        #expect(reader.leftOut == ["dns": 1, "udp": 1])
        #expect(flows[0].comment == "a comment")
        #expect(flows[0].tags == ["marked"])
        #expect(flows[2].error?.message == "error")
        #expect(flows[3].response?.isComplete == false)
    }

    @Test("HTTP/2 has its pseudo-fields, trailers and certificates")
    func http2() throws {
        let flow = try mitmproxyFlows(try fixture("newest.mitm"))[1]
        #expect(
            text(flow.request?.head.wire)
                == ":method: GET\r\n:scheme: https\r\n:path: /path\r\n:authority: example.org\r\nheader: qvalue\r\ncontent-length: 7\r\n\r\n"
        )
        #expect(text(flow.response?.head.wire) == ":status: 200\r\nheader-response: svalue\r\ncontent-length: 7\r\n\r\n")
        #expect(flow.request?.head.version == .http2)
        #expect(flow.response?.trailers?.description == "grpc-status: 0\r\n")
        let tls = try #require(flow.server?.value.tls)
        #expect(tls.alpn == "h2")
        let certificate = try #require(tls.certificates.first)
        #expect(certificate.readableBytesView.prefix(2) == [0x30, 0x82])
    }

    @Test(
        "Flows written in its format are read back as they were", arguments: ["newest.mitm", "version-7.mitm", "version-19.mitm"])
    func roundTrip(file: String) throws {
        let flows = try mitmproxyFlows(try fixture(file))
        var written = ByteBuffer()
        var writer = MitmproxyWriter()
        for flow in flows {
            let isHeld = try writer.write(flow, into: &written)
            #expect(isHeld)
        }
        let back = try mitmproxyFlows(written)
        let lines = try (flows.map(line), back.map(line))
        #expect(lines.0 == lines.1)
        #expect(flows.map { $0.server?.value } == back.map { $0.server?.value })
        #expect(flows.map { $0.client?.value } == back.map { $0.client?.value })
    }

    @Test("A flow that the format cannot hold is not written")
    func cannotHold() throws {
        var written = ByteBuffer()
        var writer = MitmproxyWriter()
        let isHeld = try writer.write(FlowBuilder(.tls).flow, into: &written)
        #expect(!isHeld)
        #expect(written.readableBytes == 0)
    }

    @Test("A line end in a header cannot make a line of its own")
    func lineEnds() throws {
        var bytes = try fixture("version-19.mitm")
        let source = Array(bytes.readableBytesView)
        let needle = Array("12:Content-Type,".utf8)
        let at = try #require((0..<source.count - needle.count).first { Array(source[$0..<$0 + needle.count]) == needle })
        bytes.setBytes(Array("12:a\r\nb:\r\n c\nd,".utf8), at: bytes.readerIndex + at)
        let flow = try #require(try mitmproxyFlows(bytes).first)
        #expect(flow.response?.head.fields.lines.count == 1)
    }

    @Test(
        "Damaged records are errors, not crashes",
        arguments: ["newest.mitm", "version-0.11.mitm", "version-7.mitm", "version-12.mitm"])
    func damaged(file: String) throws {
        let whole = try fixture(file)
        var random = SeededGenerator(seed: 21)
        var readable = 0
        for _ in 0..<400 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let at = bytes.readerIndex + Int.random(in: 0..<bytes.readableBytes, using: &random)
                bytes.setInteger(UInt8.random(in: 0...255, using: &random), at: at)
            }
            if let flows = try? mitmproxyFlows(bytes) {
                readable += 1
                for flow in flows { _ = try line(flow) }
            }
        }
        #expect((1..<400).contains(readable))
    }
}

@Suite("Messages that came in part")
struct PartialMessageTests {
    private static func flow(stored: String, isWhole: Bool) -> Flow {
        let at = Timestamp(nanoseconds: 1_700_000_000_000_000_001)
        let error = isWhole ? nil : FlowError(side: nil, message: "cut", at: at)
        return FlowBuilder(at: at, target: FlowTarget(scheme: "http", host: "a.example", port: 80))
            .request("GET / HTTP/1.1\r\n\r\n")
            .response("HTTP/1.1 200 OK\r\n\r\n", content: ByteBuffer(string: stored), isWhole: isWhole)
            .ended(FlowEnding(state: isWhole ? .complete : .incomplete, error: error)).flow
    }

    @Test(
        "Content, and whether it is whole, survives both formats",
        arguments: [("", true), ("", false), ("par", false), ("whole", true)] as [(String, Bool)])
    func parts(stored: String, isWhole: Bool) throws {
        let flow = Self.flow(stored: stored, isWhole: isWhole)
        var mitmproxy = ByteBuffer()
        var mitmproxyWriter = MitmproxyWriter()
        _ = try mitmproxyWriter.write(flow, into: &mitmproxy)
        var har = ByteBuffer()
        var writer = HARWriter(version: "1")
        _ = try writer.write(flow, into: &har)
        writer.finish(into: &har)
        for back in [try mitmproxyFlows(mitmproxy), try harFlows(har).flows] {
            let found = try #require(back.first)
            let content = try found.pieces.content(from: .server)
            #expect(String(buffer: content) == stored)
            #expect(found.response?.isComplete == isWhole)
            #expect(found.state == flow.state)
            #expect(found.error?.message == flow.error?.message)
            #expect(found.request?.started == flow.request?.started)
        }
    }
}
