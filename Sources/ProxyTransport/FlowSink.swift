// Where the records of the event loops go. The sink's queue is bounded; when it is full the loops stop reading, so that traffic
// waits for the disk and nothing is dropped.

import FlowRecords

/// Takes the records of all event loops, in batches. It is called from every event loop.
package protocol FlowSink: AnyObject, Sendable {
    /// Takes finished records of one event loop, in their order. Never blocks, and never refuses: a loop checks ``isFull`` afterwards and
    /// stops reading, so the queue grows beyond its bound by what had been received before.
    /// - Returns: records that were written and can be filled again, perhaps none.
    func submit(_ records: [FlowRecord]) -> [FlowRecord]

    /// Whether the queue is at its bound.
    var isFull: Bool { get }

    /// Calls back once, from any thread, when there is room again; at once when there is room already. To keep the loops from
    /// stopping at every batch, room should mean clearly below the bound.
    func whenDrained(_ resume: @escaping @Sendable () -> Void)
}
