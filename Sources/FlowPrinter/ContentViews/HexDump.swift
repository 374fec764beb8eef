// Bytes as rows of sixteen: offset, hexadecimal, printable characters.

import NIOCore

struct HexDump {
    private let content: ByteBuffer

    init(_ content: ByteBuffer) { self.content = content }

    var rowCount: Int { (content.readableBytes + 15) / 16 }

    func row(_ row: Int) -> String {
        let span = content.readableBytesUInt8Span
        var hex = ""
        var text = ""
        for i in row * 16..<min(row * 16 + 16, span.count) {
            hex += hexadecimal(UInt64(span[i]), digits: 2) + (i % 16 == 7 ? "  " : " ")
            text += span[i] >= 0x20 && span[i] < 0x7F ? String(UnicodeScalar(span[i])) : "."
        }
        hex += String(repeating: " ", count: max(0, 49 - hex.utf8.count))
        return "\(hexadecimal(UInt64(row * 16), digits: 8))  \(hex) \(text)"
    }
}
