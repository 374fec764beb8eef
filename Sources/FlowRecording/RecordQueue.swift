// The bounded queue between the event loops and the thread that writes. Producers never wait: when the queue is full they stop
// reading from their sockets until it has drained, so traffic slows down and nothing is dropped.

import FlowRecords
import NIOConcurrencyHelpers

/// Many producers, one consumer, records in batches.
package final class RecordQueue: Sendable {
    /// Bytes of memory that the records may occupy before producers are asked to stop.
    static let bound = 8 * 1024 * 1024
    /// From this size on the consumer is woken at once; otherwise it looks by itself.
    static let wakeUp = 1024 * 1024
    /// Written records that are kept for producers.
    private static let maximumSpare = 1024

    private struct State {
        var batches: [RecordBatch] = []
        var bytes = 0
        /// Records that were written and have no other owner.
        var spare: [FlowRecord] = []
        var isClosed = false
        /// The consumer has something else to do.
        var isWoken = false
        /// The consumer waits without a time limit and must be woken by the first record.
        var isConsumerParked = false
        var waiting: [@Sendable () -> Void] = []
    }

    // The condition is "the consumer should look": enough has come, the first record for a parked consumer, or the end.
    private let condition = ConditionLock(value: false)
    // SAFETY: read and written only while `condition` is locked.
    nonisolated(unsafe) private var state = State()

    package init() {}

    /// Whether producers should stop reading.
    package var isFull: Bool {
        condition.lock()
        defer { condition.unlock() }
        return unsafe state.bytes >= Self.bound
    }

    /// No more batches will come.
    package var isClosed: Bool {
        condition.lock()
        defer { condition.unlock() }
        return unsafe state.isClosed
    }

    /// Hands a batch over; never waits. After ``close()`` batches are dropped.
    /// - Returns: records that were written and can be filled again, perhaps none.
    @discardableResult package func submit(_ records: [FlowRecord]) -> [FlowRecord] {
        let batch = RecordBatch(records)
        var spare: [FlowRecord] = []
        condition.lock()
        guard unsafe !state.isClosed else {
            condition.unlock()
            return []
        }
        unsafe state.batches.append(batch)
        unsafe state.bytes += batch.size
        unsafe swap(&spare, &state.spare)
        let shouldWake = unsafe state.isConsumerParked || state.bytes >= Self.wakeUp
        if shouldWake { condition.unlock(withValue: true) } else { condition.unlock() }
        return spare
    }

    /// Calls back once, from the consumer's thread, when there is room again; at once when there is.
    package func whenDrained(_ resume: @escaping @Sendable () -> Void) {
        condition.lock()
        let hasRoom = unsafe state.bytes < Self.bound
        if !hasRoom { unsafe state.waiting.append(resume) }
        condition.unlock()
        if hasRoom { resume() }
    }

    /// No more batches will come; the consumer gets what is left and then nil.
    package func close() {
        condition.lock()
        unsafe state.isClosed = true
        condition.unlock(withValue: true)
    }

    /// Ends a wait of the consumer, who then gets what has come, perhaps nothing.
    package func wake() {
        condition.lock()
        unsafe state.isWoken = true
        condition.unlock(withValue: true)
    }

    /// Waits for records.
    /// - Parameters:
    ///   - seconds: the longest wait; nil for any time.
    ///   - endsWithFirst: the first record ends the wait; otherwise many do.
    /// - Returns: the batches in order, perhaps none; nil when the queue is closed and empty.
    package func take(within seconds: Double?, endsWithFirst: Bool = false) -> [RecordBatch]? {
        if seconds == nil || endsWithFirst {
            condition.lock()
            let isIdle = unsafe state.batches.isEmpty && !state.isClosed && !state.isWoken
            unsafe state.isConsumerParked = isIdle
            condition.unlock(withValue: !isIdle)
        }
        if let seconds {
            if !condition.lock(whenValue: true, timeoutSeconds: seconds) { condition.lock() }
        } else {
            condition.lock(whenValue: true)
        }
        unsafe state.isConsumerParked = false
        unsafe state.isWoken = false
        let batches = unsafe state.batches
        unsafe state.batches = []
        let isOver = unsafe batches.isEmpty && state.isClosed
        let isClosed = unsafe state.isClosed
        condition.unlock(withValue: isClosed)
        return isOver ? nil : batches
    }

    /// Reports that batches are written, so that waiting producers continue. Records that have no other owner are handed back to them.
    package func finished(_ batches: consuming [RecordBatch]) {
        let size = batches.reduce(0) { $0 + $1.size }
        var written = batches
        var spare: [FlowRecord] = []
        for batch in written.indices { written[batch].takeSpare(into: &spare, limit: Self.maximumSpare) }
        condition.lock()
        unsafe state.bytes -= size
        if unsafe state.spare.isEmpty { unsafe swap(&spare, &state.spare) }
        var resumed: [@Sendable () -> Void] = []
        if unsafe state.bytes < Self.bound / 2 {
            unsafe swap(&resumed, &state.waiting)
        }
        condition.unlock()
        for resume in resumed { resume() }
    }
}

/// Records that came together.
package struct RecordBatch: Sendable {
    package private(set) var records: [FlowRecord]
    /// Bytes of memory that they occupy, roughly.
    let size: Int

    init(_ records: [FlowRecord]) {
        self.records = records
        size = records.reduce(0) { $0 + $1.footprint }
    }

    /// Takes the records that have no other owner, emptied.
    fileprivate mutating func takeSpare(into spare: inout [FlowRecord], limit: Int) {
        for index in records.indices {
            guard spare.count < limit else { break }
            guard isKnownUniquelyReferenced(&records[index]), !records[index].isLarge else { continue }
            records[index].clear()
            spare.append(records[index])
        }
        records = []
    }
}
