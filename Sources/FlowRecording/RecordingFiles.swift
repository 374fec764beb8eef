// The files of a recording: opened, rotated when the pattern of their name says so, flushed when it is time. A flow stays in the file in
// which it began; a file that is no longer written to is closed when its last flow has ended.

import FlowArchive
import FlowModel
import Glibc
import NIOCore

/// What to do when the disk is full.
package enum DiskFullPolicy: String, Sendable, CaseIterable {
    /// Traffic waits until there is room again; nothing is lost.
    case pause
    /// The recording ends, and the tool with it.
    case stop
    /// Traffic goes on and is not recorded.
    case pass
}

/// Where a recording goes and how.
package struct RecordingFiles {
    package struct Options: Sendable {
        /// A path with conversions of strftime(3), or `-` for stdout.
        package var pattern: String
        package var truncates = false
        package var flushInterval: Int64 = 1_000_000_000
        package var archive = ArchiveOptions()
        package var whenFull = DiskFullPolicy.pause
        package var notice: @Sendable (String) -> Void

        package init(pattern: String, notice: @escaping @Sendable (String) -> Void) {
            self.pattern = pattern
            self.notice = notice
        }
    }

    private struct OpenFile {
        var path: String
        var writer: ArchiveWriter
    }

    private let options: Options
    private let rotates: Bool
    private var current: OpenFile
    /// Files that still have flows that go on.
    private var closing: [OpenFile] = []
    private var nameChecked: Int64 = 0
    private var isPassing = false

    /// Opens the first file.
    /// - Throws: ``ArchiveError`` when it cannot be had, or is no flow file.
    package init(_ options: Options, now: Timestamp) throws(ArchiveError) {
        self.options = options
        rotates = options.pattern.contains("%")
        current = try Self.open(options, now)
    }

    /// The file that is written to now.
    package var path: String { current.path }

    private static func open(_ options: Options, _ now: Timestamp) throws(ArchiveError) -> OpenFile {
        let path = options.pattern == "-" ? "-" : expand(options.pattern, now)
        let storage: POSIXStorage
        if path == "-" {
            storage = POSIXStorage(standard: 1)
        } else {
            storage = try POSIXStorage.open(path: path, truncates: options.truncates)
            if storage.cutTail > 0 {
                options.notice("\(path): its last block was torn; \(storage.cutTail) bytes that could not be read were cut off")
            }
        }
        return OpenFile(path: path, writer: try ArchiveWriter(storage: storage, options: options.archive, now: now))
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

    /// Takes events.
    /// - Throws: ``ArchiveError`` when one cannot be written and the policy is to stop.
    package mutating func append(_ events: [FlowEvent]) throws(ArchiveError) {
        guard !isPassing else { return }
        guard rotates else {
            return try attempt(current.writer) { writer throws(ArchiveError) in try writer.append(contentsOf: events) }
        }
        for event in events where !isPassing {
            try rotateWhenDue(event)
            try attempt(writer(of: event)) { writer throws(ArchiveError) in try writer.append(event) }
            if !closing.isEmpty { try closeFinished() }
        }
    }

    package mutating func discard(_ flow: FlowID) {
        current.writer.discard(flow)
    }

    /// Flushes what is older than the interval.
    /// - Returns: whether nothing waits for being flushed.
    package mutating func flushWhenDue(now: Timestamp) throws(ArchiveError) -> Bool {
        guard !isPassing else { return true }
        var isIdle = true
        for file in [current] + closing {
            guard let oldest = file.writer.unflushedSince else { continue }
            if now - oldest >= options.flushInterval || options.archive.sync == .always {
                try attempt(file.writer) { writer throws(ArchiveError) in try writer.flush() }
            } else {
                isIdle = false
            }
        }
        return isIdle
    }

    package mutating func close() throws(ArchiveError) {
        for file in closing + [current] where !isPassing { try file.writer.close() }
    }

    /// Does something that may fail for want of room, as the policy says.
    private mutating func attempt(_ writer: ArchiveWriter, _ body: (ArchiveWriter) throws(ArchiveError) -> Void)
        throws(ArchiveError)
    {
        do throws(ArchiveError) {
            try body(writer)
        } catch {
            guard case .system(let code) = error.kind, code == ENOSPC || code == EDQUOT else { throw error }
            switch options.whenFull {
            case .stop:
                throw error
            case .pass:
                isPassing = true
                options.notice("\(error); traffic goes on and is no longer recorded")
            case .pause:
                options.notice("\(error); traffic waits until there is room")
                try waitForRoom(writer)
                options.notice("there is room again; traffic goes on")
            }
        }
    }

    /// The writer keeps the block that found no room; the thread that waits here lets the queue fill, and so the traffic stop.
    private func waitForRoom(_ writer: ArchiveWriter) throws(ArchiveError) {
        while true {
            usleep(500_000)
            do throws(ArchiveError) {
                return try writer.flush()
            } catch {
                guard case .system(let code) = error.kind, code == ENOSPC || code == EDQUOT else { throw error }
            }
        }
    }

    // MARK: Rotation

    private func writer(of event: FlowEvent) -> ArchiveWriter {
        guard !closing.isEmpty, let index = closing.firstIndex(where: { $0.writer.holds(event.flow) }) else {
            return current.writer
        }
        return closing[index].writer
    }

    private mutating func rotateWhenDue(_ event: FlowEvent) throws(ArchiveError) {
        guard case .opened = event.what else { return }
        let second = event.at.nanoseconds / 1_000_000_000
        guard second != nameChecked else { return }
        nameChecked = second
        guard Self.expand(options.pattern, event.at) != current.path else { return }
        let next = try Self.open(options, event.at)
        closing.append(current)
        current = next
        options.notice("recording to \(next.path)")
    }

    private mutating func closeFinished() throws(ArchiveError) {
        for file in closing where file.writer.openFlows == 0 { try file.writer.close() }
        closing.removeAll { $0.writer.openFlows == 0 }
    }
}
