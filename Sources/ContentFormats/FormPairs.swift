// Pairs of a form or a query: `application/x-www-form-urlencoded` (WHATWG URL section 5.1).

import HTTPSemantics
import NIOCore

/// The pairs of a form, decoded one after the other.
package struct FormPairs: Sequence, IteratorProtocol {
    package struct Pair: Equatable {
        package var name: ByteBuffer
        /// Empty without `=`.
        package var value: ByteBuffer
    }

    private let form: ByteBuffer
    private var place = 0

    package init(_ form: ByteBuffer) { self.form = form }

    /// The pairs of a request-target's query.
    package init(queryOf target: ByteBuffer) {
        let span = target.readableBytesUInt8Span
        var start = 0
        while start < span.count, span[start] != UInt8(ascii: "?") { start += 1 }
        var end = start
        while end < span.count, span[end] != UInt8(ascii: "#") { end += 1 }
        form = start < end ? target.slice(ByteRange(start + 1, end)) : ByteBuffer()
    }

    package mutating func next() -> Pair? {
        let form = form
        let span = form.readableBytesUInt8Span
        while place < span.count {
            let start = place
            var equals = -1
            while place < span.count, span[place] != UInt8(ascii: "&") {
                if equals < 0, span[place] == UInt8(ascii: "=") { equals = place }
                place += 1
            }
            let end = place
            place += 1
            guard end > start else { continue }
            guard equals >= 0 else { return Pair(name: form.slice(ByteRange(start, end)).formDecoded, value: ByteBuffer()) }
            return Pair(
                name: form.slice(ByteRange(start, equals)).formDecoded, value: form.slice(ByteRange(equals + 1, end)).formDecoded)
        }
        return nil
    }
}

extension ByteBuffer {
    /// Without the percent and plus signs of a form. A percent sign that is not followed by two digits stays.
    package var formDecoded: ByteBuffer {
        let span = readableBytesUInt8Span
        var out = ByteBuffer()
        out.reserveCapacity(span.count)
        var i = 0
        while i < span.count {
            let byte = span[i]
            if byte == UInt8(ascii: "%"), i + 2 < span.count, let high = span[i + 1].hexadecimalDigit,
                let low = span[i + 2].hexadecimalDigit
            {
                out.writeInteger(high << 4 | low)
                i += 3
            } else {
                out.writeInteger(byte == UInt8(ascii: "+") ? 0x20 : byte)
                i += 1
            }
        }
        return out
    }
}

extension UInt8 {
    fileprivate var hexadecimalDigit: UInt8? {
        switch self {
        case 0x30...0x39: self - 0x30
        case 0x41...0x46: self - 0x37
        case 0x61...0x66: self - 0x57
        default: nil
        }
    }
}
