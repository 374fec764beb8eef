// Messages of protobuf and gRPC inside the body's object of a JSON line.

import HTTPSemantics
import NIOCore
import Protobuf

struct ProtobufJSON {
    private var fieldsLeft = ProtobufReader.maximumFields
    /// The type of the messages, and the types that are known; nil: fields by their numbers.
    private let type: MessageType?
    private var typed: ProtoJSON

    init(_ type: MessageType? = nil, _ types: ProtobufTypes = ProtobufTypes()) {
        self.type = type
        typed = ProtoJSON(decoder: ProtobufDecoder(types))
    }

    /// Adds to the object of a body: `message_type` and `message`, or `fields` of a message of unknown type, or `messages`; `unparsed` bytes
    /// at the end that are not a message; `cut` when there is more than is shown.
    mutating func write(_ content: ByteBuffer, media: ProtobufMedia, coding: ByteBuffer?, into json: inout JSONWriter) {
        if media.isFramed {
            messages(GRPCMessageReader(content, media: media, coding: coding), media, &json)
        } else if media.framing == .delimited || content.isDelimitedMessages {
            messages(delimited: content, &json)
        } else {
            message(content, &json)
        }
        if fieldsLeft < 0 || typed.decoder.isCut {
            json.key("cut")
            json.bool(true)
        }
    }

    /// An array of fields without a type.
    mutating func write(unknown fields: [ProtobufField], depth: Int, into json: inout JSONWriter) {
        json.beginArray()
        var openGroups = 0
        for field in fields {
            if field.value == .groupStart { openGroups += 1 }
            if field.value == .groupEnd { openGroups -= 1 }
            write(field, depth: depth + openGroups, &json)
        }
        for _ in 0..<openGroups { endGroup(&json) }
        json.endArray()
    }

    // MARK: Messages

    private mutating func messages(_ reader: GRPCMessageReader, _ media: ProtobufMedia, _ json: inout JSONWriter) {
        var reader = reader
        json.key("messages")
        json.beginArray()
        var unparsed = 0
        do throws(RPCFramingError) {
            while isRoomLeft, let message = try reader.next() {
                fieldsLeft -= 1
                if fieldsLeft >= 0 { write(message, media, &json) }
            }
        } catch {
            unparsed = reader.rest.readableBytes
        }
        json.endArray()
        tell(unparsed: unparsed, &json)
    }

    private mutating func messages(delimited content: ByteBuffer, _ json: inout JSONWriter) {
        var reader = DelimitedMessages(content)
        json.key("messages")
        json.beginArray()
        var unparsed = 0
        do throws(ProtobufError) {
            while isRoomLeft, let content = try reader.next() {
                fieldsLeft -= 1
                guard fieldsLeft >= 0 else { break }
                json.beginObject()
                json.key("size")
                json.number(content.readableBytes)
                message(content, &json)
                json.endObject()
            }
        } catch {
            unparsed = reader.rest.readableBytes
        }
        json.endArray()
        tell(unparsed: unparsed, &json)
    }

    private var isRoomLeft: Bool { fieldsLeft >= 0 && !typed.decoder.isCut }

    private mutating func write(_ message: GRPCMessage, _ media: ProtobufMedia, _ json: inout JSONWriter) {
        json.beginObject()
        json.key("size")
        json.number(message.frame.size)
        json.key("compressed")
        json.bool(message.frame.isCompressed)
        let content = message.decoded.content
        if !message.decoded.isDecoded {
            json.content(content, isText: false)
        } else if message.frame.isEnd {
            if media.framing == .connect {
                json.key("end")
                json.bool(true)
                json.content(content, isText: true)
            } else {
                json.fields("trailers", FieldSection(parsing: content))
            }
        } else if media.isJSON {
            json.content(content, isText: true)
        } else {
            self.message(content, &json)
        }
        if let remark = message.remark {
            json.key("remark")
            json.string(remark)
        }
        json.endObject()
    }

    private mutating func message(_ content: ByteBuffer, _ json: inout JSONWriter) {
        guard let type else { return fields(content, &json) }
        json.key("message_type")
        json.string(type.name)
        json.key("message")
        let rest = typed.write(content, as: type, into: &json)
        tell(unparsed: rest?.readableBytes ?? 0, &json)
    }

    // MARK: Fields

    private mutating func fields(_ message: ByteBuffer, depth: Int = 0, _ json: inout JSONWriter) {
        var reader = ProtobufReader(message, depth: depth)
        json.key("fields")
        json.beginArray()
        var openGroups = 0
        var unparsed = 0
        do throws(ProtobufError) {
            while fieldsLeft >= 0, let field = try reader.next() {
                fieldsLeft -= 1
                guard fieldsLeft >= 0 else { break }
                write(field, depth: reader.depth, &json)
                openGroups = reader.depth - depth
            }
        } catch {
            unparsed = reader.rest.readableBytes
        }
        // Groups that nothing ends.
        for _ in 0..<openGroups { endGroup(&json) }
        json.endArray()
        tell(unparsed: unparsed, &json)
    }

    private mutating func write(_ field: ProtobufField, depth: Int, _ json: inout JSONWriter) {
        if field.value == .groupEnd { return endGroup(&json) }
        json.beginObject()
        json.key("field")
        json.number(field.number)
        json.key("wire")
        switch field.value {
        case .varint(let value): varint(value, &json)
        case .fixed32(let bits):
            json.string("fixed32")
            json.key("hex")
            json.string(hexadecimal(UInt64(bits), digits: 8))
            json.finiteNumber("float", Float(bitPattern: bits))
        case .fixed64(let bits):
            json.string("fixed64")
            json.key("hex")
            json.string(hexadecimal(bits, digits: 16))
            json.finiteNumber("double", Double(bitPattern: bits))
        case .lengthDelimited(let bytes):
            json.string("len")
            json.key("size")
            json.number(bytes.readableBytes)
            switch ProtobufGuess(bytes, depth: depth + 1) {
            case .message: fields(bytes, depth: depth + 1, &json)
            case .text: json.content(bytes, isText: true)
            case .bytes: json.content(bytes, isText: false)
            case .packed(let numbers):
                json.content(bytes, isText: false)
                json.key("packed")
                json.beginArray()
                for text in numbers.texts { json.decimal(text) }
                json.endArray()
            }
        case .groupStart:
            json.string("group")
            json.key("fields")
            json.beginArray()
            return
        case .groupEnd: break
        }
        json.endObject()
    }

    private func varint(_ value: UInt64, _ json: inout JSONWriter) {
        json.string("varint")
        json.key("value")
        json.number(value)
        let signed = ProtobufSigned(value)
        if let complement = signed.complement {
            json.key("signed")
            json.number(complement)
        }
        if let zigzag = signed.zigzag {
            json.key("zigzag")
            json.number(zigzag)
        }
    }

    private func endGroup(_ json: inout JSONWriter) {
        json.endArray()
        json.endObject()
    }

    private func tell(unparsed: Int, _ json: inout JSONWriter) {
        guard unparsed > 0 else { return }
        json.key("unparsed")
        json.number(unparsed)
    }
}
