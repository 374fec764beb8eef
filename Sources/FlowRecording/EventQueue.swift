// The bounded queue between the event loops and the thread that writes. Producers never wait: when the queue is full they stop
// reading from their sockets until it has drained, so traffic slows down and nothing is dropped.

import FlowModel
import NIOConcurrencyHelpers

/// Many producers, one consumer, events in batches.
package final class EventQueue: Sendable {
    /// What the queue may hold, in bytes of content and events, before producers are asked to stop.
    static let bound = 8 * 1024 * 1024
    /// The consumer is woken at once when so much is waiting; otherwise it comes by itself.
    static let wakeUp = 1024 * 1024

    private struct State {
        var batches: [EventBatch] = []
        var bytes = 0
        var isClosed = false
        /// The consumer waits without a time limit and must be woken by the first event.
        var isConsumerParked = false
        var waiting: [@Sendable () -> Void] = []
    }

    // The condition is "the consumer should look": enough is there, the first event for a parked consumer, or the end.
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
    package func submit(_ events: [FlowEvent]) {
        let batch = EventBatch(events)
        condition.lock()
        guard unsafe !state.isClosed else { return condition.unlock() }
        unsafe state.batches.append(batch)
        unsafe state.bytes += batch.size
        let shouldWake = unsafe state.isConsumerParked || state.bytes >= Self.wakeUp
        if shouldWake { condition.unlock(withValue: true) } else { condition.unlock() }
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

    /// Waits for events.
    /// - Parameter seconds: no longer than so; nil waits for the first event.
    /// - Returns: what is there, in order, perhaps nothing; nil when the queue is closed and empty.
    package func take(within seconds: Double?) -> [EventBatch]? {
        if let seconds {
            if !condition.lock(whenValue: true, timeoutSeconds: seconds) { condition.lock() }
        } else {
            condition.lock()
            let isIdle = unsafe state.batches.isEmpty && !state.isClosed
            unsafe state.isConsumerParked = isIdle
            condition.unlock(withValue: !isIdle)
            condition.lock(whenValue: true)
        }
        unsafe state.isConsumerParked = false
        let batches = unsafe state.batches
        unsafe state.batches = []
        let isOver = unsafe batches.isEmpty && state.isClosed
        let isClosed = unsafe state.isClosed
        condition.unlock(withValue: isClosed)
        return isOver ? nil : batches
    }

    /// Tells the queue that batches are done with, so that waiting producers go on.
    package func finished(_ batches: [EventBatch]) {
        let size = batches.reduce(0) { $0 + $1.size }
        condition.lock()
        unsafe state.bytes -= size
        var resumed: [@Sendable () -> Void] = []
        if unsafe state.bytes < Self.bound / 2 {
            unsafe swap(&resumed, &state.waiting)
        }
        condition.unlock()
        for resume in resumed { resume() }
    }
}

/// Events that came together.
package struct EventBatch: Sendable {
    package let events: [FlowEvent]
    /// Bytes that they keep alive, roughly.
    let size: Int

    init(_ events: [FlowEvent]) {
        self.events = events
        var size = 0
        // Events are looked at where they are: copying one would retain everything that it holds.
        unsafe events.withUnsafeBufferPointer { events in
            for index in events.indices { size += unsafe events[index].approximateSize }
        }
        self.size = size
    }
}

extension FlowEvent {
    /// Bytes that the event keeps alive, roughly.
    var approximateSize: Int {
        switch what {
        case .piece(let piece): 160 + piece.content.readableBytes
        case .request(let head): 160 + head.wire.readableBytes
        case .response(let head), .interim(let head): 160 + head.wire.readableBytes
        case .malformed(_, let bytes): 160 + bytes.readableBytes
        default: 160
        }
    }
}
