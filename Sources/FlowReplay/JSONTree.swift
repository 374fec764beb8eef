// JSON (RFC 8259) as a tree, for bodies that are compared by what they mean: the order of members, white space and the way a string is
// escaped do not matter, numbers are told apart by their text. What is not JSON from end to end is no tree. Depth is bounded, since the
// text comes from anywhere.

import NIOCore

/// A JSON value.
package indirect enum JSONTree: Sendable, Equatable {
    case null
    case bool(Bool)
    /// As it was written.
    case number(String)
    /// Escapes resolved.
    case string(String)
    case array([JSONTree])
    /// In the order of the text. A name that comes twice stands twice.
    case object([Member])

    package struct Member: Sendable, Equatable {
        package var name: String
        package var value: JSONTree
    }

    /// Deeper text is treated as no JSON. Parsers in use stop between 100 and 1000.
    static let maximumDepth = 500

    /// - Returns: nil when the bytes are not one JSON value.
    package init?(parsing bytes: ByteBuffer) {
        var parser = JSONParser(bytes)
        guard let value = parser.document() else { return nil }
        self = value
    }

    /// The same value with the members of objects in the order of their names.
    package var canonical: JSONTree {
        switch self {
        case .array(let elements): .array(elements.map(\.canonical))
        case .object(let members):
            .object(members.map { Member(name: $0.name, value: $0.value.canonical) }.sorted { $0.name < $1.name })
        default: self
        }
    }

    /// Compact text.
    package func write(into out: inout ByteBuffer) {
        switch self {
        case .null: out.writeString("null")
        case .bool(let value): out.writeString(value ? "true" : "false")
        case .number(let text): out.writeString(text)
        case .string(let text): Self.quote(text, into: &out)
        case .array(let elements):
            out.writeString("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { out.writeString(",") }
                element.write(into: &out)
            }
            out.writeString("]")
        case .object(let members):
            out.writeString("{")
            for (index, member) in members.enumerated() {
                if index > 0 { out.writeString(",") }
                Self.quote(member.name, into: &out)
                out.writeString(":")
                member.value.write(into: &out)
            }
            out.writeString("}")
        }
    }

    package var text: String {
        var out = ByteBuffer()
        write(into: &out)
        return String(buffer: out)
    }

    private static func quote(_ text: String, into out: inout ByteBuffer) {
        out.writeString("\"")
        for byte in text.utf8 {
            switch byte {
            case 0x22, 0x5C:
                out.writeInteger(UInt8(0x5C))
                out.writeInteger(byte)
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                out.writeString("\\u00")
                out.writeInteger(digits[Int(byte >> 4)])
                out.writeInteger(digits[Int(byte & 15)])
            default:
                out.writeInteger(byte)
            }
        }
        out.writeString("\"")
    }
}

/// Recursive descent over the text.
private struct JSONParser {
    private let bytes: [UInt8]
    private var at = 0
    private var depth = 0

    init(_ buffer: ByteBuffer) { bytes = Array(buffer.readableBytesView) }

    mutating func document() -> JSONTree? {
        guard let value = value() else { return nil }
        skipSpace()
        return at == bytes.count ? value : nil
    }

    private mutating func skipSpace() {
        while at < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) { at += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func take(_ word: String) -> Bool {
        guard bytes[at...].starts(with: word.utf8) else { return false }
        at += word.utf8.count
        return true
    }

    private mutating func value() -> JSONTree? {
        skipSpace()
        guard at < bytes.count, depth < JSONTree.maximumDepth else { return nil }
        depth += 1
        defer { depth -= 1 }
        switch bytes[at] {
        case 0x7B: return object()
        case 0x5B: return array()
        case 0x22: return string().map { .string($0) }
        case 0x74: return take("true") ? .bool(true) : nil
        case 0x66: return take("false") ? .bool(false) : nil
        case 0x6E: return take("null") ? .null : nil
        default: return number()
        }
    }

    private mutating func object() -> JSONTree? {
        at += 1
        var members: [JSONTree.Member] = []
        if take(0x7D) { return .object([]) }
        repeat {
            skipSpace()
            guard at < bytes.count, bytes[at] == 0x22, let name = string(), take(0x3A), let value = value() else { return nil }
            members.append(JSONTree.Member(name: name, value: value))
        } while take(0x2C)
        return take(0x7D) ? .object(members) : nil
    }

    private mutating func array() -> JSONTree? {
        at += 1
        var elements: [JSONTree] = []
        if take(0x5D) { return .array([]) }
        repeat {
            guard let element = value() else { return nil }
            elements.append(element)
        } while take(0x2C)
        return take(0x5D) ? .array(elements) : nil
    }

    /// RFC 8259 §6, leniently: digits, signs, a point, an exponent.
    private mutating func number() -> JSONTree? {
        let start = at
        while at < bytes.count, "+-.eE0123456789".utf8.contains(bytes[at]) { at += 1 }
        guard at > start, bytes[start] == 0x2D || (0x30...0x39).contains(bytes[start]) else { return nil }
        return .number(String(decoding: bytes[start..<at], as: UTF8.self))
    }

    private mutating func string() -> String? {
        at += 1
        var units: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            if byte == 0x22 { return String(validating: units, as: UTF8.self) }
            guard byte == 0x5C else {
                units.append(byte)
                continue
            }
            guard at < bytes.count else { return nil }
            let escape = bytes[at]
            at += 1
            switch escape {
            case 0x22, 0x5C, 0x2F: units.append(escape)
            case 0x62: units.append(8)
            case 0x66: units.append(12)
            case 0x6E: units.append(10)
            case 0x72: units.append(13)
            case 0x74: units.append(9)
            case 0x75:
                guard let scalar = escapedScalar() else { return nil }
                units += Array(String(scalar).utf8)
            default: return nil
            }
        }
        return nil
    }

    /// Behind `\u`: four digits, and the second half of a pair of surrogates where there is one. A half alone is U+FFFD.
    private mutating func escapedScalar() -> Unicode.Scalar? {
        guard let first = hexadecimal() else { return nil }
        if (0xD800..<0xDC00).contains(first), at + 1 < bytes.count, bytes[at] == 0x5C, bytes[at + 1] == 0x75 {
            let back = at
            at += 2
            if let second = hexadecimal(), (0xDC00..<0xE000).contains(second) {
                return Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
            }
            at = back
        }
        return Unicode.Scalar(first) ?? "\u{FFFD}"
    }

    private mutating func hexadecimal() -> UInt32? {
        guard at + 4 <= bytes.count else { return nil }
        var value: UInt32 = 0
        for byte in bytes[at..<at + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            value = value << 4 | UInt32(digit)
        }
        at += 4
        return value
    }
}
