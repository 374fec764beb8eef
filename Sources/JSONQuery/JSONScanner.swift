// Steps over JSON text (RFC 8259) at the speed of memory: checks that it is valid, builds nothing. Bytes of strings that are not UTF-8
// are accepted, as JSONReader and browsers do.

import HTTPSemantics

/// A position in a text. A step returns false, or 0, if the text is not valid at ``offset``.
// SAFETY: `base` has `end` readable bytes while the scanner exists, and every offset is compared with `end` before it is read.
@safe struct JSONScanner {
    private let base: UnsafeRawPointer
    let end: Int
    /// In bytes from the beginning of the text.
    var offset: Int

    init(base: UnsafeRawPointer, count: Int, at offset: Int = 0) {
        unsafe self.base = base
        end = count
        self.offset = offset
    }

    @inline(__always) func byte(at offset: Int) -> UInt8 { unsafe base.load(fromByteOffset: offset, as: UInt8.self) }

    /// The bytes of a range.
    @inline(__always) func withBytes<Result>(_ start: Int, _ end: Int, _ body: (Span<UInt8>) -> Result) -> Result {
        // SAFETY: the range is a part of the text, and the span does not outlive the call.
        unsafe body(Span(_unsafeStart: base.advanced(by: start).assumingMemoryBound(to: UInt8.self), count: end - start))
    }

    /// Whether a range has the bytes of a name.
    // SAFETY: `count` bytes from the name are readable; the range is a part of the text.
    @inline(__always) func has(_ name: UnsafeRawPointer, _ count: Int, at start: Int) -> Bool {
        var index = 0
        while index &+ 8 <= count {
            if unsafe EightBytes(at: base + (start &+ index)).value != EightBytes(at: name + index).value { return false }
            index &+= 8
        }
        while index < count {
            if unsafe byte(at: start &+ index) != name.load(fromByteOffset: index, as: UInt8.self) { return false }
            index &+= 1
        }
        return true
    }

    // MARK: Tokens

    /// Skips white space; the byte after it, or 0 at the end of the text and at a byte that begins nothing.
    @inline(__always) mutating func token() -> UInt8 {
        guard offset < end else { return 0 }
        let first = byte(at: offset)
        return first > 0x20 ? first : tokenAfterSpace()
    }

    private mutating func tokenAfterSpace() -> UInt8 {
        while offset < end {
            let next = byte(at: offset)
            if next > 0x20 { return next }
            guard next == 0x20 || next == 0x0A || next == 0x0D || next == 0x09 else { return 0 }
            offset &+= 1
            // Indentation.
            while offset &+ 8 <= end, unsafe EightBytes(at: base + offset).value == 0x2020_2020_2020_2020 { offset &+= 8 }
        }
        return 0
    }

    enum StringForm {
        case invalid
        case plain
        case escaped
    }

    /// Skips a string after its first quotation mark, and the mark after it.
    @inline(__always) mutating func string() -> StringForm {
        var form = StringForm.plain
        while offset < end {
            while offset &+ 8 <= end {
                let bytes = unsafe EightBytes(at: base + offset)
                let special = bytes.equal(to: 0x22) | bytes.equal(to: 0x5C) | bytes.below(0x20)
                if special != 0 {
                    offset &+= special.trailingZeroBitCount &>> 3
                    break
                }
                offset &+= 8
            }
            guard offset < end else { return .invalid }
            let next = byte(at: offset)
            offset &+= 1
            if next == 0x22 { return form }
            if next == 0x5C {
                guard escape() else { return .invalid }
                form = .escaped
            } else if next < 0x20 {
                return .invalid
            }
        }
        return .invalid
    }

    /// Skips an escape after its backslash.
    private mutating func escape() -> Bool {
        guard offset < end else { return false }
        let kind = byte(at: offset)
        offset &+= 1
        switch kind {
        case 0x22, 0x5C, 0x2F, 0x62, 0x66, 0x6E, 0x72, 0x74: return true
        case 0x75:
            guard offset &+ 4 <= end else { return false }
            for index in offset..<offset &+ 4 {
                let digit = byte(at: index)
                guard digit &- 0x30 < 10 || (digit | 0x20) &- 0x61 < 6 else { return false }
            }
            offset &+= 4
            return true
        default: return false
        }
    }

