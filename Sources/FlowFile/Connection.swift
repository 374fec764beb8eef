// The facts of the connections of a flow.

internal import FlowModel
internal import NIOCore

/// An address and a port.
public struct Endpoint: Sendable, Hashable, CustomStringConvertible {
    /// An IP address in its usual text form, or a name.
    public let host: String
    /// A TCP port.
    public let port: UInt16

    init(_ model: FlowModel.Endpoint) { (host, port) = (model.host, model.port) }

    /// `host:port`, an IPv6 address in brackets.
    public var description: String { FlowModel.Endpoint(host: host, port: port).description }
}

/// A connection between a client and the recorder, or between the recorder and a server. Flows of one connection have the same ``id``.
public struct Connection: Sendable, Hashable {
    /// Unique across machines.
    public let id: FlowID
    /// The other end: the client, or the server's address; nil if no server was reached.
    public let peer: Endpoint?
    /// The recorder's end.
    public let local: Endpoint?
    /// The server as it was asked for, a name or an address; nil for a client's connection.
    public let target: Endpoint?
    /// When it was accepted, or when connecting to the server began.
    public let opened: Timestamp
    /// The listener's mode for a client's connection, such as `regular`; nil for a server's.
    public let mode: String?
    /// nil without TLS.
    public let tls: TLS?

    init(_ model: ClientConnection) {
        id = FlowID(model.id)
        peer = Endpoint(model.peer)
        local = Endpoint(model.local)
        target = nil
        opened = Timestamp(model.opened)
        mode = model.mode
        tls = model.tls.map { TLS($0) }
    }

    init(_ model: ServerConnection) {
        id = FlowID(model.id)
        peer = model.peer.map { Endpoint($0) }
        local = model.local.map { Endpoint($0) }
        target = Endpoint(model.target)
        opened = Timestamp(model.opened)
        mode = nil
        tls = model.tls.map { TLS($0) }
    }

    /// What is known of TLS on a connection.
    public struct TLS: Sendable, Hashable {
        /// `TLSv1.3`; nil if the handshake did not end.
        public let version: String?
        /// OpenSSL's name of the cipher suite, for example `TLS_AES_256_GCM_SHA384`.
        public let cipher: String?
        /// The name in the client's SNI.
        public let serverName: String?
        /// The protocol that ALPN chose, for example `h2`.
        public let alpn: String?
        /// The fingerprint of the ClientHello; nil for a server's connection.
        public let ja4: String?
        /// The chain that the peer sent: DER, leaf first. Empty if a damaged file lost it.
        public let certificates: [[UInt8]]
        /// Server only: whether the chain was verified; nil if verification was off.
        public let isVerified: Bool?

        init(_ model: TLSDetails) {
            version = model.version
            cipher = model.cipher
            serverName = model.serverName
            alpn = model.alpn
            ja4 = model.ja4
            certificates = model.certificates.map { Array($0.readableBytesView) }
            isVerified = model.isVerified
        }
    }
}
