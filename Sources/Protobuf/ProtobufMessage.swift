// A message read by its type. As parsers of protobuf do, the last value of a field that is not repeated counts, and messages in such a field
// are merged; nothing else is lost: what does not fit the type is kept as it is on the wire.

import NIOCore

/// A value of a field.
package enum ProtobufValue: Equatable, Sendable {
    case int32(Int32)
    case int64(Int64)
    case uint32(UInt32)
    case uint64(UInt64)
    case bool(Bool)
    case float(Float)
    case double(Double)
    /// Text that should be UTF-8.
    case string(ByteBuffer)
    case bytes(ByteBuffer)
    /// A number of the enum with this full name.
    case enumeration(Int32, String)
    case message(ProtobufMessage)
}

/// A message with its fields, in the order in which they begin on the wire; encoders write them in the order of their numbers.
package struct ProtobufMessage: Equatable, Sendable {
    package struct Entry: Equatable, Sendable {
        package let field: FieldType
        /// One, unless the field is repeated. Those of a map are messages with the fields 1 and 2, and their keys are different.
        package var values: [ProtobufValue]
        /// Where the keys of a map are.
        fileprivate var keys: [ProtobufMapKey: Int] = [:]
    }

    package let type: MessageType
    package private(set) var entries: [Entry] = []
    private var places: [UInt32: Int] = [:]
    /// Fields that the type does not have, or has otherwise; groups with all that is in them.
    package fileprivate(set) var unknown: [ProtobufField] = []

    init(type: MessageType) { self.type = type }

    package static func == (a: ProtobufMessage, b: ProtobufMessage) -> Bool {
        a.type === b.type && a.entries == b.entries && a.unknown == b.unknown
    }

    /// In the order of their numbers; the entries of maps in the order of their keys.
    package var sortedEntries: [Entry] {
        entries.sorted { $0.field.number < $1.field.number }.map { entry in
            guard !entry.keys.isEmpty else { return entry }
            var sorted = entry
            sorted.values = entry.keys.sorted { $0.key < $1.key }.map { entry.values[$0.value] }
            return sorted
        }
    }

    /// The values of a field; empty without any.
    package subscript(number: UInt32) -> [ProtobufValue] { places[number].map { entries[$0].values } ?? [] }

    /// Adds a value to a repeated field, or replaces that of another one.
    fileprivate mutating func add(_ value: ProtobufValue, of field: FieldType) {
        guard let place = places[field.number] else { return append(value, field) }
        if !field.isRepeated {
            entries[place].values[0] = value
        } else if let key = ProtobufMapKey(value) {
            if let known = entries[place].keys[key] {
                entries[place].values[known] = value
            } else {
                entries[place].keys[key] = entries[place].values.count
                entries[place].values.append(value)
            }
        } else {
            entries[place].values.append(value)
        }
    }

    private mutating func append(_ value: ProtobufValue, _ field: FieldType) {
        if let oneof = field.oneof, let other = entries.firstIndex(where: { $0.field.oneof == oneof }) {
            remove(at: other)
        }
        places[field.number] = entries.count
        var entry = Entry(field: field, values: [value])
        if let key = ProtobufMapKey(value) { entry.keys[key] = 0 }
        entries.append(entry)
    }

    /// Setting a member of a oneof clears the others.
    private mutating func remove(at index: Int) {
        entries.remove(at: index)
        places = Dictionary(uniqueKeysWithValues: entries.indices.map { (entries[$0].field.number, $0) })
    }

    /// Takes the message out of a field that is not repeated, to be merged with another one; nil when the field is absent.
    fileprivate mutating func takeMessage(of field: FieldType) -> ProtobufMessage? {
        guard !field.isRepeated, let place = places[field.number], case .message(let message) = entries[place].values[0] else {
            return nil
        }
        entries[place].values[0] = .bool(false)
        return message
    }
}

/// The key of an entry of a map.
private struct ProtobufMapKey: Hashable, Comparable {
    private enum Key: Hashable {
        case none
        case signed(Int64)
        case unsigned(UInt64)
        case bool(Bool)
        case string(ByteBuffer)
    }

    private let key: Key

    /// nil for a value that is no entry of a map.
    init?(_ value: ProtobufValue) {
        guard case .message(let entry) = value, entry.type.isMapEntry else { return nil }
        switch entry[1].first {
        case .int32(let number): key = .signed(Int64(number))
        case .int64(let number): key = .signed(number)
        case .uint32(let number): key = .unsigned(UInt64(number))
        case .uint64(let number): key = .unsigned(number)
        case .bool(let flag): key = .bool(flag)
        case .string(let text): key = .string(text)
        default: key = .none
        }
    }

