import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// Holds the content of a request to its end and stores it in capitals, as redaction does with a body.
private final class Capitals: FlowEventStage {
    private var held: (content: ByteBuffer, at: Timestamp)?

    func receive(_ what: FlowEvent.What, at: Timestamp, into next: (FlowEvent.What, Timestamp) -> Void) {
        switch what {
        case .piece(let piece) where piece.from == .client:
            if held == nil { held = (ByteBuffer(), at) }
            held?.content.writeImmutableBuffer(piece.content)
            return
        case .finished(.client), .ended: release(into: next)
        default: break
        }
        next(what, at)
    }

    private func release(into next: (FlowEvent.What, Timestamp) -> Void) {
        guard let (content, at) = held else { return }
        held = nil
        let change = FlowRedaction.Change(rule: "capitals", place: .requestBody)
        next(.redacted(FlowRedaction(changes: [change], decoded: [.client])), at)
        let text = String(buffer: content).uppercased() + "!"
        next(.piece(FlowPiece(from: .client, content: ByteBuffer(string: text), wireSize: UInt64(content.readableBytes))), at)
    }
}

/// Appends a mark to each piece.
private final class Marks: FlowEventStage {
    func receive(_ what: FlowEvent.What, at: Timestamp, into next: (FlowEvent.What, Timestamp) -> Void) {
        guard case .piece(var piece) = what else { return next(what, at) }
        piece.content.writeString("?")
        next(.piece(piece), at)
    }
}

@Suite("Stages before the record of a flow")
struct EventStageTests {
    private let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n\r\n"

    private func record(
        _ events: some Sequence<FlowEvent>, stages: FlowEventStages, flushing: Bool = false
    ) throws -> (flow: Flow, records: [FlowRecord]) {
        var buffer = FlowRecordBuffer()
        let record = buffer.record(for: FlowID(high: 1, low: 1), stages: stages)
        for event in events {
            buffer.add(event.what, to: record, at: event.at)
            if flushing { buffer.finishOpen() }
        }
        buffer.finishOpen()
        #expect(record.hasEnded == (record.stage == nil))
        let records = buffer.take()
        let opening = try #require(records.first?.opening)
        var assembler = FlowAssembler(id: record.id, at: records[0].started, opening: opening, keepsPieces: true)
        for record in records { try record.forEachEvent { assembler.receive($0.what, at: $0.at) } }
        return (assembler.flow, records)
    }

    private var stages: FlowEventStages { FlowEventStages([{ Capitals() }, { Marks() }]) }

    @Test("Events pass the stages in their order, and what they held is stored before the end", arguments: [false, true])
    func order(flushing: Bool) throws {
        let built = FlowBuilder().request(head, content: ByteBuffer(string: "ab"), isWhole: false, at: 1)
            .data(ByteBuffer(string: "cd"), from: .client, at: 2).event(.finished(.client), at: 3).ended(at: 4)
        let (flow, records) = try record(built.events, stages: stages, flushing: flushing)
        let request = try #require(flow.request)
        #expect(String(buffer: try flow.pieces.content(from: .client)) == "ABCD!?")
        #expect(request.size == 4 && request.storedSize == 6 && request.isComplete && request.isStoredDecoded)
        #expect(request.storedCodings.isEmpty && flow.storedCodings(from: .client).isEmpty)
        #expect(flow.redaction?.rules == ["capitals"])
        #expect(flow.tags == ["redacted"])
        #expect(records.map(\.wireSizeFromClient).reduce(0, +) == 4)
        #expect(records.last?.hasEnded == true)
    }

    @Test("A flow that ends in the middle of a body has what was held, once")
    func cut() throws {
        let built = FlowBuilder().request(head, content: ByteBuffer(string: "ab"), isWhole: false)
            .ended(FlowEnding(state: .incomplete))
        let (flow, _) = try record(built.events, stages: stages)
        #expect(String(buffer: try flow.pieces.content(from: .client)) == "AB!?")
        #expect(flow.state == .incomplete && flow.request?.isComplete == false)
    }

