// Peers of a session that speak TLS, over no network.

import FlowModel
import NIOCore
import ProxyCore
import TLSEngine

/// A client that speaks TLS with a session.
final class TLSClient {
    let tls: TLSConnection
    private let play: Playbook
    /// A server that the session may connect to.
    private let server: TLSServer?
    /// What the session asked for beside sending.
    private(set) var lines: [String] = []

    init(_ play: Playbook, alpn: [String], server: TLSServer? = nil) throws {
        self.play = play
        self.server = server
        var options = TLSClientOptions()
        options.verifies = false
        tls = try TLSConnection(
            client: TLSClientContext(options), serverName: "a.example", alpnOffers: alpn, sessionKey: "a.example")
    }

    /// - Returns: what came, as text.
    func exchange() throws -> String {
        var text = ""
        for _ in 0..<20 {
            _ = try tls.handshake()
            if let bytes = tls.takeCiphertext() { try hear(play.tell(.received(.client, bytes))) }
            let bytes = play.takeSent(.client)
            if bytes.readableBytes > 0 { tls.receive(bytes) }
            if try tls.handshake() { try hear(server?.said(at: .clientIsEstablished) ?? []) }
            while let plain = try tls.read() { text += String(buffer: plain) }
        }
        return text
    }

    func hear(_ commands: [String]) throws {
        for line in commands where !line.hasPrefix("send ") {
            lines.append(line)
            if line.hasPrefix("open upstream") { try hear(play.serverOpens()) }
            guard line.hasPrefix("forge ") else { continue }
            let leaf = try Playbook.authority.issue(LeafRequest(serverName: "a.example"), now: 1_700_000_000)
            try hear(server?.answer() ?? [])
            try hear(server?.said(at: .certificateIsMade) ?? [])
            try hear(play.certified(leaf))
            try hear(server?.said(at: .clientShakesHands) ?? [])
        }
        if let more = try server?.answer(), !more.isEmpty { try hear(more) }
    }
}

/// A server that speaks TLS with a session, and says something before its client does.
final class TLSServer {
    /// When it says it.
    enum Moment: CaseIterable {
        case withItsHandshake, certificateIsMade, clientShakesHands, clientIsEstablished
    }

    private let tls: TLSConnection
    private let play: Playbook
    private let moment: Moment
    private let words: String
    private let closes: Bool
    private var isEstablished = false
    private var hasSpoken = false
    private let handle: ConnectionHandle
    /// What it heard.
    private(set) var heard = ""
    var facts: TLSFacts { tls.facts }

    /// - Parameter alpn: what it chooses when it is offered.
    init(
        _ play: Playbook, on number: UInt32 = 1, version: TLSVersion = .tls13, says words: String = "",
        at moment: Moment = .clientIsEstablished, closes: Bool = false, alpn: String? = nil
    ) throws {
        self.play = play
        handle = ConnectionHandle(number)
        self.words = words
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
        while let plain = try tls.read() { heard += String(buffer: plain) }
        if isEstablished, !wasEstablished, moment == .withItsHandshake { try speak() }
        return flush()
    }

    func said(at moment: Moment) throws -> [String] {
        guard isEstablished, moment == self.moment, !hasSpoken else { return [] }
        try speak()
        return flush()
    }

    private func speak() throws {
        hasSpoken = true
        try tls.write(ByteBuffer(string: words))
        if closes { tls.close() }
    }

    private func flush() -> [String] {
        guard let bytes = tls.takeCiphertext() else { return [] }
        var lines = play.tell(.received(handle, bytes))
        if hasSpoken, closes { lines += play.tell(.halfClosed(handle)) }
        return lines
    }
}
