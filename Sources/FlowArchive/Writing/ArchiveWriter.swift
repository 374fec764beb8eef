// Writes a recording: gathers what flows say until a block is full or it is time to flush, and appends the block. Taking events cannot
// fail; only passing blocks to the storage can, and what it did not take is kept and offered again.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

/// When written blocks are made to survive a loss of power.
package enum ArchiveSync: String, Sendable, CaseIterable {
    /// The system writes them when it likes; a crash of the recorder loses nothing all the same.
    case none
    /// With each flush.
    case interval
    /// With each block, and a block is written for each batch of records.
    case always
}

/// Flows that were open when their segment was sealed. They continue in the next one.
package struct OpenFlowRecords {
    /// The name of the segment.
    let segment: Timestamp
    /// The records that would follow those that were written, in the order of the flows.
    let records: [FlowRecord]
}

/// How a recording is laid out.
package struct ArchiveOptions: Sendable {
    /// The number of the segment's file in a recording of several files; nil: flows do not continue in another file.
    package var file: Int?
    /// Bytes of records, details and content, before compression, after which a block is written. At most 8 MiB.
    package var blockTarget = 512 * 1024
    package var compression = ArchiveCompression.fast
    package var sync = ArchiveSync.none
    /// The rules of redaction that the flows have passed, in canonical form; the file names them.
    package var redactionRules: [String] = []

    package init() {}
}

