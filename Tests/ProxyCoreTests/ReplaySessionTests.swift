// A recorded client's side, sent again to a server that a test plays.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import TLSEngine
import Testing
import WebSocketCodec

@testable import ProxyCore

/// A recorded flow that began and ended this many milliseconds after the start of the recording.
func recorded(
    _ head: String, body: String? = nil, from started: Int64 = 0, to ended: Int64 = 10, answer: String? = "HTTP/1.1 200 OK\r\n\r\n",
    version: HTTPVersion = .http1_1, pieces: [(Int64, FlowPiece)] = []
) -> Flow {
    func at(_ milliseconds: Int64) -> Timestamp { Timestamp(nanoseconds: 1_600_000_000_000_000_000 + milliseconds * 1_000_000) }
    let opening = FlowOpening(
        kind: head.isEmpty ? .tcp : .http, client: Shared(.unknown), target: FlowTarget(scheme: "http", host: "origin", port: 80),
        stream: StreamID(1))
    var assembler = FlowAssembler(id: FlowID(high: 1, low: UInt64(started)), at: at(started), opening: opening, keepsPieces: true)
    if !head.isEmpty {
        assembler.receive(.request(RequestHead(parsing: ByteBuffer(string: head), version: version)), at: at(started))
        if let body { assembler.receive(.piece(FlowPiece(from: .client, content: ByteBuffer(string: body))), at: at(started)) }
        assembler.receive(.finished(.client), at: at(started))
    }
    if let answer {
        assembler.receive(.response(ResponseHead(parsing: ByteBuffer(string: answer), version: .http1_1)), at: at(started))
    }
    for (time, piece) in pieces { assembler.receive(.piece(piece), at: at(time)) }
    assembler.receive(.ended(FlowEnding(state: .complete, closedBy: .client)), at: at(ended))
    return assembler.flow
}

private func get(_ path: String, from started: Int64 = 0, to ended: Int64 = 10) -> Flow {
    recorded("GET \(path) HTTP/1.1\r\nHost: recorded\r\n\r\n", from: started, to: ended)
}

private func get2(_ path: String, from started: Int64, to ended: Int64) -> Flow {
    recorded(
        ":method: GET\r\n:scheme: https\r\n:authority: recorded\r\n:path: \(path)\r\n\r\n", from: started, to: ended,
        version: .http2)
}

/// The recording of a flow is damaged.
private struct Unreadable: Error, CustomStringConvertible {
    var description: String { "the block is damaged" }
}

/// A replay under test, with a clock that moves one millisecond with each event.
final class Stage {
    private let session: ReplaySession
    private let turns = Turns()
    private(set) var now = Timestamp(nanoseconds: 1_700_000_000_000_000_000)
    /// What was reported, as lines.
    private(set) var reports: [String] = []
    private(set) var timer: Int64?

    init(
        _ flows: [Flow], _ wireProtocol: ReplayProtocol = .http1, dues: [Int64?]? = nil, waits: Bool = true,
        mode: String = "reverse:http://origin:80", unreadable: Set<Int> = []
    ) throws {
        let specification = try ModeSpecification(mode)
        let start = now
        let steps = flows.enumerated().map { index, flow in
            let due = dues?[index].map { start.advanced(byNanoseconds: $0 * 1_000_000) }
            return ReplayStep(number: index, started: flow.started, ended: flow.ended, due: due)
        }
        let script = ReplayScript(
            wireProtocol: wireProtocol, steps: steps, speed: nil, waitsForServer: waits, scheme: "http",
            read: { number in
                if unreadable.contains(number) { throw Unreadable() }
                return flows[number]
            })
        var reporting: ((ReplayReport) -> Void)?
        session = ReplaySession(
            script: script,
            configuration: ProxyConfiguration(
                mode: specification.mode, modeText: "replay", keepsHostHeader: true,
                serverTLS: try TLSServerContext(TLSServerOptions()), clientTLS: try TLSClientContext(TLSClientOptions()),
                authority: Playbook.authority, validation: .lenient, allowsHTTP2: wireProtocol == .http2, webSocketPings: .relay,
                blocksGlobal: false, ownAddresses: OwnAddresses()),
            seed: 1
        ) { reporting?($0) }
        reporting = { [unowned self] report in
            switch report {
            case .began(let number, _, _, let lateness): reports.append("began \(number), \(lateness / 1_000_000) ms late")
            case .unreadable(let number, let message): reports.append("unreadable \(number): \(message)")
            case .ended(let rest): reports.append("ended, rest \(rest.map(\.number))")
            }
        }
    }

