// Flows with everything that the filter language asks for, made from a seed: each operator finds some of them, and not all.

import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport

/// Makes flows. One seed, one sequence of flows.
struct QueryFlows {
    static let hosts = ["api.example", "www.example", "API.example", "a.b.api.example", "10.0.0.1", "fd00::1", "x-y.test"]
    static let methods = ["GET", "POST", "PUT", "BREW", "get"]
    /// Names in ``sampleCertificate``.
    static let certificateNames = ["host.example", "Root R1", "api.example", "192.0.2.1"]

    private(set) var random: SeededGenerator
    private var time: Int64 = 1_760_000_000_000_000_000
    private var clients: [Shared<ClientConnection>] = []
    private var servers: [Shared<ServerConnection>] = []

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        for index in 0..<4 {
            var client = ClientConnection(
                id: FlowID(high: 0x1000 + UInt64(index), low: 1),
                peer: Endpoint(host: index == 3 ? "::1" : "10.1.2.\(index)", port: UInt16(4000 + index)),
                local: Endpoint(host: "127.0.0.1", port: 8080), opened: Timestamp(nanoseconds: time), mode: "regular")
            client.tls = Self.tls(index)
            client.tls?.ja3 = "\(index)0123456789abcdef"
            client.tls?.ja4 = "t13d\(index)516h2_8daaf6152771_e5627efa2ab1"
            clients.append(Shared(client))
            var server = ServerConnection(
                id: FlowID(high: 0x2000 + UInt64(index), low: 2), target: Endpoint(host: Self.hosts[index], port: 443),
                opened: Timestamp(nanoseconds: time))
            server.peer = Endpoint(host: "192.0.2.\(index)", port: 443)
            server.tls = Self.tls((index + 1) % 4)
            // One has no certificate, one has none that can be read.
            let chains = [[], [sampleCertificate, sampleCertificate], [ByteBuffer(bytes: [0x30, 1])], [sampleCertificate]]
            server.tls?.certificates = chains[index]
            server.tls?.isVerified = index == 2 ? false : index == 0 ? nil : true
            if index == 2 { server.tls?.verificationError = "self-signed certificate" }
            servers.append(Shared(server))
        }
    }

    private static func tls(_ index: Int) -> TLSDetails? {
        guard index > 0 else { return nil }
        var tls = TLSDetails()
        // One handshake failed before a version was chosen.
        tls.version = [nil, "TLSv1.2", "TLSv1.3"][index - 1]
        tls.cipher = index == 1 ? nil : "TLS_AES_\(index)"
        tls.serverName = "name\(index).example"
        tls.alpn = index == 2 ? "http/1.1" : "h2"
        return tls
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements.randomElement(using: &random)! }
    private mutating func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &random) == 0 }

    private mutating func pass(upTo nanoseconds: Int64) { time += Int64.random(in: 0...nanoseconds, using: &random) }

    // MARK: Flows

    /// The events of the next flow. Runs of flows have much in common, so that blocks can be skipped.
    /// - Parameter run: flows of the same run have few hosts, methods and sizes.
    mutating func next(run: Int) -> [FlowEvent] {
        pass(upTo: 2_000_000)
        let id = FlowID(time: Timestamp(nanoseconds: time), sequence: 1, random: random.next())
        let kind: FlowKind = chance(8) ? .tcp : chance(12) ? .tls : .http
        let hosts = [Self.hosts[run % Self.hosts.count], Self.hosts[(run + 1) % Self.hosts.count]]
        let scheme = kind == .http ? pick(["http", "https"]) : kind.description
        let target = FlowTarget(scheme: scheme, host: pick(hosts), port: pick([80, 443, 8443]))
        var flow = FlowBuilder(
            kind, id: id, at: Timestamp(nanoseconds: time), client: pick(clients), target: target,
            stream: StreamID(UInt32.random(in: 1...9, using: &random)))
        if !chance(5) { add(.server(pick(servers)), to: &flow) }
        var ending = FlowEnding(state: .complete)
        switch kind {
        case .http: exchange(hosts, run, &ending, &flow)
        case .tcp: stream(&ending, &flow)
        case .tls: ending = FlowEnding(state: .failed, error: error("the client does not trust it"))
        }
        if chance(4) { add(.note(FlowNote(side: .server, pick(["Content-Length was dropped", "two Host fields"]))), to: &flow) }
        if chance(3) { ending.comment = pick(["look here", "first\nsecond"]) }
        if chance(3) { ending.tags = pick([["marked"], ["one", "two:2"], ["two:7", "imported:har"]]) }
        if chance(4) { add(.redacted(redaction), to: &flow) }
        // Some are slow, in runs of their own.
        pass(upTo: run % 4 == 0 && chance(3) ? 20_000_000_000 : 3_000_000)
        // One in twenty has no end.
        if !chance(20) { add(.ended(ending), to: &flow) }
        return flow.events
    }

    private var redaction: FlowRedaction {
        mutating get {
            var redaction = FlowRedaction(changes: [
                FlowRedaction.Change(rule: "header:cookie", place: pick([.request, .response]))
            ])
            if chance(2) {
                redaction.add(
                    FlowRedaction.Omission(
                        rule: "json:$..user=hash", place: pick([.requestBody, .responseBody]), reason: .unparsed))
            }
            return redaction
        }
    }

    private func error(_ message: String) -> FlowError {
        FlowError(side: .client, message: message, at: Timestamp(nanoseconds: time))
    }

    private func add(_ what: FlowEvent.What, to flow: inout FlowBuilder) { flow.add(what, at: Timestamp(nanoseconds: time)) }

    private mutating func data(_ text: String, from side: Side, to flow: inout FlowBuilder) {
        pass(upTo: 100_000)
        guard chance(9) else { return add(.piece(FlowPiece(from: side, content: ByteBuffer(string: text))), to: &flow) }
        // Its end is not stored.
        let piece = FlowPiece(from: side, content: ByteBuffer(string: String(text.prefix(2))), wireSize: UInt64(text.utf8.count))
        add(.piece(piece), to: &flow)
        add(.cut(from: side, ContentCut(size: UInt64(text.utf8.count), sha256: ByteBuffer(bytes: 0..<32))), to: &flow)
    }

    private mutating func stream(_ ending: inout FlowEnding, _ flow: inout FlowBuilder) {
        ending.closedBy = pick([.client, .server])
        guard !chance(2) else {
            ending.passthrough = PassthroughSizes(fromClient: 517, fromServer: 1 << 33)
            return
        }
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            data(pick(["SELECT 1", "one row", "bye"]), from: pick([.client, .server]), to: &flow)
        }
    }

    // MARK: Exchanges

    private mutating func exchange(_ hosts: [String], _ run: Int, _ ending: inout FlowEnding, _ flow: inout FlowBuilder) {
        if chance(10) { return call(hosts, &flow) }
        let version = pick([HTTPVersion.http1_1, .http1_1, .http1_0, .http2])
        let isWebSocket = version == .http1_1 && chance(4)
        add(.request(requestHead(version, hosts, run, isWebSocket)), to: &flow)
        if !isWebSocket, chance(2) {
            for _ in 0..<Int.random(in: 1...2, using: &random) { data(body(run), from: .client, to: &flow) }
        }
        let isLate = chance(6)
        if chance(5) { add(.trailers(from: .client, FieldSection([("X-Sum", pick(["1", "2"]))])), to: &flow) }
        pass(upTo: 400_000)
        if !isLate { add(.finished(.client), to: &flow) }
        if version != .http1_0, chance(4) {
            let head = ByteBuffer(string: "HTTP/1.1 \(pick([100, 103])) Wait\r\nLink: </a>\r\n\r\n")
            add(.interim(ResponseHead(parsing: head, version: .http1_1)), to: &flow)
        }
        pass(upTo: run % 4 == 1 ? 5_000_000_000 : 900_000)
        guard !chance(8) else { return refuse(&ending, &flow) }
        let status = isWebSocket ? 101 : pick([200, 200, 204, 301, 404, 500])
        add(.response(responseHead(version, status)), to: &flow)
        if isLate { add(.finished(.client), to: &flow) }
        if isWebSocket { conversation(&flow) } else if chance(2) { data(body(run), from: .server, to: &flow) }
        if chance(6) {
            add(.trailers(from: .server, FieldSection([("Server-Timing", "db;dur=5"), ("X-Sum", "3")])), to: &flow)
        }
        if !chance(9) { add(.finished(.server), to: &flow) } else { ending.state = .incomplete }
    }

    /// A call of gRPC. Its messages have the string `ada` or `bob` as field 1.
    private mutating func call(_ hosts: [String], _ flow: inout FlowBuilder) {
        let head =
            ":method: POST\r\n:scheme: https\r\n:authority: \(hosts[0])\r\n:path: /pkg.Users/Find\r\n"
            + "content-type: application/grpc\r\nte: trailers\r\n\r\n"
        add(.request(RequestHead(parsing: ByteBuffer(string: head), version: .http2)), to: &flow)
        data("\0\0\0\0\u{5}\u{A}\u{3}\(pick(["ada", "bob"]))", from: .client, to: &flow)
        add(.finished(.client), to: &flow)
        let response = ":status: 200\r\ncontent-type: application/grpc\r\n\r\n"
        add(.response(ResponseHead(parsing: ByteBuffer(string: response), version: .http2)), to: &flow)
        data("\0\0\0\0\u{5}\u{A}\u{3}\(pick(["ada", "eve"]))", from: .server, to: &flow)
        add(.trailers(from: .server, FieldSection([("grpc-status", pick(["0", "5", "14"]))])), to: &flow)
        add(.finished(.server), to: &flow)
    }

    /// The recorder answers itself, or the connection fails.
    private mutating func refuse(_ ending: inout FlowEnding, _ flow: inout FlowBuilder) {
        ending = FlowEnding(state: .failed, error: error(pick(["cannot connect", "the server sent no response"])))
        guard chance(2) else { return }
        let head = ByteBuffer(string: "HTTP/1.1 502 Bad Gateway\r\n\r\n")
        let reply = LocalReply(
            head: ResponseHead(parsing: head, version: .http1_1), content: ByteBuffer(string: "mitm: cannot connect\n"))
        add(.localReply(reply), to: &flow)
    }

    private mutating func requestHead(_ version: HTTPVersion, _ hosts: [String], _ run: Int, _ isWebSocket: Bool) -> RequestHead {
        let named = pick(hosts)
        let authority = (named.contains(":") ? "[\(named)]" : named) + pick(["", ":8443", ":80"])
        let path = pick(["/p", "/users?id=\(Int.random(in: 1...9, using: &random))&name=a%20b", "/graphql", "/login?next=/&id=x"])
        let method = isWebSocket ? "GET" : pick([Self.methods[run % 5], Self.methods[(run + 1) % 5]])
        var fields = "accept: \(pick(["application/json", "*/*"]))\r\n"
        if chance(3) { fields += "cookie: session=\(pick(["abc", "42"])); theme=dark\r\nauthorization: Basic dXNlcjpwYXNz\r\n" }
        if chance(2) {
            fields += "content-type: \(pick(["application/json", "application/x-www-form-urlencoded", "text/plain"]))\r\n"
        }
        if version == .http2 {
            let pseudo = ":method: \(method)\r\n:scheme: https\r\n:authority: \(authority)\r\n:path: \(path)\r\n"
            return RequestHead(parsing: ByteBuffer(string: pseudo + fields + "\r\n"), version: version)
        }
        let target = chance(3) ? "http://me:x@\(authority)\(path)" : chance(9) ? "*" : path
        if isWebSocket { fields += "connection: upgrade\r\nupgrade: websocket\r\n" }
        let text = "\(method) \(target) \(version)\r\nHost: \(authority)\r\n\(fields)\r\n"
        return RequestHead(parsing: ByteBuffer(string: text), version: version)
    }

    private mutating func responseHead(_ version: HTTPVersion, _ status: Int) -> ResponseHead {
        let line = version == .http2 ? ":status: \(status)" : "\(version) \(status) Fine"
        var fields = "content-type: \(pick(["application/json", "text/css", "image/png"]))\r\n"
        if chance(3) { fields += "alt-svc: h3=\":443\"\r\n" }
        if chance(3) { fields += "set-cookie: session=\(pick(["abc", "7"])); Path=/\r\n" }
        return ResponseHead(parsing: ByteBuffer(string: "\(line)\r\n\(fields)\r\n"), version: version)
    }

    private mutating func body(_ run: Int) -> String {
        let text = pick([
            #"{"user":"ada","items":[{"price":5},{"price":120}]}"#, "user=ada&x=1", "sorry",
            #"{"operationName":"Search","query":"query Search($q: String) { find(q: $q) { id } }","variables":{"q":"x"}}"#,
            #"[{"query":"mutation AddUser { add { id } }"},{"query":"{ me { id } }"}]"#,
        ])
        return run % 5 == 0 && chance(3) ? text + String(repeating: " ", count: Int.random(in: 1...4000, using: &random)) : text
    }

    private static let subscription =
        #"{"id":"1","type":"subscribe","payload":{"query":"subscription News { item { id } }"}}"#

    private mutating func conversation(_ flow: inout FlowBuilder) {
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            pass(upTo: 900_000)
            let content = ByteBuffer(string: pick(["hello", Self.subscription, "news"]))
            let kind = pick([FlowPiece.Kind.text, .binary, .ping])
            let cut = chance(7) ? Shared(ContentCut(size: 1000, sha256: ByteBuffer())) : nil
            let piece = FlowPiece(
                kind: kind, from: pick([.client, .server]), content: content, wireSize: 11, frames: 2, cut: cut)
            add(.piece(piece), to: &flow)
        }
        guard !chance(3) else { return }
        var close = ByteBuffer()
        close.writeInteger(pick([1000, 1001, 4000] as [UInt16]))
        close.writeString("bye")
        add(.piece(FlowPiece(kind: .close, from: pick([.client, .server]), content: chance(4) ? ByteBuffer() : close)), to: &flow)
    }
}
