// Numbers of the flow file: magic numbers, sizes, offsets, limits. docs/flow-file-format.md is the specification, this file and
// BlockHeader.swift are its mirror. Everything is little-endian.

import FlowModel
import HTTPSemantics
import NIOCore

/// Magic numbers, sizes and limits.
enum ArchiveFormat {
    /// Skippable frames of LZ4: sixteen magic numbers are reserved for users; the other ones are skipped.
    static let segmentMagic: UInt32 = 0x184D_2A50
    static let blockMagic: UInt32 = 0x184D_2A51
    static let indexMagic: UInt32 = 0x184D_2A52
    static let footerMagic: UInt32 = 0x184D_2A53
    static let skippableMagics: ClosedRange<UInt32> = 0x184D_2A50...0x184D_2A5F

    /// `mflow` CR LF SUB: a transfer that changes line ends breaks it.
    static let signature: [UInt8] = [0x6D, 0x66, 0x6C, 0x6F, 0x77, 0x0D, 0x0A, 0x1A]
    /// Marks a block header, so that reading can continue after damage.
    static let blockMarker: [UInt8] = [0x8B, 0x6D, 0x66, 0x62, 0x6C, 0x6B, 0xF3, 0x0A]

    static let version: UInt16 = 1

    /// Bytes of a frame's magic number and length.
    static let frameHeader = 8
    /// Bytes of a segment header's payload, and the most that a later version may use.
    static let segmentPayload = 24
    static let maximumSegmentPayload = 4096
    /// Bytes of a block header's payload without the table of content chunks and the checksum.
    static let blockFixed = 152
    /// Bytes of 0 at its end. The first writers put a filter of hosts there.
    static let blockReserved = 64
    /// Bytes of the list of hosts in a block header.
    static let maximumHosts = 4096
    static let footerPayload = 36
    /// Bytes of an index's payload before its entries.
    static let indexFixed = 20

    /// Limit of the decompressed records, and of the decompressed details, of a block. A writer stays far below; a reader allocates no more.
    static let maximumMetadata = 32 * 1024 * 1024
    /// Decompressed bytes of every content chunk but the last of a block.
    static let contentChunk = 256 * 1024
    /// Chunks of one block: 64 MiB of content.
    static let maximumChunks = 256
    static let maximumHeaderPayload = blockFixed + 8 * maximumChunks + 2 + maximumHosts + 4
    /// The longest possible block, with its header and all frames.
    static let maximumBlock =
        frameHeader + maximumHeaderPayload + 2 * (maximumMetadata + LZ4Frame.maximumOverhead)
        + maximumChunks * (contentChunk + LZ4Frame.maximumOverhead)
    /// Blocks in one index frame. A long segment has several, and each has the offset of the preceding one.
    static let indexedBlocks = 4096
    static let maximumIndexPayload = indexFixed + indexedBlocks * (8 + frameHeader + maximumHeaderPayload) + 4

    /// Largest payload of a skippable frame of another program.
    static let maximumForeignFrame = 16 * 1024 * 1024

    /// The largest head or trailer section, and the largest certificate.
    static let maximumHead = 8 * 1024 * 1024
    static let maximumCertificate = 256 * 1024
    /// The longest error, comment or tag, and the most tags of a flow; a writer cuts off the rest.
    static let maximumText = 32 * 1024
    static let maximumTags = 256
    /// Certificates that a writer refers back to, and a reader keeps: their count, and their bytes together.
    static let maximumCertificates = 4096
    static let maximumCertificateBytes = 16 * 1024 * 1024
    /// A message in several pieces is joined up to this size.
    static let maximumMessage = 1024 * 1024 * 1024
}

/// The frame that begins a segment. A file is one or more segments.
struct SegmentHeader: Equatable {
    var versionNeeded = ArchiveFormat.version
    var versionWritten = ArchiveFormat.version
    /// When the segment was begun. Its blocks repeat this as the segment's name.
    var created: Timestamp

    init(created: Timestamp) { self.created = created }

    func write(into out: inout ByteBuffer) {
        var payload = ByteBuffer(bytes: ArchiveFormat.signature)
        payload.writeMultipleIntegers(versionNeeded, versionWritten, created.nanoseconds, endianness: .little)
        payload.writeInteger(xxHash32(payload), endianness: .little)
        out.writeMultipleIntegers(ArchiveFormat.segmentMagic, UInt32(payload.readableBytes), endianness: .little)
        out.writeBuffer(&payload)
    }

    /// Returns nil when it is not a segment header or its checksum is wrong. A later version may insert fields before the checksum.
    init?(payload: ByteBuffer) {
        guard payload.readableBytes >= ArchiveFormat.segmentPayload, payload.hasRightChecksum else { return nil }
        var payload = payload
        guard payload.readBytes(length: 8) == ArchiveFormat.signature,
            let numbers = payload.readMultipleIntegers(endianness: .little, as: (UInt16, UInt16, Int64).self)
        else { return nil }
        versionNeeded = numbers.0
        versionWritten = numbers.1
        created = Timestamp(nanoseconds: numbers.2)
    }
}

/// Ends a segment that was closed in order: has the offset of its last index and its length.
struct Footer: Equatable {
    var segment: Timestamp
    /// Offset of the last index frame, and of the footer's own frame, from the segment's first byte.
    var index: UInt64
    var length: UInt64

