// Lines of a view: all are counted, the first of them are written.

import HTTPSemantics
import NIOCore
import Protobuf

/// How much of content is shown.
struct ContentLimits {
    var lines: Int
    /// Of each line.
    var characters = Int.max
    /// Bytes of all lines, whatever the level of detail: content of 64 MiB can be laid out in many gigabytes.
    var size = 256 * 1024 * 1024
}

struct CountedLines {
    /// Lines that are counted after the last one that is written.
    private static let maximumCounted = 1_000_000

    private(set) var text: ByteBuffer
    private(set) var count = 0
    let palette: Palette
    /// Levels that every line is indented by, beyond its own.
    private var indentation = 0
    private let limits: ContentLimits
    private var maximum: Int
    private let begin: Int
    /// Where the open line begins, after its indentation; nil if it is not written.
    private var openLine: Int?
    /// Where its indentation begins.
    private var lineStart = 0

    /// - Parameter text: the lines are appended to it.
    private init(_ text: ByteBuffer, _ limits: ContentLimits, _ palette: Palette) {
        self.text = text
        self.limits = limits
        self.palette = palette
        maximum = limits.lines
        begin = text.writerIndex
    }

    /// Appends the lines that `write` writes to a text, and how many were left out.
    static func append(
        to text: inout ByteBuffer, _ limits: ContentLimits, _ palette: Palette, _ write: (inout CountedLines) -> Void
    ) {
        var lines = CountedLines(text, limits, palette)
        // One owner at a time, so that nothing is copied.
        text = ByteBuffer()
        write(&lines)
        lines.finish()
        text = lines.text
    }

    // MARK: Lines

    /// No line is written any more, and enough were counted: a view leaves the rest out.
    var isFull: Bool { count - Self.maximumCounted > maximum }

    /// Appends a line.
    /// - Parameters:
    ///   - depth: two spaces each.
    ///   - write: writes the line without its end; not called after the last line that is written.
    mutating func line(_ depth: Int, _ write: (inout ByteBuffer) -> Void) {
        beginLine(depth)
        add(write)
        endLine()
    }

    /// Begins a line, of which the parts are added.
    mutating func beginLine(_ depth: Int) {
        count += 1
        guard count <= maximum else { return }
        lineStart = text.writerIndex
        text.writeRepeatingByte(0x20, count: 4 + 2 * (indentation + depth))
        openLine = text.writerIndex
    }

    /// Appends to the line that was begun.
    /// - Parameter write: not called after the last line that is written.
    @inline(__always) mutating func add(_ write: (inout ByteBuffer) -> Void) {
        if openLine != nil { write(&text) }
    }

    mutating func endLine() {
        guard let start = openLine else { return }
        openLine = nil
        // An empty line has no indentation.
        if text.writerIndex == start { text.moveWriterIndex(to: lineStart) }
        if text.writerIndex - start > limits.characters { cut(from: start) }
        text.writeInteger(UInt8(0x0A))
        if text.writerIndex - begin > limits.size { maximum = min(maximum, count) }
    }

    /// Indents what `write` writes.
    mutating func indented(by levels: Int = 1, _ write: (inout CountedLines) -> Void) {
        indentation += levels
        write(&self)
        indentation -= levels
    }

    /// Tells how many lines were left out.
    private mutating func finish() {
        guard count > maximum else { return }
        let rest = isFull ? "more than \(Self.maximumCounted)" : "\(count - maximum)"
        let isCutBySize = maximum < limits.lines
        let hint = isCutBySize ? "; at most \(readableSize(UInt64(limits.size))) are shown" : ", --detail 4 shows them"
        text.writeString("    (cut: \(rest) more lines\(hint))\n")
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

    // MARK: Kinds of lines

    /// Appends a line of ours about the content, in parentheses.
    mutating func remark(_ remark: String, _ depth: Int = 0) {
        let palette = palette
        line(depth) { out in palette.write(.warning, into: &out) { $0.writeVisible("(\(remark))") } }
    }

    /// Appends text of several lines.
    mutating func write(_ text: ByteBuffer) {
        for part in text.lines {
            if isFull { return }
            line(0) { $0.writeVisible(part, keepsLines: true) }
        }
    }

    /// Appends a hexadecimal dump.
    mutating func dump(_ content: ByteBuffer, depth: Int) {
        let dump = HexDump(content)
        let first = count
        // Counted, and not written, where no line is shown any more.
        for row in 0..<dump.rowCount {
            guard count < maximum else { break }
            line(depth) { $0.writeString(dump.row(row)) }
        }
        count = first + dump.rowCount
    }

    /// Whether nothing is left out, so that less likely readings have room.
    var isComplete: Bool { limits.characters == .max }

    /// Appends the fields of protobuf messages.
    mutating func writeProtobuf(_ types: ProtobufTypes, _ write: (inout ProtobufText) -> Void) {
        var text = ProtobufText(self, types)
        // One owner at a time, so that nothing is copied.
        self.text = ByteBuffer()
        write(&text)
        self = text.lines
    }
}
