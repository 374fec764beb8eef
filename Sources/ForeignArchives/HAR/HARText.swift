// Strings of a HAR file as bytes.

import ContentCoding
import Foundation
import HTTPSemantics
import JSONQuery
import NIOCore

extension JSONString {
    /// The original bytes of a string. A single half of a surrogate pair from U+DC80 to U+DCFF is one byte that was not UTF-8
    /// (surrogateescape of PEP 383, which mitmproxy uses). Everything else is UTF-8.
    var unescapedBytes: ByteBuffer {
        let span = bytes.readableBytesUInt8Span
        var out = ByteBuffer()
        var start = 0
        var i = 0
        while i + 2 < span.count {
            guard span[i] == 0xED, span[i + 1] & 0xFE == 0xB2, span[i + 2] & 0xC0 == 0x80 else {
                i += 1
                continue
            }
            out.writeImmutableBuffer(bytes.slice(ByteRange(start, i)))
            out.writeInteger((span[i + 1] == 0xB2 ? 0x80 : 0xC0) | span[i + 2] & 0x3F)
            i += 3
            start = i
        }
        guard start > 0 else { return bytes }
        out.writeImmutableBuffer(bytes.slice(ByteRange(start, span.count)))
        return out
    }
}

extension JSONTree {
    /// The text of a member; nil if it is not a string.
    func text(_ name: JSONString) -> String? { self[name]?.string?.text }

    /// The bytes of a member that is a string.
    /// - Parameter exact: the name of a second member with the bytes in base64, if they are not text.
    func bytes(_ name: JSONString, exact: JSONString) -> ByteBuffer? {
        self[exact]?.string.flatMap { decodeBase64($0.bytes) } ?? self[name]?.string?.unescapedBytes
    }

    /// The values of a field. Browsers join several lines by line ends; some programs write lists and numbers.
    var fieldValues: [ByteBuffer] {
        switch self {
        case .string(let text): text.unescapedBytes.fieldLines
        case .array(let elements): elements.flatMap(\.fieldValues)
        case .null: [ByteBuffer()]
        case .number, .bool, .object: [ByteBuffer(string: text)]
        }
    }
}

extension ByteBuffer {
    /// The parts between line ends, except line ends that fold a value (RFC 9112 section 5.2). Empty parts are left out if there
    /// are others.
    fileprivate var fieldLines: [ByteBuffer] {
        let bytes = readableBytesUInt8Span
        var lines: [ByteBuffer] = []
        var start = 0
        for i in 0..<bytes.count where bytes[i] == 0x0A {
            if i + 1 < bytes.count, bytes[i + 1] == 0x20 || bytes[i + 1] == 0x09 { continue }
            lines.append(slice(ByteRange(start, i > start && bytes[i - 1] == 0x0D ? i - 1 : i)))
            start = i + 1
        }
        lines.append(slice(ByteRange(start, bytes.count)))
        let filled = lines.filter { $0.readableBytes > 0 }
        return filled.isEmpty ? [lines[0]] : filled
    }
}

/// Decodes Base64 as other programs write it: with line ends, without padding, in the alphabet for URLs.
/// - Returns: nil if the text is not valid Base64.
func decodeBase64(_ text: ByteBuffer) -> ByteBuffer? { Base64.decode(text, .any, ignoresWhitespace: true) }

/// The value of a parameter of a media type (RFC 9110 section 8.3.1), without quotation marks.
func mediaTypeParameter(_ name: String, of type: ByteBuffer) -> String? {
    for parameter in String(buffer: type).split(separator: ";").dropFirst() {
        let parts = parameter.split(separator: "=", maxSplits: 1)
        guard parts.count == 2, parts[0].trimmingCharacters(in: .whitespaces).lowercased() == name else { continue }
        let value = parts[1].trimmingCharacters(in: .whitespaces)
        return value.hasPrefix("\"") && value.hasSuffix("\"") && value.count > 1 ? String(value.dropFirst().dropLast()) : value
    }
    return nil
}
