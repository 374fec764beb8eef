// Loads one source of recordings into an index: flows of a file by place, others into memory. Notes what the file was, so that
// changes are noticed.

import FlowArchive
import FlowFilter
import FlowModel
import FlowReplay
import Glibc
import HTTPSemantics
import NIOCore
import Synchronization
import ToolSupport

/// What a regular file was at one time.
struct FileState: Hashable, Sendable {
    private let device: UInt64
    private let inode: UInt64
    private let seconds: Int
    private let nanoseconds: Int
    let size: Int64

    /// - Returns: nil if there is no such file, or it is something else, such as a pipe.
    init?(path: String) {
        var status = stat()
        guard unsafe FileName.withCString(path, { unsafe stat($0, &status) }) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return nil
        }
        (device, inode, size) = (UInt64(status.st_dev), UInt64(status.st_ino), Int64(status.st_size))
        (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
    }

    func isSameFile(as other: FileState) -> Bool { device == other.device && inode == other.inode }
}

/// Loads one source, and what is added to it later. Used by one thread.
final class RecordingLoader {
    enum Change {
        case none
        /// Flows were appended.
        case growth
        /// The content is another, or the file is gone.
        case replacement
    }

    /// Bytes at the beginning of a flow file that identify it: the header of its first segment, and of its first block.
    private static let beginningSize = 256

    let source: ArchiveSource
    private let recordings: Recordings
    private let filter: FlowFilter?
    /// The number of the source in the index.
    private var number: RecordingSource = 0
    /// nil for a file of another program: it is read once, into memory.
    private var reader: ArchiveReader?
    private var foreign: ForeignSource?
    /// nil: the file does not exist yet.
    private var collector: Collector?
    /// The first round adds flows that had not ended.
    private var isFirstRound = true
    /// The file as it was before it was read the last time; nil: not a regular file.
    private(set) var state: FileState?
    /// The first bytes of a flow file.
    private var beginning = ByteBuffer()
    /// Flows of a source that can be read only once; nil: it is a file.
    private var kept: [Flow]?
    /// The rules of redaction that the file has named.
    private var redactionRules: [String] = []
    /// Reading failed in the middle; what was read is served.
    private var hasFailed = false

    /// The loaders of all sources, which may have the beginnings of flows that continue in this one.
    private let others: () -> [RecordingLoader]

    /// - Parameter mayBeAbsent: the file may be created later.
    /// - Throws: if it cannot be read.
    init(
        _ source: ArchiveSource, into recordings: Recordings, filter: FlowFilter?, mayBeAbsent: Bool = false,
        others: @escaping () -> [RecordingLoader] = { [] }
    ) throws {
        self.source = source
        self.others = others
        self.recordings = recordings
        self.filter = filter
        if mayBeAbsent, !isThere { return }
        try open()
    }

    /// Adds the flows of a source that can be read only once to another index.
    private init(_ source: ArchiveSource, _ flows: [Flow], _ redactionRules: [String], into recordings: Recordings) {
        self.source = source
        self.recordings = recordings
        others = { [] }
        filter = nil
        kept = flows
        isFirstRound = false
        collector = Collector(recordings: recordings, source: nil, filter: nil)
        recordings.state.withLock { state in
            number = state.index.addSource(source.name)
            for flow in flows { state.index.add(flow, from: number) }
        }
        take(redactionRules)
    }

    /// - Returns: a loader for the same source and another index; nil if the source can be read again.
    func copy(into recordings: Recordings) -> RecordingLoader? {
        kept.map { RecordingLoader(source, $0, redactionRules, into: recordings) }
    }

    private var isThere: Bool {
        guard let path = source.path else { return true }
        return unsafe FileName.withCString(path) { unsafe access($0, F_OK) } == 0 || errno != ENOENT
    }

    private func open() throws {
        if let path = source.path { state = FileState(path: path) }
        if state == nil { kept = [] }
        switch try source.openAny() {
        case .archive(let input):
            var lookup: ArchiveLookup?
            if input.canBeReadAgain, source.path != nil {
                beginning = currentBeginning()
                lookup = try ArchiveLookup(source.input())
            }
            number = recordings.state.withLock { $0.index.addSource(source.name, lookup) }
            let collector = Collector(recordings: recordings, source: lookup == nil ? nil : number, filter: filter)
            let reader = ArchiveReader(input, where: collector)
            reader.predecessor = { [others] name in
                guard let before = others().first(where: { $0.reader?.segment == name }) else { return .unknown }
                // Its recorder sealed it before this file had a block.
                try before.load { _ in }
                return before.reader?.openFlows.map { .flows($0) } ?? .unknown
            }
            self.reader = reader
            self.collector = collector
        case .foreign(let opened):
            foreign = opened
            number = recordings.state.withLock { $0.index.addSource(source.name) }
            collector = Collector(recordings: recordings, source: nil, filter: filter)
        }
    }

