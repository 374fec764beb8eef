// LZ4 frames (the LZ4 Frame Format, version 1.6.2) around liblz4's block functions: independent blocks, with the size and the checksum of the
// content. The frames are built here so that nothing is allocated for one, and a decoder allocates exactly the size that the block header has.

private import CLZ4
import HTTPSemantics
import NIOCore

/// The effort of compression.
package enum ArchiveCompression: Sendable, Equatable {
    /// While recording.
    case fast
    /// When there is time: LZ4 HC at this level, 3 to 12.
    case high(level: Int32)
}

/// Properties of all frames.
enum LZ4Frame {
    static let magic: UInt32 = 0x184D_2204
    /// Version 01, independent blocks, block checksums, content size, content checksum. A block's checksum is that of its stored
    /// bytes: without it a change of a byte could have no effect. Frames with block checksums and no content checksum are
    /// misread by the lz4 tool (1.9.4) when another frame follows.
    static let flags: UInt8 = 0b0111_1100
    /// Magic, descriptor with content size.
    static let headerSize = 15
    /// Set in the size of a block that is not compressed.
    static let isRaw: UInt32 = 0x8000_0000
    /// The most that a frame adds to content of up to 64 MiB: header, end mark, checksum, 8 bytes for each block.
    static let maximumOverhead = headerSize + 8 + 8 * 16

    /// Appends magic and descriptor.
    /// - Returns: the size of the frame's blocks: the smallest that holds everything, and 4 MiB otherwise.
    @discardableResult static func writeHeader(of count: Int, into out: inout ByteBuffer) -> Int {
        let code = (UInt8(4)...7).first { count <= maximumBlock(code: $0)! } ?? 7
        out.writeInteger(magic, endianness: .little)
        let descriptor = out.writerIndex
        out.writeMultipleIntegers(flags, code << 4, UInt64(count), endianness: .little)
        let checked = xxHash32(out.getSlice(at: descriptor, length: 10)!)
        out.writeInteger(UInt8(truncatingIfNeeded: checked >> 8))
        return maximumBlock(code: code)!
    }

    /// The largest block that a code in the descriptor allows (section "BD byte").
    static func maximumBlock(code: UInt8) -> Int? { (4...7).contains(code) ? 1 << (8 + 2 * Int(code)) : nil }
}

/// Makes frames; holds the compressor's working memory.
@safe final class LZ4FrameEncoder {
    // SAFETY: liblz4's state, of the size it asks for, until deinit; used by one owner at a time.
    private let state: UnsafeMutableRawPointer
    private let compression: ArchiveCompression
    /// Content chunks, up to the last one, that did not become smaller.
    private var rawChunks = 0
    private static let sample = 8 * 1024

    init(_ compression: ArchiveCompression) {
        self.compression = compression
        let size = compression == .fast ? LZ4_sizeofState() : LZ4_sizeofStateHC()
        unsafe state = .allocate(byteCount: Int(size), alignment: 16)
    }

    deinit { unsafe state.deallocate() }

    /// Appends one frame with these bytes, at most 64 MiB.
    /// - Returns: the frame's length.
    func write(_ bytes: ByteWriter, into out: inout ByteBuffer) -> Int {
        let start = out.writerIndex
        let content = unsafe bytes.bytes
        let blockSize = LZ4Frame.writeHeader(of: content.count, into: &out)
        var offset = 0
        var sameBytes: UInt32?
        while offset < content.count {
            let count = min(blockSize, content.count - offset)
            let block = unsafe UnsafeRawBufferPointer(rebasing: content[offset..<offset + count])
            if let checksum = unsafe writeBlock(block, into: &out), count == content.count { sameBytes = checksum }
            offset += count
        }
        // One raw block is the content, so its checksum is the content's.
        out.writeMultipleIntegers(UInt32(0), unsafe sameBytes ?? xxHash32(content), endianness: .little)
        return out.writerIndex - start
    }

    /// Stores a block without compression when that would not make it smaller.
    /// - Returns: the checksum of a block that is not compressed.
    private func writeBlock(_ block: UnsafeRawBufferPointer, into out: inout ByteBuffer) -> UInt32? {
        if unsafe writeCompressed(block, into: &out) { return nil }
        out.writeInteger(UInt32(block.count) | LZ4Frame.isRaw, endianness: .little)
        unsafe out.writeBytes(block)
        let checksum = unsafe xxHash32(block)
        out.writeInteger(checksum, endianness: .little)
        return checksum
    }

