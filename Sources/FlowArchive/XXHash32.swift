// XXH32, the checksum of LZ4 frames, used for the frames that are ours as well (the xxHash specification, version 0.1.1).

import NIOCore

/// The XXH32 checksum with seed 0.
func xxHash32(_ bytes: ByteBuffer) -> UInt32 {
    unsafe bytes.withUnsafeReadableBytes { unsafe xxHash32($0) }
}

private let primes: (UInt32, UInt32, UInt32, UInt32, UInt32) = (
    2_654_435_761, 2_246_822_519, 3_266_489_917, 668_265_263, 374_761_393
)

private func xxHash32(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    func word(_ offset: Int) -> UInt32 { unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
    func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 { value << count | value >> (32 - count) }
    let count = bytes.count
    var position = 0
    var hash: UInt32
    if count >= 16 {
        var lanes = SIMD4<UInt32>(primes.0 &+ primes.1, primes.1, 0, 0 &- primes.0)
        while position + 16 <= count {
            let words = SIMD4(word(position), word(position + 4), word(position + 8), word(position + 12))
            lanes = lanes &+ words &* primes.1
            lanes = (lanes &<< 13) | (lanes &>> 19)
            lanes = lanes &* primes.0
            position += 16
        }
        hash = rotate(lanes[0], 1) &+ rotate(lanes[1], 7) &+ rotate(lanes[2], 12) &+ rotate(lanes[3], 18)
    } else {
        hash = primes.4
    }
    hash = hash &+ UInt32(truncatingIfNeeded: count)
    while position + 4 <= count {
        hash = rotate(hash &+ word(position) &* primes.2, 17) &* primes.3
        position += 4
    }
    while position < count {
        let byte = unsafe bytes[position]
        hash = rotate(hash &+ UInt32(byte) &* primes.4, 11) &* primes.0
        position += 1
    }
    hash = (hash ^ hash >> 15) &* primes.1
    hash = (hash ^ hash >> 13) &* primes.2
    return hash ^ hash >> 16
}
