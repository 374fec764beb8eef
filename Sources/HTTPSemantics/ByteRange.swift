// Ranges into received bytes, and the byte operations that every layer needs: comparison without case, list elements, trimming.

import NIOCore

/// A half-open range of offsets into a buffer, counted in bytes from its reader index. Heads are far below 4 GiB.
@usableFromInline package struct ByteRange: Sendable, Equatable {
    @usableFromInline package var start: UInt32
    @usableFromInline package var end: UInt32

    @inlinable package init(_ start: Int, _ end: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.end = UInt32(truncatingIfNeeded: end)
    }

    @inlinable package var count: Int { Int(end) - Int(start) }
    @inlinable package var isEmpty: Bool { end <= start }
    package static let empty = ByteRange(0, 0)
}

extension ByteBuffer {
    /// The bytes of a range counted from the reader index, sharing storage; empty when the range is not inside.
    package func slice(_ range: ByteRange) -> ByteBuffer {
        getSlice(at: readerIndex + Int(range.start), length: range.count) ?? ByteBuffer()
    }

    /// The byte at an offset from the reader index; nil beyond the readable bytes.
    @inlinable package func byte(at offset: Int) -> UInt8? {
        unsafe withUnsafeReadableBytes { offset < $0.count ? unsafe $0[offset] : nil }
    }

    /// Whether the bytes of a range are those of another buffer.
    package func equals(_ range: ByteRange, _ other: ByteBuffer) -> Bool {
        guard range.count == other.readableBytes, Int(range.end) <= readableBytes else { return false }
        return unsafe withUnsafeReadableBytes { bytes in
            unsafe other.withUnsafeReadableBytes { others in
                guard let a = bytes.baseAddress, let b = others.baseAddress else { return range.isEmpty }
                return unsafe areSame(a + Int(range.start), b, others.count)
            }
        }
    }

    /// Whether the bytes of a range equal an ASCII name, without regard to case.
    /// - Parameter name: in lower case.
    @inlinable @inline(__always) package func equalsIgnoringCase(_ range: ByteRange, _ name: StaticString) -> Bool {
        // The length decides most comparisons, without a call.
        range.count == name.utf8CodeUnitCount && isSameIgnoringCase(range, name)
    }

    @usableFromInline func isSameIgnoringCase(_ range: ByteRange, _ name: StaticString) -> Bool {
        guard Int(range.end) <= readableBytes else { return false }
        // Bytes and not a span, which costs a call: this runs for each field.
        return unsafe withUnsafeReadableBytes { bytes in
            let count = range.count
            guard let base = bytes.baseAddress, count >= 8 else {
                for i in 0..<count where unsafe bytes[Int(range.start) + i].lowercased != name.utf8Start[i] { return false }
                return true
            }
            let start = unsafe base + Int(range.start)
            var offset = 0
            while offset < count {
                // The last eight bytes may overlap those before them.
                let at = min(offset, count &- 8)
                let expected = unsafe EightBytes(at: UnsafeRawPointer(name.utf8Start) + at)
                if unsafe EightBytes(at: start + at).lowercased != expected.value { return false }
                offset &+= 8
            }
            return true
        }
    }

    /// Whether all readable bytes equal an ASCII word, without regard to case.
    /// - Parameter word: in lower case.
    package func equalsIgnoringCase(_ word: StaticString) -> Bool {
        equalsIgnoringCase(ByteRange(0, readableBytes), word)
    }

    /// Whether the readable bytes are those of another buffer, without regard to case.
    package func equalsIgnoringCase(_ other: ByteBuffer) -> Bool {
        let (a, b) = (readableBytesUInt8Span, other.readableBytesUInt8Span)
        guard a.count == b.count else { return false }
        for i in 0..<a.count where a[i].lowercased != b[i].lowercased { return false }
        return true
    }

    /// Whether a comma is in a range.
    func hasComma(_ range: ByteRange) -> Bool {
        unsafe withUnsafeReadableBytes { bytes in
            var index = Int(range.start)
            let end = min(Int(range.end), bytes.count)
            while index < end {
                if unsafe bytes[index] == 0x2C { return true }
                index += 1
            }
            return false
        }
    }

    /// The elements of a comma-separated list (RFC 9110 §5.6.1), trimmed, without empty ones. Commas inside quoted strings do not separate.
    package func listElements() -> [ByteBuffer] {
        var elements: [ByteBuffer] = []
        var rest = ByteRange(0, readableBytes)
        while let element = takeListElement(of: &rest) { elements.append(slice(element)) }
        return elements
    }

