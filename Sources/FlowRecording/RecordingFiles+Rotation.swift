// When a recording continues in another file, and when the one before it is closed.

import FlowArchive
import FlowModel
import FlowRecords
import Glibc

extension RecordingFiles {
    func writer(of record: FlowRecord) -> ArchiveWriter {
        guard !closing.isEmpty else { return current.writer }
        if record.isFirst {
            let files = closing.filter { !$0.writer.hasEnded }
            guard record.started < current.began, let file = files.last(where: { $0.began <= record.started }) ?? files.first
            else { return current.writer }
            return file.writer
        }
        return closing.first { $0.writer.holds(record.id) }?.writer ?? current.writer
    }

    mutating func rotateIfDue(_ record: FlowRecord) throws(ArchiveError) {
        // Records come when they are finished: one that began earlier does not bring the earlier name back.
        let second = record.started.nanoseconds / 1_000_000_000
        guard record.isFirst, second > nameChecked else { return }
        nameChecked = second
        let moment = record.started
        guard let pattern = options.pattern, Self.expand(pattern, moment) != current.path else { return }
        var next: OpenFile?
        let open = { [options, disk] () throws(ArchiveError) in next = try Self.open(options, disk.reserve, moment) }
        do throws(ArchiveError) {
            try attempt(at: moment, again: open, open)
        } catch {
            guard case .system(let code) = error.kind, code == EMFILE || code == ENFILE else { throw error }
            options.notice(RecordingNotice(.warning, "\(error); recording continues in \(current.path)"))
        }
        guard let next else { return }
        replaceCurrent(with: next, at: Timestamp(nanoseconds: second * 1_000_000_000))
        try attemptFlush(of: next.writer, at: moment)
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
            replaceCurrent(with: try Self.open(options, disk.reserve, now), at: now)
        } catch {
            options.notice(RecordingNotice(.warning, "\(error); recording continues in \(current.path)"))
        }
    }

    mutating func closeFinished(at now: Timestamp) throws(ArchiveError) {
        // The first record of a flow comes within the flush interval.
        let last = now.advanced(byNanoseconds: -(options.flushInterval + Self.lateness))
        let isFinished = { (file: OpenFile) in file.writer.openFlows == 0 && file.rotated < last }
        for file in closing where isFinished(file) {
            let close = { () throws(ArchiveError) in try file.writer.close() }
            try attempt(at: now, again: close, close)
        }
        guard disk.isRecording else { return }
        closing.removeAll(where: isFinished)
    }
}
