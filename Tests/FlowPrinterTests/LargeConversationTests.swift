// Conversations that are larger than what is held of their print.

import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore
import Testing

@Suite("A conversation that is large")
struct LargeConversationTests {
    /// 96 pieces of 32 KiB, which are no text.
    private var stream: Flow {
        let pieces = (0..<96).map { number in
            (Int64(number), piece((0..<32768).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ number) | 0x80 }, from: .client))
        }
        return flow(.tcp, pieces + [(100, .ended(FlowEnding(state: .complete, closedBy: .client)))])
    }

    @Test("What is printed is drained on the way, and comes to the same")
    func drained() throws {
        let flow = stream
        func gather(_ print: (inout ByteBuffer, Drain) throws -> Void) throws -> (text: ByteBuffer, largest: Int) {
            var whole = ByteBuffer()
            var largest = 0
            var out = ByteBuffer()
            try print(&out) { part in
                largest = max(largest, part.readableBytes)
                whole.writeBuffer(&part)
                part.clear()
            }
            largest = max(largest, out.readableBytes)
            whole.writeBuffer(&out)
            return (whole, largest)
        }
        let json = try gather { try FlowJSONPrinter(rawBody: false).print(flow, into: &$0, drain: $1) }
        var expected = ByteBuffer()
        try FlowJSONPrinter(rawBody: false).print(flow, into: &expected)
        #expect(json.text == expected)
        #expect(json.largest < 2 << 20 && expected.readableBytes > 4 << 20)
        let text = try gather { try FlowTextPrinter(detail: 4, isColoured: false).print(flow, into: &$0, drain: $1) }
        expected = ByteBuffer()
        try FlowTextPrinter(detail: 4, isColoured: false).print(flow, into: &expected)
        #expect(text.text == expected)
        #expect(text.largest < 2 << 20 && expected.readableBytes > 8 << 20)
    }

    @Test("At detail 3 all messages together have 512 lines of content")
    func cut() throws {
        let lines = try text(stream, detail: 3).split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("    0000") }.count == 512)
        #expect(lines.last == "    (cut: 95 more messages, --detail 4 shows them)")
    }
}
