// Loads the recordings, and keeps them as the files are: flows that are appended to a file, and new files of a directory, are added;
// after any other change everything is read again into another index, which then takes the place of the old one.
//
// Files are polled. A changed file is read when it has not changed for one interval, since its writer may need several writes. The
// pause between two polls, and between two reloads, grows with the time that they take, so that neither takes more than a small part
// of one core.

import FlowArchive
import FlowFilter
import FlowReplay
import Foundation
import ProxyCore
import ProxyToolSupport
import Synchronization
import ToolSupport

/// The recordings that the user asks for.
struct RecordingSelection: Sendable {
    /// Files and directories.
    var files: [FilePath]
    /// Decrypt the files.
    var keys: ArchiveKeys
    /// The file of --write, which may be absent.
    var written: FilePath?
    /// Starting without recordings is useful, because misses are sent to servers.
    var mayBeEmpty = false
    var filter: FlowFilter?
    var rules: MatchRules
    /// For the rules of redaction that recordings name.
    var recordedRules: RecordedRules
    var order: ReplayOrder
    var isOnce: Bool

    func emptyRecordings() -> Recordings {
        Recordings(RecordingIndex(rules: rules, order: order, isOnce: isOnce), recordedRules)
    }

    /// The files as they are now. Without any it is the file of --write.
    /// - Throws: ``ToolError`` if there is nothing to read.
    func sources() throws -> [ArchiveSource] {
        if files.isEmpty, let written { return [.file(written.path, keys: keys)] }
        let sources = try archiveSources(files, keys: keys)
        // A directory without flow files stands for itself.
        return mayBeEmpty ? sources.filter { !isDirectory($0) } : sources
    }

    func isDirectory(_ source: ArchiveSource) -> Bool {
        guard let path = source.path else { return false }
        return ToolSupport.isDirectory(path)
    }

    /// It is the file of --write, which is created if it does not exist.
    func isWritten(_ source: ArchiveSource) -> Bool {
        guard let path = source.path, let written else { return false }
        func identity(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
        return identity(path) == identity(written.path)
    }
}

/// One reading of all files. Used by one thread.
private final class RecordingSet {
    let recordings: Recordings
    private(set) var loaders: [RecordingLoader] = []
    private let selection: RecordingSelection

    init(_ selection: RecordingSelection) {
        self.selection = selection
        recordings = selection.emptyRecordings()
    }

    var mayGrow: Bool { loaders.contains(where: \.mayGrow) }

    /// Reads all sources.
    /// - Parameters:
    ///   - previous: its flows of sources that can be read only once are taken over.
    ///   - line: shows the progress of reading.
    /// - Throws: if one cannot be read.
    func load(_ previous: RecordingSet? = nil, on line: ProgressLine? = nil, warn: (String) -> Void) throws {
        let sources = try selection.sources()
        let progress = line.map { ReadingProgress(sources, "reading the recordings", on: $0) }
        defer { if progress != nil { ProgressLine.clear() } }
        for source in sources {
            if let known = previous?.loaders.first(where: { $0.source == source })?.copy(into: recordings) {
                loaders.append(known)
            } else {
                try add(source, progress, warn: warn)
            }
        }
    }

    /// - Throws: if it cannot be read.
    func add(_ source: ArchiveSource, _ progress: ReadingProgress? = nil, warn: (String) -> Void) throws {
        let loader = try RecordingLoader(
            source, into: recordings, filter: selection.filter, mayBeAbsent: selection.isWritten(source),
            others: { [weak self] in self?.loaders ?? [] })
        loaders.append(loader)
        progress?.begin(source)
        try loader.load(progress, warn: warn)
    }

    /// Reports incomplete blocks at the ends of files.
    func finish(warn: (String) -> Void) {
        for loader in loaders {
            do { try loader.finish(warn: warn) } catch { warn("\(error); the part that was read is served") }
        }
    }
}

/// Loads recordings and follows their files, on its own thread.
final class RecordingFollower: Sendable {
    /// Seconds between two polls, and the factors by which pauses are longer than what they separate.
    private static let interval = 0.5
    private static let pollFactor = 50.0
    private static let reloadFactor = 10.0
    /// A file that changes all the time is read after this number of polls.
    private static let maximumPolls = 10

    private struct State {
        var first: Result<Started, any Error>?
        var isReloadRequested = false
        var isStopped = false
    }

    /// The result of the first reading.
    struct Started: Sendable {
        var requests: Int
        var streams: Int
        /// Files that are open.
        var files: Int
    }

    private let selection: RecordingSelection
    private let served: ServedRecordings
    private let log: EventLog
    private let progress: ProgressLine
    private let state = Mutex(State())
    private let loaded = DispatchSemaphore(value: 0)
    private let wake = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameter progress: shows how far the first reading is.
    init(_ selection: RecordingSelection, log: EventLog, progress: ProgressLine) {
        self.selection = selection
        self.log = log
        self.progress = progress
        served = ServedRecordings(selection.emptyRecordings())
    }

    var recordings: ServedRecordings { served }

    /// Reads all files, and begins to follow them.
    /// - Parameter signals: blocked signals that end the reading.
    /// - Returns: nil if a signal arrived.
    /// - Throws: if one cannot be read, or there is nothing to serve.
    func start(endedBy signals: [Int32]) throws -> Started? {
        let thread = Thread { self.run() }
        thread.name = "recordings"
        thread.stackSize = 8 << 20
        thread.start()
        while loaded.wait(timeout: .now() + 0.1) == .timedOut {
            if Signals.wait(for: signals, seconds: 0) != nil { return nil }
        }
        guard let first = state.withLock({ $0.first }) else { preconditionFailure("the thread sets it first") }
        return try first.get()
    }

