// Forms as pairs.

import HTTPSemantics
import NIOCore

/// `application/x-www-form-urlencoded`: a line for each pair.
struct FormView: ContentView {
    private let content: ByteBuffer

    init?(_ content: ViewedContent) {
        guard content.media == "application/x-www-form-urlencoded" else { return nil }
        self.content = content.bytes
    }

    func write(into lines: inout CountedLines) {
        for pair in String(buffer: content).split(separator: "&") {
            lines.line(0) { out in
                let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                out.writeVisible(Self.unescape(parts[0]))
                out.writeString(": ")
                out.writeVisible(parts.count > 1 ? Self.unescape(parts[1]) : ByteBuffer())
            }
        }
    }

    /// Undoes the percent and plus signs of a form (WHATWG URL §5.1).
    private static func unescape(_ text: Substring) -> ByteBuffer {
        var out = ByteBuffer()
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            if byte == 0x25, bytes.count >= 2, let value = UInt8(String(decoding: bytes.prefix(2), as: UTF8.self), radix: 16) {
                bytes = bytes.dropFirst(2)
                out.writeInteger(value)
            } else {
                out.writeInteger(byte == 0x2B ? 0x20 : byte)
            }
        }
        return out
    }
}
