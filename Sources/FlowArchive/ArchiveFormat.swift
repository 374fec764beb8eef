// The frames of a flow file, byte by byte: docs/flow-file-format.md is the specification, this file its mirror. Everything is little-endian.

import FlowModel
import NIOCore

/// Magic numbers, sizes and limits.
enum ArchiveFormat {
    /// Skippable frames of LZ4 (their magic numbers are reserved for users).
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
    static let segmentPayload = 24
    /// Bytes of a block header's payload without the table of content parts and the checksum.
    static let blockFixed = 152

    /// Decompressed metadata of a block. A writer stays far below; a reader allocates no more.
    static let maximumMetadata = 32 * 1024 * 1024
    /// Decompressed bytes of every content part but the last of a block.
    static let contentPart = 256 * 1024
    /// Parts of one block: 256 MiB of content.
    static let maximumParts = 1024
    /// Payload of a frame of ours that is read into memory.
    static let maximumHeaderPayload = blockFixed + 8 * maximumParts + 4
}

/// The frame that begins a segment. A file is one or more segments.
struct SegmentHeader: Equatable {
    var versionNeeded = ArchiveFormat.version
    var versionWritten = ArchiveFormat.version
    var created: Timestamp

    func write(into out: inout ByteBuffer) {
        var payload = ByteBuffer(bytes: ArchiveFormat.signature)
        payload.writeMultipleIntegers(versionNeeded, versionWritten, created.nanoseconds, endianness: .little)
        payload.writeInteger(xxHash32(payload), endianness: .little)
        out.writeMultipleIntegers(ArchiveFormat.segmentMagic, UInt32(payload.readableBytes), endianness: .little)
        out.writeBuffer(&payload)
    }

    /// nil when it is no segment header or its checksum is wrong.
    init?(payload: ByteBuffer) {
        var payload = payload
        let checked = payload.slice(0, payload.readableBytes - 4)
        guard payload.readableBytes >= ArchiveFormat.segmentPayload, payload.readBytes(length: 8) == ArchiveFormat.signature,
            let numbers = payload.readMultipleIntegers(endianness: .little, as: (UInt16, UInt16, Int64).self)
        else { return nil }
        payload.moveReaderIndex(forwardBy: payload.readableBytes - 4)
        guard payload.readInteger(endianness: .little) == xxHash32(checked) else { return nil }
        versionNeeded = numbers.0
        versionWritten = numbers.1
        created = Timestamp(nanoseconds: numbers.2)
    }

    init(created: Timestamp) { self.created = created }
}

/// What a block holds, in enough detail to pass it over without decompressing it.
struct BlockHeader: Equatable {
    /// Set in ``flags`` when the block holds parts of flows that are not whole in it.
    static let holdsParts: UInt16 = 1

    var sequence: UInt64 = 0
    var metadataFrame: UInt32 = 0
    var metadataSize: UInt32 = 0
    var flags: UInt16 = 0
    var records: UInt32 = 0
    /// Flows that are whole in this block.
    var flows: UInt32 = 0
    var earliest = Int64.max
    var latest = Int64.min
    /// Bit n: a flow of kind n.
    var kinds: UInt32 = 0
    /// Bit n: a request with method code n (``MethodCode``).
    var methods: UInt32 = 0
    /// Bit status mod 64, for each response.
    var statuses: UInt64 = 0
    /// A Bloom filter of target hosts in lower case: 512 bits, two for each host.
    var hosts = [UInt64](repeating: 0, count: 8)
    /// Frame size and content size of each content part.
    var parts: [(frame: UInt32, size: UInt32)] = []

    var contentFrames: UInt64 { parts.reduce(0) { $0 + UInt64($1.frame) } }
    var contentSize: UInt64 { parts.reduce(0) { $0 + UInt64($1.size) } }
    var times: ClosedRange<Timestamp>? {
        earliest <= latest ? Timestamp(nanoseconds: earliest)...Timestamp(nanoseconds: latest) : nil
    }

    static func == (a: BlockHeader, b: BlockHeader) -> Bool {
        var (first, second) = (ByteBuffer(), ByteBuffer())
        a.write(into: &first)
        b.write(into: &second)
        return first == second
    }

