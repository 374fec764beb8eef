// Flows of every kind for tests of tables, in memory and in a file.

import FlowArchive
import FlowModel
import FlowTable
import HTTPSemantics
import NIOCore
import Synchronization
import TestSupport

enum TableFlows {
    private static func client(tls: Bool) -> Shared<ClientConnection> {
        var client = ClientConnection(
            id: ConnectionID(high: 7, low: 7), peer: Endpoint(host: "10.0.0.9", port: 4711),
            local: Endpoint(host: "10.0.0.1", port: 8080),
            opened: FlowBuilder.start, mode: "regular")
        if tls {
            var details = TLSDetails()
            details.version = "TLSv1.3"
            details.serverName = "api.example"
            details.alpn = "h2"
            details.ja4 = "t13d1516h2_8daaf6152771_e5627efa2ab1"
            client.tls = details
        }
        return Shared(client)
    }

    private static func id(_ number: Int) -> FlowID { FlowID(high: 0x0192_0000_0000_7000, low: UInt64(number)) }

    /// An exchange over TLS with all that a flow has.
    static var exchange: FlowBuilder {
        var ending = FlowEnding(state: .complete)
        ending.tags = ["slow", "imported:har"]
        return FlowBuilder(
            id: id(1), client: client(tls: true), target: FlowTarget(scheme: "https", host: "10.1.1.1", port: 8443)
        )
        .request(
            "POST /a,b?q=\"1\"&r=2 HTTP/1.1\r\nHost: api.example:8443\r\nContent-Type: Application/JSON; charset=utf-8\r\nX-A: 1\r\nx-a: 2\r\n\r\n",
            content: ByteBuffer(string: "{}"), at: 2
        )
        .response("HTTP/1.1 503 No\r\nContent-Type: text/html\r\nServer: s\r\n\r\n", content: ByteBuffer(string: "hello"), at: 12)
        .ended(ending, at: 30)
    }

    static var http2: FlowBuilder {
        FlowBuilder(id: id(2), client: client(tls: true), target: FlowTarget(scheme: "https", host: "api.example", port: 443))
            .request(":method: GET\r\n:scheme: https\r\n:authority: api.example\r\n:path: /users/17\r\n\r\n", at: 0)
            .response(":status: 200\r\ncontent-type: image/png\r\n\r\n", at: 5).ended(at: 6)
    }

    static var refused: FlowBuilder {
        var ending = FlowEnding(state: .failed)
        ending.error = FlowError(side: .server, message: "connection refused\nby b", at: FlowBuilder.start)
        return FlowBuilder(id: id(3), client: client(tls: false)).request("GET http://b/x?y HTTP/1.0\r\n\r\n").ended(ending, at: 1)
    }

    static var stream: FlowBuilder {
        FlowBuilder(.tcp, id: id(4), client: client(tls: false), target: FlowTarget(scheme: "tcp", host: "db", port: 5432))
            .data(ByteBuffer(string: "ping"), from: .client, at: 1).data(ByteBuffer(string: "pong!"), from: .server, at: 2).ended(
                at: 3)
    }

    static var passedThrough: FlowBuilder {
        var ending = FlowEnding(state: .complete)
        ending.passthrough = PassthroughSizes(fromClient: 100, fromServer: 2000)
        return FlowBuilder(.tcp, id: id(5), client: client(tls: false), target: FlowTarget(scheme: "tls", host: "c", port: 443))
            .ended(ending, at: 9)
    }

    static var webSocket: FlowBuilder {
        FlowBuilder(id: id(6), client: client(tls: false))
            .request("GET /chat HTTP/1.1\r\nHost: a\r\n\r\n").response("HTTP/1.1 101 Switching Protocols\r\n\r\n", at: 1)
            .event(.piece(FlowPiece(kind: .text, from: .client, content: ByteBuffer(string: "hello"))), at: 2)
            .event(.piece(FlowPiece(kind: .binary, from: .server, content: ByteBuffer(string: "01234567"), wireSize: 6)), at: 3)
            .ended(at: 1000)
    }

    /// It has no end.
    static var open: FlowBuilder {
        FlowBuilder(id: id(7), client: client(tls: false)).request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", isWhole: false)
    }

    static var all: [FlowBuilder] { [exchange, http2, refused, stream, passedThrough, webSocket, open] }

    /// Many flows with random facts.
    static func random(_ count: Int, seed: UInt64) -> [FlowBuilder] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { index in
            let host = ["a.example", "b.example", "c.example", "d, \"quoted\"", "e.example"].randomElement(using: &random)!
            let status = [200, 200, 200, 204, 301, 404, 500, 503].randomElement(using: &random)!
            let milliseconds = Int64(1 << Int.random(in: 0..<14, using: &random)) + Int64.random(in: 0..<50, using: &random)
            let body = ByteBuffer(repeating: 0x61, count: Int.random(in: 0..<3000, using: &random))
            let start = FlowBuilder.start.advanced(byNanoseconds: Int64.random(in: 0..<600_000_000_000, using: &random))
            let builder = FlowBuilder(
                id: id(1000 + index), at: start, target: FlowTarget(scheme: "http", host: host, port: 80)
            )
            .request(
                "\(["GET", "POST"].randomElement(using: &random)!) /items/\(Int.random(in: 0..<40, using: &random)) HTTP/1.1\r\n\r\n"
            )
            if Int.random(in: 0..<20, using: &random) == 0 {
                var ending = FlowEnding(state: .failed)
                ending.error = FlowError(side: nil, message: "reset", at: start)
                return builder.ended(ending, at: milliseconds)
            }
            return builder.response("HTTP/1.1 \(status) X\r\nContent-Type: text/plain\r\n\r\n", content: body, at: 1).ended(
                at: milliseconds)
        }
    }
}

/// A flow file in memory.
final class FileInMemory: ArchiveStorage {
    private(set) var bytes = ByteBuffer()

    init(_ flows: [FlowBuilder], blockTarget: Int = 512 * 1024) throws {
        var options = ArchiveOptions()
        options.blockTarget = blockTarget
        let writer = try ArchiveWriter(storage: self, options: options, now: FlowBuilder.start)
        for flow in flows { try writer.append(contentsOf: flow.events) }
        try writer.close()
    }

    func append(_ bytes: ScatteredBytes) throws(ArchiveError) -> Int {
        for part in bytes.buffers { self.bytes.writeImmutableBuffer(part) }
        return bytes.count
    }
    func sync() throws(ArchiveError) {}
    func close() throws(ArchiveError) {}
}

/// The values of keys in flows, taken where a reader evaluates its predicate.
final class RowsInPlace: FlowPredicate {
    private let keys: [FlowKey]
    private let found = Mutex<[String: [String]]>([:])

    init(_ keys: [FlowKey]) { self.keys = keys }

    /// By identifier.
    var rows: [String: [String]] { found.withLock { $0 } }

    func matches(_ flow: some FlowAttributes) throws -> Bool {
        let row = try keys.map { String(buffer: try $0.value(of: flow).bytes) }
        found.withLock { $0[flow.id.description] = row }
        return true
    }
}