    /// Skips the name of a member, after its first quotation mark was seen, and the colon.
    private mutating func name() -> Bool {
        guard token() == 0x22 else { return false }
        offset &+= 1
        guard string() != .invalid, token() == 0x3A else { return false }
        offset &+= 1
        return true
    }

    /// Skips a string, number, or word at its first byte.
    @inline(__always) mutating func scalar(_ first: UInt8) -> Bool {
        switch first {
        case 0x22:
            offset &+= 1
            return string() != .invalid
        case 0x2D, 0x30...0x39: return number(first)
        case 0x74: return word(0x6575_7274, 4)
        case 0x6E: return word(0x6C6C_756E, 4)
        // The first letter of `false` is known.
        case 0x66:
            offset &+= 1
            return word(0x6573_6C61, 4)
        default: return false
        }
    }

    private mutating func word(_ letters: UInt32, _ count: Int) -> Bool {
        guard offset &+ count <= end,
            UInt32(littleEndian: unsafe base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) == letters
        else { return false }
        offset &+= count
        return true
    }

    @inline(__always) private mutating func digits() -> Int {
        var place = offset
        while place < end, byte(at: place) &- 0x30 < 10 { place &+= 1 }
        defer { offset = place }
        return place &- offset
    }

    private mutating func number(_ first: UInt8) -> Bool {
        if first != 0x30, offset &+ 8 <= end {
            // Most numbers are short and have digits only: they end within eight bytes.
            let bytes = unsafe EightBytes(at: base + offset)
            let count = bytes.notDigit.trailingZeroBitCount &>> 3
            let next = UInt8(truncatingIfNeeded: bytes.value &>> UInt64(count &* 8))
            if count > 0, count < 8, next != 0x2E, next | 0x20 != 0x65 {
                offset &+= count
                return true
            }
        }
        if first == 0x2D { offset &+= 1 }
        let isZero = offset < end && byte(at: offset) == 0x30
        let count = digits()
        guard count > 0, !isZero || count == 1 else { return false }
        if offset < end, byte(at: offset) == 0x2E {
            offset &+= 1
            guard digits() > 0 else { return false }
        }
        if offset < end, byte(at: offset) | 0x20 == 0x65 {
            offset &+= 1
            if offset < end, byte(at: offset) == 0x2D || byte(at: offset) == 0x2B { offset &+= 1 }
            guard digits() > 0 else { return false }
        }
        return true
    }

    // MARK: Values

    /// Skips a value.
    /// - Parameter depth: of the containers around it.
    mutating func skip(_ depth: Int) -> Bool {
        // Of each open container whether it is an object; the innermost is the lowest bit.
        var kinds: UInt64 = 0
        var level = 0
        values: while true {
            let first = token()
            if first == 0x7B || first == 0x5B {
                guard depth &+ level < JSONTree.maximumDepth else { return false }
                if level < 64 {
                    offset &+= 1
                    if token() != first &+ 2 {
                        kinds = kinds &<< 1 | (first == 0x7B ? 1 : 0)
                        level &+= 1
                        if first == 0x7B, !name() { return false }
                        continue values
                    }
                    offset &+= 1
                } else if !skip(depth &+ level) {
                    return false
                }
            } else if !scalar(first) {
                return false
            }
            // After a value.
            while level > 0 {
                let mark = token()
                offset &+= 1
                if mark == 0x2C {
                    if kinds & 1 == 1, !name() { return false }
                    continue values
                }
                guard mark == (kinds & 1 == 1 ? 0x7D : 0x5D) else { return false }
                kinds &>>= 1
                level &-= 1
            }
            return true
        }
    }

    /// The number of elements of an array at its bracket.
    /// - Returns: nil if it is not valid.
    func count(_ depth: Int) -> Int? {
        var ahead = self
        ahead.offset &+= 1
        if ahead.token() == 0x5D { return 0 }
        var count = 0
        while ahead.skip(depth &+ 1) {
            count &+= 1
            let mark = ahead.token()
            ahead.offset &+= 1
            if mark == 0x5D { return count }
            guard mark == 0x2C else { return nil }
        }
        return nil
    }
}
