// The index of a file whose segments were all closed in order: the headers of its blocks. It is used to skip blocks without reading them. A
// file without it, or with a damaged one, is scanned header by header, with the same result.

import FlowModel
import FlowRecords
import NIOCore

/// Finds the header of a block by its offset, front to back.
struct ArchiveIndex {
    private let input: ArchiveInput
    /// Offsets of the index frames and of their segments, front to back. Used ones are removed.
    private var frames: [(segmentStart: UInt64, offset: UInt64)]
    private var entries: [(offset: UInt64, header: BlockHeader)] = []
    private var position = 0

    /// - Returns: nil unless the whole file has an index.
    init?(of input: ArchiveInput) throws(ArchiveError) {
        guard input.file != nil, input.offset == 0 else { return nil }
        self.input = input
        var frames: [(segmentStart: UInt64, offset: UInt64)] = []
        var end = try input.remaining()
        while end > 0 {
            guard let (footer, start) = try Self.footer(endingAt: end, in: input) else { return nil }
            var index = footer.index
            // Each frame has the offset of the preceding one, so the chain is followed towards the front.
            while index > 0 {
                frames.append((start, start + index))
                guard let previous = try Self.previous(start + index, in: input), previous < index else { return nil }
                index = previous
            }
            end = start
        }
        self.frames = frames.reversed()
    }

    /// The footer whose frame ends at an offset, and the offset of its segment.
    static func footer(endingAt end: UInt64, in input: ArchiveInput) throws(ArchiveError) -> (footer: Footer, start: UInt64)? {
        let length = UInt64(ArchiveFormat.frameHeader + ArchiveFormat.footerPayload)
        guard let file = input.file, end >= length else { return nil }
        let frame = try file.read(at: end - length, count: Int(length))
        guard let (magic, size) = frame.getMultipleIntegers(at: frame.readerIndex, endianness: .little, as: (UInt32, UInt32).self),
            magic == ArchiveFormat.footerMagic, Int(size) == ArchiveFormat.footerPayload,
            let footer = Footer(payload: frame.slice(8, ArchiveFormat.footerPayload)), footer.length <= end - length
        else { return nil }
        return (footer, end - length - footer.length)
    }

    /// The offset of the index frame that precedes another one.
    private static func previous(_ offset: UInt64, in input: ArchiveInput) throws(ArchiveError) -> UInt64? {
        guard let head = try input.file?.read(at: offset, count: ArchiveFormat.frameHeader + ArchiveFormat.indexFixed),
            head.getInteger(at: head.readerIndex, endianness: .little) == ArchiveFormat.indexMagic
        else { return nil }
        return head.getInteger(at: head.readerIndex + 16, endianness: .little)
    }

    /// The header of the block whose frame begins at an offset; nil when the index does not have it.
    mutating func header(at offset: UInt64) throws(ArchiveError) -> BlockHeader? {
        while true {
            while position < entries.count {
                if entries[position].offset == offset { return entries[position].header }
                if entries[position].offset > offset { return nil }
                position += 1
            }
            guard let next = frames.first, next.segmentStart <= offset else { return nil }
            frames.removeFirst()
            position = 0
            entries = try Self.entries(of: next, in: input)
        }
    }

    /// Visits the headers that are left, front to back, with the offsets of their frames.
    mutating func forEach(_ body: (UInt64, BlockHeader) -> Void) throws(ArchiveError) {
        while true {
            while position < entries.count {
                body(entries[position].offset, entries[position].header)
                position += 1
            }
            guard !frames.isEmpty else { return }
            position = 0
            entries = try Self.entries(of: frames.removeFirst(), in: input)
        }
    }

    /// The entries of an index frame; none when it is damaged.
    private static func entries(
        of frame: (segmentStart: UInt64, offset: UInt64), in input: ArchiveInput
    ) throws(ArchiveError) -> [(offset: UInt64, header: BlockHeader)] {
        guard let file = input.file else { return [] }
        let head = try file.read(at: frame.offset, count: ArchiveFormat.frameHeader)
        guard let size: UInt32 = head.getInteger(at: head.readerIndex + 4, endianness: .little),
            Int(size) <= ArchiveFormat.maximumIndexPayload
        else { return [] }
        let payload = try file.read(at: frame.offset + UInt64(ArchiveFormat.frameHeader), count: Int(size))
        return (parse(payload) ?? []).map { (frame.segmentStart + $0.offset, $0.header) }
    }

    /// The entries of an index frame's payload, with offsets in the segment; nil when it is not valid.
    static func parse(_ payload: ByteBuffer) -> [(offset: UInt64, header: BlockHeader)]? {
        guard payload.hasRightChecksum, payload.readableBytes >= ArchiveFormat.indexFixed + 4 else { return nil }
        var payload = payload
        payload.moveReaderIndex(forwardBy: 16)
        var entries: [(offset: UInt64, header: BlockHeader)] = []
        guard let count: UInt32 = payload.readInteger(endianness: .little), Int(count) <= ArchiveFormat.indexedBlocks else {
            return nil
        }
        for _ in 0..<count {
            guard let (offset, magic, size) = payload.readMultipleIntegers(endianness: .little, as: (UInt64, UInt32, UInt32).self),
                magic == ArchiveFormat.blockMagic, Int(size) <= ArchiveFormat.maximumHeaderPayload,
                let bytes = payload.readSlice(length: Int(size)), let header = BlockHeader(payload: bytes), offset < 1 << 62
            else { return nil }
            entries.append((offset, header))
        }
        return payload.readableBytes == 4 ? entries : nil
    }
}
