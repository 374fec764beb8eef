// The files of a recording: opened, written, flushed when it is time. A flow stays in the file in which it began. A file that was rotated away is
// closed when its last flow has ended and no record of an earlier time can come.

import FlowArchive
import FlowModel
import FlowRecords
import Glibc
import NIOCore

/// Where a recording goes and how.
package struct RecordingFiles {
    package struct Options: Sendable {
        /// A path with conversions of strftime(3), or `-` for stdout; nil: a new file in the working directory, named after the moment when
        /// it is made.
        package var pattern: String?
        package var truncates = false
        package var flushInterval: Int64 = 1_000_000_000
        package var archive = ArchiveOptions()
        package var whenFull = DiskFullPolicy.pause
        package var notice: @Sendable (RecordingNotice) -> Void

        package init(pattern: String?, notice: @escaping @Sendable (RecordingNotice) -> Void) {
            self.pattern = pattern
            self.notice = notice
        }
    }

    struct OpenFile {
        var path: String
        var storage: POSIXStorage
        var writer: ArchiveWriter
        /// Flows that began before this moment belong to an earlier file.
        var began: Timestamp
        /// When the next file began.
        var rotated = Timestamp(nanoseconds: .max)
    }

    let options: Options
    let rotates: Bool
    var current: OpenFile
    /// Earlier files, in their order: flows of them are open, or records of them may still come.
    var closing: [OpenFile] = []
    /// The second for which the name was last made.
    var nameChecked: Int64 = .min
    var nameWatch = NameWatch()
    var disk: DiskState
    /// Whether waiting for room is to end. Set by the owner.
    package var isEnding: @Sendable () -> Bool {
        get { disk.isEnding }
        set { disk.isEnding = newValue }
    }

    /// How much later than the flush interval the first record of a flow may come.
    static let lateness: Int64 = 1_000_000_000

    /// Opens the first file.
    /// - Throws: ``ArchiveError`` when it cannot be opened, or is not a flow file.
    package init(_ options: Options, now: Timestamp) throws(ArchiveError) {
        self.options = options
        rotates = options.pattern?.contains("%") == true
        disk = DiskState(whenFull: options.whenFull, notice: options.notice)
        current = try Self.open(options, now)
    }

    /// The file that is written to now.
    package var path: String { current.path }

    static func open(_ options: Options, _ now: Timestamp) throws(ArchiveError) -> OpenFile {
        let path = if let pattern = options.pattern { expand(pattern, now) } else { try newName(now) }
        let storage: POSIXStorage
        if path == "-" {
            storage = POSIXStorage(standard: 1)
        } else {
            storage = try POSIXStorage.open(path: path, truncates: options.truncates)
            if storage.cutTail > 0 {
                options.notice(
                    RecordingNotice(
                        .warning, "\(path): its last block was torn; \(storage.cutTail) bytes that could not be read were cut off"))
            }
        }
        let writer = try ArchiveWriter(storage: storage, options: options.archive, now: now)
        return OpenFile(path: path, storage: storage, writer: writer, began: now)
    }

    // MARK: Writing

    /// Takes records.
    /// - Throws: ``ArchiveError`` when one cannot be written and the policy is to stop.
    package mutating func append(_ records: [FlowRecord]) throws(ArchiveError) {
        guard let first = records.first, try isRecording(at: first.last) else { return }
        guard rotates || !closing.isEmpty else { return try write(records, to: current.writer, at: first.last) }
        for record in records where !disk.isPassing {
            if rotates { try rotateIfDue(record) }
            guard !disk.isPassing else { return }
            try write([record], to: writer(of: record), at: record.last)
            if !closing.isEmpty { try closeFinished(at: record.last) }
        }
    }

    private mutating func write(_ records: [FlowRecord], to writer: ArchiveWriter, at now: Timestamp) throws(ArchiveError) {
        try attempt(at: now, again: { () throws(ArchiveError) in try writer.flush() }) { () throws(ArchiveError) in
            try writer.append(records)
        }
    }

    package mutating func discard(_ flow: FlowID) {
        for file in closing + [current] { file.writer.discard(flow) }
    }

    /// Flushes what is older than the interval.
    /// - Returns: whether nothing waits to be flushed.
    package mutating func flushWhenDue(now: Timestamp) throws(ArchiveError) -> Bool {
        guard try isRecording(at: now) else { return false }
        if !closing.isEmpty { try closeFinished(at: now) }
        guard !disk.isPassing else { return false }
        watchName(now: now)
        var isIdle = !closing.contains { $0.writer.openFlows == 0 }
        for file in [current] + closing {
            guard let oldest = file.writer.unflushedSince else { continue }
            if now - oldest >= options.flushInterval || options.archive.sync == .always {
                let flush = { () throws(ArchiveError) in try file.writer.flush() }
                try attempt(at: now, again: flush, flush)
            } else {
                isIdle = false
            }
        }
        return isIdle
    }

    package mutating func close() throws(ArchiveError) {
        if !nameWatch.isReported, !current.storage.hasItsName { reportName() }
        for file in closing + [current] {
            do throws(ArchiveError) {
                try file.writer.close()
            } catch {
                guard disk.isPassing, error.isDiskFull else { throw error }
                options.notice(
                    RecordingNotice(.warning, "\(error); events from before the disk was full are missing from the file"))
            }
        }
    }

    // MARK: A full disk

    /// Does something that fails when the disk is full, and then follows the policy.
    /// - Parameter again: repeats what has failed.
    mutating func attempt(
        at now: Timestamp, again: () throws(ArchiveError) -> Void, _ body: () throws(ArchiveError) -> Void
    ) throws(ArchiveError) {
        if try !disk.attempt(at: now, again: again, body) { endOpenFlows(at: now) }
    }

    /// Open flows end where a part of them would be missing.
    private func endOpenFlows(at now: Timestamp) {
        let ending = FlowEnding(
            state: .incomplete,
            error: FlowError(side: nil, message: "the disk was full; the rest of the flow was not recorded", at: now))
        for file in [current] + closing { file.writer.endOpenFlows(ending, at: now) }
    }

    private mutating func isRecording(at now: Timestamp) throws(ArchiveError) -> Bool {
        let files = closing + [current]
        return try disk.isRecording(at: now) { () throws(ArchiveError) in
            for file in files { try file.writer.flush() }
        }
    }
}
