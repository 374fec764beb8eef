// Reads JSON text (RFC 8259) value by value, so that a large text need not become one tree: a caller can enter objects and arrays,
// skip values that it does not need, and take the others as trees. Strings keep their exact code points. Depth is limited, because
// the text is not trusted.

import NIOCore

/// A position in a text. Every step returns nil or false if the text is not valid JSON at ``offset``.
package struct JSONReader {
    private let text: ByteBuffer
    /// In bytes from the beginning of the text.
    package private(set) var offset: Int
    private var depth = 0

    package init(_ text: ByteBuffer, at offset: Int = 0) {
        self.text = text
        self.offset = offset
    }

    // MARK: Steps

    /// The first byte of the next value or bracket; nil at the end of the text.
    package mutating func peek() -> UInt8? {
        let text = text
        let bytes = text.readableBytesUInt8Span
        while offset < bytes.count {
            let byte = bytes[offset]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            offset += 1
        }
        return nil
    }

    /// Skips white space and a punctuation mark.
    package mutating func take(_ mark: UInt8) -> Bool {
        guard peek() == mark else { return false }
        offset += 1
        return true
    }

    /// Enters an object, up to the value of the first member with a name.
    package mutating func enter(_ name: JSONString) -> Bool {
        guard take(0x7B), peek() != 0x7D else { return false }
        repeat {
            guard let found = self.name() else { return false }
            if found == name { return true }
            guard skip() else { return false }
        } while take(0x2C)
        return false
    }

    /// Skips the rest of an entered object, after the value of a member.
    package mutating func leave() -> Bool {
        while take(0x2C) {
            guard name() != nil, skip() else { return false }
        }
        return take(0x7D)
    }

    /// Skips the next value.
    package mutating func skip() -> Bool {
        switch peek() {
        case 0x7B:
            skipAll(until: 0x7D) { reader in reader.name() != nil && reader.skip() }
        case 0x5B:
            skipAll(until: 0x5D) { reader in reader.skip() }
        case 0x22: string() != nil
        case nil: false
        default: scalar() != nil
        }
    }

    private mutating func skipAll(until end: UInt8, _ element: (inout JSONReader) -> Bool) -> Bool {
        guard depth < JSONTree.maximumDepth else { return false }
        depth += 1
        defer { depth -= 1 }
        offset += 1
        if take(end) { return true }
        repeat {
            guard element(&self) else { return false }
        } while take(0x2C)
        return take(end)
    }

    // MARK: Values

    /// The next value as a tree.
    package mutating func value() -> JSONTree? {
        switch peek() {
        case 0x7B: object()
        case 0x5B: array()
        case 0x22: string().map { .string($0) }
        case nil: nil
        default: scalar()
        }
    }

    private mutating func object() -> JSONTree? {
        var members: [JSONTree.Member] = []
        let isWhole = skipAll(until: 0x7D) { reader in
            guard let name = reader.name(), let value = reader.value() else { return false }
            members.append(JSONTree.Member(name: name, value: value))
            return true
        }
        return isWhole ? .object(members) : nil
    }

    private mutating func array() -> JSONTree? {
        var elements: [JSONTree] = []
        let isWhole = skipAll(until: 0x5D) { reader in
            guard let element = reader.value() else { return false }
            elements.append(element)
            return true
        }
        return isWhole ? .array(elements) : nil
    }

    /// The name of a member, and the colon after it.
    private mutating func name() -> JSONString? {
        guard peek() == 0x22, let name = string(), take(0x3A) else { return nil }
        return name
    }

    private mutating func scalar() -> JSONTree? {
        switch peek() {
        case 0x74: word("true", .bool(true))
        case 0x66: word("false", .bool(false))
        case 0x6E: word("null", .null)
        default: number()
        }
    }

    private mutating func word(_ word: String, _ value: JSONTree) -> JSONTree? {
        guard text.readableBytesView.dropFirst(offset).starts(with: word.utf8) else { return nil }
        offset += word.utf8.count
        return value
    }

    /// RFC 8259 section 6, leniently: digits, signs, a point, an exponent.
    private mutating func number() -> JSONTree? {
        let text = text
        let bytes = text.readableBytesUInt8Span
        let start = offset
        var end = start
        while end < bytes.count, "+-.eE0123456789".utf8.contains(bytes[end]) { end += 1 }
        guard end > start, bytes[start] == 0x2D || bytes[start] &- 0x30 < 10 else { return nil }
        offset = end
        return .number(String(buffer: text.getSlice(at: text.readerIndex + start, length: end - start)!))
    }

    // MARK: Strings

    /// A string; without escapes it shares the text's storage.
    private mutating func string() -> JSONString? {
        let text = text
        let bytes = text.readableBytesUInt8Span
        offset += 1
        var unescaped = ByteBuffer()
        var start = offset
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x22:
                let rest = slice(start, offset)
                offset += 1
                if unescaped.readableBytes == 0 { return JSONString(bytes: rest) }
                unescaped.writeImmutableBuffer(rest)
                return JSONString(bytes: unescaped)
            case 0x5C:
                unescaped.writeImmutableBuffer(slice(start, offset))
                offset += 1
                guard escape(bytes, into: &unescaped) else { return nil }
                start = offset
            default:
                offset += 1
            }
        }
        return nil
    }

    private func slice(_ start: Int, _ end: Int) -> ByteBuffer {
        text.getSlice(at: text.readerIndex + start, length: end - start)!
    }

    /// An escape, after its backslash.
    private mutating func escape(_ bytes: Span<UInt8>, into out: inout ByteBuffer) -> Bool {
        guard offset < bytes.count else { return false }
        let escape = bytes[offset]
        offset += 1
        switch escape {
        case 0x22, 0x5C, 0x2F: out.writeInteger(escape)
        case 0x62: out.writeInteger(8 as UInt8)
        case 0x66: out.writeInteger(12 as UInt8)
        case 0x6E: out.writeInteger(10 as UInt8)
        case 0x72: out.writeInteger(13 as UInt8)
        case 0x74: out.writeInteger(9 as UInt8)
        case 0x75:
            guard let unit = hexadecimal(bytes) else { return false }
            out.writeCodePoint(pair(unit, bytes))
        default: return false
        }
        return true
    }

    /// The code point of a surrogate pair whose first half was read; any other unit is itself.
    private mutating func pair(_ first: UInt32, _ bytes: Span<UInt8>) -> UInt32 {
        guard (0xD800..<0xDC00).contains(first), offset + 1 < bytes.count, bytes[offset] == 0x5C, bytes[offset + 1] == 0x75 else {
            return first
        }
        let back = offset
        offset += 2
        if let second = hexadecimal(bytes), (0xDC00..<0xE000).contains(second) {
            return 0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)
        }
        offset = back
        return first
    }

    private mutating func hexadecimal(_ bytes: Span<UInt8>) -> UInt32? {
        guard offset + 4 <= bytes.count else { return nil }
        var value: UInt32 = 0
        for i in offset..<offset + 4 {
            let letter = bytes[i] | 0x20
            if bytes[i] &- 0x30 < 10 {
                value = value << 4 | UInt32(bytes[i] - 0x30)
            } else if letter >= 0x61, letter <= 0x66 {
                value = value << 4 | UInt32(letter - 0x57)
            } else {
                return nil
            }
        }
        offset += 4
        return value
    }
}

extension ByteBuffer {
    /// Writes a code point in UTF-8, surrogates included.
    fileprivate mutating func writeCodePoint(_ value: UInt32) {
        func continuation(_ shift: UInt32) { writeInteger(UInt8(truncatingIfNeeded: 0x80 | (value >> shift & 0x3F))) }
        switch value {
        case 0..<0x80:
            writeInteger(UInt8(truncatingIfNeeded: value))
        case 0x80..<0x800:
            writeInteger(UInt8(truncatingIfNeeded: 0xC0 | value >> 6))
            continuation(0)
        case 0x800..<0x10000:
            writeInteger(UInt8(truncatingIfNeeded: 0xE0 | value >> 12))
            continuation(6)
            continuation(0)
        default:
            writeInteger(UInt8(truncatingIfNeeded: 0xF0 | value >> 18))
            continuation(12)
            continuation(6)
            continuation(0)
        }
    }
}