    static func < (a: ProtobufMapKey, b: ProtobufMapKey) -> Bool {
        switch (a.key, b.key) {
        case (.signed(let a), .signed(let b)): a < b
        case (.unsigned(let a), .unsigned(let b)): a < b
        case (.bool(let a), .bool(let b)): !a && b
        case (.string(let a), .string(let b)): a.readableBytesView.lexicographicallyPrecedes(b.readableBytesView)
        case (.none, .none): false
        // An entry without a key is the first one.
        case (.none, _): true
        default: false
        }
    }
}

/// Reads messages by their types. The bound on fields is that of all messages that one decoder reads.
package struct ProtobufDecoder: Sendable {
    package let types: ProtobufTypes
    package private(set) var fieldsLeft = ProtobufReader.maximumFields

    package init(_ types: ProtobufTypes) { self.types = types }

    /// There are more fields than were read.
    package private(set) var isCut = false

    /// A message, and where it ends to be one.
    package struct Result: Sendable {
        package var message: ProtobufMessage
        package var error: ProtobufError?
        /// The bytes from the place of the error on, and that place.
        package var rest = ByteBuffer()
        package var offset = 0
    }

    /// Reads a message as far as it is one.
    /// - Parameter depth: how many messages are around it.
    package mutating func decode(_ bytes: ByteBuffer, as type: MessageType, depth: Int = 0) -> Result {
        var result = Result(message: ProtobufMessage(type: type))
        var reader = ProtobufReader(bytes, depth: depth, maximumDepth: ProtobufReader.maximumTypedDepth)
        do throws(ProtobufError) {
            try read(&reader, into: &result.message)
        } catch {
            result.error = error
            result.rest = reader.rest
            result.offset = reader.offset
        }
        return result
    }

    /// The value that an encoder may leave out: zero, empty; nil for a type that is not known.
    package func zero(of field: FieldType) -> ProtobufValue? {
        switch types.kind(of: field) {
        case .int32, .sint32, .sfixed32: .int32(0)
        case .int64, .sint64, .sfixed64: .int64(0)
        case .uint32, .fixed32: .uint32(0)
        case .uint64, .fixed64: .uint64(0)
        case .bool: .bool(false)
        case .float: .float(0)
        case .double: .double(0)
        case .string: .string(ByteBuffer())
        case .bytes: .bytes(ByteBuffer())
        case .enumeration(let name): .enumeration(0, name)
        case .message(let name): types.message(name).map { .message(ProtobufMessage(type: $0)) }
        case .named, nil: nil
        }
    }

    /// Reads fields up to the end of the message or of the group.
    private mutating func read(_ reader: inout ProtobufReader, into message: inout ProtobufMessage) throws(ProtobufError) {
        while let field = try next(&reader), field.value != .groupEnd {
            guard try take(field, &reader, &message) else {
                try keep(field, &reader, &message)
                continue
            }
        }
    }

    private mutating func next(_ reader: inout ProtobufReader) throws(ProtobufError) -> ProtobufField? {
        guard !isCut, let field = try reader.next() else { return nil }
        fieldsLeft -= 1
        isCut = fieldsLeft < 0
        return isCut ? nil : field
    }

    /// Keeps a field as it is; a group to its end.
    private mutating func keep(_ field: ProtobufField, _ reader: inout ProtobufReader, _ message: inout ProtobufMessage)
        throws(ProtobufError)
    {
        message.unknown.append(field)
        guard field.value == .groupStart else { return }
        var open = 1
        while open > 0, let inner = try next(&reader) {
            message.unknown.append(inner)
            if inner.value == .groupStart { open += 1 }
            if inner.value == .groupEnd { open -= 1 }
        }
    }

    /// - Returns: false if the field does not fit the type.
    private mutating func take(_ field: ProtobufField, _ reader: inout ProtobufReader, _ message: inout ProtobufMessage)
        throws(ProtobufError) -> Bool
    {
        guard let type = types.field(field.number, of: message.type), let kind = types.kind(of: type) else { return false }
        if case .message(let name) = kind {
            return try take(field, of: type, named: name, &reader, &message)
        }
        if let value = kind.value(field.value) {
            message.add(value, of: type)
            return true
        }
        guard type.isRepeated, kind.isPackable, case .lengthDelimited(let bytes) = field.value else { return false }
        guard let values = kind.packed(bytes, maximum: fieldsLeft) else { return false }
        fieldsLeft -= values.count
        for value in values { message.add(value, of: type) }
        isCut = isCut || fieldsLeft <= 0
        return true
    }

    private mutating func take(
        _ field: ProtobufField, of type: FieldType, named name: String, _ reader: inout ProtobufReader,
        _ message: inout ProtobufMessage
    ) throws(ProtobufError) -> Bool {
        guard let nestedType = types.message(name) else { return false }
        // The entries of a map, and what is in them, always have a length before them.
        let isDelimited = type.isDelimited && !nestedType.isMapEntry && !message.type.isMapEntry
        switch field.value {
        case .lengthDelimited(let bytes) where !isDelimited:
            guard reader.depth < ProtobufReader.maximumTypedDepth else { return false }
            var inner = ProtobufReader(bytes, depth: reader.depth + 1, maximumDepth: ProtobufReader.maximumTypedDepth)
            let before = message.takeMessage(of: type)
            var nested = before ?? ProtobufMessage(type: nestedType)
            do throws(ProtobufError) {
                try read(&inner, into: &nested)
            } catch {
                if let before { message.add(.message(before), of: type) }
                return false
            }
            message.add(.message(nested), of: type)
            return true
        case .groupStart where isDelimited:
            var nested = message.takeMessage(of: type) ?? ProtobufMessage(type: nestedType)
            defer { message.add(.message(nested), of: type) }
            try read(&reader, into: &nested)
            return true
        default: return false
        }
    }
}

