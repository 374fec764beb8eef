// A view and its clients, over sockets: who is answered, and the bounds of what clients can use.

import FlowFilter
import FlowModel
import HTTPSemantics
import NIOCore
import NIOPosix
import Synchronization
import TestSupport
import Testing

@testable import FlowView
@testable import ViewServer

@Suite("A view and its clients", .timeLimit(.minutes(1)))
struct ViewServerTests {
    private static let secret = "5ec2e7"

    /// A view of one flow, and what its clients receive.
    private struct Served {
        let server: ViewServer
        let index: FlowIndex

        /// - Parameter isComplete: all of the recording is read.
        init(_ limits: ViewLimits = ViewLimits(), isComplete: Bool = true) throws {
            index = FlowIndex()
            index.add(
                FlowBuilder(id: FlowID(high: 1, low: 1)).request("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
                    .response("HTTP/1.1 200 OK\r\n\r\n", content: ByteBuffer(string: "hello"), at: 1).ended(at: 2).flow)
            if isComplete { index.noteComplete() }
            server = try ViewServer(
                index, ViewOptions(environment: FilterEnvironment(), version: "1", configuration: "/dev/null/none"),
                host: "127.0.0.1", port: 0, secret: secret, limits: limits)
        }

        func connect() async throws -> Client { try await Client(port: server.port) }

        /// The response to a request whose first line and additional fields are given.
        func response(_ line: String, _ fields: [String] = [], body: String = "") async throws -> String {
            let client = try await connect()
            let named = fields.contains { $0.hasPrefix("Host:") } ? fields : fields + ["Host: 127.0.0.1:\(server.port)"]
            let length = body.isEmpty ? [] : ["Content-Length: \(body.utf8.count)"]
            try await client.send(([line] + named + length + ["Connection: close", "", ""]).joined(separator: "\r\n") + body)
            return try await client.received { _ in false }
        }

        func status(_ line: String, _ fields: [String] = [], body: String = "") async throws -> Int? {
            try await Int(response(line, fields, body: body).dropFirst(9).prefix(3))
        }
    }

    private let bearer = "Authorization: Bearer \(secret)"

    @Test("Only requests to this view, from its page or a program that has the secret, are answered")
    func attacks() async throws {
        let view = try Served()
        defer { view.server.shutDown() }
        let (port, call) = (view.server.port, "GET /api/1/status HTTP/1.1")
        let requests: [(String, [String], Int)] = [
            (call, [bearer], 200), (call, [], 401), (call, ["Authorization: Bearer x"], 401),
            (call, ["Cookie: mitm-view-\(port)=\(Self.secret)"], 200), (call, ["Cookie: mitm-view-\(port)=x"], 401),
            ("GET / HTTP/1.1", [], 200), ("POST /session HTTP/1.1", [], 401), ("POST /session HTTP/1.1", [bearer], 200),
            ("GET / HTTP/1.1", ["Host: evil.example:\(port)"], 403), (call, [bearer, "Host: evil.example:\(port)"], 403),
            (call, [bearer, "Origin: http://evil.example"], 403), (call, [bearer, "Origin: http://127.0.0.1:\(port)"], 200),
            (call, [bearer, "Sec-Fetch-Site: cross-site"], 403), ("GET / HTTP/1.1", ["Sec-Fetch-Site: same-site"], 403),
            ("GET http://127.0.0.1:\(port)/api/1/status HTTP/1.1", [bearer], 403),
            ("CONNECT 127.0.0.1:\(port) HTTP/1.1", [bearer], 403), ("DELETE /api/1/status HTTP/1.1", [bearer], 405),
            ("OPTIONS / HTTP/1.1", [], 405),
        ]
        for (line, fields, status) in requests { #expect(try await view.status(line, fields) == status, "\(line) \(fields)") }
    }

    @Test("A browser that is started has a code for one session, and nothing else is opened by it")
    func codes() async throws {
        let view = try Served()
        defer { view.server.shutDown() }
        let code = try #require(view.server.addressForBrowser().split(separator: "#k=").last)
        #expect(code.count == 64)
        let field = "Authorization: Bearer \(code)"
        #expect(try await view.status("GET /api/1/status HTTP/1.1", [field]) == 401)
        #expect(try await view.status("POST /session HTTP/1.1", [field, "Origin: http://evil.example"]) == 403)
        let opened = try await view.response("POST /session HTTP/1.1", [field])
        #expect(
            opened.contains("\r\nSet-Cookie: mitm-view-\(view.server.port)=\(Self.secret); HttpOnly; SameSite=Strict; Path=/\r\n"))
        #expect(try await view.status("POST /session HTTP/1.1", [field]) == 401)
    }

