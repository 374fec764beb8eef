// Messages of known types as JSON (protobuf.dev, "ProtoJSON Format"). Nothing of a message is lost: an enum's number without a name is a number,
// and fields that the type does not have are there under their numbers, as arrays of what is on the wire.

import FlowModel
import HTTPSemantics
import NIOCore
import Protobuf

struct ProtoJSON {
    var decoder: ProtobufDecoder

    /// Writes the fields of a message that stands alone.
    /// - Returns: the place where it ends to be a message of the type, and the bytes from there on; nil if it is one to its end.
    mutating func write(_ bytes: ByteBuffer, as type: MessageType, into json: inout JSONWriter) -> ByteBuffer? {
        let result = decoder.decode(bytes, as: type)
        write(result.message, into: &json)
        return result.error == nil ? nil : result.rest
    }

    mutating func write(_ message: ProtobufMessage, depth: Int = 0, into json: inout JSONWriter) {
        if message.unknown.isEmpty, writeWellKnown(message, depth, &json) { return }
        json.beginObject()
        fields(message, depth, &json)
        json.endObject()
    }

    private mutating func fields(_ message: ProtobufMessage, _ depth: Int, _ json: inout JSONWriter) {
        for entry in message.sortedEntries {
            json.key(named: entry.field.jsonName)
            guard entry.field.isRepeated else {
                write(entry.values[0], depth, &json)
                continue
            }
            if case .message(let first) = entry.values[0], first.type.isMapEntry {
                map(entry.values, depth, &json)
            } else {
                json.beginArray()
                for value in entry.values { write(value, depth, &json) }
                json.endArray()
            }
        }
        unknown(message.unknown, depth, &json)
    }

    private mutating func map(_ values: [ProtobufValue], _ depth: Int, _ json: inout JSONWriter) {
        json.beginObject()
        for case .message(let entry) in values {
            let key = entry[1].first ?? entry.type[1].flatMap { decoder.zero(of: $0) }
            json.key(named: key?.mapKey ?? "")
            if let value = entry[2].first ?? entry.type[2].flatMap({ decoder.zero(of: $0) }) {
                write(value, depth, &json)
            } else {
                json.raw("null")
            }
        }
        json.endObject()
    }

    private mutating func write(_ value: ProtobufValue, _ depth: Int, _ json: inout JSONWriter) {
        switch value {
        case .int32(let number): json.number(number)
        case .uint32(let number): json.number(number)
        // Many readers of JSON have no integers of 64 bits.
        case .int64(let number): json.string("\(number)")
        case .uint64(let number): json.string("\(number)")
        case .bool(let flag): json.bool(flag)
        case .float(let number): Self.number(number, &json)
        case .double(let number): Self.number(number, &json)
        case .string(let text): json.string(text)
        case .bytes(let bytes): json.base64(bytes)
        case .enumeration(let number, let type):
            if type == "google.protobuf.NullValue", number == 0 { return json.raw("null") }
            if let name = decoder.types.enumeration(type)?[number] { json.string(name) } else { json.number(number) }
        case .message(let message): write(message, depth: depth + 1, into: &json)
        }
    }

