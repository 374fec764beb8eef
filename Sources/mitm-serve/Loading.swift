// Loads recordings into the index: flows of a file by place, others into memory.

import FlowArchive
import FlowFilter
import FlowModel
import FlowReplay
import Glibc
import HTTPSemantics
import NIOCore
import Synchronization
import ToolSupport

/// Loads one source, and what is added to it later. Used by one thread.
final class RecordingLoader {
    private let source: ArchiveSource
    private let recordings: Recordings
    private let filter: FlowFilter?
    /// nil for a file of another program: it is read once, into memory.
    private var reader: ArchiveReader?
    private var foreign: ForeignSource?
    /// nil: the file does not exist yet.
    private var collector: Collector?
    /// The first round adds flows that had not ended.
    private var isFirstRound = true

    /// - Parameter mayBeAbsent: the file may be created later.
    /// - Throws: if it cannot be read.
    init(_ source: ArchiveSource, into recordings: Recordings, filter: FlowFilter?, mayBeAbsent: Bool = false) throws {
        self.source = source
        self.recordings = recordings
        self.filter = filter
        if mayBeAbsent, !isThere { return }
        try open()
    }

    private var isThere: Bool {
        guard case .file(let path) = source else { return true }
        return unsafe access(path, F_OK) == 0 || errno != ENOENT
    }

    private func open() throws {
        switch try source.openAny() {
        case .archive(let input):
            var file: UInt16?
            if input.canBeReadAgain, case .file(let path) = source {
                let lookup = try ArchiveLookup(path: path)
                file = recordings.state.withLock { $0.index.addFile(lookup) }
            }
            let collector = Collector(recordings: recordings, file: file, filter: filter)
            reader = ArchiveReader(input, where: collector)
            self.collector = collector
        case .foreign(let opened):
            foreign = opened
            collector = Collector(recordings: recordings, file: nil, filter: filter)
        }
    }

    /// The source may grow: a flow file that does not exist yet, is empty, or was not closed by a recorder.
    var mayGrow: Bool { collector == nil || reader?.mayGrow == true }

    /// Reads everything that has been added.
    /// - Parameter warn: receives each damage, in one sentence.
    func load(warn: (String) -> Void) throws {
        if collector == nil {
            guard isThere else { return }
            try open()
        }
        guard let collector else { return }
        guard let reader else { return try loadForeign(collector, warn) }
        while let item = try reader.next() { try add(item, warn) }
        guard isFirstRound else { return }
        isFirstRound = false
        if reader.size == nil {
            for item in try reader.finish() { try add(item, warn) }
        } else {
            for flow in reader.unfinished where try collector.filter?.matches(flow) ?? true { try add(.flow(flow), warn) }
        }
    }

    /// Ends reading: reports an incomplete block at the end of the file.
    func finish(warn: (String) -> Void) throws {
        guard let reader, reader.size != nil else { return }
        for case .damage(let damage) in try reader.finish() { warn("\(source.name): \(damage)") }
    }

    private func loadForeign(_ collector: Collector, _ warn: (String) -> Void) throws {
        guard var foreign else { return }
        self.foreign = nil
        _ = try foreign.forEach(where: collector, damage: warn) { flow in
            recordings.state.withLock { $0.index.add(flow) }
            return true
        }
    }

    private func add(_ item: ArchiveItem, _ warn: (String) -> Void) throws {
        switch item {
        case .stored(let stored): try add(.flow(stored.flow()), warn)
        case .damage(let damage): warn("\(source.name): \(damage)")
        case .flow(let flow): recordings.state.withLock { $0.index.add(flow) }
        }
    }
}

/// Notes the places of flows while the reader visits them, and selects those that must stay in memory.
private final class Collector: FlowPredicate {
    let recordings: Recordings
    let file: UInt16?
    let filter: FlowFilter?

    init(recordings: Recordings, file: UInt16?, filter: FlowFilter?) {
        self.recordings = recordings
        self.file = file
        self.filter = filter
    }

    func matches(_ flow: some FlowAttributes) throws -> Bool {
        if let filter, try !filter.matches(flow) { return false }
        guard let file, flow.kind == .http, let view = flow as? RecordView else { return true }
        recordings.state.withLock { $0.index.add(view, from: file) }
        return false
    }

    func mayMatch(_ group: some BlockSummary) -> Bool { filter?.mayMatch(group) ?? true }
}
