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
        /// Each file is encrypted; nil: none is.
        package var encryption: ArchiveEncryption?
        package var disk = DiskOptions()
        /// What is written to in place of the file itself, in tests.
        package var wrapStorage: @Sendable (POSIXStorage) -> any ArchiveStorage = { $0 }
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
    /// Decides on a flow that is written in part while the filter has no answer, when it ends because of the disk. Set by the owner.
    var refuses: (FlowID) -> Bool = { _ in false }

    /// How much later than the flush interval the first record of a flow may come.
    static let lateness: Int64 = 1_000_000_000

    /// Opens the first file.
    /// - Throws: ``ArchiveError`` when it cannot be opened, or is not a flow file.
    package init(_ options: Options, now: Timestamp) throws(ArchiveError) {
        self.options = options
        rotates = options.pattern?.contains("%") == true
        disk = DiskState(options.disk, notice: options.notice)
        current = try Self.open(options, disk.reserve, now)
        do throws(ArchiveError) { try beginFirst(now) } catch {
            current.storage.removeNew()
            throw error
        }
    }

    /// Writes the beginning of the first file. A disk that is full from the start is an error, unless traffic is to pass.
    private mutating func beginFirst(_ now: Timestamp) throws(ArchiveError) {
        let writer = current.writer
        do throws(ArchiveError) {
            try writer.flush()
        } catch {
            guard error.isDiskFull, options.disk.whenFull == .pass else { throw error }
            try attempt(at: now, again: { () throws(ArchiveError) in }) { () throws(ArchiveError) in throw error }
        }
    }

    /// The file that is written to now.
    package var path: String { current.path }

    static func open(_ options: Options, _ reserve: DiskReserve?, _ now: Timestamp) throws(ArchiveError) -> OpenFile {
        let path = if let pattern = options.pattern { expand(pattern, now) } else { try newName(now, options) }
        let storage: POSIXStorage
        if path == "-" {
            storage = POSIXStorage(standard: 1)
        } else {
            storage = try POSIXStorage.open(
                path: path, truncates: options.truncates, isEncrypted: options.encryption != nil)
            if storage.cutTail > 0 {
                options.notice(
                    RecordingNotice(
                        .warning, "\(path): its last block was torn; \(storage.cutTail) bytes that could not be read were cut off"))
            }
        }
        storage.reserve = reserve
        if options.pattern == nil { storage.isNew = true }
        var destination = options.wrapStorage(storage)
        if let encryption = options.encryption { destination = try encryption.storage(over: destination) }
        let writer = ArchiveWriter(beginning: destination, options: options.archive, now: now)
        return OpenFile(path: path, storage: storage, writer: writer, began: now)
    }

    // MARK: Writing

    /// Takes records. Those that the disk does not allow to record are counted.
    /// - Throws: ``ArchiveError`` when one cannot be written and the policy is to stop.
    package mutating func append(_ records: [FlowRecord]) throws(ArchiveError) {
        guard let first = records.first else { return }
        if !disk.isRecording { try retry() }
        guard rotates || !closing.isEmpty || !disk.takesEverything else {
            return try write(records, to: current.writer, at: first.last)
        }
        var failure: ArchiveError?
        for record in records {
            do throws(ArchiveError) { try append(record) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    private mutating func append(_ record: FlowRecord) throws(ArchiveError) {
        var failure: ArchiveError?
        if rotates, disk.isRecording {
            do throws(ArchiveError) { try rotateIfDue(record) } catch { failure = error }
        }
        // Rotation may have found the disk full.
        if !disk.misses(record) {
            try write([record], to: writer(of: record), at: record.last)
            if !closing.isEmpty { try closeFinished(at: record.last) }
        }
        if let failure { throw failure }
    }

    mutating func attemptFlush(of writer: ArchiveWriter, at now: Timestamp) throws(ArchiveError) {
        let flush = { () throws(ArchiveError) in try writer.flush() }
        try attempt(at: now, again: flush, flush)
    }

    private mutating func write(_ records: [FlowRecord], to writer: ArchiveWriter, at now: Timestamp) throws(ArchiveError) {
        try attempt(at: now, again: { () throws(ArchiveError) in try writer.flush() }) { () throws(ArchiveError) in
            try writer.append(records)
        }
    }

    package mutating func discard(_ flow: FlowID) {
        disk.discard(flow)
        for file in closing + [current] { file.writer.discard(flow) }
    }

    /// Flushes what is older than the interval.
    /// - Returns: whether nothing waits to be flushed.
    package mutating func flushWhenDue(now: Timestamp) throws(ArchiveError) -> Bool {
        if !disk.isRecording { try retry() }
        guard disk.isRecording else { return false }
        if !closing.isEmpty { try closeFinished(at: now) }
        guard disk.isRecording else { return false }
        watchName(now: now)
        var isIdle = !closing.contains { $0.writer.openFlows == 0 }
        for file in [current] + closing {
            guard let oldest = file.writer.unflushedSince else { continue }
            if now - oldest >= options.flushInterval || options.archive.sync == .always {
                try attemptFlush(of: file.writer, at: now)
            } else {
                isIdle = false
            }
        }
        return isIdle
    }

    /// Writes what is left and closes all files, whatever happened before. What is lost is counted. It is not called again.
    package mutating func close() throws(ArchiveError) {
        if !nameWatch.isReported, !current.storage.hasItsName { reportName() }
        var failure: ArchiveError?
        for file in closing + [current] {
            do throws(ArchiveError) { try disk.close(file.writer) } catch { failure = failure ?? error }
        }
        disk.countLost()
        if let failure { throw failure }
    }

    // MARK: The disk

    /// Whether waiting for the disk is to end. Set by the owner.
    package var isEnding: @Sendable () -> Bool {
        get { disk.isEnding }
        set { disk.isEnding = newValue }
    }

    package var diskTotals: DiskTotals { disk.totals }

    /// Does something that fails when the disk takes no more bytes, and then follows the policy.
    /// - Parameter again: repeats what has failed.
    mutating func attempt(
        at now: Timestamp, again: () throws(ArchiveError) -> Void, _ body: () throws(ArchiveError) -> Void
    ) throws(ArchiveError) {
        do throws(ArchiveError) {
            if try !disk.attempt(again: again, body) { endOpenFlows(at: now) }
        } catch {
            if !disk.isRecording { endOpenFlows(at: now) }
            throw error
        }
    }

    /// Open flows end where a part of them would be missing. Those that the filter refuses, as far as they came, are removed.
    private mutating func endOpenFlows(at now: Timestamp) {
        let ending = FlowEnding(
            state: .incomplete,
            error: FlowError(side: nil, message: disk.cause, at: now))
        for file in [current] + closing {
            for flow in file.writer.openFlowIDs where refuses(flow) { file.writer.discard(flow) }
            for flow in file.writer.openFlowIDs { disk.cut(flow) }
            file.writer.endOpenFlows(ending, at: now)
        }
    }

    /// Tries a disk that was full again, from time to time.
    private mutating func retry() throws(ArchiveError) {
        let files = closing + [current]
        try disk.retry { () throws(ArchiveError) in
            for file in files { try file.writer.flush() }
        }
    }
}
