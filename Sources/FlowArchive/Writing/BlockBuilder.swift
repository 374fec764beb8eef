// Builds one block: records, details and content in storage that is kept from block to block. Content chunks are compressed as they fill. When
// the block ends, its header is put before it and an entry for the index is kept.

import AgeFormat
import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

/// The current block of a writer.
final class BlockBuilder {
    /// Less content than this is copied after the other frames. The most memory that is reserved for the next block.
    private static let minimumFrames = 64 * 1024
    private static let maximumReserve = 1 << 20
    /// Chunks in a block of the usual size, and one in hand.
    private static let maximumRecycled = 3

    /// The name of the segment.
    let segment: Timestamp
    private let encoder: LZ4FrameEncoder
    private var header = BlockHeader()
    private let records = ByteWriter(capacity: 256 * 1024)
    private let details = ByteWriter(capacity: 256 * 1024)
    /// The content chunk that is being filled, and the frames of those before it: compressed chunks follow each other in the last buffer, one
    /// that did not become smaller is a buffer of its own.
    private var content = ContentChunk()
    private var frames = ScatteredBytes()
    private var compressed = ByteBuffer()
    /// Storage of chunks that may have been written meanwhile.
    private var recycled: [ByteBuffer] = []
    private var contentSize = 0
    private var connections = ConnectionTable()

    /// Bytes of the segment that precede the block.
    private(set) var segmentLength: UInt64 = 0
    /// Offset and header frame of each block that is in no index frame yet, and the offset of the last index frame.
    private var entries = ByteBuffer()
    private var entryCount: UInt32 = 0
    private var lastIndex: UInt64 = 0

    init(segment: Timestamp, compression: ArchiveCompression) {
        self.segment = segment
        encoder = LZ4FrameEncoder(compression)
    }

    /// Bytes of the block so far, before compression.
    var size: Int { records.count + details.count + contentSize }
    var isEmpty: Bool { header.records == 0 }

    /// Begins the first block.
    /// - Parameter length: bytes of the segment header.
    func begin(at length: Int) {
        segmentLength = UInt64(length)
        beginBlock(0)
    }

    /// Puts a flow's record into the block.
    func write(_ record: FlowRecord) {
        let client = connections.place(of: record.client, in: records, &header)
        let server = connections.place(of: record.server, in: records, &header)
        let start = records.count
        record.write(client: client, server: server, itemsAt: details.count, contentAt: contentSize, into: records)
        unsafe header.note(flow: UnsafeRawBufferPointer(rebasing: records.bytes[start...]))
        details.append(record.items)
        unsafe record.withContent { unsafe addContent($0) }
    }

    /// Copies a flow that is whole in another block.
    func write(_ flow: StoredFlow, content: ByteBuffer) {
        let client = connections.place(of: flow.client, in: records, &header)
        let server = connections.place(of: flow.server, in: records, &header)
        let start = records.count
        records.append(flow.record)
        records.set(client, at: start + FlowPrefix.client)
        records.set(server, at: start + FlowPrefix.server)
        records.set(UInt32(details.count), at: start + FlowPrefix.detailsAt)
        records.set(UInt32(contentSize), at: start + FlowPrefix.contentAt)
        unsafe header.note(flow: UnsafeRawBufferPointer(rebasing: records.bytes[start...]))
        details.append(flow.details)
        unsafe content.withUnsafeReadableBytes { unsafe addContent($0) }
    }

    func writeTombstone(_ flow: FlowID) {
        begin(RecordType.tombstone, length: 16)
        records.append(flow.high)
        records.append(flow.low)
    }

    /// Names the segment from which flows continue.
    func writeContinuation(of segment: Timestamp) {
        begin(RecordType.continuation, length: 8)
        records.append(segment.nanoseconds)
    }

    /// Begins a record that is no flow, in a block that readers must not skip.
    private func begin(_ type: UInt8, length: Int) {
        records.append(UInt32(RecordType.prefix + length))
        records.append(type)
        records.append(UInt8(0))
        records.append(UInt16(0))
        header.records += 1
        header.flags |= BlockHeader.holdsPartsFlag
    }

    /// Writes rules of redaction, by which flows of the segment were changed.
    func writeRules(_ rules: [String]) {
        let start = records.count
        records.appendPrefix(RecordType.redactionRules)
        records.appendVarint(UInt64(rules.count))
        for rule in rules { records.appendText(rule) }
        records.set(UInt32(records.count - start), at: start)
        header.records += 1
        header.flags |= BlockHeader.holdsRulesFlag
    }

