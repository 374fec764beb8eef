// Flow files that are written again without all of their content.

import ContentLimit
import FlowArchive
import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import ToolSupport

@Suite("A flow file with limited content")
struct LimitedOutputTests {
    @Test("Bodies of stored flows, of flows in parts and of open ones are cut, and everything else is copied")
    func archive() throws {
        try withTemporaryDirectory { try archive(at: $0 + "/limited.mflow") }
    }

    private func archive(at path: String) throws {
        let exchange = FlowBuilder(id: FlowID(high: 1, low: 1)).request("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .response("HTTP/1.1 200 OK\r\n\r\n", content: ByteBuffer(repeating: 7, count: 100_000), at: 1).ended(at: 2)
        let open = FlowBuilder(.tcp, id: FlowID(high: 1, low: 2)).data(ByteBuffer(string: "ping"), from: .client)
        let output = FlowOutput(
            OutputFile(path, format: .mflow), format: .mflow, style: TextStyle(detail: 1, isColoured: false),
            limit: ContentLimit(maximum: 3))
        try output.begin()
        for flow in [exchange.flow, open.flow] { try output.take(flow) }
        _ = try output.finish()
        let reader = try ArchiveReader(path: path)
        var found: [String] = []
        func note(_ item: ArchiveItem) throws {
            guard case .flow(let flow) = item else { return }
            let cuts = [Side.client, .server].map { flow.cut(of: $0)?.size ?? 0 }
            let sizes = try [Side.client, .server].map { try flow.contentSize(from: $0) ?? 0 }
            let stored = try flow.pieces.content(from: flow.kind == .tcp ? .client : .server)
            found.append("\(flow.kind) \(flow.state) \(cuts) \(sizes) \(stored.readableBytes)")
        }
        while let item = try reader.next() { try note(item) }
        for item in try reader.finish() { try note(item) }
        #expect(found == ["http complete [0, 100000] [0, 100000] 3", "tcp incomplete [4, 0] [4, 0] 3"])
    }

    @Test("The two options exclude each other, and each makes a limit")
    func arguments() throws {
        #expect(try BodyArguments.parse(["--body-limit", "64k"]).limit == ContentLimit(maximum: 65536))
        #expect(try BodyArguments.parse(["--only-metadata"]).limit == .onlyMetadata)
        #expect(try BodyArguments.parse([]).limit == nil && BodyArguments.parse([]).makers.isEmpty)
        #expect(throws: (any Error).self) { try BodyArguments.parse(["--only-metadata", "--body-limit", "1"]) }
    }
}
