// Admission of clients: the limit on all connections, the limit for each client, the descriptors that are reserved for clients and their
// servers, and the listeners and sessions that wait for room.

import FlowModel
import NIOCore
import Synchronization

/// Counts the client connections of all listeners. Used from every event loop.
final class Admission: Sendable {
    private struct Client {
        var count = 0
        /// Whether the log has the message that this client has too many. Once for each time.
        var isReported = false
    }

    private let maximum: Int
    private let maximumPerClient: Int?
    private let maximumDescriptors: Int
    private let descriptorsPerClient: Int
    private let open = Atomic(0)
    /// Descriptors in use or reserved.
    private let descriptors = Atomic(0)
    private let accepted = Atomic(0)
    private let refused = Atomic(0)
    private let pausedAtMaximum = Atomic(0)
    private let pausedWithoutDescriptors = Atomic(0)
    private let clients = Mutex<[String: Client]>([:])
    private let resting = Mutex<[@Sendable () -> Void]>([])
    private let isSomeoneResting = Atomic(false)
    private let ownAddresses = Mutex<[SocketAddress]>([])

    init(limits: TransportLimits) {
        maximum = limits.maximumConnections
        maximumPerClient = limits.maximumConnectionsPerClient
        maximumDescriptors = limits.maximumDescriptors ?? .max
        descriptorsPerClient = max(1, limits.descriptorsPerClient)
    }

    var counts: TransportCounts {
        var counts = TransportCounts()
        counts.accepted = accepted.load(ordering: .relaxed)
        counts.open = open.load(ordering: .relaxed)
        counts.refusedPerClient = refused.load(ordering: .relaxed)
        counts.pausedAtMaximum = pausedAtMaximum.load(ordering: .relaxed)
        counts.pausedWithoutDescriptors = pausedWithoutDescriptors.load(ordering: .relaxed)
        return counts
    }

    // MARK: the limit on all

    /// The reason why a listener does not accept.
    enum Shortage { case connections, descriptors }

    /// The resource that is missing for one more client; nil when it may be accepted.
    var shortage: Shortage? {
        if open.load(ordering: .sequentiallyConsistent) >= maximum { return .connections }
        return hasDescriptors(descriptorsPerClient) ? nil : .descriptors
    }

    func clientArrived() {
        open.add(1, ordering: .sequentiallyConsistent)
        descriptors.add(descriptorsPerClient, ordering: .sequentiallyConsistent)
    }

    func clientLeft() {
        open.subtract(1, ordering: .sequentiallyConsistent)
        descriptors.subtract(descriptorsPerClient, ordering: .sequentiallyConsistent)
    }

    // MARK: descriptors

    /// Server sockets that are reserved for each client.
    var serversPerClient: Int { descriptorsPerClient - 1 }

    /// Whether this many descriptors are neither in use nor reserved.
    func hasDescriptors(_ count: Int) -> Bool {
        descriptors.load(ordering: .sequentiallyConsistent) <= maximumDescriptors - count
    }

    /// Counts server sockets that were not reserved with their client.
    func serverSocketsChanged(by count: Int) { descriptors.add(count, ordering: .sequentiallyConsistent) }

    /// Calls back once when a descriptor may be free.
    func awaitDescriptor(_ wake: @escaping @Sendable () -> Void) {
        resting.withLock { resting in
            resting.append(wake)
            isSomeoneResting.store(true, ordering: .sequentiallyConsistent)
        }
        // The last socket may have been closed between the check and the note.
        if hasDescriptors(1) { descriptorFreed() }
    }

    /// A socket was closed: paused listeners and sessions try again.
    func descriptorFreed() {
        guard isSomeoneResting.load(ordering: .sequentiallyConsistent) else { return }
        let wake = resting.withLock { resting in
            isSomeoneResting.store(false, ordering: .sequentiallyConsistent)
            defer { resting = [] }
            return resting
        }
        for wake in wake { wake() }
    }

    /// Notes that a listener pauses until a socket is closed.
    /// - Parameter isExpected: the shortage was found before accept(2) failed.
    func rest(_ shortage: Shortage, isExpected: Bool, wake: @escaping @Sendable () -> Void) {
        switch shortage {
        case .connections: pausedAtMaximum.add(1, ordering: .relaxed)
        case .descriptors: pausedWithoutDescriptors.add(1, ordering: .relaxed)
        }
        resting.withLock { resting in
            resting.append(wake)
            isSomeoneResting.store(true, ordering: .sequentiallyConsistent)
        }
        // The last connection may have closed between the check and the note.
        if isExpected, self.shortage == nil { descriptorFreed() }
    }

    // MARK: the limit for each client

    enum Verdict: Equatable {
        case welcome
        /// One too many; `isFirst` if it should be logged.
        case tooMany(isFirst: Bool)
    }

    /// Counts a new connection of a client. A connection that is not admitted is not counted.
    func admit(_ host: String) -> Verdict {
        guard let maximumPerClient else {
            accepted.add(1, ordering: .relaxed)
            return .welcome
        }
        let verdict = clients.withLock { clients -> Verdict in
            var client = clients[host] ?? Client()
            defer { clients[host] = client.count == 0 ? nil : client }
            if client.count < maximumPerClient {
                client.count += 1
                return .welcome
            }
            defer { client.isReported = true }
            return .tooMany(isFirst: !client.isReported)
        }
        if verdict == .welcome { accepted.add(1, ordering: .relaxed) } else { refused.add(1, ordering: .relaxed) }
        return verdict
    }

    /// Removes an admitted connection from the count.
    func release(_ host: String) {
        guard maximumPerClient != nil else { return }
        clients.withLock { clients in
            guard var client = clients[host] else { return }
            client.count -= 1
            client.isReported = false
            clients[host] = client.count == 0 ? nil : client
        }
    }

    // MARK: loops

    func listens(on address: SocketAddress) { ownAddresses.withLock { $0.append(address) } }

    /// Whether a connection to an address would reach one of our own listeners: its own address, or, for one that
    /// listens on all addresses, any address of the loopback network.
    func isOwn(_ address: SocketAddress) -> Bool {
        ownAddresses.withLock { own in
            own.contains { listener in
                guard listener.port == address.port else { return false }
                return listener == address || listener.isUnspecified && (address.isLoopback || address.isUnspecified)
                    || listener.isLoopback && address.isUnspecified
            }
        }
    }
}

extension SocketAddress {
    /// `0.0.0.0` or `::`: all addresses to a listener, this machine to a client.
    fileprivate var isUnspecified: Bool { ipAddress == "0.0.0.0" || ipAddress == "::" }

    fileprivate var isLoopback: Bool {
        guard let ipAddress else { return false }
        return ipAddress == "::1" || ipAddress.hasPrefix("127.") || ipAddress.hasPrefix("::ffff:127.")
    }
}
