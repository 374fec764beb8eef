// br (RFC 7932) by the Brotli library.

private import CBrotli
import NIOCore

func decodeBrotli(_ bytes: ByteBuffer, maximum: Int) -> DecodedContent {
    guard let state = unsafe BrotliDecoderCreateInstance(nil, nil, nil) else {
        return DecodedContent(content: ByteBuffer(), outcome: .failed("Brotli has no memory"))
    }
    defer { unsafe BrotliDecoderDestroyInstance(state) }
    var out = ByteBuffer()
    let outcome = unsafe bytes.withUnsafeReadableBytes { source -> DecodedContent.Outcome in
        var next = unsafe source.baseAddress?.assumingMemoryBound(to: UInt8.self)
        var available = source.count
        while true {
            if out.readableBytes >= maximum { return .limited }
            var result = BROTLI_DECODER_RESULT_ERROR
            let room = min(maximum - out.readableBytes, max(16 * 1024, min(out.readableBytes, 1 << 20)))
            unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
                var free = room
                var place: UnsafeMutablePointer<UInt8>? = unsafe target.baseAddress!.assumingMemoryBound(to: UInt8.self)
                result = unsafe BrotliDecoderDecompressStream(state, &available, &next, &free, &place, nil)
                return room - free
            }
            switch result {
            case BROTLI_DECODER_RESULT_SUCCESS: return .complete
            case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT: return .truncated
            case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT: continue
            default:
                return .failed(unsafe String(cString: BrotliDecoderErrorString(BrotliDecoderGetErrorCode(state))))
            }
        }
    }
    return DecodedContent(content: out, outcome: outcome)
}
