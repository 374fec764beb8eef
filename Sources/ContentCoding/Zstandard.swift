// zstd (RFC 8878) by the Zstandard library; several frames in a row form one content.

private import CZstd
import NIOCore

/// Windows larger than this are refused: RFC 9659 asks content codings to stay within 8 MiB.
private let maximumWindowLog: Int32 = 27

func decodeZstd(_ bytes: ByteBuffer, maximum: Int) -> DecodedContent {
    guard let context = unsafe ZSTD_createDCtx() else {
        return DecodedContent(content: ByteBuffer(), outcome: .failed("zstd has no memory"))
    }
    defer { unsafe ZSTD_freeDCtx(context) }
    unsafe ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, maximumWindowLog)
    var out = ByteBuffer()
    let outcome = unsafe bytes.withUnsafeReadableBytes { source -> DecodedContent.Outcome in
        var input = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
        var isFrameOpen = false
        while true {
            let isDone = unsafe input.pos == input.size && !isFrameOpen
            if isDone { return .complete }
            if out.readableBytes >= maximum { return .limited }
            var result = 0
            var given = 0
            let before = unsafe input.pos
            let room = min(maximum - out.readableBytes, max(16 * 1024, min(out.readableBytes, 1 << 20)))
            unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { target in
                var output = unsafe ZSTD_outBuffer(dst: target.baseAddress, size: room, pos: 0)
                result = unsafe ZSTD_decompressStream(context, &output, &input)
                given = unsafe output.pos
                return given
            }
            if ZSTD_isError(result) != 0 { return .failed(unsafe String(cString: ZSTD_getErrorName(result))) }
            isFrameOpen = result != 0
            let isStuck = unsafe input.pos == before && given == 0
            if isStuck, isFrameOpen { return .truncated }
        }
    }
    return DecodedContent(content: out, outcome: outcome)
}
