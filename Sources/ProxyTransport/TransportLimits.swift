// The bounds of the transport, each with its reason, and counts of connections that were refused because of them.

import NIOCore

/// The limits of the transport. All of these are options of the tools.
package struct TransportLimits: Sendable {
    /// Client connections at one time over all listeners. Beyond it accepting pauses, and new clients wait in the kernel's queue.
    /// With an upstream connection for each this needs 20,000 descriptors.
    package var maximumConnections = 10_000
    /// Descriptors that the sockets of clients and servers may take together; nil when they are not scarce. Beyond it accepting
    /// pauses, as at the maximum of connections.
    package var maximumDescriptors: Int?
    /// Descriptors that are set aside for each client: its own socket, and one for the server that it will ask for, so that no client
    /// is accepted for which no server can be reached. 1 where sessions contact no server.
    package var descriptorsPerClient = 2
    /// Connections from one client address at one time; one more is closed at once. Nil is no limit, since a whole office may share one
    /// address.
    package var maximumConnectionsPerClient: Int?
    /// From the wish to connect, the lookup of the name included, to an established connection. The kernel alone would try for two minutes.
    package var connectTimeout = TimeAmount.seconds(30)
    /// Connections that wait in the kernel to be accepted; the kernel lowers it to `net.core.somaxconn`.
    package var backlog: Int32 = 4096
    /// A connection whose unsent bytes pass the high mark is reported as not writable until they fall below the low mark. Together
    /// with the receive buffer of the other side this is the memory of one stalled transfer.
    package var lowWaterMarkBytes = 64 * 1024
    package var highWaterMarkBytes = 256 * 1024
    /// How long the addresses of a name are used before it is looked up again: long enough for a burst of connections,
    /// short enough to follow a change.
    package var nameLifetime = TimeAmount.seconds(5)
    /// Names that are looked up at the same time. A lookup blocks a thread, and a dead name server blocks it for many seconds.
    package var maximumLookups = 16
    /// The longest time from an event to its place in the recording's file. Records of open flows are handed over when three quarters of
    /// it have passed; the recording has the rest of it.
    package var flushInterval = TimeAmount.seconds(1)
    /// How long accepting rests after accept(2) failed, unless a connection closes earlier.
    package var acceptBackoff = TimeAmount.milliseconds(500)

    package init() {}
}

/// Counts of events that no session can record.
package struct TransportCounts: Sendable, Equatable {
    /// Client connections that got a session.
    package var accepted = 0
    /// Client connections that are open now.
    package var open = 0
    /// Closed at once because their client has too many.
    package var refusedPerClient = 0
    /// How often accepting stopped because there were too many connections.
    package var pausedAtMaximum = 0
    /// How often accepting stopped for want of descriptors.
    package var pausedWithoutDescriptors = 0

    package init() {}
}

/// Why something could not be set up, in one sentence for people.
package struct TransportError: Error, Sendable, Equatable, CustomStringConvertible {
    package var message: String

    package init(_ message: String) { self.message = message }
    package var description: String { message }
}
