// Descriptors (google/protobuf/descriptor.proto) as types. They are read by our own reader, since they come from files and from recorded
// traffic: nothing in them is trusted.

import NIOCore

/// A descriptor cannot be read.
package struct DescriptorError: Error, Equatable, Sendable {}

extension ProtobufTypes {
    /// Adds the types of a FileDescriptorSet, as `protoc --descriptor_set_out` writes it.
    /// - Throws: when the bytes are not one.
    package mutating func add(descriptorSet bytes: ByteBuffer) throws(DescriptorError) {
        let set = try Descriptor(bytes, depth: 0)
        guard set.hasOnly(field: 1) else { throw DescriptorError() }
        var types = self
        for file in set.messages(1) { try types.add(fileDescriptor: file) }
        self = types
    }

    /// Adds the types of a FileDescriptorProto.
    /// - Throws: when the bytes are not one; nothing is added then.
    package mutating func add(fileDescriptor bytes: ByteBuffer) throws(DescriptorError) {
        let file = try Descriptor(bytes, depth: 0)
        var types = self
        let features = try Features().overridden(by: file.options(8, features: 50))
        let scope = file.text(2)
        for message in file.messages(4) { try types.add(message: message, in: scope, features, depth: 1) }
        for enumeration in file.messages(5) { try types.add(enumeration: enumeration, in: scope, depth: 1) }
        for field in file.messages(7) { try types.add(extension: field, in: scope, features, depth: 1) }
        for service in file.messages(6) { try types.add(service: service, in: scope) }
        self = types
    }

    private mutating func add(message bytes: ByteBuffer, in scope: String, _ outer: Features, depth: Int) throws(DescriptorError) {
        let message = try Descriptor(bytes, depth: depth)
        let name = scope.qualified(message.text(1))
        let options = try message.options(7, features: 12)
        let features = try outer.overridden(by: options)
        var oneofs: [Features] = []
        for oneof in message.messages(8) {
            oneofs.append(try features.overridden(by: try Descriptor(oneof, depth: depth).options(2, features: 1)))
        }
        var fields: [FieldType] = []
        for bytes in message.messages(2) {
            let field = try Descriptor(bytes, depth: depth)
            let oneof = field.number(9).flatMap { Int(exactly: $0) }
            let features = oneof.flatMap { $0 < oneofs.count ? oneofs[$0] : nil } ?? features
            if let type = try FieldType(field, name: field.text(1), features) { fields.append(type) }
        }
        add(MessageType(name: name, fields: fields, isMapEntry: options.isMapEntry))
        for nested in message.messages(3) { try add(message: nested, in: name, features, depth: depth + 1) }
        for enumeration in message.messages(4) { try add(enumeration: enumeration, in: name, depth: depth + 1) }
        for field in message.messages(6) { try add(extension: field, in: name, features, depth: depth + 1) }
    }

    private mutating func add(enumeration bytes: ByteBuffer, in scope: String, depth: Int) throws(DescriptorError) {
        let enumeration = try Descriptor(bytes, depth: depth)
        var values: [(name: String, number: Int32)] = []
        for value in enumeration.messages(2) {
            let value = try Descriptor(value, depth: depth)
            values.append((value.text(1), Int32(truncatingIfNeeded: value.number(2) ?? 0)))
        }
        add(EnumType(name: scope.qualified(enumeration.text(1)), values: values))
    }

    private mutating func add(extension bytes: ByteBuffer, in scope: String, _ outer: Features, depth: Int) throws(DescriptorError)
    {
        let field = try Descriptor(bytes, depth: depth)
        guard let type = try FieldType(field, name: "[\(scope.qualified(field.text(1)))]", outer) else { return }
        add(type, extending: field.text(2).withoutDot)
    }

    private mutating func add(service bytes: ByteBuffer, in scope: String) throws(DescriptorError) {
        let service = try Descriptor(bytes, depth: 1)
        for bytes in service.messages(2) {
            let method = try Descriptor(bytes, depth: 2)
            add(
                MethodType(input: method.text(2).withoutDot, output: method.text(3).withoutDot),
                named: "\(scope.qualified(service.text(1)))/\(method.text(1))")
        }
    }
}

/// The feature of an edition that changes how the wire is read (FeatureSet.message_encoding). Presence, closed enums and UTF-8 change what an
/// application sees of it; packed fields are read in both forms, as every parser has to.
private struct Features {
    /// The default of every syntax and edition is length-prefixed.
    var isDelimited = false

    /// - Parameter options: of a descriptor that is inside of the one with these features.
    func overridden(by options: Options) throws(DescriptorError) -> Features {
        var features = self
        if let encoding = options.messageEncoding { features.isDelimited = encoding == 2 }
        return features
    }
}