    init(segment: Timestamp, index: UInt64, length: UInt64) {
        self.segment = segment
        self.index = index
        self.length = length
    }

    func write(into out: inout ByteBuffer) {
        var payload = ByteBuffer(bytes: ArchiveFormat.signature)
        payload.writeMultipleIntegers(segment.nanoseconds, index, length, endianness: .little)
        payload.writeInteger(xxHash32(payload), endianness: .little)
        out.writeMultipleIntegers(ArchiveFormat.footerMagic, UInt32(payload.readableBytes), endianness: .little)
        out.writeBuffer(&payload)
    }

    init?(payload: ByteBuffer) {
        guard payload.readableBytes == ArchiveFormat.footerPayload, payload.hasRightChecksum else { return nil }
        var payload = payload
        guard payload.readBytes(length: 8) == ArchiveFormat.signature,
            let numbers = payload.readMultipleIntegers(endianness: .little, as: (Int64, UInt64, UInt64).self),
            numbers.1 <= numbers.2
        else { return nil }
        self.init(segment: Timestamp(nanoseconds: numbers.0), index: numbers.1, length: numbers.2)
    }
}

extension ByteBuffer {
    /// Whether the last four bytes are the XXH32 of those before them.
    var hasRightChecksum: Bool {
        guard readableBytes >= 4 else { return false }
        return getInteger(at: writerIndex - 4, endianness: .little) == xxHash32(slice(0, readableBytes - 4))
    }
}

/// Codes of methods in a record and in the set of a block header; other methods are 0.
enum MethodCode {
    private static let names: [StaticString] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
    /// The method of each code; that of 0 is empty.
    static let methods: [ByteBuffer] = [ByteBuffer()] + names.map { ByteBuffer(staticString: $0) }

    /// - Parameter range: the method in the bytes.
    static func code(_ bytes: ByteBuffer, _ range: ByteRange) -> UInt8 {
        for index in names.indices where bytes.equals(range, names[index]) { return UInt8(index + 1) }
        return 0
    }
}

/// The type byte of a record.
enum RecordType {
    static let client: UInt8 = 1
    static let server: UInt8 = 2
    static let certificate: UInt8 = 3
    static let flow: UInt8 = 4
    static let tombstone: UInt8 = 5
    /// Bytes of a record's length and type, and three of 0. A flow's record has other fields after the type.
    static let prefix = 8
}

/// Offsets in the prefix of a flow's record, from the record's first byte.
enum FlowPrefix {
    static let length = 0  // u32: bytes of the record
    static let type = 4  // u8
    static let flags = 5  // u8
    static let kind = 6  // u8
    static let state = 7  // u8
    static let idHigh = 8  // u64
    static let idLow = 16  // u64
    static let started = 24  // i64: time of the part's first event
    static let ended = 32  // i64: time of its last event
    static let status = 40  // u16
    static let method = 42  // u8: MethodCode
    static let version = 43  // u8: of the request, major version × 16 + minor
    static let port = 44  // u16: of the target
    static let textAt = 46  // u16: offset of the texts; a later version may insert fields before them
    static let part = 48  // u32: parts of the flow before this one
    static let client = 52  // u32: offset of the client's record in the records, plus one; 0 without one
    static let server = 56  // u32
    static let stream = 60  // u32
    static let detailsAt = 64  // u32: the part's items: offset in the details, bytes
    static let detailsLength = 68  // u32
    static let contentAt = 72  // u32: the part's content: offset in the block's content, bytes
    static let contentLength = 76  // u32
    static let requestSize = 80  // u64: bytes of the part's data pieces from the client
    static let responseSize = 88  // u64
    static let pieces = 96  // u32
    static let messages = 100  // u32: those of the pieces that are not data
    static let textLengths = 104  // 7 × u32: scheme, host, method, authority, target, error, comment
    static let requestFieldsAt = 132  // u32: the field lines: offset in the part's items
    static let requestFieldsLength = 136  // u32
    static let responseFieldsAt = 140  // u32
    static let responseFieldsLength = 144  // u32
    static let reserved = 148  // u32: 0
    static let size = 152

    static let isFirst: UInt8 = 1
    static let isLast: UInt8 = 2
    static let isWebSocket: UInt8 = 4
    static let hasError: UInt8 = 8
    static let hasComment: UInt8 = 16
    static let hasRequest: UInt8 = 32
    static let isTagged: UInt8 = 64
    static let hasLocalReply: UInt8 = 128

    /// One of the texts.
    enum Text: Int {
        case scheme = 0
        case host, method, authority, target, error, comment
    }
}

/// Tags of the items in the details. An item is tag, zigzag nanoseconds since the item before it, length, content.
enum ItemTag {
    static let request: UInt8 = 1
    static let interim: UInt8 = 2
    static let response: UInt8 = 3
    static let piece: UInt8 = 4
    static let trailers: UInt8 = 5
    static let finished: UInt8 = 6
    static let ended: UInt8 = 7
    static let note: UInt8 = 8
    static let malformed: UInt8 = 9
    static let localReply: UInt8 = 10
}

/// Bits of an ``ItemTag/ended`` item.
enum EndedFlag {
    static let isReset: UInt8 = 1
    static let hasCloser: UInt8 = 2
    static let closedByServer: UInt8 = 4
    static let isPassthrough: UInt8 = 8
    static let hasBlame: UInt8 = 16
    static let blamesServer: UInt8 = 32
}
