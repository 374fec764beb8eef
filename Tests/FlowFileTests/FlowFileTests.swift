// The library as a program outside of this package uses it: by its public declarations alone.

import FlowFile
import Foundation
import TestSupport
import Testing

private let archives: String = {
    var directory = URL(filePath: #filePath)
    for _ in "Tests/FlowFileTests/FlowFileTests.swift".split(separator: "/") { directory.deleteLastPathComponent() }
    return directory.path + "/Fixtures/archives/v1/"
}()

private let start = Timestamp(nanoseconds: 1_700_000_000_000_000_000)

/// A flow in one line.
private func line(_ flow: Flow) throws -> String {
    var line = "\(flow.kind) \(flow.state) \(flow.scheme)://\(flow.host):\(flow.port)"
    if let request = flow.request { line += " \(request.method) \(request.target) \(request.version) \(request.size)" }
    if let response = flow.response { line += " \(response.status) \(response.headers.count) \(response.size)" }
    var data = flow.data
    while let element = try data.next() { line += " \(element.side)>\(element.kind):\(element.count)" }
    return line
}

private func lines(_ path: String, where filter: Filter? = nil) throws -> [String] {
    let reader = try FlowFileReader(path: path, where: filter)
    var lines: [String] = []
    while let flow = try reader.next() { lines.append(try line(flow)) }
    return lines
}

private func exchange(_ target: String = "/", status: Int = 200, _ content: String = "ok", headers: HeaderFields = [:]) -> Flow {
    Flow(
        Request(method: "GET", target: target, headers: ["Host": "a.example"]),
        Response(status: status, reason: "Fine", headers: headers), responseContent: Array(content.utf8), scheme: "https",
        host: "a.example",
        started: start, ended: start + .milliseconds(5))
}

private let conversation = Flow(
    Request(method: "GET", target: "/chat", headers: ["Host": "a.example", "Upgrade": "websocket"]), Response(status: 101),
    messages: [
        FlowData(.text, from: .client, Array("hi".utf8), at: start + .milliseconds(7)),
        FlowData(.binary, from: .server, [1, 2, 3], at: start + .milliseconds(8)),
    ], host: "a.example", port: 8080, started: start, ended: start + .milliseconds(5))

private let stream = Flow(
    tcp: [FlowData(from: .client, [1], at: start), FlowData(from: .server, [2, 3], at: start + .seconds(1))], host: "db",
    port: 5432,
    started: start, ended: start + .seconds(2))

private func write(_ flows: [Flow], to path: String, existing: FlowFileWriter.ExistingFile = .append) throws {
    let writer = try FlowFileWriter(path: path, existing: existing)
    for flow in flows { try writer.write(flow) }
    try writer.close()
}

@Suite("The library FlowFile")
struct FlowFileTests {
    @Test("What is written is read again")
    func roundTrip() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            let flows = [exchange(), conversation, stream]
            try write(flows, to: path)
            let expected = [
                "http complete https://a.example:443 GET / HTTP/1.1 0 200 0 2 server>bytes:2",
                "http complete http://a.example:8080 GET /chat HTTP/1.1 0 101 0 0 client>text:2 server>binary:3",
                "tcp complete tcp://db:5432 client>bytes:1 server>bytes:2",
            ]
            #expect(try flows.map(line) == expected)
            #expect(try lines(path) == expected)
            let reader = try FlowFileReader(path: path)
            let first = try #require(try reader.next())
            #expect(first.id == flows[0].id)
            #expect(first.url == "https://a.example/")
            #expect(first.request?.head == Array("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".utf8))
            #expect(first.response?.reason == "Fine")
            #expect(first.ended.map { $0 - first.started } == .milliseconds(5))
            #expect(try first.content(from: .server) == Array("ok".utf8))
            #expect(try first.content(from: .server, maximum: 1) == Array("o".utf8))
        }
    }

    @Test("A flow that was read can be annotated and written to another file")
    func copies() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            let reader = try FlowFileReader(path: archives + "every-kind.mflow")
            let writer = try FlowFileWriter(path: path)
            var written: [String] = []
            while var flow = try reader.next() {
                flow.comment = "seen"
                flow.tags.append("copy")
                try writer.write(flow)
                written.append(try line(flow) + " \(flow.tags)")
            }
            try writer.close()
            let again = try FlowFileReader(path: path)
            var read: [String] = []
            try again.forEach { flow in
                #expect(flow.comment == "seen")
                read.append(try line(flow) + " \(flow.tags)")
            }
            #expect(written.count == 8)
            #expect(read == written)
        }
    }

    @Test("A copy names the rules of redaction of the files that its flows come from, each once")
    func redactionRules() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            let writer = try FlowFileWriter(path: path)
            let reader = try FlowFileReader(paths: [
                archives + "redacted.mflow", archives + "http.mflow", archives + "redacted.mflow",
            ])
            try reader.forEach { try writer.write($0) }
            let rules = reader.redactionRules
            #expect(!rules.isEmpty && Set(rules).count == rules.count)
            writer.add(redactionRules: rules)
            writer.add(redactionRules: rules)
            try writer.close()
            let again = try FlowFileReader(path: path)
            try again.forEach { _ in }
            #expect(again.redactionRules == rules)
        }
    }

    @Test("Facts of connections come with the flows")
    func connections() throws {
        let flow = try #require(try FlowFileReader(path: archives + "http.mflow").next())
        let client = try #require(flow.client)
        let server = try #require(flow.server)
        #expect(client.mode == "regular")
        #expect(client.local?.description == "127.0.0.1:8080")
        #expect(server.target?.port == 443)
        #expect(server.peer?.host.hasPrefix("192.0.2.") == true)
        #expect((server.tls?.certificates.count ?? 2) == 2)
    }

    @Test(
        "A filter chooses, and one that is not valid says where",
        arguments: [
            ("~c 500", ["/b"]), ("~u example/a | ~u example/c", ["/a", "/c"]), ("~websocket", []), ("~all", ["/a", "/b", "/c"]),
        ])
    func filter(expression: String, targets: [String]) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            let flows = [exchange("/a"), exchange("/b", status: 500), exchange("/c")]
            try write(flows, to: path)
            let filter = try Filter(expression)
            let reader = try FlowFileReader(path: path, where: filter)
            var found: [String] = []
            try reader.forEach { found.append($0.request?.target ?? "") }
            #expect(found == targets)
            #expect(try flows.filter { try filter.matches($0) }.compactMap(\.request?.target) == targets)
            #expect(throws: FilterError.self) { try Filter("~c (") }
            do throws(FilterError) { _ = try Filter("~u a & ~zzz b") } catch {
                #expect(error.offset == 7)
                #expect(error.description.hasSuffix("\n  ~u a & ~zzz b\n         ^"))
            }
        }
    }

    @Test(
        "Damage is reported beside the flows that can be read",
        arguments: [("torn", [.tornTail]), ("damaged", [.damagedBlock, .missingBlocks(1)]), ("http", [])]
            as [(String, [Damage.Kind])])
    func damage(file: String, kinds: [Damage.Kind]) throws {
        let reader = try FlowFileReader(path: archives + file + ".mflow")
        var flows = 0
        try reader.forEach { _ in flows += 1 }
        #expect(flows > 0)
        #expect(reader.damage.map(\.kind) == kinds)
    }

    @Test("Content codings are removed when asked for")
    func decoded() throws {
        // gzip of "hello".
        let coded: [UInt8] = [
            0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 7, 0, 0x86, 0xA6, 0x10, 0x36, 5, 0, 0, 0,
        ]
        func flow(_ coding: String, _ content: [UInt8]) -> Flow {
            Flow(
                Request(method: "GET", target: "/"), Response(status: 200, headers: ["Content-Encoding": coding]),
                responseContent: content,
                host: "a", started: start, ended: start)
        }
        #expect(try flow("gzip", coded).content(from: .server) == coded)
        #expect(try flow("gzip", coded).decodedContent(from: .server) == Array("hello".utf8))
        for broken in [flow("gzip", [1, 2, 3]), flow("sdch", coded)] {
            do throws(FlowFileError) {
                _ = try broken.decodedContent(from: .server)
                Issue.record("content that cannot be decoded was returned")
            } catch { #expect(error.kind == .undecodableContent) }
        }
    }

    @Test("Fields are found by name in any case, in their order")
    func fields() {
        let fields = HeaderFields([(name: "Set-Cookie", value: "a=1"), (name: "X", value: ""), (name: "set-cookie", value: "b=2")])
        #expect(fields.all("SET-COOKIE") == ["a=1", "b=2"])
        #expect(fields.first("x") == "")
        #expect(fields.first("Cookie") == nil)
        #expect(fields.pairs.map { "\($0.name)=\($0.value)" } == ["Set-Cookie=a=1", "X=", "set-cookie=b=2"])
        #expect(fields.count == 3)
    }

    @Test("A file of another kind is refused and stays as it is; a file has one writer")
    func refusals() throws {
        try withTemporaryDirectory { directory in
            let text = directory + "/text"
            try Data("a note".utf8).write(to: URL(filePath: text))
            func kind(_ body: () throws -> Void) -> FlowFileError.Kind? {
                do { try body() } catch { return (error as? FlowFileError)?.kind }
                return nil
            }
            #expect(kind { _ = try FlowFileWriter(path: text) } == .notAFlowFile)
            #expect(kind { _ = try FlowFileReader(path: text).next() } == .notAFlowFile)
            #expect(kind { _ = try FlowFileReader(path: directory + "/none") } == .system(ENOENT))
            #expect(try Data(contentsOf: URL(filePath: text)) == Data("a note".utf8))
            let first = try FlowFileWriter(path: directory + "/a.mflow")
            #expect(kind { _ = try FlowFileWriter(path: directory + "/a.mflow") } == .system(EWOULDBLOCK))
            try first.close()
        }
    }

    @Test("A file that is replaced stays until the writer is closed")
    func replaced() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write([exchange("/old")], to: path)
            let writer = try FlowFileWriter(path: path, existing: .replace)
            try writer.write(exchange("/new"))
            try writer.flush()
            #expect(try lines(path).count == 1)
            #expect(try lines(path, where: Filter("~u /old")).count == 1)
            try writer.close()
            #expect(try lines(path, where: Filter("~u /new")).count == 1)
            try write([exchange("/more")], to: path)
            #expect(try lines(path).count == 2)
        }
    }

    @Test("Content that is not all stored has the size and the digest of the whole")
    func truncated() throws {
        let reader = try FlowFileReader(path: archives + "cut-content.mflow")
        var found: [String] = []
        while let flow = try reader.next() {
            let cuts = [flow.truncation(of: .client), flow.truncation(of: .server)]
            found.append("\(flow.kind) \(cuts.map { $0?.size ?? 0 }) \(cuts.map { $0?.sha256?.count ?? 0 })")
            #expect(flow.response?.isComplete != true)
            var data = flow.data
            while let element = try data.next() {
                #expect(element.count <= 3 && element.wireSize >= UInt64(element.count))
                #expect((element.kind != .bytes) == (element.truncation != nil))
            }
        }
        #expect(found.count == 3 && found.allSatisfy { $0.hasSuffix(" [8589934592, 300] [32, 0]") })
    }

    @Test("The bytes of data can be read without a copy")
    func spans() {
        let data = FlowData(from: .client, [3, 4], at: start)
        #expect(data.withBytes { $0.count + Int($0[1]) } == 6)
        #expect(data.bytes == [3, 4])
    }

    @Test(
        "Flows that continue in the next file are returned once when both files are given, and as far as they are there when one is"
    )
    func severalFiles() throws {
        try withTemporaryDirectory { directory in
            let whole = try Data(contentsOf: URL(filePath: archives + "continued.mflow"))
            let signature = Data([0x50, 0x2A, 0x4D, 0x18, 24, 0, 0, 0]) + Data("mflow\r\n".utf8)
            var begins: [Int] = []
            var from = whole.startIndex
            while let found = whole.range(of: signature, in: from..<whole.endIndex) {
                begins.append(found.lowerBound)
                from = found.upperBound
            }
            #expect(begins.count == 3)
            let paths = zip(begins, begins.dropFirst() + [whole.endIndex]).enumerated().map { index, range in
                (path: "\(directory)/\(index).mflow", bytes: whole[range.0..<range.1])
            }
            for file in paths { try file.bytes.write(to: URL(filePath: file.path)) }
            let reader = try FlowFileReader(paths: paths.map(\.path))
            var found: [String] = []
            try reader.forEach { found.append(try line($0)) }
            #expect(try found == lines(archives + "continued.mflow"))
            // The second file is missing.
            let rest = try FlowFileReader(paths: [paths[0].path, paths[2].path])
            var states: [String: Int] = [:]
            try rest.forEach { states["\($0.state)", default: 0] += 1 }
            let alone = try lines(paths[0].path) + lines(paths[2].path)
            #expect(states.values.reduce(0, +) == alone.count && states["incomplete", default: 0] > 0)
            #expect(throws: FlowFileError.self) { _ = try FlowFileReader(paths: []) }
        }
    }
}
