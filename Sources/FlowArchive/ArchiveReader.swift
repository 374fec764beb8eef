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
    private let decoder = LZ4FrameDecoder()
    private var block: DecodedBlock?
    private var hasBegun = false
    private var nextSequence: UInt64 = 0
    private var certificates: [UInt32: ByteBuffer] = [:]
    private var open: [FlowID: OpenFlow] = [:]
    private var spool: Spool?
    private var waiting: [ArchiveItem] = []

    /// A flow of which parts have come and the end has not.
    private struct OpenFlow {
        var assembler: FlowAssembler
        var pieces = ArchivePieces()
        var nextPart: UInt16 = 0
        /// Parts of it are not there: their block was lost.
        var isTorn = false

        var flow: Flow {
            var flow = assembler.flow
            flow.pieces = pieces
            if isTorn {
                flow.state = .incomplete
                flow.error = FlowError(
                    side: nil, message: "a part of this flow's recording was lost", at: flow.ended ?? flow.started)
            }
            return flow
        }
    }

    /// - Throws: why the file cannot be opened.
    package init(path: String) throws(ArchiveError) {
        input = try ArchiveInput(path: path)
        frames = FrameWalker(input: input)
    }

    /// Reads from a descriptor once, front to back; it stays open. What is needed of flows that go on over several blocks is kept in a
    /// temporary file without a name.
    package init(descriptor: Int32, name: String) {
        input = ArchiveInput(descriptor: descriptor, name: name)
        frames = FrameWalker(input: input)
    }

    /// Bytes that were gone through so far.
    package var offset: UInt64 { input.offset }

    /// The next flow or damage.
    /// - Returns: nil at the end; a file that grows may be asked again later.
    package func next() throws -> ArchiveItem? { try next(where: AnyFlow()) }

    /// The next flow that a predicate lets through, or damage. A flow that is whole in its block is asked in place.
    package func next(where predicate: some FlowPredicate) throws -> ArchiveItem? {
        if !hasBegun {
            try frames.checkBeginning(path: input.path)
            hasBegun = true
        }
        while true {
            if !waiting.isEmpty { return waiting.removeFirst() }
            if let block {
                do throws(MalformedRecord) {
                    guard let (type, record) = try block.nextRecord() else {
                        self.block = nil
                        continue
                    }
                    if let flow = try read(type, record, in: block, predicate) { return .flow(flow) }
                } catch {
                    return .damage(ArchiveDamage(.record, offset: block.offset, length: 0))
                }
                if let error = takeFailure() { throw error }
                continue
            }
            guard let frame = try frames.next() else { return nil }
            try read(frame)
        }
    }

    /// The input has ended: what is left of it, and the flows that did not come to an end.
    package func finish(where predicate: some FlowPredicate) throws -> [ArchiveItem] {
        var items: [ArchiveItem] = []
        if let damage = try frames.leftover() { items.append(.damage(damage)) }
        for flow in open.values.map(\.flow).sorted(by: { ($0.started, $0.id) < ($1.started, $1.id) })
        where try predicate.matches(flow) {
            items.append(.flow(flow))
        }
        open.removeAll()
        return items
    }

    package func finish() throws -> [ArchiveItem] { try finish(where: AnyFlow()) }

    // MARK: Frames

    private func read(_ frame: ArchiveFrame) throws(ArchiveError) {
        switch frame {
        case .segment:
            nextSequence = 0
            certificates.removeAll()
        case .block(let header, let offset, let isWhole):
            try read(header, offset, isWhole)
        case .index, .footer, .other:
            break
        case .damage(let damage):
            waiting.append(.damage(damage))
        }
    }

    private func read(_ header: BlockHeader, _ offset: UInt64, _ isWhole: Bool) throws(ArchiveError) {
        let frame = try input.peek(Int(header.metadataFrame)) ?? ByteBuffer()
        guard let metadata = decoder.decode(frame, size: Int(header.metadataSize)) else {
            var damage = ArchiveDamage(.damaged, offset: offset, length: UInt64(header.metadataFrame) + header.contentFrames)
            damage.block = header.sequence
            damage.records = header.records
            damage.times = header.times
            waiting.append(.damage(damage))
            nextSequence = header.sequence + 1
            return frames.skipFrames(of: header, isWhole: isWhole)
        }
        if header.sequence > nextSequence {
            waiting.append(.damage(ArchiveDamage(.missing(blocks: header.sequence - nextSequence), offset: offset, length: 0)))
        }
        nextSequence = header.sequence + 1
        let content = BlockContent(place: try place(of: header), header: header, blockOffset: offset)
        frames.skipFrames(of: header, isWhole: isWhole)
        block = DecodedBlock(header: header, offset: offset, metadata: metadata, content: content) { [weak self] in
            self?.certificates[$0]
        }
    }

    /// Where the content of the block at hand will be found later.
    private func place(of header: BlockHeader) throws(ArchiveError) -> BlockContent.Place {
        if let file = input.file { return .file(file, input.offset + UInt64(header.metadataFrame)) }
        let frames = try input.bytes(at: Int(header.metadataFrame), count: Int(header.contentFrames)) ?? ByteBuffer()
        guard header.flags & BlockHeader.holdsParts != 0, header.contentFrames > 0 else {
            // A copy, so that the window's storage is not kept alive.
            return .memory(ByteBuffer(bytes: frames.readableBytesView))
        }
        if spool == nil { spool = try Spool() }
        let offset = try spool!.append(frames)
        return .file(spool!.file, offset)
    }

    // MARK: Records

    private var failure: (any Error)?

    private func takeFailure() -> (any Error)? {
        defer { failure = nil }
        return failure
    }

    private func read(_ type: UInt8, _ record: ByteBuffer, in block: DecodedBlock, _ predicate: some FlowPredicate)
        throws(MalformedRecord) -> Flow?
    {
        switch type {
        case RecordType.certificate:
            var reader = RecordReader(record.slice(8, record.readableBytes - 8))
            let number = try reader.number(UInt32.self)
            if certificates.count > ArchiveWriter.maximumCertificates * 2 { certificates.removeAll() }
            certificates[number] = ByteBuffer(bytes: reader.bytes.readableBytesView)
            return nil
        case RecordType.flow:
            guard let view = RecordView(record, in: block) else { throw MalformedRecord() }
            return try read(view, in: block, predicate)
        case RecordType.discard:
            var reader = RecordReader(record.slice(8, record.readableBytes - 8))
            let high = try reader.number(UInt64.self)
            open[FlowID(high: high, low: try reader.number(UInt64.self))] = nil
            return nil
        default:
            // Connections are read where they are referred to; other records are a later version's.
            return nil
        }
    }

    private func read(_ view: RecordView, in block: DecodedBlock, _ predicate: some FlowPredicate) throws(MalformedRecord) -> Flow?
    {
        let flags = view.flags
        if flags & FlowPrefix.isFirst != 0, flags & FlowPrefix.isLast != 0 {
            guard passes(view, predicate) else { return nil }
            var flow = try begin(view, block)
            try receive(view, block, &flow, copies: false)
            return flow.flow
        }
        let id = view.id
        var flow: OpenFlow
        if flags & FlowPrefix.isFirst != 0 {
            flow = try begin(view, block)
        } else if let known = open.removeValue(forKey: id) {
            flow = known
        } else {
            // Its beginning was lost: what there is of it is shown.
            flow = beginLost(view)
        }
        if view.part != flow.nextPart { flow.isTorn = true }
        flow.nextPart = view.part &+ 1
        try receive(view, block, &flow, copies: true)
        guard flags & FlowPrefix.isLast != 0 else {
            open[id] = flow
            return nil
        }
        return passes(flow.flow, predicate) ? flow.flow : nil
    }

    private func passes(_ flow: some FlowQuestions, _ predicate: some FlowPredicate) -> Bool {
        do {
            return try predicate.matches(flow)
        } catch {
            failure = error
            return false
        }
    }

    private func begin(_ view: RecordView, _ block: DecodedBlock) throws(MalformedRecord) -> OpenFlow {
        var opening: (FlowOpening, Timestamp)?
        try block.events(
            of: view,
            { what, at in
                if opening == nil, case .opened(let value) = what { opening = (value, at) }
            }, piece: { _, _ in })
        guard let (value, at) = opening else { throw MalformedRecord() }
        return OpenFlow(assembler: FlowAssembler(id: view.id, at: at, opening: value, keepsPieces: false))
    }

    private func beginLost(_ view: RecordView) -> OpenFlow {
        let opening = FlowOpening(
            kind: view.kind, client: Shared(.unknown), target: FlowTarget(scheme: "", host: "", port: 0), stream: StreamID(0))
        return OpenFlow(assembler: FlowAssembler(id: view.id, at: view.started, opening: opening, keepsPieces: false))
    }

    /// - Parameter copies: the flow outlives the block, whose metadata it must not keep alive.
    private func receive(_ view: RecordView, _ block: DecodedBlock, _ flow: inout OpenFlow, copies: Bool) throws(MalformedRecord) {
        var assembler = flow.assembler
        var count = 0
        try block.events(
            of: view,
            { what, at in assembler.receive(copies ? what.copied : what, at: at) },
            piece: { place, at in
                if !(place.continues && place.kind != .data) { count += 1 }
                assembler.count(place.kind, from: place.from, size: place.size, stored: place.size, at: at)
            })
        flow.assembler = assembler
        guard count > 0 else { return }
        var segment = view.segment
        if copies { segment.items = ByteBuffer(bytes: segment.items.readableBytesView) }
        flow.pieces.segments.append(segment)
        flow.pieces.count += count
    }
}

/// Lets every flow through.
private struct AnyFlow: FlowPredicate {
    func matches(_ flow: some FlowQuestions) -> Bool { true }
}

extension FlowEvent.What {
    /// With heads and fields in storage of their own.
    fileprivate var copied: FlowEvent.What {
        func copy(_ bytes: ByteBuffer) -> ByteBuffer { ByteBuffer(bytes: bytes.readableBytesView) }
        switch self {
        case .request(let head): return .request(RequestHead(parsing: copy(head.wire), version: head.version))
        case .interim(let head): return .interim(ResponseHead(parsing: copy(head.wire), version: head.version))
        case .response(let head): return .response(ResponseHead(parsing: copy(head.wire), version: head.version))
        case .trailers(let side, let fields): return .trailers(from: side, FieldSection(parsing: copy(fields.wire)))
        default: return self
        }
    }
}
