// What happens when the disk takes no more bytes: the traffic waits, the recording ends, the traffic passes unrecorded, or old files are deleted.

import FlowArchive
import FlowModel
import FlowRecords
import Glibc

/// What to do when the disk is full.
package enum DiskFullPolicy: String, Sendable, CaseIterable {
    /// Traffic waits until there is room again; nothing is lost.
    case pause
    /// The recording ends, and the tool with it.
    case stop
    /// Traffic continues and is not recorded until there is room again. Flows that are open at that moment end as incomplete.
    case pass
    /// The oldest sealed file of the recording is deleted. Without one traffic waits.
    case rotate
}

/// What to do when the disk reports another error.
package enum DiskErrorPolicy: String, Sendable, CaseIterable {
    /// Traffic waits until the disk works again.
    case pause
    /// The recording ends, and the tool with it.
    case stop
}

/// How a recording treats a disk that is full or fails.
package struct DiskOptions: Sendable {
    package var whenFull = DiskFullPolicy.pause
    package var onError = DiskErrorPolicy.stop
    /// Bytes that stay free on the disk; with less it counts as full.
    package var keptFree: UInt64?
    /// For errors: what asks for ``keptFree``.
    package var keptFreeName = ""
    package var clock = DiskClock()

    package init() {}
}

/// A monotonic clock that can be waited for; tests have one that needs no time.
package struct DiskClock: Sendable {
    /// Nanoseconds since some moment.
    package var now: @Sendable () -> Int64 = {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }
    /// Waits for some nanoseconds.
    package var wait: @Sendable (Int64) -> Void = { usleep(useconds_t($0 / 1000)) }

    package init() {}
}

/// Whether the disk of a recording takes bytes, and the policy if it does not. Used on the recording's thread.
struct DiskState {
    /// How long to wait before trying again, and how often the wait looks for the end.
    private static let retryInterval: Int64 = 500_000_000
    private static let looks: Int64 = 10

    private enum Reaction {
        case pause
        case pass
        case stop
        case makeRoom
        /// The caller handles it.
        case report
    }

    private let options: DiskOptions
    private let notice: @Sendable (RecordingNotice) -> Void
    /// Room that is left to others; nil: none.
    let reserve: DiskReserve?
    private var condition = DiskTotals()
    private(set) var missed = MissedFlows()
    /// Of the last error.
    private var isFull = true
    /// When a disk that had no room was last tried.
    private var retried: Int64 = 0
    /// The files are being closed, and what they could not write.
    private var isClosing = false
    private var lost = UnwrittenRecords()
    /// Flows of which a later file has a part.
    private var continued: [FlowID] = []
    /// Whether waiting for the disk is to end.
    var isEnding: @Sendable () -> Bool = { false }
    /// Called with each change of state.
    var changed: @Sendable (DiskTotals) -> Void = { _ in }

    init(_ options: DiskOptions, notice: @escaping @Sendable (RecordingNotice) -> Void) {
        self.options = options
        self.notice = notice
        reserve = options.keptFree.map { DiskReserve(bytes: $0, name: options.keptFreeName) }
    }

    var totals: DiskTotals {
        var totals = condition
        totals.missingFlows = missed.flows
        totals.cutFlows = missed.cutFlows
        totals.missingBytes = missed.bytes
        totals.refusedFlows = missed.refusedFlows
        return totals
    }

    /// Every record is recorded: none belongs to a flow of which a part is missing.
    var takesEverything: Bool { isRecording && missed.isEmpty }
    var isRecording: Bool { condition.condition == .recording }

    /// Whether a record is not recorded; it is counted then.
    mutating func misses(_ record: FlowRecord) -> Bool {
        guard !isRecording || !record.isFirst && missed.contains(record.id) else { return false }
        missed.count(record)
        return true
    }

    /// What an incomplete flow says of its end.
    var cause: String { "\(isFull ? "the disk was full" : "the disk failed"); the rest of the flow was not recorded" }

    mutating func note(_ error: ArchiveError) { isFull = error.isDiskFull }
    mutating func cut(_ flow: FlowID) { missed.cut(flow) }
    mutating func discard(_ flow: FlowID) { missed.discard(flow) }

    // MARK: Policies

    /// - Parameter isOpening: of a file that is not the first. The recording can continue in the one before.
    private func reaction(to error: ArchiveError, isOpening: Bool = false) -> Reaction {
        guard case .system(let code) = error.kind, code != EPIPE else { return isOpening ? .report : .stop }
        let pausing = isClosing || isEnding() ? Reaction.stop : .pause
        guard error.isDiskFull else { return isOpening ? .report : options.onError == .pause ? pausing : .stop }
        switch options.whenFull {
        case .pause: return pausing
        case .pass: return .pass
        case .stop: return .stop
        // Another file does not get this one below the limit on a file's size.
        case .rotate: return code == EFBIG ? pausing : .makeRoom
        }
    }

