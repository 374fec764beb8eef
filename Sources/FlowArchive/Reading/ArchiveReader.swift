// Reads a recording, from a file or a pipe, front to back: flows in the order in which they end, and what could not be read.

import FlowModel
import HTTPSemantics
import NIOCore

/// What a reader comes to.
package enum ArchiveItem: Sendable {
    case flow(Flow)
    case damage(ArchiveDamage)
}

/// Reads one input. Used by one thread; the flows it gives may go elsewhere.
package final class ArchiveReader {
    /// Blocks that are looked through ahead of their turn, for each thread.
    private static let blocksAhead = 4

    private var fetcher: BlockFetcher
    private let jobs: Int
    /// What comes next, with the searches that have begun.
    private var ahead: [(item: FetchedItem, scan: BlockScan?)] = []
    private var block: DecodedBlock?
    private var view: RecordView?
    /// Of the block at hand: where the records stand that were let through; nil when they are still to be asked.
    private var found: ArraySlice<Int>?
    private var certificates = CertificateTable()
    private var open: [FlowID: OpenFlow] = [:]
    private var waiting: [ArchiveItem] = []
    /// Offsets of blocks of which it was told that something in them is damaged.
    private var told: Set<UInt64> = []
    /// Blocks of the flow that was returned last, when it has parts in several: damage found in them is reported at the end of what
    /// there is, with how many flows that concerns by then.
    private var returned: [BlockSource] = []
    private var foundLater: [ArchiveDamage] = []
    /// Flows that are whole in their block are counted when the predicate lets them through, and not made. What is damaged in their heads
    /// and content is not seen then, unless the predicate asks for it.
    package var countsOnly = false
    package private(set) var counted = 0
    /// Blocks that were decompressed, and those that were passed over because they cannot hold what was asked for.
    package var blocksRead: UInt64 { fetcher.blocksRead }
    package var blocksSkipped: UInt64 { fetcher.blocksSkipped }

    /// - Throws: why the file cannot be opened.
    package convenience init(path: String) throws(ArchiveError) { self.init(try ArchiveInput(path: path)) }

    /// Reads from a descriptor once, front to back; it stays open. What is needed of flows that go on over several blocks is kept in a
    /// temporary file without a name.
    package convenience init(descriptor: Int32, name: String) { self.init(ArchiveInput(descriptor: descriptor, name: name)) }

    /// Reads an input of which nothing was skipped yet.
    /// - Parameter jobs: threads that look through blocks; with 1 it is the calling one. Every call of ``next(where:)`` then has to have
    ///   the same predicate.
    package init(_ input: ArchiveInput, jobs: Int = 1) {
        fetcher = BlockFetcher(input)
        self.jobs = jobs
    }

    private var input: ArchiveInput { fetcher.input }

    /// Called before a pipe is waited for.
    package var beforeWaiting: (() -> Void)? {
        get { input.beforeWaiting }
        set { input.beforeWaiting = newValue }
    }

    /// Bytes that were gone through so far, and those that are there; nil for a pipe.
    package var offset: UInt64 { input.offset }
    package var size: UInt64? { input.file == nil ? nil : (try? input.remaining()).map { $0 + input.offset } }

    /// Everything that is there was read, and more may follow: the file has no block yet, or no recorder has closed it.
    package var mayGrow: Bool {
        guard let size, size == offset else { return false }
        if blocksRead + blocksSkipped == 0 { return true }
        return (try? ArchiveIndex.footer(endingAt: size, in: input)) ?? nil == nil
    }

    /// The next flow or damage.
    /// - Returns: nil at the end; a file that grows may be asked again later.
    /// - Throws: an ``ArchiveError`` when reading cannot go on.
    package func next() throws -> ArchiveItem? { try next(where: AnyFlow()) }

    /// The next flow that a predicate lets through, or damage. Blocks that cannot hold one are passed over, and a flow that is whole in its
    /// block is asked in place; only what is returned is made a ``Flow``.
    /// - Throws: an ``ArchiveError`` when reading cannot go on; what the predicate throws, unless it is that content is damaged: that is
    ///   told as damage, and reading can go on.
    package func next(where predicate: some FlowPredicate) throws -> ArchiveItem? {
        noteReturned()
        while true {
            if !waiting.isEmpty { return waiting.removeFirst() }
            if let block {
                if let flow = try nextFlow(in: block, predicate) { return .flow(flow) }
                endBlock(block)
                continue
            }
            guard let (item, scan) = try nextItem(predicate) else {
                tellLater()
                if waiting.isEmpty { return nil }
                continue
            }
            switch item {
            case .segment: try beginSegment(predicate)
            case .block(let fetched): try begin(fetched, scan)
            case .damage(let damage): waiting.append(.damage(damage))
            }
        }
    }

    /// The input has ended: what is left of it, and the flows that did not come to an end.
    package func finish(where predicate: some FlowPredicate) throws -> [ArchiveItem] {
        var items: [ArchiveItem] = []
        while let item = try next(where: predicate) { items.append(item) }
        while try fetcher.giveUpIncomplete() {
            while let item = try next(where: predicate) { items.append(item) }
        }
        if let damage = fetcher.endDamage() { items.append(.damage(damage)) }
        let start = waiting.count
        try endOpenFlows(predicate)
        if start < waiting.count, input.file?.isBeingWritten == true { markOpen(from: start) }
        defer { waiting.removeAll() }
        return items + waiting
    }

    package func finish() throws -> [ArchiveItem] { try finish(where: AnyFlow()) }

    /// Flows that have not come to their end, as far as they have come, in the order in which they began. They are told again when they end.
    package var unfinished: [Flow] {
        let isLive = !open.isEmpty && input.file?.isBeingWritten == true
        return open.values.sorted { $0.order < $1.order }.map { open in
            var flow = open.flow
            flow.isBeingRecorded = isLive
            return flow
        }
    }

    /// Flows that are open and of which pieces have come since this was asked last, in the order in which they began. Those are their pieces.
    package func takeNews() -> [Flow] {
        var news: [(order: (Timestamp, FlowID), flow: Flow)] = []
        for id in open.keys {
            if let flow = open[id]?.takeNews() { news.append(((flow.started, id), flow)) }
        }
        return news.sorted { $0.order < $1.order }.map(\.flow)
    }

    // MARK: Blocks

    private func nextItem(_ predicate: some FlowPredicate) throws(ArchiveError) -> (item: FetchedItem, scan: BlockScan?)? {
        guard jobs > 1 else { return try fetcher.next(where: predicate).map { ($0, nil) } }
        // What has been found is not kept back while a pipe is waited for.
        while ahead.count < jobs * Self.blocksAhead, ahead.isEmpty || !input.wouldWait,
            let item = try fetcher.next(where: predicate)
        {
            var scan: BlockScan?
            // Flows with parts elsewhere are put together in order first, and asked then.
            if case .block(let fetched) = item, fetched.header.flags & BlockHeader.holdsParts == 0 {
                scan = BlockScan(fetched, where: predicate)
            }
            ahead.append((item, scan))
        }
        return ahead.isEmpty ? nil : ahead.removeFirst()
    }

    private func begin(_ fetched: FetchedBlock, _ scan: BlockScan?) throws {
        var records: ByteBuffer?
        found = nil
        switch scan?.wait() {
        case nil: records = decodeLZ4Frame(fetched.records, size: Int(fetched.header.recordsSize))
        case .found(_, let starts) where countsOnly:
            counted += starts.count
            return tell(fetched.source.foundDamage)
        case .found(let decoded, let starts):
            records = decoded
            found = starts[...]
        case .damaged: break
        case .failed(let error): throw error
        }
        guard let records else {
            waiting.append(.damage(ArchiveDamage(block: fetched.header, offset: fetched.offset)))
            return
        }
        let block = DecodedBlock(header: fetched.header, offset: fetched.offset, records: records, source: fetched.source) {
            [weak self] in self?.certificates[$0]
        }
        self.block = block
        view = RecordView(block)
    }

    /// What was found damaged in flows that were returned, when no more of them are asked for.
    package func takeFoundDamage() -> [ArchiveDamage] {
        noteReturned()
        tell(block?.source.foundDamage)
        tellLater()
        defer { waiting.removeAll() }
        return waiting.compactMap { if case .damage(let damage) = $0 { damage } else { nil } }
    }

    private func noteReturned() {
        for source in returned {
            guard let found = source.foundDamage, source !== block?.source else { continue }
            foundLater.removeAll { $0.offset == found.offset }
            foundLater.append(found)
        }
        // Of those that wait, one after the other is returned.
        if waiting.isEmpty { returned = [] }
    }

    private func tellLater() {
        foundLater.forEach { tell($0) }
        foundLater = []
    }

    private func endBlock(_ block: DecodedBlock) {
        tell(block.source.foundDamage)
        self.block = nil
        view = nil
    }

    // MARK: Records

    /// The next flow of a block that the predicate lets through; nil when it has no more.
    private func nextFlow(in block: DecodedBlock, _ predicate: some FlowPredicate) throws -> Flow? {
        do {
            while let (type, start, length) = try block.nextRecord() {
                if type != RecordType.flow {
                    try read(type, block.content(start, length))
                    continue
                }
                // Taken out while it moves, so that it is not copied.
                guard var view else { return nil }
                guard view.move(to: start, length: length) else { throw MalformedRecord() }
                do {
                    if found != nil {
                        guard found?.first == start else { continue }
                        found?.removeFirst()
                        return try whole(view, block)
                    }
                    if let flow = try read(view, block, predicate) { return flow }
                } catch let error as ArchiveError where error.kind == .damagedContent {
                    // Damaged content is reported at the end of the block, with the number of flows.
                    if error.damagedPiece == nil { tell(error.damage) }
                }
            }
        } catch is MalformedRecord {
            var damage = ArchiveDamage(.record, offset: block.offset, length: 0)
            damage.block = block.header.sequence
            waiting.append(.damage(damage))
        }
        return nil
    }

    private func read(_ type: UInt8, _ content: ByteBuffer) throws(MalformedRecord) {
        var reader = RecordReader(content)
        switch type {
        case RecordType.certificate:
            let number = try reader.number(UInt32.self)
            certificates.add(number, reader.bytes)
        case RecordType.discard:
            let high = try reader.number(UInt64.self)
            open[FlowID(high: high, low: try reader.number())] = nil
        default:
            // Connections are read where they are referred to; other records are a later version's.
            break
        }
    }

    private func whole(_ view: RecordView, _ block: DecodedBlock) throws -> Flow {
        var flow = OpenFlow(view, block)
        try flow.receive(view, block, isWhole: true)
        return flow.flow
    }

    private func read(_ view: RecordView, _ block: DecodedBlock, _ predicate: some FlowPredicate) throws -> Flow? {
        if view.isWhole {
            guard try predicate.matches(view) else { return nil }
            guard countsOnly else { return try whole(view, block) }
            counted += 1
            return nil
        }
        let id = view.id
        // Taken out, so that what it has is added to where it is: a long flow has a hundred thousand parts.
        var flow: OpenFlow
        var isGoingOn = false
        if let known = open.removeValue(forKey: id) {
            isGoingOn = !view.isFirst
            if !isGoingOn { try end(known, predicate) }
            flow = isGoingOn ? known : OpenFlow(view, block)
        } else {
            flow = OpenFlow(view, block)
        }
        do {
            try flow.receive(view, block, isWhole: false)
        } catch {
            if isGoingOn { open[id] = flow }
            throw error
        }
        guard view.isLast else {
            open[id] = flow
            return nil
        }
        let whole = flow.flow
        returned = flow.sources
        return try predicate.matches(whole) ? whole : nil
    }

    // MARK: Flows that do not end

    /// The flows that wait from an index on go on in a recorder.
    private func markOpen(from start: Int) {
        for index in start..<waiting.count {
            guard case .flow(var flow) = waiting[index] else { continue }
            flow.isBeingRecorded = true
            waiting[index] = .flow(flow)
        }
    }

    /// No flow continues in the next segment.
    private func beginSegment(_ predicate: some FlowPredicate) throws {
        try endOpenFlows(predicate)
        certificates = CertificateTable()
    }

    private func end(_ flow: OpenFlow, _ predicate: some FlowPredicate) throws {
        returned += flow.sources
        let flow = flow.flow
        do {
            if try predicate.matches(flow) { waiting.append(.flow(flow)) }
        } catch let error as ArchiveError where error.kind == .damagedContent {
            if error.damagedPiece == nil { tell(error.damage) }
        }
    }

    /// Tells of a block that was found damaged when something of it was asked for, once.
    private func tell(_ damage: ArchiveDamage?) {
        guard let damage, told.insert(damage.offset).inserted else { return }
        waiting.append(.damage(damage))
    }

    /// Nothing more is said of the flows that are open: the segment has ended.
    private func endOpenFlows(_ predicate: some FlowPredicate) throws {
        for flow in open.values.sorted(by: { $0.order < $1.order }) { try end(flow, predicate) }
        open.removeAll()
    }
}

/// Lets every flow through.
private struct AnyFlow: FlowPredicate {
    func matches(_ flow: some FlowAttributes) -> Bool { true }
}

/// The certificates of a segment, by number: those that a writer may still refer to.
private struct CertificateTable {
    private var ders: [UInt32: ByteBuffer] = [:]
    private var bytes = 0

    subscript(number: UInt32) -> ByteBuffer? { ders[number] }

    mutating func add(_ number: UInt32, _ der: ByteBuffer) {
        guard der.readableBytes <= ArchiveFormat.maximumCertificate else { return }
        // Twice what a writer refers back to, so that what it forgets is not forgotten here before.
        if ders.count >= 2 * ArchiveFormat.maximumCertificates || bytes > 2 * ArchiveFormat.maximumCertificateBytes {
            let oldest = number &- UInt32(ArchiveFormat.maximumCertificates)
            ders = ders.filter { $0.key &- oldest < UInt32(ArchiveFormat.maximumCertificates) }
            bytes = ders.values.reduce(0) { $0 + $1.readableBytes }
            if bytes > 2 * ArchiveFormat.maximumCertificateBytes {
                ders.removeAll()
                bytes = 0
            }
        }
        bytes += der.readableBytes
        ders[number] = der.detached
    }
}
