// Flows in the order of a column. What is sorted are keys of 16 bytes; the flows wait in a temporary file, so that a pipe, a file of another
// program and a flow with parts in many blocks are sorted like every other. With a limit, only that number of flows is kept.

import FlowArchive
import FlowModel
import FlowTable
import NIOCore

/// A flow that was sorted, or the row that is printed of it.
package enum SortedFlow {
    case flow(Flow)
    case row(ByteBuffer)
}

/// Takes flows and returns them in an order. Used by one thread.
package final class FlowSorter {
    /// With more flows than this the keys are sorted on disk, and the first ones returned.
    private static let maximumKept = 100_000

    private let order: SortOrder
    private let limit: Int?
    private let cutoff: SortCutoff?
    private let redaction: RecordingRedaction?
    private let rows: TableRows?
    private var kept: KeptFlows
    private var keys: SortedKeys?
    private var first: FirstKeys?

    /// - Parameters:
    ///   - limit: the number of flows that are returned; nil is all.
    ///   - redaction: changes the flows before they are sorted and kept.
    ///   - rows: keeps rows instead of flows, which are smaller: without their contents.
    ///   - memory: bytes of keys that are sorted in memory; more are sorted in parts, which wait in a temporary file.
    /// - Throws: when a temporary file cannot be made.
    package init(
        _ order: SortOrder, limit: Int?, redaction: RecordingRedaction? = nil, rows: TableRows? = nil, memory: UInt64
    ) throws {
        self.order = order
        self.redaction = redaction
        self.rows = rows
        self.limit = limit
        kept = try KeptFlows()
        if let limit, limit <= Self.maximumKept {
            // A reader compares flows as they are stored, which redaction may put in another order.
            cutoff = redaction == nil ? SortCutoff() : nil
            first = FirstKeys(limit)
        } else {
            cutoff = nil
            keys = try SortedKeys(isDescending: order.isDescending, memory: memory)
        }
    }

    /// Lets through the flows that can still be among those that are returned. A reader evaluates it on its threads, so most flows are
    /// rejected in their place.
    package func predicate<Base: FlowPredicate>(_ base: Base) -> SortPredicate<Base> {
        SortPredicate(base: base, order: order, cutoff: cutoff)
    }

    /// - Throws: errors of the temporary file; damaged content of the flow.
    package func add(_ flow: Flow) throws {
        let key = order.key(of: flow)
        if first != nil {
            guard first!.admits(key) else { return }
            first!.insert(key, try keep(flow))
            if let last = first!.lastKey { cutoff?.note(last) }
        } else {
            try keys?.add(key, try keep(flow))
        }
    }

    private func keep(_ flow: Flow) throws -> UInt64 {
        guard let rows else { return try kept.add(flow) }
        var row = ByteBuffer()
        try rows.write(flow, into: &row)
        return try kept.add(row, isBeingRecorded: false)
    }

    /// Reads sources and returns their flows in order.
    /// - Parameters:
    ///   - observer: follows the reading.
    ///   - begin: called with each source that could be read.
    ///   - namedRules: receives the rules of redaction that the sources name.
    ///   - report: receives sentences about damage and sources that cannot be read.
    ///   - body: receives the flows.
    package func forEach(
        of sources: [ArchiveSource], where predicate: some FlowPredicate, jobs: Int, isQuiet: Bool, _ observer: ReadingObserver,
        begin: () throws -> Void, namedRules: @escaping ([String]) -> Void, report: (String) -> Void,
        _ body: (SortedFlow) throws -> Void
    ) throws -> ReadingResult {
        var sequence = ArchiveSequence(
            sources, where: self.predicate(predicate), jobs: jobs, skipsUnreadable: true, isQuiet: isQuiet)
        sequence.observer = observer
        sequence.redaction = redaction
        sequence.namedRules = namedRules
        var matched = 0
        try sequence.forEach(begin: { _, _ in try begin() }, damage: report) { flow in
            matched += 1
            try add(flow)
            return true
        }
        try forEach { flow in
            try body(flow)
            return true
        }
        return ReadingResult(sequence, matched: matched)
    }

    /// All flows were added: returns them in order.
    /// - Parameter body: returns false to stop.
    /// - Throws: errors of the temporary file, and of the body.
    package func forEach(_ body: (SortedFlow) throws -> Bool) throws {
        var left = limit ?? .max
        func give(_ reference: UInt64) throws -> Bool {
            guard left > 0 else { return false }
            left -= 1
            return try body(rows == nil ? .flow(try kept.flow(at: reference)) : .row(try kept.bytes(at: reference).bytes))
        }
        if let first {
            for reference in first.sorted { guard try give(reference) else { return } }
        } else {
            try keys?.forEach(give)
        }
    }
}

