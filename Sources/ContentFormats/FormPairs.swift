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
