import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@Suite("A flow")
struct FlowModelTests {
    private static let start = Timestamp(nanoseconds: 1_700_000_000_123_456_789)

    @Test("An identity is a UUID of version 7 that orders by time and is read back")
    func identity() {
        let first = FlowID(time: Self.start, sequence: 1, random: .max)
        let second = FlowID(time: Self.start, sequence: 2, random: 0)
        let later = FlowID(time: Self.start.advanced(byNanoseconds: 1_000_000), sequence: 0, random: 0)
        #expect(first.description == "018bcfe5-687b-7001-bfff-ffffffffffff")
        #expect(first < second && second < later)
        #expect(FlowID(first.description) == first)
        #expect(FlowID("not one") == nil)
    }

    private static func opening(_ target: FlowTarget) -> FlowOpening {
        FlowOpening(kind: .http, client: Shared(.unknown), target: target, stream: StreamID(1))
    }

    @Test(
        "The URL names the host that people would",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "https", "a.example", 443, "https://a.example/"),
            ("GET /p?q HTTP/1.1\r\nHost: a.example:81\r\n\r\n", "http", "a.example", 81, "http://a.example:81/p?q"),
            ("GET http://b.example/x HTTP/1.1\r\nHost: b.example\r\n\r\n", "http", "b.example", 80, "http://b.example/x"),
            ("CONNECT c.example:443 HTTP/1.1\r\nHost: c.example:443\r\n\r\n", "http", "c.example", 443, "c.example:443"),
            ("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "http", "::1", 8080, "http://[::1]:8080/"),
            ("GET / HTTP/1.0\r\n\r\n", "http", "10.0.0.1", 80, "http://10.0.0.1/"),
            ("GET / HTTP/1.1\r\nHost: name.example\r\n\r\n", "https", "10.0.0.1", 443, "https://name.example/"),
            ("GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n", "https", "target.example", 443, "https://target.example/"),
        ])
    func url(request: String, scheme: String, host: String, port: UInt16, url: String) {
        var assembler = FlowAssembler(
            id: FlowID(high: 1, low: 1), at: Self.start, opening: Self.opening(FlowTarget(scheme: scheme, host: host, port: port)),
            keepsPieces: false)
        assembler.receive(.request(RequestHead(parsing: ByteBuffer(string: request), version: .http1_1)), at: Self.start)
        #expect(assembler.flow.displayURL.map { String(buffer: $0) } == url)
    }

    @Test("A flow whose pieces are not kept still knows how many they are and how large")
    func countedPieces() throws {
        var assembler = FlowAssembler(
            id: FlowID(high: 1, low: 1), at: Self.start, opening: Self.opening(FlowTarget(scheme: "tcp", host: "a", port: 80)),
            keepsPieces: false)
        for (side, text) in [(Side.client, "one"), (.server, "three"), (.client, "four")] {
            assembler.receive(.piece(FlowPiece(from: side, content: ByteBuffer(string: text))), at: Self.start)
        }
        let pieces = assembler.flow.pieces
        #expect(try [UInt64(pieces.count), pieces.wireSize(from: .client), pieces.wireSize(from: .server)] == [3, 7, 5])
    }

    @Test("A flow that is replayed as events and assembled is the same")
    func roundTrip() throws {
        var assembler = FlowAssembler(
            id: FlowID(high: 1, low: 1), at: Self.start, opening: Self.opening(FlowTarget(scheme: "http", host: "a", port: 80)),
            keepsPieces: true)
        func at(_ milliseconds: Int64) -> Timestamp { Self.start.advanced(byNanoseconds: milliseconds * 1_000_000) }
        let said: [(Int64, FlowEvent.What)] = [
            (1, .request(RequestHead(parsing: ByteBuffer(string: "POST / HTTP/1.1\r\nHost: a\r\n\r\n"), version: .http1_1))),
            (2, .piece(FlowPiece(from: .client, content: ByteBuffer(string: "one")))),
            (3, .trailers(from: .client, FieldSection([("X", "1")]))),
            (3, .finished(.client)),
            (4, .interim(ResponseHead(parsing: ByteBuffer(string: "HTTP/1.1 103 E\r\n\r\n"), version: .http1_1))),
            (5, .response(ResponseHead(parsing: ByteBuffer(string: "HTTP/1.1 200 OK\r\n\r\n"), version: .http1_1))),
            (5, .piece(FlowPiece(from: .server, content: ByteBuffer(string: "two")))), (7, .finished(.server)),
            (8, .ended(FlowEnding(state: .complete, closedBy: .server, isReset: true))),
        ]
        for (time, what) in said { assembler.receive(what, at: at(time)) }
        var names: [String] = []
        var again: FlowAssembler?
        try assembler.flow.forEachEvent { event in
            names.append(String("\(event.what)".prefix { $0 != "(" }))
            if case .opened(let opening) = event.what {
                again = FlowAssembler(id: event.flow, at: event.at, opening: opening, keepsPieces: true)
            }
            again?.receive(event.what, at: event.at)
        }
        #expect(
            names == ["opened", "request", "piece", "trailers", "finished", "interim", "response", "piece", "finished", "ended"])
        #expect(again?.flow.request == assembler.flow.request)
        #expect(again?.flow.response == assembler.flow.response)
        #expect(again?.flow.interims == assembler.flow.interims)
        #expect(try again?.flow.pieces.content(from: .server) == ByteBuffer(string: "two"))
        #expect(again?.flow.isReset == true)
    }
}