    @discardableResult
    func start(sourceLocation: SourceLocation = #_sourceLocation) -> Turn {
        deliver(
            .started(peer: Endpoint(host: "10.0.0.1", port: 5000), local: Endpoint(host: "127.0.0.1", port: 8080)),
            sourceLocation: sourceLocation)
    }

    func commands(_ event: ProxyEvent) -> [ProxyCommand] {
        turns.next()
        now = now.advanced(byNanoseconds: 1_000_000)
        var output = ProxyOutput()
        session.receive(event, at: now, into: &output)
        for command in output.commands {
            if case .wake(let moment) = command { timer = (moment - now) / 1_000_000 }
        }
        return output.commands
    }

    @discardableResult
    func deliver(_ event: ProxyEvent, sourceLocation: SourceLocation = #_sourceLocation) -> Turn {
        turns.hold(Playbook.joined(commands(event)), at: sourceLocation)
    }

    /// Starts, and asks for its server at once.
    func begin(sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(start(sourceLocation: sourceLocation) == ["open upstream 1: origin:80"], sourceLocation: sourceLocation)
    }

    func pass(milliseconds: Int64) { now = now.advanced(byNanoseconds: milliseconds * 1_000_000) }

    @discardableResult
    func server(_ number: UInt32 = 1, sends text: String, sourceLocation: SourceLocation = #_sourceLocation) -> Turn {
        deliver(.received(ConnectionHandle(number), ByteBuffer(string: text)), sourceLocation: sourceLocation)
    }

    @discardableResult
    func serverOpens(_ number: UInt32 = 1, sourceLocation: SourceLocation = #_sourceLocation) -> Turn {
        deliver(
            .opened(
                ConnectionHandle(number), peer: Endpoint(host: "192.0.2.1", port: 80),
                local: Endpoint(host: "192.0.2.9", port: 40000)),
            sourceLocation: sourceLocation)
    }
}

private let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

@Suite("A replay of one connection")
struct ReplaySessionTests {
    @Test("Requests of HTTP/1 follow each other on one connection, each behind the answer to the one before")
    func inOrder() throws {
        let body = recorded(
            "POST /b HTTP/1.1\r\nHost: recorded\r\nTransfer-Encoding: chunked\r\n\r\n", body: "abc", from: 20, to: 30)
        let stage = try Stage([get("/a"), body])
        #expect(stage.start() == ["open upstream 1: origin:80"])
        #expect(stage.serverOpens() == ["send upstream 1: GET /a HTTP/1.1\r\nHost: recorded\r\n\r\n"])
        #expect(
            stage.server(sends: answer) == [
                "send upstream 1: POST /b HTTP/1.1\r\nHost: recorded\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            ])
        #expect(stage.server(sends: answer) == ["close upstream 1", "close client"])
        #expect(stage.reports == ["began 0, 0 ms late", "began 1, 0 ms late", "ended, rest []"])
    }

    @Test("What a server that closes early did not get is left for another connection")
    func rest() throws {
        let stage = try Stage([get("/a"), get("/b", from: 20, to: 30), get("/c", from: 40, to: 50)])
        stage.begin()
        #expect(stage.serverOpens() == ["send upstream 1: GET /a HTTP/1.1\r\nHost: recorded\r\n\r\n"])
        let last = stage.server(sends: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        #expect(last == ["close upstream 1", "close client"])
        #expect(stage.reports == ["began 0, 0 ms late", "ended, rest [1, 2]"])
    }

    @Test("A flow that cannot be read when it is due is reported, and the others are sent")
    func unreadable() throws {
        let stage = try Stage([get("/a"), get("/b", from: 20, to: 30), get("/c", from: 40, to: 50)], unreadable: [0, 2])
        #expect(stage.start() == ["open upstream 1: origin:80"])
        #expect(stage.serverOpens() == ["send upstream 1: GET /b HTTP/1.1\r\nHost: recorded\r\n\r\n"])
        #expect(stage.server(sends: answer) == ["close upstream 1", "close client"])
        #expect(
            stage.reports == [
                "unreadable 0: the block is damaged", "began 1, 0 ms late", "unreadable 2: the block is damaged", "ended, rest []",
            ])
        let nothing = try Stage([get("/a")], unreadable: [0])
        #expect(nothing.start() == ["close client"])
        #expect(nothing.reports == ["unreadable 0: the block is damaged", "ended, rest []"])
    }

    @Test("A request waits for its time, and one whose time has passed is reported as late")
    func schedule() throws {
        let stage = try Stage([get("/a"), get("/b", from: 20, to: 30)], dues: [50, 60])
        #expect(stage.start() == [])
        #expect(stage.timer == 49)
        stage.pass(milliseconds: 48)
        #expect(stage.deliver(.timerFired) == ["open upstream 1: origin:80"])
        #expect(stage.serverOpens() == ["send upstream 1: GET /a HTTP/1.1\r\nHost: recorded\r\n\r\n"])
        stage.pass(milliseconds: 100)
        #expect(stage.server(sends: answer) == ["send upstream 1: GET /b HTTP/1.1\r\nHost: recorded\r\n\r\n"])
        #expect(stage.reports == ["began 0, 0 ms late", "began 1, 92 ms late"])
    }

    @Test("Streams of HTTP/2 overlap as they did; one that began behind another's end waits for it")
    func streams() throws {
        let stage = try Stage([get2("/a", from: 0, to: 20), get2("/b", from: 10, to: 40), get2("/c", from: 30, to: 50)], .http2)
        #expect(stage.start() == ["open upstream 1: origin:80"])
        #expect(
            stage.serverOpens() == ["send upstream 1: GET /a HTTP/1.1\r\nHost: recorded\r\n\r\n", "open upstream 2: origin:80"])
        #expect(stage.serverOpens(2) == ["send upstream 2: GET /b HTTP/1.1\r\nHost: recorded\r\n\r\n"])
        #expect(stage.server(1, sends: answer) == ["send upstream 1: GET /c HTTP/1.1\r\nHost: recorded\r\n\r\n"])
        #expect(stage.server(2, sends: answer) == [])
        #expect(stage.server(1, sends: answer) == ["close upstream 1", "close upstream 2", "close client"])
        #expect(stage.reports.last == "ended, rest []")
    }

