// Files in gzip (RFC 1952) that consist of members, one after the other: writing a member, and reading members as their bytes arrive.

private import CZlib
import NIOCore

/// A whole member of a gzip file.
package func gzipMember(_ bytes: ByteBuffer) -> ByteBuffer {
    var stream = unsafe z_stream()
    let isReady = unsafe deflateInit2_(
        &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, DeflateWrapping.gzip.rawValue, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size))
    guard isReady == Z_OK else { fatalError("out of memory") }
    defer { unsafe deflateEnd(&stream) }
    var out = ByteBuffer()
    unsafe bytes.withUnsafeReadableBytes { source in
        unsafe stream.next_in = source.baseAddress.map {
            unsafe UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: UInt8.self))
        }
        unsafe stream.avail_in = UInt32(source.count)
        var result = Z_OK
        while result != Z_STREAM_END {
            let room = 64 * 1024
            unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
                unsafe stream.next_out = target.baseAddress!.assumingMemoryBound(to: UInt8.self)
                unsafe stream.avail_out = UInt32(room)
                result = unsafe deflate(&stream, Z_FINISH)
                return unsafe room - Int(stream.avail_out)
            }
            precondition(result == Z_OK || result == Z_STREAM_END, "deflate compresses any bytes")
        }
    }
    return out
}

/// Decodes one member of a gzip file from bytes that arrive in pieces. Not thread-safe.
@safe package final class GzipMemberReader {
    package enum Step: Equatable, Sendable {
        /// All bytes were used, and more are needed.
        case needsMore
        /// The output has reached the maximum; more may follow from the same bytes.
        case full
        /// The member is over. Bytes after it are not used.
        case ended
        /// The bytes are not valid; which were used is not known.
        case failed(String)
    }

    // SAFETY: allocated and initialised in init, freed in deinit, never leaves this object. zlib remembers its address.
    private let stream: UnsafeMutablePointer<z_stream>

    package init() {
        unsafe stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        guard unsafe inflateInit2_(stream, DeflateWrapping.gzip.rawValue, ZLIB_VERSION, size) == Z_OK else {
            fatalError("out of memory")
        }
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// The next call begins another member.
    package func reset() { _ = unsafe inflateReset(stream) }

    /// Decodes bytes, which are removed from the input, and appends to the output.
    /// - Parameter maximum: the most bytes to append.
    package func read(_ input: inout ByteBuffer, into out: inout ByteBuffer, maximum: Int) -> Step {
        guard input.readableBytes > 0 else { return .needsMore }
        var result = Z_OK
        var used = 0
        unsafe input.withUnsafeReadableBytes { source in
            unsafe stream.pointee.next_in = UnsafeMutablePointer(
                mutating: source.baseAddress!.assumingMemoryBound(to: UInt8.self))
            unsafe stream.pointee.avail_in = UInt32(clamping: source.count)
            let offered = unsafe stream.pointee.avail_in
            unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: maximum) { target in
                unsafe stream.pointee.next_out = target.baseAddress!.assumingMemoryBound(to: UInt8.self)
                unsafe stream.pointee.avail_out = UInt32(maximum)
                result = unsafe inflate(stream, Z_NO_FLUSH)
                return unsafe maximum - Int(stream.pointee.avail_out)
            }
            used = unsafe Int(offered - stream.pointee.avail_in)
        }
        input.moveReaderIndex(forwardBy: used)
        switch result {
        case Z_STREAM_END: return .ended
        case Z_OK, Z_BUF_ERROR: return unsafe stream.pointee.avail_out == 0 ? .full : .needsMore
        default: return .failed(unsafe stream.pointee.msg.map { unsafe String(cString: $0) } ?? "the compressed data is not valid")
        }
    }
}
