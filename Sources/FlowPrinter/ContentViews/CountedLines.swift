// Lines of a view: all are counted, the first of them are written.

import HTTPSemantics
import NIOCore

struct CountedLines {
    private(set) var text: ByteBuffer
    private(set) var count = 0
    private let maximum: Int

    /// - Parameter text: the lines are appended to it.
    init(_ text: ByteBuffer, maximum: Int) {
        self.text = text
        self.maximum = maximum
    }

    /// Appends a line.
    /// - Parameters:
    ///   - depth: two spaces each.
    ///   - write: writes the line without its end; not called after the last line that is written.
    mutating func line(_ depth: Int, _ write: (inout ByteBuffer) -> Void) {
        count += 1
        guard count <= maximum else { return }
        text.writeRepeatingByte(0x20, count: 4 + 2 * depth)
        write(&text)
        text.writeInteger(UInt8(0x0A))
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
