// The DEFLATE streams of permessage-deflate (RFC 7692 §7.2, RFC 1951) by zlib. A message ends with an empty stored block whose last four
// bytes, 00 00 FF FF, are not sent; the receiver appends them before it inflates.

private import CZlib
import NIOCore

/// Inflates the messages of one direction, in pieces whose size the caller bounds. An object, because zlib's state cannot be copied or
/// moved.
@safe package final class MessageInflater {
    // SAFETY: non-null and initialised until deinit; used by the one connection that owns this object. `next_in` points at bytes only while
    // `withUnsafeReadableBytes` lends them.
    private let stream: UnsafeMutablePointer<z_stream>
    private let takesOverContext: Bool
    /// Bytes of the message that have not been inflated.
    private var input = ByteBuffer()
    private var hasWholeMessage = false
    /// The next bit of input is the first of a byte and of a block.
    private var isBetweenBlocks = true
    /// The last call filled its room, so zlib may have more content.
    private var wasFull = false

    /// - Parameter parameters: window bits from 8 to 15, and whether a message may refer to those before it.
    /// - Throws: if zlib has no memory.
    package init(_ parameters: PerMessageDeflate.Direction) throws(WebSocketError) {
        takesOverContext = parameters.takesOverContext
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // zlib manual, inflateInit2: a negative number of bits means that the data has no header and no checksum.
        let result = unsafe inflateInit2_(
            stream, -Int32(parameters.windowBits), ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard result == Z_OK else { throw WebSocketError.noMemory }
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Takes compressed bytes of the message that is being inflated.
    package func receive(_ bytes: ByteBuffer) {
        if input.readableBytes == 0 {
            input = bytes
        } else {
            input.writeImmutableBuffer(bytes)
        }
    }

    /// The message has no more bytes.
    package func receivedEnd() { hasWholeMessage = true }

    /// Inflates the bytes of the message and appends the content.
    /// - Parameter maximum: the maximum number of bytes to append.
    /// - Returns: true if the message is complete and the inflater is ready for the next; false if it needs more bytes, or more room: more
    ///   room if `maximum` bytes were appended.
    /// - Throws: 1007 if the bytes are not DEFLATE data or end in the middle of a block.
    package func inflate(into out: inout ByteBuffer, maximum: Int) throws(WebSocketError) -> Bool {
        var room = maximum
        while room > 0 {
            if input.readableBytes == 0 {
                guard hasWholeMessage else { return false }
                // A conforming message stops inside its last, empty block, and the tail completes it. If it stops between blocks, the tail
                // would be read as the beginning of a block. Such messages come from senders that do not remove the tail, that compress
                // nothing to no bytes, or that omit the byte after a block with BFINAL (RFC 7692 §7.2.3.4).
                if !isBetweenBlocks, !wasFull { try addTail(&out) }
                if isBetweenBlocks {
                    finish()
                    return true
                }
            }
            room -= try step(&out, room)
        }
        return false
    }

    private static let tail = ByteBuffer(bytes: [0x00, 0x00, 0xFF, 0xFF])

    /// Completes the message's last block with the bytes that are not sent. If they give content, the message ended too early.
    private func addTail(_ out: inout ByteBuffer) throws(WebSocketError) {
        let end = out.writerIndex
        input = Self.tail
        do throws(WebSocketError) { _ = try step(&out, 1) } catch { isBetweenBlocks = false }
        guard isBetweenBlocks, out.writerIndex == end, input.readableBytes == 0 else {
            out.moveWriterIndex(to: end)
            throw WebSocketError(
                .compressedData, closeCode: CloseCode.invalidPayload, "a compressed message ends in the middle of a block")
        }
    }

    private func finish() {
        hasWholeMessage = false
        guard !takesOverContext else { return }
        let result = unsafe inflateReset(stream)
        precondition(result == Z_OK, "an initialised inflater can be reset")
    }

    /// One call of zlib's inflate.
    /// - Returns: the number of bytes that were appended, at most `room`.
    private func step(_ out: inout ByteBuffer, _ room: Int) throws(WebSocketError) -> Int {
        // Enough for common messages, and not much more than a small one needs.
        let guess = max(256, min(input.readableBytes * 4, 1 << 18))
        let room = min(room, guess)
        var result: Int32 = 0
        var consumed = 0
        var given = 0
        unsafe input.withUnsafeReadableBytes { source in
            let count = UInt32(clamping: source.count)
            unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress?.assumingMemoryBound(to: UInt8.self))
            unsafe stream.pointee.avail_in = count
            unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
                unsafe stream.pointee.next_out = target.baseAddress!.assumingMemoryBound(to: UInt8.self)
                unsafe stream.pointee.avail_out = UInt32(room)
                result = unsafe CZlib.inflate(stream, Z_SYNC_FLUSH)
                given = unsafe room - Int(stream.pointee.avail_out)
                return given
            }
            consumed = unsafe Int(count - stream.pointee.avail_in)
            unsafe stream.pointee.next_in = nil
            unsafe stream.pointee.avail_in = 0
        }
        input.moveReaderIndex(forwardBy: consumed)
        wasFull = given == room
        switch result {
        case Z_OK, Z_BUF_ERROR:
            // zlib manual, inflate: data_type is the number of unused bits of the last byte, plus 128 after a block.
            isBetweenBlocks = unsafe stream.pointee.data_type & (128 | 63) == 128
        case Z_STREAM_END:
            // A block with BFINAL. The next one may still refer to content before it (RFC 7692 §7.2.3.4). zlib.h declares this reset, which
            // keeps the window; saving and restoring the window would copy 64 KiB for each final block of two bytes.
            let reset = unsafe inflateResetKeep(stream)
            precondition(reset == Z_OK, "an initialised inflater can be reset")
            isBetweenBlocks = true
        case Z_MEM_ERROR:
            throw WebSocketError.noMemory
        default:
            let words = unsafe stream.pointee.msg.map { unsafe String(cString: $0) } ?? "the data is not valid"
            throw WebSocketError(
                .compressedData, closeCode: CloseCode.invalidPayload, "a compressed message cannot be inflated: \(words)")
        }
        return given
    }
}

