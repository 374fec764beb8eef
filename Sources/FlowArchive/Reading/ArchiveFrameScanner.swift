// Scans the frames of a flow file. Bytes that are not a frame are skipped up to the next block or segment header, and reported.

import FlowModel
import FlowRecords
import NIOCore

/// One frame of the file, or damage.
enum ArchiveFrame {
    case segment(SegmentHeader)
    /// A block's header. Its other frames follow completely; the caller skips them. The offset is that of the header's frame.
    case block(BlockHeader, offset: UInt64)
    /// An index, a footer, or a skippable frame of another program: its magic number and length.
    case other(magic: UInt32, length: UInt64)
    case damage(ArchiveDamage)
}

struct ArchiveFrameScanner {
    let input: ArchiveInput
    /// The current segment.
    private(set) var segment: Timestamp?
    /// Where the damage began that is being skipped, and whether it is a block without its end.
    private var damage: (start: UInt64, isTorn: Bool)?

    init(input: ArchiveInput) { self.input = input }

    var offset: UInt64 { input.offset }

    /// How far an input that does not begin with a header is searched for one.
    private static let searchedBeginning = 1024 * 1024

    /// - Parameter isStrict: accepts only an intact beginning.
    /// - Throws: `notAFlowFile` when the input does not begin with a segment header and has no block header near its beginning. An empty
    ///   input is a flow file.
    func checkBeginning(isStrict: Bool) throws(ArchiveError) {
        let needed = ArchiveFormat.frameHeader + ArchiveFormat.segmentPayload
        guard let start = try input.peekUpTo(needed), start.readableBytes > 0 else { return }
        var expected = ByteBuffer()
        SegmentHeader(created: Timestamp(nanoseconds: 0)).write(into: &expected)
        if start.readableBytes < needed {
            // A recorder that was killed at once leaves the beginning of the header.
            let count = min(start.readableBytes, 16)
            if start.slice(0, count) == expected.slice(0, count) { return }
        } else if let length = start.getInteger(at: start.readerIndex + 4, endianness: .little, as: UInt32.self),
            start.slice(0, 4) == expected.slice(0, 4), Int(length) <= ArchiveFormat.maximumSegmentPayload,
            let frame = try input.peekUpTo(ArchiveFormat.frameHeader + Int(length)),
            let header = SegmentHeader(payload: frame.slice(8, Int(length)))
        {
            return try check(header)
        }
        if !isStrict, try findHeader(from: 1, within: Self.searchedBeginning, matching: { _ in true }) != nil { return }
        guard let other = OtherFormat(sniffing: start) else {
            throw ArchiveError(.notAFlowFile, "\(input.path) is not a flow file: it does not begin as one")
        }
        let advice = other.advice(for: input.isNamed ? input.path : nil)
        throw ArchiveError(.notAFlowFile, "\(input.path) begins like \(other.name), not like a flow file; \(advice)")
    }

    private func check(_ header: SegmentHeader) throws(ArchiveError) {
        guard header.versionNeeded > ArchiveFormat.version else { return }
        let versions = "version \(header.versionNeeded) of the flow file; this program reads up to version \(ArchiveFormat.version)"
        throw ArchiveError(.version(header.versionNeeded), "\(input.path) needs \(versions): use a later one")
    }

    /// The next frame.
    /// - Returns: nil at the end, and when the rest of a frame is missing (for now).
    mutating func next() throws(ArchiveError) -> ArchiveFrame? {
        while true {
            switch try look() {
            case .frame(let frame, let length):
                if let damage = endDamage() { return .damage(damage) }
                switch frame {
                case .segment(let header):
                    try check(header)
                    segment = header.created
                case .block(let header, _):
                    segment = header.segment
                case .other, .damage:
                    break
                }
                input.skip(length)
                return frame
            case .incomplete:
                return nil
            case .nothing(let isTorn):
                if damage == nil { damage = (input.offset, isTorn) }
                guard try resynchronise() else { return nil }
            }
        }
    }

    /// Skips the frames after a block's header.
    mutating func skipFrames(of header: BlockHeader) { input.skip(header.bodyLength) }

