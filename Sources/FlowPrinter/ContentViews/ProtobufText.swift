// Messages of protobuf and gRPC as lines. Without a type: `number: wire type value`, the fields of a nested message are indented below it, and
// a question mark stands where another reading is as likely.

import HTTPSemantics
import NIOCore
import Protobuf

struct ProtobufText {
    /// Bytes up to this are one line of digits; more are dumped in rows.
    private static let maximumInline = 32

    var lines: CountedLines
    var decoder: ProtobufDecoder
    /// Levels that messages in frames are indented by.
    private(set) var indentation = 0
    private var fieldsLeft = ProtobufReader.maximumFields

    init(_ lines: CountedLines, _ types: ProtobufTypes) {
        self.lines = lines
        decoder = ProtobufDecoder(types)
    }

    /// One message that stands alone.
    mutating func write(message: ByteBuffer, as type: MessageType?) {
        if !write(message, type) { tellCut() }
    }

    /// - Returns: false when there are too many fields.
    private mutating func write(_ message: ByteBuffer, _ type: MessageType?) -> Bool {
        if let type { write(message, as: type) } else { fields(message, depth: 0) }
    }

    // MARK: Several messages

    /// Messages after their lengths.
    mutating func write(delimited content: ByteBuffer, as type: MessageType?) {
        var reader = DelimitedMessages(content)
        var number = 0
        do throws(ProtobufError) {
            while let message = try reader.next() {
                number += 1
                fieldsLeft -= 1
                guard fieldsLeft >= 0 else { return tellCut() }
                title("message \(number)", message.readableBytes, type)
                guard indented({ $0.write(message, type) }) else { return tellCut() }
            }
        } catch {
            remark("no message begins here", 0)
            lines.dump(reader.rest, depth: 0)
        }
    }

    /// A body of gRPC, gRPC-Web or Connect.
    mutating func write(messagesOf reader: GRPCMessageReader, media: ProtobufMedia, as type: MessageType?) {
        var reader = reader
        var number = 0
        do throws(RPCFramingError) {
            while let message = try reader.next() {
                number += 1
                fieldsLeft -= 1
                guard fieldsLeft >= 0, write(message, number: number, media, type) else { return tellCut() }
            }
        } catch {
            let reason =
                switch error {
                case .truncatedPrefix: "truncated in the prefix of a message"
                case .unknownFlags(let flags): "no message begins with 0x\(hexadecimal(UInt64(flags), digits: 2))"
                case .notBase64: "not Base64"
                }
            remark(reason, 0)
            lines.dump(reader.rest, depth: 0)
        }
    }

    /// - Returns: false when there are too many fields.
    private mutating func write(_ message: GRPCMessage, number: Int, _ media: ProtobufMedia, _ type: MessageType?) -> Bool {
        let frame = message.frame
        let content = message.decoded.content
        let name = !frame.isEnd ? "message \(number)" : media.framing == .connect ? "end of the stream" : "trailers"
        var remark = ""
        if frame.isCompressed {
            remark = " compressed"
            if message.decoded.isDecoded { remark += ", \(readableSize(UInt64(content.readableBytes))) decoded" }
        }
        title(name, frame.size, frame.isEnd || media.isJSON ? nil : type, remark: remark)
        let isWhole = indented { text in
            if !message.decoded.isDecoded {
                text.lines.dump(content, depth: text.indentation)
            } else if frame.isEnd || media.isJSON {
                text.write(content, isJSON: media.isJSON || media.framing == .connect, isTrailers: frame.isEnd)
            } else {
                return text.write(content, type)
            }
            return true
        }
        if let remark = message.remark { indented { $0.remark(remark, 0) } }
        return isWhole
    }

    /// JSON, or trailers as field lines.
    private mutating func write(_ content: ByteBuffer, isJSON: Bool, isTrailers: Bool) {
        let type: StaticString = isJSON ? "application/json" : "text/plain"
        lines.indented(by: indentation) { ViewedContent(content, type: ByteBuffer(staticString: type)).write(into: &$0) }
        guard isTrailers, !isJSON, let details = FieldSection(parsing: content).grpcStatusDetails,
            let status = decoder.types.message("google.rpc.Status")
        else { return }
        title("status details", details.readableBytes, status)
        _ = indented { $0.write(details, as: status) }
    }

    private mutating func title(_ name: String, _ size: Int, _ type: MessageType?, remark: String = "") {
        let palette = lines.palette
        lines.line(indentation) { out in
            out.writeString("\(name), \(readableSize(UInt64(size)))\(remark)")
            if let type { palette.write(.muted, into: &out) { $0.writeVisible(", \(type.name)") } }
        }
    }

    private mutating func indented<R>(_ write: (inout ProtobufText) -> R) -> R {
        indentation += 1
        defer { indentation -= 1 }
        return write(&self)
    }

    // MARK: Fields

