// Lines of a view: all are counted, the first of them are written.

import HTTPSemantics
import NIOCore

/// How much of content is shown.
struct ContentLimits {
    var lines: Int
    /// Of each line.
    var characters = Int.max
}

struct CountedLines {
    private(set) var text: ByteBuffer
    private(set) var count = 0
    private let limits: ContentLimits
    private var maximum: Int { limits.lines }

    /// - Parameter text: the lines are appended to it.
    init(_ text: ByteBuffer, _ limits: ContentLimits) {
        self.text = text
        self.limits = limits
    }

    /// Appends a line.
    /// - Parameters:
    ///   - depth: two spaces each.
    ///   - write: writes the line without its end; not called after the last line that is written.
    mutating func line(_ depth: Int, _ write: (inout ByteBuffer) -> Void) {
        count += 1
        guard count <= maximum else { return }
        text.writeRepeatingByte(0x20, count: 4 + 2 * depth)
        let start = text.writerIndex
        write(&text)
        if text.writerIndex - start > limits.characters { cut(from: start) }
        text.writeInteger(UInt8(0x0A))
    }

    /// Shortens the line that begins at a writer index. Sequences that select colours do not count.
    private mutating func cut(from start: Int) {
        guard let line = text.getSlice(at: start, length: text.writerIndex - start) else { return }
        let span = line.readableBytesUInt8Span
        var characters = 0
        var end: Int?
        var isColoured = false
        var isInSequence = false
        for i in 0..<span.count {
            if isInSequence {
                isInSequence = span[i] != UInt8(ascii: "m")
            } else if span[i] == 0x1B {
                (isColoured, isInSequence) = (true, true)
            } else if span[i] & 0xC0 != 0x80 {
                if characters == limits.characters { end = i }
                characters += 1
            }
        }
        guard let end else { return }
        text.moveWriterIndex(to: start + end)
        if isColoured { text.writeStaticString("\u{1b}[0m") }
        text.writeString("… (cut: \(characters - limits.characters) more characters, --detail 4 shows them)")
    }

    /// Appends text of several lines that can be printed as it is.
    mutating func writePrintable(_ text: ByteBuffer, depth: Int = 0) {
        for part in text.lines { line(depth) { $0.writeImmutableBuffer(part) } }
    }

    /// Appends text of several lines.
    mutating func write(_ text: ByteBuffer) {
        for part in text.lines { line(0) { $0.writeVisible(part, keepsLines: true) } }
    }

    /// Appends a hexadecimal dump.
    mutating func dump(_ content: ByteBuffer, depth: Int) {
        let dump = HexDump(content)
        let rows = min(dump.rowCount, max(0, maximum - count))
        for row in 0..<rows { line(depth) { $0.writeString(dump.row(row)) } }
        count += dump.rowCount - rows
    }

    /// Appends the fields of protobuf messages.
    mutating func writeProtobuf(_ write: (inout ProtobufText) -> Void) {
        var text = ProtobufText(self)
        // One owner at a time, so that nothing is copied.
        self.text = ByteBuffer()
        write(&text)
        self = text.lines
    }
}
