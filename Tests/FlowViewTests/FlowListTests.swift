// Lists against whole flows: what a filter selects, orders, growth, groups and the overview.

import FlowArchive
import FlowFilter
import FlowModel
import FlowTable
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import FlowView

@Suite("Lists of flows")
struct FlowListTests {
    private static let expressions = [
        "~all", "~c 404", "~c >=400", "~d a.example", "~m PURGE", "~tcp", "~e", "~b aaa", "~u item/1 & !~c 200", "~duration >200ms",
        "~size >2k", "~src 10.0.0.2:", "~q", "~hs text/plain | ~tcp",
    ]

    @Test("A list has the flows that the filter selects one by one, in the order of the recording", arguments: expressions)
    func filters(expression: String) throws {
        try withTemporaryDirectory { directory in
            let flows = ViewedFlows.random(400, seed: 5)
            let path = directory + "/a.mflow"
            try WrittenFile.closed(path, flows)
            let index = FlowIndex()
            try IndexedFile(path: path, into: index).load(follows: false)
            index.noteComplete()
            let filter = try FlowFilter(expression)
            let list = FilledList.make(of: index, where: filter)
            let all = FilledList.make(of: index, where: nil)
            let order = try all.ids(in: index)
            let expected = try Set(flows.map(\.flow).filter { try filter.matches($0) }.map(\.id))
            #expect(Set(order).count == flows.count)
            #expect(try list.ids(in: index) == order.filter { expected.contains($0) })
            #expect(list.status.matched == expected.count)
            #expect(list.status.failure == nil)
        }
    }

