import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// Holds the content of the response to its end, and stores it without the letter `s`.
private final class Dropping: FlowEventStage {
    private var held: [(Timestamp, FlowPiece)] = []

    func receive(_ what: FlowEvent.What, at: Timestamp, into next: (FlowEvent.What, Timestamp) -> Void) {
        switch what {
        case .piece(let piece) where piece.from == .server:
            held.append((at, piece))
            return
        case .finished(.server), .ended:
            for (at, piece) in held {
                let content = ByteBuffer(bytes: piece.content.readableBytesView.filter { $0 != UInt8(ascii: "s") })
                next(.piece(FlowPiece(from: .server, content: content, wireSize: piece.wireSize)), at)
            }
            if !held.isEmpty { next(.redacted(FlowRedaction(changes: [.init(rule: "s", place: .responseBody)])), at) }
            held = []
        default: break
        }
        next(what, at)
    }
}

@Suite("A flow of a recording passes stages")
struct PassedFlowTests {
    private let stages = FlowEventStages([{ Dropping() }])
    private let head = "HTTP/1.1 200 OK\r\n\r\n"

    @Test("Its content is what recording with the stages would have stored, in memory or not", arguments: [3, 3_000_000])
    func content(size: Int) throws {
        let content = ByteBuffer(bytes: Array(repeating: Array("asb".utf8), count: size / 3).joined())
        let flow = FlowBuilder().request("GET / HTTP/1.1\r\n\r\n").response(head, content: content, at: 2).ended(at: 3).flow
        let passed = try flow.passing(stages)
        let expected = ByteBuffer(bytes: Array(repeating: Array("ab".utf8), count: size / 3).joined())
        for _ in 0..<2 { #expect(try passed.pieces.content(from: .server) == expected) }
        #expect(passed.response?.size == UInt64(size) && passed.response?.storedSize == UInt64(size / 3 * 2))
        #expect(passed.pieces.count == 1)
        #expect(passed.tags == ["redacted"] && passed.state == .complete && passed.ended == flow.ended)
    }

    @Test("Of a flow without an end, what a stage held is there, and there is still no end")
    func open() throws {
        let flow = FlowBuilder().request("GET / HTTP/1.1\r\n\r\n")
            .response(head, content: ByteBuffer(string: "yes"), isWhole: false, at: 2).flow
        let passed = try flow.passing(stages)
        #expect(String(buffer: try passed.pieces.content(from: .server)) == "ye")
        #expect(passed.ended == nil && passed.redaction?.rules == ["s"])
    }

    @Test("Without stages it is the same flow")
    func none() throws {
        let flow = FlowBuilder().request("GET / HTTP/1.1\r\n\r\n").ended().flow
        #expect(try flow.passing(FlowEventStages()).redaction == nil)
    }

    @Test("Totals count what is new, and the summary names rules by their counts")
    func totals() {
        typealias Change = FlowRedaction.Change
        typealias Omission = FlowRedaction.Omission
        var totals = RedactionTotals()
        #expect(totals.summary == "redacted: nothing")
        let known = FlowRedaction(changes: [Change(rule: "header:authorization", place: .request, count: 4)])
        var facts = known
        facts.add(Change(rule: "header:authorization", place: .request, count: 1_204_000))
        facts.add(Change(rule: "json:$..password", place: .requestBody, count: 33))
        facts.add(Omission(rule: "json:$..password", place: .responseBody, reason: .unparsed, count: 2))
        facts.add(Omission(rule: "body", place: .messages, reason: .rule))
        totals.count(facts, beyond: known)
        #expect(
            totals.summary
                == "redacted: header:authorization 1,204,000, json:$..password 33; not stored 1 message that a rule leaves out, "
                + "2 bodies that could not be parsed")
        totals.count(known)
        #expect(totals.rules["header:authorization"] == 1_204_004)
    }
}
