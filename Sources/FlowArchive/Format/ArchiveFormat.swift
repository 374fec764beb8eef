// Numbers of the flow file: magic numbers, sizes, offsets, limits. docs/flow-file-format.md is the specification, this file and
// BlockHeader.swift are its mirror. Everything is little-endian.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

/// Magic numbers, sizes and limits.
enum ArchiveFormat {
    /// Skippable frames of LZ4: sixteen magic numbers are reserved for users; the other ones are skipped.
    static let segmentMagic: UInt32 = 0x184D_2A50
    static let blockMagic: UInt32 = 0x184D_2A51
    static let indexMagic: UInt32 = 0x184D_2A52
    static let footerMagic: UInt32 = 0x184D_2A53
    /// Fills an encrypted chunk, and has no meaning.
    static let paddingMagic: UInt32 = 0x184D_2A5F
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

    /// The largest certificate.
    static let maximumCertificate = 256 * 1024
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
