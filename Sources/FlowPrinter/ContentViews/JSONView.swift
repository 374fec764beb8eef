// JSON with a line for each element.

import HTTPSemantics
import NIOCore

/// JSON by its media type or by its first byte. JSON that is not valid is shown as it is.
struct JSONView: ContentView {
    private let content: ByteBuffer

    init?(_ content: ViewedContent) {
        guard content.media.hasSuffix("json") || Self.beginsLikeJSON(content.bytes) else { return nil }
        self.content = content.bytes
    }

    func write(into lines: inout CountedLines) { lines.write(jsonLaidOut(content) ?? content) }

    private static func beginsLikeJSON(_ bytes: ByteBuffer) -> Bool {
        let first = bytes.readableBytesView.first { !$0.isWhitespaceOrLineEnd }
        return first == 0x7B || first == 0x5B
    }
}

/// JSON with a line for each element, two spaces for each level. Numbers, strings and the order of keys stay as they are.
/// - Returns: nil when brackets or strings do not close.
func jsonLaidOut(_ json: ByteBuffer) -> ByteBuffer? {
    var out = ByteBuffer()
    out.reserveCapacity(json.readableBytes * 2)
    let span = json.readableBytesUInt8Span
    var depth = 0
    var i = 0
    func newLine(_ out: inout ByteBuffer) {
        out.writeInteger(UInt8(0x0A))
        out.writeRepeatingByte(0x20, count: min(depth, 200) * 2)
    }
    while i < span.count {
        let byte = span[i]
        switch byte {
        case 0x22:
            let start = i
            i += 1
            while i < span.count, span[i] != 0x22 { i += span[i] == 0x5C ? 2 : 1 }
            guard i < span.count else { return nil }
            out.writeImmutableBuffer(json.slice(ByteRange(start, i + 1)))
        case 0x7B, 0x5B:
            out.writeInteger(byte)
            var next = i + 1
            while next < span.count, span[next].isWhitespaceOrLineEnd { next += 1 }
            if next < span.count, span[next] == byte + 2 {
                out.writeInteger(byte + 2)
                i = next
            } else {
                depth += 1
                newLine(&out)
            }
        case 0x7D, 0x5D:
            depth -= 1
            guard depth >= 0 else { return nil }
            newLine(&out)
            out.writeInteger(byte)
        case 0x2C:
            out.writeInteger(byte)
            newLine(&out)
        case 0x3A:
            out.writeStaticString(": ")
        default:
            if !byte.isWhitespaceOrLineEnd { out.writeInteger(byte) }
        }
        i += 1
    }
    return depth == 0 ? out : nil
}
