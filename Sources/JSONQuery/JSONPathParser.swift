// Parses JSONPath: segments and selectors (RFC 9535 section 2). Filters are in JSONPathParser+Filters.swift.

import NIOCore

struct JSONPathParser {
    private let bytes: [UInt8]
    var position = 0
    private var nesting = 0

    init(_ text: String) { bytes = Array(text.utf8) }

    mutating func parse() throws(JSONPathError) -> [Segment] {
        guard take("$") else { throw error(bytes.isEmpty ? "the path is empty; it begins with $" : "a path begins with $") }
        let segments = try segments()
        guard position == bytes.count else {
            throw error(isSpace(next) ? "white space is not allowed here" : "a segment begins with . or [")
        }
        return segments
    }

    // MARK: Text

    var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    func error(_ message: String, at offset: Int? = nil) -> JSONPathError {
        JSONPathError(
            message: message, offset: String(decoding: bytes.prefix(min(offset ?? position, bytes.count)), as: UTF8.self).count)
    }

    /// Takes text if it is next.
    mutating func take(_ text: StaticString) -> Bool {
        let wanted = unsafe UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        guard unsafe bytes[position...].starts(with: wanted) else { return false }
        position += text.utf8CodeUnitCount
        return true
    }

    func isSpace(_ byte: UInt8?) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }

    /// `S`: optional white space.
    mutating func skipSpace() {
        while isSpace(next) { position += 1 }
    }

    /// Limits the recursion of parsing and evaluating.
    mutating func nested<Result>(_ parse: (inout JSONPathParser) throws(JSONPathError) -> Result) throws(JSONPathError) -> Result {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= JSONPath.maximumNesting else {
            throw error("the path is nested too deeply; the limit is \(JSONPath.maximumNesting) levels")
        }
        return try parse(&self)
    }

    // MARK: Segments

    /// `segments`: white space counts only before a segment.
    mutating func segments() throws(JSONPathError) -> [Segment] {
        var segments: [Segment] = []
        while true {
            let back = position
            skipSpace()
            guard next == 0x2E || next == 0x5B else {
                position = back
                return segments
            }
            guard segments.count < JSONPath.maximumSegments else {
                throw error("the path has more than \(JSONPath.maximumSegments) segments")
            }
            segments.append(try segment())
        }
    }

    private mutating func segment() throws(JSONPathError) -> Segment {
        if next == 0x5B { return Segment(isDescendant: false, selectors: try bracketed()) }
        let isDescendant = take("..")
        if !isDescendant { _ = take(".") }
        if isDescendant, next == 0x5B { return Segment(isDescendant: true, selectors: try bracketed()) }
        if take("*") { return Segment(isDescendant: isDescendant, selectors: [.wildcard]) }
        return Segment(isDescendant: isDescendant, selectors: [.name(try shorthand())])
    }

    /// `member-name-shorthand`.
    private mutating func shorthand() throws(JSONPathError) -> JSONString {
        let start = position
        while let byte = next, isLetter(byte) || byte >= 0x80 || position > start && byte &- 0x30 < 10 { position += 1 }
        guard position > start else {
            throw error("a name or * is missing after the dot; other names are written ['like this']")
        }
        if next == 0x2D {
            throw error("a name with a hyphen is written in brackets and quotation marks: ['content-type']")
        }
        return JSONString(bytes: ByteBuffer(bytes: bytes[start..<position]))
    }

    func isLetter(_ byte: UInt8) -> Bool { byte == 0x5F || (byte | 0x20) &- 0x61 < 26 }

    // MARK: Selectors

    private mutating func bracketed() throws(JSONPathError) -> [Selector] {
        let start = position
        position += 1
        var selectors: [Selector] = []
        repeat {
            skipSpace()
            selectors.append(try selector(start))
            skipSpace()
        } while take(",")
        guard take("]") else {
            if next == nil { throw error("this bracket is not closed", at: start) }
            throw error(next == 0x3D ? "values are compared by ==" : "a comma or ] is missing")
        }
        return selectors
    }

    private mutating func selector(_ start: Int) throws(JSONPathError) -> Selector {
        switch next {
        case 0x22, 0x27: return .name(try string())
        case 0x2A:
            position += 1
            return .wildcard
        case 0x3F:
            position += 1
            return .filter(try nested { (parser) throws(JSONPathError) in try parser.condition() })
        case let byte? where byte == 0x2D || byte == 0x3A || byte &- 0x30 < 10: return try indexOrSlice()
        case nil: throw error("this bracket is not closed", at: start)
        default: throw error("a selector is missing: 'name', *, a number, start:end:step or ?condition")
        }
    }

    private mutating func indexOrSlice() throws(JSONPathError) -> Selector {
        let start = next == 0x3A ? nil : try integer()
        let back = position
        skipSpace()
        guard take(":") else {
            position = back
            // A number is there, since the byte is not a colon.
            return .index(start ?? 0)
        }
        skipSpace()
        let end = try optionalInteger()
        skipSpace()
        var step: Int?
        if take(":") {
            skipSpace()
            step = try optionalInteger()
        }
        return .slice(Slice(start: start, end: end, step: step ?? 1))
    }

    private mutating func optionalInteger() throws(JSONPathError) -> Int? {
        guard let byte = next, byte == 0x2D || byte &- 0x30 < 10 else { return nil }
        return try integer()
    }

    /// `int`, in the range of I-JSON (RFC 7493 section 2.2).
    private mutating func integer() throws(JSONPathError) -> Int {
        let start = position
        _ = take("-")
        let first = position
        while let byte = next, byte &- 0x30 < 10 { position += 1 }
        guard position > first else { throw error("digits are missing") }
        guard bytes[first] != 0x30 || position == first + 1 && first == start else {
            throw error("a number has no zero at its beginning, and 0 has no sign", at: start)
        }
        guard let value = Int(String(decoding: bytes[start..<position], as: UTF8.self)), abs(value) < 1 << 53 else {
            throw error("the number is out of range; the largest is 9007199254740991", at: start)
        }
        return value
    }

    // MARK: Literals

    /// `number`, as its text.
    mutating func number() throws(JSONPathError) -> String {
        let start = position
        while let byte = next, byte &- 0x30 < 10 || "+-.eE".utf8.contains(byte) { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        guard JSONNumber(text) != nil else { throw error("'\(text)' is not a number in the syntax of JSON", at: start) }
        return text
    }

    /// `string-literal`, with its escapes resolved.
    mutating func string() throws(JSONPathError) -> JSONString {
        let start = position
        let quote = bytes[position]
        position += 1
        var out = ByteBuffer()
        while let byte = next, byte != quote {
            guard byte >= 0x20 else { throw error("a control character in a name is written as \\u and four digits") }
            if byte == 0x5C {
                try escape(quote, into: &out)
            } else {
                out.writeInteger(byte)
                position += 1
            }
        }
        guard position < bytes.count else { throw error("this quotation mark is not closed", at: start) }
        position += 1
        return JSONString(bytes: out)
    }

    private mutating func escape(_ quote: UInt8, into out: inout ByteBuffer) throws(JSONPathError) {
        let start = position
        position += 1
        guard let byte = next else { throw error("this escape is not complete", at: start) }
        position += 1
        switch byte {
        case quote, 0x5C, 0x2F: out.writeInteger(byte)
        case 0x62: out.writeInteger(8 as UInt8)
        case 0x66: out.writeInteger(12 as UInt8)
        case 0x6E: out.writeInteger(10 as UInt8)
        case 0x72: out.writeInteger(13 as UInt8)
        case 0x74: out.writeInteger(9 as UInt8)
        case 0x75: out.writeString(String(Character(try codePoint(start))))
        default: throw error("there is no such escape; a backslash is written \\\\", at: start)
        }
    }

    /// `hexchar`, after its `\u`: a code point, or two surrogates that make one.
    private mutating func codePoint(_ start: Int) throws(JSONPathError) -> Unicode.Scalar {
        let first = try hexadecimal(start)
        if let scalar = Unicode.Scalar(first) { return scalar }
        if first < 0xDC00, take("\\u") {
            let second = try hexadecimal(start)
            if (0xDC00..<0xE000).contains(second), let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
            {
                return scalar
            }
        }
        throw error("half of a surrogate pair is not a character", at: start)
    }

    private mutating func hexadecimal(_ start: Int) throws(JSONPathError) -> UInt32 {
        let digits = bytes[position...].prefix(4)
        guard digits.count == 4, digits.allSatisfy({ $0 &- 0x30 < 10 || ($0 | 0x20) &- 0x61 < 6 }),
            let value = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw error("four hexadecimal digits are missing after \\u", at: start) }
        position += 4
        return value
    }

    /// A word of lower-case letters, digits and `_`.
    mutating func word() -> String {
        let start = position
        while let byte = next, byte &- 0x61 < 26 || byte == 0x5F || byte &- 0x30 < 10 { position += 1 }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }
}
