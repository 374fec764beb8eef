// Peers of a session that speak TLS, over no network.

import FlowModel
import NIOCore
import ProxyCore
import TLSEngine
import Testing

/// A client that speaks TLS with a session. It answers what the session needs for that: certificates and connections.
final class TLSClient {
    let tls: TLSConnection
    private let play: Playbook
    /// A server that the session may connect to.
    private let server: TLSServer?
    private let sourceLocation: SourceLocation
    private var requests: [String] = []
    private var areLinesExamined = false

    init(
        _ play: Playbook, alpn: [String], server: TLSServer? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        self.play = play
        self.server = server
        self.sourceLocation = sourceLocation
        var options = TLSClientOptions()
        options.verifies = false
        tls = try TLSConnection(
            client: TLSClientContext(options), serverName: "a.example", alpnOffers: alpn, sessionKey: "a.example")
    }

    deinit {
        let others = requests.filter { !$0.hasPrefix("forge ") && !$0.hasPrefix("open ") }
        if !areLinesExamined, !others.isEmpty {
            Issue.record("what followed was not examined: \(others)", sourceLocation: sourceLocation)
        }
    }

    /// What the session asked for besides sending.
    var lines: [String] {
        areLinesExamined = true
        return requests
    }

    /// - Returns: what came, as text.
    @discardableResult
    func exchange() throws -> String {
        var text = ""
        for _ in 0..<20 {
            _ = try tls.handshake()
            if let bytes = tls.takeCiphertext() { try follow(play.deliver(.received(.client, bytes))) }
            let bytes = play.takeSent(.client)
            if bytes.readableBytes > 0 { tls.receive(bytes) }
            if try tls.handshake() { try follow(server?.speak(at: .clientIsEstablished) ?? []) }
            while let plain = try tls.read() { text += String(buffer: plain) }
        }
        return text
    }

    /// Answers what the session asks for.
    func follow(_ commands: some Sequence<String>) throws {
        // Bytes for a server wait until it takes them.
        for line in commands where line.hasPrefix("send upstream") { _ = play.hold([line], at: sourceLocation) }
        for line in commands where !line.hasPrefix("send ") {
            requests.append(line)
            if line.hasPrefix("open upstream") { try follow(play.serverOpens()) }
            guard line.hasPrefix("forge ") else { continue }
            let leaf = try Playbook.authority.issue(LeafRequest(serverName: "a.example"), now: 1_700_000_000)
            try follow(server?.answer() ?? [])
            try follow(server?.speak(at: .certificateIsMade) ?? [])
            try follow(play.certified(leaf))
            try follow(server?.speak(at: .clientShakesHands) ?? [])
        }
        if let more = try server?.answer(), !more.isEmpty { try follow(more) }
    }
}

/// A server that speaks TLS with a session, and may send something before its client does.
final class TLSServer {
    /// When it sends it.
    enum Moment: CaseIterable {
        case withItsHandshake, certificateIsMade, clientShakesHands, clientIsEstablished
    }

    private let tls: TLSConnection
    private let play: Playbook
    private let handle: ConnectionHandle
    private let moment: Moment
    private let greeting: String
    private let closes: Bool
    private var isEstablished = false
    private var hasSpoken = false
    /// What it received.
    private(set) var received = ""
    var facts: TLSFacts { tls.facts }

    /// - Parameter alpn: what it chooses when it is offered.
    init(
        _ play: Playbook, on number: UInt32 = 1, version: TLSVersion = .tls13, sends greeting: String = "",
        at moment: Moment = .clientIsEstablished, closes: Bool = false, alpn: String? = nil
    ) throws {
        self.play = play
        handle = ConnectionHandle(number)
        self.greeting = greeting
        self.moment = moment
        self.closes = closes
        var options = TLSServerOptions()
        options.maximumVersion = version
        let leaf = try Playbook.authority.issue(LeafRequest(serverName: "a.example"), now: 1_700_000_000)
        tls = try TLSConnection(server: TLSServerContext(options), certificate: leaf, alpn: alpn)
    }

    /// Takes what the session sent, and answers.
    func answer() throws -> [String] {
        let bytes = play.takeSent(handle)
        guard bytes.readableBytes > 0 else { return [] }
        tls.receive(bytes)
        let wasEstablished = isEstablished
        isEstablished = try tls.handshake()
        while let plain = try tls.read() { received += String(buffer: plain) }
        if isEstablished, !wasEstablished, moment == .withItsHandshake { try sendGreeting() }
        return flush()
    }

    /// Answers until the session has nothing more for it.
    @discardableResult
    func exchange(sourceLocation: SourceLocation = #_sourceLocation) throws -> Turn {
        var lines: [String] = []
        for _ in 0..<4 { lines += try answer().filter { !$0.hasPrefix("send \(handle):") } }
        return play.hold(lines, at: sourceLocation)
    }

    func speak(at moment: Moment) throws -> [String] {
        guard isEstablished, moment == self.moment, !hasSpoken else { return [] }
        try sendGreeting()
        return flush()
    }

    private func sendGreeting() throws {
        hasSpoken = true
        try tls.write(ByteBuffer(string: greeting))
        if closes { tls.close() }
    }

    private func flush() -> [String] {
        guard let bytes = tls.takeCiphertext() else { return [] }
        var lines = Array(play.deliver(.received(handle, bytes)))
        if hasSpoken, closes { lines += play.deliver(.halfClosed(handle)) }
        return lines
    }
}
