// Every operator of the filter language on a file: skipping blocks by their headers, evaluating records in place and searching on several threads
// must not change an answer.

import FlowArchive
import FlowFilter
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// Expressions of all operators.
private struct Expressions {
    /// What may follow the name of each operator; a name that takes brackets ends with the opening one. A new operator needs a row here, and
    /// flows of ``QueryFlows`` that it finds.
    static let arguments: [String: [String]] = [
        "~a": [""],
        "~all": [""],
        "~alpn": ["h2", "^http"],
        "~b": ["ada", "'price.:120'", "hello", "^SELECT", "nowhere"],
        "~bq": ["ada", "hello", "SELECT", "user=ada"],
        "~bs": ["ada", "hello", "row"],
        "~c": ["200", "4xx", ">=500", "<300", "404-502", "101", "418"],
        "~cert": ["'CN=host'", "'^issuer: .*Root R1'", "'^name: .*api'", "nowhere"],
        "~cipher": ["AES_2", "TLS"],
        "~client": ["10.1.2.1", "::1"],
        "~close": ["1000", ">1000", "<1000"],
        "~comment": ["look", "^second"],
        "~conn": ["-1001-", "-2002-", "^0"],
        "~cookie[": ["session]", "session] abc", "theme] =dark", "session] >10", "none]"],
        "~d": ["example", "^api", "'^a\\.b'", "10.0.0.1", "x-y", "nowhere", "'(?-i)API'"],
        "~dns": [""],
        "~dst": [":443", "^api"],
        "~duration": [">1s", "<1ms", ">=5s", "1ms-2s", ">1h", "<0"],
        "~e": [""],
        "~error": ["connect", "trust"],
        "~graphql": ["Search", "^AddUser$", "News", "nowhere"],
        "~grpc": ["0", "NOT_FOUND", ">0"],
        "~h": ["accept", "json", "^x-none", "h3="],
        "~h3offered": [""],
        "~h[": ["accept]", "content-type] json", "alt-svc]"],
        "~hq": ["session", "^accept: \\*", "upgrade"],
        "~hq[": ["accept] =*/*", "cookie]", "host] example"],
        "~hs": ["^content-type: text", "session=7"],
        "~hs[": ["content-type] css", "set-cookie]", "content-type] =image/png"],
        "~http": [""],
        "~id": ["0$", "^0", "f.*e$"],
        "~incomplete": [""],
        "~informational": [""],
        "~informational[": ["103]", "1xx]", "199]"],
        "~ja3": ["^1", "2012"],
        "~ja4": ["t13d3", "t13"],
        "~json[": ["$.user]", "$.user] =ada", "$..price] >100", "$[*].query] AddUser", "$.none]"],
        "~jsonq[": ["$.operationName]", "$..price] <100"],
        "~jsons[": ["$.user] ada", "$.type] =subscribe"],
        "~local": [""],
        "~m": ["G", "^P", "brew", "'(?-i)get'", "^PUT$", "PATCH"],
        "~marked": [""],
        "~marker": ["x"],
        "~messages": ["2", ">2", "0-3", "<1"],
        "~meta": ["x"],
        "~mq": ["hello", "^SELECT", "^news$"],
        "~ms": ["hello", "row", "subscribe"],
        "~note": ["dropped", "^two"],
        "~passthrough": [""],
        "~truncated": [""],
        "~proto[": ["1]", "1] =ada", "1] eve", "2]"],
        "~q": [""],
        "~query[": ["id]", "id] >5", "name] =\"a b\"", "next] /"],
        "~redacted": [""],
        "~redacted[": ["header:cookie]", "json]", "json:$..user] =response.body", "header] request"],
        "~replay": [""],
        "~replayq": [""],
        "~replays": [""],
        "~s": [""],
        "~secret": ["", "jwt", "basic-credentials"],
        "~since": ["2025-10-09T08:54:10Z"],
        "~size": [">1k", "<=10", "0", ">1g", "15-200"],
        "~sizeq": [">1k", "0", "8"],
        "~sizes": [">1k", "0", ">1g", "<100"],
        "~sni": ["name1", "name2"],
        "~src": ["10.1.2.1", "::1", ":4000$"],
        "~stream": ["3", ">5", "<=2"],
        "~t": ["json", "css", "form"],
        "~tag[": ["one]", "two] 7", "two] >5", "imported] =har"],
        "~tcp": [""],
        "~time": ["2025-10-09T08:53:50Z-2025-10-09T08:54:30Z", ">2025-10-09T08:54:10Z"],
        "~tls": ["1.2", "1.3", "none", "1.0"],
        "~tq": ["json", "form"],
        "~trailer": ["^x-sum", "timing"],
        "~trailer[": ["x-sum]", "x-sum] 3", "server-timing] db"],
        "~ts": ["json", "image"],
        "~ttfb": [">1s", "<100us", ">=1ms", "0", ">1h"],
        "~u": ["users", "^https://api.example/", "'^http://x-y\\.test/'", "'^https?://www'", "name=a%20b"],
        "~udp": [""],
        "~until": ["2025-10-09T08:54:10Z"],
        "~verified": [""],
        "~version": ["1.0", "1.1", "2", "3"],
        "~view": ["errors"],
        "~websocket": [""],
    ]

