// The connections of a HAR file, and of a WARC file. At most it names the browser's connections to servers. A replay needs to know which requests were
// in progress at the same time, because the requests of one HTTP/1 connection are sent one after the other.

import FlowModel
import Foundation
import HTTPSemantics
import NIOCore

/// Connections of the entries that were read.
struct HARConnections {
    private struct ServerName: Hashable {
        var host: String
        var port: UInt16
        var address: String
        var connection: String
    }

    private struct ClientName: Hashable {
        var server: ConnectionID
        var isMultiplexed: Bool
    }

    private struct Client {
        var connection: Shared<ClientConnection>
        /// When the last exchange on it ended.
        var free: Timestamp
    }

    private var servers: [ServerName: Shared<ServerConnection>] = [:]
    private var clients: [ClientName: [Client]] = [:]

    /// - Parameters:
    ///   - address: of the server; empty if it is not known.
    ///   - connection: its name in the file.
    mutating func server(
        _ url: HARLocation, address: String, connection: String, tls: TLSDetails? = nil, _ started: Timestamp
    ) -> Shared<ServerConnection> {
        let address = address.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        let name = ServerName(host: url.target.host, port: url.target.port, address: address, connection: connection)
        if let known = servers[name], known.value.tls == tls { return known }
        let text = "\(name.host):\(name.port) \(address) \(name.connection)"
        var server = ServerConnection(
            id: ConnectionID(time: started, sequence: 0, random: stableHash(text.utf8, seed: 0)),
            target: Endpoint(host: name.host, port: name.port), opened: started)
        if !address.isEmpty { server.peer = Endpoint(host: address, port: name.port) }
        server.tls = tls
        let shared = Shared(server)
        servers[name] = shared
        return shared
    }

    /// The connection of an exchange. HTTP/2 carries several exchanges at a time and HTTP/1 one, so an exchange that began before
    /// another one ended was on a different connection.
    mutating func client(
        _ server: Shared<ServerConnection>, version: HTTPVersion, from started: Timestamp, to ended: Timestamp
    ) -> Shared<ClientConnection> {
        let name = ClientName(server: server.value.id, isMultiplexed: version.major >= 2)
        let free = clients[name]?.firstIndex { name.isMultiplexed || $0.free <= started }
        if let free, let known = clients[name]?[free] {
            clients[name]?[free].free = max(known.free, ended)
            return known.connection
        }
        let number = UInt64(clients[name]?.count ?? 0) << 1 | (name.isMultiplexed ? 1 : 0)
        let random = stableHash("\(server.value.id)".utf8, seed: number + 1)
        let connection = Shared(
            ClientConnection(
                id: ConnectionID(time: started, sequence: 0, random: random), peer: Endpoint(host: "", port: 0),
                local: Endpoint(host: "", port: 0), opened: started, mode: ""))
        clients[name, default: []].append(Client(connection: connection, free: ended))
        return connection
    }
}
