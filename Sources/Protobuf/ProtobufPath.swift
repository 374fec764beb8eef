// A place in messages: the numbers of fields, or their names where the type of the message is known, from the outermost message inwards.

import NIOCore

package struct ProtobufPath: Sendable, Equatable {
    package enum Element: Sendable, Equatable {
        case number(UInt32)
        case name(String)
    }

    package let elements: [Element]

    /// - Parameter text: `1.2`, `user.name`, or numbers and names mixed.
    /// - Returns: nil for anything else.
    package init?(_ text: String) {
        var elements: [Element] = []
        for part in text.split(separator: ".", omittingEmptySubsequences: false) {
            if let number = UInt32(part), number > 0, number < 1 << 29, part.first != "+" {
                elements.append(.number(number))
            } else if let first = part.first, first.isASCII, first.isLetter || first == "_",
                part.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") })
            {
                elements.append(.name(String(part)))
            } else {
                return nil
            }
        }
        guard elements.count <= ProtobufReader.maximumTypedDepth else { return nil }
        self.elements = elements
    }

    /// Names of fields in it.
    package var names: [String] {
        elements.compactMap { if case .name(let name) = $0 { name } else { nil } }
    }

    /// Visits the values at the place, in the order of the wire. Without a type a varint is a number without a sign, fixed32 a float, fixed64 a
    /// double, and the rest is text or bytes. A message or a group is visited as its bytes, a group as none.
    /// - Parameters:
    ///   - type: of the message; nil if it is not known.
    ///   - visit: returns false to stop.
    /// - Returns: false if it was stopped. Bytes that are not a message end the visit.
    package func forEachValue(
        in message: ByteBuffer, _ type: MessageType?, _ types: ProtobufTypes, _ visit: (ProtobufValue) throws -> Bool
    ) rethrows -> Bool {
        var reader = ProtobufReader(message, maximumDepth: ProtobufReader.maximumTypedDepth)
        return try walk(&reader, elements[...], type, types, visit)
    }

    /// Reads up to the end of the message or of the group.
    private func walk(
        _ reader: inout ProtobufReader, _ rest: ArraySlice<Element>, _ type: MessageType?, _ types: ProtobufTypes,
        _ visit: (ProtobufValue) throws -> Bool
    ) rethrows -> Bool {
        while let field = try? reader.next(), field.value != .groupEnd {
            let fieldType = type.flatMap { types.field(field.number, of: $0) }
            let isThere = rest.first.map { Self.matches($0, field.number, fieldType) } ?? false
            switch field.value {
            case .groupStart:
                if isThere, rest.count == 1, try !visit(.bytes(ByteBuffer())) { return false }
                let inner = isThere ? rest.dropFirst() : []
                guard try walk(&reader, inner, types.message(of: fieldType), types, visit) else { return false }
            case .lengthDelimited(let bytes) where isThere && rest.count > 1:
                var inner = ProtobufReader(bytes, depth: reader.depth + 1, maximumDepth: ProtobufReader.maximumTypedDepth)
                guard try walk(&inner, rest.dropFirst(), types.message(of: fieldType), types, visit) else { return false }
            default:
                guard isThere, rest.count == 1 else { continue }
                for value in types.values(of: field.value, fieldType) where try !visit(value) { return false }
            }
        }
        return true
    }

    private static func matches(_ element: Element, _ number: UInt32, _ type: FieldType?) -> Bool {
        switch element {
        case .number(let wanted): wanted == number
        case .name(let name): type.map { $0.name == name || $0.jsonName == name } ?? false
        }
    }
}

extension ProtobufTypes {
    fileprivate func message(of field: FieldType?) -> MessageType? {
        guard let field, case .message(let name) = kind(of: field) else { return nil }
        return message(name)
    }

    /// The values of one field on the wire, which may be packed.
    fileprivate func values(of wire: ProtobufField.Value, _ field: FieldType?) -> [ProtobufValue] {
        if let field, let kind = kind(of: field) {
            if let value = kind.value(wire) { return [value] }
            if field.isRepeated, kind.isPackable, case .lengthDelimited(let bytes) = wire {
                return kind.packed(bytes, maximum: ProtobufReader.maximumFields) ?? []
            }
        }
        switch wire {
        case .varint(let value): return [.uint64(value)]
        case .fixed32(let bits): return [.float(Float(bitPattern: bits))]
        case .fixed64(let bits): return [.double(Double(bitPattern: bits))]
        case .lengthDelimited(let bytes): return [.bytes(bytes)]
        case .groupStart, .groupEnd: return []
        }
    }
}