extension FieldType.Kind {
    /// A value on the wire; nil if the kind has another wire type.
    func value(_ wire: ProtobufField.Value) -> ProtobufValue? {
        switch (self, wire) {
        case (.int32, .varint(let value)): .int32(Int32(truncatingIfNeeded: value))
        case (.int64, .varint(let value)): .int64(Int64(bitPattern: value))
        case (.uint32, .varint(let value)): .uint32(UInt32(truncatingIfNeeded: value))
        case (.uint64, .varint(let value)): .uint64(value)
        case (.sint32, .varint(let value)): .int32(Int32(truncatingIfNeeded: Self.zigzag(value & 0xFFFF_FFFF)))
        case (.sint64, .varint(let value)): .int64(Self.zigzag(value))
        case (.bool, .varint(let value)): .bool(value != 0)
        case (.enumeration(let name), .varint(let value)): .enumeration(Int32(truncatingIfNeeded: value), name)
        case (.fixed32, .fixed32(let value)): .uint32(value)
        case (.sfixed32, .fixed32(let value)): .int32(Int32(bitPattern: value))
        case (.float, .fixed32(let value)): .float(Float(bitPattern: value))
        case (.fixed64, .fixed64(let value)): .uint64(value)
        case (.sfixed64, .fixed64(let value)): .int64(Int64(bitPattern: value))
        case (.double, .fixed64(let value)): .double(Double(bitPattern: value))
        case (.string, .lengthDelimited(let bytes)): .string(bytes)
        case (.bytes, .lengthDelimited(let bytes)): .bytes(bytes)
        default: nil
        }
    }

    private static func zigzag(_ value: UInt64) -> Int64 { Int64(bitPattern: value >> 1) ^ -Int64(value & 1) }

    /// The values of a packed field, one more than the maximum at most; nil if the bytes are not values to their end.
    func packed(_ bytes: ByteBuffer, maximum: Int) -> [ProtobufValue]? {
        var values: [ProtobufValue] = []
        var position = 0
        let span = bytes.readableBytesUInt8Span
        while position < span.count, values.count <= maximum {
            let wire: ProtobufField.Value
            switch self {
            case .double, .fixed64, .sfixed64:
                guard let bits = bytes.getInteger(at: bytes.readerIndex + position, endianness: .little, as: UInt64.self),
                    span.count - position >= 8
                else { return nil }
                (wire, position) = (.fixed64(bits), position + 8)
            case .float, .fixed32, .sfixed32:
                guard let bits = bytes.getInteger(at: bytes.readerIndex + position, endianness: .little, as: UInt32.self),
                    span.count - position >= 4
                else { return nil }
                (wire, position) = (.fixed32(bits), position + 4)
            default:
                guard let value = try? readVarint(span, &position) else { return nil }
                wire = .varint(value)
            }
            guard let value = value(wire) else { return nil }
            values.append(value)
        }
        return values
    }
}
