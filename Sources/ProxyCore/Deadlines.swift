// The deadlines of a session: each belongs to the part that set it. The driver knows the earliest moment only.

import FlowModel

/// A time at which one part of a session acts.
package struct Deadline: Hashable, Sendable {
    package enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        /// Nothing was received for too long.
        case idle
        /// The client takes too long for a TLS handshake or the head of a message.
        case handshake
        /// A server, or the proxy on the way to it, takes too long for its handshake.
        case servers
        /// A client connection that closes waits for its peer.
        case linger
        /// A tunnel that is about to end waits for one of its sides.
        case tunnel
        /// A recorded server continues.
        case replay
    }

    package let kind: Kind
    /// The number of the part: of a server connection its handle, of the client's side its stream.
    package let owner: UInt32

    package init(_ kind: Kind, owner: UInt32 = 0) {
        self.kind = kind
        self.owner = owner
    }
}

/// The deadlines of one session. There are few at a time, so they are searched one by one.
package struct Deadlines {
    private var entries: [(deadline: Deadline, at: Timestamp)] = []
    /// No deadline is due before this time; it may be that of a cancelled deadline.
    private var bound: Timestamp?
    /// The time at which the driver will wake the session.
    private var armed: Timestamp?

    /// When a deadline passes; nil if it is not set.
    package subscript(deadline: Deadline) -> Timestamp? { entries.first { $0.deadline == deadline }?.at }

    /// When the first deadline of a kind passes, of all parts.
    package func first(_ kind: Deadline.Kind) -> Timestamp? {
        entries.filter { $0.deadline.kind == kind }.map(\.at).min()
    }

    /// Sets a deadline, or moves it.
    mutating func set(_ deadline: Deadline, at moment: Timestamp) {
        if let index = entries.firstIndex(where: { $0.deadline == deadline }) {
            entries[index].at = moment
        } else {
            entries.append((deadline, moment))
        }
        bound = min(bound ?? moment, moment)
    }

    mutating func cancel(_ deadline: Deadline) {
        guard let index = entries.firstIndex(where: { $0.deadline == deadline }) else { return }
        entries.remove(at: index)
    }

    /// Cancels the deadlines of the client's side on a stream.
    mutating func cancelAll(ofStream stream: UInt32) {
        entries.removeAll { $0.deadline.owner == stream && $0.deadline.kind != .servers }
    }

    /// Removes the deadlines that have passed.
    /// - Returns: the removed deadlines, in the order of their times.
    mutating func takeDue(at now: Timestamp) -> [Deadline] {
        armed = nil
        let due = entries.filter { $0.at <= now }.sorted { $0.at < $1.at }
        entries.removeAll { $0.at <= now }
        bound = entries.map(\.at).min()
        return due.map(\.deadline)
    }

    /// - Returns: the time to wake the session, if the driver does not know it yet.
    mutating func takeWake() -> Timestamp? {
        // A later time is found when the earlier one comes.
        guard let bound, armed.map({ bound < $0 }) ?? true else { return nil }
        armed = bound
        return bound
    }
}