    @Test("A server that cannot be reached fails the request, and the rest is left")
    func refused() throws {
        let stage = try Stage([get("/a"), get("/b", from: 20, to: 30)])
        stage.begin()
        let last = stage.deliver(.openFailed(ConnectionHandle(1), reason: "connection refused"))
        #expect(last == ["close upstream 1", "close client"])
        #expect(stage.reports == ["began 0, 0 ms late", "ended, rest [1]"])
    }

    @Test("A shutdown ends it, whatever was not said")
    func shutdown() throws {
        let stage = try Stage([get("/a"), get("/b", from: 20, to: 30)])
        stage.begin()
        #expect(stage.serverOpens() == ["send upstream 1: GET /a HTTP/1.1\r\nHost: recorded\r\n\r\n"])
        #expect(stage.deliver(.shutdown) == ["close upstream 1", "close client"])
        #expect(stage.reports.last == "ended, rest [1]")
    }

    @Test("Content waits for a server that takes no more")
    func backPressure() throws {
        let piece = String(repeating: "x", count: 200 * 1024)
        var flow = recorded("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(200 * 1024 * 8)\r\n\r\n", body: piece)
        var pieces = PiecesInMemory()
        for _ in 0..<8 { pieces.pieces.append((flow.started, FlowPiece(from: .client, content: ByteBuffer(string: piece)))) }
        flow.pieces = pieces
        flow.request?.size = UInt64(200 * 1024 * 8)
        flow.request?.storedSize = UInt64(200 * 1024 * 8)
        let stage = try Stage([flow])
        func sent(_ commands: [ProxyCommand]) -> Int {
            commands.reduce(0) { sum, command in
                guard case .send(let handle, let bytes) = command, handle != .client else { return sum }
                return sum + bytes.readableBytes
            }
        }
        stage.begin()
        let opened = ProxyEvent.opened(
            ConnectionHandle(1), peer: Endpoint(host: "192.0.2.1", port: 80), local: Endpoint(host: "192.0.2.9", port: 1))
        let first = sent(stage.commands(opened))
        let paused = sent(stage.commands(.writable(ConnectionHandle(1), false)))
        let timer = sent(stage.commands(.timerFired))
        let second = sent(stage.commands(.writable(ConnectionHandle(1), true)))
        let third = sent(stage.commands(.timerFired))
        #expect(first > 0 && first < 1000 * 1024)
        #expect([paused, timer] == [0, 0])
        #expect(
            first + second + third == 8 * 200 * 1024 + "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1638400\r\n\r\n".utf8.count)
    }

    // MARK: Conversations

    @Test("A WebSocket conversation has a key of its own, waits for the server's messages, and answers its pings")
    func webSocket() throws {
        func piece(_ kind: FlowPiece.Kind, _ side: Side, _ text: String) -> FlowPiece {
            FlowPiece(kind: kind, from: side, content: ByteBuffer(string: text))
        }
        let handshake =
            "GET /chat HTTP/1.1\r\nHost: recorded\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        let flow = recorded(
            handshake + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            answer: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            pieces: [
                (1, piece(.text, .client, "one")),
                (2, piece(.text, .server, "1")),
                (3, piece(.pong, .client, "")),
                (4, piece(.text, .client, "two")),
                (5, piece(.close, .client, "\u{C}\u{20}")),
                (6, piece(.close, .server, "")),
            ])
        let stage = try Stage([flow])
        stage.begin()
        let request = stage.serverOpens().joined()
        #expect(request.hasPrefix("send upstream 1: " + handshake + "Sec-WebSocket-Key: "))
        let key = String(request.dropLast(2).suffix(24))
        #expect(!request.contains("Extensions") && key != "AAAAAAAAAAAAAAAAAAAAAA==")
        var decoder = WebSocketFrameDecoder(from: .client)
        func frames(_ commands: [ProxyCommand]) throws -> [String] {
            var found: [String] = []
            for command in commands {
                if case .send(ConnectionHandle(1), let bytes) = command { decoder.receive(bytes) }
            }
            while let part = try decoder.next() { found.append("\(part.header.opcode) \(String(buffer: part.payload))") }
            return found
        }
        func server(_ bytes: ByteBuffer) -> [ProxyCommand] { stage.commands(.received(ConnectionHandle(1), bytes)) }
        let accept =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \(WebSocketHandshake.accept(for: key))\r\n\r\n"
        let first = try frames(server(ByteBuffer(string: accept)))
        #expect(first == ["text one"])
        let ping = try frames(server(WebSocketFrameEncoder.frame(.ping, ByteBuffer(string: "?"))))
        #expect(ping == ["pong ?"])
        let second = try frames(server(WebSocketFrameEncoder.frame(.text, ByteBuffer(string: "1"))))
        #expect(second == ["text two", "close \u{C}\u{20}"])
        let end = Playbook.joined(server(WebSocketFrameEncoder.frame(.close, ByteBuffer(string: "\u{C}\u{20}"))))
        #expect(end == ["finish upstream 1"])
        #expect(stage.deliver(.halfClosed(ConnectionHandle(1))) == ["close upstream 1", "close client"])
    }

    @Test("A WebSocket conversation on a stream of HTTP/2 is held on one again")
    func webSocketOnStream() throws {
        func piece(_ kind: FlowPiece.Kind, _ side: Side, _ text: String) -> FlowPiece {
            FlowPiece(kind: kind, from: side, content: ByteBuffer(string: text))
        }
        let flow = recorded(
            ":method: CONNECT\r\n:protocol: websocket\r\n:scheme: https\r\n:authority: recorded\r\n:path: /chat\r\nsec-websocket-version: 13\r\n\r\n",
            version: .http2,
            pieces: [
                (1, piece(.text, .client, "one")),
                (2, piece(.text, .server, "1")),
                (3, piece(.text, .client, "two")),
                (4, piece(.close, .client, "\u{C}\u{20}")),
                (5, piece(.close, .server, "")),
            ])
        let stage = try Stage([flow], .http2, mode: "reverse:h2c://origin:80")
        let server = HTTP2Connection(.server, enablesConnectProtocol: true)
        var decoder = WebSocketFrameDecoder(from: .client)
        var heads: [String] = []
        var ended = false
        /// What the server received, as lines.
        func frames(_ commands: [ProxyCommand]) throws -> [String] {
            for command in commands {
                if case .send(ConnectionHandle(1), let bytes) = command { server.receive(bytes) }
            }
            while let event = server.next() {
                switch event {
                case .request(_, .head(let head, _, let isLast)):
                    if isLast { ended = true }
                    heads.append(String(buffer: head.wire))
                case .request(_, .content(let content, _, let isLast)):
                    decoder.receive(content)
                    if isLast { ended = true }
                case .request(_, .end): ended = true
                default: break
                }
            }
            var found: [String] = []
            while let part = try decoder.next() { found.append("\(part.header.opcode) \(String(buffer: part.payload))") }
            return found
        }
        /// Lets both continue until neither has anything to send.
        func exchange(_ commands: [ProxyCommand] = []) throws -> [String] {
            var found = try frames(commands)
            while let bytes = server.takeOutput() {
                found += try frames(stage.commands(.received(ConnectionHandle(1), bytes)))
            }
            return found
        }
        stage.begin()
        let opened = ProxyEvent.opened(
            ConnectionHandle(1), peer: Endpoint(host: "192.0.2.1", port: 80), local: Endpoint(host: "192.0.2.9", port: 1))
        _ = try exchange(stage.commands(opened))
        #expect(
            heads == [
                ":method: CONNECT\r\n:protocol: websocket\r\n:scheme: http\r\n:authority: recorded\r\n:path: /chat\r\nsec-websocket-version: 13\r\n\r\n"
            ])
        var fields = HTTP2Fields()
        fields.append(":status", "200")
        server.sendResponse(fields, on: StreamID(1), endsStream: false)
        let first = try exchange()
        #expect(first == ["text one"])
        server.sendData(WebSocketFrameEncoder.frame(.text, ByteBuffer(string: "1")), on: StreamID(1))
        let second = try exchange()
        #expect(second == ["text two", "close \u{C}\u{20}"])
        server.sendData(WebSocketFrameEncoder.frame(.close, ByteBuffer(string: "\u{C}\u{20}")), on: StreamID(1))
        _ = try exchange()
        #expect(ended)
        server.sendEnd(trailers: nil, on: StreamID(1))
        _ = try exchange()
        #expect(stage.reports == ["began 0, 0 ms late", "ended, rest []"])
    }

    @Test("A WebSocket conversation that is refused on a stream of HTTP/2 ends it")
    func webSocketRefused() throws {
        let flow = recorded(
            ":method: CONNECT\r\n:protocol: websocket\r\n:scheme: http\r\n:authority: a\r\n:path: /\r\nsec-websocket-version: 13\r\n\r\n",
            version: .http2)
        let stage = try Stage([flow], .http2, mode: "reverse:h2c://origin:80")
        let server = HTTP2Connection(.server, enablesConnectProtocol: true)
        func serverGets(_ commands: [ProxyCommand]) {
            for command in commands {
                if case .send(ConnectionHandle(1), let bytes) = command { server.receive(bytes) }
            }
            while server.next() != nil {}
        }
        stage.begin()
        serverGets(
            stage.commands(
                .opened(
                    ConnectionHandle(1), peer: Endpoint(host: "192.0.2.1", port: 80), local: Endpoint(host: "192.0.2.9", port: 1))))
        while let bytes = server.takeOutput() { serverGets(stage.commands(.received(ConnectionHandle(1), bytes))) }
        var fields = HTTP2Fields()
        fields.append(":status", "403")
        server.sendResponse(fields, on: StreamID(1), endsStream: true)
        while let bytes = server.takeOutput() { serverGets(stage.commands(.received(ConnectionHandle(1), bytes))) }
        #expect(stage.reports == ["began 0, 0 ms late", "ended, rest []"])
    }

    @Test("A stream of bytes lets the server speak first, and is patient only so long")
    func bytes() throws {
        func piece(_ side: Side, _ text: String) -> FlowPiece { FlowPiece(from: side, content: ByteBuffer(string: text)) }
        let flow = recorded(
            "", answer: nil,
            pieces: [
                (1, piece(.server, "hello")),
                (2, piece(.client, "GET x\r\n")),
                (3, piece(.server, "ok")),
                (4, piece(.client, "quit")),
            ])
        let stage = try Stage([flow], .bytes, mode: "reverse:tcp://origin:25")
        #expect(stage.start() == ["open upstream 1: origin:25"])
        #expect(stage.serverOpens() == [])
        #expect(stage.server(sends: "hel") == [])
        #expect(stage.server(sends: "lo") == ["send upstream 1: GET x\r\n"])
        #expect(stage.timer == 10_000)
        stage.pass(milliseconds: 10_000)
        #expect(stage.deliver(.timerFired) == ["send upstream 1: quit"])
        stage.pass(milliseconds: 10_000)
        #expect(stage.deliver(.timerFired) == ["finish upstream 1"])
        #expect(stage.deliver(.halfClosed(ConnectionHandle(1))) == ["close upstream 1", "close client"])
        #expect(stage.reports == ["began 0, 0 ms late", "ended, rest []"])
    }
}