    /// Reads all files again, soon.
    func reload() {
        state.withLock { $0.isReloadRequested = true }
        wake.signal()
    }

    /// Ends the thread. One that is reading is not waited for long.
    func stop() {
        state.withLock { $0.isStopped = true }
        wake.signal()
        _ = ended.wait(timeout: .now() + 2)
    }

    // MARK: Its own thread

    private func warn(_ text: String) {
        served.totals.withLock { $0.isDamaged = true }
        log.log(.error, "damage", text)
    }

    private func logNotices(of recordings: Recordings) {
        for notice in recordings.takeNotices() { log.log(.notice, "redaction", notice) }
    }

    private func run() {
        defer { ended.signal() }
        let set = RecordingSet(selection)
        let result = Result { try loadFirst(set) }
        state.withLock { $0.first = result }
        loaded.signal()
        guard case .success = result else { return }
        follow(set)
    }

    private func loadFirst(_ set: RecordingSet) throws -> Started {
        try set.load(on: progress, warn: warn)
        let (requests, streams) = set.recordings.counts
        if requests + streams == 0, !selection.mayBeEmpty, !set.mayGrow {
            set.finish(warn: warn)
            throw ToolError("there is nothing to serve: the recordings contain no request and no stream")
        }
        served.replace(with: set.recordings)
        logNotices(of: set.recordings)
        return Started(requests: requests, streams: streams, files: set.loaders.count)
    }

    private func follow(_ first: RecordingSet) {
        var set = first
        var watch = FileWatch()
        var pause = Self.interval
        var mayReload = DispatchTime.now()
        while true {
            _ = wake.wait(timeout: .now() + pause)
            let (isStopped, isRequested) = state.withLock { state in
                defer { state.isReloadRequested = false }
                return (state.isStopped, state.isReloadRequested)
            }
            if isStopped { return set.finish(warn: warn) }
            let start = DispatchTime.now()
            let isDue = poll(set, &watch)
            logNotices(of: set.recordings)
            var taken = Self.seconds(since: start)
            pause = max(Self.interval, taken * Self.pollFactor)
            guard isRequested || isDue && DispatchTime.now() >= mayReload else { continue }
            watch.tried()
            if let other = readAgain(set) { set = other }
            taken = Self.seconds(since: start)
            mayReload = .now() + taken * Self.reloadFactor
        }
    }

    private static func seconds(since start: DispatchTime) -> Double {
        Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9
    }

    /// Adds what was appended.
    /// - Returns: whether other changes are complete, so that everything must be read again.
    private func poll(_ set: RecordingSet, _ watch: inout FileWatch) -> Bool {
        // A directory that is gone is a change that cannot be read.
        let sources = (try? selection.sources().filter { !selection.isDirectory($0) }) ?? []
        let known = Set(set.loaders.map(\.source))
        var files: [ArchiveSource: FileState?] = [:]
        for source in sources {
            if let path = source.path { files.updateValue(FileState(path: path), forKey: source) }
        }
        var isChanged = false
        for loader in set.loaders {
            guard loader.source.path != nil else { continue }
            guard let now = files[loader.source] else {
                isChanged = true
                continue
            }
            switch loader.change(to: now) {
            case .none: break
            case .growth: attempt { try loader.load(warn: warn) }
            // The file of --write may be absent again.
            case .replacement: isChanged = true
            }
        }
        if !isChanged {
            // A new file is read when its beginning is there.
            for source in sources where !known.contains(source) && (files[source]??.size ?? 0) > 0 {
                attempt { try set.add(source, warn: warn) }
            }
        }
        return watch.isDue(isChanged ? files : nil, afterPolls: Self.maximumPolls)
    }

    private func attempt(_ body: () throws -> Void) {
        do { try body() } catch { warn("\(error); the part that was read is served") }
    }

    /// - Returns: the new set; nil if the old one stays.
    private func readAgain(_ old: RecordingSet) -> RecordingSet? {
        let set = RecordingSet(selection)
        do {
            try set.load(old, warn: warn)
        } catch {
            log.log(.error, "reload", "the recordings were not read again: \(error); the previous ones are served")
            return nil
        }
        let (requests, streams) = set.recordings.counts
        guard requests + streams > 0 || selection.mayBeEmpty else {
            log.log(
                .error, "reload",
                "the recordings were not read again: they contain no request and no stream now; the previous ones are served")
            return nil
        }
        served.replace(with: set.recordings)
        log.log(.notice, "reload", "the recordings were read again: \(requests) recorded requests and \(streams) TCP streams")
        return set
    }
}

/// Decides when a change is complete.
private struct FileWatch {
    /// The files of the last poll that found a change, and the number of polls since the first one.
    private var seen: [ArchiveSource: FileState?]?
    private var polls = 0
    /// Files that were read, perhaps without success.
    private var triedFiles: [ArchiveSource: FileState?]?

    /// - Parameter files: the files if they have changed since they were read; nil: they have not.
    /// - Returns: whether to read them now.
    mutating func isDue(_ files: [ArchiveSource: FileState?]?, afterPolls maximum: Int) -> Bool {
        guard let files, files != triedFiles else {
            (seen, polls) = (nil, 0)
            return false
        }
        defer { seen = files }
        polls += 1
        return files == seen || polls >= maximum
    }

    /// The files are being read.
    mutating func tried() { (triedFiles, polls) = (seen, 0) }
}
