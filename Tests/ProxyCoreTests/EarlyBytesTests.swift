// Bytes that come from one side while the other one is being set up: they belong to the tunnel, in order, with their times.

import FlowModel
import HTTPSemantics
import NIOCore
import ProxyCore
import TLSEngine
import Testing

@Suite("Bytes that come early")
struct EarlyBytesTests {
    /// A way in which a client reaches a TLS server.
    enum Way: String, CaseIterable {
        case connect, socks5, transparent, reverseTCP, reverseTLS, tcpHost, startTLS
    }

    struct Case: CustomStringConvertible {
        var way: Way
        var version: TLSVersion
        var moment: TLSServer.Moment
        var closes: Bool
        var description: String { "\(way.rawValue) \(version) \(moment) \(closes ? "closes" : "stays open")" }
    }

    static let cases = Way.allCases.flatMap { way in
        [TLSVersion.tls12, .tls13].flatMap { version in
            TLSServer.Moment.allCases.flatMap { moment in
                [false, true].map { Case(way: way, version: version, moment: moment, closes: $0) }
            }
        }
    }

    private static let greeting = "* OK ready\r\n"
    private static let endpoint = Endpoint(host: "192.0.2.1", port: 993)

    /// A session whose client has said where it wants to go, and whose server is connected to if it is by then.
    private static func play(_ way: Way) throws -> Playbook {
        let rules = try HostPolicy(tcpHosts: way == .tcpHost)
        let mode =
            switch way {
            case .connect, .tcpHost: "regular"
            case .socks5: "socks5"
            case .transparent: "transparent"
            case .reverseTCP, .startTLS: "reverse:tcp://a.example:993"
            case .reverseTLS: "reverse:tls://a.example:993"
            }
        let play = try Playbook(
            mode, originalDestination: way == .transparent ? Self.endpoint : nil, verifies: false, hosts: rules)
        let opening = ["open upstream 1: \(way == .transparent || way == .socks5 ? "192.0.2.1" : "a.example"):993"]
        switch way {
        case .connect, .tcpHost:
            #expect(play.client(sends: "CONNECT a.example:993 HTTP/1.1\r\nHost: a.example:993\r\n\r\n") == opening)
        case .socks5:
            play.skip { play.deliver(.received(.client, ByteBuffer(bytes: [5, 1, 0]))) }
            #expect(play.deliver(.received(.client, ByteBuffer(bytes: [5, 1, 0, 1, 192, 0, 2, 1, 3, 225]))) == opening)
        case .transparent, .reverseTCP, .reverseTLS, .startTLS: #expect(play.started == opening)
        }
        play.serverOpens(port: 993)
        if way == .startTLS {
            #expect(play.server(sends: "220 mail\r\n") == ["send client: 220 mail\r\n"])
            #expect(play.client(sends: "STARTTLS\r\n") == ["send upstream 1: STARTTLS\r\n"])
            #expect(play.server(sends: "220 go on\r\n") == ["send client: 220 go on\r\n"])
        }
        // The proxy's own answer.
        play.skipSent(.client, ConnectionHandle(1))
        return play
    }

    @Test("What a TLS server says first reaches a client that listens, whenever it comes, and so does its end", arguments: cases)
    func serverFirst(_ example: Case) throws {
        let play = try Self.play(example.way)
        let server = try TLSServer(
            play, version: example.version, sends: Self.greeting, at: example.moment, closes: example.closes)
        let client = try TLSClient(play, alpn: [], server: server)
        #expect(try client.exchange() == Self.greeting)
        #expect(client.tls.isPeerClosed == example.closes)
        let opened = client.lines.filter { $0.hasPrefix("open ") }
        #expect(opened == [])
        if !example.closes {
            try client.tls.write(ByteBuffer(string: "a LOGOUT\r\n"))
            try client.exchange()
            #expect(server.received == "a LOGOUT\r\n")
        }
        let before = example.way == .startTLS ? " <220 mail\r\n >STARTTLS\r\n <220 go on\r\n" : ""
        let after = example.closes ? "" : " >a LOGOUT\r\n"
        #expect(play.flows == ["tcp incomplete\(before) <\(Self.greeting)\(after)"])
        // Each piece has the moment at which it came, and none is before the flow's beginning.
        let opening = play.records.first { if case .opened = $0.what { true } else { false } }
        let times = play.records.filter { if case .piece = $0.what { true } else { false } }.map(\.at)
        #expect(times == times.sorted(by: <))
        #expect(opening.map { $0.at <= times[0] } == true)
    }

