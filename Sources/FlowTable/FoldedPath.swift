// Paths whose identifiers are replaced by a mark, so that the requests for one kind of resource are one group.

import HTTPSemantics
import NIOCore

extension ByteBuffer {
    /// A path with `{}` for each segment that is an identifier: `/users/{}/orders/{}`. An identifier is a number, a UUID, 8 hexadecimal
    /// digits or more with a number among them, or a token of 20 characters or more with a number among them. What follows its last dot
    /// stays: `/img/{}.png`.
    package var foldingIdentifiers: ByteBuffer {
        let bytes = readableBytesUInt8Span
        var folded: ByteBuffer?
        var copied = 0
        var start = 0
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != UInt8(ascii: "/") { end += 1 }
            let identifier = identifierEnd(start, end)
            if identifier > start {
                if folded == nil {
                    folded = ByteBuffer()
                    folded?.reserveCapacity(bytes.count)
                }
                folded?.writeImmutableBuffer(slice(ByteRange(copied, start)))
                folded?.writeStaticString("{}")
                copied = identifier
            }
            start = end + 1
        }
        guard var folded else { return self }
        folded.writeImmutableBuffer(slice(ByteRange(copied, bytes.count)))
        return folded
    }

    /// The end of the identifier that a segment begins with; its start if it is no identifier.
    private func identifierEnd(_ start: Int, _ end: Int) -> Int {
        if isIdentifier(start, end) { return end }
        let bytes = readableBytesUInt8Span
        var dot = end - 1
        while dot > start, bytes[dot] != UInt8(ascii: ".") { dot -= 1 }
        // A name of a file: what follows the dot is short.
        return dot > start && end - dot <= 6 && isIdentifier(start, dot) ? dot : start
    }

    private func isIdentifier(_ start: Int, _ end: Int) -> Bool {
        let bytes = readableBytesUInt8Span
        let length = end - start
        var (digits, hexadecimal, token) = (0, 0, 0)
        for index in start..<end {
            switch bytes[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digits += 1
            case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): hexadecimal += 1
            case UInt8(ascii: "g")...UInt8(ascii: "z"), UInt8(ascii: "G")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                UInt8(ascii: "="), UInt8(ascii: "~"), UInt8(ascii: "+"):
                token += 1
            case UInt8(ascii: "%"): token += 1
            default: return false
            }
        }
        guard digits > 0 else { return false }
        if digits == length { return true }
        if digits + hexadecimal == length { return length >= 8 }
        if length == 36, isUUID(start) { return true }
        return length >= 20 && 2 * digits >= length / 5
    }

    /// 36 characters with hyphens where a UUID has them (RFC 9562 section 4).
    private func isUUID(_ start: Int) -> Bool {
        let bytes = readableBytesUInt8Span
        for offset in 0..<36 {
            let isHyphen = [8, 13, 18, 23].contains(offset)
            guard (bytes[start + offset] == UInt8(ascii: "-")) == isHyphen else { return false }
            guard isHyphen || bytes[start + offset].isHexadecimalDigit else { return false }
        }
        return true
    }
}

extension UInt8 {
    fileprivate var isHexadecimalDigit: Bool { self &- 0x30 < 10 || (self | 0x20) &- 0x61 < 6 }
}
