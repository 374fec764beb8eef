// The frame that begins a block: the sizes of its other frames, and a summary of its flows, by which readers skip a block without
// decompressing it.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

/// The header of a block.
struct BlockHeader {
    /// Set in ``flags``: the block has parts of flows that are not whole in it, or a tombstone.
    static let holdsPartsFlag: UInt16 = 1
    /// Set in ``flags``: the block has certificates, which later blocks refer to.
    static let holdsCertificatesFlag: UInt16 = 2
    /// Set in ``flags``: the block has rules of redaction.
    static let holdsRulesFlag: UInt16 = 4

    /// The name of the segment: when it was created.
    var segment = Timestamp(nanoseconds: 0)
    var sequence: UInt64 = 0
    /// Length of the records frame, and of its content.
    var recordsFrame: UInt32 = 0
    var recordsSize: UInt32 = 0
    /// The same of the details frame; 0 without one.
    var detailsFrame: UInt32 = 0
    var detailsSize: UInt32 = 0
    var flags: UInt16 = 0
    var records: UInt32 = 0
    /// Flows that are whole in this block.
    var flows: UInt32 = 0
    /// The earliest start and the latest end of its flows and parts; without any the first is larger.
    var earliest = Int64.max
    var latest = Int64.min
    /// Bit n: a flow of kind n.
    var kinds: UInt32 = 0
    /// Bit n: a request with method code n (``MethodCode``).
    var methods: UInt32 = 0
    /// Bit status mod 64, for each response.
    var statuses: UInt64 = 0
    /// Frame length and content size of each content chunk.
    var chunks: [Chunk] = []
    /// The hosts of each flow that begins in the block: of its target, its authority and a request-target in absolute form.
    var hostList = BlockHosts()
    /// Of the flows that are whole in the block.
    var bounds = BlockBounds()
    /// Bytes that a later version inserted after the hosts.
    private var unknownLength = 0

    struct Chunk: Equatable {
        var frame: UInt32
        var size: UInt32
    }

    init() {}

    /// Bytes of the header's payload, and of its frame.
    var payloadLength: Int { ArchiveFormat.blockFixed + 8 * chunks.count + hostList.encodedLength + unknownLength + 4 }
    var frameLength: Int { ArchiveFormat.frameHeader + payloadLength }
    /// Bytes of the frames after the header.
    var bodyLength: Int { Int(recordsFrame) + Int(detailsFrame) + contentFrames }
    var contentFrames: Int { chunks.reduce(0) { $0 + Int($1.frame) } }
    var contentSize: Int { chunks.reduce(0) { $0 + Int($1.size) } }
    /// Whether it is needed by no other block, and by no reader of other flows.
    var standsAlone: Bool { flags & (Self.holdsPartsFlag | Self.holdsCertificatesFlag | Self.holdsRulesFlag) == 0 }
    var holdsRules: Bool { flags & Self.holdsRulesFlag != 0 }
    var holdsParts: Bool { flags & Self.holdsPartsFlag != 0 }

    func write(into out: inout ByteBuffer) {
        var payload = ByteBuffer(bytes: ArchiveFormat.blockMarker)
        payload.writeMultipleIntegers(
            segment.nanoseconds, sequence, recordsFrame, recordsSize, detailsFrame, detailsSize, UInt16(chunks.count), flags,
            records,
            flows, BlockBounds.areWritten, endianness: .little)
        payload.writeMultipleIntegers(earliest, latest, kinds, methods, statuses, endianness: .little)
        bounds.write(into: &payload)
        for chunk in chunks { payload.writeMultipleIntegers(chunk.frame, chunk.size, endianness: .little) }
        hostList.write(into: &payload)
        payload.writeInteger(xxHash32(payload), endianness: .little)
        out.writeMultipleIntegers(ArchiveFormat.blockMagic, UInt32(payload.readableBytes), endianness: .little)
        out.writeBuffer(&payload)
    }

    /// Returns nil when it is not a block header, its checksum is wrong, or it exceeds the limits.
    init?(payload: ByteBuffer) {
        guard payload.readableBytes >= ArchiveFormat.blockFixed + 4, payload.hasRightChecksum else { return nil }
        var payload = payload
        guard payload.readBytes(length: 8) == ArchiveFormat.blockMarker,
            let places = payload.readMultipleIntegers(
                endianness: .little, as: (Int64, UInt64, UInt32, UInt32, UInt32, UInt32).self),
            let counts = payload.readMultipleIntegers(endianness: .little, as: (UInt16, UInt16, UInt32, UInt32, UInt32).self),
            let zone = payload.readMultipleIntegers(endianness: .little, as: (Int64, Int64, UInt32, UInt32, UInt64).self)
        else { return nil }
        segment = Timestamp(nanoseconds: places.0)
        (sequence, recordsFrame, recordsSize, detailsFrame, detailsSize) = (places.1, places.2, places.3, places.4, places.5)
        (flags, records, flows) = (counts.1, counts.2, counts.3)
        (earliest, latest, kinds, methods, statuses) = zone
        guard let bounds = BlockBounds(reading: &payload, areWritten: counts.4 & BlockBounds.areWritten != 0) else { return nil }
        self.bounds = bounds
        let maximumFrame = ArchiveFormat.maximumMetadata + LZ4Frame.maximumOverhead
        guard Int(counts.0) <= ArchiveFormat.maximumChunks, Int(recordsSize) <= ArchiveFormat.maximumMetadata,
            Int(recordsFrame) <= maximumFrame, Int(detailsSize) <= ArchiveFormat.maximumMetadata, Int(detailsFrame) <= maximumFrame
        else { return nil }
        for index in 0..<counts.0 {
            guard let chunk = payload.readMultipleIntegers(endianness: .little, as: (UInt32, UInt32).self),
                Int(chunk.1) <= ArchiveFormat.contentChunk, Int(chunk.0) <= ArchiveFormat.contentChunk + LZ4Frame.maximumOverhead,
                index == counts.0 - 1 || Int(chunk.1) == ArchiveFormat.contentChunk
            else { return nil }
            chunks.append(Chunk(frame: chunk.0, size: chunk.1))
        }
        // A later version may insert fields before the checksum. Files of the first writers have no list of hosts.
        guard payload.readableBytes >= 4 else { return nil }
        let rest = payload.readableBytes - 4
        hostList = BlockHosts(reading: payload.slice(0, rest))
        unknownLength = rest - hostList.encodedLength
    }
}

extension BlockHeader: Equatable {}

extension BlockHeader: BlockSummary {
    var times: ClosedRange<Timestamp>? {
        earliest <= latest ? Timestamp(nanoseconds: earliest)...Timestamp(nanoseconds: latest) : nil
    }

    func mayContain(_ kind: FlowKind) -> Bool { kinds & 1 &<< UInt32(kind.rawValue) != 0 }
    func mayContain(status: Int) -> Bool { statuses & 1 &<< UInt64(truncatingIfNeeded: status & 63) != 0 }

    /// A method without a code can be any.
    var methodNames: [ByteBuffer]? {
        methods & 1 != 0
            ? nil : MethodCode.methods.indices.filter { methods & 1 &<< UInt32($0) != 0 }.map { MethodCode.methods[$0] }
    }
    var hosts: [ByteBuffer]? { hostList.names }
    func bounds(of quantity: FlowQuantity) -> ClosedRange<Int64>? { bounds[quantity] }
}