/// Writes one segment of a flow file. Owned by one thread.
///
/// Flows come as records, which are written as they are, or event by event, which fills records here. The events or records of one flow
/// all come in the same way.
package final class ArchiveWriter {
    /// Records that are kept for flows to come.
    private static let maximumSpare = 256

    private let storage: any ArchiveStorage
    private let options: ArchiveOptions
    private let block: BlockBuilder
    /// Flows that have begun and not ended: the record that is being filled with their events, or that would follow those that came.
    private var open: [FlowID: FlowRecord] = [:]
    /// The flow of the event before, since events of one flow often come in a row.
    private var current: FlowRecord?
    private var spare: [FlowRecord] = []
    /// What has come event by event and is in no block.
    private var pending: FlowRecordBuffer
    /// Flows that began in another file.
    private var continued: [FlowID] = []
    /// What the storage has still to take, and the records of the block that is being built.
    private var unwritten = UnwrittenBlocks()
    private var unwrittenRecords = UnwrittenRecords()
    /// A block was written since the last flush.
    private var hasUnflushedBlock = false
    /// The index and the footer are written, or wait to be: nothing can be added.
    package private(set) var hasEnded = false
    private var isClosed = false
    /// Rules of redaction that the segment has.
    private var rules: Set<String> = []

    /// The time of the oldest event that may not be in the file; nil when all are. The owner flushes when this is longer ago than the
    /// flush interval.
    package private(set) var unflushedSince: Timestamp?

    /// Begins a segment: appends its header.
    /// - Parameter storage: stands at the end of what it holds.
    package convenience init(
        storage: any ArchiveStorage, options: ArchiveOptions = ArchiveOptions(), now: Timestamp
    ) throws(ArchiveError) {
        self.init(beginning: storage, options: options, now: now)
        try drain()
    }

    /// Begins a segment. Its header is written with what is written first.
    package init(beginning storage: any ArchiveStorage, options: ArchiveOptions, now: Timestamp) {
        self.storage = storage
        self.options = options
        pending = FlowRecordBuffer(maximumOpenBytes: options.blockTarget)
        block = BlockBuilder(segment: now, compression: options.compression)
        var header = ByteBuffer()
        SegmentHeader(created: now).write(into: &header)
        block.begin(at: header.readableBytes)
        unwritten.add { $0.append(header) }
        addRedactionRules(options.redactionRules)
    }

    /// Flows that have begun and not ended.
    package var openFlows: Int { open.count }
    package var openFlowIDs: [FlowID] { Array(open.keys) }
    /// Those that began in another file.
    package var openFlowsOfEarlierFiles: [FlowID] {
        open.filter { $0.value.history.map { $0.firstFile != options.file } ?? false }.map(\.key)
    }

    /// Whether a flow has begun here and not ended.
    package func holds(_ flow: FlowID) -> Bool { open[flow] != nil }

    /// Flows from another file that this one shows.
    package var writtenContinuations: [FlowID] {
        let records = notTaken
        return continued.filter { !records.hasContinuation(of: $0) }
    }

    /// The number of the first file that has a part of a flow which is open; nil without any.
    package var firstFileOfOpenFlows: Int? { open.values.compactMap { $0.history?.firstFile }.min() }

    /// No flow has been recorded.
    package private(set) var isEmpty = true

    /// Bytes of the segment with its end, without the block that is not full yet.
    package var length: UInt64 { block.segmentLength + UInt64(block.endLength) }

    /// Records that are in no block which the storage has taken.
    package var notTaken: UnwrittenRecords {
        var records = unwritten.records
        records.formUnion(unwrittenRecords)
        return records
    }

    /// Names rules of redaction in the segment, each once: those of a file from which flows are copied.
    package func addRedactionRules(_ texts: [String]) {
        precondition(!hasEnded, "nothing is recorded after the end")
        let added = texts.filter { rules.insert($0).inserted }
        if !added.isEmpty { block.writeRules(added) }
    }

    /// Takes one event; a full block is written. The event is taken whatever is thrown: what the storage refused is offered again with the
    /// next call, so nothing is lost as long as the owner continues.
    package func append(_ event: FlowEvent) throws(ArchiveError) {
        take(event)
        if !unwritten.bytes.isEmpty { try drain() }
    }

    /// Takes many events, all of them, whatever is thrown.
    package func append(contentsOf events: [FlowEvent]) throws(ArchiveError) {
        try appendAll(events) { take($0) }
    }

    /// Takes records, all of them, whatever is thrown. The first record of a flow begins it; records of a flow that is not open are
    /// ignored.
    package func append(_ records: [FlowRecord]) throws(ArchiveError) {
        try appendAll(records) { take($0) }
    }

    private func appendAll<T>(_ all: [T], _ take: (T) -> Void) throws(ArchiveError) {
        var failure: ArchiveError?
        for one in all {
            take(one)
            guard !unwritten.bytes.isEmpty, failure == nil else { continue }
            do throws(ArchiveError) { try drain() } catch { failure = error }
        }
        if let failure { throw failure }
        if options.sync == .always { try flush() }
    }

    /// Copies a flow from the block in which it is stored. Without all of its content it is written as an incomplete flow.
    /// - Throws: what fetching details and content throws; as ``append(_:)`` what the storage throws.
    package func append(_ flow: StoredFlow) throws {
        precondition(!hasEnded, "nothing is recorded after the end")
        guard let content = try flow.content() else {
            return try flow.flow().forEachEvent { try append($0) }
        }
        if unflushedSince == nil { unflushedSince = flow.started }
        isEmpty = false
        block.write(flow, content: content)
        unwrittenRecords.countWholeFlow()
        if block.size >= options.blockTarget { cut() }
        if !unwritten.bytes.isEmpty { try drain() }
    }

    /// Forgets an open flow: readers will not see it. Events and records of it that still come are ignored, as are those of any flow that
    /// is not open.
    package func discard(_ flow: FlowID) {
        guard let record = open[flow] else { return }
        if record.number > 0 {
            block.writeTombstone(flow)
            unwrittenRecords.countTombstone(of: flow)
        }
        pending.discard(record)
        release(flow)
    }

    /// Ends open flows in the same way: events and records of them that still come are ignored. Nothing is written yet.
    package func end(_ flows: [FlowID], _ ending: FlowEnding, at: Timestamp) {
        for flow in flows { take(FlowEvent(flow: flow, at: at, what: .ended(ending))) }
    }

    /// Gives up the flows that are open, for the writer of the next file. This one ignores further records of them.
    package func handOver() -> OpenFlowRecords {
        writePending()
        defer { open = [:] }
        current = nil
        return OpenFlowRecords(segment: block.segment, records: open.values.sorted { $0.id < $1.id })
    }

    /// Continues flows from the segment before. Called before anything else is written.
    package func continueFlows(_ flows: OpenFlowRecords, at: Timestamp) {
        guard !flows.records.isEmpty else { return }
        block.writeContinuation(of: flows.segment)
        note(at)
        for record in flows.records {
            guard let history = record.history else { continue }
            open[record.id] = record
            continued.append(record.id)
            unwrittenRecords.countContinuation(of: record.id)
            write(FlowRecord(continuing: record, history, at: at))
        }
    }

    /// Writes everything that came, also of flows that are open.
    package func flush() throws(ArchiveError) {
        guard !isClosed else { return }
        writePending()
        cut()
        unflushedSince = nil
        if hasUnflushedBlock {
            hasUnflushedBlock = false
            let missing = storage.missing(after: unwritten.bytes.count)
            unwritten.add { block.writePadding(missing, into: &$0) }
        }
        try drain()
        try storage.flush()
        unwritten.removeFirst(0, kept: storage.keptBytes)
        if options.sync != .none { try storage.sync() }
    }

    /// Writes what is left, the index and the footer, and closes the storage. Flows that are open stay incomplete. After an error it may be
    /// called again.
    package func close() throws(ArchiveError) {
        guard !isClosed else { return }
        if !hasEnded {
            writePending()
            cut()
            unwritten.add { block.writeEnd(into: &$0) }
            hasEnded = true
            unflushedSince = nil
        }
        try drain()
        if options.sync != .none { try storage.sync() }
        try storage.close()
        isClosed = true
        unwritten.removeFirst(0, kept: 0)
    }

    /// Gives up what the storage did not take: the file ends with its last whole block. Called after ``close()`` has failed, as the last.
    package func giveUp() {
        storage.removeLast(unwritten.begun)
    }

    // MARK: Events

    private func take(_ event: FlowEvent) {
        precondition(!hasEnded, "nothing is recorded after the end")
        guard let record = record(of: event) else { return }
        note(event.at)
        pending.add(event.what, to: record, at: event.at)
        if !pending.finished.isEmpty { writeFinished() }
    }

    /// The record of the flow that an event belongs to; nil when it is not open.
    private func record(of event: FlowEvent) -> FlowRecord? {
        if let current, current.id == event.flow { return current }
        if let known = open[event.flow] {
            current = known
            return known
        }
        guard case .opened = event.what else { return nil }
        let record = spare.popLast() ?? FlowRecord(event.flow)
        record.reuse(for: event.flow)
        open[event.flow] = record
        current = record
        return record
    }

    private func writeFinished() {
        for record in pending.take() {
            write(record)
            guard record.hasEnded else { continue }
            release(record.id)
            if spare.count < Self.maximumSpare { spare.append(record) }
        }
    }

    private func release(_ flow: FlowID) {
        open[flow] = nil
        if current?.id == flow { current = nil }
    }

    // MARK: Records

    private func take(_ record: FlowRecord) {
        precondition(!hasEnded, "nothing is recorded after the end")
        if !record.isFirst {
            guard let known = open[record.id] else { return }
            if !record.hasEnded { known.history?.add(record) }
            open[record.id] = record.hasEnded ? nil : FlowRecord(following: record, history: known.history)
        } else if !record.hasEnded {
            open[record.id] = FlowRecord(following: record, history: options.file.map { FlowHistory(record, firstFile: $0) })
        }
        note(record.started)
        write(record)
    }

    private func note(_ time: Timestamp) {
        if unflushedSince.map({ time < $0 }) ?? true { unflushedSince = time }
    }

    // MARK: Blocks

    private func write(_ record: FlowRecord) {
        isEmpty = false
        block.write(record)
        unwrittenRecords.count(record)
        if block.size >= options.blockTarget { cut() }
    }

    /// Puts what has come of open flows event by event into blocks.
    private func writePending() {
        pending.finishOpen()
        writeFinished()
    }

    /// Ends the block and begins the next.
    private func cut() {
        guard !block.isEmpty else { return }
        unwritten.add(unwrittenRecords) { block.end(into: &$0) }
        unwrittenRecords = UnwrittenRecords()
        hasUnflushedBlock = true
        if block.isIndexDue { unwritten.add { block.writeIndex(into: &$0) } }
        // A flush also syncs, and fills the chunk of an encrypted file: that stays due.
        let isFlushed = options.sync == .none && storage.missing(after: unwritten.bytes.count) == 0
        if !pending.hasOpen, isFlushed { unflushedSince = nil }
    }

    /// Passes on what is to be written.
    private func drain() throws(ArchiveError) {
        while !unwritten.bytes.isEmpty {
            let taken = try storage.append(unwritten.bytes)
            precondition(taken > 0 && taken <= unwritten.bytes.count, "a storage takes something or throws")
            unwritten.removeFirst(taken, kept: storage.keptBytes)
        }
        if options.sync == .always { try storage.sync() }
    }
}