    /// Follows the policy after something has failed because the disk takes no more bytes.
    /// - Parameters:
    ///   - again: repeats what has failed.
    ///   - isOpening: it was the opening of the next file.
    ///   - deleteOldest: deletes the oldest file that is not needed; returns whether there was one.
    /// - Returns: whether it is done; otherwise traffic passes from now on.
    /// - Throws: ``ArchiveError`` when the recording ends, or cannot continue in another file.
    mutating func follow(
        _ error: ArchiveError, isOpening: Bool, deleteOldest: () -> Bool, again: () throws(ArchiveError) -> Void
    ) throws(ArchiveError) -> Bool {
        var failure = error
        while true {
            switch reaction(to: failure, isOpening: isOpening) {
            case .report:
                if condition.condition == .paused { change(to: .recording, nil) }
                throw failure
            case .stop where mayUseReserve(after: failure):
                reserve?.isLifted = true
            case .stop:
                change(to: .stopped, failure)
                throw failure
            case .pass:
                retried = options.clock.now()
                change(to: .passing, failure)
                warn("\(failure); traffic continues and is not recorded until there is room")
                return false
            case .makeRoom where deleteOldest():
                condition.deletedFiles += 1
            case .makeRoom where isClosing || isEnding():
                change(to: .stopped, failure)
                throw failure
            case .makeRoom, .pause:
                pause(failure)
            }
            do throws(ArchiveError) {
                try again()
                continueAfterPause()
                return true
            } catch { failure = error }
        }
    }

    private mutating func pause(_ error: ArchiveError) {
        if condition.condition != .paused {
            change(to: .paused, error)
            let reason = options.whenFull == .rotate && error.isDiskFull ? "no earlier file can be deleted, so " : ""
            warn("\(error); \(reason)traffic waits until \(error.isDiskFull ? "there is room" : "the disk works")")
        }
        wait()
    }

    /// Traffic that waited ends: there may be room for what it has brought.
    private func mayUseReserve(after error: ArchiveError) -> Bool {
        error.isDiskFull && options.whenFull == .pause && reserve?.isLifted == false
    }

    private mutating func continueAfterPause() {
        guard condition.condition == .paused else { return }
        let waited = DiskTotals.seconds(options.clock.now() - condition.since)
        let text =
            if reserve?.isLifted == true {
                "the recorder ends, so it writes what waited for room for \(waited)"
            } else {
                "\(isFull ? "there is room" : "the disk works") again; traffic continues after \(waited)"
            }
        change(to: .recording, nil)
        notice(RecordingNotice(.progress, text, disk: totals))
    }

    /// The writer keeps the block that was not written. While this thread waits the queue fills, and the traffic stops.
    private func wait() {
        for _ in 0..<Self.looks where !isEnding() { options.clock.wait(Self.retryInterval / Self.looks) }
    }

    /// Tries from time to time whether there is room again for a recording that traffic passes.
    /// - Parameter flush: writes what is kept in memory.
    mutating func retry(flush: () throws(ArchiveError) -> Void) throws(ArchiveError) {
        let now = options.clock.now()
        guard condition.condition == .passing, now - retried >= Self.retryInterval else { return }
        retried = now
        do throws(ArchiveError) {
            try flush()
        } catch {
            guard reaction(to: error) == .stop else { return }
            change(to: .stopped, error)
            throw error
        }
        missed.wasWritten()
        change(to: .recording, nil)
        let missing = totals.missing.map { "; not recorded so far: \($0)" } ?? ""
        notice(RecordingNotice(.progress, "there is room again; recording continues\(missing)", disk: totals))
    }

    /// Closes a file at the end, when nothing waits for room any more.
    /// - Returns: whether the file has all that was to be written.
    /// - Throws: ``ArchiveError`` when that ends the recording.
    mutating func close(_ writer: ArchiveWriter, deleteOldest: () -> Bool) throws(ArchiveError) -> Bool {
        isClosing = true
        reserve?.isLifted = true
        defer { continued += writer.writtenContinuations }
        while true {
            do throws(ArchiveError) {
                try writer.close()
                return true
            } catch {
                let reaction = reaction(to: error)
                if reaction == .makeRoom, deleteOldest() {
                    condition.deletedFiles += 1
                    continue
                }
                lost.formUnion(writer.notTaken)
                writer.giveUp()
                // The reason was reported before.
                guard condition.condition != .stopped else { return false }
                guard reaction != .pass else {
                    warn("\(error); what waited for room is missing from the file")
                    return false
                }
                change(to: .stopped, error)
                throw error
            }
        }
    }

    /// All files are closed: counts what is lost.
    mutating func countLost() {
        continued.forEach { lost.noteWritten($0) }
        missed.add(lost)
        condition = condition.at(options.clock.now())
        condition.condition = .stopped
    }

    private func warn(_ text: String) { notice(RecordingNotice(.warning, text, disk: totals)) }

    private mutating func change(to next: DiskTotals.Condition, _ error: ArchiveError?) {
        condition = condition.at(options.clock.now())
        condition.condition = next
        if let error { note(error) }
        changed(totals)
    }
}

extension ArchiveError {
    /// No room on the disk, none within a quota, or none within the limit on a file's size (RLIMIT_FSIZE).
    var isDiskFull: Bool {
        guard case .system(let code) = kind else { return false }
        return code == ENOSPC || code == EDQUOT || code == EFBIG
    }
}
