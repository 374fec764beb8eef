// Encodes content: gzip by zlib, br by the Brotli library.

private import CBrotli
private import CZlib
import NIOCore

/// gzip (RFC 1952) at the level that servers use.
func gzip(_ plain: ByteBuffer) -> ByteBuffer {
    var stream = unsafe z_stream()
    // 15 bits of window and 16 for the wrapping of gzip (zlib manual, deflateInit2).
    let result = unsafe deflateInit2_(
        &stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    precondition(result == Z_OK, "zlib has no memory")
    defer { unsafe deflateEnd(&stream) }
    var coded = ByteBuffer()
    let room = unsafe Int(deflateBound(&stream, UInt(plain.readableBytes)))
    _ = unsafe plain.withUnsafeReadableBytes { source in
        unsafe stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress?.assumingMemoryBound(to: UInt8.self))
        unsafe stream.avail_in = UInt32(source.count)
        unsafe coded.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
            unsafe stream.next_out = target.baseAddress!.assumingMemoryBound(to: UInt8.self)
            unsafe stream.avail_out = UInt32(room)
            precondition(unsafe deflate(&stream, Z_FINISH) == Z_STREAM_END)
            return unsafe room - Int(stream.avail_out)
        }
    }
    return coded
}

/// br (RFC 7932) at the level that servers use for dynamic content.
func brotli(_ plain: ByteBuffer) -> ByteBuffer {
    var coded = ByteBuffer()
    let room = max(64, BrotliEncoderMaxCompressedSize(plain.readableBytes))
    _ = unsafe plain.withUnsafeReadableBytes { source in
        unsafe coded.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
            var size = room
            let result = unsafe BrotliEncoderCompress(
                5, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, source.count, source.baseAddress?.assumingMemoryBound(to: UInt8.self),
                &size,
                target.baseAddress!.assumingMemoryBound(to: UInt8.self))
            precondition(result == BROTLI_TRUE)
            return size
        }
    }
    return coded
}
