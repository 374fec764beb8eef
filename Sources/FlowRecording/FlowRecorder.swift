// The thread that keeps a recording: it takes events from the queue, lets the filter choose, writes them, counts, and says a line for
// each flow that ends.

import FlowFilter
import FlowModel
import FlowPrinter
import Foundation
import NIOCore
import Synchronization

/// What a recorder does with what it is told.
package struct RecordingOptions: Sendable {
    /// Which flows are recorded; nil is all.
    package var filter: FlowFilter?
    /// Called on the recording's thread with a line for each flow that was recorded; nil says nothing.
    package var flowLine: (@Sendable (String) -> Void)?
    /// Called on the recording's thread when something must be told: the disk is full, a file was begun.
    package var notice: @Sendable (String) -> Void
    /// Called on the recording's thread when the recording has stopped by itself.
    package var failed: @Sendable () -> Void = {}
    /// The time, for flushing and for file names.
    package var now: @Sendable () -> Timestamp

    package init(notice: @escaping @Sendable (String) -> Void, now: @escaping @Sendable () -> Timestamp) {
        self.notice = notice
        self.now = now
    }
}

/// Takes events from all event loops and records them on a thread of its own.
package final class FlowRecorder: Sendable {
    /// How long events gather before they are written, when there are few.
    private static let gathering = 0.01

    package let queue: EventQueue
    private let options: RecordingOptions
    private let state: Mutex<State>
    private let ended = DispatchSemaphore(value: 0)

    private struct State {
        var totals = RecordingTotals()
        var failure: String?
    }

    /// Starts recording.
    /// - Parameters:
    ///   - files: where to; nil counts and says lines only.
    ///   - queue: where events come from.
    package init(files: consuming RecordingFiles?, options: RecordingOptions, queue: EventQueue = EventQueue()) {
        self.options = options
        self.queue = queue
        state = Mutex(State())
        var files = files
        files?.isEnding = { queue.isClosed }
        let worker = Worker(files: files, options: options)
        // The worker moves to its thread and is never touched from here again.
        nonisolated(unsafe) let moved = worker
        let thread = Thread { unsafe self.run(moved) }
        thread.name = "recording"
        thread.stackSize = 1 << 20
        thread.start()
    }

    package var totals: RecordingTotals { state.withLock { $0.totals } }

    /// Why the recording stopped by itself, in one sentence; nil while it goes on.
    package var failure: String? { state.withLock { $0.failure } }

    /// Records what is still in the queue, closes the files and ends the thread. Waits for it.
    package func finish() {
        queue.close()
        ended.wait()
        ended.signal()
    }

    private func run(_ worker: Worker) {
        var seconds: Double? = Self.gathering
        while let batches = queue.take(within: seconds) {
            for batch in batches { worker.receive(batch.events) }
            let isIdle = worker.breathe()
            seconds = batches.isEmpty && isIdle ? nil : Self.gathering
            let hasFailed = state.withLock { state in
                state.totals = worker.totals
                defer { state.failure = worker.failure }
                return state.failure == nil && worker.failure != nil
            }
            if hasFailed { options.failed() }
            queue.finished(batches)
        }
        worker.close()
        state.withLock {
            $0.totals = worker.totals
            $0.failure = worker.failure
        }
        ended.signal()
    }
}

/// What the recording's thread owns.
private final class Worker {
    private var files: RecordingFiles?
    private let options: RecordingOptions
    private var gate: FlowGate?
    private var assemblers: [FlowID: FlowAssembler] = [:]
    private var printer: FlowTextPrinter
    var totals = RecordingTotals()
    var failure: String?

    init(files: consuming RecordingFiles?, options: RecordingOptions) {
        self.files = files
        self.options = options
        self.gate = options.filter.map { FlowGate(filter: $0) }
        self.printer = FlowTextPrinter(detail: 1, isColoured: false)
    }

    func receive(_ events: [FlowEvent]) {
        guard gate != nil else { return record(events) }
        for event in events {
            do {
                switch try gate?.receive(event) {
                case .write(let events)?: record(events)
                case .discard(let flow)?: files?.discard(flow)
                case .wait?, nil: break
                }
            } catch {
                options.notice("the filter failed on a flow, which is recorded: \(error)")
                record([event])
            }
        }
    }

    private func record(_ events: [FlowEvent]) {
        totals.count(events)
        attempt { try files?.append(events) }
        if options.flowLine != nil { events.forEach(say) }
    }

    /// Flushes when it is time.
    /// - Returns: whether nothing is waiting to be flushed.
    func breathe() -> Bool {
        guard files != nil, failure == nil else { return true }
        var isIdle = true
        attempt { isIdle = try files?.flushWhenDue(now: options.now()) ?? true }
        return isIdle
    }

    func close() {
        attempt { try files?.close() }
    }

    private func attempt(_ body: () throws -> Void) {
        guard failure == nil else { return }
        do {
            try body()
        } catch {
            failure = "\(error)"
            options.notice("recording stopped: \(error)")
        }
    }

    private func say(_ event: FlowEvent) {
        if case .opened(let opening) = event.what {
            assemblers[event.flow] = FlowAssembler(id: event.flow, at: event.at, opening: opening, keepsPieces: false)
            return
        }
        assemblers[event.flow]?.receive(event.what, at: event.at)
        guard case .ended = event.what, let flow = assemblers.removeValue(forKey: event.flow)?.flow else { return }
        var line = ByteBuffer()
        try? printer.print(flow, into: &line)
        options.flowLine?(String(buffer: line))
    }
}