    func write(into out: inout ByteBuffer) {
        var payload = ByteBuffer(bytes: ArchiveFormat.blockMarker)
        payload.writeMultipleIntegers(sequence, metadataFrame, metadataSize, endianness: .little)
        payload.writeMultipleIntegers(UInt16(parts.count), flags, records, flows, endianness: .little)
        payload.writeMultipleIntegers(earliest, latest, kinds, methods, statuses, endianness: .little)
        for word in hosts { payload.writeInteger(word, endianness: .little) }
        payload.writeMultipleIntegers(contentFrames, contentSize, UInt32(0), endianness: .little)
        for part in parts { payload.writeMultipleIntegers(part.frame, part.size, endianness: .little) }
        payload.writeInteger(xxHash32(payload), endianness: .little)
        out.writeMultipleIntegers(ArchiveFormat.blockMagic, UInt32(payload.readableBytes), endianness: .little)
        out.writeBuffer(&payload)
    }

    init() {}

    /// nil when it is no block header, its checksum is wrong, or it claims more than the limits allow.
    init?(payload: ByteBuffer) {
        guard payload.readableBytes >= ArchiveFormat.blockFixed + 4 else { return nil }
        var payload = payload
        let checked = payload.slice(0, payload.readableBytes - 4)
        let checksum: UInt32? = payload.getInteger(at: payload.writerIndex - 4, endianness: .little)
        guard payload.readBytes(length: 8) == ArchiveFormat.blockMarker, checksum == xxHash32(checked) else { return nil }
        let sizes = payload.readMultipleIntegers(endianness: .little, as: (UInt64, UInt32, UInt32).self)!
        let counts = payload.readMultipleIntegers(endianness: .little, as: (UInt16, UInt16, UInt32, UInt32).self)!
        let zone = payload.readMultipleIntegers(endianness: .little, as: (Int64, Int64, UInt32, UInt32, UInt64).self)!
        (sequence, metadataFrame, metadataSize) = sizes
        (flags, records, flows) = (counts.1, counts.2, counts.3)
        (earliest, latest, kinds, methods, statuses) = zone
        for i in 0..<8 { hosts[i] = payload.readInteger(endianness: .little)! }
        payload.moveReaderIndex(forwardBy: 20)
        guard counts.0 <= ArchiveFormat.maximumParts, metadataSize <= ArchiveFormat.maximumMetadata,
            metadataFrame <= ArchiveFormat.maximumMetadata + 1024
        else { return nil }
        for _ in 0..<counts.0 {
            guard let part = payload.readMultipleIntegers(endianness: .little, as: (UInt32, UInt32).self),
                part.1 <= ArchiveFormat.contentPart, part.0 <= ArchiveFormat.contentPart + 1024
            else { return nil }
            parts.append((part.0, part.1))
        }
    }

    /// Notes a flow for those who ask whether the block may hold it.
    mutating func note(kind: UInt8, method: UInt8, status: UInt16, host: String) {
        kinds |= 1 << UInt32(kind & 31)
        methods |= 1 << UInt32(method & 31)
        if status > 0 { statuses |= 1 << UInt64(status & 63) }
        if !host.isEmpty {
            let (first, second) = Self.hostBits(host)
            hosts[first >> 6] |= 1 << UInt64(first & 63)
            hosts[second >> 6] |= 1 << UInt64(second & 63)
        }
    }

    /// The two bits of a host in ``hosts``: FNV-1a of its bytes in lower case, the low nine bits and the nine above them.
    static func hostBits(_ host: String) -> (Int, Int) {
        var hash: UInt32 = 0x811C_9DC5
        for byte in host.utf8 { hash = (hash ^ UInt32(byte &- 0x41 < 26 ? byte | 0x20 : byte)) &* 0x0100_0193 }
        return (Int(hash & 511), Int(hash >> 9 & 511))
    }
}

/// Codes of the methods that a block header's set tells apart; all others are 0.
enum MethodCode {
    static let names: [StaticString] = ["", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]

    static func code(_ method: ByteBuffer) -> UInt8 {
        for code in 1..<names.count where method.isEqual(names[code]) { return UInt8(code) }
        return 0
    }
}

extension ByteBuffer {
    /// A slice by offset from the reader index; empty when it is not inside.
    func slice(_ offset: Int, _ length: Int) -> ByteBuffer {
        getSlice(at: readerIndex + offset, length: length) ?? ByteBuffer()
    }

    fileprivate func isEqual(_ word: StaticString) -> Bool {
        guard readableBytes == word.utf8CodeUnitCount else { return false }
        let bytes = readableBytesUInt8Span
        for i in 0..<bytes.count {
            let expected = unsafe word.utf8Start[i]
            if bytes[i] != expected { return false }
        }
        return true
    }
}
