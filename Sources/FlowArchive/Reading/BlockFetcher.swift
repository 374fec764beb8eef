// The first half of reading: scans the input and returns the blocks that may contain matching flows, with the bytes of their records. They
// are searched afterwards, on this thread or on others.

import FlowModel
import FlowRecords
import NIOCore

/// What the input contains, in its order.
enum FetchedItem {
    /// A segment begins: no flow continues in it, and its certificates are numbered from 0.
    /// The offset is that of its header, or of its first block where that is lost.
    case segment(Timestamp, offset: UInt64)
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
    /// The block lies in the range that is read. Of another one only parts of flows, certificates and the like are needed.
    let isInside: Bool
}

/// Reads one input, front to back. Used by one thread.
struct BlockFetcher {
    let input: ArchiveInput
    private var frames: ArchiveFrameScanner
    private var index: ArchiveIndex?
    private let range: ArchiveRange?
    /// The end of the range was reached: nothing more is read.
    private(set) var isPastRange = false
    /// No block of the segment was found yet.
    private var isFirstBlock = false
    private var hasBegun = false
    private var segment: Timestamp?
    private var nextSequence: UInt64 = 0
    private var spool: Spool?
    /// Items that precede a block that was found already.
    private var waiting: [FetchedItem] = []
    private(set) var blocksRead: UInt64 = 0
    private(set) var blocksSkipped: UInt64 = 0
    private let meter: ReadingMeter

    init(_ input: ArchiveInput, _ meter: ReadingMeter, range: ArchiveRange? = nil) {
        self.input = input
        self.range = range
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
            guard !isPastRange else { return nil }
            try skipByIndex(mayMatch)
            let offset = input.offset
            guard try !endsRange(at: offset), let frame = try frames.next() else { return nil }
            switch frame {
            case .segment(let header): begin(header.created, at: offset)
            case .block(let header, let offset):
                guard try !endsRange(at: offset) else { return nil }
                try fetch(header, offset, mayMatch)
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

    /// Whether what begins at an offset lies after the range.
    private mutating func endsRange(at offset: UInt64) throws(ArchiveError) -> Bool {
        guard let range, offset >= range.end, try input.remaining() > 0 else { return false }
        isPastRange = true
        return true
    }

    private mutating func begin(_ name: Timestamp, at offset: UInt64) {
        segment = name
        nextSequence = 0
        isFirstBlock = true
        waiting.append(.segment(name, offset: offset))
    }

    /// Whether the flows of a block are not needed, and no other block needs it. The first block of a segment shows whether flows continue in
    /// it, so readers of ranges read it.
    private func isSuperfluous(_ header: BlockHeader, _ offset: UInt64, _ mayMatch: (BlockHeader) -> Bool) -> Bool {
        guard header.standsAlone else { return false }
        guard let range else { return !mayMatch(header) }
        return !isFirstBlock && header.segment == segment && (!range.contains(offset) || !mayMatch(header))
    }

    private mutating func skipByIndex(_ mayMatch: (BlockHeader) -> Bool) throws(ArchiveError) {
        while let header = try index?.header(at: input.offset), header.sequence == nextSequence,
            isSuperfluous(header, input.offset, mayMatch)
        {
            guard range.map({ input.offset < $0.end }) ?? true else { return }
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
        if header.segment != segment { begin(header.segment, at: offset) }
        if header.sequence > nextSequence {
            waiting.append(.damage(ArchiveDamage(.missing(blocks: header.sequence - nextSequence), offset: offset, length: 0)))
        }
        nextSequence = header.sequence &+ 1
        if isSuperfluous(header, offset, mayMatch) { return pass(header) }
        isFirstBlock = false
        blocksRead += 1
        meter.add { totals in
            totals.blocksRead += 1
            totals.headerBytes += UInt64(header.frameLength)
            totals.contentSize += UInt64(header.contentSize)
        }
        let records = try input.peek(Int(header.recordsFrame)) ?? ByteBuffer()
        let source = BlockSource(place: try place(of: header), header: header, blockOffset: offset, meter: meter)
        let isInside = range?.contains(offset) ?? true
        waiting.append(.block(FetchedBlock(header: header, offset: offset, records: records, source: source, isInside: isInside)))
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
