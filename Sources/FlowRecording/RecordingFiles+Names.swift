// Whether the current file is still what was opened: by its name, and by its length.

import FlowArchive
import FlowModel

/// Whether the current file has its name still. A file that is renamed to be rotated lacks it for a moment, which is not reported.
struct NameWatch {
    static let interval: Int64 = 1_000_000_000

    var checked: Timestamp?
    var wasMissing = false
    var isReported = false
}

extension RecordingFiles {
    mutating func watchName(now: Timestamp) {
        guard !nameWatch.isReported, now - (nameWatch.checked ?? current.began) >= NameWatch.interval else { return }
        nameWatch.checked = now
        let isMissing = !current.storage.hasItsName
        if isMissing, nameWatch.wasMissing { reportName() }
        nameWatch.wasMissing = isMissing
    }

    mutating func reportName() {
        nameWatch.isReported = true
        options.notice(
            RecordingNotice(
                .warning, "\(current.path) was renamed or removed; its flows are still written to the file that had this name"))
    }

    /// Another program has emptied the current file: a segment is begun in it, in which open flows continue. What was cut off is gone
    /// from this file; a copy that the program made can be read together with it.
    mutating func continueTruncated(at now: Timestamp) throws(ArchiveError) {
        options.notice(
            RecordingNotice(
                .warning,
                "\(current.path) was truncated by another program; recording continues at its beginning. Rename the file and send SIGUSR1 instead, or use --rotate-size"
            ))
        let (storage, writer) = (current.storage, current.writer)
        storage.continueAtEnd()
        // An encrypted file is readable only from its first byte on.
        if options.encryption != nil, storage.size > 0 { return try rotateNow(at: now) }
        try current.destination.beginAgain()
        // A block that was begun belongs to the segment that was cut off.
        try attemptFlush(of: writer, at: now)
        guard disk.isRecording else { return }
        let next = ArchiveWriter(beginning: current.destination, options: current.archive, now: now)
        next.continueFlows(writer.handOver(), at: now)
        current.writer = next
        current.start = storage.size
        try attemptFlush(of: next, at: now)
    }
}
