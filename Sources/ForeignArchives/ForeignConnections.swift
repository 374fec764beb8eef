// The connections of mitmproxy's flows. Each flow repeats its connections; flows with the same bytes share one here.

import FlowModel
import NIOCore

/// Connections that were read recently.
struct ForeignConnections {
    private static let maximum = 256

    private var clients: [ByteBuffer: Shared<ClientConnection>] = [:]
    private var servers: [ByteBuffer: Shared<ServerConnection>] = [:]

    /// The connections of a flow.
    /// - Parameters:
    ///   - id: of the flow; it identifies connections of versions before 5, which have no identifier.
    ///   - started: replaces missing times.
    mutating func both(
        of flow: TnetstringEntries, id: FlowID, started: Timestamp
    ) throws(TnetstringError) -> (client: Shared<ClientConnection>, server: Shared<ServerConnection>?) {
        var client = Shared(ClientConnection.unknown)
        if let value = flow["client_conn"] {
            if let known = clients[value.payload] {
                client = known
            } else {
                client = Shared(try Self.client(try value.entries(), mode: try flow["mode"]?.text(), id: id, started: started))
                if clients.count >= Self.maximum { clients.removeAll() }
                clients[value.payload.copied] = client
            }
        }
        guard let value = flow["server_conn"] else { return (client, nil) }
        if let known = servers[value.payload] { return (client, known) }
        guard let found = try Self.server(try value.entries(), id: id, started: started) else { return (client, nil) }
        let server = Shared(found)
        if servers.count >= Self.maximum { servers.removeAll() }
        servers[value.payload.copied] = server
        return (client, server)
    }

    private static func client(
        _ entries: TnetstringEntries, mode: String?, id: FlowID, started: Timestamp
    ) throws(TnetstringError) -> ClientConnection {
        let unknown = Endpoint(host: "", port: 0)
        return ClientConnection(
            id: try name(entries) ?? ConnectionID(high: id.high ^ 1, low: id.low),
            peer: try entries.endpoint(entries.clientPeer) ?? unknown, local: try entries.endpoint(entries["sockname"]) ?? unknown,
            opened: try entries["timestamp_start"]?.time() ?? started, mode: try entries["proxy_mode"]?.text() ?? mode ?? "regular",
            tls: try tls(entries, target: nil))
    }

    private static func server(
        _ entries: TnetstringEntries, id: FlowID, started: Timestamp
    ) throws(TnetstringError) -> ServerConnection? {
        guard let target = try entries.endpoint(entries["address"]) else { return nil }
        var server = ServerConnection(
            id: try name(entries) ?? ConnectionID(high: id.high ^ 2, low: id.low), target: target,
            opened: try entries["timestamp_start"]?.time() ?? started)
        server.peer = try entries.endpoint(entries.serverPeer)
        server.local = try entries.endpoint(entries.local)
        server.connected = try entries["timestamp_tcp_setup"]?.time()
        server.tls = try tls(entries, target: target)
        return server
    }

    private static func name(_ entries: TnetstringEntries) throws(TnetstringError) -> ConnectionID? {
        try entries["id"].flatMap { value throws(TnetstringError) in ConnectionID(try value.text()) }
    }

    /// nil if TLS was neither used nor attempted.
    private static func tls(_ entries: TnetstringEntries, target: Endpoint?) throws(TnetstringError) -> TLSDetails? {
        let setup = try entries.tlsSetup?.time()
        let isWanted = try entries["tls", "tls_established", "ssl_established"]?.bool() ?? false
        guard setup != nil || isWanted else { return nil }
        var tls = TLSDetails()
        tls.handshakeEnded = setup
        tls.version = try entries.tlsVersion()
        tls.cipher = try entries.cipher?.text()
        tls.serverName = try entries.serverName(target)
        tls.alpn = try entries.alpn?.text()
        if tls.alpn?.isEmpty == true { tls.alpn = nil }
        tls.alpnOffers = try entries["alpn_offers"]?.elements().map { value throws(TnetstringError) in try value.text() } ?? []
        tls.certificates = try entries.certificates()
        return tls
    }
}

extension ByteBuffer {
    /// A copy of the bytes, which does not keep their record in memory.
    fileprivate var copied: ByteBuffer { ByteBuffer(bytes: readableBytesView) }
}
