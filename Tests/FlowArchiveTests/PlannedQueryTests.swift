// Expressions of the filter language on files: skipping blocks by their headers must not change an answer.

import FlowArchive
import FlowFilter
import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// Tests each flow, and never skips a block.
private struct EachFlow: FlowPredicate {
    var filter: FlowFilter
    func matches(_ flow: some FlowAttributes) throws -> Bool { try filter.matches(flow) }
}

/// Requests to many hosts in every form of a target, each run of them to few hosts.
private struct Requests {
    static let hosts = [
        "api.example", "www.example", "API.example", "a.b.api.example", "10.0.0.1", "10.0.0.2", "fd00::1", "x-y.test",
    ]
    static let methods = ["GET", "POST", "PUT", "BREW", "get"]
    private var samples = SampleFlows(seed: 71, certificates: 0)
    private var random = SeededGenerator(seed: 72)

    mutating func next(hosts: ArraySlice<String>, methods: ArraySlice<String>) -> [FlowEvent] {
        let (host, named) = (hosts.randomElement(using: &random)!, hosts.randomElement(using: &random)!)
        let port = ["", ":8443", ":80"].randomElement(using: &random)!
        let bracketed = named.contains(":") ? "[\(named)]" : named
        let target = ["/p", "http://\(bracketed)\(port)/p", "http://me:x@\(bracketed)/p?u=http://www.example/", "*"].randomElement(
            using: &random)!
        let method = methods.randomElement(using: &random)!
        let authority = (hosts.randomElement(using: &random)! + port).replacing("fd00::1", with: "[fd00::1]")
        return samples.next(kind: 0).map { event in
            var event = event
            switch event.what {
            case .opened(var opening):
                opening.target = FlowTarget(scheme: ["http", "https"].randomElement(using: &random)!, host: host, port: 80)
                event.what = .opened(opening)
            case .request:
                let head = "\(method) \(target) HTTP/1.1\r\nHost: \(authority)\r\n\r\n"
                event.what = .request(RequestHead(parsing: ByteBuffer(string: head), version: .http1_1))
            default: break
            }
            return event
        }
    }

    /// An expression of the operators that a block's header answers, and of others.
    mutating func expression(depth: Int = 2) -> String {
        let host = Self.hosts.randomElement(using: &random)!
        let pattern = host.replacing(".", with: Bool.random(using: &random) ? "." : "\\.")
        switch depth == 0 ? Int.random(in: 0..<5, using: &random) : Int.random(in: 0..<8, using: &random) {
        case 0: return "~d '\(["", "^"].randomElement(using: &random)!)\(pattern)\(["", "$", ":"].randomElement(using: &random)!)'"
        case 1: return "~m \(["G", "^P", "PUT", "brew", "^get$", "(?-i)get"].map { "'\($0)'" }.randomElement(using: &random)!)"
        case 2:
            return
                "~u '^http\(["s?", "", "s"].randomElement(using: &random)!)://\(pattern)\(["/", ":", "/?", "\\/p"].randomElement(using: &random)!)'"
        case 3: return "~u '\(pattern)/'"
        case 4: return "~c \([200, 404, 418].randomElement(using: &random)!)"
        case 5: return "!(\(expression(depth: depth - 1)))"
        case 6: return "(\(expression(depth: depth - 1)) & \(expression(depth: depth - 1)))"
        default: return "(\(expression(depth: depth - 1)) | \(expression(depth: depth - 1)))"
        }
    }
}

@Suite("A filter put to a flow file")
struct PlannedQueryTests {
    @Test("Skipping blocks by their hosts, methods and statuses finds the same flows as testing each flow")
    func randomExpressions() throws {
        var requests = Requests()
        let events = (0..<240).flatMap { index -> [FlowEvent] in
            let (host, method) = (index / 30 % Requests.hosts.count, index / 60 % Requests.methods.count)
            return requests.next(
                hosts: Requests.hosts[host...min(host + 1, 7)], methods: Requests.methods[method...min(method + 1, 4)])
        }
        var options = ArchiveOptions()
        options.blockTarget = 8 * 1024
        let bytes = try archive(events, options: options)
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(bytes, to: path)
            var (skipped, found) = (UInt64(0), 0)
            for _ in 0..<100 {
                let expression = requests.expression()
                let filter = try FlowFilter(expression)
                let reader = try ArchiveReader(path: path, where: filter)
                let planned = try readAll(reader)
                let whole = try readAll(try ArchiveReader(path: path, where: EachFlow(filter: filter)))
                #expect(planned == whole, "\(expression)")
                skipped += reader.blocksSkipped
                found += whole.flows.count
            }
            #expect(skipped > 300)
            #expect(found > 300)
        }
    }

    @Test("A block with more hosts than its header may list is asked flow by flow", arguments: [100, 400])
    func manyHosts(count: Int) throws {
        var requests = Requests()
        let hosts = (0..<count).map { "host-with-a-long-name-\($0).example" }
        let events = hosts.flatMap { host in requests.next(hosts: [host][...], methods: ["GET"]) }
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            var options = ArchiveOptions()
            options.blockTarget = 16 << 20
            try write(try archive(events, options: options), to: path)
            let reader = try ArchiveReader(path: path, where: try FlowFilter("~d nowhere"))
            #expect(try readAll(reader) == Reading())
            #expect((reader.blocksSkipped > 0) == (count == 100))
            let last = try readAll(try ArchiveReader(path: path, where: try FlowFilter("~d '^\(hosts[count - 1])$'")))
            #expect(last.flows.count == 1)
        }
    }
}