    /// - Returns: false when there are too many.
    private mutating func fields(_ message: ByteBuffer, depth: Int) -> Bool {
        var reader = ProtobufReader(message, depth: depth)
        do throws(ProtobufError) {
            while let field = try reader.next() {
                fieldsLeft -= 1
                guard fieldsLeft >= 0, write(field, depth: reader.depth) else { return false }
            }
        } catch {
            tell(error, at: reader.offset, rest: reader.rest, depth)
        }
        return true
    }

    /// Fields without a type in a message that has one.
    mutating func write(unknown fields: [ProtobufField], depth: Int) {
        var depth = depth
        for field in fields {
            if field.value == .groupStart { depth += 1 }
            if field.value == .groupEnd { depth -= 1 }
            guard write(field, depth: depth) else { return }
        }
    }

    /// Where bytes end to be a message.
    mutating func tell(
        _ error: ProtobufError, at offset: Int, rest: ByteBuffer, _ depth: Int, maximum: Int = ProtobufReader.maximumDepth
    ) {
        let reason =
            switch error {
            case .truncated: "truncated in a field"
            case .invalid: "no field of protobuf"
            case .tooDeep: "nested deeper than \(maximum) times"
            }
        remark("byte \(offset): \(reason)", depth)
        lines.dump(rest, depth: indentation + depth)
    }

    /// - Parameter depth: of the next field.
    private mutating func write(_ field: ProtobufField, depth: Int) -> Bool {
        switch field.value {
        case .varint(let value):
            line(field, depth) { $0.writeString("varint \(value)\(Self.signed(value))") }
        case .fixed32(let bits):
            line(field, depth) {
                $0.writeString("fixed32 0x\(hexadecimal(UInt64(bits), digits: 8)), float \(Float(bitPattern: bits))")
            }
        case .fixed64(let bits):
            line(field, depth) { $0.writeString("fixed64 0x\(hexadecimal(bits, digits: 16)), double \(Double(bitPattern: bits))") }
        case .lengthDelimited(let bytes):
            return write(field, bytes, depth)
        case .groupStart:
            line(field, depth - 1) { $0.writeString("group") }
        case .groupEnd:
            break
        }
        return true
    }

    /// The best reading of a length-delimited field; with all detail, the others below it.
    private mutating func write(_ field: ProtobufField, _ bytes: ByteBuffer, _ depth: Int) -> Bool {
        let readings = ProtobufGuess.readings(of: bytes, depth: depth + 1)
        let mark = readings.count > 1 ? " ?" : ""
        guard
            write(
                readings[0], of: bytes, depth,
                { text, depth, reading in
                    text.line(field, depth) { out in
                        out.writeString("len \(bytes.readableBytes)")
                        if let reading {
                            out.writeStaticString(" ")
                            reading(&out)
                        }
                        out.writeString(mark)
                    }
                })
        else { return false }
        guard lines.isComplete else { return true }
        for other in readings.dropFirst() {
            let isWhole = write(other, of: bytes, depth + 1) { text, depth, reading in
                text.lines.line(text.indentation + depth) { out in
                    out.writeStaticString("or ")
                    if let reading { reading(&out) } else { out.writeStaticString("bytes") }
                }
            }
            guard isWhole else { return false }
        }
        return true
    }

    /// - Parameter line: writes the line of the field, with what the reading writes into it.
    private mutating func write(
        _ reading: ProtobufGuess, of bytes: ByteBuffer, _ depth: Int,
        _ line: (inout ProtobufText, _ depth: Int, _ reading: ((inout ByteBuffer) -> Void)?) -> Void
    ) -> Bool {
        switch reading {
        case .message:
            line(&self, depth) { $0.writeStaticString("message") }
            return fields(bytes, depth: depth + 1)
        case .text:
            line(&self, depth) { out in
                out.writeString("\"")
                out.writeVisible(bytes)
                out.writeString("\"")
            }
        case .packed(let numbers):
            line(&self, depth) { $0.writeString("packed \(numbers.texts.joined(separator: ", "))") }
        case .bytes where bytes.readableBytes <= Self.maximumInline:
            line(&self, depth) { out in
                for byte in bytes.readableBytesView { out.writeString(hexadecimal(UInt64(byte), digits: 2)) }
            }
        case .bytes:
            line(&self, depth, nil)
            lines.dump(bytes, depth: indentation + depth + 1)
        }
        return true
    }

    private mutating func line(_ field: ProtobufField, _ depth: Int, _ write: (inout ByteBuffer) -> Void) {
        lines.line(indentation + depth) { out in
            out.writeString("\(field.number): ")
            write(&out)
        }
    }

    private mutating func remark(_ text: String, _ depth: Int) { lines.remark(text, indentation + depth) }

    private mutating func tellCut() { remark("cut: only \(ProtobufReader.maximumFields) fields are shown", 0) }

    private static func signed(_ value: UInt64) -> String {
        let signed = ProtobufSigned(value)
        return (signed.complement.map { ", signed \($0)" } ?? "") + (signed.zigzag.map { ", zigzag \($0)" } ?? "")
    }
}
