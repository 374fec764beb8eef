import FlowModel
import NIOCore
import TLSEngine
import Testing

@testable import ProxyCore

/// The parts of a session that have no need of the others.
@Suite("Parts of a session by themselves")
struct PartsTests {
    private static let start = Timestamp(nanoseconds: 1_700_000_000_000_000_000)

    private func context(_ mode: String = "regular") throws -> SessionContext {
        let specification = try ModeSpecification(mode, isServing: false)
        let configuration = ProxyConfiguration(
            mode: specification.mode, modeText: mode, serverTLS: try TLSServerContext(TLSServerOptions()),
            clientTLS: try TLSClientContext(TLSClientOptions()), authority: Playbook.authority, ownAddresses: OwnAddresses())
        return SessionContext(configuration: configuration, seed: 1)
    }

    /// The commands of one step, as lines.
    private func commands(_ context: SessionContext, _ body: () throws -> Void) rethrows -> [String] {
        var output = ProxyOutput()
        context.begin(at: Self.start, &output)
        try body()
        context.end(&output)
        return Playbook.joined(output.commands)
    }

    // MARK: Deadlines

    private func moment(_ milliseconds: Int64) -> Timestamp { Self.start.advanced(byNanoseconds: milliseconds * 1_000_000) }

    @Test("Deadlines of one kind and several owners pass by themselves; one that was cancelled does not")
    func owners() {
        var deadlines = Deadlines()
        deadlines.set(Deadline(.servers, owner: 1), at: moment(30))
        deadlines.set(Deadline(.servers, owner: 2), at: moment(10))
        deadlines.set(Deadline(.servers, owner: 3), at: moment(20))
        deadlines.cancel(Deadline(.servers, owner: 3))
        #expect(deadlines.first(.servers) == moment(10))
        #expect(deadlines.takeDue(at: moment(9)) == [])
        #expect(deadlines.takeDue(at: moment(20)) == [Deadline(.servers, owner: 2)])
        #expect(deadlines.takeDue(at: moment(40)) == [Deadline(.servers, owner: 1)])
        #expect(deadlines.first(.servers) == nil)
    }

    @Test("The driver is asked for the earliest moment, once, and for the next one when that has come")
    func waking() {
        var deadlines = Deadlines()
        #expect(deadlines.takeWake() == nil)
        deadlines.set(Deadline(.idle), at: moment(30))
        deadlines.set(Deadline(.handshake), at: moment(10))
        #expect(deadlines.takeWake() == moment(10))
        deadlines.set(Deadline(.linger), at: moment(20))
        #expect(deadlines.takeWake() == nil)
        #expect(deadlines.takeDue(at: moment(10)) == [Deadline(.handshake)])
        #expect(deadlines.takeWake() == moment(20))
        deadlines.set(Deadline(.handshake), at: moment(12))
        #expect(deadlines.takeWake() == moment(12))
    }

    @Test("The deadlines of a tunnel end with it, those of its servers' connections by themselves")
    func tunnels() {
        var deadlines = Deadlines()
        deadlines.set(Deadline(.idle, owner: 5), at: moment(1))
        deadlines.set(Deadline(.servers, owner: 5), at: moment(2))
        deadlines.set(Deadline(.idle), at: moment(3))
        deadlines.cancelAll(ofStream: 5)
        #expect(deadlines.takeDue(at: moment(3)) == [Deadline(.servers, owner: 5), Deadline(.idle)])
    }

    // MARK: SOCKS

    private func outcomes(_ server: inout SOCKS5Server, _ bytes: inout ByteBuffer, _ next: UInt8) throws -> [String] {
        bytes.writeInteger(next)
        var lines: [String] = []
        while let outcome = try server.advance(&bytes) {
            switch outcome {
            case .answer(let answer): lines.append("answer \(Array(answer.readableBytesView))")
            case .verify(let login): lines.append("verify \(login.user):\(login.password)")
            case .http: lines.append("http")
            case .connect(let endpoint):
                lines.append("connect \(endpoint)")
                return lines
            }
        }
        return lines
    }

