// A connection to a server alone: opening, the proxy on the way, TLS and the end, as the events that it reports.

import FlowModel
import HTTPSemantics
import NIOCore
import TLSEngine
import Testing

@testable import ProxyCore

@Suite("A connection to a server")
struct UpstreamTests {
    private static let peer = Endpoint(host: "192.0.2.1", port: 80)
    private static let local = Endpoint(host: "192.0.2.9", port: 40000)

    /// A connection that has been asked for, and its surroundings.
    private struct Stage {
        let context: SessionContext
        let upstream: Upstream

        /// - Parameter mode: `upstream:…` puts a proxy on the way.
        init(_ mode: String = "regular", isTLS: Bool? = false, isRouted: Bool = false) throws {
            context = try SessionContext.forTests(mode)
            upstream = Upstream(
                Transport(.socket(ConnectionHandle(1))),
                to: Destination(endpoint: Endpoint(host: "a.example", port: 80), isTLS: isTLS), isRouted: isRouted, context)
        }

        func open() -> String { Self.render(upstream.opened(peer: UpstreamTests.peer, local: UpstreamTests.local, context)) }

        /// The events that follow from bytes.
        func receive(_ text: String) -> [String] {
            upstream.receive(ByteBuffer(string: text), at: context.now)
            return events()
        }

        func events() -> [String] {
            var events: [String] = []
            while let event = upstream.next(context) { events.append(Self.render(event)) }
            return events
        }

        static func render(_ event: UpstreamEvent?) -> String {
            switch event {
            case nil: "nothing"
            case .connected: "connected"
            case .secured: "secured"
            case .received(let bytes): "received \(String(buffer: bytes))"
            case .ended(let isClean): isClean ? "ended" : "cut"
            case .closed(let error, let isReset): "closed \(error ?? "") \(isReset ? "by a reset" : "")"
            case .broken(let error): "broken: \(error.message)"
            case .failed(let message): "failed: \(message)"
            }
        }
    }

    @Test("Without a proxy it leads to the server at once; bytes and the end are reported in their order")
    func direct() throws {
        let stage = try Stage()
        #expect(stage.open() == "connected")
        #expect(stage.open() == "nothing")
        stage.upstream.becomeReady()
        #expect(stage.receive("hello") == ["received hello"])
        #expect(stage.upstream.receivedEnd(stage.context) == nil)
        #expect(Stage.render(stage.upstream.isAtEnd()) == "ended")
        #expect(Stage.render(stage.upstream.isAtEnd()) == "nothing")
        #expect(stage.context.lines == [])
        #expect(stage.upstream.facts.peer == Self.peer && stage.upstream.facts.local == Self.local)
    }

    @Test("A connection that leads back to the recorder fails")
    func loop() throws {
        let stage = try Stage()
        stage.context.configuration.ownAddresses.add(Self.peer)
        #expect(stage.open() == "failed: \(Self.peer) is the recorder itself, so the request would go round in circles")
    }

    static let openings: [(mode: String, isRouted: Bool, sent: [String], event: String)] = [
        ("regular", false, [], "connected"),
        ("upstream:http://p.example:81", false, [], "connected"),
        (
            "upstream:http://p.example:81", true,
            ["send upstream 1: CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n"], "nothing"
        ),
        ("upstream:socks5://p.example", false, ["send upstream 1: \u{5}\u{1}\u{0}"], "nothing"),
        ("upstream:https://p.example", true, [], "nothing"),
    ]

    @Test("A proxy on the way is asked first, but not for plain HTTP", arguments: openings)
    func opening(mode: String, isRouted: Bool, sent: [String], event: String) throws {
        let stage = try Stage(mode, isRouted: isRouted)
        #expect(stage.open() == event)
        #expect(stage.context.lines == sent)
        // The proxy must answer in time; a server that is reached may take as long as it likes.
        let isAwaited = stage.context.deadlines.first(.servers) != nil
        #expect(isAwaited == (event == "nothing"))
    }