    /// The input has ended within a frame: searches for later headers, which a concatenation of files has.
    /// - Returns: false when nothing was left.
    mutating func giveUpIncomplete() throws(ArchiveError) -> Bool {
        guard try input.remaining() > 0 else { return false }
        if damage == nil { damage = (input.offset, true) }
        while try resynchronise() {
            // A header of a block that is not complete does not count.
            if case .frame = try look() { return true }
        }
        input.skip(Int(clamping: try input.remaining()))
        return true
    }

    /// Ends a stretch of damage at the current offset.
    mutating func endDamage() -> ArchiveDamage? {
        guard let (start, isTorn) = damage else { return nil }
        damage = nil
        return ArchiveDamage(isTorn ? .tornTail : .damaged, offset: start, length: input.offset - start)
    }

    // MARK: One frame

    private enum Look {
        /// A whole frame and its length; of a block the length of the header only.
        case frame(ArchiveFrame, Int)
        case incomplete
        /// Not a frame of a flow file, or (torn) a block without its frames.
        case nothing(isTorn: Bool)
    }

    /// The frame at the current offset.
    private mutating func look() throws(ArchiveError) -> Look {
        guard let head = try input.peek(ArchiveFormat.frameHeader),
            let (magic, size) = head.getMultipleIntegers(at: head.readerIndex, endianness: .little, as: (UInt32, UInt32).self)
        else { return .incomplete }
        guard let limit = Self.limit(magic), size <= limit else { return .nothing(isTorn: false) }
        let total = ArchiveFormat.frameHeader + Int(size)
        switch magic {
        case ArchiveFormat.segmentMagic:
            guard let bytes = try input.peek(total) else { return .incomplete }
            guard let header = SegmentHeader(payload: bytes.slice(8, Int(size))) else { return .nothing(isTorn: false) }
            return .frame(.segment(header), total)
        case ArchiveFormat.blockMagic:
            guard let bytes = try input.peek(total) else { return .incomplete }
            guard let header = BlockHeader(payload: bytes.slice(8, Int(size))) else { return .nothing(isTorn: false) }
            return try look(header, total)
        default:
            // While damage is skipped, only frames with a checksum of the format count.
            guard damage == nil else { return .nothing(isTorn: false) }
            guard try input.has(total) else { return .incomplete }
            if magic == ArchiveFormat.indexMagic || magic == ArchiveFormat.footerMagic {
                let payload = try input.peek(total)?.slice(8, Int(size)) ?? ByteBuffer()
                let isRight =
                    magic == ArchiveFormat.indexMagic ? ArchiveIndex.parse(payload) != nil : Footer(payload: payload) != nil
                guard isRight else { return .nothing(isTorn: true) }
            }
            return .frame(.other(magic: magic, length: UInt64(total)), total)
        }
    }

    /// The largest payload of a frame with this magic number; nil for any other number.
    private static func limit(_ magic: UInt32) -> UInt32? {
        switch magic {
        case ArchiveFormat.segmentMagic: UInt32(ArchiveFormat.maximumSegmentPayload)
        case ArchiveFormat.blockMagic: UInt32(ArchiveFormat.maximumHeaderPayload)
        case ArchiveFormat.indexMagic: UInt32(ArchiveFormat.maximumIndexPayload)
        case ArchiveFormat.footerMagic: UInt32(ArchiveFormat.footerPayload)
        case ArchiveFormat.skippableMagics: UInt32(ArchiveFormat.maximumForeignFrame)
        default: nil
        }
    }

    private func look(_ header: BlockHeader, _ total: Int) throws(ArchiveError) -> Look {
        guard try input.has(total + header.bodyLength) else { return .incomplete }
        let frame = ArchiveFrame.block(header, offset: input.offset)
        // A block is not held back when nothing follows it for a while.
        let isLast = input.available < total + header.bodyLength + 4 && input.wouldWait
        if isLast, try isIntact(header, at: total) { return .frame(frame, total) }
        // After a block there is a frame or nothing. Otherwise this block or what follows is damaged.
        guard let next = try input.bytes(at: total + header.bodyLength, count: 4),
            let magic: UInt32 = next.getInteger(at: next.readerIndex, endianness: .little), Self.limit(magic) == nil
        else { return .frame(frame, total) }
        return try isIntact(header, at: total) ? .frame(frame, total) : .nothing(isTorn: true)
    }

