// The names of a recording's files, and whether the current file has its name still.

import FlowArchive
import FlowModel
import Glibc

extension RecordingFiles {
    /// Makes an empty file, named after a moment, in the working directory. A recorder that starts in the same second gets another one.
    /// - Throws: ``ArchiveError`` when it cannot be made.
    static func newName(_ now: Timestamp, _ options: Options) throws(ArchiveError) -> String {
        let ending = options.encryption == nil ? ".mflow" : ".mflow.age"
        let base = expand("capture-%Y%m%d-%H%M%S", now)
        var number = 1
        while true {
            let name = number == 1 ? base + ending : "\(base)-\(number)\(ending)"
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
}

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
}
