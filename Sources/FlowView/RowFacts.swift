// Facts of a row that a list shows beside its columns.

import FlowArchive
import FlowModel

/// The facts of a flow that mark its row, and place it in the waterfall.
package struct RowFacts: Sendable, Equatable {
    package var kind: FlowClass
    package var state: FlowState
    /// It is being recorded.
    package var isOpen: Bool
    package var isFailure: Bool
    package var hasLocalReply: Bool
    /// Microseconds since 1970, and microseconds.
    package var started: Int64
    package var duration: Int64?
    package var timeToFirstByte: Int64?

    init(_ facts: FlowFacts) {
        (kind, state) = (facts.kind, facts.state)
        isOpen = facts.marks.contains(.isBeingRecorded)
        isFailure = facts.isFailure
        hasLocalReply = facts.marks.contains(.hasLocalReply)
        started = facts.started / 1000
        duration = facts.duration >= 0 ? facts.duration / 1000 : nil
        timeToFirstByte = facts.timeToFirstByte
    }
}

extension FlowIndex {
    /// - Returns: nil if there is no such flow.
    package func rowFacts(_ ordinal: Int) -> RowFacts? {
        state.withLock { ordinal >= 0 && ordinal < $0.facts.count ? RowFacts($0.facts[ordinal]) : nil }
    }

    /// Microseconds from the start of a flow until the connection to its server was there, and until TLS with the server was. Without
    /// values for a connection that was open already.
    package func connectTimes(_ ordinal: Int) -> (connected: Int64?, secured: Int64?) {
        guard let flow = try? flow(ordinal), let server = flow.server?.value, server.opened >= flow.started
        else {
            return (nil, nil)
        }
        func after(_ time: Timestamp?) -> Int64? { time.map { ($0 - flow.started) / 1000 } }
        return (after(server.connected), after(server.tls?.handshakeEnded))
    }

    /// Calls back with the attributes of a flow.
    /// - Throws: when its block cannot be read any more; what the body throws.
    package func withRow(_ ordinal: Int, _ body: (any FlowAttributes) throws -> Void) throws {
        _ = try withAttributes(of: ordinal) { flow in try body(flow) }
    }

    /// Grows with each flow that is added or changed.
    package var changeCount: Int { state.withLock { $0.facts.count + $0.lastChange } }

    /// All sources were read to their current ends.
    package var isComplete: Bool { state.withLock { $0.isComplete } }

    /// The sources with what is known of them.
    package var sources: [(name: String, lookup: ArchiveLookup?, status: SourceStatus)] {
        state.withLock { $0.sources.map { ($0.name, $0.lookup, $0.status) } }
    }

    /// The flows of sources that are not flow files.
    package var flowsInMemory: [Flow] { state.withLock { $0.kept.filter { !$0.isInFile }.map(\.flow) } }
}
