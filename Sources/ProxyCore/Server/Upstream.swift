// One connection of a session to a server.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import TLSEngine

/// A server connection.
final class Upstream {
    enum State: Equatable {
        case connecting
        /// The upstream proxy is asked to let us through.
        case negotiating
        /// TCP stands; whether TLS follows is not decided (behind CONNECT, before the client's first bytes).
        case connected
        case handshaking
        case ready
        /// Closed from our side, or gone.
        case closed
    }

    let transport: Transport
    let destination: Destination
    var state = State.connecting
    var facts: ServerConnection
    /// ``facts`` as the recording has them.
    var shared: Shared<ServerConnection>
    /// HTTP/1: what it says, and the exchange that it serves.
    let decoder: HTTP1ResponseDecoder
    var exchange: Exchange?
    /// HTTP/2: the connection, and the exchanges on its streams.
    var http2: HTTP2Connection?
    var exchanges: [StreamID: Exchange] = [:]
    /// The server's GOAWAY.
    var goAway: GoAway?
    /// Exchanges that wait until it is ready.
    var waiting: [Exchange] = []
    /// Requests sent on it.
    var requests = 0
    /// What is said to an upstream proxy.
    var handshake: ProxyHandshake?
    /// Requests go to an upstream proxy in absolute form.
    var isForwardProxy = false
    /// What it said, and how it ended, before its client's side of a tunnel stood.
    var early = EarlyBytes()
    var earlyEnd: EarlyEnd?

    enum EarlyEnd {
        /// It says no more.
        case finished
        /// The connection is gone.
        case closed(isReset: Bool)
    }

    init(transport: Transport, destination: Destination, facts: ServerConnection, decoder: HTTP1ResponseDecoder) {
        self.transport = transport
        self.destination = destination
        self.facts = facts
        self.shared = Shared(facts)
        self.decoder = decoder
    }

    /// When the handshake that is in progress must be complete.
    var deadline: Deadline { Deadline(.servers, owner: transport.handle.value) }

    /// Something of it waits for the tunnel.
    var isEarly: Bool { !early.isEmpty || earlyEnd != nil }

    /// It serves nobody.
    var isIdle: Bool { exchange == nil && exchanges.isEmpty && waiting.isEmpty }

    /// A request to this destination may go out on it now.
    func takes(_ destination: Destination) -> Bool {
        guard state == .ready, !transport.hasEnded, !transport.isFinished, leads(to: destination) else { return false }
        return http2?.takesRequests ?? (exchange == nil)
    }

    func leads(to destination: Destination) -> Bool {
        guard self.destination.endpoint == destination.endpoint else { return false }
        return self.destination == destination || transport.isTLSEstablished == destination.isTLS
    }

    func forget(_ exchange: Exchange) {
        if self.exchange === exchange { self.exchange = nil }
        if let stream = exchange.upstreamStream { exchanges[stream] = nil }
        waiting.removeAll { $0 === exchange }
        exchange.upstream = nil
        exchange.upstreamStream = nil
    }
}

/// Why a server takes no more streams (RFC 9113 §6.8).
struct GoAway {
    var code: HTTP2ErrorCode
    var debug: String

    var isError: Bool { code != .noError }

    /// `GOAWAY with ENHANCE_YOUR_CALM, "too_many_pings"`
    var description: String { "GOAWAY with \(code)" + (debug.isEmpty ? "" : ", \"\(debug)\"") }
}
