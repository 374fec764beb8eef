// Bytes that lie in several places and are written as one run: the front of a block, its frames, and content that stays where it was put.

import Glibc
import NIOCore

/// Bytes on their way to the storage, in the buffers in which they were made.
package struct ScatteredBytes {
    package private(set) var buffers: [ByteBuffer] = []
    package private(set) var count = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }

    package mutating func append(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        buffers.append(bytes)
        count += bytes.readableBytes
    }

    /// Forgets bytes at the front.
    package mutating func removeFirst(_ number: Int) {
        precondition(number <= count)
        count -= number
        var rest = number
        var gone = 0
        while rest > 0 {
            let forgotten = min(rest, buffers[gone].readableBytes)
            rest -= forgotten
            buffers[gone].moveReaderIndex(forwardBy: forgotten)
            if buffers[gone].readableBytes == 0 { gone += 1 }
        }
        buffers.removeFirst(gone)
    }

    /// Lends the first bytes as vectors for writev(2), and at most 64 of those.
    // SAFETY: the pointers are valid within the closure, since the buffers that they point into are kept alive.
    func withVectors(limit: Int, _ body: ([iovec]) -> Int) -> Int {
        withExtendedLifetime(buffers) {
            var vectors: [iovec] = unsafe []
            var rest = limit
            for buffer in buffers.prefix(64) where rest > 0 {
                unsafe buffer.withUnsafeReadableBytes { bytes in
                    let length = min(rest, bytes.count)
                    unsafe vectors.append(iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: length))
                    rest -= length
                }
            }
            return unsafe body(vectors)
        }
    }

    /// Copies the first bytes together.
    // SAFETY: there is room for as many.
    func copyFirst(_ number: Int, to target: UnsafeMutableRawPointer) {
        precondition(number <= count)
        var position = 0
        for buffer in buffers where position < number {
            unsafe buffer.withUnsafeReadableBytes { bytes in
                let length = min(number - position, bytes.count)
                if let source = bytes.baseAddress { unsafe (target + position).copyMemory(from: source, byteCount: length) }
                position += length
            }
        }
    }
}
