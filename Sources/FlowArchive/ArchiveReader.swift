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
    private let input: ArchiveInput
    private var frames: FrameWalker
    private var index: ArchiveIndex?
    private var block: DecodedBlock?
    private var view: RecordView?
    private var hasBegun = false
    private var segment: Timestamp?
    private var nextSequence: UInt64 = 0
    private var certificates = CertificateTable()
    private var open: [FlowID: OpenFlow] = [:]
    private var spool: Spool?
    private var waiting: [ArchiveItem] = []
    /// Offsets of blocks of which it was told that something in them is damaged.
    private var told: Set<UInt64> = []
    /// Blocks that were decompressed, and those that were passed over because they cannot hold what was asked for.
    package private(set) var blocksRead: UInt64 = 0
    package private(set) var blocksSkipped: UInt64 = 0

    /// - Throws: why the file cannot be opened.
    package convenience init(path: String) throws(ArchiveError) { self.init(try ArchiveInput(path: path)) }

    /// Reads from a descriptor once, front to back; it stays open. What is needed of flows that go on over several blocks is kept in a
    /// temporary file without a name.
    package convenience init(descriptor: Int32, name: String) { self.init(ArchiveInput(descriptor: descriptor, name: name)) }

    /// Reads an input of which nothing was skipped yet.
    package init(_ input: ArchiveInput) {
        self.input = input
        frames = FrameWalker(input: input)
    }

    /// Bytes that were gone through so far, and those that are there; nil for a pipe.
    package var offset: UInt64 { input.offset }
    package var size: UInt64? { input.file == nil ? nil : (try? input.remaining()).map { $0 + input.offset } }

    /// The next flow or damage.
    /// - Returns: nil at the end; a file that grows may be asked again later.
    /// - Throws: an ``ArchiveError`` when reading cannot go on.
    package func next() throws -> ArchiveItem? { try next(where: AnyFlow()) }

    /// The next flow that a predicate lets through, or damage. Blocks that cannot hold one are passed over, and a flow that is whole in its
    /// block is asked in place; only what is returned is made a ``Flow``.
    /// - Throws: an ``ArchiveError`` when reading cannot go on; what the predicate throws, unless it is that content is damaged: that is
    ///   told as damage, and reading can go on.
    package func next(where predicate: some FlowPredicate) throws -> ArchiveItem? {
        if !hasBegun {
            try frames.checkBeginning(isStrict: false)
            index = try ArchiveIndex(of: input)
            hasBegun = true
        }
        while true {
            if !waiting.isEmpty { return waiting.removeFirst() }
            if let block {
                if let flow = try nextFlow(in: block, predicate) { return .flow(flow) }
                endBlock(block)
                continue
            }
            try skipByIndex(predicate)
            guard let frame = try frames.next() else { return nil }
            try read(frame, predicate)
        }
    }

    /// The input has ended: what is left of it, and the flows that did not come to an end.
    package func finish(where predicate: some FlowPredicate) throws -> [ArchiveItem] {
        var items: [ArchiveItem] = []
        while let item = try next(where: predicate) { items.append(item) }
        while try frames.giveUpIncomplete() {
            while let item = try next(where: predicate) { items.append(item) }
        }
        if let damage = frames.endDamage() { items.append(.damage(damage)) }
        try endOpenFlows(predicate)
        defer { waiting.removeAll() }
        return items + waiting
    }

    package func finish() throws -> [ArchiveItem] { try finish(where: AnyFlow()) }

    /// Flows that have not come to their end, as far as they have come, in the order in which they began. They are told again when they end.
    package var unfinished: [Flow] { open.values.sorted { $0.order < $1.order }.map(\.flow) }

    // MARK: Frames

    private func skipByIndex(_ predicate: some FlowPredicate) throws(ArchiveError) {
        while let header = try index?.header(at: input.offset), header.standsAlone, !predicate.mayMatch(header),
            header.sequence == nextSequence
        {
            let length = header.frameLength + header.bodyLength
            guard try input.has(length) else { return }
            input.skip(length)
            pass(header)
        }
    }

    private func pass(_ header: BlockHeader) {
        blocksSkipped += 1
        nextSequence = header.sequence + 1
    }

    private func read(_ frame: ArchiveFrame, _ predicate: some FlowPredicate) throws {
        switch frame {
        case .segment(let header):
            try beginSegment(header.created, predicate)
        case .block(let header, let offset):
            // The header of its segment may be lost.
            if header.segment != segment { try beginSegment(header.segment, predicate) }
            try read(header, offset, predicate)
        case .other:
            break
        case .damage(let damage):
            waiting.append(.damage(damage))
        }
    }

    private func read(_ header: BlockHeader, _ offset: UInt64, _ predicate: some FlowPredicate) throws(ArchiveError) {
        defer { frames.skipFrames(of: header) }
        if header.sequence > nextSequence {
            waiting.append(.damage(ArchiveDamage(.missing(blocks: header.sequence - nextSequence), offset: offset, length: 0)))
        }
        nextSequence = header.sequence &+ 1
        if header.standsAlone, !predicate.mayMatch(header) { return pass(header) }
        blocksRead += 1
        guard let frame = try input.peek(Int(header.recordsFrame)),
            let records = decodeLZ4Frame(frame, size: Int(header.recordsSize))
        else {
            waiting.append(.damage(ArchiveDamage(block: header, offset: offset)))
            return
        }
        let source = BlockSource(place: try place(of: header), header: header, blockOffset: offset)
        let block = DecodedBlock(header: header, offset: offset, records: records, source: source) { [weak self] in
            self?.certificates[$0]
        }
        self.block = block
        view = RecordView(block)
    }

    /// Where the details and the content of the block at hand will be found later.
    private func place(of header: BlockHeader) throws(ArchiveError) -> BlockSource.Place {
        if let file = input.file { return .file(file, input.offset + UInt64(header.recordsFrame)) }
        let length = Int(header.detailsFrame) + header.contentFrames
        let frames = try input.bytes(at: Int(header.recordsFrame), count: length) ?? ByteBuffer()
        guard header.flags & BlockHeader.holdsParts != 0 else { return .memory(frames.detached) }
        if spool == nil { spool = try Spool() }
        let offset = try spool!.append(frames)
        return .file(spool!.file, offset)
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
                    if let flow = try read(view, block, predicate) { return flow }
                } catch let error as ArchiveError where error.kind == .damagedContent {
                    tell(error.damage)
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

    private func read(_ view: RecordView, _ block: DecodedBlock, _ predicate: some FlowPredicate) throws -> Flow? {
        if view.isWhole {
            guard try predicate.matches(view) else { return nil }
            var flow = OpenFlow(view, block)
            try flow.receive(view, block, isWhole: true)
            return flow.flow
        }
        let id = view.id
        var flow: OpenFlow
        if let known = open[id], !view.isFirst {
            flow = known
        } else {
            if let known = open[id] { try end(known, predicate) }
            flow = OpenFlow(view, block)
        }
        try flow.receive(view, block, isWhole: false)
        guard view.isLast else {
            open[id] = flow
            return nil
        }
        open[id] = nil
        let whole = flow.flow
        return try predicate.matches(whole) ? whole : nil
    }

    // MARK: Flows that do not end

    /// No flow goes on from one segment to another.
    private func beginSegment(_ name: Timestamp, _ predicate: some FlowPredicate) throws {
        try endOpenFlows(predicate)
        segment = name
        nextSequence = 0
        certificates = CertificateTable()
    }

    private func end(_ flow: OpenFlow, _ predicate: some FlowPredicate) throws {
        let flow = flow.flow
        do {
            if try predicate.matches(flow) { waiting.append(.flow(flow)) }
        } catch let error as ArchiveError where error.kind == .damagedContent {
            tell(error.damage)
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
    func matches(_ flow: some FlowQuestions) -> Bool { true }
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
