// Messages of protobuf and gRPC as lines: `number: wire type value`, the fields of a nested message are indented below it.

import HTTPSemantics
import NIOCore

struct ProtobufText {
    /// Bytes up to this are one line of digits; more are dumped in rows.
    private static let maximumInline = 32

    private(set) var lines: CountedLines
    private var fieldsLeft = ProtobufReader.maximumFields
    private var indentation = 0

    init(_ lines: CountedLines) { self.lines = lines }

    /// One message that stands alone.
    mutating func write(message: ByteBuffer) {
        if !fields(message, depth: 0) { tellCut() }
    }

    /// A body of gRPC.
    mutating func write(messagesOf reader: GRPCMessageReader, media: ProtobufMedia) {
        var reader = reader
        var number = 0
        do throws(GRPCFramingError) {
            while let message = try reader.next() {
                number += 1
                fieldsLeft -= 1
                guard fieldsLeft >= 0, write(message, number: number, media: media) else { return tellCut() }
            }
        } catch {
            let reason =
                switch error {
                case .truncatedPrefix: "truncated in the prefix of a message"
                case .unknownFlags(let flags): "no message begins with 0x\(hexadecimal(UInt64(flags), digits: 2))"
                }
            remark(reason, 0)
            lines.dump(reader.rest, depth: 0)
        }
    }

    /// - Returns: false when there are too many fields.
    private mutating func write(_ message: GRPCMessage, number: Int, media: ProtobufMedia) -> Bool {
        lines.line(0) { out in
            out.writeString(message.isTrailers ? "trailers" : "message \(number)")
            out.writeString(", \(readableSize(UInt64(message.size)))")
            guard message.isCompressed else { return }
            out.writeString(" compressed")
            guard message.decoded.isDecoded else { return }
            out.writeString(", \(readableSize(UInt64(message.decoded.content.readableBytes))) decoded")
        }
        indentation = 1
        defer { indentation = 0 }
        var isWhole = true
        let content = message.decoded.content
        if !message.decoded.isDecoded {
            lines.dump(content, depth: indentation)
        } else if message.isTrailers || media == .grpcJSON {
            let type: StaticString = message.isTrailers ? "text/plain" : "application/json"
            lines.indented(by: indentation) {
                ViewedContent(content, type: ByteBuffer(staticString: type)).write(into: &$0)
            }
        } else {
            isWhole = fields(content, depth: 0)
        }
        if let remark = message.remark { self.remark(remark, 0) }
        return isWhole
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
            let reason =
                switch error {
                case .truncated: "truncated in a field"
                case .invalid: "no field of protobuf"
                case .tooDeep: "nested deeper than \(ProtobufReader.maximumDepth) times"
                }
            remark("byte \(reader.offset): \(reason)", depth)
            lines.dump(reader.rest, depth: indentation + depth)
        }
        return true
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

    private mutating func write(_ field: ProtobufField, _ bytes: ByteBuffer, _ depth: Int) -> Bool {
        let size = bytes.readableBytes
        switch ProtobufGuess(bytes, depth: depth + 1) {
        case .message:
            line(field, depth) { $0.writeString("len \(size) message") }
            return fields(bytes, depth: depth + 1)
        case .text:
            line(field, depth) { out in
                out.writeString("len \(size) \"")
                out.writeVisible(bytes)
                out.writeString("\"")
            }
        case .bytes where size <= Self.maximumInline:
            line(field, depth) { out in
                out.writeString("len \(size) ")
                for byte in bytes.readableBytesView { out.writeString(hexadecimal(UInt64(byte), digits: 2)) }
            }
        case .bytes:
            line(field, depth) { $0.writeString("len \(size)") }
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

    private mutating func remark(_ text: String, _ depth: Int) {
        lines.line(indentation + depth) { $0.writeVisible("(\(text))") }
    }

    private mutating func tellCut() { remark("cut: only \(ProtobufReader.maximumFields) fields are shown", 0) }

    private static func signed(_ value: UInt64) -> String {
        let signed = ProtobufSigned(value)
        return (signed.complement.map { ", signed \($0)" } ?? "") + (signed.zigzag.map { ", zigzag \($0)" } ?? "")
    }
}
