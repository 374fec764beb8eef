// Quoted-printable (RFC 2045 section 6.7), leniently: what is not an escape stays as it is.

import HTTPSemantics
import NIOCore

extension ByteBuffer {
    /// The bytes that quoted-printable text stands for.
    package var quotedPrintableDecoded: ByteBuffer {
        let span = readableBytesUInt8Span
        var out = ByteBuffer()
        out.reserveCapacity(span.count)
        var start = 0
        while start < span.count {
            var lineEnd = start
            while lineEnd < span.count, span[lineEnd] != 0x0A { lineEnd += 1 }
            let next = min(lineEnd + 1, span.count)
            var end = lineEnd
            if end > start, end < span.count, span[end - 1] == 0x0D { end -= 1 }
            let lineBreak = ByteRange(end, next)
            // White space at the end of a line was added on the way (rule 3).
            while end > start, span[end - 1] == 0x20 || span[end - 1] == 0x09 { end -= 1 }
            let isSoft = end > start && span[end - 1] == 0x3D
            if isSoft { end -= 1 }
            var i = start
            while i < end {
                if span[i] == 0x3D, i + 2 < end, let value = Self.hexadecimal(span[i + 1], span[i + 2]) {
                    out.writeInteger(value)
                    i += 3
                } else {
                    out.writeInteger(span[i])
                    i += 1
                }
            }
            if !isSoft { out.writeImmutableBuffer(slice(lineBreak)) }
            start = next
        }
        return out
    }

    private static func hexadecimal(_ high: UInt8, _ low: UInt8) -> UInt8? {
        guard high < 0x80, low < 0x80, let a = Character(UnicodeScalar(high)).hexDigitValue,
            let b = Character(UnicodeScalar(low)).hexDigitValue
        else { return nil }
        return UInt8(a << 4 | b)
    }
}
