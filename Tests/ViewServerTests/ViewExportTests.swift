// Exports after redaction: the same flows as mitm-filter writes with the same rules.

import FlowArchive
import FlowFilter
import FlowModel
import Foundation
import HTTPSemantics
import JSONQuery
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import FlowView
@testable import ViewServer

@Suite("Exports of a view after redaction")
struct ViewExportTests {
    private static let secret = "s3cr3t-of-a-test"
    private static let flow = FlowBuilder(id: FlowID(high: 1, low: 1))
        .request(
            "POST /login?token=\(secret) HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(secret)\r\nContent-Type: application/json\r\n\r\n",
            content: ByteBuffer(string: "{\"user\":\"eve\",\"password\":\"\(secret)\"}")
        )
        .response("HTTP/1.1 200 OK\r\nSet-Cookie: session=\(secret)\r\n\r\n", at: 5).ended(at: 9)

    private func api(_ index: FlowIndex, configuration: String = "/dev/null/none") -> ViewAPI {
        let api = ViewAPI(
            index, ViewOptions(environment: FilterEnvironment(), version: "1", configuration: configuration))
        _ = api.response(
            to: HTTPRequestHead(version: .http1_1, method: .POST, uri: "/api/1/views"), ByteBuffer(string: "{}"))
        return api
    }

    private func body(_ api: ViewAPI, _ target: String) throws -> (status: UInt, bytes: ByteBuffer) {
        let response = api.response(
            to: HTTPRequestHead(version: .http1_1, method: .GET, uri: "/api/1/" + target), ByteBuffer())
        var bytes = ByteBuffer()
        switch response.body {
        case .bytes(let whole): bytes = whole
        case .stream(let write): try write { bytes.writeImmutableBuffer($0) }
        }
        return (response.status.code, bytes)
    }

    private var inMemory: FlowIndex {
        let index = FlowIndex()
        _ = index.addSource("memory")
        index.add(Self.flow.flow)
        index.noteComplete()
        return index
    }

    /// The flows and the rules of a flow file.
    private func read(_ archive: ByteBuffer) throws -> (flows: [Flow], rules: [String]) {
        try withTemporaryDirectory { directory in
            let path = directory + "/export.mflow"
            try Data(archive.readableBytesView).write(to: URL(fileURLWithPath: path))
            let reader = try ArchiveReader(path: path)
            var flows: [Flow] = []
            while let item = try reader.next() { if case .flow(let flow) = item { flows.append(flow) } }
            for item in try reader.finish() { if case .flow(let flow) = item { flows.append(flow) } }
            return (flows, reader.redactionRules)
        }
    }

    @Test("Each format has the flows without what the rules hide", arguments: ["json", "har", "curl", "http", "mitmproxy"])
    func formats(format: String) throws {
        let api = api(inMemory)
        let stored = try body(api, "views/v1/export?format=\(format)")
        let redacted = try body(api, "views/v1/export?format=\(format)&redact=default")
        #expect(String(buffer: stored.bytes).contains(Self.secret))
        #expect(redacted.status == 200)
        #expect(!String(buffer: redacted.bytes).contains(Self.secret))
        #expect(String(buffer: redacted.bytes).contains("login"))
    }

    @Test("A flow file names the rules, and those that its inputs name")
    func archives() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            var options = ArchiveOptions()
            options.redactionRules = ["header:x-other"]
            let writer = try ArchiveWriter(
                storage: try POSIXStorage.open(path: path, truncates: true), options: options, now: Timestamp(nanoseconds: 1))
            for event in Self.flow.events { try writer.append(event) }
            try writer.close()
            let index = FlowIndex()
            try IndexedFile(path: path, into: index).load(follows: false)
            index.noteComplete()
            let api = api(index)
            let stored = try read(body(api, "views/v1/export").bytes)
            let redacted = try read(body(api, "views/v1/export?redact=default&redact=query:token%3Ddrop").bytes)
            #expect(stored.rules == ["header:x-other"])
            #expect(stored.flows.first?.request?.head.fields.first("authorization") == ByteBuffer(string: "Bearer \(Self.secret)"))
            #expect(Set(redacted.rules) == ["default", "query:token=drop", "header:x-other"])
            #expect(redacted.flows.count == 1)
            #expect(
                redacted.flows.first?.request?.head.fields.first("authorization") == ByteBuffer(string: "Bearer «redacted»"))
            #expect(redacted.flows.first?.request?.head.target == ByteBuffer(string: "/login?"))
        }
    }

    @Test("A single flow is copied after redaction", arguments: ["curl", "http", "json"])
    func copies(form: String) throws {
        let api = api(inMemory)
        #expect(try String(buffer: body(api, "flows/0/\(form)").bytes).contains(Self.secret))
        #expect(try !String(buffer: body(api, "flows/0/\(form)?redact=default").bytes).contains(Self.secret))
    }

    @Test("A rule that is not valid is reported with its own error")
    func mistakes() throws {
        let api = api(inMemory)
        for target in ["views/v1/export?format=har&redact=default&redact=heading%3Ax", "flows/0/curl?redact=heading%3Ax"] {
            let refused = try body(api, target)
            #expect(refused.status == 422)
            #expect(String(buffer: refused.bytes).hasPrefix("{\"error\":\"the redaction rule 'heading:x' is not valid: "))
        }
        #expect(try body(api, "flows/0/curl?redact=").status == 422)
    }

    @Test("Equal values have equal hashes, with the key of the configuration directory")
    func hashes() throws {
        try withTemporaryDirectory { directory in
            let api = api(inMemory, configuration: directory)
            let first = try body(api, "flows/0/json?redact=header:authorization%3Dhash")
            let second = try body(api, "views/v1/export?format=json&redact=header:authorization%3Dhash")
            #expect(String(buffer: first.bytes).contains("«redacted:"))
            #expect(String(buffer: first.bytes) == String(buffer: second.bytes))
            #expect(try body(self.api(inMemory), "flows/0/json?redact=header:authorization%3Dhash").status == 500)
        }
    }

    @Test("The content of a large body is sent in parts, as text and in base64", arguments: [true, false])
    func largeBodies(isText: Bool) throws {
        let unit = ByteBuffer(
            bytes: isText ? Array((String(repeating: "0123456789", count: 20) + " \"äöü\"\n").utf8) : Array(0...254))
        var content = ByteBuffer()
        while content.readableBytes < 5 << 18 { content.writeImmutableBuffer(unit) }
        let index = FlowIndex()
        index.add(
            FlowBuilder(id: FlowID(high: 1, low: 1)).request("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .response("HTTP/1.1 200 OK\r\n\r\n", content: content).ended(at: 1).flow)
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/api/1/flows/0/json")
        guard case .stream(let write) = api(index).response(to: head, ByteBuffer()).body else { return #expect(Bool(false)) }
        var (joined, longest) = (ByteBuffer(), 0)
        try write {
            joined.writeImmutableBuffer($0)
            longest = max(longest, $0.readableBytes)
        }
        #expect(longest < content.readableBytes)
        let body = JSONTree(parsing: joined)?["response"]?["body"]
        let written = body?[isText ? "text" : "base64"]?.string?.text
        let isEqual =
            written
            == (isText ? String(buffer: content) : unsafe content.withUnsafeReadableBytes { unsafe Data($0) }.base64EncodedString())
        #expect(isEqual)
    }
}
