// The facts of the two connections of a flow. They are made once for a connection and shared by its flows.

import HTTPSemantics
import NIOCore

/// An address and a port. The host is an IP address as text, or a name when a name was requested.
package struct Endpoint: Sendable, Hashable, CustomStringConvertible {
    package var host: String
    package var port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// `host:port`, an IPv6 address in brackets.
    package var description: String { host.utf8.contains(0x3A) ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// What is known of TLS on one connection.
package struct TLSDetails: Sendable, Equatable {
    /// `TLSv1.3`; nil until the handshake is done.
    package var version: String?
    /// OpenSSL's name of the cipher suite, for example `TLS_AES_256_GCM_SHA384`.
    package var cipher: String?
    package var serverName: String?
    /// The protocol chosen by ALPN, for example `h2`.
    package var alpn: String?
    package var alpnOffers: [String] = []
    /// The chain that the peer sent, DER, leaf first. A certificate that a damaged recording lost is empty.
    package var certificates: [ByteBuffer] = []
    package var ja3: String?
    package var ja4: String?
    package var isResumed = false
    /// Upstream only: whether the chain is valid; nil when it was not checked.
    package var isVerified: Bool?
    /// Upstream only: OpenSSL's message when verification failed and was ignored.
    package var verificationError: String?
    package var handshakeStarted: Timestamp?
    package var handshakeEnded: Timestamp?

    package init() {}
}

/// One connection of a client to the recorder.
package struct ClientConnection: Sendable, Equatable {
    package var id: ConnectionID
    package var peer: Endpoint
    package var local: Endpoint
    package var opened: Timestamp
    /// The mode of the listener that accepted it, as its `--mode` was written: `regular`, `reverse:https://example.org`.
    package var mode: String
    package var tls: TLSDetails?
    /// HTTP/2: the SETTINGS that the client sent, in their order, up to ``PeerSetting/maximumKept``; nil without any.
    package var settings: [PeerSetting]?

    package init(id: ConnectionID, peer: Endpoint, local: Endpoint, opened: Timestamp, mode: String, tls: TLSDetails? = nil) {
        self.id = id
        self.peer = peer
        self.local = local
        self.opened = opened
        self.mode = mode
        self.tls = tls
    }

    /// A connection whose record was lost.
    package static let unknown = ClientConnection(
        id: ConnectionID(high: 0, low: 0), peer: Endpoint(host: "", port: 0), local: Endpoint(host: "", port: 0),
        opened: Timestamp(nanoseconds: 0), mode: "")
}

/// One connection of the recorder to a server.
package struct ServerConnection: Sendable, Equatable {
    package var id: ConnectionID
    /// The server as it was requested: a name or an address.
    package var target: Endpoint
    /// The address of the server; nil when no connection was established.
    package var peer: Endpoint?
    package var local: Endpoint?
    /// When connecting began, before the name was resolved.
    package var opened: Timestamp
    package var connected: Timestamp?
    package var tls: TLSDetails?
    /// HTTP/2: the SETTINGS that the server sent, as of a client.
    package var settings: [PeerSetting]?

    package init(id: ConnectionID, target: Endpoint, opened: Timestamp) {
        self.id = id
        self.target = target
        self.opened = opened
    }
}

/// A value that is shared by reference, so that an event carries eight bytes. When more is known of a connection (after its TLS
/// handshake), its facts are replaced by new ones with the same identifier.
package final class Shared<Value: Sendable>: Sendable {
    package let value: Value

    package init(_ value: Value) { self.value = value }
}

extension Shared: Equatable where Value: Equatable {
    package static func == (a: Shared, b: Shared) -> Bool { a === b || a.value == b.value }
}