    /// The first element of a list, as in ``listElements()``.
    /// - Parameter list: the range of the list; afterwards the range after the element.
    /// - Returns: nil when there is no further element.
    package func takeListElement(of list: inout ByteRange) -> ByteRange? {
        let bytes = readableBytesUInt8Span
        let end = min(Int(list.end), bytes.count)
        var start = Int(list.start)
        while start < end {
            var comma = start
            var isQuoted = false
            while comma < end, isQuoted || bytes[comma] != 0x2C {
                if bytes[comma] == 0x22 { isQuoted.toggle() }
                // In a quoted string a backslash escapes the next byte (RFC 9110 §5.6.4).
                comma += isQuoted && bytes[comma] == 0x5C ? 2 : 1
            }
            let element = trimmedRange(start, min(comma, end))
            start = comma + 1
            if !element.isEmpty {
                list = ByteRange(min(start, end), end)
                return element
            }
        }
        return nil
    }

    /// The readable bytes without spaces, tabs and line ends around them, sharing storage.
    package func trimmed() -> ByteBuffer { slice(trimmedRange(0, readableBytes)) }

    func trimmedRange(_ from: Int, _ to: Int) -> ByteRange {
        let bytes = readableBytesUInt8Span
        var start = from
        var end = to
        while start < end, bytes[start].isWhitespaceOrLineEnd { start += 1 }
        while end > start, bytes[end - 1].isWhitespaceOrLineEnd { end -= 1 }
        return ByteRange(start, end)
    }
}

extension UInt8 {
    /// An ASCII letter in lower case; other bytes as they are.
    @inlinable package var lowercased: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }

    /// SP, HTAB, CR or LF.
    package var isWhitespaceOrLineEnd: Bool { self == 0x20 || self == 0x09 || self == 0x0D || self == 0x0A }
}

extension Span<UInt8> {
    /// The index of the next byte of a value; the count of bytes without one.
    private func firstIndex(of byte: UInt8, from start: Int) -> Int {
        unsafe withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return bytes.count }
            var index = start
            // SAFETY: each read is of eight bytes before the end.
            while index &+ 8 <= bytes.count {
                let found = unsafe EightBytes(at: base + index).equal(to: byte)
                if found != 0 { return index &+ found.trailingZeroBitCount &>> 3 }
                index &+= 8
            }
            while index < bytes.count, unsafe bytes[index] != byte { index &+= 1 }
            return index
        }
    }

    /// Walks field lines that end in LF or CRLF until an empty line or the end of the bytes. For a line that begins with
    /// white space (obs-fold) the name is nil and the value is the continuation.
    /// - Parameter visit: name without white space before the colon, value without white space around it.
    /// - Returns: the offset of the empty line, or the count of bytes.
    func withFieldLines(_ visit: (_ name: ByteRange?, _ value: ByteRange) -> Void) -> Int {
        var start = 0
        while start < count {
            let lineFeed = firstIndex(of: 0x0A, from: start)
            var end = lineFeed
            if end > start, end < count, self[end - 1] == 0x0D { end -= 1 }
            if end == start { return start }
            let folded = self[start] == 0x20 || self[start] == 0x09
            // A pseudo-field of HTTP/2 begins with a colon, so the search for the separator begins at the second byte.
            var colon = start + 1
            while !folded, colon < end, self[colon] != 0x3A { colon += 1 }
            var valueStart = folded ? start : Swift.min(colon + 1, end)
            var valueEnd = end
            while valueStart < valueEnd, self[valueStart].isWhitespaceOrLineEnd { valueStart += 1 }
            while valueEnd > valueStart, self[valueEnd - 1].isWhitespaceOrLineEnd { valueEnd -= 1 }
            var nameEnd = Swift.min(colon, end)
            while colon < end, nameEnd > start + 1, self[nameEnd - 1] == 0x20 || self[nameEnd - 1] == 0x09 { nameEnd -= 1 }
            visit(folded ? nil : ByteRange(start, nameEnd), ByteRange(valueStart, valueEnd))
            start = Swift.min(lineFeed + 1, count)
        }
        return count
    }
}

extension UnsafeRawBufferPointer {
    /// Whether all bytes equal an ASCII word, without regard to case.
    /// - Parameter word: in lower case.
    package func equalsIgnoringCase(_ word: StaticString) -> Bool {
        guard count == word.utf8CodeUnitCount else { return false }
        for index in 0..<count where unsafe self[index].lowercased != word.utf8Start[index] { return false }
        return true
    }
}
