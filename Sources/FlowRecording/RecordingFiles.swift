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
        /// Each file is encrypted; nil: none is.
        package var encryption: ArchiveEncryption?
        package var disk = DiskOptions()
        package var rotation = RotationLimits()
        package var retention = RetentionLimits()
        /// A program that is run with each file that was sealed.
        package var onSealed: String?
        /// Receives the path of each file that is begun after the first one. Called on the recording's thread.
        package var began: @Sendable (String) -> Void = { _ in }
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
        /// What the writer writes to: the storage, or what encrypts on the way to it.
        let destination: any ArchiveStorage
        var writer: ArchiveWriter
        let archive: ArchiveOptions
        /// It was made by this recorder.
        var isNew: Bool
        var isRemoved = false
        var began: Timestamp
        /// Bytes that precede the current segment.
        var start: UInt64
        /// Bytes that the flows which continue take at its beginning.
        var repeated: UInt64 = 0

        /// Its number in this run.
        var number: Int { archive.file ?? 0 }
        /// Bytes, without the block that is not full yet.
        var size: UInt64 { max(start + writer.length, storage.size) }
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
    /// Decides on a flow that is written in part while the filter has no answer, when it ends because of the disk. Set by the owner.
    var refuses: (FlowID) -> Bool = { _ in false }

    /// Opens the first file.
    /// - Throws: ``ArchiveError`` when it cannot be opened, or is not a flow file.
    package init(_ options: Options, now: Timestamp) throws(ArchiveError) {
        var options = options
        if let target = options.rotation.blockTarget { options.archive.blockTarget = min(options.archive.blockTarget, target) }
        var names = RecordingNames(options.pattern, isEncrypted: options.encryption != nil)
        let disk = DiskState(options.disk, notice: options.notice)
        let isLimited = options.rotation.size != nil || options.rotation.interval != nil
        // An encrypted file is not continued.
        let wantsNew = isLimited || options.encryption != nil && names.followTime
        if options.pattern == nil || wantsNew && !options.truncates {
            current = try names.next(at: now, isFree: true) { path throws(ArchiveError) in
                try Self.open(path, isNew: true, number: 0, options, disk.reserve, now)
            }
        } else {
            current = try Self.open(names.first(at: now), isNew: false, number: 0, options, disk.reserve, now)
        }
        rotates = names.followTime || isLimited
        boundary = options.rotation.interval.map { RotationLimits.boundary(after: now, interval: $0) }
        retention = Retention(options.retention, names: names, notice: options.notice)
        programs = options.onSealed.map { SealedPrograms($0, notice: options.notice) }
        (self.options, self.names, self.disk) = (options, names, disk)
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
            let isFollowed = options.disk.whenFull == .pass || options.disk.whenFull == .rotate && deleteOldest()
            guard error.isDiskFull, isFollowed else { throw error }
            try attemptFlush(of: writer, at: now)
        }
    }

    /// The file that is written to now.
    package var path: String { current.path }

    /// - Parameter isNew: there must be no such file.
    static func open(
        _ path: String, isNew: Bool, number: Int, _ options: Options, _ reserve: DiskReserve?, _ now: Timestamp
    ) throws(ArchiveError) -> OpenFile {
        let storage: POSIXStorage
        if path == "-" {
            storage = POSIXStorage(standard: 1)
        } else {
            storage = try POSIXStorage.open(
                path: path, truncates: options.truncates, mustBeNew: isNew, isEncrypted: options.encryption != nil)
            if storage.cutTail > 0 {
                options.notice(
                    RecordingNotice(
                        .warning, "\(path): its last block was torn; \(storage.cutTail) bytes that could not be read were cut off"))
            }
        }
        storage.reserve = reserve
        var archive = options.archive
        archive.file = storage.isLive ? nil : number
        var destination = options.wrapStorage(storage)
        if let encryption = options.encryption { destination = try encryption.storage(over: destination, begun: now) }
        let writer = ArchiveWriter(beginning: destination, options: archive, now: now)
        return OpenFile(
            path: path, storage: storage, destination: destination, writer: writer, archive: archive, isNew: isNew, began: now,
            start: storage.size)
    }

    // MARK: Writing

    /// Takes records. Those that the disk does not allow to record are counted.
    /// - Throws: ``ArchiveError`` when one cannot be written and the policy is to stop.
    package mutating func append(_ records: [FlowRecord]) throws(ArchiveError) {
        guard let first = records.first else { return }
        if !disk.isRecording { try retry() }
        if disk.isRecording, current.storage.isTruncated { try continueTruncated(at: first.last) }
        guard rotates || !disk.takesEverything else {
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
            do throws(ArchiveError) { try rotateIfDue(before: record) } catch { failure = error }
        }
        // Rotation may have found the disk full.
        if !disk.misses(record) {
            try write([record], to: current.writer, at: record.last)
            if rotates, disk.isRecording { try rotateIfFull(at: record.last) }
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
        current.writer.discard(flow)
    }

    /// Flushes what is older than the interval.
    /// - Returns: whether nothing waits to be flushed.
    package mutating func flushWhenDue(now: Timestamp) throws(ArchiveError) -> Bool {
        if !disk.isRecording { try retry() }
        guard disk.isRecording else { return false }
        if !closing.isEmpty { try closeSealed(at: now) }
        if disk.isRecording, current.storage.isTruncated { try continueTruncated(at: now) }
        if disk.isRecording { try rotateAndDeleteIfDue(now: now) }
        guard disk.isRecording else { return false }
        watchName(now: now)
        guard let oldest = current.writer.unflushedSince else { return true }
        guard now - oldest >= options.flushInterval || options.archive.sync == .always else { return false }
        try attemptFlush(of: current.writer, at: now)
        if disk.isRecording { try rotateIfFull(at: now) }
        return true
    }

    /// Whether ``flushWhenDue(now:)`` has to be called about once a second although nothing is recorded.
    package var needsTime: Bool { hasTimes }

    /// Writes what is left and closes all files, whatever happened before. What is lost is counted. Returns when the program of
    /// ``Options/onSealed`` has run with the last file. It is not called again.
    package mutating func close(now: Timestamp) throws(ArchiveError) {
        if !nameWatch.isReported, !current.storage.hasItsName { reportName() }
        var (failure, disk) = (nil as ArchiveError?, disk)
        for file in closing + [current] {
            do throws(ArchiveError) {
                if try disk.close(file.writer, deleteOldest: { deleteOldest() }) { sealed(file, at: now) }
            } catch { failure = failure ?? error }
        }
        disk.countLost()
        self.disk = disk
        programs?.finish()
        // No flow is open any more.
        retention.enforce(at: now, current: nil) { _, _ in true }
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
    /// - Parameters:
    ///   - isOpening: it opens the next file.
    ///   - again: repeats what has failed.
    mutating func attempt(
        at now: Timestamp, isOpening: Bool = false, again: () throws(ArchiveError) -> Void,
        _ body: () throws(ArchiveError) -> Void
    ) throws(ArchiveError) {
        let failure: ArchiveError
        do throws(ArchiveError) { return try body() } catch { failure = error }
        self.disk.note(failure)
        var (disk, isDone, cut) = (disk, false, [] as [FlowID])
        defer {
            self.disk = disk
            if !isDone, !disk.isRecording { cut += end(current.writer.openFlowIDs, at: now) }
            cut.forEach { self.disk.cut($0) }
        }
        isDone = try disk.follow(failure, isOpening: isOpening, deleteOldest: { makeRoom(&cut, at: now) }, again: again)
    }

    /// Deletes the oldest file. If flows that began in earlier files are open, they end before: their files cannot be deleted otherwise.
    private mutating func makeRoom(_ cut: inout [FlowID], at now: Timestamp) -> Bool {
        if deleteOldest() { return true }
        cut += end(current.writer.openFlowsOfEarlierFiles, at: now)
        return deleteOldest()
    }

    /// Flows end where a part of them would be missing. Those that the filter refuses, as far as they came, are removed.
    /// - Returns: the ones that are cut.
    private func end(_ flows: [FlowID], at now: Timestamp) -> [FlowID] {
        let writer = current.writer
        var cut: [FlowID] = []
        for flow in flows.sorted() {
            if refuses(flow) { writer.discard(flow) } else { cut.append(flow) }
        }
        let ending = FlowEnding(state: .incomplete, error: FlowError(side: nil, message: disk.cause, at: now))
        writer.end(cut, ending, at: now)
        return cut
    }

    /// Tries a disk that was full again, from time to time.
    private mutating func retry() throws(ArchiveError) {
        let files = closing + [current]
        try disk.retry { () throws(ArchiveError) in
            for file in files { try file.writer.flush() }
        }
    }
}