    @Test("A WebSocket needs the secret, this host and the origin of the page")
    func webSockets() async throws {
        let view = try Served()
        defer { view.server.shutDown() }
        let port = view.server.port
        let upgrade = [
            "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        let own = "Origin: http://127.0.0.1:\(port)"
        let requests: [(String, [String], String)] = [
            ("/api/1/live", [bearer, own], "101"), ("/api/1/live", [own], "401"), ("/api/1/live", [bearer, "Origin: null"], "403"),
            ("/api/1/live", [bearer, "Origin: http://evil.example"], "403"),
            ("/api/1/live", [bearer, "Host: evil.example:\(port)"], "403"),
            ("/api/1/live", [bearer, "Sec-Fetch-Site: cross-site"], "403"), ("/api/1/else", [bearer, own], "404"),
        ]
        for (path, fields, status) in requests {
            let client = try await view.connect()
            let named = fields.contains { $0.hasPrefix("Host:") } ? fields : fields + ["Host: 127.0.0.1:\(port)"]
            try await client.send((["GET \(path) HTTP/1.1"] + named + upgrade + ["", ""]).joined(separator: "\r\n"))
            let response = try await client.received { $0.contains("\r\n\r\n") }
            #expect(response.hasPrefix("HTTP/1.1 \(status) "), "\(path) \(fields)")
            try await client.close()
        }
    }

    @Test("A request that is too large is refused before it ends, and a head that is too large too")
    func largeRequests() async throws {
        let view = try Served()
        defer { view.server.shutDown() }
        let client = try await view.connect()
        try await client.send(
            "POST /api/1/views HTTP/1.1\r\nHost: 127.0.0.1:\(view.server.port)\r\n\(bearer)\r\nContent-Length: 99999999\r\n\r\n"
                + String(repeating: " ", count: 70_000))
        #expect(try await client.received { _ in false }.hasPrefix("HTTP/1.1 413 "))
        #expect(try await view.status("POST /api/1/views HTTP/1.1", [bearer], body: String(repeating: " ", count: 60_000)) == 400)
        let long = String(repeating: "x", count: 200_000)
        #expect(try await view.response("GET /?\(long) HTTP/1.1").hasPrefix("HTTP/1.1 400 "))
    }

    @Test("A connection without a whole request is closed after a time, and not while it is answered")
    func slowRequests() async throws {
        var limits = ViewLimits()
        limits.requestTime = .seconds(1)
        let view = try Served(limits, isComplete: false)
        defer { view.server.shutDown() }
        #expect(try await view.status("POST /api/1/views HTTP/1.1", [bearer], body: "{}") == 201)
        let answered = try await view.connect()
        try await answered.send(
            "GET /api/1/views/v1/export?format=json HTTP/1.1\r\nHost: 127.0.0.1:\(view.server.port)\r\n\(bearer)\r\nConnection: close\r\n\r\n"
        )
        let silent = try await view.connect()
        #expect(try await silent.received { _ in false } == "")
        let slow = try await view.connect()
        try? await slow.send("GET / HTTP/1.1\r\nHost:")
        #expect(try await !slow.received { _ in false }.contains("200 OK"))
        // The export has waited for longer than that.
        view.index.noteComplete()
        view.server.advance()
        #expect(try await answered.received { _ in false }.hasPrefix("HTTP/1.1 200 OK"))
    }

    @Test("More connections than the limit are closed, and there is room again when one has ended")
    func manyConnections() async throws {
        var limits = ViewLimits()
        limits.connections = 2
        let view = try Served(limits)
        defer { view.server.shutDown() }
        let request = "GET /icon.svg HTTP/1.1\r\nHost: 127.0.0.1:\(view.server.port)\r\n\r\n"
        let kept = [try await view.connect(), try await view.connect()]
        for client in kept {
            try await client.send(request)
            #expect(try await client.received { $0.contains("</svg>") }.hasPrefix("HTTP/1.1 200 OK"))
        }
        let refused = try await view.connect()
        #expect(try await refused.received { _ in false } == "")
        try await kept[0].send("GET / HTTP/1.0\r\n\r\n")
        _ = try await kept[0].received { _ in false }
        #expect(try await view.status("GET / HTTP/1.1") == 200)
    }

    @Test("More files than the limit are not sent at a time; one whose list is closed is an error and not an empty file")
    func manyFiles() async throws {
        var limits = ViewLimits()
        limits.streams = 1
        let view = try Served(limits, isComplete: false)
        defer { view.server.shutDown() }
        #expect(try await view.status("POST /api/1/views HTTP/1.1", [bearer], body: "{}") == 201)
        let waiting = try await view.connect()
        try await waiting.send(
            "GET /api/1/views/v1/export HTTP/1.1\r\nHost: 127.0.0.1:\(view.server.port)\r\n\(bearer)\r\nConnection: close\r\n\r\n")
        // The recording is not read to its end, so the export waits.
        while try await view.status("GET /api/1/flows/0/raw/response HTTP/1.1", [bearer]) != 503 {}
        #expect(try await view.status("POST /api/1/views HTTP/1.1", [bearer], body: "{\"replaces\":\"v1\"}") == 201)
        #expect(try await waiting.received { _ in false }.hasPrefix("HTTP/1.1 410 "))
        while try await view.status("GET /api/1/flows/0/raw/response HTTP/1.1", [bearer]) != 200 {}
    }

    @Test("A file of the page is compressed on the wire")
    func compression() async throws {
        let view = try Served()
        defer { view.server.shutDown() }
        let response = try await view.response("GET /app.js HTTP/1.1", ["Accept-Encoding: gzip, br"])
        #expect(response.contains("\r\nContent-Encoding: gzip\r\n"))
    }
}

/// A client of a socket.
private final class Client: Sendable {
    private let channel: any Channel
    private let gatherer: Gatherer

