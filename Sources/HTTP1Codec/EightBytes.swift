// Eight bytes looked at together, in one register: most bytes of a head are only asked whether they are one of a few. An answer that says
// "none" is certain; one that says "some" may be wrong behind the first that is meant, so who must know which looks byte by byte.

/// Eight bytes in the order of memory, the first in the lowest bits.
struct EightBytes {
    let value: UInt64

    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let tops: UInt64 = 0x8080_8080_8080_8080

    init(_ value: UInt64) { self.value = value }

    // SAFETY: eight bytes from the pointer on are readable.
    @inline(__always) init(at pointer: UnsafeRawPointer) {
        value = UInt64(littleEndian: unsafe pointer.loadUnaligned(as: UInt64.self))
    }

    /// The top bit of each byte that equals another is set; so may be those of bytes behind the first such.
    @inline(__always) func equal(to byte: UInt8) -> UInt64 {
        let difference = value ^ (Self.ones &* UInt64(byte))
        return (difference &- Self.ones) & ~difference & Self.tops
    }

    /// The same for bytes below a limit of at most 0x80.
    @inline(__always) func below(_ limit: UInt8) -> UInt64 { (value &- Self.ones &* UInt64(limit)) & ~value & Self.tops }

    /// The same for bytes beyond ASCII; exact.
    var beyondASCII: UInt64 { value & Self.tops }
}

extension UnsafeRawBufferPointer {
    /// Whether a test that looks at eight bytes together is answered with zero for all bytes of a range, which is cut into pieces that may
    /// overlap; bytes of a range that is shorter are told to differ from everything that is looked for by what they are filled up with.
    // SAFETY: the range lies within the buffer.
    @inline(__always) func isClear(_ from: Int, _ to: Int, of test: (EightBytes) -> UInt64) -> Bool {
        guard let base = baseAddress else { return true }
        var position = from
        while position &+ 8 <= to {
            if test(unsafe EightBytes(at: base + position)) != 0 { return false }
            position &+= 8
        }
        guard position < to else { return true }
        if to &- from >= 8 { return test(unsafe EightBytes(at: base + (to &- 8))) == 0 }
        // Letters, which nobody looks for.
        var rest: UInt64 = 0x6161_6161_6161_6161
        while position < to {
            rest = rest &<< 8 | UInt64(unsafe self[position])
            position &+= 1
        }
        return test(EightBytes(rest)) == 0
    }
}
