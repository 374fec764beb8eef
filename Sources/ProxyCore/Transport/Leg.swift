// One of the connections of a session: what is known of its transport, and the TLS spoken on it.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import TLSEngine

/// A connection as its session sees it.
struct Leg {
    let handle: ConnectionHandle
    var tls: TLSConnection?
    /// TLS with an upstream proxy, in which everything else is.
    var proxyTLS: TLSConnection?
    var isProxyTLSEstablished = false
    var isTLSEstablished = false
    /// What we sent is taken by the peer; otherwise the other leg is not read.
    var isWritable = true
    var isReading = true
    /// Bytes that we answered its pings with while it took none.
    var unreadReplies = 0
    /// The peer's FIN or close_notify came.
    var hasEnded = false
    /// We sent FIN, or asked for closing.
    var isFinished = false
    /// Plaintext was written that is not yet on its way as ciphertext.
    var hasUnsentRecords = false
    /// When bytes were last read from it.
    var lastRead = Timestamp(nanoseconds: 0)

    init(handle: ConnectionHandle) { self.handle = handle }
}

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

    var leg: Leg
    let destination: Destination
    var state = State.connecting
    var facts: ServerConnection
    /// ``facts`` as the recording has them.
    var shared: Shared<ServerConnection>
    /// HTTP/1: what it says, and the exchange that it serves.
    let decoder: HTTP1Decoder
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

    init(leg: Leg, destination: Destination, facts: ServerConnection, decoder: HTTP1Decoder) {
        self.leg = leg
        self.destination = destination
        self.facts = facts
        self.shared = Shared(facts)
        self.decoder = decoder
    }

    /// When the handshake that is in progress must be complete.
    var deadline: Deadline { Deadline(.servers, owner: leg.handle.value) }

    /// Something of it waits for the tunnel.
    var isEarly: Bool { !early.isEmpty || earlyEnd != nil }

    /// It serves nobody.
    var isIdle: Bool { exchange == nil && exchanges.isEmpty && waiting.isEmpty }

    /// A request to this destination may go out on it now.
    func takes(_ destination: Destination) -> Bool {
        guard state == .ready, !leg.hasEnded, !leg.isFinished, leads(to: destination) else { return false }
        return http2?.takesRequests ?? (exchange == nil)
    }

    func leads(to destination: Destination) -> Bool {
        guard self.destination.endpoint == destination.endpoint else { return false }
        return self.destination == destination || leg.isTLSEstablished == destination.isTLS
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

/// Where an upstream connection leads.
struct Destination: Equatable {
    var endpoint: Endpoint
    /// nil: not decided yet.
    var isTLS: Bool?
}

/// Where the whole stream of a client goes: in reverse mode from the start, in regular mode behind CONNECT.
struct Route {
    var destination: Destination
    /// What the client speaks is its own business: behind CONNECT.
    var isTunnel: Bool
    /// The name that the client asked for in its ClientHello.
    var serverName: String?
    /// Why the server cannot be had, when that is known already. Requests are answered with it.
    var failure: FlowError?
    /// The server is spoken to in HTTP/2 without TLS, with prior knowledge (RFC 9113 §3.3).
    var isCleartextHTTP2 = false
    /// What is inside is bytes, whatever it looks like.
    var isTCP = false
    /// The failure stands in a flow.
    var isFailureRecorded = false
}
