// The types of messages, enums and services, as descriptors declare them. Types refer to each other by their full names, without the dot that
// descriptors write before them, so descriptors may arrive in any order and some may be missing.

/// A field of a message.
package struct FieldType: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case double, float, int64, uint64, int32, fixed64, fixed32, bool, string, bytes, uint32, sfixed32, sfixed64, sint32, sint64
        /// By its full name.
        case message(String)
        case enumeration(String)
        /// A message or an enum.
        case named(String)

        /// Several values may be in one length-delimited field.
        var isPackable: Bool {
            switch self {
            case .string, .bytes, .message, .named: false
            default: true
            }
        }
    }

    package let number: UInt32
    package let name: String
    /// The name in JSON: in lowerCamelCase, or the one that the option `json_name` gives.
    package let jsonName: String
    package let kind: Kind
    package let isRepeated: Bool
    /// A message between two tags instead of after its length: a group of proto2, or `message_encoding = DELIMITED`.
    package let isDelimited: Bool
    /// A group of proto2: the text format has the name of its type.
    package let isGroup: Bool
    /// The index of its oneof in the message.
    package let oneof: UInt64?

    /// The full name of the type of a message field; nil for other fields.
    package var messageName: String? { if case .message(let name) = kind { name } else { nil } }
}

/// A message.
package final class MessageType: Sendable {
    package let name: String
    package let isMapEntry: Bool
    private let fields: [UInt32: FieldType]

    package init(name: String, fields: [FieldType], isMapEntry: Bool = false) {
        self.name = name
        self.isMapEntry = isMapEntry
        self.fields = Dictionary(fields.map { ($0.number, $0) }) { first, _ in first }
    }

    package subscript(number: UInt32) -> FieldType? { fields[number] }

    /// A field by its name in the descriptor or in JSON.
    package subscript(name: String) -> FieldType? {
        fields.values.first { $0.name == name } ?? fields.values.first { $0.jsonName == name }
    }

    /// The name after the last dot.
    package var shortName: Substring { name.afterLastDot }
}

/// An enum.
package final class EnumType: Sendable {
    package let name: String
    private let names: [Int32: String]

    package init(name: String, values: [(name: String, number: Int32)]) {
        self.name = name
        // Of aliases, the first one stands for the number.
        names = Dictionary(values.map { ($0.number, $0.name) }) { first, _ in first }
    }

    /// nil for a number without a name.
    package subscript(number: Int32) -> String? { names[number] }
}

/// A method of a service.
package struct MethodType: Sendable, Equatable {
    /// Full names of messages.
    package let input: String
    package let output: String
}

/// A set of types by their full names. Of two types of one name, the first one that was added is kept.
package struct ProtobufTypes: Sendable {
    private var messages: [String: MessageType] = [:]
    private var enums: [String: EnumType] = [:]
    /// By `package.Service/Method`.
    private var methods: [String: MethodType] = [:]
    /// By the message that they extend.
    private var extensions: [String: [UInt32: FieldType]] = [:]

    package init() {}

    package var isEmpty: Bool { messages.isEmpty && enums.isEmpty && methods.isEmpty }

    package mutating func add(_ type: MessageType) {
        if messages[type.name] == nil { messages[type.name] = type }
    }

    package mutating func add(_ type: EnumType) {
        if enums[type.name] == nil { enums[type.name] = type }
    }

    mutating func add(_ method: MethodType, named name: String) {
        if methods[name] == nil { methods[name] = method }
    }

    mutating func add(_ field: FieldType, extending message: String) {
        if extensions[message]?[field.number] == nil { extensions[message, default: [:]][field.number] = field }
    }

    /// - Parameter name: its full name.
    package func message(_ name: String) -> MessageType? { messages[name] }
    package func enumeration(_ name: String) -> EnumType? { enums[name] }

    /// - Parameter name: `package.Service/Method`.
    package func method(_ name: String) -> MethodType? { methods[name] }

    /// A field of a message, or an extension of it.
    package func field(_ number: UInt32, of message: MessageType) -> FieldType? {
        message[number] ?? extensions[message.name]?[number]
    }

    /// A field by its name, its name in JSON, or `[package.extension]`.
    package func field(_ name: String, of message: MessageType) -> FieldType? {
        message[name] ?? extensions[message.name]?.values.first { $0.name == name }
    }

    /// Whether any message has a field of that name.
    package func hasField(_ name: String) -> Bool {
        messages.values.contains { $0[name] != nil } || extensions.values.contains { $0.values.contains { $0.name == name } }
    }

    /// The kind of a field with its name resolved; nil if the type is not known.
    package func kind(of field: FieldType) -> FieldType.Kind? {
        switch field.kind {
        case .message(let name): messages[name] == nil ? nil : field.kind
        case .named(let name): messages[name] != nil ? .message(name) : enums[name] != nil ? .enumeration(name) : nil
        default: field.kind
        }
    }
}

extension String {
    var afterLastDot: Substring { lastIndex(of: ".").map { self[index(after: $0)...] } ?? self[...] }
}
