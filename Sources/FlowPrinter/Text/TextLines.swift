// The lines of a text, one after the other: an array of them may be many times larger than the text.

import HTTPSemantics
import NIOCore

extension ByteBuffer {
    /// The lines of the bytes, without their ends (LF or CRLF).
    var lines: TextLines { TextLines(self) }
}

/// Lines that share storage with their text.
struct TextLines: Sequence, IteratorProtocol {
    private let text: ByteBuffer
    private var place = 0

    init(_ text: ByteBuffer) { self.text = text }

    mutating func next() -> ByteBuffer? {
        let text = text
        let span = text.readableBytesUInt8Span
        guard place < span.count else { return nil }
        let start = place
        while place < span.count, span[place] != 0x0A { place += 1 }
        let end = place > start && span[place - 1] == 0x0D ? place - 1 : place
        place += 1
        return text.slice(ByteRange(start, end))
    }
}
