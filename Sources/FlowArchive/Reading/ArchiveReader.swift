// Reads a recording, from a file or a pipe, front to back: flows in the order in which they end, and damage.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

/// What a reader returns.
package enum ArchiveItem {
    case flow(Flow)
    /// Only with ``FlowDelivery/stored``.
    case stored(StoredFlow)
    /// Only with ``FlowDelivery/records``. Valid until the next call.
    case record(RecordView)
    case damage(ArchiveDamage)
}

/// In which form a reader returns flows that are whole in their block. Other flows are always made.
package enum FlowDelivery: Sendable {
    /// As ``ArchiveItem/flow(_:)``.
    case flows
    /// As ``ArchiveItem/stored(_:)``, for a writer that copies them.
    case stored
    /// As ``ArchiveItem/record(_:)``, for a user of attributes. Damage in their content is found only when it is fetched.
    case records
    /// Not at all: they are counted in ``ArchiveReader/counted``. Damage in their heads and content is found only when the predicate reads
    /// those.
    case counted
}

/// Reads one input. Used by one thread; the flows that it returns may be used by others.
package final class ArchiveReader {
    /// Blocks that are searched ahead of the reader, for each job.
    private static let blocksAhead = 4

    private var fetcher: BlockFetcher
    private let query: BlockQuery
    private let jobs: Int
    private let delivery: FlowDelivery
    /// The next blocks, with their searches.
    private var ahead: [(item: FetchedItem, search: BlockSearch?)] = []
    private var block: BlockPosition?
    private var connections = SegmentConnections()
    private var open: [FlowID: PartialFlow] = [:]
    /// The name of the segment that is being read.
    package private(set) var segment: Timestamp?
    /// Flows that were open at the end of the segment before, until the first block of this one is there.
    private var held: OpenFlows?
    /// A block that continues a segment which is not yet read.
    private var postponed: (fetched: FetchedBlock, found: FoundRecords)?
    private var isFirstBlock = false
    /// Flows of this range are returned; nil: all.
    private let range: ArchiveRange?
    /// What is being read lies in the range.
    private var isInside = true
    /// Called with the name of a segment from which the input continues flows, and which is not in the input itself.
    package var predecessor: ((Timestamp) throws -> Predecessor)?
    /// Of a reader of a range with the end of its file, called with the name of the last segment when flows are open there: whether another
    /// file continues them, whose reader returns them.
    package var isContinued: ((Timestamp) -> Bool)?
    private var waiting: [ArchiveItem] = []
    /// Offsets of blocks whose damage was reported.
    private var reported: Set<UInt64> = []
    /// Blocks of the flow that was returned last, when it has parts in several: damage in them is reported at the end of the input, with
    /// the number of flows that it concerns by then.
    private var returned: [BlockSource] = []
    private var foundLater: [ArchiveDamage] = []
    /// The rules of redaction that the segments name so far, each once. Those of a segment are at its head; a copy of several files may
    /// name more later.
    package private(set) var redactionRules: [String] = []
    /// Flows that ``FlowDelivery/counted`` did not return.
    package private(set) var counted = 0
    /// Blocks that were decompressed, and those that were skipped because no flow of them can match.
    package var blocksRead: UInt64 { fetcher.blocksRead }
    package var blocksSkipped: UInt64 { fetcher.blocksSkipped }
    package let meter: ReadingMeter
    /// Called before each block; returns false to end the reading there.
    package var beforeBlock: (() -> Bool)?
    /// ``beforeBlock`` has ended the reading.
    package private(set) var isStopped = false

    /// - Parameter predicate: selects the flows that are returned.
    /// - Throws: why the file cannot be opened.
    package convenience init(path: String, where predicate: some FlowPredicate = EveryFlow()) throws(ArchiveError) {
        self.init(try ArchiveInput(path: path), where: predicate)
    }

    /// Reads from a descriptor once, front to back; it stays open. Content of flows with parts in several blocks is kept in a temporary
    /// file without a name.
    package convenience init(descriptor: Int32, name: String, where predicate: some FlowPredicate = EveryFlow()) {
        self.init(ArchiveInput(descriptor: descriptor, name: name), where: predicate)
    }

    /// - Parameters:
    ///   - input: an input at its beginning.
    ///   - predicate: selects the flows that are returned. Blocks that cannot contain one are skipped, and flows that are whole in their
    ///     block are evaluated in place.
    ///   - jobs: threads that search blocks; with 1 it is the calling one.
    ///   - range: of a file that ``ArchiveInput/checkRanges()`` accepts: only its flows are returned. nil is everything.
    ///   - meter: receives what reading costs.
    package init(
        _ input: ArchiveInput, where predicate: some FlowPredicate = EveryFlow(), jobs: Int = 1, delivery: FlowDelivery = .flows,
        range: ArchiveRange? = nil, meter: ReadingMeter = ReadingMeter()
    ) {
        fetcher = BlockFetcher(input, meter, range: range)
        self.range = range
        self.meter = meter
        query = BlockQuery(predicate, countsWhole: delivery == .counted, meter)
        self.jobs = jobs
        self.delivery = delivery
    }

    private var input: ArchiveInput { fetcher.input }

    /// Called before the reader waits for a pipe.
    package var beforeWaiting: (() -> Void)? {
        get { input.beforeWaiting }
        set { input.beforeWaiting = newValue }
    }

    /// Bytes that were read or skipped so far, and the size of the input; nil for a pipe.
    package var offset: UInt64 { input.offset }
    package var size: UInt64? { input.file == nil ? nil : (try? input.remaining()).map { $0 + input.offset } }

    /// Bytes of the file in which what was read so far is stored.
    package var storedOffset: UInt64 { input.storedOffset }

    /// Everything was read, and more may follow: the file has no block yet, or no recorder has closed it. Or it was not, and a recorder
    /// writes it: a block was added since it was read, or has reached the file in part.
    package var mayGrow: Bool {
        // A block may have reached an encrypted file in part.
        if let hasEnd = input.hasEnd { return !hasEnd }
        guard let size else { return false }
        if size > offset { return input.file?.isBeingWritten == true }
        if blocksRead + blocksSkipped == 0 { return true }
        return (try? ArchiveIndex.footer(endingAt: size, in: input)) ?? nil == nil
    }

    /// The next flow that matches, or damage.
    /// - Returns: nil at the end; a file that grows may be read again later.
    /// - Throws: an ``ArchiveError`` when reading cannot continue; what the predicate throws, except for damaged content, which is
    ///   returned as damage.
    package func next() throws -> ArchiveItem? {
        noteReturned()
        while true {
            if !waiting.isEmpty { return waiting.removeFirst() }
            if let block {
                if let item = try next(in: block) { return item }
                endBlock()
                continue
            }
            if let (fetched, found) = postponed {
                postponed = nil
                guard try begin(fetched, found) else { return nil }
                continue
            }
            guard let (item, search) = try nextBlock() else {
                reportLater()
                waiting += input.takeDamage().map { .damage($0) }
                if waiting.isEmpty { return nil }
                continue
            }
            switch item {
            case .segment(let name, let offset):
                enter(offset)
                try beginSegment(name)
            case .block(let fetched):
                enter(fetched.offset)
                guard try begin(fetched, search?.wait()) else { return nil }
            case .damage(let damage): if isInside(damage.offset) { waiting.append(.damage(damage)) }
            }
        }
    }

    /// The input has ended: returns the rest of it, and the flows that have no end.
    /// - Parameter keepsOpen: flows that may continue in another input are not returned but stay for ``takeOpenFlows()``.
    package func finish(keepsOpen: Bool = false) throws -> [ArchiveItem] {
        var items: [ArchiveItem] = []
        while let item = try next() { items.append(item) }
        guard !isStopped else { return items }
        while try !fetcher.isPastRange && fetcher.giveUpIncomplete() {
            while let item = try next() { items.append(item) }
        }
        guard !fetcher.isPastRange else { return items }
        if let damage = fetcher.endDamage(), isInside(damage.offset) { items.append(.damage(damage)) }
        if let damage = try input.endDamage() { items.append(.damage(damage)) }
        if let range { isInside = range.hasEnd(of: input.offset) }
        try endHeld()
        let start = waiting.count
        if isInside, !open.isEmpty, let segment, isContinued?(segment) == true { open = [:] }
        if !keepsOpen {
            let isLive = isLive
            try endOpenFlows()
            if isLive { markOpen(from: start) }
        }
        defer { waiting.removeAll() }
        return items + waiting
    }

    /// The flows that are open at the end of what was read.
    package var openFlows: OpenFlows? { segment.flatMap { OpenFlows(open, in: $0, isLive: isLive) } }

    /// Takes the flows that are open at the end of the input, of which nothing more is read.
    package func takeOpenFlows() -> OpenFlows? {
        guard let flows = openFlows else { return nil }
        open = [:]
        input.file?.park()
        return flows
    }

    /// Open flows as far as they are recorded, in the order of their starts. Each is returned again when it ends.
    package var unfinished: [Flow] {
        openFlows?.unfinished ?? []
    }

    /// A recorder is still writing flows that are open.
    private var isLive: Bool { !open.isEmpty && input.file?.isBeingWritten == true }

    /// Open flows that received pieces since the last call, each with only its new pieces, in the order of their starts.
    package func takeNewPieces() -> [Flow] {
        var found: [(order: (Timestamp, FlowID), flow: Flow)] = []
        for id in open.keys {
            if let flow = open[id]?.takeNewPieces() { found.append(((flow.started, id), flow)) }
        }
        return found.sorted { $0.order < $1.order }.map(\.flow)
    }

    // MARK: Ranges

    private func isInside(_ offset: UInt64) -> Bool { range?.contains(offset) ?? true }

    /// What follows begins at this offset.
    private func enter(_ offset: UInt64) { isInside = isInside(offset) }

    // MARK: Blocks

    /// The block that is being read, and the position in it. A class, so that nothing is copied for each record.
    private final class BlockPosition {
        let block: DecodedBlock
        let found: FoundRecords
        var view: RecordView
        var index = 0

        init(_ block: DecodedBlock, _ found: FoundRecords) {
            self.block = block
            self.found = found
            view = RecordView(block)
        }
    }

    private func nextBlock() throws(ArchiveError) -> (item: FetchedItem, search: BlockSearch?)? {
        if !isStopped, let beforeBlock, !beforeBlock() {
            isStopped = true
            ahead = []
        }
        guard !isStopped else { return nil }
        let limit = jobs > 1 ? jobs * Self.blocksAhead : 1
        // Found flows are not held back while a pipe is waited for.
        while ahead.count < limit, ahead.isEmpty || !input.wouldWait, let item = try fetch() {
            var search: BlockSearch?
            if case .block(let fetched) = item { search = BlockSearch(fetched, query, isConcurrent: jobs > 1) }
            ahead.append((item, search))
        }
        return ahead.isEmpty ? nil : ahead.removeFirst()
    }

    private func fetch() throws(ArchiveError) -> FetchedItem? {
        guard meter.isTimed else { return try fetcher.next(query.mayMatch) }
        let (begin, planned) = (meter.now, meter.statistics.planning)
        let item = try fetcher.next(query.mayMatch)
        meter.add { $0.reading += meter.now - begin - ($0.planning - planned) }
        return item
    }

    /// - Parameter found: nil when the records are damaged.
    /// - Returns: false when the block has to wait for another input.
    private func begin(_ fetched: FetchedBlock, _ found: FoundRecords?) throws -> Bool {
        if isFirstBlock {
            guard try continueFlows(from: found?.predecessor) else {
                postponed = found.map { (fetched, $0) }
                return false
            }
            isFirstBlock = false
        }
        guard let found else {
            if isInside { waiting.append(.damage(ArchiveDamage(block: fetched.header, offset: fetched.offset))) }
            return true
        }
        counted += found.counted
        let block = DecodedBlock(fetched, records: found.records, connections: connections)
        self.block = BlockPosition(block, found)
        return true
    }

    private func endBlock() {
        report(block?.block.source.foundDamage)
        if let block, block.block.header.holdsParts { block.block.source.forgetDetails() }
        block = nil
    }

    // MARK: Damage

    /// Damage in flows that were returned, when no more flows are wanted.
    package func takeFoundDamage() -> [ArchiveDamage] {
        noteReturned()
        report(block?.block.source.foundDamage)
        reportLater()
        waiting += input.takeDamage().map { .damage($0) }
        defer { waiting.removeAll() }
        return waiting.compactMap { if case .damage(let damage) = $0 { damage } else { nil } }
    }

    private func noteReturned() {
        for source in returned {
            guard let found = source.foundDamage, source !== block?.block.source else { continue }
            foundLater.removeAll { $0.offset == found.offset }
            foundLater.append(found)
        }
        // Flows that wait are returned one by one.
        if waiting.isEmpty { returned = [] }
    }

    private func reportLater() {
        foundLater.forEach { report($0) }
        foundLater = []
    }

    /// Reports the damage of a block once.
    private func report(_ damage: ArchiveDamage?) {
        // What lies before the range is reported by the reader of that.
        guard let damage, isInside || isInside(damage.offset), reported.insert(damage.offset).inserted else { return }
        waiting.append(.damage(damage))
    }

    /// Runs a step that may find damaged content. A block reports its damaged content at its end, with the number of flows.
    private func reportingDamage<Result>(_ step: () throws -> Result?) throws -> Result? {
        do { return try step() } catch let error as ArchiveError where error.kind == .damagedContent {
            if error.damagedPiece == nil { report(error.damage) }
            return nil
        }
    }

    // MARK: Records

    /// The next item of the block; nil at its end.
    private func next(in position: BlockPosition) throws -> ArchiveItem? {
        do {
            while position.index < position.found.entries.count {
                let entry = position.found.entries[position.index]
                position.index += 1
                if let item = try reportingDamage({ try read(entry, position) }) { return item }
            }
            if let failure = position.found.failure { throw failure }
        } catch is MalformedRecord {
            var damage = ArchiveDamage(.record, offset: position.block.offset, length: 0)
            damage.block = position.block.header.sequence
            if isInside { waiting.append(.damage(damage)) }
        }
        return nil
    }

    private func read(_ entry: RecordWalk.Entry, _ position: BlockPosition) throws -> ArchiveItem? {
        let block = position.block
        switch entry.type {
        case RecordType.certificate:
            try connections.addCertificate(block.content(entry))
        case RecordType.continuation:
            break
        case RecordType.redactionRules:
            for rule in try RedactionRulesRecord.rules(block.content(entry))
            where redactionRules.count < RedactionRulesRecord.maximum && !redactionRules.contains(rule) {
                redactionRules.append(rule)
            }
        case RecordType.tombstone:
            var reader = RecordReader(block.content(entry))
            let high = try reader.number(UInt64.self)
            open[FlowID(high: high, low: try reader.number())] = nil
        default:
            guard position.view.move(to: entry) else { throw MalformedRecord() }
            let view = position.view
            let isDecided = !block.header.holdsParts && !entry.isUndecided
            return view.isWhole ? try whole(view, block, isDecided: isDecided) : try part(view, block).map { .flow($0) }
        }
        return nil
    }

    /// - Parameter isDecided: the search found that it matches.
    private func whole(_ view: RecordView, _ block: DecodedBlock, isDecided: Bool) throws -> ArchiveItem? {
        if !isDecided, try !query.matchesRecord(view) { return nil }
        switch delivery {
        case .flows: return .flow(try PartialFlow.whole(view, block))
        case .stored:
            if let stored = try StoredFlow(view, block) { return .stored(stored) }
            return .flow(try PartialFlow.whole(view, block))
        case .records: return .record(view)
        case .counted:
            counted += 1
            return nil
        }
    }

    /// Adds a part to its flow.
    /// - Returns: the flow, when this is its last part and it matches.
    private func part(_ view: RecordView, _ block: DecodedBlock) throws -> Flow? {
        let id = view.id
        // Removed while a part is added, so that its arrays are changed in place: a long flow has a hundred thousand parts.
        let known = open.removeValue(forKey: id)
        let continues = known != nil && !view.isFirst
        if let known, !continues { try end(known) }
        var flow = continues ? known ?? PartialFlow(view, block) : PartialFlow(view, block)
        do {
            try flow.receive(view, block, isWhole: false)
        } catch {
            if continues { open[id] = flow }
            throw error
        }
        guard view.isLast else {
            open[id] = flow
            return nil
        }
        guard isInside else { return nil }
        let whole = flow.flow
        returned = flow.sources
        return try query.matches(whole) ? whole : nil
    }

    // MARK: Flows without an end

    /// A recorder is still writing the flows that wait from an index on.
    private func markOpen(from start: Int) {
        for index in start..<waiting.count {
            guard case .flow(var flow) = waiting[index] else { continue }
            flow.isBeingRecorded = true
            waiting[index] = .flow(flow)
        }
    }

    private func beginSegment(_ name: Timestamp) throws {
        try endHeld()
        held = segment.flatMap { OpenFlows(open, in: $0, isLive: false) }
        open = [:]
        segment = name
        isFirstBlock = true
        connections = SegmentConnections()
    }

    /// Takes over the flows of the segment before, or ends them.
    /// - Parameter name: the segment that the first block names.
    /// - Returns: false when they are not known yet.
    private func continueFlows(from name: Timestamp?) throws -> Bool {
        if let name {
            if let held, held.segment == name {
                open = held.flows
                self.held = nil
            } else if let predecessor {
                switch try predecessor(name) {
                case .flows(let flows): open = flows.flows
                case .unknown: break
                case .notYetRead: return false
                }
            }
        }
        try endHeld()
        return true
    }

    private func endHeld() throws {
        guard let held else { return }
        self.held = nil
        for flow in held.sorted { try end(flow) }
    }

    private func endOpenFlows() throws {
        for flow in open.values.sorted(by: { $0.order < $1.order }) { try end(flow) }
        open.removeAll()
    }

    /// No more parts of the flow follow.
    private func end(_ flow: PartialFlow) throws {
        guard isInside else { return }
        returned += flow.sources
        let flow = flow.flow
        if let found = try reportingDamage({ try query.matches(flow) ? flow : nil }) { waiting.append(.flow(found)) }
    }
}