    init(port: Int) async throws {
        let gatherer = Gatherer()
        self.gatherer = gatherer
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { $0.pipeline.addHandler(gatherer) }
            .connect(host: "127.0.0.1", port: port).get()
    }

    func send(_ text: String) async throws { try await channel.writeAndFlush(ByteBuffer(string: text)) }
    func close() async throws { try await channel.close() }

    /// What was received since the last call, when it is enough or the server has closed the connection.
    func received(_ isEnough: @escaping @Sendable (String) -> Bool) async throws -> String {
        try await gatherer.wait(isEnough, on: channel.eventLoop).get()
    }
}

private final class Gatherer: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    private struct State {
        var bytes = ByteBuffer()
        var isClosed = false
        var waiting: (isEnough: @Sendable (String) -> Bool, promise: EventLoopPromise<String>)?

        mutating func finish() {
            let text = String(buffer: bytes)
            guard let waiting, isClosed || waiting.isEnough(text) else { return }
            self.waiting = nil
            bytes.clear()
            waiting.promise.succeed(text)
        }
    }

    private let state = Mutex(State())

    func wait(_ isEnough: @escaping @Sendable (String) -> Bool, on loop: any EventLoop) -> EventLoopFuture<String> {
        let promise = loop.makePromise(of: String.self)
        state.withLock { state in
            state.waiting = (isEnough, promise)
            state.finish()
        }
        return promise.futureResult
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        state.withLock { state in
            state.bytes.writeImmutableBuffer(unwrapInboundIn(data))
            state.finish()
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        state.withLock { state in
            state.isClosed = true
            state.finish()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