    private func addContent(_ bytes: UnsafeRawBufferPointer) {
        contentSize += bytes.count
        var offset = 0
        while offset < bytes.count {
            let count = min(ArchiveFormat.contentChunk - content.count, bytes.count - offset)
            unsafe content.append(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]))
            offset += count
            if content.count == ArchiveFormat.contentChunk { endChunk() }
        }
    }

    private func endChunk() {
        let size = UInt32(content.count)
        if let frame = encoder.write(content, into: &compressed) {
            header.chunks.append(BlockHeader.Chunk(frame: UInt32(frame), size: size))
            content.clear()
            return
        }
        endCompressed()
        content.seal()
        header.chunks.append(BlockHeader.Chunk(frame: UInt32(content.bytes.readableBytes), size: size))
        frames.append(content.bytes)
        // Reused when uniquely referenced; otherwise `clear()` allocates a new buffer.
        recycled.append(content.bytes)
        content = ContentChunk(reusing: recycled.count > Self.maximumRecycled ? recycled.removeFirst() : nil)
    }

    private func endCompressed() {
        guard compressed.readableBytes > 0 else { return }
        frames.append(compressed)
        // The next chunks are likely to need as much.
        compressed = ByteBufferAllocator().buffer(capacity: min(compressed.readableBytes, Self.maximumReserve))
    }

    /// Appends the whole block and begins the next one.
    func end(into out: inout ScatteredBytes) {
        if content.count > 0 { endChunk() }
        var front = ByteBuffer()
        // The header comes first and is complete last; its length is known.
        front.writeRepeatingByte(0, count: header.frameLength)
        header.recordsSize = UInt32(records.count)
        header.recordsFrame = UInt32(encoder.write(records, into: &front))
        if details.count > 0 {
            header.detailsSize = UInt32(details.count)
            header.detailsFrame = UInt32(encoder.write(details, into: &front))
        }
        let end = front.writerIndex
        front.moveWriterIndex(to: 0)
        header.write(into: &front)
        entries.writeInteger(segmentLength, endianness: .little)
        entries.writeImmutableBuffer(front.getSlice(at: 0, length: header.frameLength)!)
        entryCount += 1
        front.moveWriterIndex(to: end)
        segmentLength += UInt64(end + frames.count + compressed.readableBytes)
        append(front, to: &out)
        beginBlock(header.sequence + 1)
    }

    private func append(_ front: ByteBuffer, to out: inout ScatteredBytes) {
        if frames.isEmpty, compressed.readableBytes < Self.minimumFrames {
            var front = front
            front.writeBuffer(&compressed)
            compressed.clear()
            return out.append(front)
        }
        endCompressed()
        out.append(front)
        for frame in frames.buffers { out.append(frame) }
        frames = ScatteredBytes()
    }

    private func beginBlock(_ sequence: UInt64) {
        header = BlockHeader()
        header.segment = segment
        header.sequence = sequence
        records.clear()
        details.clear()
        contentSize = 0
        connections.beginBlock(sequence)
    }

    /// Appends a frame that readers skip.
    /// - Parameter count: the bytes that are missing. A frame has at least eight, so for fewer another chunk is filled.
    func writePadding(_ count: Int, into out: inout ScatteredBytes) {
        guard count > 0 else { return }
        let length = count < ArchiveFormat.frameHeader ? count + AgePayload.chunkSize : count
        var frame = ByteBuffer()
        frame.writeMultipleIntegers(
            ArchiveFormat.paddingMagic, UInt32(length - ArchiveFormat.frameHeader), endianness: .little)
        frame.writeRepeatingByte(0, count: length - ArchiveFormat.frameHeader)
        segmentLength += UInt64(length)
        out.append(frame)
    }

    // MARK: The index

    /// Whether an index frame follows the block that was ended.
    var isIndexDue: Bool { Int(entryCount) == ArchiveFormat.indexedBlocks }

    /// An index frame repeats the headers of the blocks since the preceding index frame, and has its offset.
    func writeIndex(into out: inout ScatteredBytes) {
        var payload = ByteBuffer()
        payload.writeMultipleIntegers(segment.nanoseconds, lastIndex, entryCount, endianness: .little)
        payload.writeBuffer(&entries)
        payload.writeInteger(xxHash32(payload), endianness: .little)
        var frame = ByteBuffer()
        frame.writeMultipleIntegers(ArchiveFormat.indexMagic, UInt32(payload.readableBytes), endianness: .little)
        frame.writeBuffer(&payload)
        lastIndex = segmentLength
        segmentLength += UInt64(frame.readableBytes)
        out.append(frame)
        entries.clear()
        entryCount = 0
    }

    /// Bytes of the segment's end.
    var endLength: Int {
        2 * ArchiveFormat.frameHeader + ArchiveFormat.indexFixed + entries.readableBytes + 4 + ArchiveFormat.footerPayload
    }

    /// Ends the segment: the last index and the footer.
    func writeEnd(into out: inout ScatteredBytes) {
        writeIndex(into: &out)
        var footer = ByteBuffer()
        Footer(segment: segment, index: lastIndex, length: segmentLength).write(into: &footer)
        out.append(footer)
    }
}
