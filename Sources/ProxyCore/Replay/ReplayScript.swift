// The script of a replay on one connection: recorded flows in their order, when each is due, and the reports on them. The
// flows themselves are read when their turn has come.

import FlowModel
import NIOCore

/// A recorded flow that is to be sent again.
package struct ReplayStep: Sendable {
    /// Its number for the owner.
    package let number: Int
    /// When it began in the recording.
    package let started: Timestamp
    /// When it had ended; nil: never.
    package let ended: Timestamp?
    /// When it is due; nil: as soon as the flows that had ended before it in the recording are done.
    package var due: Timestamp?

    package init(number: Int, started: Timestamp, ended: Timestamp?, due: Timestamp?) {
        self.number = number
        self.started = started
        self.ended = ended
        self.due = due
    }

    /// In the recording, it had ended when another one began.
    func hadEnded(before other: ReplayStep) -> Bool { ended.map { $0 <= other.started } ?? false }
}

/// The client's side of one connection.
package struct ReplayScript: Sendable {
    package var wireProtocol: ReplayProtocol
    /// In the order in which they begin.
    package var steps: [ReplayStep]
    /// The recorded flow of a step, by its number.
    package let read: @Sendable (Int) throws -> Flow
    /// Messages and data keep the recorded rhythm, faster by this factor; nil keeps none.
    package var speed: Double?
    /// A message waits until as many have come from the server as preceded it in the recording.
    package var waitsForServer: Bool
    /// The wait for messages of a server that sends less than it did, in nanoseconds.
    package var responseTimeout: Int64 = 10_000_000_000
    /// HTTP/2: the value of :scheme.
    package var scheme: String

    package init(
        wireProtocol: ReplayProtocol, steps: [ReplayStep], speed: Double?, waitsForServer: Bool, scheme: String,
        read: @escaping @Sendable (Int) throws -> Flow
    ) {
        self.wireProtocol = wireProtocol
        self.steps = steps
        self.read = read
        self.speed = speed
        self.waitsForServer = waitsForServer
        self.scheme = scheme
    }
}

/// A report of a replay in progress, made before the flow's first event is recorded.
package enum ReplayReport: Sendable {
    /// A step is being sent, as a new flow.
    /// - lateness: nanoseconds after the time at which it was due.
    case began(number: Int, recorded: Flow, flow: FlowID, lateness: Int64)
    /// The recording of a step cannot be read; it was cut there, or never begun.
    case unreadable(number: Int, message: String)
    /// The connection is over. These steps were not sent: the server closed before, and another connection may take them.
    case ended(rest: [ReplayStep])
}