    @Test("What came of both sides before the server stood keeps its order and its times")
    func order() throws {
        let play = try Playbook("reverse:tcp://a.example:7000")
        #expect(play.started == ["open upstream 1: a.example:7000"])
        var times: [Timestamp] = []
        for text in ["\u{1}one", "two", "three"] {
            #expect(play.client(sends: text) == [])
            times.append(play.now)
        }
        #expect(play.serverOpens(port: 7000) == ["send upstream 1: \u{1}onetwothree"])
        let pieces = play.records.compactMap { event in
            if case .piece(let piece) = event.what { "\(String(buffer: piece.content)) \(event.at)" } else { nil }
        }
        #expect(pieces == zip(["\u{1}one", "two", "three"], times).map { "\($0) \($1)" })
    }

    @Test("What a client said to a server that could not be had is recorded")
    func lastWords() throws {
        let play = try Playbook("reverse:tcp://a.example:7000")
        #expect(play.started == ["open upstream 1: a.example:7000"])
        play.client(sends: "\u{1}one")
        let refused = play.deliver(.openFailed(ConnectionHandle(1), reason: "connection refused"))
        #expect(refused == ["close upstream 1", "abort client"])
        #expect(play.flows == ["tcp failed >\u{1}one ! server: cannot connect to a.example:7000: connection refused"])
        let left = try Playbook("reverse:tcp://a.example:7000")
        #expect(left.started == ["open upstream 1: a.example:7000"])
        left.client(sends: "\u{1}one")
        #expect(left.deliver(.closed(.client, error: nil, isReset: true)) == ["abort upstream 1"])
        #expect(left.flows == ["tcp incomplete >\u{1}one ! client: the client reset the connection"])
    }

    @Test(
        "What a TLS server said to a client whose own TLS came to nothing is recorded", arguments: [TLSVersion.tls12, .tls13],
        [TLSServer.Moment.withItsHandshake, .certificateIsMade, .clientShakesHands])
    func lostGreeting(version: TLSVersion, moment: TLSServer.Moment) throws {
        for isReset in [false, true] {
            let play = try Self.play(.connect)
            let server = try TLSServer(play, version: version, sends: Self.greeting, at: moment)
            let client = try TLSClient(play, alpn: [], server: server)
            _ = try client.tls.handshake()
            let hello = try #require(client.tls.takeCiphertext())
            try client.follow(play.deliver(.received(.client, hello)))
            let unknownCertificate = ByteBuffer(bytes: [0x15, 3, 3, 0, 2, 2, 46])
            let end = play.deliver(isReset ? .closed(.client, error: nil, isReset: true) : .received(.client, unknownCertificate))
            // A TLS server that stands is sent its close_notify.
            #expect(
                end.filter { !$0.hasPrefix("send upstream 1") }
                    == (isReset ? ["abort upstream 1"] : ["close upstream 1", "finish client"]))
            #expect(play.flows.count == 1)
            let flow = try #require(play.flows.first)
            #expect(flow.hasPrefix("tcp failed <\(Self.greeting) ! client: "), "\(flow)")
        }
    }

    @Test("What a server still sends in the clear while its client begins TLS is relayed")
    func besideTLS() throws {
        let play = try Self.play(.startTLS)
        var hello = ByteBuffer(bytes: [0x16, 3, 1, 2, 0, 1])
        hello.writeBytes([0, 1, 0xFC, 3, 3])
        #expect(play.deliver(.received(.client, hello)) == [])
        #expect(play.server(sends: "more\r\n") == ["send client: more\r\n"])
        #expect(play.flows == ["tcp incomplete <220 mail\r\n >STARTTLS\r\n <220 go on\r\n <more\r\n"])
    }

    @Test("A server that is not read yet is stopped when much of it waits")
    func backPressure() throws {
        let play = try Self.play(.connect)
        let server = try TLSServer(
            play, version: .tls13, sends: String(repeating: "x", count: 600_000), at: .certificateIsMade, closes: false)
        let client = try TLSClient(play, alpn: [], server: server)
        #expect(try client.exchange().utf8.count == 600_000)
        #expect(client.lines == ["forge a.example", "pause upstream 1", "read upstream 1"])
    }
}

extension HostPolicy {
    convenience init(tcpHosts: Bool) throws {
        var rules = HostRules()
        if tcpHosts { rules.tcp = [{ $0.contains("a.example") }] }
        self.init(rules)
    }
}
