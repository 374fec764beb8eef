// One of the connections of a session: what is known of its transport, and the TLS spoken on it.

import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore
import TLSEngine

/// A connection as its session sees it.
struct Leg {
    let handle: ConnectionHandle
    var tls: TLSConnection?
    var isTLSEstablished = false
    /// What we sent is taken by the peer; otherwise the other leg is not read.
    var isWritable = true
    var isReading = true
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
struct Upstream {
    enum State: Equatable {
        case connecting
        /// TCP stands; whether TLS follows is not decided (behind CONNECT, before the client's first bytes).
        case connected
        case handshaking
        case ready
    }

    var leg: Leg
    let destination: Destination
    var state = State.connecting
    var facts: ServerConnection
    /// ``facts`` as the recording has them.
    var shared: Shared<ServerConnection>
    var decoder: HTTP1Decoder
    /// Requests sent on it.
    var requests = 0
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
    /// The failure stands in a flow.
    var isFailureRecorded = false
}
