// The first half of reading: scans the input and returns the blocks that may contain matching flows, with the bytes of their records. They
// are searched afterwards, on this thread or on others.

import FlowModel
import FlowRecords
import NIOCore

/// What the input contains, in its order.
enum FetchedItem {
    /// A segment begins: no flow continues in it, and its certificates are numbered from 0.
    case segment(Timestamp)
    case block(FetchedBlock)
    case damage(ArchiveDamage)
}

/// A block as it is stored.
struct FetchedBlock: Sendable {
    let header: BlockHeader
    let offset: UInt64
    /// The frame of the records, compressed.
    let records: ByteBuffer
    let source: BlockSource
}

/// Reads one input, front to back. Used by one thread.
struct BlockFetcher {
    let input: ArchiveInput
    private var frames: ArchiveFrameScanner
    private var index: ArchiveIndex?
    private var hasBegun = false
    private var segment: Timestamp?
    private var nextSequence: UInt64 = 0
    private var spool: Spool?
    /// Items that precede a block that was found already.
    private var waiting: [FetchedItem] = []
    private(set) var blocksRead: UInt64 = 0
    private(set) var blocksSkipped: UInt64 = 0
    private let meter: ReadingMeter

    init(_ input: ArchiveInput, _ meter: ReadingMeter) {
        self.input = input
        self.meter = meter
        frames = ArchiveFrameScanner(input: input)
    }

    /// - Parameter mayMatch: whether a block may contain matching flows; others are skipped when no other block needs them.
    /// - Returns: nil at the end; an input that grows may be read again later.
    mutating func next(_ mayMatch: (BlockHeader) -> Bool) throws(ArchiveError) -> FetchedItem? {
        if !hasBegun {
            try frames.checkBeginning(isStrict: false)
            index = try ArchiveIndex(of: input)
            hasBegun = true
        }
        while true {
            if !waiting.isEmpty { return waiting.removeFirst() }
            try skipByIndex(mayMatch)
            guard let frame = try frames.next() else { return nil }
            switch frame {
            case .segment(let header): begin(header.created)
            case .block(let header, let offset): try fetch(header, offset, mayMatch)
            case .other: break
            case .damage(let damage): return .damage(damage)
            }
        }
    }

    /// The input has ended within a frame: continues after it when possible.
    /// - Returns: false when nothing was left.
    mutating func giveUpIncomplete() throws(ArchiveError) -> Bool { try frames.giveUpIncomplete() }

    /// Ends a stretch of damage at the end of the input.
    mutating func endDamage() -> ArchiveDamage? { frames.endDamage() }

    private mutating func begin(_ name: Timestamp) {
        segment = name
        nextSequence = 0
        waiting.append(.segment(name))
    }

    private mutating func skipByIndex(_ mayMatch: (BlockHeader) -> Bool) throws(ArchiveError) {
        while let header = try index?.header(at: input.offset), header.standsAlone, header.sequence == nextSequence,
            !mayMatch(header)
        {
            let length = header.frameLength + header.bodyLength
            guard try input.has(length) else { return }
            input.skip(length)
            pass(header)
        }
    }

    private mutating func pass(_ header: BlockHeader) {
        blocksSkipped += 1
        nextSequence = header.sequence + 1
        meter.add { totals in
            totals.blocksSkipped += 1
            totals.bytesSkipped += UInt64(header.frameLength + header.bodyLength)
            totals.contentSize += UInt64(header.contentSize)
        }
    }

    private mutating func fetch(_ header: BlockHeader, _ offset: UInt64, _ mayMatch: (BlockHeader) -> Bool) throws(ArchiveError) {
        defer { frames.skipFrames(of: header) }
        // The header of its segment may be lost.
        if header.segment != segment { begin(header.segment) }
        if header.sequence > nextSequence {
            waiting.append(.damage(ArchiveDamage(.missing(blocks: header.sequence - nextSequence), offset: offset, length: 0)))
        }
        nextSequence = header.sequence &+ 1
        if header.standsAlone, !mayMatch(header) { return pass(header) }
        blocksRead += 1
        meter.add { totals in
            totals.blocksRead += 1
            totals.headerBytes += UInt64(header.frameLength)
            totals.contentSize += UInt64(header.contentSize)
        }
        let records = try input.peek(Int(header.recordsFrame)) ?? ByteBuffer()
        let source = BlockSource(place: try place(of: header), header: header, blockOffset: offset, meter: meter)
        waiting.append(.block(FetchedBlock(header: header, offset: offset, records: records, source: source)))
    }

    /// Where the details and the content of the current block are fetched from later.
    private mutating func place(of header: BlockHeader) throws(ArchiveError) -> BlockSource.Place {
        if let file = input.file { return .file(file, input.offset + UInt64(header.recordsFrame)) }
        let length = Int(header.detailsFrame) + header.contentFrames
        let frames = try input.bytes(at: Int(header.recordsFrame), count: length) ?? ByteBuffer()
        guard header.holdsParts else { return .memory(frames.detached) }
        if spool == nil { spool = try Spool() }
        let offset = try spool!.append(frames)
        return .file(spool!.file, offset)
    }
}
