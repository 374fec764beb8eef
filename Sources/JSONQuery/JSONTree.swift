// JSON (RFC 8259) as a tree, to compare bodies by meaning: the order of members, white space and escapes in strings do not matter;
// numbers differ if their text does. The whole text must be JSON. Depth is limited, because the text is not trusted.

import NIOCore

/// A JSON value.
package indirect enum JSONTree: Sendable, Equatable {
    case null
    case bool(Bool)
    /// The text of the number.
    case number(String)
    /// Escapes are resolved.
    case string(JSONString)
    case array([JSONTree])
    /// In the order of the text. A name may occur twice.
    case object([Member])

    package struct Member: Sendable, Equatable {
        package var name: JSONString
        package var value: JSONTree

        package init(name: JSONString, value: JSONTree) {
            self.name = name
            self.value = value
        }
    }

    /// Deeper text is treated as invalid. Common parsers stop between 100 and 1000.
    static let maximumDepth = 500

    /// - Returns: nil if the bytes are not one JSON value in UTF-8.
    package init?(parsing bytes: ByteBuffer) {
        var reader = JSONReader(bytes)
        guard let value = reader.value(), reader.peek() == nil,
            String(validating: bytes.readableBytesView, as: UTF8.self) != nil
        else { return nil }
        self = value
    }

    // MARK: Access

    /// The value of the first member with a name; nil if there is none or this is not an object.
    package subscript(_ name: JSONString) -> JSONTree? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    package var string: JSONString? {
        if case .string(let string) = self { string } else { nil }
    }

    package var elements: [JSONTree]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    package var number: Double? {
        if case .number(let text) = self { Double(text) } else { nil }
    }

    package var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    package var isObject: Bool {
        if case .object = self { true } else { false }
    }

    /// The same value with the members of every object sorted by name.
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

    private static func quote(_ text: JSONString, into out: inout ByteBuffer) {
        out.writeString("\"")
        for byte in text.bytes.readableBytesView {
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