    /// Appends a block compressed, with its size and its checksum.
    /// - Returns: false, with nothing appended, when that does not make it smaller.
    private func writeCompressed(_ block: UnsafeRawBufferPointer, into out: inout ByteBuffer) -> Bool {
        let sizeAt = out.writerIndex
        out.writeInteger(UInt32(0))
        let start = out.writerIndex
        let written = unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: block.count) { target in
            unsafe compress(block, into: target)
        }
        guard written > 0 else {
            out.moveWriterIndex(to: sizeAt)
            return false
        }
        out.setInteger(UInt32(written), at: sizeAt, endianness: .little)
        out.writeInteger(xxHash32(out.getSlice(at: start, length: written)!), endianness: .little)
        return true
    }

    /// - Returns: 0 when the bytes do not become fewer.
    private func compress(_ block: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer) -> Int {
        let source = unsafe block.baseAddress!.assumingMemoryBound(to: CChar.self)
        let destination = unsafe target.baseAddress!.assumingMemoryBound(to: CChar.self)
        let size = Int32(block.count)
        switch compression {
        case .fast: return Int(unsafe LZ4_compress_fast_extState(state, source, destination, size, size - 1, 1))
        case .high(let level): return Int(unsafe LZ4_compress_HC_extStateHC(state, source, destination, size, size - 1, level))
        }
    }

    // MARK: Content chunks

    /// Appends a frame with a content chunk.
    /// - Returns: the frame's length; nil, with nothing appended, when the chunk does not become smaller: see ``ContentChunk/seal()``.
    func write(_ chunk: ContentChunk, into out: inout ByteBuffer) -> Int? {
        let start = out.writerIndex
        let isDone = unsafe chunk.bytes.withUnsafeReadableBytes { bytes in
            let content = unsafe UnsafeRawBufferPointer(rebasing: bytes[ContentChunk.headerSize...])
            if rawChunks > 0, unsafe !isWorthTrying(content) { return false }
            LZ4Frame.writeHeader(of: content.count, into: &out)
            guard unsafe writeCompressed(content, into: &out) else { return false }
            out.writeMultipleIntegers(UInt32(0), unsafe xxHash32(content), endianness: .little)
            return true
        }
        rawChunks = isDone ? 0 : rawChunks + 1
        guard isDone else {
            out.moveWriterIndex(to: start)
            return nil
        }
        return out.writerIndex - start
    }

    /// Content after incompressible content is mostly incompressible too: three samples show it for a fifth of the work.
    private func isWorthTrying(_ content: UnsafeRawBufferPointer) -> Bool {
        guard content.count > 4 * Self.sample else { return true }
        return unsafe withUnsafeTemporaryAllocation(byteCount: Self.sample, alignment: 16) { target in
            for offset in [0, (content.count - Self.sample) / 2, content.count - Self.sample] {
                let block = unsafe UnsafeRawBufferPointer(rebasing: content[offset..<offset + Self.sample])
                if unsafe compress(block, into: target) > 0 { return true }
            }
            return false
        }
    }
}

/// A content chunk while it is filled: room for the header of its frame, and then its content.
struct ContentChunk {
    /// The frame's header, and the size of its one block.
    static let headerSize = LZ4Frame.headerSize + 4

    private(set) var bytes: ByteBuffer

    /// - Parameter storage: is used again.
    init(reusing storage: ByteBuffer? = nil) {
        bytes = storage ?? ByteBufferAllocator().buffer(capacity: ArchiveFormat.contentChunk + LZ4Frame.maximumOverhead)
        clear()
    }

    var count: Int { bytes.readableBytes - Self.headerSize }

    mutating func clear() {
        bytes.clear()
        bytes.writeRepeatingByte(0, count: Self.headerSize)
    }

    mutating func append(_ content: UnsafeRawBufferPointer) { _ = unsafe bytes.writeBytes(content) }

    /// Makes it a frame in place, of one block that is not compressed.
    mutating func seal() {
        let (count, end) = (count, bytes.writerIndex)
        bytes.moveWriterIndex(to: 0)
        LZ4Frame.writeHeader(of: count, into: &bytes)
        bytes.writeInteger(UInt32(count) | LZ4Frame.isRaw, endianness: .little)
        bytes.moveWriterIndex(to: end)
        // Not a slice, which would be a second owner: what follows is written in place.
        let checksum = unsafe bytes.withUnsafeReadableBytes { bytes in
            unsafe xxHash32(UnsafeRawBufferPointer(rebasing: bytes[Self.headerSize...]))
        }
        bytes.writeMultipleIntegers(checksum, UInt32(0), checksum, endianness: .little)
    }
}

/// The content of exactly one frame.
/// - Parameters:
///   - size: the size that its content must have; so much is allocated and no more.
///   - isThorough: checks the checksum of the content too. Those of the stored blocks already show damage of the file; the other one would take
///     a fifth of the time of a query on metadata.
/// - Returns: nil when it is not a frame of a flow file, a checksum is wrong, or its size differs.
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

/// `name/version` of the library, as it is at run time.
package var lz4Library: String { unsafe "lz4/\(String(cString: LZ4_versionString()))" }
