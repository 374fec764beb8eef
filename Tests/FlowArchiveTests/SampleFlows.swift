// Flows of every kind, made from a seed, as the events a recorder would see.

import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport

/// Makes flows. One seed, one sequence of flows.
struct SampleFlows {
    private var generator: SeededGenerator
    private var time: Int64 = 1_760_000_000_000_000_000
    private var clients: [Shared<ClientConnection>] = []
    private var servers: [Shared<ServerConnection>] = []

    /// - Parameter certificates: bytes of each certificate; 0 without one.
    init(seed: UInt64, certificates: Int = 700) {
        generator = SeededGenerator(seed: seed)
        for i in 0..<4 {
            var tls: TLSDetails?
            if i % 2 == 0 {
                tls = TLSDetails()
                tls?.version = "TLSv1.3"
                tls?.cipher = "TLS_AES_256_GCM_SHA384"
                tls?.serverName = "host\(i).example"
                tls?.alpn = "http/1.1"
                tls?.alpnOffers = ["h2", "http/1.1"]
                tls?.ja4 = "t13d1516h2_8daaf6152771_e5627efa2ab1"
                tls?.handshakeStarted = Timestamp(nanoseconds: time)
                tls?.handshakeEnded = Timestamp(nanoseconds: time + 3_000_000)
            }
            clients.append(
                Shared(
                    ClientConnection(
                        id: nextID(), peer: Endpoint(host: "127.0.0.1", port: UInt16(40000 + i)),
                        local: Endpoint(host: "127.0.0.1", port: 8080),
                        opened: Timestamp(nanoseconds: time), mode: "regular", tls: tls)))
            var server = ServerConnection(
                id: nextID(), target: Endpoint(host: "host\(i).example", port: 443), opened: Timestamp(nanoseconds: time))
            server.peer = Endpoint(host: "192.0.2.\(i)", port: 443)
            server.local = Endpoint(host: "192.0.2.99", port: 50000)
            server.connected = Timestamp(nanoseconds: time + 1_000_000)
            if certificates > 0 { tls?.certificates = [randomBytes(certificates), randomBytes(certificates + 200)] }
            tls?.isVerified = true
            server.tls = tls
            servers.append(Shared(server))
        }
    }

    private mutating func nextID() -> FlowID {
        FlowID(time: Timestamp(nanoseconds: tick()), sequence: UInt16(generator.next() & 0xFFF), random: generator.next())
    }

    private mutating func tick() -> Int64 {
        time += Int64.random(in: 1...2_000_000, using: &generator)
        return time
    }

