// Lines of a view: all are counted, the first of them are written.

import NIOCore

struct CountedLines {
    private(set) var text: ByteBuffer
    private(set) var count = 0
    private let maximum: Int

    /// - Parameter text: what the lines are appended to.
    init(_ text: ByteBuffer, maximum: Int) {
        self.text = text
        self.maximum = maximum
    }

    /// Appends a line.
    /// - Parameters:
    ///   - depth: two spaces each.
    ///   - write: writes the line without its end; not called when the line is one too many.
    mutating func line(_ depth: Int, _ write: (inout ByteBuffer) -> Void) {
        count += 1
        guard count <= maximum else { return }
        text.writeRepeatingByte(0x20, count: 4 + 2 * depth)
        write(&text)
        text.writeInteger(UInt8(0x0A))
    }

    mutating func dump(_ content: ByteBuffer, depth: Int) {
        let dump = HexDump(content)
        let rows = min(dump.rowCount, max(0, maximum - count))
        for row in 0..<rows { line(depth) { $0.writeString(dump.row(row)) } }
        count += dump.rowCount - rows
    }
}
