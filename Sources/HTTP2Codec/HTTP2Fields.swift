// A field section on its way out: names and values in one run of bytes, in the order in which they are to be sent (RFC 9113 §8.2).

import HTTPSemantics
import NIOCore

/// Fields to send. Names are sent in lower case.
package struct HTTP2Fields: Sendable {
    struct Line {
        var name: ByteRange
        var value: ByteRange
        var isNeverIndexed: Bool
    }

    private(set) var bytes = ByteBuffer()
    private(set) var lines: [Line] = []

    package init() { lines.reserveCapacity(16) }

    package var isEmpty: Bool { lines.isEmpty }

    package mutating func append(_ name: StaticString, _ value: ByteBuffer, isNeverIndexed: Bool = false) {
        let start = bytes.writerIndex
        bytes.writeStaticString(name)
        appendValue(start, value, isNeverIndexed)
    }

    package mutating func append(_ name: StaticString, _ value: String) {
        append(name, ByteBuffer(string: value))
    }

    /// - Parameter name: upper-case letters become lower-case ones, which HTTP/2 demands.
    package mutating func append(_ name: ByteBuffer, _ value: ByteBuffer, isNeverIndexed: Bool = false) {
        let start = bytes.writerIndex
        for byte in name.readableBytesView { bytes.writeInteger(byte &- 0x41 < 26 ? byte | 0x20 : byte) }
        appendValue(start, value, isNeverIndexed)
    }

    /// All lines of a section, as they are.
    package mutating func append(contentsOf section: FieldSection, where keep: (FieldSection.Line) -> Bool = { _ in true }) {
        for (index, line) in section.lines.enumerated() where keep(line) {
            append(
                section.slice(line.name), section.slice(line.value), isNeverIndexed: section.neverIndexed.contains(index))
        }
    }

    private mutating func appendValue(_ start: Int, _ value: ByteBuffer, _ isNeverIndexed: Bool) {
        let middle = bytes.writerIndex
        bytes.writeImmutableBuffer(value)
        lines.append(
            Line(
                name: ByteRange(start, middle), value: ByteRange(middle, bytes.writerIndex), isNeverIndexed: isNeverIndexed))
    }
}
