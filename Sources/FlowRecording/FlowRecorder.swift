// The thread that keeps a recording: it takes records from the queue, applies the filter, writes and counts them, and reports each flow that
// ends.

import FlowArchive
import FlowFilter
import FlowModel
import FlowRecords
import Foundation
import NIOCore
import Synchronization

/// What a recorder does with the records.
package struct RecordingOptions: Sendable {
    /// Which flows are recorded; nil is all.
    package var filter: FlowFilter?
    /// Called on the recording's thread with each flow that the filter accepted and that has ended, without its content; nil: flows are not put together.
    package var flowEnded: (@Sendable (Flow) -> Void)?
    /// Called on the recording's thread with something for the user: the disk is full, a file was begun.
    package var notice: @Sendable (RecordingNotice) -> Void
    /// Called on the recording's thread when the recording has stopped by itself.
    package var failed: @Sendable () -> Void = {}
    /// The time, for flushing and for file names.
    package var now: @Sendable () -> Timestamp

    package init(notice: @escaping @Sendable (RecordingNotice) -> Void, now: @escaping @Sendable () -> Timestamp) {
        self.notice = notice
        self.now = now
    }
}

/// Something that the user of a recording should know, in one sentence.
package struct RecordingNotice: Sendable {
    package enum Kind: Sendable {
        /// A file was begun, or there is room on the disk again.
        case progress
        /// Something is missing from the file, or traffic waits.
        case warning
        /// The recording has stopped.
        case failure
    }

    package var kind: Kind
    package var text: String
    /// The state of the disk, if that has changed.
    package var disk: DiskTotals?

    package init(_ kind: Kind, _ text: String, disk: DiskTotals? = nil) {
        self.kind = kind
        self.text = text
        self.disk = disk
    }
}

/// Takes records from all event loops and records them on a thread of its own.
package final class FlowRecorder: Sendable {
    /// How long records are collected before they are written, when there are few.
    private static let gathering = 0.01
    /// How often times of files are checked while nothing is recorded.
    private static let checking = 1.0

    package let queue: RecordQueue
    private let options: RecordingOptions
    private let state: Mutex<State>
    private let ended = DispatchSemaphore(value: 0)
    private let diskTime: @Sendable () -> Int64

    private struct State {
        var totals = RecordingTotals()
        var failure: String?
        var rotationIsRequested = false
        var isReaderGone = false
    }

    /// Starts recording.
    /// - Parameters:
    ///   - files: the files to write; nil only counts and reports flows.
    ///   - queue: where records come from.
    package init(files: consuming RecordingFiles?, options: RecordingOptions, queue: RecordQueue = RecordQueue()) {
        self.options = options
        self.queue = queue
        state = Mutex(State())
        var files = files
        files?.isEnding = { queue.isClosed }
        let clock = files?.options.disk.clock ?? DiskClock()
        diskTime = clock.now
        let worker = Worker(files: files, options: options)
        worker.onDiskChange { disk in self.state.withLock { $0.totals.disk = disk } }
        // The worker moves to its thread and is never touched from here again.
        nonisolated(unsafe) let moved = worker
        let thread = Thread { unsafe self.run(moved) }
        thread.name = "recording"
        thread.stackSize = 1 << 20
        thread.start()
    }

    package var totals: RecordingTotals {
        var totals = state.withLock { $0.totals }
        totals.disk = totals.disk.at(diskTime())
        return totals
    }

    /// Why the recording stopped by itself, in one sentence; nil while it continues.
    package var failure: String? { state.withLock { $0.failure } }

    /// Asks for the next file. Flows that are open continue in it.
    package func rotate() {
        state.withLock { $0.rotationIsRequested = true }
        queue.wake()
    }

    /// It stopped because the reader of its pipe has closed it, which is no error.
    package var isReaderGone: Bool { state.withLock { $0.isReaderGone } }

    /// Records what is still in the queue, closes the files and ends the thread. Waits for it.
    package func finish() {
        queue.close()
        ended.wait()
        ended.signal()
    }

    private func run(_ worker: Worker) {
        var seconds: Double? = Self.gathering
        var isIdle = false
        while let batches = queue.take(within: seconds, endsWithFirst: isIdle) {
            for batch in batches { worker.receive(batch.records) }
            if takeRotationRequest() { worker.rotate() }
            isIdle = worker.flushIfDue() && batches.isEmpty
            seconds = !isIdle ? Self.gathering : worker.needsTime ? Self.checking : nil
            let hasFailed = state.withLock { state in
                state.totals = worker.totals
                state.isReaderGone = worker.isReaderGone
                defer { state.failure = worker.failure }
                return state.failure == nil && worker.failure != nil
            }
            if hasFailed { options.failed() }
            queue.finished(consume batches)
        }
        worker.close()
        state.withLock {
            $0.totals = worker.totals
            $0.failure = worker.failure
            $0.isReaderGone = worker.isReaderGone
        }
        ended.signal()
    }

    private func takeRotationRequest() -> Bool {
        state.withLock { state in
            defer { state.rotationIsRequested = false }
            return state.rotationIsRequested
        }
    }
}