    static let answers: [(String, [String])] = [
        ("HTTP/1.1 200 OK\r\n\r\n", ["connected"]),
        ("HTTP/1.1 200 OK\r\n\r\n220 mail", ["connected", "received 220 mail"]),
        ("HTTP/1.1 407 No\r\n\r\n", ["failed: the upstream proxy answered CONNECT with 407 No"]),
    ]

    @Test("A proxy's answer, and what the server sends after it", arguments: answers)
    func answer(answer: String, expected: [String]) throws {
        let stage = try Stage("upstream:http://p.example:81", isRouted: true)
        #expect(stage.open() == "nothing")
        #expect(stage.receive(answer) == expected)
        if expected.first == "connected" { #expect(stage.context.deadlines.first(.servers) == nil) }
    }

    static let failures: [(mode: String, opens: Bool, end: String, timeOut: String)] = [
        (
            "regular", false, "failed: cannot connect to a.example:80: no such host",
            "failed: a.example:80 did not complete the handshake in time"
        ),
        (
            "upstream:socks5://p.example", false, "failed: cannot connect to the upstream proxy p.example:1080: no such host",
            "failed: a.example:80 did not complete the handshake in time"
        ),
        (
            "upstream:socks5://p.example", true, "failed: the upstream proxy closed the connection before it let us through",
            "failed: the upstream proxy p.example:1080 did not complete the handshake in time"
        ),
        (
            "upstream:https://p.example", true, "failed: the upstream proxy closed the connection before it let us through",
            "failed: the upstream proxy p.example:443 did not complete the handshake in time"
        ),
    ]

    @Test("A connection that cannot be used fails with its reason", arguments: failures)
    func failure(mode: String, opens: Bool, end: String, timeOut: String) throws {
        let stage = try Stage(mode)
        if opens {
            #expect(stage.open() == "nothing")
            #expect(Stage.render(stage.upstream.receivedEnd(stage.context)) == end)
        } else {
            #expect(Stage.render(stage.upstream.openFailed("no such host")) == end)
        }
        #expect(Stage.render(stage.upstream.timedOut()) == timeOut)
        stage.upstream.close(stage.context)
        #expect(stage.upstream.timedOut() == nil && stage.context.deadlines.first(.servers) == nil)
        #expect(stage.context.lines.last == "close upstream 1")
    }

    @Test("TLS is reported when it stands; an end without close_notify is a cut", arguments: [false, true])
    func tls(closes: Bool) throws {
        let stage = try Stage(isTLS: true)
        #expect(stage.open() == "connected")
        try stage.upstream.startTLS(serverName: "a.example", offers: ["http/1.1"], stage.context)
        #expect(stage.context.deadlines.first(.servers) != nil)
        let leaf = try Playbook.authority.issue(LeafRequest(serverName: "a.example"), now: 1_700_000_000)
        let server = try TLSConnection(server: stage.context.configuration.serverTLS, certificate: leaf, alpn: "http/1.1")
        var (events, sent) = ([String](), 0)
        /// Both sides get what the other one has sent, until there is nothing more.
        func relay() throws {
            for _ in 0..<5 {
                events += stage.events()
                stage.upstream.transport.flush(stage.context)
                for case .send(_, let bytes) in stage.context.output.commands[sent...] { server.receive(bytes) }
                sent = stage.context.output.commands.count
                _ = try server.handshake()
                if let bytes = server.takeCiphertext() { stage.upstream.receive(bytes, at: stage.context.now) }
            }
        }
        try relay()
        #expect(events == ["secured"])
        #expect(stage.context.deadlines.first(.servers) == nil)
        #expect(stage.upstream.facts.tls?.alpn == "http/1.1" && stage.upstream.facts.tls?.serverName == "a.example")
        stage.upstream.becomeReady()
        try server.write(ByteBuffer(string: "hello"))
        if closes { server.close() }
        try relay()
        if !closes {
            #expect(stage.upstream.receivedEnd(stage.context) == nil)
            try relay()
        }
        #expect(events == ["secured", "received hello", closes ? "ended" : "cut"])
    }
}
