// LZ4 frames (the LZ4 Frame Format, version 1.6.2) around liblz4's block functions: one frame for each piece of a block of the flow
// file, its blocks independent, with the size and the checksum of its content. The frames are put together here so that nothing is
// allocated for one, and a decoder allocates exactly what the block header has promised.

private import CLZ4
import NIOCore

/// How hard is compressed.
package enum ArchiveCompression: Sendable, Equatable {
    /// While recording.
    case fast
    /// When there is time: LZ4 HC at this level, 3 to 12.
    case high(level: Int32)
}

/// What the frames have in common.
enum LZ4Frame {
    static let magic: UInt32 = 0x184D_2204
    /// Version 01, independent blocks, block checksums, content size, content checksum. A block's checksum is that of its bytes as they
    /// are stored: without it a byte could change that makes no difference. Frames with block checksums and no content checksum are
    /// misread by the lz4 tool (1.9.4) when another frame follows.
    static let flags: UInt8 = 0b0111_1100
    /// Magic, descriptor with content size.
    static let headerSize = 15
    /// Set in a block's size when its bytes are as they are.
    static let isRaw: UInt32 = 0x8000_0000
    /// What a frame adds to its content at the most, for content of at most 64 MiB: header, end mark, checksum, 8 bytes a block.
    static let maximumOverhead = headerSize + 8 + 8 * 16

    /// The largest block that a code in the descriptor allows (section "BD byte").
    static func maximumBlock(code: UInt8) -> Int? { (4...7).contains(code) ? 1 << (8 + 2 * Int(code)) : nil }
}

/// Makes frames; holds the compressor's working memory.
@safe final class LZ4FrameEncoder {
    // SAFETY: liblz4's state, of the size it asks for, until deinit; used by one owner at a time.
    private let state: UnsafeMutableRawPointer
    private let compression: ArchiveCompression

    init(_ compression: ArchiveCompression) {
        self.compression = compression
        let size = compression == .fast ? LZ4_sizeofState() : LZ4_sizeofStateHC()
        unsafe state = .allocate(byteCount: Int(size), alignment: 16)
    }

    deinit { unsafe state.deallocate() }

    /// Appends one frame with these bytes, at most 64 MiB.
    /// - Returns: the frame's length.
    func write(_ bytes: OutputBytes, into out: inout ByteBuffer) -> Int {
        let start = out.writerIndex
        let content = unsafe bytes.bytes
        // The smallest code whose blocks hold everything, and 4 MiB otherwise.
        let code = (UInt8(4)...7).first { content.count <= LZ4Frame.maximumBlock(code: $0)! } ?? 7
        let blockSize = LZ4Frame.maximumBlock(code: code)!
        out.writeInteger(LZ4Frame.magic, endianness: .little)
        let descriptor = out.writerIndex
        out.writeMultipleIntegers(LZ4Frame.flags, code << 4, UInt64(content.count), endianness: .little)
        let checked = xxHash32(out.getSlice(at: descriptor, length: 10)!)
        out.writeInteger(UInt8(truncatingIfNeeded: checked >> 8))
        var offset = 0
        var sameBytes: UInt32?
        while offset < content.count {
            let count = min(blockSize, content.count - offset)
            let (checksum, isRaw) = unsafe writeBlock(
                UnsafeRawBufferPointer(rebasing: content[offset..<offset + count]), into: &out)
            if isRaw, count == content.count { sameBytes = checksum }
            offset += count
        }
        // One raw block is the content, so its checksum is the content's.
        out.writeMultipleIntegers(UInt32(0), unsafe sameBytes ?? xxHash32(content), endianness: .little)
        return out.writerIndex - start
    }