    @Test("A list is sorted by each key like the whole flows, in both directions", arguments: FlowOrder.Key.allCases)
    func orders(key: FlowOrder.Key) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try WrittenFile.closed(path, ViewedFlows.random(300, seed: 9))
            let index = FlowIndex()
            try IndexedFile(path: path, into: index).load(follows: false)
            index.noteComplete()
            let recorded = try FilledList.make(of: index, where: nil).ids(in: index)
            let flows = try recorded.indices.map { try #require(try index.flow($0)) }
            for isDescending in [false, true] {
                let list = FilledList.make(of: index, where: nil, order: FlowOrder(key, isDescending: isDescending))
                let sorted = try list.ids(in: index)
                #expect(Set(sorted) == Set(recorded))
                // Methods are in the order of their codes, the others in that of the table of all tools.
                guard key != .method, key != .kind, key != .state, key != .client else { continue }
                let order = try SortOrder(key.rawValue + (isDescending ? ":desc" : ""))
                let keys = flows.map { order.key(of: $0) }
                let expected = recorded.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }.map { recorded[$0] }
                #expect(sorted == expected)
            }
        }
    }

    @Test("A list grows with its file, and open flows are in it before they end")
    func growth() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            let events = ViewedFlows.events(ViewedFlows.random(200, seed: 3))
            let file = try WrittenFile(path)
            try file.write([])
            let index = FlowIndex()
            let read = try IndexedFile(path: path, into: index)
            let growing = FilledList(of: index, where: try FlowFilter("~c >=400 | ~tcp"))
            var written: [FlowEvent] = []
            for part in stride(from: 0, to: events.count, by: 97) {
                let next = Array(events[part..<min(events.count, part + 97)])
                written += next
                try file.write(next)
                read.load(follows: true)
                index.noteComplete()
                growing.list.advance()
                #expect(index.count == Set(written.map(\.flow)).count)
            }
            try file.close()
            read.load(follows: true)
            #expect(read.isFinished)
            growing.list.advance()
            let expected = Set(try FilledList.make(of: index, where: try FlowFilter("~c >=400 | ~tcp")).ids(in: index))
            #expect(Set(try growing.finished(index.count).ids(in: index)) == expected)
            let flows = try (0..<index.count).map { try #require(try index.flow($0)) }
            #expect(flows.allSatisfy { $0.ended != nil })
        }
    }

    @Test("A list that grows keeps its order and its groups as if it were made at the end", arguments: FlowOrder.Key.allCases)
    func growingOrder(key: FlowOrder.Key) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            let events = ViewedFlows.events(ViewedFlows.random(300, seed: 17))
            let file = try WrittenFile(path)
            let index = FlowIndex()
            let read = try IndexedFile(path: path, into: index)
            let order = FlowOrder(key, isDescending: true)
            let filters = [nil, try FlowFilter("~c >=300")]
            let growing = filters.map { FilledList(of: index, where: $0, order: order) }
            var written = 0
            // The first part is much larger than the others, so that they are put between its flows.
            for end in [800, 830, 860, 900, events.count] {
                try file.write(Array(events[written..<end]))
                written = end
                if end == events.count { try file.close() }
                read.load(follows: true)
                index.noteComplete()
                for one in growing { one.list.advance() }
                for (one, filter) in zip(growing, filters) {
                    let list = one.finished(index.count)
                    let whole = FilledList.make(of: index, where: filter, order: order)
                    #expect(list.ordinals(0..<1000) == whole.ordinals(0..<1000))
                    for by in GroupKey.allCases {
                        let (found, expected) = (list.groups(by: by, limit: 1000), whole.groups(by: by, limit: 1000))
                        #expect(found.groups == expected.groups)
                        #expect(found.count == expected.count)
                    }
                }
            }
        }
    }

    @Test("A file that has a part of a block grows while its recorder writes it")
    func partOfBlock() throws {
        try withTemporaryDirectory { directory in
            try WrittenFile.closed(directory + "/whole.mflow", ViewedFlows.random(100, seed: 4))
            let bytes = try Data(contentsOf: URL(fileURLWithPath: directory + "/whole.mflow"))
            for cut in stride(from: 1, to: bytes.count, by: bytes.count / 17) {
                let path = directory + "/\(cut).mflow"
                let storage = try POSIXStorage.open(path: path, truncates: true)
                _ = try storage.append(ByteBuffer(bytes: bytes[..<cut]))
                let index = FlowIndex()
                let read = try IndexedFile(path: path, into: index)
                read.load(follows: true)
                #expect(!read.isFinished)
                #expect(index.sources[0].status.isGrowing)
                _ = try storage.append(ByteBuffer(bytes: bytes[cut...]))
                try storage.close()
                read.load(follows: true)
                #expect(read.isFinished)
                #expect(index.count == 100)
                #expect(index.sources[0].status.damages == 0)
            }
        }
    }

    @Test(
        "A list within another has the flows that both filters select, also when both grow and the base is closed",
        arguments: ["~b aaa", "~c 404", "~all"])
    func bases(outer: String) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            let events = ViewedFlows.events(ViewedFlows.random(300, seed: 11))
            let file = try WrittenFile(path)
            let index = FlowIndex()
            let inner = try FlowFilter("~d a.example | ~tcp")
            try file.write(Array(events[..<150]))
            let read = try IndexedFile(path: path, into: index)
            read.load(follows: true)
            index.noteComplete()
            let base = FilledList.make(of: index, where: try FlowFilter(outer))
            let growing = FilledList(of: index, where: inner, within: base, order: FlowOrder(.path))
            #expect(growing.list.filter?.canonical == (try FlowFilter("(\(outer)) & (~d a.example | ~tcp)")).canonical)
            base.cancel()
            for part in stride(from: 150, to: events.count, by: 211) {
                try file.write(Array(events[part..<min(events.count, part + 211)]))
                read.load(follows: true)
                growing.list.advance()
            }
            try file.close()
            read.load(follows: true)
            growing.list.advance()
            let whole = FilledList.make(
                of: index, where: try FlowFilter("(\(outer)) & (~d a.example | ~tcp)"), order: FlowOrder(.path))
            #expect(whole.status.matched > 0)
            #expect(try growing.finished(index.count).ids(in: index) == whole.ids(in: index))
        }
    }

    @Test("The facts of a flow take 64 bytes, and have its kind, state and marks")
    func facts() {
        #expect(MemoryLayout<FlowFacts>.stride == 64)
        for flow in ViewedFlows.random(40, seed: 6).map(\.flow) {
            let facts = FlowFacts(flow, host: 1, client: 2, type: 3)
            #expect(facts.state == flow.state)
            #expect(facts.kind == FlowClass(flow.kind, isWebSocket: flow.isWebSocket))
            #expect(facts.marks == (flow.error == nil ? [] : .hasError))
        }
    }

    @Test("Groups and the overview count each flow of a list once")
    func groups() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            let flows = ViewedFlows.random(250, seed: 21)
            try WrittenFile.closed(path, flows)
            let index = FlowIndex()
            try IndexedFile(path: path, into: index).load(follows: false)
            index.noteComplete()
            let list = FilledList.make(of: index, where: try FlowFilter("~http"))
            let http = flows.map(\.flow).filter { $0.kind == .http }
            for key in GroupKey.allCases {
                let (groups, count) = list.groups(by: key, limit: 1000)
                #expect(groups.count == count)
                #expect(groups.reduce(0) { $0 + $1.count } == http.count)
            }
            let statuses = Dictionary(grouping: http, by: \.status).mapValues(\.count)
            let counted = list.groups(by: .status, limit: 1000).groups.map { ($0.value, $0.count) }
            #expect(
                Dictionary(uniqueKeysWithValues: counted)
                    == Dictionary(
                        uniqueKeysWithValues: statuses.map { ($0.key == 0 ? "" : String($0.key), $0.value) }))
            let timeline = try #require(Timeline(list, buckets: 37))
            #expect(timeline.counts.flatMap { $0 }.reduce(0, +) == http.count)
            #expect(timeline.counts.reduce(0) { $0 + $1[Timeline.Class.serverError.rawValue] } == statuses[500] ?? 0)
            #expect(timeline.from == http.map(\.started.nanoseconds).min())
        }
    }

    @Test("A flow is found by its identifier, and its position in a list by its number")
    func finding() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            let flows = ViewedFlows.random(120, seed: 2)
            try WrittenFile.closed(path, flows)
            let index = FlowIndex()
            try IndexedFile(path: path, into: index).load(follows: false)
            index.noteComplete()
            let list = FilledList.make(of: index, where: nil, order: FlowOrder(.duration, isDescending: true))
            for flow in flows {
                let ordinal = try #require(index.ordinal(of: flow.id))
                #expect(try index.flow(ordinal)?.id == flow.id)
                let position = try #require(list.position(of: ordinal))
                #expect(list.ordinals(position..<position + 1) == [ordinal])
            }
            #expect(index.ordinal(of: FlowID(high: 9, low: 9)) == nil)
        }
    }

    @Test("Flows in memory are in lists like those of files")
    func memory() throws {
        let index = FlowIndex()
        _ = index.addSource("a pipe")
        let flows = ViewedFlows.random(60, seed: 8).map(\.flow)
        for flow in flows { index.add(flow) }
        index.noteComplete()
        let filter = try FlowFilter("~c 200")
        let list = FilledList.make(of: index, where: filter)
        #expect(try list.ids(in: index) == flows.filter { try filter.matches($0) }.map(\.id))
        #expect(index.flowsInMemory.map(\.id) == flows.map(\.id))
    }

    @Test("Ordinals are kept in order, however they come")
    func ordinals() {
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<200 {
            var set = OrdinalSet()
            var expected: Set<Int> = []
            for _ in 0..<20 {
                let others = (0..<Int.random(in: 0...8, using: &generator)).map { _ in UInt32.random(in: 0...60, using: &generator)
                }
                set.insert(contentsOf: others)
                expected.formUnion(others.map { Int($0) })
                let one = Int.random(in: 0...60, using: &generator)
                if Bool.random(using: &generator) {
                    set.insert(one)
                    expected.insert(one)
                } else {
                    #expect(set.remove(one) == (expected.remove(one) != nil))
                }
            }
            #expect(set.ordinals(0..<1000) == expected.sorted())
            for (place, ordinal) in expected.sorted().enumerated() { #expect(set.position(of: ordinal) == place) }
        }
    }
}
