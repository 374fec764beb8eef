// Walks the frames of a flow file. Bytes that are no frame are passed over up to the next block or segment header, and told.

import FlowModel
import NIOCore

/// What stands at a place of the file.
enum ArchiveFrame {
    case segment(SegmentHeader)
    /// A block's header; its metadata and content frames follow. The offset is that of the header's frame. `isWhole` is false when
    /// what stands behind the block is no frame, so that its content cannot be trusted to be there.
    case block(BlockHeader, offset: UInt64, isWhole: Bool)
    case index(UInt64)
    case footer(UInt64)
    /// A skippable frame of somebody else, of so many bytes.
    case other(UInt64)
    case damage(ArchiveDamage)
}

struct FrameWalker {
    let input: ArchiveInput
    /// Where bytes began to make no sense, while they are being passed over.
    private var damageStart: UInt64?

    init(input: ArchiveInput) { self.input = input }

    var offset: UInt64 { input.offset }

    /// - Throws: `notAFlowFile` when the input does not begin with a segment header. An empty one does.
    func checkBeginning(path: String) throws(ArchiveError) {
        let needed = ArchiveFormat.frameHeader + ArchiveFormat.segmentPayload
        // As much of the header as is there.
        var start = try input.peek(1)
        for count in [16, needed] { if let more = try input.peek(count) { start = more } }
        guard let start else { return }
        if start.readableBytes < 16 {
            // What a recorder that was killed at once leaves is a beginning of the header.
            var header = ByteBuffer()
            SegmentHeader(created: Timestamp(nanoseconds: 0)).write(into: &header)
            guard header.slice(0, start.readableBytes) != start else { return }
        } else if start.getInteger(at: start.readerIndex, endianness: .little) == ArchiveFormat.segmentMagic,
            start.slice(8, 8) == ByteBuffer(bytes: ArchiveFormat.signature)
        {
            if start.readableBytes >= needed, let header = SegmentHeader(payload: start.slice(8, ArchiveFormat.segmentPayload)),
                header.versionNeeded > ArchiveFormat.version
            {
                throw ArchiveError(
                    .version(header.versionNeeded),
                    "\(path) was written in version \(header.versionNeeded) of the flow file; this program reads up to \(ArchiveFormat.version), take a newer one"
                )
            }
            return
        }
        throw ArchiveError(.notAFlowFile, "\(path) is not a flow file: it does not begin as one; nothing was changed")
    }

    /// The next frame.
    /// - Returns: nil at the end, and where the rest of a frame is not there (yet).
    mutating func next() throws(ArchiveError) -> ArchiveFrame? {
        while true {
            guard let head = try input.peek(ArchiveFormat.frameHeader) else { return nil }
            let magic: UInt32 = head.getInteger(at: head.readerIndex, endianness: .little)!
            let size: UInt32 = head.getInteger(at: head.readerIndex + 4, endianness: .little)!
            switch try frame(magic, Int(size)) {
            case .frame(let frame)?:
                if let start = damageStart {
                    damageStart = nil
                    return .damage(ArchiveDamage(.damaged, offset: start, length: input.offset - start))
                }
                return consume(frame, Int(size))
            case .incomplete?:
                return nil
            case nil:
                if damageStart == nil { damageStart = input.offset }
                try resynchronise()
            }
        }
    }

    /// What is left when the input has ended in the middle of something.
    mutating func leftover() throws(ArchiveError) -> ArchiveDamage? {
        let rest = try input.remaining()
        if let start = damageStart {
            damageStart = nil
            return ArchiveDamage(.damaged, offset: start, length: input.offset + rest - start)
        }
        return rest > 0 ? ArchiveDamage(.tornTail, offset: input.offset, length: rest) : nil
    }

    /// Passes over what follows a block's header.
    /// - Parameter isWhole: otherwise its content is looked through for the next header.
    mutating func skipFrames(of header: BlockHeader, isWhole: Bool) {
        if isWhole {
            input.skip(Int(header.metadataFrame) + Int(header.contentFrames))
        } else {
            damageStart = input.offset
        }
    }

    // MARK: One frame

    private enum Look {
        case frame(ArchiveFrame)
        case incomplete
    }

    /// What the frame at the current offset is; nil when it is none of a flow file.
    private func frame(_ magic: UInt32, _ size: Int) throws(ArchiveError) -> Look? {
        guard ArchiveFormat.skippableMagics.contains(magic) else { return nil }
        let total = ArchiveFormat.frameHeader + size
        switch magic {
        case ArchiveFormat.segmentMagic:
            guard size >= ArchiveFormat.segmentPayload, size < 4096 else { return nil }
            guard let bytes = try input.peek(total) else { return .incomplete }
            return SegmentHeader(payload: bytes.slice(8, size)).map { .frame(.segment($0)) }
        case ArchiveFormat.blockMagic:
            guard size > ArchiveFormat.blockFixed, size <= ArchiveFormat.maximumHeaderPayload else { return nil }
            guard let bytes = try input.peek(total) else { return .incomplete }
            guard let header = BlockHeader(payload: bytes.slice(8, size)) else { return nil }
            let block = total + Int(header.metadataFrame) + Int(header.contentFrames)
            guard try input.has(block) else { return .incomplete }
            let next: UInt32? = try input.bytes(at: block, count: 4)?.getInteger(at: 0, endianness: .little)
            let isWhole = next.map { ArchiveFormat.skippableMagics.contains($0) } ?? true
            return .frame(.block(header, offset: input.offset, isWhole: isWhole))
        default:
            // An index repeats what the headers say, and a reader that walks does not need it; its size is checked against what is there.
            guard try input.has(total) else { return damageStart == nil ? .incomplete : nil }
            return .frame(
                magic == ArchiveFormat.indexMagic
                    ? .index(UInt64(total)) : magic == ArchiveFormat.footerMagic ? .footer(UInt64(total)) : .other(UInt64(total)))
        }
    }

    private func consume(_ frame: ArchiveFrame, _ size: Int) -> ArchiveFrame {
        input.skip(ArchiveFormat.frameHeader + size)
        return frame
    }

    /// Moves on to the next bytes that could be the header of a block or a segment.
    private func resynchronise() throws(ArchiveError) {
        input.skip(1)
        while true {
            let available = max(16, min(64 * 1024, Int(clamping: try input.remaining())))
            var found = try input.peek(available)
            if found == nil { found = try input.peek(16) }
            // Fewer than a header's first bytes are left.
            guard let bytes = found else { return }
            let span = bytes.readableBytesUInt8Span
            for i in 0...(span.count - 16) where span[i + 1] == 0x2A && span[i + 2] == 0x4D && span[i + 3] == 0x18 {
                let marker = bytes.slice(i + 8, 8)
                if marker == ByteBuffer(bytes: ArchiveFormat.blockMarker) || marker == ByteBuffer(bytes: ArchiveFormat.signature) {
                    return input.skip(i)
                }
            }
            input.skip(span.count - 15)
        }
    }
}
