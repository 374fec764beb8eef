// The files of a recording: opened, written, flushed when it is time, sealed one after the other. A flow that is open when a file is sealed
// continues in the next one.

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
        package var rotation = RotationLimits()
        package var retention = RetentionLimits()
        /// A program that is run with each file that was sealed.
        package var onSealed: String?
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
        let archive: ArchiveOptions
        /// It was made by this recorder.
        var isNew: Bool
        var isRemoved = false
        var began: Timestamp
        /// Bytes that precede the current segment.
        var start: UInt64

        /// Its number in this run.
        var number: Int { archive.file ?? 0 }
        /// Bytes, without the block that is not full yet.
        var size: UInt64 { start + writer.length }
    }

    let options: Options
    var names: RecordingNames
    /// Whether each record may begin another file.
    private let rotates: Bool
    var current: OpenFile
    /// Sealed files whose ends are not written, because the disk was full.
    var closing: [OpenFile] = []
    /// When the next file is due; nil for no time.
    var boundary: Timestamp?
    /// When the last try to begin a file failed.
    var rotationFailed: Timestamp?
    /// The second for which the name was last made.
    var nameChecked: Int64 = .min
    var nameWatch = NameWatch()
    var retention: Retention
    let programs: SealedPrograms?
    var disk: DiskState
    /// Whether waiting for room is to end. Set by the owner.
    package var isEnding: @Sendable () -> Bool {
        get { disk.isEnding }
        set { disk.isEnding = newValue }
    }

    /// Opens the first file.
    /// - Throws: ``ArchiveError`` when it cannot be opened, or is not a flow file.
    package init(_ options: Options, now: Timestamp) throws(ArchiveError) {
        var options = options
        if let target = options.rotation.blockTarget { options.archive.blockTarget = min(options.archive.blockTarget, target) }
        var names = RecordingNames(options.pattern)
        disk = DiskState(whenFull: options.whenFull, notice: options.notice)
        let isLimited = options.rotation.size != nil || options.rotation.interval != nil
        if options.pattern == nil || isLimited && !options.truncates {
            current = try names.next(at: now, isFree: true) { path throws(ArchiveError) in
                try Self.open(path, isNew: true, number: 0, options, now)
            }
        } else {
            current = try Self.open(names.first(at: now), isNew: false, number: 0, options, now)
        }
        rotates = names.followTime || isLimited
        boundary = options.rotation.interval.map { RotationLimits.boundary(after: now, interval: $0) }
        retention = Retention(options.retention, names: names, notice: options.notice)
        programs = options.onSealed.map { SealedPrograms($0, notice: options.notice) }
        (self.options, self.names) = (options, names)
    }

    /// The file that is written to now.
    package var path: String { current.path }

    /// - Parameter isNew: there must be no such file.
    static func open(
        _ path: String, isNew: Bool, number: Int, _ options: Options, _ now: Timestamp
    ) throws(ArchiveError) -> OpenFile {
        let storage: POSIXStorage
        if path == "-" {
            storage = POSIXStorage(standard: 1)
        } else {
            storage = try POSIXStorage.open(path: path, truncates: options.truncates, isNew: isNew)
            if storage.cutTail > 0 {
                options.notice(
                    RecordingNotice(
                        .warning, "\(path): its last block was torn; \(storage.cutTail) bytes that could not be read were cut off"))
            }
        }
        var archive = options.archive
        archive.file = storage.isLive ? nil : number
        let start = storage.size
        do throws(ArchiveError) {
            let writer = try ArchiveWriter(storage: storage, options: archive, now: now)
            return OpenFile(path: path, storage: storage, writer: writer, archive: archive, isNew: isNew, began: now, start: start)
        } catch {
            // Tried again, it would be in the way.
            if isNew { _ = unsafe FileName.withCString(path) { unsafe unlink($0) } }
            throw error
        }
    }

    // MARK: Writing

    /// Takes records.
    /// - Throws: ``ArchiveError`` when one cannot be written and the policy is to stop.
    package mutating func append(_ records: [FlowRecord]) throws(ArchiveError) {
        guard let first = records.first, try isRecording(at: first.last) else { return }
        if current.storage.isTruncated { try continueTruncated(at: first.last) }
        guard rotates else { return try write(records, to: current.writer, at: first.last) }
        for record in records where !disk.isPassing {
            try rotateIfDue(before: record)
            guard !disk.isPassing else { return }
            try write([record], to: current.writer, at: record.last)
            if !disk.isPassing { try rotateIfFull(at: record.last) }
        }
    }

    private mutating func write(_ records: [FlowRecord], to writer: ArchiveWriter, at now: Timestamp) throws(ArchiveError) {
        try attempt(at: now, again: { () throws(ArchiveError) in try writer.flush() }) { () throws(ArchiveError) in
            try writer.append(records)
        }
    }

    package mutating func discard(_ flow: FlowID) {
        current.writer.discard(flow)
    }

    /// Flushes what is older than the interval.
    /// - Returns: whether nothing waits to be flushed.
    package mutating func flushWhenDue(now: Timestamp) throws(ArchiveError) -> Bool {
        guard try isRecording(at: now) else { return false }
        if !closing.isEmpty { try closeSealed(at: now) }
        if !disk.isPassing, current.storage.isTruncated { try continueTruncated(at: now) }
        if !disk.isPassing { try rotateAndDeleteIfDue(now: now) }
        guard !disk.isPassing else { return false }
        watchName(now: now)
        let writer = current.writer
        guard let oldest = writer.unflushedSince else { return true }
        guard now - oldest >= options.flushInterval || options.archive.sync == .always else { return false }
        let flush = { () throws(ArchiveError) in try writer.flush() }
        try attempt(at: now, again: flush, flush)
        if !disk.isPassing { try rotateIfFull(at: now) }
        return true
    }

    /// Whether ``flushWhenDue(now:)`` has to be called about once a second although nothing is recorded.
    package var needsTime: Bool { hasTimes }

    /// Seals the last file. Returns when the program of ``Options/onSealed`` has run with it.
    package mutating func close(now: Timestamp) throws(ArchiveError) {
        defer { programs?.finish() }
        if !nameWatch.isReported, !current.storage.hasItsName { reportName() }
        for file in closing + [current] {
            do throws(ArchiveError) {
                try file.writer.close()
                sealed(file, at: now)
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
        current.writer.endOpenFlows(ending, at: now)
    }

    private mutating func isRecording(at now: Timestamp) throws(ArchiveError) -> Bool {
        let files = closing + [current]
        return try disk.isRecording(at: now) { () throws(ArchiveError) in
            for file in files { try file.writer.flush() }
        }
    }
}
