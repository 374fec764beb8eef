// gzip (RFC 1952) and deflate (RFC 1950, RFC 1951) by zlib.

private import CZlib
import NIOCore

enum DeflateWrapping: Int32 {
    /// A window of 15 bits; plus 16 for gzip, negative for no wrapping (zlib manual, inflateInit2).
    case gzip = 31
    case zlib = 15
    case raw = -15
}

/// `deflate` means the zlib format, but some servers send it raw.
func inflateDeflate(_ bytes: ByteBuffer, maximum: Int) -> DecodedContent {
    let wrapped = inflateContent(bytes, wrapping: .zlib, maximum: maximum)
    if case .failed = wrapped.outcome, wrapped.content.readableBytes == 0 {
        return inflateContent(bytes, wrapping: .raw, maximum: maximum)
    }
    return wrapped
}

/// Decodes all members of a gzip file, or one stream of the other formats. Bytes after the last member that are not a member are
/// ignored.
func inflateContent(_ bytes: ByteBuffer, wrapping: DeflateWrapping, maximum: Int) -> DecodedContent {
    var stream = unsafe z_stream()
    guard unsafe inflateInit2_(&stream, wrapping.rawValue, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
        return DecodedContent(content: ByteBuffer(), outcome: .failed("zlib has no memory"))
    }
    defer { unsafe inflateEnd(&stream) }
    var out = ByteBuffer()
    let outcome = unsafe bytes.withUnsafeReadableBytes { source -> DecodedContent.Outcome in
        guard let base = source.baseAddress, source.count > 0 else { return .complete }
        unsafe stream.next_in = UnsafeMutablePointer(mutating: base.assumingMemoryBound(to: UInt8.self))
        unsafe stream.avail_in = UInt32(clamping: source.count)
        var members = 0
        while true {
            if out.readableBytes >= maximum { return .limited }
            let result = unsafe step(&stream, &out, maximum)
            switch result {
            case Z_STREAM_END:
                members += 1
                let isMore = unsafe wrapping == .gzip && stream.avail_in > 0
                guard isMore, unsafe stream.next_in.pointee == 0x1F, unsafe inflateReset(&stream) == Z_OK else { return .complete }
            case Z_OK, Z_BUF_ERROR:
                let isDry = unsafe stream.avail_in == 0 && stream.avail_out > 0
                if isDry || result == Z_BUF_ERROR { return .truncated }
            default:
                // These bytes begin like another member but are not one.
                if members > 0, out.readableBytes > 0 { return .complete }
                return .failed(unsafe stream.msg.map { unsafe String(cString: $0) } ?? "the compressed data is not valid")
            }
        }
    }
    return DecodedContent(content: out, outcome: outcome)
}

/// Calls inflate once and appends its output.
private func step(_ stream: inout z_stream, _ out: inout ByteBuffer, _ maximum: Int) -> Int32 {
    var result: Int32 = 0
    let room = min(maximum - out.readableBytes, max(16 * 1024, min(out.readableBytes, 1 << 20)))
    unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
        unsafe stream.next_out = target.baseAddress!.assumingMemoryBound(to: UInt8.self)
        unsafe stream.avail_out = UInt32(room)
        result = unsafe inflate(&stream, Z_NO_FLUSH)
        return unsafe room - Int(stream.avail_out)
    }
    return result
}
