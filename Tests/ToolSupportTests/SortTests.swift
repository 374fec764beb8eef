// Flows in an order: in memory, on disk, and the first ones only.

import FlowModel
import FlowTable
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ToolSupport

@Suite("Sorted flows")
struct SortedFlowTests {
    /// Keys with many equal ones, and some without a value.
    private func values(_ count: Int, texts: Bool) -> [FlowValue] {
        var random = SeededGenerator(seed: texts ? 1 : 2)
        return (0..<count).map { _ in
            let number = Int64.random(in: 0..<300, using: &random)
            if number == 0 { return .none }
            let text = "host-with-a-common-beginning-\(number)" + String(repeating: "x", count: Int(number % 7) * 10)
            return texts ? .text(ByteBuffer(string: text)) : .number(number)
        }
    }

    @Test(
        "Keys that are sorted in parts on disk have the order of keys that are sorted at once", arguments: [false, true],
        [false, true])
    func runs(texts: Bool, isDescending: Bool) throws {
        let keys = values(2000, texts: texts).map { SortKey($0, isDescending: isDescending) }
        let expected = keys.indices.sorted { keys[$0] == keys[$1] ? $0 < $1 : keys[$0] < keys[$1] }
        for memory in [4 * 1024, 100_000_000] as [UInt64] {
            var sorted = try SortedKeys(isDescending: isDescending, memory: memory)
            for (index, key) in keys.enumerated() { try sorted.add(key, UInt64(index)) }
            var found: [Int] = []
            try sorted.forEach {
                found.append(Int($0))
                return true
            }
            #expect(found == expected)
        }
    }

    @Test("The first keys are the beginning of all keys in their order", arguments: [1, 2, 17, 500, 5000])
    func first(limit: Int) {
        let keys = values(3000, texts: false).map { SortKey($0, isDescending: false) }
        var first = FirstKeys(limit)
        for (index, key) in keys.enumerated() where first.admits(key) { first.insert(key, UInt64(index)) }
        let expected = keys.indices.sorted { keys[$0] == keys[$1] ? $0 < $1 : keys[$0] < keys[$1] }
        #expect(first.sorted.map { Int($0) } == Array(expected.prefix(limit)))
    }

    /// Exchanges with bodies of several pieces, and a flow without an end.
    private var flows: [Flow] {
        (0..<40).map { index in
            let builder = FlowBuilder(id: FlowID(high: 1, low: UInt64(index)))
                .request("GET /\(index) HTTP/1.1\r\nHost: a\r\n\r\n")
            if index == 7 { return builder.flow }
            var answered = builder.response("HTTP/1.1 200 OK\r\n\r\n", isWhole: false, at: 1)
            for piece in 0..<(index % 5) {
                answered = answered.data(ByteBuffer(repeating: UInt8(piece), count: 60_000), from: .server, at: 2)
            }
            return answered.event(.finished(.server), at: 3).ended(at: Int64(index * 37 % 20) + 3).flow
        }
    }

    @Test("Flows come back whole and in order, all of them or the first ones", arguments: [nil, 1, 10, 100] as [Int?])
    func whole(limit: Int?) throws {
        let flows = flows
        let order = try SortOrder("duration:desc")
        let sorter = try FlowSorter(order, limit: limit, memory: 1 << 20)
        let predicate = sorter.predicate(EveryFlow())
        for flow in flows where try predicate.matches(flow) { try sorter.add(flow) }
        var found: [Flow] = []
        try sorter.forEach {
            if case .flow(let flow) = $0 { found.append(flow) }
            return true
        }
        let keys = flows.map { order.key(of: $0) }
        let expected = flows.indices.sorted { keys[$0] == keys[$1] ? $0 < $1 : keys[$0] < keys[$1] }.prefix(limit ?? .max)
        #expect(found.map(\.id) == expected.map { flows[$0].id })
        for (flow, index) in zip(found, expected) {
            #expect(flow.state == flows[index].state)
            #expect(flow.ended == flows[index].ended)
            #expect(try flow.pieces.content(from: .server) == flows[index].pieces.content(from: .server))
            #expect(flow.request?.head.wire == flows[index].request?.head.wire)
        }
    }

    @Test("Rows are kept in place of flows, and come back in the same order")
    func rows() throws {
        let flows = flows
        let order = try SortOrder("duration:desc")
        let rows = TableRows(try FlowKey.list("id,duration"), as: .fields)
        let sorter = try FlowSorter(order, limit: nil, rows: rows, memory: 1 << 20)
        for flow in flows { try sorter.add(flow) }
        var found = ByteBuffer()
        try sorter.forEach {
            if case .row(let row) = $0 { found.writeImmutableBuffer(row) }
            return true
        }
        let keys = flows.map { order.key(of: $0) }
        var expected = ByteBuffer()
        for index in flows.indices.sorted(by: { keys[$0] == keys[$1] ? $0 < $1 : keys[$0] < keys[$1] }) {
            try rows.write(flows[index], into: &expected)
        }
        #expect(found == expected)
    }
}
