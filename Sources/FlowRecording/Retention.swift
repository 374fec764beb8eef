// Which sealed files of a recording are deleted: the oldest ones, when there are more than the limits allow.

import FlowArchive
import FlowModel
import Glibc

/// Limits of all files of a recording; nil for none.
package struct RetentionLimits: Sendable {
    /// Files, the current one included.
    package var files: Int?
    /// Bytes of all files, the current one included.
    package var size: UInt64?
    /// Nanoseconds since a file was sealed.
    package var age: Int64?

    package init() {}

    var isGiven: Bool { files != nil || size != nil || age != nil }
}

/// The sealed files of a recording, the oldest first. Used on the recording's thread.
struct Retention {
    /// A file that was sealed. A file of another recorder or program is never one.
    private struct SealedFile {
        var path: String
        var file: FileKey
        var size: UInt64
        var sealed: Timestamp
        /// Its number in this run; nil for a file of an earlier run.
        var number: Int?
    }

    private let limits: RetentionLimits
    private let names: RecordingNames
    private let notice: @Sendable (RecordingNotice) -> Void
    private var files: [SealedFile] = []
    private var size: UInt64 = 0
    private var hasFoundEarlier = false
    /// The file that had to be kept, which was reported.
    private var kept: String?

    init(_ limits: RetentionLimits, names: RecordingNames, notice: @escaping @Sendable (RecordingNotice) -> Void) {
        self.limits = limits
        self.names = names
        self.notice = notice
    }

    var isGiven: Bool { limits.isGiven }

    /// Adds a file of this run that was sealed.
    mutating func add(_ path: String, number: Int, at now: Timestamp) {
        guard let (file, size, _) = FileKey.named(path) else { return }
        files.append(SealedFile(path: path, file: file, size: size, sealed: now, number: number))
        self.size += size
    }

    /// Deletes what is beyond the limits.
    /// - Parameters:
    ///   - current: bytes of the current file; nil when the last one is sealed.
    ///   - mayDelete: whether a file, by its path and its number in this run, is not needed any more.
    mutating func enforce(at now: Timestamp, current: UInt64?, mayDelete: (String, Int?) -> Bool) {
        guard limits.isGiven else { return }
        findEarlier()
        while let option = exceeded(at: now, current: current), let oldest = files.first {
            guard mayDelete(oldest.path, oldest.number) else {
                if kept != oldest.path {
                    kept = oldest.path
                    notice(
                        RecordingNotice(
                            .warning,
                            "\(oldest.path) is kept although \(option) is exceeded: flows that began in it are open, or the program of --on-sealed has not ended"
                        ))
                }
                return
            }
            deleteOldest(because: option)
        }
    }

    /// Deletes the oldest sealed file, to make room.
    /// - Returns: whether there was one.
    mutating func makeRoom(mayDelete: (String, Int?) -> Bool) -> Bool {
        findEarlier()
        while let oldest = files.first, mayDelete(oldest.path, oldest.number) {
            if deleteOldest(because: "the disk is full") { return true }
        }
        return false
    }

    /// The option whose limit is exceeded.
    private func exceeded(at now: Timestamp, current: UInt64?) -> String? {
        if let most = limits.files, files.count + (current == nil ? 0 : 1) > most { return "--keep-files" }
        if let most = limits.size, size + (current ?? 0) > most { return "--keep-size" }
        if let most = limits.age, let oldest = files.first, now - oldest.sealed > most { return "--keep-age" }
        return nil
    }

    /// - Returns: whether a file was deleted. One that was renamed or replaced is not the recorder's any more.
    @discardableResult private mutating func deleteOldest(because reason: String) -> Bool {
        let oldest = files.removeFirst()
        size -= oldest.size
        guard let (file, _, _) = FileKey.named(oldest.path), file == oldest.file else { return false }
        guard unsafe FileName.withCString(oldest.path, { unsafe unlink($0) }) == 0 else {
            let words = unsafe String(cString: strerror(errno)).lowercased()
            notice(RecordingNotice(.warning, "cannot delete \(oldest.path): \(words); \(reason) does not hold"))
            return false
        }
        notice(RecordingNotice(.progress, "\(oldest.path) was deleted: \(reason)"))
        return true
    }

    /// Finds the sealed files of earlier runs, once: those that the pattern names at the time when they were begun.
    private mutating func findEarlier() {
        guard !hasFoundEarlier else { return }
        hasFoundEarlier = true
        let own = Set(files.map(\.file))
        var earlier: [(begun: Timestamp, file: SealedFile)] = []
        for path in names.candidates {
            guard let (file, size, changed) = FileKey.named(path), !own.contains(file),
                let begun = SealedSegments.begun(path), names.makes(path, at: begun)
            else { continue }
            earlier.append((begun, SealedFile(path: path, file: file, size: size, sealed: changed)))
        }
        earlier.sort { ($0.begun, $0.file.path) < ($1.begun, $1.file.path) }
        files = earlier.map(\.file) + files
        size = files.reduce(0) { $0 + $1.size }
    }
}

/// What a regular file is, whatever its name.
private struct FileKey: Hashable {
    var device: UInt64
    var inode: UInt64

    /// - Returns: nil unless it is the name of a regular file; links are not followed.
    static func named(_ path: String) -> (file: FileKey, size: UInt64, changed: Timestamp)? {
        var status = stat()
        guard unsafe FileName.withCString(path, { unsafe lstat($0, &status) }) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return nil
        }
        return (
            FileKey(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)), UInt64(status.st_size),
            Timestamp(nanoseconds: Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec))
        )
    }
}