/// What the recording's thread owns.
private final class Worker {
    private var files: RecordingFiles?
    private let options: RecordingOptions
    private var gate: FlowGate?
    /// Flows of which records have come and not the last one.
    private var assemblers: [FlowID: FlowAssembler] = [:]
    var totals = RecordingTotals()
    var failure: String?
    var isReaderGone = false

    init(files: consuming RecordingFiles?, options: RecordingOptions) {
        self.files = files
        self.options = options
        self.gate = options.filter.map { FlowGate(filter: $0) }
        self.files?.refuses = { [unowned self] in self.refuses($0) }
    }

    func receive(_ records: [FlowRecord]) {
        guard gate != nil else { return write(records) }
        for record in records {
            switch gate?.receive(record) {
            case .write(let records)?:
                write(records)
            case .discard(let flow, let fromClient, let fromServer)?:
                discard(flow, fromClient, fromServer)
                files?.discard(flow)
            case .failed(let error, let records)?:
                options.notice(RecordingNotice(.warning, "the filter failed on a flow, which is recorded: \(error)"))
                write(records)
            case .wait?, nil:
                break
            }
        }
    }

    private func discard(_ flow: FlowID, _ fromClient: UInt64, _ fromServer: UInt64) {
        totals.discard(fromClient: fromClient, fromServer: fromServer)
        assemblers[flow] = nil
    }

    /// The disk allows no more of a flow.
    private func refuses(_ flow: FlowID) -> Bool {
        guard case .discard(let flow, let fromClient, let fromServer)? = gate?.cut(flow) else { return false }
        discard(flow, fromClient, fromServer)
        return true
    }

    func onDiskChange(_ change: @escaping @Sendable (DiskTotals) -> Void) { files?.disk.changed = change }

    private func write(_ records: [FlowRecord]) {
        for record in records { totals.count(record) }
        attempt { try files?.append(records) }
        if options.flowEnded != nil { records.forEach(report) }
    }

    /// Flushes when it is time.
    /// - Returns: whether nothing is waiting to be flushed.
    func flushIfDue() -> Bool {
        guard files != nil, failure == nil else { return true }
        var isIdle = true
        attempt { isIdle = try files?.flushWhenDue(now: options.now()) ?? true }
        return isIdle
    }

    func rotate() {
        guard files != nil else {
            return options.notice(RecordingNotice(.warning, "nothing is recorded, so there is no file to rotate"))
        }
        guard failure == nil else { return }
        attempt { try files?.rotate(now: options.now()) }
    }

    var needsTime: Bool { failure == nil && files?.needsTime == true }

    func close() {
        attempt { try files?.close(now: options.now()) }
    }

    /// After a failure the files count what comes, and write no more of it.
    private func attempt(_ body: () throws -> Void) {
        // A pipe's reader has all that it wanted.
        defer { totals.disk = isReaderGone ? DiskTotals() : files?.diskTotals ?? DiskTotals() }
        do {
            try body()
        } catch {
            guard failure == nil else { return }
            failure = "\(error)"
            // A reader that has what it wanted is no failure to tell of.
            isReaderGone = (error as? ArchiveError)?.kind == .system(EPIPE)
            if !isReaderGone { options.notice(RecordingNotice(.failure, "recording stopped: \(error)", disk: files?.diskTotals)) }
        }
    }

    /// Reports a flow that has ended.
    private func report(_ record: FlowRecord) {
        var assembler = assemblers.removeValue(forKey: record.id)
        if let opening = record.opening {
            assembler = FlowAssembler(id: record.id, at: record.started, opening: opening, keepsPieces: false)
        }
        guard var assembler else { return }
        // A record that this process has made can be read.
        try? record.forEachEvent { assembler.receive($0.what, at: $0.at) }
        guard record.hasEnded else {
            assemblers[record.id] = assembler
            return
        }
        options.flowEnded?(assembler.flow)
    }
}
