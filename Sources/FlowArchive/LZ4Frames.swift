// LZ4 frames (the LZ4 Frame Format, version 1.6.2), made and read by liblz4: one independent frame for each piece of a block, with the
// size and the checksum of its content.

private import CLZ4
import NIOCore

/// How hard is compressed.
package enum ArchiveCompression: Sendable, Equatable {
    /// While recording.
    case fast
    /// When there is time: LZ4 HC at this level, 3 to 12.
    case high(level: Int32)
}

/// Appends a frame with the compressed bytes.
/// - Parameter bytes: at most 2 GiB.
func writeLZ4Frame(_ bytes: ByteBuffer, _ compression: ArchiveCompression, into out: inout ByteBuffer) {
    var preferences = LZ4F_preferences_t()
    preferences.frameInfo.blockSizeID =
        bytes.readableBytes <= 64 * 1024 ? LZ4F_max64KB : bytes.readableBytes <= 256 * 1024 ? LZ4F_max256KB : LZ4F_max4MB
    preferences.frameInfo.blockMode = LZ4F_blockIndependent
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled
    preferences.frameInfo.contentSize = UInt64(bytes.readableBytes)
    switch compression {
    case .fast: preferences.compressionLevel = 0
    case .high(let level): preferences.compressionLevel = level
    }
    let bound = unsafe LZ4F_compressFrameBound(bytes.readableBytes, &preferences)
    unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: bound) { target in
        let written = unsafe bytes.withUnsafeReadableBytes { source in
            unsafe LZ4F_compressFrame(target.baseAddress, target.count, source.baseAddress, source.count, &preferences)
        }
        precondition(LZ4F_isError(written) == 0, "a frame always fits its bound")
        return written
    }
}

/// A decoder that is used again and again.
@safe final class LZ4FrameDecoder {
    // SAFETY: non-null until deinit; used by one owner at a time.
    private let context: OpaquePointer

    init() {
        var context: OpaquePointer?
        let result = unsafe LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))
        precondition(LZ4F_isError(result) == 0, "out of memory")
        unsafe self.context = unsafe context!
    }

    deinit { _ = unsafe LZ4F_freeDecompressionContext(context) }

    /// The content of exactly one frame.
    /// - Parameter size: the size that its content must have; so much is allocated and no more.
    /// - Returns: nil when it is no frame, its checksum is wrong, or its size another one.
    func decode(_ frame: ByteBuffer, size: Int) -> ByteBuffer? {
        unsafe LZ4F_resetDecompressionContext(context)
        var out = ByteBuffer()
        var isWhole = false
        unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: max(1, size)) { target in
            unsafe frame.withUnsafeReadableBytes { source in
                var read = 0
                var written = 0
                while true {
                    var sourceSize = source.count - read
                    var targetSize = size - written
                    // An empty frame has nowhere to write to; liblz4 wants an address all the same.
                    let result = unsafe LZ4F_decompress(
                        context, target.baseAddress! + written, &targetSize, source.baseAddress.map { unsafe $0 + read },
                        &sourceSize, nil)
                    if LZ4F_isError(result) != 0 { return 0 }
                    read += sourceSize
                    written += targetSize
                    if result == 0 {
                        isWhole = read == source.count && written == size
                        return written
                    }
                    if sourceSize == 0, targetSize == 0 { return 0 }
                }
            }
        }
        return isWhole ? out : nil
    }
}
