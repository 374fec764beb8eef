// When a recording continues in another file. The file before is sealed at once, and flows that are open continue in the next one.

import FlowArchive
import FlowModel
import FlowRecords
import Glibc

extension RecordingFiles {
    /// How long a rotation that failed is not tried again.
    private static let retryInterval: Int64 = 10_000_000_000

    /// Whether the current file may have a successor: it is a file, and not a pipe or a descriptor.
    var canRotate: Bool { !current.storage.isLive }

    /// Continues in the next file before a record that begins a flow in its time.
    mutating func rotateIfDue(before record: FlowRecord) throws(ArchiveError) {
        // Records come when they are finished: one that began earlier does not bring the earlier name back.
        guard record.isFirst else { return }
        let second = record.started.nanoseconds / 1_000_000_000
        guard second > nameChecked else { return }
        nameChecked = second
        if isDue(at: record.started) { try rotateItself(at: record.started) }
    }

    /// Continues in the next file after the current one has reached its size.
    mutating func rotateIfFull(at now: Timestamp) throws(ArchiveError) {
        // Many open flows may take more than the limit at the beginning of each file.
        guard let most = options.rotation.size, current.size >= max(most, current.repeated + most / 2) else { return }
        try rotateItself(at: now)
    }

    /// Continues in the next file when the time has come and the current one is not empty; deletes files that are beyond the limits.
    mutating func rotateAndDeleteIfDue(now: Timestamp) throws(ArchiveError) {
        if !current.writer.isEmpty, isDue(at: now) { try rotateItself(at: now) }
        enforceRetention(at: now)
    }

    /// Whether something has to be done at a time, without a record.
    var hasTimes: Bool {
        retention.isGiven || canRotate && (names.followTime || options.rotation.interval != nil) && !current.writer.isEmpty
    }

    private func isDue(at now: Timestamp) -> Bool {
        if let boundary, now >= boundary { return true }
        return names.followTime && canRotate && names.name(at: now) != names.base
    }

    private mutating func rotateItself(at now: Timestamp) throws(ArchiveError) {
        guard canRotate, rotationFailed.map({ now - $0 >= Self.retryInterval }) ?? true else { return }
        try rotateNow(at: now)
    }

    /// Begins the next file on request.
    package mutating func rotate(now: Timestamp) throws(ArchiveError) {
        guard canRotate else {
            let name = current.path == "-" ? "standard output" : current.path
            return options.notice(
                RecordingNotice(.warning, "\(name) cannot be rotated, because it is not a file with a name of its own"))
        }
        try rotateNow(at: now)
    }

    mutating func rotateNow(at now: Timestamp) throws(ArchiveError) {
        // What the flows have so far is in the file before they continue in the next one.
        try attemptFlush(of: current.writer, at: now)
        guard disk.isRecording else { return }
        let hasItsName = current.storage.hasItsName
        var (names, next) = (names, nil as OpenFile?)
        let open = { [options, disk, number = current.number + 1] () throws(ArchiveError) in
            next = try names.next(at: now, isFree: !hasItsName) { path throws(ArchiveError) in
                try Self.open(path, isNew: true, number: number, options, disk.reserve, now)
            }
        }
        do throws(ArchiveError) {
            try attempt(at: now, isOpening: true, again: open, open)
        } catch {
            guard error.isDiskFull else {
                rotationFailed = now
                return options.notice(RecordingNotice(.warning, "\(error); recording continues in \(current.path)"))
            }
            try attempt(at: now, again: open) { () throws(ArchiveError) in throw error }
        }
        guard let next else { return }
        (self.names, rotationFailed) = (names, nil)
        replaceCurrent(with: next, at: now, hasItsName: hasItsName)
        try closeSealed(at: now)
        if disk.isRecording { try attemptFlush(of: current.writer, at: now) }
        current.repeated = current.size
        enforceRetention(at: now)
    }

    private mutating func replaceCurrent(with next: OpenFile, at now: Timestamp, hasItsName: Bool) {
        let last = current
        current = next
        current.writer.continueFlows(last.writer.handOver(), at: now)
        boundary = options.rotation.interval.map { RotationLimits.boundary(after: now, interval: $0) }
        nameWatch = NameWatch()
        closing.append(last)
        // A file without flows is of no use when its time is over.
        if last.isNew, last.writer.isEmpty, hasItsName, unsafe FileName.withCString(last.path, { unsafe unlink($0) }) == 0 {
            closing[closing.count - 1].isRemoved = true
        }
        options.notice(RecordingNotice(.progress, "recording to \(next.path)"))
        options.began(next.path)
    }

    /// Writes the ends of files that were sealed. A full disk may leave some for later.
    mutating func closeSealed(at now: Timestamp) throws(ArchiveError) {
        while let file = closing.first {
            let close = { () throws(ArchiveError) in try file.writer.close() }
            try attempt(at: now, again: close, close)
            guard disk.isRecording else { return }
            closing.removeFirst()
            sealed(file, at: now)
        }
    }

    func isNeeded(_ path: String, _ number: Int?) -> Bool {
        if programs?.needs(path) == true { return true }
        guard let number, let first = current.writer.firstFileOfOpenFlows else { return false }
        return number >= first
    }

    mutating func sealed(_ file: OpenFile, at now: Timestamp) {
        guard !file.isRemoved, !file.storage.isLive else { return }
        programs?.add(file.path)
        retention.add(file.path, number: file.number, at: now)
    }

    private mutating func enforceRetention(at now: Timestamp) {
        guard retention.isGiven else { return }
        let size = current.size
        var retention = retention
        retention.enforce(at: now, current: size) { !isNeeded($0, $1) }
        self.retention = retention
    }

    /// Deletes the oldest sealed file of the recording that is not needed, to make room.
    /// - Returns: whether there was one.
    mutating func deleteOldest() -> Bool {
        var retention = retention
        defer { self.retention = retention }
        return retention.makeRoom { !isNeeded($0, $1) }
    }
}
