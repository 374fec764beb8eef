// What a filter that counts tells of its evaluation.

import FlowFilter
import FlowModel
import NIOCore
import TestSupport
import Testing

/// A block with a status, or without flows.
private struct Block: BlockSummary {
    var status: Int?
    var times: ClosedRange<Timestamp>? { nil }
    func mayContain(_ kind: FlowKind) -> Bool { status != nil && kind == .http }
    func mayContain(status: Int) -> Bool { status == self.status }
    var methodNames: [ByteBuffer]? { status == nil ? [] : nil }
    var hosts: [ByteBuffer]? { status == nil ? [] : nil }
}

@Suite("The explanation of a filter")
struct ExplanationTests {
    private func flow(_ status: Int, _ body: String, coding: String = "") -> Flow {
        let field = coding.isEmpty ? "" : "Content-Encoding: \(coding)\r\n"
        return exchange(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 \(status) X\r\n\(field)\r\n", received: ByteBuffer(string: body))
    }

    private func explain(_ expression: String, _ flows: [Flow]) throws -> FilterExplanation {
        let filter = try FlowFilter(expression).counting()
        let plain = try FlowFilter(expression)
        // Each flow as if it were the only one of its block.
        for flow in flows { #expect(try filter.forBlock().matches(flow) == plain.matches(flow)) }
        return filter.explanation(empty: Block(status: nil))
    }

    @Test("Terms are counted in the order of their evaluation, with what they read")
    func terms() throws {
        let flows = [
            flow(200, "here"), flow(500, "here"), flow(500, "there"), flow(500, "x", coding: "gzip"), flow(503, "y", coding: "new"),
        ]
        let found = try explain("~b here & ~c >=500 & !~t html", flows)
        #expect(found.expression == #"(~c >=500 & !(~t "html") & ~b "here")"#)
        #expect(
            found.terms == [
                FilterExplanation.Term(text: "~c >=500", access: .record, skipsBlocks: true, evaluated: 5, matched: 4),
                FilterExplanation.Term(text: #"~t "html""#, access: .heads, skipsBlocks: false, evaluated: 4, matched: 0),
                FilterExplanation.Term(text: #"~b "here""#, access: .content, skipsBlocks: false, evaluated: 4, matched: 2),
            ])
        #expect([found.flows, found.matched, found.neededMore, found.neededContent] == [5, 2, 4, 4])
        #expect(found.undecodedBodies == 2)
        #expect(found.emptiedBy == nil)
    }

    @Test(
        "Of an empty answer the part is named that left none of the flows",
        arguments: [
            ("~c 404", "~c 404", 3), ("~c 500 & ~b nowhere", #"~b "nowhere""#, 2),
            ("~c 200 & (~m PUT | ~b there)", #"(~m "PUT" | ~b "there")"#, 1),
            ("!~all", "!(~all)", 3), ("(~c 200 ~c 500) ~all", "~c 500", 1),
        ] as [(String, String, UInt64)])
    func empty(expression: String, part: String, tested: UInt64) throws {
        let found = try explain(expression, [flow(200, "here"), flow(500, "here"), flow(500, "there")])
        #expect(found.matched == 0)
        #expect(found.emptiedBy == FilterExplanation.Emptied(text: part, tested: tested))
    }

    @Test("Of a skipped block the smallest part of the expression is named that excludes all of its flows")
    func skipped() throws {
        let filter = try FlowFilter("~http & (~c 404 | ~c 410) & (~m GET | ~tcp)").counting()
        let answers = [404, 410, 200, 200, nil].map { filter.mayMatch(Block(status: $0)) }
        #expect(answers == [true, true, false, false, false])
        #expect(
            filter.explanation(empty: Block(status: nil)).skipped == [
                FilterExplanation.Skipped(text: "(~c 404 | ~c 410)", blocks: 2),
                FilterExplanation.Skipped(text: "~http", blocks: 1),
            ])
    }
}