    @Test("A SOCKS server takes its messages from single bytes, and waits for the login to be verified")
    func socks() throws {
        var server = SOCKS5Server(asksForPassword: true)
        var bytes = ByteBuffer()
        var lines: [String] = []
        for byte: UInt8 in [5, 1, 2, 1, 1, 0x75, 1, 0x70] { lines += try outcomes(&server, &bytes, byte) }
        #expect(lines == ["answer [5, 2]", "verify u:p"])
        #expect(try outcomes(&server, &bytes, 5) == [])
        #expect(Array(try server.answer(isRight: true).readableBytesView) == [1, 0])
        for byte: UInt8 in [1, 0, 1, 192, 0, 2, 1, 0] { #expect(try outcomes(&server, &bytes, byte) == []) }
        #expect(try outcomes(&server, &bytes, 80) == ["connect 192.0.2.1:80"])
    }

    @Test("A SOCKS server refuses a wrong login, and a client that offers none, with their answers")
    func refusedBySOCKS() throws {
        var server = SOCKS5Server(asksForPassword: true)
        var bytes = ByteBuffer(bytes: [5, 1, 2, 1, 1, 0x75, 1, 0x70])
        _ = try server.advance(&bytes)
        _ = try server.advance(&bytes)
        let wrong = try #require(throws: SOCKS5.Failure.self) { _ = try server.answer(isRight: false) }
        #expect(Array(wrong.answer.readableBytesView) == [1, 1])
        var other = SOCKS5Server(asksForPassword: true)
        var none = ByteBuffer(bytes: [5, 1, 0])
        let failure = try #require(throws: SOCKS5.Failure.self) { _ = try other.advance(&none) }
        #expect(Array(failure.answer.readableBytesView) == [5, 255])
    }

    // MARK: Server connections

    private func upstream(_ context: SessionContext, isTLS: Bool? = true) -> Upstream {
        let destination = Destination(endpoint: Endpoint(host: "a.example", port: 443), isTLS: isTLS)
        return Upstream(Transport(.socket(ConnectionHandle(1))), to: destination, isRouted: true, context)
    }

    private func open(_ upstream: Upstream, _ context: SessionContext) -> String {
        line(upstream.opened(peer: Endpoint(host: "192.0.2.1", port: 3128), local: Endpoint(host: "192.0.2.9", port: 1), context))
    }

    private func line(_ event: UpstreamEvent?) -> String {
        switch event {
        case nil: "nothing"
        case .connected?: "connected"
        case .secured?: "secured"
        case .received(let bytes)?: "received \(String(buffer: bytes))"
        case .ended(let isClean)?: "ended \(isClean)"
        case .closed(_, let isReset)?: "closed \(isReset)"
        case .broken(let error)?: "broken: \(error.message)"
        case .failed(let message)?: "failed: \(message)"
        }
    }

    /// The events that follow from bytes, until there are none.
    private func events(_ upstream: Upstream, _ text: String, _ context: SessionContext) -> [String] {
        upstream.receive(ByteBuffer(string: text), at: Self.start)
        var lines: [String] = []
        while let event = upstream.next(context) { lines.append(line(event)) }
        return lines
    }

    @Test(
        "A connection through an upstream proxy leads to the server when the proxy agrees; bytes after its answer are the server's")
    func throughProxy() throws {
        let context = try context("upstream:http://proxy.example:3128")
        let upstream = upstream(context, isTLS: false)
        var event = ""
        #expect(
            commands(context) { event = open(upstream, context) } == [
                "send upstream 1: CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
            ])
        #expect(event == "nothing")
        #expect(context.deadlines.first(.servers) == Self.start.advanced(byNanoseconds: SessionTimeouts().handshake))
        #expect(events(upstream, "HTTP/1.1 200 OK\r\n", context) == [])
        #expect(events(upstream, "\r\nhello", context) == ["connected", "received hello"])
        #expect(context.deadlines.first(.servers) == nil)
        #expect(line(upstream.timedOut()).hasPrefix("failed"))
    }

    @Test("A proxy that refuses, closes, or is silent makes the connection fail with its reason")
    func failingProxy() throws {
        let context = try context("upstream:http://proxy.example:3128")
        let refused = upstream(context)
        _ = commands(context) { _ = open(refused, context) }
        #expect(
            events(refused, "HTTP/1.1 403 No\r\n\r\n", context) == [
                "failed: the upstream proxy answered CONNECT with 403 No"
            ])
        let closed = upstream(context)
        _ = commands(context) { _ = open(closed, context) }
        #expect(line(closed.receivedEnd(context)) == "failed: the upstream proxy closed the connection before it let us through")
        let silent = upstream(context)
        _ = commands(context) { _ = open(silent, context) }
        #expect(line(silent.timedOut()) == "failed: the upstream proxy proxy.example:3128 did not complete the handshake in time")
    }

    @Test("A connection without TLS and proxy gives bytes as they come, then the end, once")
    func plain() throws {
        let context = try context()
        let upstream = upstream(context, isTLS: false)
        var event = ""
        #expect(commands(context) { event = open(upstream, context) } == [])
        #expect(event == "connected")
        #expect(events(upstream, "one", context) == ["received one"])
        #expect(line(upstream.receivedEnd(context)) == "nothing")
        #expect(line(upstream.isAtEnd()) == "ended true")
        #expect(line(upstream.isAtEnd()) == "nothing")
        #expect(commands(context) { upstream.close(context) } == ["close upstream 1"])
        #expect(events(upstream, "late", context) == [])
    }

    // MARK: Tunnels

    @Test("A tunnel knows who sent and who ended first; nothing is outstanding when neither side sent anything")
    func tunnel() throws {
        let context = try context()
        let flow = context.identities.next(at: Self.start)
        let silent = Tunnel(flow)
        #expect(!silent.isNothingOutstanding)
        silent.end(.client)
        #expect(silent.isNothingOutstanding && silent.closedBy == .client && !silent.isEnded)
        let busy = Tunnel(flow)
        busy.record(ByteBuffer(string: "x"), from: .server, at: Self.start, context)
        busy.end(.server)
        busy.end(.client)
        #expect(busy.hasSent(.server) && !busy.hasSent(.client) && !busy.isNothingOutstanding)
        #expect(busy.isEnded && busy.closedBy == .server && busy.ending(at: Self.start).state == .complete)
    }
}