    /// Operators that find every flow, or none of any file.
    static let constant: Set = [
        "~all", "~dns", "~marker", "~meta", "~replay", "~replayq", "~replays", "~udp",
    ]

    /// The names of the operators, as the help lists them.
    static let names: [String] = filterHelp().split(separator: "\n").filter { $0.hasPrefix("  ~") }.map { line in
        let form = line.dropFirst(2).prefix { $0 != " " }
        return form.firstIndex(of: "[").map { String(form[...$0]) } ?? String(form)
    }

    static func expression(_ name: String, _ argument: String) -> String {
        name.hasSuffix("[") ? name + argument : "\(name) \(argument)"
    }

    var random: SeededGenerator

    mutating func next(depth: Int = 3) -> String {
        switch depth == 0 ? 0 : Int.random(in: 0..<6, using: &random) {
        case 0, 1:
            let name = Self.arguments.keys.sorted().randomElement(using: &random)!
            return Self.expression(name, Self.arguments[name]!.randomElement(using: &random)!)
        case 2: return "!(\(next(depth: depth - 1)))"
        case 3: return "(\(next(depth: depth - 1)) | \(next(depth: depth - 1)))"
        default: return "(\(next(depth: depth - 1)) & \(next(depth: depth - 1)))"
        }
    }
}

/// A file of flows, and the flows as a reader makes them that evaluates nothing.
private struct QueriedFile {
    let path: String
    let flows: [Flow]

    /// Runs of flows in blocks of their own, then flows that continue over several blocks.
    init(in directory: String, seed: UInt64) throws {
        path = directory + "/a.mflow"
        var samples = QueryFlows(seed: seed)
        var options = ArchiveOptions()
        options.blockTarget = 6 * 1024
        let storage = ScriptedStorage()
        let writer = try ArchiveWriter(storage: storage, options: options, now: Timestamp(nanoseconds: 1))
        for run in 0..<12 {
            for _ in 0..<10 { try writer.append(contentsOf: samples.next(run: run)) }
            try writer.flush()
        }
        for index in 0..<16 {
            for event in samples.next(run: index) {
                try writer.append(event)
                if index % 2 == 0 { try writer.flush() }
            }
        }
        try writer.close()
        try write(storage.bytes, to: path)
        flows = try Self.flows(of: try ArchiveReader(path: path))
    }

    /// A file that exists.
    init(path: String) throws {
        self.path = path
        flows = try Self.flows(of: try ArchiveReader(path: path))
    }

    static func flows(of reader: ArchiveReader) throws -> [Flow] {
        var flows: [Flow] = []
        func take(_ item: ArchiveItem) {
            if case .flow(let flow) = item { flows.append(flow) } else { Issue.record("read \(item)") }
        }
        while let item = try reader.next() { take(item) }
        try reader.finish().forEach(take)
        return flows
    }

    /// The flows that an expression finds when each is evaluated as a whole.
    func scan(_ filter: FlowFilter) throws -> [FlowID] { try flows.filter { try filter.matches($0) }.map(\.id) }

    /// Compares the answers of a reader that plans with those of the scan.
    /// - Returns: how many flows were found, and how many blocks were skipped.
    func check(_ expression: String, jobs: [Int], counts: Bool = false) throws -> (found: Int, skipped: UInt64) {
        let environment = FilterEnvironment(utcOffset: { _ in 0 }, views: ["errors": "~c 5xx | ~e"])
        let filter = try FlowFilter(expression, environment: environment)
        let expected = try scan(filter)
        var skipped: UInt64 = 0
        for jobs in jobs {
            let reader = ArchiveReader(try ArchiveInput(path: path), where: filter, jobs: jobs)
            let found = try Self.flows(of: reader).map(\.id)
            #expect(found == expected, "\(expression) with \(jobs) jobs")
            skipped = reader.blocksSkipped
        }
        guard counts else { return (expected.count, skipped) }
        let counter = ArchiveReader(try ArchiveInput(path: path), where: filter, jobs: jobs[0], delivery: .counted)
        let made = try Self.flows(of: counter).count
        #expect(made + counter.counted == expected.count, "\(expression), counted")
        return (expected.count, skipped)
    }
}

