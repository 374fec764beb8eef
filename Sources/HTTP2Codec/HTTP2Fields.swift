// An outgoing field section, in the order in which it is sent (RFC 9113 §8.2). Unchanged parts are ranges in the received bytes; only new or
// changed parts are stored.

import HTTPSemantics
import NIOCore

/// Fields to send. Names are sent in lower case.
package struct HTTP2Fields: Sendable {
    struct Line {
        var name: ByteRange
        var value: ByteRange
        /// The name, the value are in ``HTTP2Fields/own``, not in ``HTTP2Fields/base``.
        var isOwnName: Bool
        var isOwnValue: Bool
        var isNeverIndexed: Bool
    }

    /// The received bytes.
    let base: ByteBuffer
    /// New bytes.
    private(set) var own = ByteBuffer()
    private(set) var lines: [Line] = []

    /// - Parameter base: the bytes that ranges refer to.
    package init(over base: ByteBuffer = ByteBuffer()) {
        self.base = base
        lines.reserveCapacity(16)
    }

    package var isEmpty: Bool { lines.isEmpty }

    /// A field whose name and value are in the base. The name is in lower case there.
    package mutating func append(_ name: ByteRange, _ value: ByteRange, isNeverIndexed: Bool = false) {
        lines.append(Line(name: name, value: value, isOwnName: false, isOwnValue: false, isNeverIndexed: isNeverIndexed))
    }

    /// A field whose value is in the base.
    package mutating func append(_ name: StaticString, _ value: ByteRange) {
        lines.append(Line(name: write(name), value: value, isOwnName: true, isOwnValue: false, isNeverIndexed: false))
    }

    package mutating func append(_ name: StaticString, _ value: ByteBuffer) {
        lines.append(Line(name: write(name), value: write(value), isOwnName: true, isOwnValue: true, isNeverIndexed: false))
    }

    package mutating func append(_ name: StaticString, _ value: String) {
        append(name, ByteBuffer(string: value))
    }

    /// - Parameter name: upper-case letters become lower-case ones, as HTTP/2 requires.
    package mutating func append(_ name: ByteBuffer, _ value: ByteBuffer, isNeverIndexed: Bool = false) {
        let start = own.readableBytes
        for byte in name.readableBytesView { own.writeInteger(byte &- 0x41 < 26 ? byte | 0x20 : byte) }
        let named = ByteRange(start, own.readableBytes)
        lines.append(Line(name: named, value: write(value), isOwnName: true, isOwnValue: true, isNeverIndexed: isNeverIndexed))
    }

    private mutating func write(_ text: StaticString) -> ByteRange {
        let start = own.readableBytes
        own.writeStaticString(text)
        return ByteRange(start, own.readableBytes)
    }

    private mutating func write(_ bytes: ByteBuffer) -> ByteRange {
        let start = own.readableBytes
        own.writeImmutableBuffer(bytes)
        return ByteRange(start, own.readableBytes)
    }
}
