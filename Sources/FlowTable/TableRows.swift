// Flows as rows of text for other programs: tab-separated fields, or comma-separated values.

import FlowModel
import HTTPSemantics
import NIOCore

/// How the values of a row are separated.
package enum RowFormat: Sendable, Equatable {
    /// Tabs between values, LF after a row, no head. A backslash, a tab, a line end and every other control character in a value is an
    /// escape, so a row is one line and a value holds no tab: `\\ \t \n \r`, and `\xHH` for each byte of the others.
    case fields
    /// RFC 4180: commas, CRLF, a head; a value with a comma, a quotation mark or a line end is in quotation marks.
    case csv
}

/// Writes rows.
package struct TableRows: Sendable {
    /// The columns of csv unless others are requested: what identifies a flow and what is most often asked of one.
    package static let defaultKeys: [FlowKey] = [
        .id, .kind, .state, .started, .duration, .client, .host, .port, .method, .url, .httpVersion, .status, .requestBytes,
        .responseBytes, .responseType, .error,
    ].map { .column($0) }

    package let keys: [FlowKey]
    private let format: RowFormat
    /// Values are written to a terminal, which must not be controlled by them.
    private let isForTerminal: Bool

    package init(_ keys: [FlowKey], as format: RowFormat, isForTerminal: Bool = false) {
        self.keys = keys
        self.format = format
        self.isForTerminal = isForTerminal
    }

    /// Appends the head, if the format has one.
    package func writeHead(into out: inout ByteBuffer) {
        if format == .csv { write(keys.map { ByteBuffer(string: $0.name) }, into: &out) }
    }

    /// Appends the row of a flow.
    /// - Throws: what fetching content throws; nothing is appended then.
    package func write(_ flow: some FlowAttributes, into out: inout ByteBuffer) throws {
        write(try keys.map { try $0.value(of: flow).bytes }, into: &out)
    }

    /// Appends a row of values.
    package func write(_ values: [ByteBuffer], into out: inout ByteBuffer) {
        for (index, value) in values.enumerated() {
            if index > 0 { out.writeInteger(format == .csv ? UInt8(ascii: ",") : 0x09) }
            switch format {
            case .fields: Self.writeEscaped(value, into: &out)
            case .csv where isForTerminal:
                var visible = ByteBuffer()
                Self.writeEscaped(value, into: &visible)
                Self.writeQuoted(visible, into: &out)
            case .csv: Self.writeQuoted(value, into: &out)
            }
        }
        if format == .csv { out.writeStaticString("\r\n") } else { out.writeInteger(UInt8(0x0A)) }
    }

    private static func writeQuoted(_ value: ByteBuffer, into out: inout ByteBuffer) {
        let bytes = value.readableBytesUInt8Span
        var isPlain = true
        for index in 0..<bytes.count where isPlain {
            switch bytes[index] {
            case UInt8(ascii: ","), UInt8(ascii: "\""), 0x0A, 0x0D: isPlain = false
            default: break
            }
        }
        if isPlain {
            out.writeImmutableBuffer(value)
            return
        }
        out.writeInteger(UInt8(ascii: "\""))
        for index in 0..<bytes.count {
            if bytes[index] == UInt8(ascii: "\"") { out.writeInteger(UInt8(ascii: "\"")) }
            out.writeInteger(bytes[index])
        }
        out.writeInteger(UInt8(ascii: "\""))
    }

    private static func writeEscaped(_ value: ByteBuffer, into out: inout ByteBuffer) {
        let bytes = value.readableBytesUInt8Span
        var start = 0
        for index in 0..<bytes.count {
            let byte = bytes[index]
            // U+0080 to U+009F are control characters too; in UTF-8 they are C2 80 to C2 9F.
            let isC1 = byte == 0xC2 && index + 1 < bytes.count && bytes[index + 1] &- 0x80 < 0x20
            let isAfterC2 = index > 0 && bytes[index - 1] == 0xC2 && byte &- 0x80 < 0x20
            guard byte < 0x20 || byte == 0x7F || byte == UInt8(ascii: "\\") || isC1 || isAfterC2 else { continue }
            out.writeImmutableBuffer(value.slice(ByteRange(start, index)))
            start = index + 1
            switch byte {
            case UInt8(ascii: "\\"): out.writeStaticString("\\\\")
            case 0x09: out.writeStaticString("\\t")
            case 0x0A: out.writeStaticString("\\n")
            case 0x0D: out.writeStaticString("\\r")
            default:
                out.writeStaticString("\\x")
                for digit in [byte >> 4, byte & 15] { out.writeInteger(digit < 10 ? 0x30 + digit : 0x37 + digit) }
            }
        }
        out.writeImmutableBuffer(value.slice(ByteRange(start, bytes.count)))
    }
}
