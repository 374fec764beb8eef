import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// Fills records as a session does.
private struct Session {
    var buffer: FlowRecordBuffer
    private var flows: [FlowID: FlowRecord] = [:]

    init(maximumOpenBytes: Int = 1024 * 1024) { buffer = FlowRecordBuffer(maximumOpenBytes: maximumOpenBytes) }

    mutating func record(_ events: some Sequence<FlowEvent>) {
        for event in events {
            let record = flows[event.flow] ?? FlowRecord(event.flow)
            flows[event.flow] = record
            buffer.add(event.what, to: record, at: event.at)
        }
    }
}

private func flow(of records: [FlowRecord]) throws -> Flow {
    let opening = try #require(records.first?.opening)
    var assembler = FlowAssembler(id: records[0].id, at: records[0].started, opening: opening, keepsPieces: true)
    for record in records { try record.forEachEvent { assembler.receive($0.what, at: $0.at) } }
    return assembler.flow
}

/// What the records of a flow are, in order.
private func shapes(_ records: [FlowRecord]) -> [String] {
    records.map { "\($0.number)\($0.isFirst ? " first" : "")\($0.hasEnded ? " last" : "") \($0.contentLength)" }
}

private let request = "POST /a?b HTTP/1.1\r\nHost: a.example\r\n\r\n"
private let response = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"

@Suite("Records of flows while they happen")
struct RecordBufferTests {
    @Test("A flow comes back from its record as it was, whatever happened in it")
    func roundTrip() throws {
        var ending = FlowEnding(state: .incomplete, closedBy: .server, isReset: true)
        ending.error = FlowError(side: .server, message: "it broke", at: FlowBuilder.start.advanced(byNanoseconds: 5))
        ending.comment = "a comment"
        ending.tags = ["one", "two"]
        let reply = LocalReply(
            head: ResponseHead(parsing: ByteBuffer(string: "HTTP/1.1 502 Bad Gateway\r\n\r\n"), version: .http1_1),
            content: ByteBuffer(string: "no"))
        let cut = Shared(ContentCut(size: 9, sha256: ByteBuffer()))
        let built = FlowBuilder()
            .event(
                .server(
                    Shared(
                        ServerConnection(
                            id: FlowID(high: 2, low: 2), target: Endpoint(host: "a", port: 1), opened: FlowBuilder.start)))
            )
            .request(request, content: ByteBuffer(string: "content"), at: 1)
            .event(.interim(ResponseHead(parsing: ByteBuffer(string: "HTTP/1.1 103 Early\r\n\r\n"), version: .http1_1)), at: 2)
            .response(response, content: ByteBuffer(string: "answer"), trailers: FieldSection([("t", "u")]), at: 3)
            .event(.piece(FlowPiece(kind: .text, from: .client, content: ByteBuffer(string: "hi"), wireSize: 9, frames: 2)), at: 4)
            .event(.note(FlowNote(side: .client, "odd")), at: 4)
            .event(.malformed(from: .server, ByteBuffer(string: "\u{1}\u{2}")), at: 5)
            .event(.localReply(reply), at: 6)
            .event(.piece(FlowPiece(from: .client, content: ByteBuffer(), wireSize: 1000)), at: 6)
            .event(.cut(from: .client, ContentCut(size: 1007, sha256: ByteBuffer(bytes: 0..<32))), at: 6)
            .event(.piece(FlowPiece(kind: .binary, from: .server, content: ByteBuffer(string: "be"), wireSize: 2, cut: cut)), at: 6)
            .ended(ending, at: 7)
        var session = Session()
        session.record(built.events)
        let records = session.buffer.take()
        #expect(shapes(records) == ["0 first last 17"])
        let read = try flow(of: records)
        #expect(describe(read) == describe(built.flow))
        #expect(records[0].wireSizeFromClient == 1016 && records[0].wireSizeFromServer == 8)
        #expect(read.request?.size == 1007 && read.request?.storedSize == 7 && read.request?.isComplete == false)
        #expect(try read.pieces.sizes().server.bytes == 15)
    }

    private func describe(_ flow: Flow) -> String {
        var pieces: [String] = []
        try? flow.pieces.forEach { at, piece in
            pieces.append("\(at) \(piece) \(piece.size)")
            return true
        }
        return """
            \(flow.kind) \(flow.target) \(flow.started) \(flow.request as Any) \(flow.interims) \(flow.response as Any) \(pieces)
            \(flow.notes) \(flow.malformed) \(flow.localReply as Any) \(flow.ended as Any) \(flow.state) \(flow.error as Any)
            \(flow.cut(of: .client) as Any) \(flow.cut(of: .server) as Any) \(flow.closedBy as Any) \(flow.isReset) \(flow.comment as Any) \(flow.tags) \(flow.server?.value.id as Any)
            """
    }