    /// A block is stored as it is when compressing would not make it smaller.
    /// - Returns: the checksum of the block as stored, and whether it is stored as it is.
    private func writeBlock(_ block: UnsafeRawBufferPointer, into out: inout ByteBuffer) -> (checksum: UInt32, isRaw: Bool) {
        let sizeAt = out.writerIndex
        out.writeInteger(UInt32(0))
        var isRaw = false
        let start = out.writerIndex
        let written = unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: block.count) { target in
            let source = unsafe block.baseAddress!.assumingMemoryBound(to: CChar.self)
            let destination = unsafe target.baseAddress!.assumingMemoryBound(to: CChar.self)
            let size = Int32(block.count)
            let count =
                switch compression {
                case .fast: unsafe LZ4_compress_fast_extState(state, source, destination, size, size - 1, 1)
                case .high(let level): unsafe LZ4_compress_HC_extStateHC(state, source, destination, size, size - 1, level)
                }
            if count > 0 { return Int(count) }
            isRaw = true
            unsafe target.copyMemory(from: block)
            return block.count
        }
        out.setInteger(UInt32(written) | (isRaw ? LZ4Frame.isRaw : 0), at: sizeAt, endianness: .little)
        let checksum = xxHash32(out.getSlice(at: start, length: written)!)
        out.writeInteger(checksum, endianness: .little)
        return (checksum, isRaw)
    }
}

/// The content of exactly one frame.
/// - Parameters:
///   - size: the size that its content must have; so much is allocated and no more.
///   - isThorough: looks at the checksum of the content too. Those of the stored blocks tell already whether they are what was written; a fifth
///     of the time of a question about metadata would go into the other one.
/// - Returns: nil when it is no frame of the flow file, a checksum is wrong, or its size another one.
func decodeLZ4Frame(_ frame: ByteBuffer, size: Int, isThorough: Bool = false) -> ByteBuffer? {
    var frame = frame
    guard let descriptor = frame.getSlice(at: frame.readerIndex + 4, length: 10),
        frame.readInteger(endianness: .little) == LZ4Frame.magic,
        let (flags, sizes, contentSize, checksum) = frame.readMultipleIntegers(
            endianness: .little, as: (UInt8, UInt8, UInt64, UInt8).self),
        flags == LZ4Frame.flags, sizes & 0x8F == 0,
        let maximum = LZ4Frame.maximumBlock(code: sizes >> 4), contentSize == UInt64(size),
        UInt8(truncatingIfNeeded: xxHash32(descriptor) >> 8) == checksum
    else { return nil }
    var content = ByteBuffer()
    content.reserveCapacity(size)
    while let mark = frame.readInteger(endianness: .little, as: UInt32.self) {
        if mark == 0 {
            guard let checksum = frame.readInteger(endianness: .little, as: UInt32.self), frame.readableBytes == 0,
                content.readableBytes == size
            else { return nil }
            return !isThorough || checksum == xxHash32(content) ? content : nil
        }
        let count = Int(mark & ~LZ4Frame.isRaw)
        guard count <= maximum, var block = frame.readSlice(length: count),
            frame.readInteger(endianness: .little) == xxHash32(block)
        else { return nil }
        let room = min(maximum, size - content.readableBytes)
        if mark & LZ4Frame.isRaw != 0 {
            guard count <= room else { return nil }
            content.writeBuffer(&block)
        } else {
            guard decompress(block, room: room, into: &content) else { return nil }
        }
    }
    return nil
}

/// - Returns: false when the block is malformed or its content larger than `room`.
private func decompress(_ block: ByteBuffer, room: Int, into content: inout ByteBuffer) -> Bool {
    guard room > 0 else { return false }
    var isRight = false
    unsafe content.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
        let written = unsafe block.withUnsafeReadableBytes { source in
            unsafe LZ4_decompress_safe(
                source.baseAddress!.assumingMemoryBound(to: CChar.self), target.baseAddress!.assumingMemoryBound(to: CChar.self),
                Int32(source.count), Int32(room))
        }
        isRight = written > 0
        return max(0, Int(written))
    }
    return isRight
}