    private static func number(_ number: some BinaryFloatingPoint & LosslessStringConvertible, _ json: inout JSONWriter) {
        guard number.isFinite else { return json.string(number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity") }
        json.decimal(number.protobufText)
    }

    /// Fields by their numbers: those of one number in one array.
    private func unknown(_ fields: [ProtobufField], _ depth: Int, _ json: inout JSONWriter) {
        guard !fields.isEmpty else { return }
        var groups: [(number: UInt32, fields: [ProtobufField])] = []
        var places: [UInt32: Int] = [:]
        var open = 0
        var current = 0
        for field in fields {
            if open == 0 {
                current = places[field.number] ?? groups.count
                if current == groups.count { groups.append((field.number, [])) }
                places[field.number] = current
            }
            groups[current].fields.append(field)
            if field.value == .groupStart { open += 1 }
            if field.value == .groupEnd { open -= 1 }
        }
        for group in groups {
            json.key(named: "\(group.number)")
            var plain = ProtobufJSON()
            plain.write(unknown: group.fields, depth: depth + 1, into: &json)
        }
    }

    // MARK: Well-known types

    /// - Returns: false if the message has no form of its own in JSON.
    private mutating func writeWellKnown(_ message: ProtobufMessage, _ depth: Int, _ json: inout JSONWriter) -> Bool {
        let name = message.type.name
        guard name.hasPrefix("google.protobuf.") else { return false }
        if let text = Self.text(of: message) {
            json.string(text)
            return true
        }
        switch name.dropFirst("google.protobuf.".count) {
        case "DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value", "UInt32Value", "BoolValue", "StringValue",
            "BytesValue":
            guard let value = message[1].first ?? message.type[1].flatMap({ decoder.zero(of: $0) }) else { return false }
            write(value, depth, &json)
        case "Struct":
            map(message[1], depth, &json)
        case "ListValue":
            json.beginArray()
            for value in message[1] { write(value, depth, &json) }
            json.endArray()
        case "Value":
            guard message.entries.count == 1, let value = message.entries.first?.values.first else { return false }
            write(value, depth, &json)
        case "Any": return writeAny(message, depth, &json)
        default: return false
        }
        return true
    }

    private mutating func writeAny(_ message: ProtobufMessage, _ depth: Int, _ json: inout JSONWriter) -> Bool {
        guard depth < ProtobufReader.maximumDepth, let (url, type, bytes) = decoder.types.content(ofAny: message) else {
            return false
        }
        let result = decoder.decode(bytes, as: type, depth: depth + 1)
        guard result.error == nil else { return false }
        json.beginObject()
        json.key("@type")
        json.string(url)
        if type.hasOwnJSON {
            json.key("value")
            write(result.message, depth: depth + 1, into: &json)
        } else {
            fields(result.message, depth + 1, &json)
        }
        json.endObject()
        return true
    }

    /// A Timestamp, a Duration or a FieldMask as the string that stands for it in JSON; nil for others, and for values that have none.
    static func text(of message: ProtobufMessage) -> String? {
        func number(_ field: UInt32) -> Int64 {
            switch message[field].first {
            case .int32(let value): Int64(value)
            case .int64(let value): value
            default: 0
            }
        }
        guard message.unknown.isEmpty else { return nil }
        switch message.type.name {
        case "google.protobuf.Timestamp": return timestamp(number(1), number(2))
        case "google.protobuf.Duration": return duration(number(1), number(2))
        case "google.protobuf.FieldMask":
            let paths = message[1].compactMap { if case .string(let path) = $0 { String(buffer: path) } else { nil } }
            return paths.map {
                $0.split(separator: ".", omittingEmptySubsequences: false).map { String($0).lowerCamelCase }.joined(separator: ".")
            }
            .joined(separator: ",")
        default: return nil
        }
    }

    /// Years 1 to 9999.
    private static func timestamp(_ seconds: Int64, _ nanoseconds: Int64) -> String? {
        guard (-62_135_596_800...253_402_300_799).contains(seconds), (0..<1_000_000_000).contains(nanoseconds) else { return nil }
        let (days, second) = seconds.flooredQuotientAndRemainder(86_400)
        let date = CivilDate(daysSince1970: days)
        let text = ByteWriter(capacity: 32)
        text.append(decimal: UInt64(date.year), width: 4)
        for (separator, part) in [
            ("-", date.month), ("-", date.day), ("T", second / 3600), (":", second / 60 % 60), (":", second % 60),
        ] {
            text.append(utf8: separator)
            text.append(decimal: UInt64(part), width: 2)
        }
        return unsafe String(decoding: text.bytes, as: UTF8.self) + fraction(nanoseconds) + "Z"
    }

    /// 10,000 years at most; both parts have the same sign.
    private static func duration(_ seconds: Int64, _ nanoseconds: Int64) -> String? {
        guard (-315_576_000_000...315_576_000_000).contains(seconds), (-999_999_999...999_999_999).contains(nanoseconds),
            seconds == 0 || nanoseconds == 0 || (seconds < 0) == (nanoseconds < 0)
        else { return nil }
        let sign = seconds < 0 || nanoseconds < 0 ? "-" : ""
        return "\(sign)\(seconds.magnitude)\(fraction(abs(nanoseconds)))s"
    }

    /// 0, 3, 6 or 9 digits.
    private static func fraction(_ nanoseconds: Int64) -> String {
        guard nanoseconds > 0 else { return "" }
        let digits = String(nanoseconds)
        let nine = String(repeating: "0", count: 9 - digits.count) + digits
        let kept = nanoseconds % 1_000_000 == 0 ? 3 : nanoseconds % 1000 == 0 ? 6 : 9
        return "." + nine.prefix(kept)
    }
}

extension MessageType {
    /// In an Any it stands as the member `value`.
    fileprivate var hasOwnJSON: Bool {
        name.hasPrefix("google.protobuf.")
            && ["Any", "Timestamp", "Duration", "FieldMask", "Struct", "ListValue", "Value", "Empty"].contains(shortName)
            || (name.hasPrefix("google.protobuf.") && name.hasSuffix("Value"))
    }
}

extension ProtobufValue {
    /// A key of a map as the name of a member.
    fileprivate var mapKey: String? {
        switch self {
        case .int32(let number): "\(number)"
        case .int64(let number): "\(number)"
        case .uint32(let number): "\(number)"
        case .uint64(let number): "\(number)"
        case .bool(let flag): "\(flag)"
        case .string(let text): String(buffer: text)
        default: nil
        }
    }
}