    /// The source may grow: a flow file that does not exist yet, is empty, or was not closed by a recorder.
    var mayGrow: Bool { collector == nil || reader?.mayGrow == true }

    // MARK: Changes

    /// Compares the file with what it was when it was read. A pipe does not change.
    /// - Parameter now: the file.
    func change(to now: FileState?) -> Change {
        guard kept == nil, now != state else { return .none }
        guard let now else { return .replacement }
        guard collector != nil else { return .growth }
        guard reader != nil, !hasFailed, let state, state.size > 0, now.isSameFile(as: state), now.size > state.size,
            source.path != nil, currentBeginning().readableBytesView.starts(with: beginning.readableBytesView)
        else { return .replacement }
        return .growth
    }

    /// The first bytes of the file that has the name now.
    private func currentBeginning() -> ByteBuffer {
        guard let input = try? source.input(), let bytes = try? input.peekUpTo(Self.beginningSize) else { return ByteBuffer() }
        return ByteBuffer(bytes: bytes.readableBytesView.prefix(Self.beginningSize))
    }

    // MARK: Reading

    /// Reads everything that has been added.
    /// - Parameters:
    ///   - progress: shows how far the source is read.
    ///   - warn: receives each damage, in one sentence.
    /// - Throws: if it cannot be read any further.
    func load(_ progress: ReadingProgress? = nil, warn: (String) -> Void) throws {
        if collector == nil {
            guard isThere else { return }
            try open()
        }
        guard let collector, !hasFailed else { return }
        // Another file of this name is a replacement.
        if let path = source.path, let now = FileState(path: path), state?.isSameFile(as: now) == true { state = now }
        do {
            guard let reader else { return try loadForeign(collector, progress, warn) }
            if let progress {
                reader.beforeBlock = { [unowned reader, recordings] in
                    progress.update(offset: reader.offset, flows: recordings.flows)
                    return true
                }
            }
            defer { reader.beforeBlock = nil }
            defer { take(reader.redactionRules) }
            while let item = try reader.next() { try add(item, warn) }
            guard isFirstRound else { return }
            isFirstRound = false
            if reader.size == nil {
                for item in try reader.finish() { try add(item, warn) }
            } else {
                for flow in reader.unfinished where try collector.filter?.matches(flow) ?? true { try add(.flow(flow), warn) }
            }
        } catch {
            hasFailed = true
            throw error
        }
    }

    /// - Parameter named: all rules of redaction that the file has named.
    private func take(_ named: [String]) {
        guard named.count > redactionRules.count else { return }
        recordings.add(redactionRules: named, after: redactionRules.count, by: source.name)
        redactionRules = named
    }

    /// Ends reading: reports an incomplete block at the end of the file.
    func finish(warn: (String) -> Void) throws {
        guard let reader, reader.size != nil else { return }
        for case .damage(let damage) in try reader.finish() { warn("\(source.name): \(damage)") }
    }

    private func loadForeign(_ collector: Collector, _ progress: ReadingProgress?, _ warn: (String) -> Void) throws {
        guard var foreign else { return }
        self.foreign = nil
        if let progress {
            foreign.beforeFlow = { [recordings] offset in
                progress.update(offset: offset, flows: recordings.flows)
                return true
            }
        }
        _ = try foreign.forEach(where: collector, damage: warn) { flow in
            add(flow)
            return true
        }
    }

    private func add(_ item: ArchiveItem, _ warn: (String) -> Void) throws {
        switch item {
        case .stored(let stored): try add(.flow(stored.flow()), warn)
        case .damage(let damage): warn("\(source.name): \(damage)")
        case .flow(let flow): add(flow)
        case .record: break
        }
    }

    private func add(_ flow: Flow) {
        kept?.append(flow)
        recordings.state.withLock { $0.index.add(flow, from: number) }
    }
}

/// Notes the places of flows while the reader visits them, and selects those that must stay in memory.
private final class Collector: FlowPredicate {
    let recordings: Recordings
    /// nil: all flows stay in memory.
    let source: RecordingSource?
    let filter: FlowFilter?

    init(recordings: Recordings, source: RecordingSource?, filter: FlowFilter?) {
        self.recordings = recordings
        self.source = source
        self.filter = filter
    }

    func matches(_ flow: some FlowAttributes) throws -> Bool {
        if let filter, try !filter.matches(flow) { return false }
        guard let source, flow.kind == .http, let view = flow as? RecordView else { return true }
        recordings.state.withLock { $0.index.add(view, from: source) }
        return false
    }

    func mayMatch(_ group: some BlockSummary) -> Bool { filter?.mayMatch(group) ?? true }
}
