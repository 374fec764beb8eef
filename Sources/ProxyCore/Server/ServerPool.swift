// The server connections of one client, and the requests that wait for one.

import FlowModel

/// Connections to servers. There is at most one while the client speaks HTTP/1, or in a tunnel. Tunnels on streams have pools of their own.
struct ServerPool {
    /// Connections to a server of HTTP/1 that one client of HTTP/2 may cause at a time; further streams wait. Browsers open 6.
    private static let maximumConnections = 256

    /// Those that are not closed from our side.
    private(set) var connections: [Upstream] = []
    /// Exchanges of an HTTP/2 client that wait for one of the connections to HTTP/1 servers, or for a descriptor.
    private var queue: [Exchange] = []
    /// No descriptor was free for the last connection.
    private var lacksDescriptors = false
    /// Connections that the driver has, or is opening.
    private(set) var openCount = 0

    /// The only one, of a client of HTTP/1 or in a tunnel.
    var first: Upstream? { connections.first }

    subscript(handle: ConnectionHandle) -> Upstream? {
        for connection in connections where connection.transport.handle == handle { return connection }
        return nil
    }

    // MARK: Requests

    /// A connection on which a request to this destination may be sent now.
    func ready(for destination: Destination) -> Upstream? { connections.first { $0.takes(destination) } }

    /// A connection to this destination that is being established. It may negotiate HTTP/2, so requests to the same server wait for it.
    func opening(to destination: Destination) -> Upstream? {
        connections.first { !$0.isReady && $0.destination == destination }
    }

    /// Another connection may be opened.
    var hasRoom: Bool { connections.count < Self.maximumConnections && !lacksDescriptors }

    mutating func enqueue(_ exchange: Exchange) { queue.append(exchange) }

    /// Takes the exchange that has waited longest of those for which there is a connection or room for another one.
    mutating func takeQueued() -> Exchange? {
        if queue.isEmpty { return nil }
        if hasRoom { return queue.removeFirst() }
        var checked: Destination?
        for (index, exchange) in queue.enumerated() where exchange.destination != checked {
            if ready(for: exchange.destination) != nil { return queue.remove(at: index) }
            checked = exchange.destination
        }
        return nil
    }

    /// Exchanges wait for a descriptor.
    var isStarved: Bool { lacksDescriptors && !queue.isEmpty }

    /// Removes a connection for which there is no descriptor. Its exchanges wait with the others, before them.
    mutating func takeBack(_ connection: Upstream) {
        remove(connection)
        queue.insert(contentsOf: connection.takeWaiting(), at: 0)
        lacksDescriptors = true
    }

    mutating func hasDescriptors() { lacksDescriptors = false }

    /// Removes an ended exchange from the queue.
    mutating func forget(_ exchange: Exchange) {
        if !queue.isEmpty { queue.removeAll { $0 === exchange } }
        for connection in connections where !connection.waiting.isEmpty { connection.waiting.removeAll { $0 === exchange } }
    }

    // MARK: Connections

    mutating func add(_ connection: Upstream) { connections.append(connection) }

    mutating func remove(_ connection: Upstream) { connections.removeAll { $0 === connection } }

    /// Counts a connection that the driver is opening.
    mutating func opened() { openCount += 1 }

    /// A connection is gone, or could not be opened.
    mutating func closed() { openCount -= 1 }
}
