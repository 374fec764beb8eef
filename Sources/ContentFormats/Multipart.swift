// Content in parts (RFC 2046 section 5.1, RFC 7578): lines that begin with the boundary separate them. Leniently: line ends may be LF alone,
// and parts that are not closed are still parts, which is reported. The bytes of a part are never changed.

import HTTPSemantics
import NIOCore

/// Reads the parts of multipart content, one after the other.
package struct MultipartReader {
    package struct Part: Sendable, Equatable {
        /// The field lines, without the empty line that ends them.
        package var head: ByteBuffer
        /// As it was sent: a Content-Transfer-Encoding is not undone.
        package var content: ByteBuffer
        /// A line that is not a field ends the head, and belongs to the content.
        package var isHeadUnended: Bool
        /// No delimiter ends the part.
        package var isUnended: Bool
    }

    private let body: ByteBuffer
    private let delimiter: ByteBuffer
    /// Where the part begins that is read next; nil before the first delimiter was found, and after the last part.
    private var start: Int?
    private var hasBegun = false
    /// What is before the first delimiter, without the line end that belongs to it. All of the body if there is no delimiter.
    package private(set) var preamble = ByteBuffer()
    /// What is after the close delimiter; nil if there was none so far.
    package private(set) var epilogue: ByteBuffer?
    /// Where the last part is in the body: its head, the empty line and its content, which ends there.
    package private(set) var partRange = 0..<0

    /// - Parameter boundary: the parameter of the media type.
    package init(_ body: ByteBuffer, boundary: ByteBuffer) {
        self.body = body
        var delimiter = ByteBuffer(string: "--")
        delimiter.writeImmutableBuffer(boundary)
        self.delimiter = delimiter
    }

    /// - Returns: nil after the last part.
    package mutating func next() -> Part? {
        if !hasBegun {
            hasBegun = true
            guard let first = line(from: 0) else {
                preamble = body
                return nil
            }
            preamble = body.slice(ByteRange(0, first.contentEnd))
            advance(first)
        }
        var found = start.flatMap { line(from: $0) }
        // A part begins with a line end at least (RFC 2046 section 5.1.1), so boundaries that follow one another have no part between them.
        while let line = found, line.start == start {
            advance(line)
            found = start.flatMap { self.line(from: $0) }
        }
        guard let start else { return nil }
        let end = found?.contentEnd ?? body.readableBytes
        partRange = start..<max(start, end)
        let part = part(body.slice(ByteRange(start, max(start, end))), isUnended: found == nil)
        if let found { advance(found) } else { self.start = nil }
        return part
    }

    private mutating func advance(_ line: Line) {
        start = line.isClosing ? nil : line.end
        if line.isClosing { epilogue = body.slice(ByteRange(line.end, body.readableBytes)) }
    }

    // MARK: Delimiters

    /// A line with the boundary.
    private struct Line {
        var start: Int
        /// Where the content before it ends: the line end before a delimiter belongs to the delimiter.
        var contentEnd: Int
        /// The first byte after the line.
        var end: Int
        var isClosing: Bool
    }

    /// The next delimiter.
    /// - Parameter first: the beginning of a line.
    private func line(from first: Int) -> Line? {
        let span = body.readableBytesUInt8Span
        let mark = delimiter.readableBytesUInt8Span
        var start = first
        while start < span.count {
            if span.count - start >= mark.count, span[start] == 0x2D, span.matches(mark, at: start) {
                if let line = Self.ending(span, start, start + mark.count) { return line }
            }
            while start < span.count, span[start] != 0x0A { start += 1 }
            start += 1
        }
        return nil
    }

    /// RFC 2046 section 5.1.1: after the boundary come two hyphens if it is the last one, white space, and the end of the line.
    private static func ending(_ span: Span<UInt8>, _ start: Int, _ afterBoundary: Int) -> Line? {
        var i = afterBoundary
        let isClosing = i + 1 < span.count && span[i] == 0x2D && span[i + 1] == 0x2D
        if isClosing { i += 2 }
        while i < span.count, span[i] == 0x20 || span[i] == 0x09 { i += 1 }
        if i < span.count, span[i] == 0x0D { i += 1 }
        guard i == span.count || span[i] == 0x0A else { return nil }
        var contentEnd = start
        if contentEnd > 0 { contentEnd -= contentEnd > 1 && span[contentEnd - 2] == 0x0D ? 2 : 1 }
        return Line(start: start, contentEnd: contentEnd, end: min(i + 1, span.count), isClosing: isClosing)
    }

    // MARK: Parts

    private func part(_ bytes: ByteBuffer, isUnended: Bool) -> Part {
        let span = bytes.readableBytesUInt8Span
        var start = 0
        while start < span.count {
            var end = start
            while end < span.count, span[end] != 0x0A { end += 1 }
            let next = min(end + 1, span.count)
            if end > start, span[end - 1] == 0x0D { end -= 1 }
            if end == start || !Self.isField(span, start, end) {
                let contentStart = end == start ? next : start
                return Part(
                    head: bytes.slice(ByteRange(0, start)), content: bytes.slice(ByteRange(contentStart, span.count)),
                    isHeadUnended: end != start, isUnended: isUnended)
            }
            start = next
        }
        return Part(head: bytes, content: ByteBuffer(), isHeadUnended: false, isUnended: isUnended)
    }

    /// The line is a field, or continues one: RFC 5322 sections 2.2 and 2.2.3.
    private static func isField(_ span: Span<UInt8>, _ start: Int, _ end: Int) -> Bool {
        if span[start] == 0x20 || span[start] == 0x09 { return true }
        for i in start..<end {
            if span[i] == 0x3A { return true }
            guard span[i] > 0x20, span[i] < 0x7F else { return false }
        }
        return false
    }
}

extension Span<UInt8> {
    /// - Parameter start: at least as many bytes as `other` has are there.
    fileprivate func matches(_ other: Span<UInt8>, at start: Int) -> Bool {
        for i in 0..<other.count where self[start + i] != other[i] { return false }
        return true
    }
}