    /// Whether all frames of a block, which begin at a distance from the current offset, are intact.
    private func isIntact(_ header: BlockHeader, at distance: Int) throws(ArchiveError) -> Bool {
        var distance = distance
        var frames = [(header.recordsFrame, header.recordsSize)]
        if header.detailsSize > 0 { frames.append((header.detailsFrame, header.detailsSize)) }
        frames += header.chunks.map { ($0.frame, $0.size) }
        for (length, size) in frames {
            guard let bytes = try input.bytes(at: distance, count: Int(length)),
                decodeLZ4Frame(bytes, size: Int(size), isThorough: true) != nil
            else { return false }
            distance += Int(length)
        }
        return true
    }

    // MARK: After damage

    /// Moves on to the next header of a block or a segment.
    /// - Returns: false when no header was found; the input is then close to its end.
    private mutating func resynchronise() throws(ArchiveError) -> Bool {
        input.skip(1)
        let segment = segment
        guard let found = try findHeader(from: 0, within: Int.max, matching: { _ in true }) else { return false }
        if let segment, found.segment != segment, input.file != nil {
            // A recorded body may be a flow file itself. Its headers precede the next block of this segment. A pipe cannot be searched that
            // far ahead.
            let limit = ArchiveFormat.maximumBlock
            if let own = try findHeader(from: found.distance, within: limit, matching: { $0 == segment }) {
                input.skip(own.distance)
                return true
            }
        }
        input.skip(found.distance)
        return true
    }

    /// Searches for a header with a right checksum.
    /// - Parameter within: the limit of the search. Without one, searched bytes of a pipe are skipped, and the offset moves.
    /// - Returns: its distance from the current offset, and its segment.
    private func findHeader(
        from: Int, within: Int, matching: (Timestamp) -> Bool
    ) throws(ArchiveError) -> (distance: Int, segment: Timestamp)? {
        let chunk = 64 * 1024
        let marked = 16
        var distance = from
        while distance < within {
            if within == .max, input.file == nil {
                // Searched bytes of a pipe are not needed again.
                input.skip(min(distance, input.available))
                distance = 0
            }
            guard let bytes = try input.bytesUpTo(at: distance, count: chunk), bytes.readableBytes >= marked else { return nil }
            let span = bytes.readableBytesUInt8Span
            for i in 0...(span.count - marked) where span[i + 1] == 0x2A && span[i + 2] == 0x4D && span[i + 3] == 0x18 {
                if let segment = try header(at: distance + i, bytes.slice(i, marked)), matching(segment) {
                    return (distance + i, segment)
                }
            }
            if span.count < chunk {
                if within == .max { input.skip(distance + span.count - marked + 1) }
                return nil
            }
            distance += span.count - marked + 1
        }
        return nil
    }

    /// The segment of a header at a distance; nil without a valid header.
    private func header(at distance: Int, _ beginning: ByteBuffer) throws(ArchiveError) -> Timestamp? {
        guard
            let (magic, size) = beginning.getMultipleIntegers(
                at: beginning.readerIndex, endianness: .little, as: (UInt32, UInt32).self), let limit = Self.limit(magic),
            size <= limit
        else { return nil }
        let marker = beginning.slice(8, 8).readableBytesView
        if magic == ArchiveFormat.segmentMagic, marker.elementsEqual(ArchiveFormat.signature) {
            guard let payload = try input.bytes(at: distance + 8, count: Int(size)) else { return nil }
            return SegmentHeader(payload: payload)?.created
        }
        if magic == ArchiveFormat.blockMagic, marker.elementsEqual(ArchiveFormat.blockMarker) {
            guard let payload = try input.bytes(at: distance + 8, count: Int(size)) else { return nil }
            return BlockHeader(payload: payload)?.segment
        }
        return nil
    }
}