    @Test("Beyond 64 KiB a record is finished, and the flow continues in another one")
    func large() throws {
        let piece = ByteBuffer(repeating: 1, count: 40_000)
        var session = Session()
        var built = FlowBuilder().request(request).response(response, content: piece, isWhole: false)
        for _ in 0..<3 { built = built.data(piece, from: .server) }
        session.record(built.ended().events)
        let records = session.buffer.take()
        #expect(shapes(records) == ["0 first 80000", "1 80000", "2 last 0"])
        #expect(try flow(of: records).pieces.content(from: .server).readableBytes == 160_000)
    }

    @Test("A piece that no record may hold is divided; what the wire carried is counted once")
    func divided() throws {
        let piece = FlowPiece(
            kind: .binary, from: .client, content: ByteBuffer(repeating: 7, count: 20 << 20), wireSize: 99, frames: 3)
        var session = Session()
        session.record(FlowBuilder(.tcp).event(.piece(piece)).ended().events)
        let records = session.buffer.take()
        #expect(shapes(records) == ["0 first \(8 << 20)", "1 \(8 << 20)", "2 \(4 << 20)", "3 last 0"])
        #expect(records.map(\.wireSizeFromClient) == [99, 0, 0, 0])
    }

    @Test("Content that is changed before it is stored has its size on the wire once, however often it is divided")
    func dividedAndCut() throws {
        let piece = FlowPiece(from: .server, content: ByteBuffer(repeating: 7, count: 20 << 20), wireSize: 21 << 20)
        var session = Session()
        session.record(FlowBuilder().request(request).response(response).event(.piece(piece)).ended().events)
        let records = session.buffer.take()
        #expect(records.map(\.wireSizeFromServer) == [21 << 20, 0, 0, 0])
        let read = try flow(of: records)
        #expect(read.response?.size == 21 << 20 && read.response?.storedSize == 20 << 20)
    }

    @Test("Open flows are handed over in the order in which they began, and again only when something has happened")
    func open() {
        let flows = (1...3).map { FlowBuilder(id: FlowID(high: 1, low: $0)).request(request) }
        var session = Session()
        for flow in flows { session.record(flow.events) }
        session.record(FlowBuilder(id: FlowID(high: 1, low: 1)).ended().events.dropFirst())
        session.buffer.finishOpen()
        #expect(session.buffer.take().map(\.id.low) == [1, 2, 3])
        session.buffer.finishOpen()
        #expect(session.buffer.take().isEmpty && session.buffer.isEmpty)
        session.record(FlowBuilder(id: FlowID(high: 1, low: 3)).ended().events.dropFirst())
        #expect(shapes(session.buffer.take()) == ["1 last 0"])
    }

    @Test("Many open flows are handed over when they hold too much together")
    func bounded() {
        var session = Session(maximumOpenBytes: 100_000)
        for number in 1...25 {
            session.record(
                FlowBuilder(id: FlowID(high: 1, low: UInt64(number))).request(
                    request, content: ByteBuffer(repeating: 1, count: 10_000)
                )
                .events)
        }
        // The tenth flow ends its request after that.
        #expect(session.buffer.take().map(\.id.low) == Array(1...10) + Array(10...20))
    }

    @Test("Content is kept where it was received unless that would keep much more memory")
    func content() throws {
        let large = ByteBuffer(repeating: 1, count: 60_000)
        var session = Session()
        var built = FlowBuilder(.tcp)
        for index in 0..<10 { built = built.data(large.getSlice(at: index, length: 10)!, from: .client) }
        built = built.data(ByteBuffer(string: "own"), from: .server).data(large.getSlice(at: 0, length: 5)!, from: .client)
        session.record(built.ended().events)
        let records = session.buffer.take()
        var chunks: [Int] = []
        unsafe records[0].withContent { chunks.append($0.count) }
        #expect(chunks == [100, 3, 5])
        #expect(try flow(of: records).pieces.content(from: .client).readableBytes == 105)
    }

    @Test("After its end nothing is recorded of a flow")
    func ended() {
        var session = Session()
        session.record(FlowBuilder().ended().note().events)
        session.buffer.finishOpen()
        #expect(shapes(session.buffer.take()) == ["0 first last 0"])
    }
}

extension FlowBuilder {
    fileprivate consuming func note() -> FlowBuilder { event(.note(FlowNote(side: nil, "late"))) }
}
