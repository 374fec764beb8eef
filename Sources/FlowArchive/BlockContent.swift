// The content of one block, decompressed part by part when it is asked for.

import FlowModel
import HTTPSemantics
import NIOCore
import Synchronization

/// Bodies, messages and stream data of a block. Shared by the flows that have a piece in it.
final class BlockContent: Sendable {
    enum Place: Sendable {
        /// The content frames themselves.
        case memory(ByteBuffer)
        /// Where they begin in a file.
        case file(ArchiveFile, UInt64)
    }

    private let place: Place
    private let parts: [(frame: UInt32, size: UInt32)]
    private let blockOffset: UInt64
    /// The part that was decompressed last: flows are read in the order in which they were written.
    private let last = Mutex<(index: Int, bytes: ByteBuffer)?>(nil)

    init(place: Place, header: BlockHeader, blockOffset: UInt64) {
        self.place = place
        self.parts = header.parts
        self.blockOffset = blockOffset
    }

    var count: Int { parts.count }

    /// Bytes of the block's content.
    /// - Throws: `damagedContent` when a part is damaged or the bytes are not there.
    func bytes(at offset: UInt64, count: UInt64) throws(ArchiveError) -> ByteBuffer {
        guard count > 0 else { return ByteBuffer() }
        let partSize = UInt64(ArchiveFormat.contentPart)
        let first = offset / partSize
        let end = offset.addingReportingOverflow(count)
        guard !end.overflow, end.partialValue <= partSize * UInt64(parts.count) else { throw damaged() }
        let last = (end.partialValue - 1) / partSize
        var joined = ByteBuffer()
        for index in first...last {
            let bytes = try part(Int(index))
            let from = index == first ? Int(offset - first * partSize) : 0
            let to = index == last ? Int(end.partialValue - last * partSize) : bytes.readableBytes
            guard from <= to, to <= bytes.readableBytes else { throw damaged() }
            if first == last { return bytes.slice(from, to - from) }
            joined.writeImmutableBuffer(bytes.slice(from, to - from))
        }
        return joined
    }

    /// One part, decompressed and checked.
    func part(_ index: Int) throws(ArchiveError) -> ByteBuffer {
        if let last = last.withLock({ $0 }), last.index == index { return last.bytes }
        var offset: UInt64 = 0
        for part in parts[..<index] { offset += UInt64(part.frame) }
        let frame: ByteBuffer
        switch place {
        case .memory(let bytes): frame = bytes.slice(Int(offset), Int(parts[index].frame))
        case .file(let file, let start): frame = try file.read(at: start + offset, count: Int(parts[index].frame))
        }
        guard let bytes = LZ4FrameDecoder().decode(frame, size: Int(parts[index].size)) else { throw damaged() }
        last.withLock { $0 = (index, bytes) }
        return bytes
    }

    private func damaged() -> ArchiveError {
        ArchiveError(.damagedContent, "the content of the block at offset \(blockOffset) is damaged")
    }
}

/// The pieces of a flow in a file: where each of its parts keeps them.
struct ArchivePieces: FlowPieces {
    struct Segment {
        /// The items of one record.
        var items: ByteBuffer
        var started: Timestamp
        var content: BlockContent
    }

    var segments: [Segment] = []
    var count = 0

    func forEach(_ visit: (Timestamp, FlowPiece) throws -> Bool) throws {
        var begun: FlowPiece?
        for segment in segments {
            var items = ItemReader(segment.items, from: segment.started)
            while let item = try items.next() {
                guard item.tag == ItemTag.piece else { continue }
                let place = try PiecePlace(item.content)
                let content = try segment.content.bytes(at: place.offset, count: place.size)
                var piece =
                    begun
                    ?? FlowPiece(
                        kind: place.kind, from: place.from, content: ByteBuffer(), wireSize: place.wireSize, frames: place.frames)
                if piece.content.readableBytes == 0 { piece.content = content } else { piece.content.writeImmutableBuffer(content) }
                // Data has no boundaries of its own; a message is joined again.
                if place.continues, place.kind != .data {
                    begun = piece
                    continue
                }
                begun = nil
                if place.kind == .data { piece.wireSize = place.size }
                guard try visit(item.at, piece) else { return }
            }
        }
    }
}

/// Where a piece's content stands, and what it is.
struct PiecePlace {
    var kind: FlowPiece.Kind
    var from: Side
    var continues: Bool
    var offset: UInt64
    var size: UInt64
    var wireSize: UInt64
    var frames: UInt32

    init(_ bytes: ByteBuffer) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        let head = try reader.byte()
        guard let kind = FlowPiece.Kind(rawValue: head >> 4), let from = Side(rawValue: head & 1) else { throw MalformedRecord() }
        self.kind = kind
        self.from = from
        continues = head & 4 != 0
        offset = try reader.varint()
        size = try reader.varint()
        wireSize = head & 2 == 0 ? size : try reader.varint()
        frames = head & 2 == 0 ? 1 : UInt32(clamping: try reader.varint())
    }
}

/// Goes through the items of a record.
struct ItemReader {
    private var reader: RecordReader
    private var time: Timestamp

    init(_ items: ByteBuffer, from started: Timestamp) {
        reader = RecordReader(items)
        time = started
    }

    mutating func next() throws(MalformedRecord) -> (tag: UInt8, at: Timestamp, content: ByteBuffer)? {
        guard !reader.isAtEnd else { return nil }
        let tag = try reader.byte()
        time = time.advanced(byNanoseconds: try reader.zigzag())
        return (tag, time, try reader.sized())
    }
}