    @Test("What a stage holds of a flow that has not ended is in no record; it follows with the end")
    func open() throws {
        let built = FlowBuilder().request(head, content: ByteBuffer(string: "secret"), isWhole: false)
        var buffer = FlowRecordBuffer()
        let record = buffer.record(for: built.id, stages: stages)
        for event in built.events { buffer.add(event.what, to: record, at: event.at) }
        buffer.finishOpen()
        #expect(buffer.take().map(\.contentLength) == [0])
        // Another buffer takes the rest.
        var other = FlowRecordBuffer()
        other.add(.ended(FlowEnding(state: .incomplete)), to: record, at: built.start)
        #expect(other.take().map(\.contentLength) == [8])
    }

    @Test("A record that is filled again has the stage of its new flow alone")
    func reused() throws {
        var buffer = FlowRecordBuffer()
        let first = buffer.record(for: FlowID(high: 1, low: 1), stages: stages)
        for event in FlowBuilder().ended().events { buffer.add(event.what, to: first, at: event.at) }
        let written = buffer.take()
        written[0].clear()
        buffer.keep(written)
        #expect(buffer.record(for: FlowID(high: 1, low: 2)) === first)
        #expect(first.stage == nil)
    }

    @Test("The events that a replay compares are those before the stages")
    func events() {
        var buffer = FlowRecordBuffer()
        buffer.events = []
        let built = FlowBuilder().request(head, content: ByteBuffer(string: "ab")).ended()
        let record = buffer.record(for: built.id, stages: stages)
        for event in built.events { buffer.add(event.what, to: record, at: event.at) }
        #expect(buffer.events?.count == built.events.count)
    }

    @Test("Facts of redaction come back from a record as they were, added up")
    func facts() throws {
        let first = FlowRedaction(
            changes: [FlowRedaction.Change(rule: "header:authorization", place: .request)],
            omissions: [FlowRedaction.Omission(rule: "json:$..é", place: .responseBody, reason: .unparsed)], decoded: [.server])
        let second = FlowRedaction(
            changes: [
                FlowRedaction.Change(rule: "header:authorization", place: .request, count: 300),
                FlowRedaction.Change(rule: "header:authorization", place: .response),
            ],
            omissions: FlowRedaction.Omission.Reason.allCases.map {
                FlowRedaction.Omission(rule: "json:$..é", place: .responseBody, reason: $0, count: 2)
            })
        let built = FlowBuilder().event(.redacted(first)).event(.redacted(second)).ended()
        let (flow, _) = try record(built.events, stages: FlowEventStages())
        let all = try #require(flow.redaction)
        #expect(all == built.flow.redaction)
        #expect(
            all.changes.map { "\($0.rule) \($0.place) \($0.count)" } == [
                "header:authorization request 301", "header:authorization response 1",
            ])
        #expect(all.omissions.map { "\($0.reason) \($0.count)" } == ["unparsed 3", "rule 2", "undecodable 2", "too-large 2"])
        #expect(all.isDecoded(.server) && !all.isDecoded(.client))
        #expect(all.omission(of: .server)?.reason == .unparsed && all.omission(of: .client) == nil)
    }

    @Test("A changed piece that no record may hold is divided; its size on the wire is counted once")
    func divided() throws {
        let content = ByteBuffer(repeating: 7, count: 20 << 20)
        let built = FlowBuilder().request(head, isWhole: false)
            .event(.piece(FlowPiece(from: .client, content: content, wireSize: 99))).event(.finished(.client)).ended()
        let (_, records) = try record(built.events, stages: FlowEventStages())
        #expect(records.map(\.wireSizeFromClient) == [99, 0, 0, 0])
        #expect(built.flow.request?.size == 99)
    }
}
