// Messages of known types in the text format of protobuf (protobuf.dev, "Text Format Language"): what `protoc --decode` prints, and what
// `protoc --encode` reads. Text stays readable; fields that the type does not have stand below the others, by their numbers.

import HTTPSemantics
import NIOCore
import Protobuf

extension ProtobufText {
    /// A message of a type.
    /// - Returns: false when there are too many fields.
    mutating func write(_ bytes: ByteBuffer, as type: MessageType, depth: Int = 0) -> Bool {
        let result = decoder.decode(bytes, as: type, depth: depth)
        write(result.message, depth: depth)
        if let error = result.error {
            tell(error, at: result.offset, rest: result.rest, depth, maximum: ProtobufReader.maximumTypedDepth)
        }
        return !decoder.isCut
    }

    /// The fields of a message.
    mutating func write(_ message: ProtobufMessage, depth: Int) {
        if writeContent(ofAny: message, depth: depth) { return }
        for entry in message.sortedEntries {
            for value in entry.values { write(value, named: Self.name(of: entry.field), depth) }
        }
        write(unknown: message.unknown, depth: depth)
    }

    /// The text format has the name of a group's type.
    private static func name(of field: FieldType) -> String {
        guard field.isGroup, let type = field.messageName?.split(separator: ".").last else { return field.name }
        return String(type)
    }

    private mutating func write(_ value: ProtobufValue, named name: String, _ depth: Int) {
        let palette = lines.palette
        switch value {
        case .int32(let number): scalar(name, depth, .literal) { $0.writeString("\(number)") }
        case .int64(let number): scalar(name, depth, .literal) { $0.writeString("\(number)") }
        case .uint32(let number): scalar(name, depth, .literal) { $0.writeString("\(number)") }
        case .uint64(let number): scalar(name, depth, .literal) { $0.writeString("\(number)") }
        case .bool(let flag): scalar(name, depth, .literal) { $0.writeString("\(flag)") }
        case .float(let number): scalar(name, depth, .literal) { $0.writeString(number.protobufText) }
        case .double(let number): scalar(name, depth, .literal) { $0.writeString(number.protobufText) }
        case .string(let text): scalar(name, depth, .string) { $0.writeProtobufString(text) }
        case .bytes(let bytes): scalar(name, depth, .string) { $0.writeProtobufBytes(bytes) }
        case .enumeration(let number, let type):
            let text = decoder.types.enumeration(type)?[number] ?? "\(number)"
            scalar(name, depth, .literal) { $0.writeVisible(text) }
        case .message(let message):
            let remark = ProtoJSON.text(of: message)
            lines.line(indentation + depth) { out in
                palette.write(.name, into: &out) { $0.writeVisible(name) }
                out.writeStaticString(" {")
                // A comment of the text format: a moment or a duration as a person reads it.
                if let remark { palette.write(.muted, into: &out) { $0.writeString("  # \(remark)") } }
            }
            if message.type.isMapEntry { mapEntry(message, depth + 1) } else { write(message, depth: depth + 1) }
            lines.line(indentation + depth) { $0.writeStaticString("}") }
        }
    }

    private mutating func scalar(_ name: String, _ depth: Int, _ role: Palette.Role, _ write: (inout ByteBuffer) -> Void) {
        let palette = lines.palette
        lines.line(indentation + depth) { out in
            palette.write(.name, into: &out) { $0.writeVisible(name) }
            out.writeStaticString(": ")
            palette.write(role, into: &out, write)
        }
    }

    /// Key and value of a map; an encoder may leave out zeros.
    private mutating func mapEntry(_ entry: ProtobufMessage, _ depth: Int) {
        for (number, name) in [(UInt32(1), "key"), (2, "value")] {
            let value = entry[number].first ?? entry.type[number].flatMap { decoder.zero(of: $0) }
            if let value { write(value, named: name, depth) }
        }
        write(unknown: entry.unknown, depth: depth)
    }

    /// `[type.googleapis.com/package.Type] { … }` instead of the two fields of an Any.
    /// - Returns: false if the message is not an Any, or one of an unknown type.
    private mutating func writeContent(ofAny message: ProtobufMessage, depth: Int) -> Bool {
        guard let (name, type, bytes) = decoder.types.content(ofAny: message), depth < ProtobufReader.maximumDepth else {
            return false
        }
        let result = decoder.decode(bytes, as: type, depth: depth + 1)
        guard result.error == nil else { return false }
        let palette = lines.palette
        lines.line(indentation + depth) { out in
            palette.write(.name, into: &out) { $0.writeVisible("[\(name)]") }
            out.writeStaticString(" {")
        }
        write(result.message, depth: depth + 1)
        lines.line(indentation + depth) { $0.writeStaticString("}") }
        return true
    }
}

extension ProtobufTypes {
    /// What an Any holds: the URL of its type, the type, and the bytes; nil if the message is not an Any or the type is not known.
    func content(ofAny message: ProtobufMessage) -> (url: String, type: MessageType, bytes: ByteBuffer)? {
        guard message.type.name == "google.protobuf.Any", message.unknown.isEmpty, case .string(let url)? = message[1].first else {
            return nil
        }
        let text = String(buffer: url)
        guard let name = text.split(separator: "/").last, let type = self.message(String(name)) else { return nil }
        guard case .bytes(let bytes)? = message[2].first else { return (text, type, ByteBuffer()) }
        return (text, type, bytes)
    }
}

extension BinaryFloatingPoint where Self: LosslessStringConvertible {
    /// The shortest digits that give the number back; whole numbers without a fraction.
    var protobufText: String {
        guard isFinite else { return isNaN ? "nan" : self < 0 ? "-inf" : "inf" }
        let text = description
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}

extension ByteBuffer {
    /// Appends text in quotation marks, with the escapes of the text format; bytes that are not UTF-8 as octal escapes.
    mutating func writeProtobufString(_ text: ByteBuffer) {
        guard let string = String(validating: text.readableBytesView, as: UTF8.self) else { return writeProtobufBytes(text) }
        writeStaticString("\"")
        for scalar in string.unicodeScalars {
            if scalar.isASCII {
                writeEscaped(UInt8(scalar.value))
            } else if scalar.isControl {
                for byte in String(scalar).utf8 { writeOctal(byte) }
            } else {
                writeString(String(scalar))
            }
        }
        writeStaticString("\"")
    }

    mutating func writeProtobufBytes(_ bytes: ByteBuffer) {
        writeStaticString("\"")
        for byte in bytes.readableBytesView { writeEscaped(byte) }
        writeStaticString("\"")
    }

    private mutating func writeEscaped(_ byte: UInt8) {
        switch byte {
        case 0x22: writeStaticString("\\\"")
        case 0x5C: writeStaticString("\\\\")
        case 0x0A: writeStaticString("\\n")
        case 0x0D: writeStaticString("\\r")
        case 0x09: writeStaticString("\\t")
        case 0x20..<0x7F: writeInteger(byte)
        default: writeOctal(byte)
        }
    }

    private mutating func writeOctal(_ byte: UInt8) {
        writeInteger(UInt8(ascii: "\\"))
        for shift in [6, 3, 0] { writeInteger(UInt8(ascii: "0") + (byte >> UInt8(shift)) & 7) }
    }
}

extension Unicode.Scalar {
    /// A character that controls a terminal or turns the direction of text (see ``ByteBuffer/writeVisible(_:keepsLines:)``).
    fileprivate var isControl: Bool {
        switch value {
        case 0x00..<0x20, 0x7F..<0xA0, 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
