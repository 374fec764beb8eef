// Masking of a client's payload (RFC 6455 §5.3): each byte of a payload is XORed with one of four key bytes in turn. The same step masks
// and unmasks. It runs over every byte that a client sends, so it takes eight bytes at a time.

import NIOCore

/// The four bytes of a masking key.
package struct MaskingKey: Sendable, Hashable {
    /// The first byte of the key, which is sent first, is in the highest bits.
    package var value: UInt32

    package init(_ value: UInt32) { self.value = value }

    /// Masks or unmasks all readable bytes, in place if the storage is not shared, otherwise in a copy.
    /// - Parameter offset: bytes of the frame's payload before these.
    package func apply(to bytes: inout ByteBuffer, offset: UInt64 = 0) {
        let key = wide(offset)
        unsafe bytes.withUnsafeMutableReadableBytes { target in
            unsafe combine(UnsafeRawBufferPointer(target), into: target, key)
        }
    }

    /// The readable bytes masked or unmasked, in new storage; the argument is not changed.
    /// - Parameter offset: bytes of the frame's payload before these.
    package func applied(to bytes: ByteBuffer, offset: UInt64 = 0) -> ByteBuffer {
        guard bytes.readableBytes > 0 else { return ByteBuffer() }
        var result = ByteBuffer()
        write(bytes, offset: offset, into: &result)
        return result
    }

    /// Appends the readable bytes, masked or unmasked, to a buffer.
    func write(_ bytes: ByteBuffer, offset: UInt64 = 0, into out: inout ByteBuffer) {
        let key = wide(offset)
        unsafe bytes.withUnsafeReadableBytes { source in
            let count = source.count
            guard count > 0 else { return }
            _ = unsafe out.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
                unsafe combine(source, into: target, key)
                return count
            }
        }
    }

    /// The key twice, rotated so that its lowest byte in memory belongs to the payload's byte at an offset.
    private func wide(_ offset: UInt64) -> UInt64 {
        let inOrder = value.byteSwapped
        let turn = UInt32(offset & 3) * 8
        let turned = turn == 0 ? inOrder : inOrder >> turn | inOrder << (32 - turn)
        return UInt64(turned) | UInt64(turned) << 32
    }
}

/// XORs bytes with the key in turn. Source and target are the same bytes or do not overlap; the target is not shorter.
/// - Parameter key: its lowest byte belongs to the first byte.
private func combine(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer, _ key: UInt64) {
    let count = source.count
    let inMemory = key.littleEndian
    var position = 0
    // Four words in each turn leave the compiler room for vector registers.
    while position + 32 <= count {
        for word in 0..<4 {
            let at = position + word * 8
            let bytes = unsafe source.loadUnaligned(fromByteOffset: at, as: UInt64.self)
            unsafe target.storeBytes(of: bytes ^ inMemory, toByteOffset: at, as: UInt64.self)
        }
        position += 32
    }
    while position + 8 <= count {
        let bytes = unsafe source.loadUnaligned(fromByteOffset: position, as: UInt64.self)
        unsafe target.storeBytes(of: bytes ^ inMemory, toByteOffset: position, as: UInt64.self)
        position += 8
    }
    var rest = key
    while position < count {
        unsafe target[position] = unsafe source[position] ^ UInt8(truncatingIfNeeded: rest)
        rest >>= 8
        position += 1
    }
}
