// What happens when a full disk takes no more bytes: the traffic waits, the recording ends, or the traffic passes unrecorded.

import FlowArchive
import FlowModel
import Glibc

/// What to do when the disk is full.
package enum DiskFullPolicy: String, Sendable, CaseIterable {
    /// Traffic waits until there is room again; nothing is lost.
    case pause
    /// The recording ends, and the tool with it.
    case stop
    /// Traffic continues and is not recorded until there is room again. Flows that are open at that moment end as incomplete.
    case pass
}

/// Whether the disk of a recording takes bytes, and the policy if it does not. Used on the recording's thread.
struct DiskState {
    /// How long to wait before trying a full disk again.
    private static let retryInterval: Int64 = 500_000_000

    private let whenFull: DiskFullPolicy
    private let notice: @Sendable (RecordingNotice) -> Void
    /// Nothing is recorded because the disk is full; when writing was last tried again.
    private var passingSince: Timestamp?
    /// Whether waiting for room is to end. Set by the owner.
    var isEnding: @Sendable () -> Bool = { false }

    init(whenFull: DiskFullPolicy, notice: @escaping @Sendable (RecordingNotice) -> Void) {
        self.whenFull = whenFull
        self.notice = notice
    }

    /// Traffic passes unrecorded.
    var isPassing: Bool { passingSince != nil }

    /// Does something that fails when the disk is full, and then follows the policy.
    /// - Parameter again: repeats what has failed.
    /// - Returns: whether it is done; otherwise traffic passes from now on, and the owner ends the open flows.
    /// - Throws: ``ArchiveError`` when the recording ends.
    mutating func attempt(
        at now: Timestamp, again: () throws(ArchiveError) -> Void, _ body: () throws(ArchiveError) -> Void
    ) throws(ArchiveError) -> Bool {
        do throws(ArchiveError) {
            try body()
        } catch {
            guard error.isDiskFull, whenFull != .stop else { throw error }
            if whenFull == .pass {
                passingSince = now
                notice(RecordingNotice(.warning, "\(error); traffic continues and is not recorded until there is room"))
                return false
            }
            notice(RecordingNotice(.warning, "\(error); traffic waits until there is room"))
            try waitForRoom(again)
            notice(RecordingNotice(.progress, "there is room again; traffic continues"))
        }
        return true
    }

    /// The writer keeps the block that was not written. While this thread waits the queue fills, and the traffic stops.
    private func waitForRoom(_ again: () throws(ArchiveError) -> Void) throws(ArchiveError) {
        while true {
            usleep(useconds_t(Self.retryInterval / 1000))
            do throws(ArchiveError) {
                return try again()
            } catch {
                guard error.isDiskFull, !isEnding() else { throw error }
            }
        }
    }

    /// Whether records are written; after a full disk writing is tried again from time to time.
    /// - Parameter flush: writes what is kept in memory.
    mutating func isRecording(at now: Timestamp, flush: () throws(ArchiveError) -> Void) throws(ArchiveError) -> Bool {
        guard let since = passingSince else { return true }
        guard now - since >= Self.retryInterval else { return false }
        passingSince = now
        do throws(ArchiveError) {
            try flush()
        } catch {
            guard error.isDiskFull else { throw error }
            return false
        }
        passingSince = nil
        notice(RecordingNotice(.progress, "there is room again; recording continues"))
        return true
    }
}

extension ArchiveError {
    /// No room on the disk, none within a quota, or none within the limit on a file's size (RLIMIT_FSIZE).
    var isDiskFull: Bool {
        guard case .system(let code) = kind else { return false }
        return code == ENOSPC || code == EDQUOT || code == EFBIG
    }
}
