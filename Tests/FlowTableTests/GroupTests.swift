// Groups and their statistics, against plain computations.

import FlowArchive
import FlowModel
import FlowPrinter
import FlowTable
import NIOCore
import TestSupport
import Testing

@Suite("Percentiles")
struct QuantileTests {
    /// The number at the rank that the sketch estimates.
    private func exact(_ sorted: [Int64], _ share: Double) -> Double {
        Double(sorted[max(1, Int((share * Double(sorted.count)).rounded(.up))) - 1])
    }

    @Test("A percentile is within 1 % of the number at its rank, for every shape of numbers", arguments: 0..<6)
    func error(shape: Int) {
        var random = SeededGenerator(seed: UInt64(shape) + 1)
        let numbers = (0..<5000).map { _ -> Int64 in
            switch shape {
            case 0: Int64.random(in: 0...3, using: &random)
            case 1: Int64.random(in: 1...1_000_000, using: &random)
            case 2: Int64(1) << Int64.random(in: 0...62, using: &random)
            case 3: Int64.random(in: 0...9, using: &random) == 0 ? 0 : 1000
            case 4: [1, Int64.max, 500, 501, 499].randomElement(using: &random)!
            default: Int64.random(in: 1...(Int64(1) << Int64.random(in: 1...40, using: &random)), using: &random)
            }
        }
        var sketches = Array(repeating: QuantileSketch(), count: 7)
        for (index, number) in numbers.enumerated() { sketches[index % 7].add(number) }
        var merged = QuantileSketch()
        for sketch in sketches { merged.merge(sketch) }
        var whole = QuantileSketch()
        for number in numbers { whole.add(number) }
        #expect(merged.quantile(0.5) == whole.quantile(0.5))
        let sorted = numbers.sorted()
        for share in [0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1] {
            let number = exact(sorted, share)
            let found = merged.quantile(share) ?? -1
            #expect(abs(found - number) <= number * QuantileSketch.relativeError * 1.000_001, "\(share): \(found), \(number)")
        }
        #expect(merged.count == 5000)
        #expect(merged.histogram.reduce(merged.zeroCount) { $0 + $1.count } == 5000)
    }

    @Test("Without numbers there is no percentile")
    func empty() { #expect(QuantileSketch().quantile(0.5) == nil) }
}

@Suite("Groups of flows")
struct GroupTests {
    private func groups(_ query: GroupQuery, _ flows: [FlowBuilder], top: Int? = nil) -> GroupRows {
        var groups = FlowGroups(query)
        for flow in flows { groups.add(flow.flow) }
        return groups.rows(top: top)
    }

    private func text(_ rows: GroupRows, columns: Int? = nil) -> String {
        var out = ByteBuffer()
        rows.writeText(palette: Palette(isColoured: false), columns: columns, into: &out)
        return String(buffer: out)
    }

    private func csv(_ rows: GroupRows) -> String {
        var out = ByteBuffer()
        rows.write(.csv, isForTerminal: false, into: &out)
        return String(buffer: out)
    }

    @Test("Groups on several threads, from records in their place, are those of the flows one by one", arguments: [1, 4])
    func threads(jobs: Int) throws {
        let flows = TableFlows.random(3000, seed: 11) + TableFlows.all
        let query = GroupQuery(
            by: try FlowKey.list("host,status"),
            try GroupStatistic.list(
                "count,errors,sum(resp_bytes),min(duration),max(duration),avg(size),p50(duration),p99(resp_bytes),min(started)"))
        let file = try FileInMemory(flows, blockTarget: 8 * 1024)
        let collection = FlowCollection(FlowGroups(query))
        let reader = ArchiveReader(
            ArchiveInput(bytes: file.bytes), where: CollectingPredicate(EveryFlow(), into: collection), jobs: jobs,
            delivery: .counted)
        while try reader.next() != nil {}
        _ = try reader.finish()
        let rows = collection.result.rows()
        let expected = groups(query, flows)
        #expect(rows.rows == expected.rows)
        #expect(rows.rows.reduce(0) { $0 + $1.flows } == flows.count)
        #expect(collection.hasSeenFlows)
    }

