// Reads a flow file into the index, and what is appended to it later.

import FlowArchive
import FlowModel
import HTTPSemantics
import NIOCore

/// A flow file that is indexed. Used by one thread.
package final class IndexedFile {
    package let path: String
    private let index: FlowIndex
    private let source: Int
    private let lookup: ArchiveLookup
    private let reader: ArchiveReader
    private let continued: ContinuedFlows
    /// What was known of each flow that has not ended when it was added last.
    private var open: [FlowID: Progress] = [:]
    private var hasFailed = false
    /// It was read to its end, and no more follows.
    private(set) var isFinished = false

    /// - Parameters:
    ///   - keys: decrypt the file.
    ///   - continued: flows that are open at the ends of other files of the recording.
    /// - Throws: why the file cannot be opened.
    package init(
        path: String, keys: ArchiveKeys = ArchiveKeys(), continued: ContinuedFlows = ContinuedFlows(), into index: FlowIndex
    ) throws(ArchiveError) {
        self.path = path
        self.index = index
        self.continued = continued
        lookup = try ArchiveLookup(try ArchiveInput(path: path, keys: keys))
        source = index.addSource(path, lookup)
        reader = ArchiveReader(try lookup.input(), where: IndexingPredicate(index, source))
        reader.predecessor = { [continued] in continued.take($0) }
    }

    /// Reads what is there.
    /// - Parameters:
    ///   - follows: more may follow later; otherwise flows without an end are added as they are.
    ///   - shouldStop: asked before each block.
    package func load(follows: Bool, shouldStop: @escaping () -> Bool = { false }) {
        guard !hasFailed else { return }
        if let size = lookup.size, size < reader.offset {
            // Flows are at other places now, if they are there at all.
            hasFailed = true
            index.update(source) { $0.failure = "\(path) became shorter while it was shown; start the view again" }
        }
        guard !hasFailed, !isFinished else { return }
        reader.beforeBlock = { [unowned self] in
            note()
            return !shouldStop()
        }
        do {
            while let item = try reader.next() { take(item) }
            guard !reader.isStopped else { return }
            let mayGrow = reader.mayGrow
            if follows, mayGrow {
                addOpen()
            } else {
                for item in try reader.finish(keepsOpen: true) { take(item) }
                if let open = reader.takeOpenFlows() {
                    // They may continue in the next file, whose reader replaces them.
                    for flow in open.unfinished { index.add(flow, isOpen: true) }
                    continued.keep(open)
                }
                isFinished = true
            }
        } catch {
            hasFailed = true
            index.update(source) { $0.failure = "\(error)" }
        }
        note()
    }

    /// How far an open flow is recorded.
    private struct Progress: Equatable {
        let pieces: Int
        let heads: Int
        let ends: Int

        init(_ flow: Flow) {
            pieces = flow.pieces.count
            heads = flow.interims.count + (flow.request == nil ? 0 : 1) + (flow.response == nil ? 0 : 1)
            ends = (flow.request?.ended == nil ? 0 : 1) + (flow.response?.ended == nil ? 0 : 1)
        }
    }

    /// Adds the flows that have not ended, if they are new or have changed.
    private func addOpen() {
        let before = open
        open = [:]
        for flow in reader.unfinished {
            let progress = Progress(flow)
            open[flow.id] = progress
            if before[flow.id] != progress { index.add(flow, isOpen: true) }
        }
    }

    private func note() {
        let (offset, size, mayGrow, isFinished) = (reader.offset, reader.size, reader.mayGrow, isFinished)
        index.update(source) { status in
            (status.offset, status.size) = (offset, size)
            status.isGrowing = mayGrow && !isFinished
            status.isSealed = size == offset && !mayGrow
        }
    }

    private func take(_ item: ArchiveItem) {
        switch item {
        case .flow(let flow): index.add(flow, isOpen: false)
        case .stored(let stored): if let flow = try? stored.flow() { index.add(flow, isOpen: false) }
        case .damage(let damage): index.update(source) { $0.note(damage: damage, in: path) }
        case .record: break
        }
    }
}

/// Flows that are open at the end of a file, for the reader of the next one. Used by one thread.
package final class ContinuedFlows {
    private var kept: [OpenFlows] = []

    package init() {}

    func keep(_ flows: OpenFlows) { kept.append(flows) }

    func take(_ segment: Timestamp) -> Predecessor {
        guard let index = kept.firstIndex(where: { $0.segment == segment }) else { return .unknown }
        return .flows(kept.remove(at: index))
    }
}

/// Adds flows that are whole in their blocks to the index, where they are. The others are made by the reader.
private struct IndexingPredicate: FlowPredicate {
    private let index: FlowIndex
    private let source: Int

    init(_ index: FlowIndex, _ source: Int) {
        self.index = index
        self.source = source
    }

    func matches(_ flow: some FlowAttributes) -> Bool {
        guard let view = flow as? RecordView, let place = view.flowPlace else { return true }
        index.state.withLock { $0.add(view, place, from: source) }
        return false
    }
}
