// The details and the content of one block: where they are, and the parts of them that were decompressed last. Flows keep a reference, so
// their heads and bodies can be fetched long after the reader has left the block.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore
import Synchronization

/// Details, bodies, messages and stream data of a block. Shared by the flows that have a part in it.
final class BlockSource: Sendable {
    enum Place: Sendable {
        /// The frames after the records.
        case memory(ByteBuffer)
        /// Their offset in a file.
        case file(ArchiveFile, UInt64)
    }

    private struct Kept {
        var details: ByteBuffer?
        /// The chunk that was decompressed last: flows are read in the order in which they were written.
        var chunk: (index: Int, bytes: ByteBuffer)?
        var isDamaged = false
        /// Flows whose content was fetched and is damaged.
        var damagedContents: Set<FlowID> = []
        /// Nanoseconds that frames of this block took, if they are measured.
        var spent: Int64 = 0
    }

    /// The frames that are fetched later.
    private enum FrameKind {
        case details
        case content
    }

    private let place: Place
    private let detailsFrame: Int
    private let detailsSize: Int
    private let chunks: [BlockHeader.Chunk]
    private let damage: ArchiveDamage
    private let kept = Mutex(Kept())
    /// nil: nothing is counted.
    private let meter: ReadingMeter?

    init(place: Place, header: BlockHeader, blockOffset: UInt64, meter: ReadingMeter? = nil) {
        self.place = place
        self.meter = meter
        detailsFrame = Int(header.detailsFrame)
        detailsSize = Int(header.detailsSize)
        chunks = header.chunks
        damage = ArchiveDamage(block: header, offset: blockOffset)
    }

    /// The damage that was found when details or content were fetched.
    var foundDamage: ArchiveDamage? {
        let (isDamaged, flows) = kept.withLock { ($0.isDamaged, $0.damagedContents.count) }
        if isDamaged { return damage }
        guard flows > 0 else { return nil }
        var found = damage
        found.kind = .content(flows: flows)
        found.records = nil
        return found
    }

    /// Notes that content of a flow is damaged.
    func noteDamagedContent(of flow: FlowID) { _ = kept.withLock { $0.damagedContents.insert(flow) } }

    /// The items of a part of a flow.
    /// - Throws: `damagedContent` when the block's details are damaged or end earlier.
    func details(at offset: Int, count: Int) throws(ArchiveError) -> ByteBuffer {
        guard count > 0 else { return ByteBuffer() }
        let all = try allDetails()
        guard offset <= all.readableBytes, count <= all.readableBytes - offset else { throw damaged("details") }
        return all.slice(offset, count)
    }

    /// The items of all parts in the block.
    /// - Throws: `damagedContent` when they are damaged, or there are none.
    func allDetails() throws(ArchiveError) -> ByteBuffer {
        if let details = kept.withLock({ $0.details }) { return details }
        guard detailsSize > 0, let details = try decompressed(.details, at: 0, count: detailsFrame, size: detailsSize) else {
            throw damaged("details")
        }
        kept.withLock { $0.details = details }
        return details
    }

    /// Bytes of the block's content.
    /// - Throws: `damagedContent` when a chunk is damaged or the content ends earlier.
    func content(at offset: UInt64, count: UInt64) throws(ArchiveError) -> ByteBuffer {
        guard count > 0 else { return ByteBuffer() }
        let chunkSize = UInt64(ArchiveFormat.contentChunk)
        let end = offset.addingReportingOverflow(count)
        guard !end.overflow, end.partialValue <= chunkSize * UInt64(chunks.count) else { throw damaged("content") }
        let first = offset / chunkSize
        let last = (end.partialValue - 1) / chunkSize
        var joined = ByteBuffer()
        for index in first...last {
            let bytes = try chunk(Int(index))
            let from = index == first ? Int(offset - first * chunkSize) : 0
            let to = index == last ? Int(end.partialValue - last * chunkSize) : bytes.readableBytes
            guard from <= to, to <= bytes.readableBytes else { throw damaged("content") }
            if first == last { return bytes.slice(from, to - from) }
            joined.writeImmutableBuffer(bytes.slice(from, to - from))
        }
        return joined
    }

    /// One chunk, decompressed and checked.
    private func chunk(_ index: Int) throws(ArchiveError) -> ByteBuffer {
        if let last = kept.withLock({ $0.chunk }), last.index == index { return last.bytes }
        var offset = detailsFrame
        for chunk in chunks[..<index] { offset += Int(chunk.frame) }
        let (frame, size) = (Int(chunks[index].frame), Int(chunks[index].size))
        guard let bytes = try decompressed(.content, at: offset, count: frame, size: size) else { throw damaged("content") }
        kept.withLock { $0.chunk = (index, bytes) }
        return bytes
    }

    /// A frame, decompressed and checked; nil when it is damaged.
    private func decompressed(
        _ kind: FrameKind, at offset: Int, count: Int, size: Int
    ) throws(ArchiveError) -> ByteBuffer? {
        guard let meter else { return decodeLZ4Frame(try frame(at: offset, count: count), size: size) }
        let begin = meter.now
        let stored = try frame(at: offset, count: count)
        let read = meter.now
        let bytes = decodeLZ4Frame(stored, size: size)
        let end = meter.now
        if meter.isTimed { kept.withLock { $0.spent += end - begin } }
        meter.add { totals in
            totals.reading += read - begin
            totals.decompressing += end - read
            switch kind {
            case .details: totals.detailFrames.note(stored: count, bytes: size)
            case .content: totals.contentChunks.note(stored: count, bytes: size)
            }
        }
        return bytes
    }

    /// Nanoseconds that frames of this block took so far; 0 if they are not measured.
    var spent: Int64 { kept.withLock { $0.spent } }

    /// Frees the details, of a block with parts of flows: a flow may have parts in many.
    func forgetDetails() { kept.withLock { $0.details = nil } }

    /// Frees the chunk that was decompressed last.
    func forgetChunk() { kept.withLock { $0.chunk = nil } }

    static let detailsFault = "details damaged"

    /// Checks everything.
    /// - Returns: descriptions of the damage.
    func faults() throws(ArchiveError) -> [String] {
        var faults: [String] = []
        if detailsSize > 0, decodeLZ4Frame(try frame(at: 0, count: detailsFrame), size: detailsSize, isThorough: true) == nil {
            faults.append(Self.detailsFault)
        }
        var offset = detailsFrame
        for (index, chunk) in chunks.enumerated() {
            if decodeLZ4Frame(try frame(at: offset, count: Int(chunk.frame)), size: Int(chunk.size), isThorough: true) == nil {
                faults.append("content chunk \(index) damaged")
            }
            offset += Int(chunk.frame)
        }
        return faults
    }

    private func frame(at offset: Int, count: Int) throws(ArchiveError) -> ByteBuffer {
        switch place {
        case .memory(let bytes): bytes.slice(offset, count)
        case .file(let file, let start): try file.read(at: start + UInt64(offset), count: count)
        }
    }

    private func damaged(_ what: String) -> ArchiveError {
        if what == "details" { kept.withLock { $0.isDamaged = true } }
        return contentError("the \(what) of the block at offset \(damage.offset) cannot be read; other blocks can")
    }

    /// An error about damage in this block.
    func contentError(_ text: String) -> ArchiveError { ArchiveError(.damagedContent, text, damage: damage) }
}
