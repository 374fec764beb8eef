// The files of a recording: opened, rotated when the pattern of their name gives another name or on request, flushed when it is time. A flow stays in the
// file in which it began. A file that was rotated away is closed when its last flow has ended and no record of an earlier time can come.

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

    private struct OpenFile {
        var path: String
        var storage: POSIXStorage
        var writer: ArchiveWriter
        /// Flows that began before this moment belong to an earlier file.
        var began: Timestamp
        /// When the next file began.
        var rotated = Timestamp(nanoseconds: .max)
    }

    private let options: Options
    private let rotates: Bool
    private var current: OpenFile
    /// Earlier files, in their order: flows of them are open, or records of them may still come.
    private var closing: [OpenFile] = []
    /// The second for which the name was last made.
    private var nameChecked: Int64 = .min
    private var nameWatch = NameWatch()
    private var disk: DiskState
    /// Whether waiting for room is to end. Set by the owner.
    package var isEnding: @Sendable () -> Bool {
        get { disk.isEnding }
        set { disk.isEnding = newValue }
    }

    /// How much later than the flush interval the first record of a flow may come.
    private static let lateness: Int64 = 1_000_000_000

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

    private static func open(_ options: Options, _ now: Timestamp) throws(ArchiveError) -> OpenFile {
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

    /// Makes an empty file, named after a moment, in the working directory. A recorder that starts in the same second gets another one.
    /// - Throws: ``ArchiveError`` when it cannot be made.
    private static func newName(_ now: Timestamp) throws(ArchiveError) -> String {
        let base = expand("capture-%Y%m%d-%H%M%S", now)
        var number = 1
        while true {
            let name = number == 1 ? base + ".mflow" : "\(base)-\(number).mflow"
            let descriptor = unsafe Glibc.open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            if descriptor >= 0 {
                Glibc.close(descriptor)
                return name
            }
            guard errno == EEXIST else {
                throw ArchiveError(.system(errno), unsafe "cannot write \(name): \(String(cString: strerror(errno)).lowercased())")
            }
            number += 1
        }
    }

    /// A file name at a moment, in local time.
    static func expand(_ pattern: String, _ now: Timestamp) -> String {
        guard pattern.contains("%") else { return pattern }
        var seconds = time_t(now.nanoseconds / 1_000_000_000)
        var parts = unsafe tm()
        unsafe localtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = unsafe strftime(&buffer, buffer.count, pattern, &parts)
        return length > 0 ? String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self) : pattern
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
    private mutating func attempt(
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

    // MARK: Rotation

    private func writer(of record: FlowRecord) -> ArchiveWriter {
        guard !closing.isEmpty else { return current.writer }
        if record.isFirst {
            guard record.started < current.began, let file = closing.last(where: { $0.began <= record.started }) ?? closing.first
            else { return current.writer }
            return file.writer
        }
        return closing.first { $0.writer.holds(record.id) }?.writer ?? current.writer
    }

    private mutating func rotateIfDue(_ record: FlowRecord) throws(ArchiveError) {
        // Records come when they are finished: one that began earlier does not bring the earlier name back.
        let second = record.started.nanoseconds / 1_000_000_000
        guard record.isFirst, second > nameChecked else { return }
        nameChecked = second
        let moment = record.started
        guard let pattern = options.pattern, Self.expand(pattern, moment) != current.path else { return }
        var next: OpenFile?
        let open = { [options] () throws(ArchiveError) in next = try Self.open(options, moment) }
        do throws(ArchiveError) {
            try attempt(at: moment, again: open, open)
        } catch {
            guard case .system(let code) = error.kind, code == EMFILE || code == ENFILE else { throw error }
            options.notice(RecordingNotice(.warning, "\(error); recording continues in \(current.path)"))
        }
        guard let next else { return }
        replaceCurrent(with: next, at: Timestamp(nanoseconds: second * 1_000_000_000))
    }

    private mutating func replaceCurrent(with next: OpenFile, at moment: Timestamp) {
        current.rotated = moment
        closing.append(current)
        current = next
        current.began = moment
        nameWatch = NameWatch()
        options.notice(RecordingNotice(.progress, "recording to \(next.path)"))
    }

    /// Begins the next file on request: the one that the pattern names now, or the same name again if the file has lost it.
    package mutating func rotate(now: Timestamp) {
        guard current.path != "-" else {
            return options.notice(RecordingNotice(.warning, "standard output is one file; it was not rotated"))
        }
        let path = options.pattern.map { Self.expand($0, now) }
        guard path != current.path || !current.storage.hasItsName else {
            return options.notice(
                RecordingNotice(
                    .warning, "recording continues in \(current.path); rename the file before the request for the next one"))
        }
        do throws(ArchiveError) {
            replaceCurrent(with: try Self.open(options, now), at: now)
        } catch {
            options.notice(RecordingNotice(.warning, "\(error); recording continues in \(current.path)"))
        }
    }

    private mutating func closeFinished(at now: Timestamp) throws(ArchiveError) {
        // The first record of a flow comes within the flush interval.
        let last = now.advanced(byNanoseconds: -(options.flushInterval + Self.lateness))
        let isFinished = { (file: OpenFile) in file.writer.openFlows == 0 && file.rotated < last }
        for file in closing where isFinished(file) {
            let close = { () throws(ArchiveError) in try file.writer.close() }
            try attempt(at: now, again: close, close)
        }
        guard !disk.isPassing else { return }
        closing.removeAll(where: isFinished)
    }
}

// MARK: Names

/// Whether the current file has its name still. A file that is renamed to be rotated lacks it for a moment, which is not reported.
private struct NameWatch {
    static let interval: Int64 = 1_000_000_000

    var checked: Timestamp?
    var wasMissing = false
    var isReported = false
}

extension RecordingFiles {
    private mutating func watchName(now: Timestamp) {
        guard !nameWatch.isReported, now - (nameWatch.checked ?? current.began) >= NameWatch.interval else { return }
        nameWatch.checked = now
        let isMissing = !current.storage.hasItsName
        if isMissing, nameWatch.wasMissing { reportName() }
        nameWatch.wasMissing = isMissing
    }

    private mutating func reportName() {
        nameWatch.isReported = true
        options.notice(
            RecordingNotice(
                .warning, "\(current.path) was renamed or removed; its flows are still written to the file that had this name"))
    }
}
