// Numbers of the flow file: magic numbers, sizes, offsets, limits. docs/flow-file-format.md is the specification, this file and
// BlockHeader.swift are its mirror. Everything is little-endian.

import FlowModel
import HTTPSemantics
import NIOCore

/// Magic numbers, sizes and limits.
enum ArchiveFormat {
    /// Skippable frames of LZ4 (sixteen magic numbers are reserved for users; the remaining ones are passed over).
    static let segmentMagic: UInt32 = 0x184D_2A50
    static let blockMagic: UInt32 = 0x184D_2A51
    static let indexMagic: UInt32 = 0x184D_2A52
    static let footerMagic: UInt32 = 0x184D_2A53
    static let skippableMagics: ClosedRange<UInt32> = 0x184D_2A50...0x184D_2A5F

    /// `mflow` CR LF SUB: a transfer that meddles with line ends breaks it.
    static let signature: [UInt8] = [0x6D, 0x66, 0x6C, 0x6F, 0x77, 0x0D, 0x0A, 0x1A]
    /// Marks a block header, so that reading can go on behind damage.
    static let blockMarker: [UInt8] = [0x8B, 0x6D, 0x66, 0x62, 0x6C, 0x6B, 0xF3, 0x0A]

    static let version: UInt16 = 1

    /// Bytes of a frame's magic number and length.
    static let frameHeader = 8
    /// Bytes of a segment header's payload, and what a later version may make of it.
    static let segmentPayload = 24
    static let maximumSegmentPayload = 4096
    /// Bytes of a block header's payload without the table of content parts and the checksum.
    static let blockFixed = 152
    /// Bytes of 0 at its end, where the first writers put a filter of hosts.
    static let blockReserved = 64
    /// Bytes of the list of hosts in a block header.
    static let maximumHosts = 4096
    static let footerPayload = 36
    /// Bytes of an index's payload before its entries.
    static let indexFixed = 20

    /// Decompressed records, and decompressed details, of a block. A writer stays far below; a reader allocates no more.
    static let maximumMetadata = 32 * 1024 * 1024
    /// Decompressed bytes of every content part but the last of a block.
    static let contentPart = 256 * 1024
    /// Parts of one block: 64 MiB of content.
    static let maximumParts = 256
    static let maximumHeaderPayload = blockFixed + 8 * maximumParts + 2 + maximumHosts + 4
    /// The longest a block can be: from its header's first byte to its last content frame's last.
    static let maximumBlock =
        frameHeader + maximumHeaderPayload + 2 * (maximumMetadata + LZ4Frame.maximumOverhead)
        + maximumParts * (contentPart + LZ4Frame.maximumOverhead)
    /// Blocks that one index frame tells of; a long segment has several, each of which finds the one before it.
    static let indexedBlocks = 4096
    static let maximumIndexPayload = indexFixed + indexedBlocks * (8 + frameHeader + maximumHeaderPayload) + 4

    /// Payload of a skippable frame of somebody else that is passed over.
    static let maximumForeignFrame = 16 * 1024 * 1024

    /// The largest head or trailer section, and the largest certificate.
    static let maximumHead = 8 * 1024 * 1024
    static let maximumCertificate = 256 * 1024
    /// The longest error, comment or tag, and the most tags of a flow; a writer cuts what is beyond.
    static let maximumText = 32 * 1024
    static let maximumTags = 256
    /// Certificates that a writer refers back to, and a reader keeps: their count, and their bytes together.
    static let maximumCertificates = 4096
    static let maximumCertificateBytes = 16 * 1024 * 1024
    /// A message that was written in several pieces is joined again up to this size.
    static let maximumMessage = 1024 * 1024 * 1024
}

/// The frame that begins a segment. A file is one or more segments.
struct SegmentHeader: Equatable {
    var versionNeeded = ArchiveFormat.version
    var versionWritten = ArchiveFormat.version
    /// When the segment was begun. Each block of it repeats this, as the segment's name.
    var created: Timestamp

    init(created: Timestamp) { self.created = created }

    func write(into out: inout ByteBuffer) {
        var payload = ByteBuffer(bytes: ArchiveFormat.signature)
        payload.writeMultipleIntegers(versionNeeded, versionWritten, created.nanoseconds, endianness: .little)
        payload.writeInteger(xxHash32(payload), endianness: .little)
        out.writeMultipleIntegers(ArchiveFormat.segmentMagic, UInt32(payload.readableBytes), endianness: .little)
        out.writeBuffer(&payload)
    }

    /// nil when it is no segment header or its checksum is wrong. A later version may put more before the checksum.
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

/// Ends a segment that was closed in order: finds its last index and its beginning.
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

/// Codes of the methods that a record and a block header's set tell apart; all others are 0.
enum MethodCode {
    private static let names: [StaticString] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
    /// The method of each code; that of 0 is empty.
    static let methods: [ByteBuffer] = [ByteBuffer()] + names.map { ByteBuffer(staticString: $0) }

    /// - Parameter range: where in the bytes the method stands.
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
    /// Bytes of a record's length and type, with three that are 0; a flow's record goes on in a way of its own behind the type.
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
    static let textAt = 46  // u16: where the text begins; a later version may put more before it
    static let part = 48  // u32: parts of the flow before this one
    static let client = 52  // u32: offset of the client's record in the records, plus one; 0 is none
    static let server = 56  // u32
    static let stream = 60  // u32
    static let detailsAt = 64  // u32: where the part's items are in the details, and how many bytes they have
    static let detailsLength = 68  // u32
    static let contentAt = 72  // u32: where the part's content is in the block's content, and how many bytes it has
    static let contentLength = 76  // u32
    static let requestSize = 80  // u64: bytes of the part's data pieces from the client
    static let responseSize = 88  // u64
    static let pieces = 96  // u32
    static let messages = 100  // u32: those of the pieces that are not data
    static let textLengths = 104  // 7 × u32: scheme, host, method, authority, target, error, comment
    static let requestFieldsAt = 132  // u32: where the field lines are in the part's items
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

    /// Which of the texts.
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