@Suite("An expression put to a flow file")
struct PlannedOperatorTests {
    @Test("Each operator of the language is in this test")
    func covers() {
        #expect(Expressions.names.count >= 40)
        #expect(Set(Expressions.names) == Set(Expressions.arguments.keys))
    }

    @Test("Each operator finds by plan what it finds flow by flow: some flows, and not all")
    func operators() throws {
        try withTemporaryDirectory { directory in
            let file = try QueriedFile(in: directory, seed: 81)
            for (name, arguments) in Expressions.arguments {
                var counts: [Int] = []
                for argument in arguments {
                    let expression = Expressions.expression(name, argument)
                    counts.append(try file.check(expression, jobs: [1]).found)
                    if argument == arguments[0] { _ = try file.check("!(\(expression))", jobs: [3], counts: true) }
                }
                let isSelective = counts.contains { $0 > 0 && $0 < file.flows.count }
                #expect(isSelective != Expressions.constant.contains(name), "\(name) finds \(counts) of \(file.flows.count)")
            }
        }
    }

    @Test(
        "A question for a quantity reads only the blocks that have it, and those without bounds",
        arguments: [
            ("~duration >10s", 1), ("~duration >1s", 1), ("~duration <1s", 9), ("~duration >20s", 0), ("~ttfb >5s", 1),
            ("~ttfb 3ms", 9),
            ("~size >30k", 1), ("~sizes >30k", 1), ("~sizes >1m", 0), ("~sizeq >10", 0), ("~sizeq 7", 10),
            ("~size >1g", 0),
        ])
    func quantities(expression: String, blocks: UInt64) throws {
        let storage = ScriptedStorage()
        let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 1))
        for index in 0..<10 {
            let isOdd = index == 4
            let flow = FlowBuilder(id: FlowID(high: UInt64(index), low: 1))
                .request("PUT / HTTP/1.1\r\nHost: a\r\n\r\n", content: ByteBuffer(string: "7 bytes"))
                .response(
                    "HTTP/1.1 200 OK\r\n\r\n", content: ByteBuffer(repeating: 0x61, count: isOdd ? 50_000 : 20),
                    at: isOdd ? 9000 : 3
                )
                .ended(at: isOdd ? 11_000 : 4)
            try writer.append(contentsOf: flow.events)
            try writer.flush()
        }
        try writer.close()
        try withTemporaryDirectory { directory in
            try write(storage.bytes, to: directory + "/a.mflow")
            let reader = try ArchiveReader(path: directory + "/a.mflow", where: try FlowFilter(expression))
            let found = try QueriedFile.flows(of: reader)
            #expect(reader.blocksRead == blocks)
            #expect(found.count == Int(blocks))
        }
    }

    @Test("Files of earlier writers answer as well")
    func earlierFiles() throws {
        let directory = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Fixtures/archives/v1")
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path).filter {
            $0.hasSuffix(".mflow") && !["damaged.mflow", "torn.mflow"].contains($0)
        }
        #expect(names.count > 10)
        for name in names {
            let file = try QueriedFile(path: directory.appending(path: name).path)
            for (name, arguments) in Expressions.arguments {
                _ = try file.check(Expressions.expression(name, arguments[0]), jobs: [1])
            }
        }
    }

    @Test("A random expression finds by plan what it finds flow by flow", arguments: [UInt64(91), 92])
    func random(seed: UInt64) throws {
        try withTemporaryDirectory { directory in
            let file = try QueriedFile(in: directory, seed: seed)
            var expressions = Expressions(random: SeededGenerator(seed: seed))
            var (found, skipped) = (0, UInt64(0))
            for index in 0..<60 {
                let answer = try file.check(expressions.next(), jobs: index % 4 == 0 ? [1, 3] : [1], counts: index % 4 == 1)
                found += answer.found
                skipped += answer.skipped
            }
            #expect(found > 300)
            #expect(skipped > 30)
        }
    }
}