/// Compresses the messages of one direction. An object, because zlib's state cannot be copied or moved.
@safe package final class MessageDeflater {
    // SAFETY: non-null and initialised until deinit; used by the one connection that owns this object. `next_in` points at bytes only while
    // `withUnsafeReadableBytes` lends them.
    private let stream: UnsafeMutablePointer<z_stream>
    private let takesOverContext: Bool

    /// - Parameters:
    ///   - parameters: window bits from 8 to 15, and whether a message may refer to those before it.
    ///   - level: 0, no compression, to 9; zlib's default is 6.
    /// - Throws: if zlib has no memory.
    package init(_ parameters: PerMessageDeflate.Direction, level: Int = 6) throws(WebSocketError) {
        precondition((0...9).contains(level) && (8...15).contains(parameters.windowBits), "zlib has these levels and windows")
        takesOverContext = parameters.takesOverContext
        unsafe stream = .allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // zlib cannot make a raw stream with a window of 256 bytes. With one of 512 it refers at most 250 bytes back (the window minus
        // MIN_LOOKAHEAD, 262), which a receiver with a window of 256 can decode.
        let windowBits = Int32(max(9, parameters.windowBits))
        let memoryLevel: Int32 = 8  // zlib's default
        let result = unsafe deflateInit2_(
            stream, Int32(level), Z_DEFLATED, -windowBits, memoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        guard result == Z_OK else { throw WebSocketError.noMemory }
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// The payload of a message with this content (RFC 7692 §7.2.1).
    package func compress(_ content: ByteBuffer) -> ByteBuffer {
        // RFC 7692 §7.2.3.6: empty content is sent as the first byte of an empty stored block. zlib would not flush twice without input.
        guard content.readableBytes > 0 else { return ByteBuffer(bytes: [0x00]) }
        var out = ByteBuffer()
        var rest = content
        while rest.readableBytes > 0 {
            let part = rest.readSlice(length: min(rest.readableBytes, 1 << 30)) ?? ByteBuffer()
            deflate(part, into: &out, flush: rest.readableBytes == 0 ? Z_SYNC_FLUSH : Z_NO_FLUSH)
        }
        // The flush ended with an empty stored block; its length and the length's complement are not sent.
        out.moveWriterIndex(to: out.writerIndex - 4)
        if !takesOverContext {
            let result = unsafe deflateReset(stream)
            precondition(result == Z_OK, "an initialised deflater can be reset")
        }
        return out
    }

    private func deflate(_ bytes: ByteBuffer, into out: inout ByteBuffer, flush: Int32) {
        unsafe bytes.withUnsafeReadableBytes { source in
            unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress!.assumingMemoryBound(to: UInt8.self))
            unsafe stream.pointee.avail_in = UInt32(source.count)
            let room = max(64, min(source.count, 1 << 18))
            var isFull = true
            // zlib manual, deflate: with a flush, call again until some room remains.
            while isFull {
                unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
                    unsafe stream.pointee.next_out = target.baseAddress!.assumingMemoryBound(to: UInt8.self)
                    unsafe stream.pointee.avail_out = UInt32(room)
                    let result = unsafe CZlib.deflate(stream, flush)
                    precondition(result == Z_OK || result == Z_BUF_ERROR, "deflate fails only when it is misused")
                    let free = unsafe Int(stream.pointee.avail_out)
                    isFull = free == 0
                    return room - free
                }
            }
            unsafe stream.pointee.next_in = nil
        }
    }
}

extension WebSocketError {
    static let noMemory = WebSocketError(.resources, closeCode: CloseCode.internalError, "zlib has no memory")
}