/// A predicate that also compares keys.
package struct SortPredicate<Base: FlowPredicate>: FlowPredicate {
    fileprivate let base: Base
    fileprivate let order: SortOrder
    fileprivate let cutoff: SortCutoff?

    package func matches(_ flow: some FlowAttributes) throws -> Bool {
        guard try base.matches(flow) else { return false }
        return cutoff?.admits(order.key(of: flow)) ?? true
    }

    package func mayMatch(_ block: some BlockSummary) -> Bool { base.mayMatch(block) }
    package func forBlock() -> SortPredicate { SortPredicate(base: base.forBlock(), order: order, cutoff: cutoff) }
}

/// The flows themselves, each a flow file of its own in a temporary file, or their rows.
private struct KeptFlows {
    /// Collects what a writer writes.
    private final class Bytes: ArchiveStorage {
        var bytes = ByteBuffer()

        func append(_ bytes: ScatteredBytes) throws(ArchiveError) -> Int {
            for part in bytes.buffers { self.bytes.writeImmutableBuffer(part) }
            return bytes.count
        }
        func sync() throws(ArchiveError) {}
        func close() throws(ArchiveError) {}
    }

    private var spool: Spool

    init() throws { spool = try Spool() }

    /// - Returns: where it is. Later flows have larger places.
    mutating func add(_ flow: Flow) throws -> UInt64 {
        let storage = Bytes()
        let writer = try ArchiveWriter(storage: storage, now: flow.started)
        try flow.forEachEvent { try writer.append($0) }
        try writer.flush()
        return try add(storage.bytes, isBeingRecorded: flow.isBeingRecorded)
    }

    /// - Returns: where the bytes are.
    mutating func add(_ bytes: ByteBuffer, isBeingRecorded: Bool) throws -> UInt64 {
        var head = ByteBuffer()
        head.writeInteger(UInt64(bytes.readableBytes))
        head.writeInteger(UInt8(isBeingRecorded ? 1 : 0))
        let place = try spool.append(head)
        _ = try spool.append(bytes)
        return place
    }

    func bytes(at place: UInt64) throws -> (bytes: ByteBuffer, isBeingRecorded: Bool) {
        var head = try spool.read(at: place, count: Self.head)
        guard let size: UInt64 = head.readInteger(), let isBeingRecorded: UInt8 = head.readInteger() else { throw Self.lost }
        return (try spool.read(at: place + UInt64(Self.head), count: Int(size)), isBeingRecorded != 0)
    }

    func flow(at place: UInt64) throws -> Flow {
        let (bytes, isBeingRecorded) = try bytes(at: place)
        let reader = ArchiveReader(ArchiveInput(bytes: bytes))
        while let item = try reader.next() {
            if case .flow(let flow) = item { return flow }
        }
        for item in try reader.finish() {
            guard case .flow(var flow) = item else { continue }
            flow.isBeingRecorded = isBeingRecorded
            return flow
        }
        throw Self.lost
    }

    /// The length of the bytes, and whether a recorder was still writing the flow.
    private static let head = 9
    private static let lost = ToolError("the temporary file for --sort was changed by another program; run the command again")
}