    private mutating func randomBytes(_ count: Int) -> ByteBuffer {
        ByteBuffer(bytes: (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }

    private mutating func text(_ count: Int) -> ByteBuffer {
        let words = ["alpha", "beta", "gamma", "delta", "{\"id\":", "\"name\"", "<p>", "\r\n", "ümläut"]
        var text = ""
        while text.utf8.count < count { text += words.randomElement(using: &generator)! + " " }
        return ByteBuffer(string: text)
    }

    /// The events of the next flow.
    /// - Parameter isWhole: whether the flow comes to its end.
    /// - Parameter kind: 0 to 5 are HTTP (1 request trailers, 2 interim, 3 WebSocket, 4 response trailers, 5 refused), 6 TCP, 7 TLS.
    mutating func next(isWhole: Bool = true, bodyBytes: Int? = nil, kind chosen: Int? = nil) -> [FlowEvent] {
        let id = nextID()
        let index = Int.random(in: 0..<4, using: &generator)
        let kind = chosen ?? (bodyBytes == nil ? Int.random(in: 0..<8, using: &generator) : 0)
        let flowKind: FlowKind = kind == 6 ? .tcp : kind == 7 ? .tls : .http
        let scheme = flowKind == .http ? (index % 2 == 0 ? "https" : "http") : flowKind == .tcp ? "tcp" : "tls"
        let target = FlowTarget(scheme: scheme, host: "host\(index).example", port: 443)
        var flow = FlowBuilder(
            flowKind, id: id, at: Timestamp(nanoseconds: time), client: clients[index], target: target,
            stream: StreamID(UInt32.random(in: 1...9, using: &generator)))
        add(.server(servers[index]), to: &flow)
        var ending = FlowEnding(state: .complete)
        switch flowKind {
        case .http:
            httpEvents(index, kind, bodyBytes, &ending, &flow)
        case .tcp:
            for _ in 0..<Int.random(in: 0...9, using: &generator) {
                time = tick()
                let from: Side = Bool.random(using: &generator) ? .client : .server
                let content = randomBytes(Int.random(in: 1...300, using: &generator))
                add(.piece(FlowPiece(from: from, content: content)), to: &flow)
            }
            ending.closedBy = .server
            ending.isReset = Bool.random(using: &generator)
            if Bool.random(using: &generator) { ending.passthrough = PassthroughSizes(fromClient: 12, fromServer: 1 << 40) }
        case .tls:
            ending = FlowEnding(
                state: .failed,
                error: FlowError(side: .client, message: "the client does not trust it", at: Timestamp(nanoseconds: time)))
        }
        if Bool.random(using: &generator) { ending.comment = "a note" }
        if Bool.random(using: &generator) { ending.tags = ["one", "two"] }
        time = tick()
        if isWhole { add(.ended(ending), to: &flow) }
        return flow.events
    }

    private func add(_ what: FlowEvent.What, to flow: inout FlowBuilder) { flow.add(what, at: Timestamp(nanoseconds: time)) }

    private mutating func httpEvents(
        _ index: Int, _ kind: Int, _ bodyBytes: Int?, _ ending: inout FlowEnding, _ flow: inout FlowBuilder
    ) {
        let method = ["GET", "POST", "BREW"].randomElement(using: &generator)!
        let version: HTTPVersion = Bool.random(using: &generator) ? .http1_1 : .http2
        let fields = "x-odd:  kept \r\nx-odd: \u{e9}\r\n\r\n"
        let request =
            version == .http2
            ? ":method: \(method)\r\n:scheme: https\r\n:authority: host\(index).example\r\n:path: /path/\(time)?q=1\r\n\(fields)"
            : "\(method) /path/\(time)?q=1 HTTP/1.1\r\nHost: host\(index).example:8443\r\n\(fields)"
        add(.request(RequestHead(parsing: ByteBuffer(string: request), version: version)), to: &flow)
        if method == "POST" {
            let content = text(Int.random(in: 1...900, using: &generator))
            add(.piece(FlowPiece(from: .client, content: content)), to: &flow)
        }
        time = tick()
        if kind == 1 {
            add(.trailers(from: .client, FieldSection([("X-Sum", "1"), ("X-Sum", "2")])), to: &flow)
        }
        add(.finished(.client), to: &flow)
        if kind == 2 {
            time = tick()
            let hints = ByteBuffer(string: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            add(.interim(ResponseHead(parsing: hints, version: .http1_1)), to: &flow)
        }
        if kind == 5 {
            ending = FlowEnding(state: .failed, error: FlowError(side: nil, message: "refused", at: Timestamp(nanoseconds: time)))
            return
        }
        time = tick()
        let status = [200, 204, 301, 404, 500].randomElement(using: &generator)!
        let line = version == .http2 ? ":status: \(status)" : "HTTP/1.1 \(status) Fine"
        let response = ByteBuffer(string: "\(line)\r\nContent-Type: text/plain\r\nSet-Cookie: a=b\r\n\r\n")
        add(.response(ResponseHead(parsing: response, version: version)), to: &flow)
        var left = bodyBytes ?? Int.random(in: 0...5000, using: &generator)
        while left > 0 {
            time = tick()
            let size = min(left, Int.random(in: 1...20_000, using: &generator))
            let content = Bool.random(using: &generator) ? text(size) : randomBytes(size)
            add(.piece(FlowPiece(from: .server, content: content)), to: &flow)
            left -= size
        }
        if kind == 3 {
            for kind in [FlowPiece.Kind.text, .binary, .ping, .pong, .close] {
                time = tick()
                let message = FlowPiece(kind: kind, from: .client, content: text(20), wireSize: 11, frames: 3)
                add(.piece(message), to: &flow)
            }
        }
        if kind == 4 { add(.trailers(from: .server, FieldSection([("Server-Timing", "x")])), to: &flow) }
        add(.finished(.server), to: &flow)
    }
}