    @Test("The statistics are those of a plain computation")
    func statistics() throws {
        let flows = TableFlows.random(1000, seed: 5).map(\.flow)
        let names = "count,errors,sum(resp_bytes),min(duration),max(duration),avg(duration),p50(duration)"
        var found = FlowGroups(GroupQuery(by: [.column(.method)], try GroupStatistic.list(names)))
        for flow in flows { found.add(flow) }
        for row in found.rows().rows {
            guard case .text(let method) = row.keys[0] else { return #expect(Bool(false)) }
            let own = flows.filter { $0.request?.head.method == method }
            let durations = own.map { ($0.ended! - $0.started) / 1000 }.sorted()
            #expect(row.values[0] == .number(Int64(own.count)))
            #expect(row.values[1] == .number(Int64(own.count { $0.error != nil || $0.status >= 500 })))
            #expect(row.values[2] == .number(Int64(own.reduce(0) { $0 + ($1.response?.size ?? 0) })))
            #expect(row.values[3] == .number(durations.first!))
            #expect(row.values[4] == .number(durations.last!))
            #expect(row.values[5] == .decimal(Double(durations.reduce(0, +)) / Double(own.count)))
            guard case .decimal(let median) = row.values[6] else { return #expect(Bool(false)) }
            let exact = Double(durations[(own.count + 1) / 2 - 1])
            #expect(abs(median - exact) <= 0.0101 * exact)
        }
    }

    @Test("The first statistic decides the order, and --top keeps the first groups")
    func order() throws {
        let flows = TableFlows.all
        let rows = groups(GroupQuery(by: [.column(.kind)], try GroupStatistic.list("sum(size),count")), flows, top: 1)
        #expect(csv(rows) == "kind,sum_size,count\r\ntcp,2109,2\r\n")
        #expect(rows.otherGroups == 1)
        #expect(rows.otherFlows == 5)
        #expect(text(rows).hasSuffix("… 1 more group, 5 flows\n"))
    }

    @Test("Buckets are intervals from 1970 on, in the order of time")
    func buckets() throws {
        let rows = groups(GroupQuery(by: [], [.count], bucket: 60_000_000_000), TableFlows.random(200, seed: 2))
        let starts = rows.rows.map { $0.keys[0].number ?? 0 }
        #expect(starts == starts.sorted())
        #expect(starts.allSatisfy { $0 % 60_000_000_000 == 0 })
        #expect(starts.count == 11)
        #expect(csv(rows).contains("2023-11-14T22:13:00.000000000Z,"))
    }

    @Test("Without keys all flows are one group")
    func total() throws {
        #expect(csv(groups(GroupQuery(by: [], [.count, .errors]), TableFlows.all)) == "count,errors\r\n7,2\r\n")
    }

    @Test("Paths of one kind are one group")
    func folded() throws {
        let rows = groups(GroupQuery(by: [.column(.path)], [.count], foldsIdentifiers: true), TableFlows.random(100, seed: 4))
        #expect(csv(rows) == "path,count\r\n/items/{},100\r\n")
    }

    @Test("JSON has null where there is no value")
    func json() throws {
        let rows = groups(
            GroupQuery(by: try FlowKey.list("host,status"), try GroupStatistic.list("count,p99.9(ttfb)")), [TableFlows.stream])
        var out = ByteBuffer()
        rows.writeJSON(into: &out)
        #expect(String(buffer: out) == #"{"host":"db","status":null,"count":1,"p99_9_ttfb_us":null}"# + "\n")
    }

    @Test("A table has its numbers on the right, with units, and a bar for the counts on a terminal")
    func table() throws {
        let flows = TableFlows.random(12, seed: 9)
        let query = GroupQuery(by: [.column(.host)], try GroupStatistic.list("count,sum(resp_bytes),max(duration)"))
        let lines = text(groups(query, flows)).split(separator: "\n")
        #expect(lines[0].hasPrefix("host"))
        #expect(Set(lines.map(\.count)).count == 1)
        let wide = text(groups(query, flows), columns: 60).split(separator: "\n")
        #expect(wide.dropFirst().allSatisfy { $0.contains("█") || $0.contains("▌") || $0.contains("▎") || $0.count <= 60 })
        #expect(wide.allSatisfy { $0.count <= 60 })
    }

    @Test(
        "A statistic that does not exist is refused, with the nearest name",
        arguments: [
            ("counts", "there is no statistic 'counts'; did you mean 'count'?"),
            ("summ(size)", "there is no statistic 'summ(size)'; did you mean 'sum(…)'?"),
            ("p500(duration)", "there is no statistic 'p500(duration)'; did you mean 'p50(…)'?"),
            ("sum(durations)", "there is no column 'durations'; did you mean 'duration'?"),
            (
                "max(host)",
                "'max(host)' needs a column of numbers, and host is text; use duration, ttfb, req_bytes, resp_bytes, size or status"
            ),
            ("p50(started)", "'p50(started)' cannot be computed of times; use min(started) or max(started)"),
        ])
    func unknown(text: String, sentence: String) {
        do {
            _ = try GroupStatistic.list(text)
            Issue.record("it was accepted")
        } catch { #expect(error.description == sentence) }
    }

    @Test(
        "Identifiers in paths are folded, words are not",
        arguments: [
            ("/users/17", "/users/{}"), ("/users/17/orders/0192f3aa-1111-7abc-8def-0123456789ab/", "/users/{}/orders/{}/"),
            ("/v1/api", "/v1/api"), ("/img/8843.png", "/img/{}.png"), ("/c/deadbeef", "/c/deadbeef"), ("/c/deadbeef1", "/c/{}"),
            ("/t/eyJhbGciOiJIUzI1NiJ9abc", "/t/{}"), ("/a-long-name-of-an-article", "/a-long-name-of-an-article"), ("/", "/"),
            ("", ""),
            ("/2024/05/01", "/{}/{}/{}"), ("/jquery-3.7.1.min.js", "/jquery-3.7.1.min.js"),
        ])
    func identifiers(path: String, folded: String) {
        #expect(String(buffer: ByteBuffer(string: path).foldingIdentifiers) == folded)
    }
}
