// XXH32, the checksum of LZ4 frames, used for the frames that are ours as well (the xxHash specification, version 0.1.1).

import NIOCore

/// The XXH32 checksum with seed 0.
func xxHash32(_ bytes: ByteBuffer) -> UInt32 {
    unsafe bytes.withUnsafeReadableBytes { unsafe xxHash32($0) }
}

private let prime1: UInt32 = 2_654_435_761
private let prime2: UInt32 = 2_246_822_519
private let prime3: UInt32 = 3_266_489_917
private let prime4: UInt32 = 668_265_263
private let prime5: UInt32 = 374_761_393

@inline(__always) private func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 { value &<< count | value &>> (32 &- count) }

/// The XXH32 checksum with seed 0.
func xxHash32(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    @inline(__always) func word(_ offset: Int) -> UInt32 {
        unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    let count = bytes.count
    var position = 0
    var hash = prime5
    if count >= 16 {
        // Four scalar lanes: their multiplications overlap, which a vector's do not on common processors.
        var (a, b, c, d) = (prime1 &+ prime2, prime2, UInt32(0), 0 &- prime1)
        while position &+ 16 <= count {
            a = rotate(a &+ word(position) &* prime2, 13) &* prime1
            b = rotate(b &+ word(position &+ 4) &* prime2, 13) &* prime1
            c = rotate(c &+ word(position &+ 8) &* prime2, 13) &* prime1
            d = rotate(d &+ word(position &+ 12) &* prime2, 13) &* prime1
            position &+= 16
        }
        hash = rotate(a, 1) &+ rotate(b, 7) &+ rotate(c, 12) &+ rotate(d, 18)
    }
    hash = hash &+ UInt32(truncatingIfNeeded: count)
    while position &+ 4 <= count {
        hash = rotate(hash &+ word(position) &* prime3, 17) &* prime4
        position &+= 4
    }
    while position < count {
        let byte = unsafe bytes[position]
        hash = rotate(hash &+ UInt32(byte) &* prime5, 11) &* prime1
        position &+= 1
    }
    hash = (hash ^ hash &>> 15) &* prime2
    hash = (hash ^ hash &>> 13) &* prime3
    return hash ^ hash &>> 16
}
