// The order of flows by a column.

import FlowModel
import FlowTable
import NIOCore
import TestSupport
import Testing

@Suite("An order of flows")
struct SortTests {
    @Test("Keys have the order of their values, in both directions, and flows without a value come last")
    func keys() {
        let ascending: [FlowValue] = [
            .number(.min), .number(-1), .number(0), .number(7), .number(.max), .none,
        ]
        let texts: [FlowValue] =
            ["", "\u{1}", "a", "aaaaaaa", "aaaaaaab", "aaaaaaac", "aaaaaab", "b", "é"].map { .text(ByteBuffer(string: $0)) } + [
                .none
            ]
        for values in [ascending, texts] {
            for (i, a) in values.enumerated() {
                for (j, b) in values.enumerated() {
                    #expect((SortKey(a, isDescending: false) < SortKey(b, isDescending: false)) == (i < j), "\(a) \(b)")
                    let isLast = (i == values.count - 1, j == values.count - 1)
                    let isBefore = isLast.0 ? false : isLast.1 ? true : i > j
                    #expect((SortKey(a, isDescending: true) < SortKey(b, isDescending: true)) == isBefore, "\(a) \(b)")
                }
            }
        }
    }

    @Test(
        "A direction follows the column",
        arguments: [
            ("duration:desc", "duration_us", true), ("host", "host", false), ("status:asc", "status", false),
            ("header:desc", "header:desc", false), ("header:x:desc", "header:x", true),
        ])
    func directions(text: String, name: String, isDescending: Bool) throws {
        let order = try SortOrder(text)
        #expect(order.key.name == name)
        #expect(order.isDescending == isDescending)
    }

    @Test("Another direction is refused")
    func unknown() {
        do {
            _ = try SortOrder("host:down")
            Issue.record("it was accepted")
        } catch { #expect(error.description == "'host:down' has no such direction; write host:desc for the largest first") }
    }
}