/// What is read of the options of a descriptor.
private struct Options {
    /// FeatureSet.message_encoding: 1 length-prefixed, 2 delimited.
    var messageEncoding: UInt64?
    var isMapEntry = false
}

/// The fields of one descriptor.
private struct Descriptor {
    private let fields: [ProtobufField]
    private let depth: Int

    init(_ bytes: ByteBuffer, depth: Int) throws(DescriptorError) {
        guard depth <= ProtobufReader.maximumTypedDepth else { throw DescriptorError() }
        var reader = ProtobufReader(bytes, depth: depth, maximumDepth: ProtobufReader.maximumTypedDepth)
        var fields: [ProtobufField] = []
        do throws(ProtobufError) {
            while let field = try reader.next() { fields.append(field) }
        } catch {
            throw DescriptorError()
        }
        self.fields = fields
        self.depth = depth
    }

    /// There are fields, and no others than these messages.
    func hasOnly(field number: UInt32) -> Bool {
        !fields.isEmpty
            && fields.allSatisfy {
                guard case .lengthDelimited = $0.value else { return false }
                return $0.number == number
            }
    }

    func messages(_ number: UInt32) -> [ByteBuffer] {
        fields.compactMap { field in
            if field.number == number, case .lengthDelimited(let bytes) = field.value { bytes } else { nil }
        }
    }

    func text(_ number: UInt32) -> String { messages(number).last.map { String(buffer: $0) } ?? "" }

    func number(_ number: UInt32) -> UInt64? {
        fields.last { $0.number == number }.flatMap { field in if case .varint(let value) = field.value { value } else { nil } }
    }

    /// - Parameter features: the number of the field `features` in these options.
    func options(_ number: UInt32, features: UInt32) throws(DescriptorError) -> Options {
        var options = Options()
        for bytes in messages(number) {
            let fields = try Descriptor(bytes, depth: depth + 1)
            if number == 7 { options.isMapEntry = fields.number(7) == 1 }
            for set in fields.messages(features) {
                options.messageEncoding = try Descriptor(set, depth: depth + 2).number(5) ?? options.messageEncoding
            }
        }
        return options
    }
}

extension FieldType {
    /// - Parameters:
    ///   - name: as the text format has it.
    ///   - outer: the features of what the field is in.
    /// - Returns: nil for a field with a type or a number that does not exist.
    fileprivate init?(_ field: Descriptor, name: String, _ outer: Features) throws(DescriptorError) {
        guard let number = field.number(3).flatMap({ UInt32(exactly: $0) }), number > 0 else { return nil }
        let type = field.number(5) ?? 0
        let typeName = field.text(6).withoutDot
        guard let kind = Kind(type, typeName) else { return nil }
        let features = try outer.overridden(by: field.options(8, features: 21))
        let jsonName = field.text(10)
        self.init(
            number: number, name: name, jsonName: name.hasPrefix("[") ? name : jsonName.isEmpty ? name.lowerCamelCase : jsonName,
            kind: kind, isRepeated: field.number(4) == 3, isDelimited: type == 10 || (type == 11 && features.isDelimited),
            isGroup: type == 10, oneof: field.number(9))
    }
}

extension FieldType.Kind {
    /// - Parameters:
    ///   - type: of FieldDescriptorProto.Type; 0 if the descriptor has only the name of the type.
    ///   - name: of a message or an enum.
    fileprivate init?(_ type: UInt64, _ name: String) {
        let scalars: [UInt64: FieldType.Kind] = [
            1: .double, 2: .float, 3: .int64, 4: .uint64, 5: .int32, 6: .fixed64, 7: .fixed32, 8: .bool, 9: .string, 12: .bytes,
            13: .uint32, 15: .sfixed32, 16: .sfixed64, 17: .sint32, 18: .sint64,
        ]
        switch type {
        case 10, 11: self = .message(name)
        case 14: self = .enumeration(name)
        case 0 where !name.isEmpty: self = .named(name)
        default:
            guard let scalar = scalars[type] else { return nil }
            self = scalar
        }
    }
}

extension String {
    fileprivate var withoutDot: String { hasPrefix(".") ? String(dropFirst()) : self }

    /// A name in this scope.
    fileprivate func qualified(_ name: String) -> String { isEmpty ? name : "\(self).\(name)" }

    /// The default of `json_name`: underscores are left out, and the letters after them are in upper case.
    package var lowerCamelCase: String {
        var text = ""
        var isNextUpper = false
        for character in self {
            if character == "_" {
                isNextUpper = true
            } else {
                text += isNextUpper ? character.uppercased() : String(character)
                isNextUpper = false
            }
        }
        return text
    }
}
