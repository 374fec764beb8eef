// Eight bytes tested together, in one register: most bytes of a head are only compared with a few values.

/// Eight bytes in the order of memory, the first in the lowest bits.
@usableFromInline package struct EightBytes {
    @usableFromInline package let value: UInt64

    @inlinable static var ones: UInt64 { 0x0101_0101_0101_0101 }
    @inlinable static var tops: UInt64 { 0x8080_8080_8080_8080 }

    @inlinable @inline(__always) package init(_ value: UInt64) { self.value = value }

    // SAFETY: eight bytes from the pointer are readable.
    @inlinable @inline(__always) package init(at pointer: UnsafeRawPointer) {
        value = UInt64(littleEndian: unsafe pointer.loadUnaligned(as: UInt64.self))
    }

    /// The top bit of each byte that equals another is set. The top bits of later bytes may be set too, but never without such a byte.
    @inlinable @inline(__always) package func equal(to byte: UInt8) -> UInt64 {
        let difference = value ^ (Self.ones &* UInt64(byte))
        return (difference &- Self.ones) & ~difference & Self.tops
    }

    /// The top bit of each byte that is below a limit of at most 0x80.
    @inlinable @inline(__always) package func below(_ limit: UInt8) -> UInt64 {
        ~((value | Self.tops) &- Self.ones &* UInt64(limit)) & ~value & Self.tops
    }

    /// The top bit of each control character (RFC 5234 appendix B.1), except in bytes after the first one, where others may be set too.
    @inlinable @inline(__always) package var controls: UInt64 { below(0x20) | equal(to: 0x7F) }

    /// The top bit of each byte beyond ASCII.
    @inlinable @inline(__always) package var beyondASCII: UInt64 { value & Self.tops }

    /// The top bit of each byte that is not a letter, digit, hyphen or dot, which most field names consist of.
    @inlinable @inline(__always) package var notLetterDigitOrHyphen: UInt64 {
        let folded = EightBytes(value | Self.ones &* 0x20)
        let letters = folded.below(0x7B) & ~folded.below(0x61)
        let digits = below(0x3A) & ~below(0x2D) & ~equal(to: 0x2F)
        return ~(letters | digits) & Self.tops
    }

    /// The top bit of each byte that is not a digit.
    @inlinable @inline(__always) package var notDigit: UInt64 { below(0x30) | ~below(0x3A) & Self.tops }

    /// The top bit of each byte from `A` to `Z`.
    @inlinable @inline(__always) package var upperCase: UInt64 { below(0x5B) & ~below(0x41) }

    /// With letters of ASCII in lower case.
    @inlinable @inline(__always) package var lowercased: UInt64 { value | upperCase &>> 2 }
}

/// Whether two runs of bytes are the same.
// SAFETY: `count` bytes from both pointers are readable.
@inline(__always) func areSame(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Bool {
    guard count >= 8 else {
        for offset in 0..<count {
            if unsafe a.load(fromByteOffset: offset, as: UInt8.self) != b.load(fromByteOffset: offset, as: UInt8.self) {
                return false
            }
        }
        return true
    }
    var offset = 0
    while offset < count {
        // The last eight bytes may overlap those before them.
        let at = min(offset, count &- 8)
        if unsafe EightBytes(at: a + at).value != EightBytes(at: b + at).value { return false }
        offset &+= 8
    }
    return true
}

extension UnsafeRawBufferPointer {
    /// Whether a test of eight bytes returns zero for all bytes of a range. The range is divided into groups that may overlap; a shorter one is
    /// filled up with letters `a`.
    // SAFETY: the range lies within the buffer.
    @inlinable @inline(__always) package func isClear(_ from: Int, _ to: Int, of test: (EightBytes) -> UInt64) -> Bool {
        guard let base = baseAddress else { return true }
        var position = from
        while position &+ 8 <= to {
            if test(unsafe EightBytes(at: base + position)) != 0 { return false }
            position &+= 8
        }
        guard position < to else { return true }
        if to &- from >= 8 { return test(unsafe EightBytes(at: base + (to &- 8))) == 0 }
        var rest: UInt64 = 0x6161_6161_6161_6161
        while position < to {
            rest = rest &<< 8 | UInt64(unsafe self[position])
            position &+= 1
        }
        return test(EightBytes(rest)) == 0
    }
}

extension UInt8 {
    /// The characters of a method and of a field name (RFC 9110 §5.6.2).
    @inlinable package var isTokenCharacter: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E...0x60, 0x7C, 0x7E: true
        default: false
        }
    }
}
