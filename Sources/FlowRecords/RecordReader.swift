// Numbers and texts of records, read from front to back. Bounds are checked in one place, and an invalid number is an error.

import NIOCore

/// A record's bytes are not what they must be.
@usableFromInline package struct MalformedRecord: Error {
    @inlinable package init() {}
}

/// Takes a record's bytes apart.
@usableFromInline package struct RecordReader: Sendable {
    @usableFromInline package var bytes: ByteBuffer

    @inlinable package init(_ bytes: ByteBuffer) { self.bytes = bytes }

    @inlinable package var isAtEnd: Bool { bytes.readableBytes == 0 }

    /// LEB128, at most ten bytes and 64 bits.
    @inlinable package mutating func varint() throws(MalformedRecord) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard let byte: UInt8 = bytes.readInteger(), shift < 63 || (shift == 63 && byte <= 1) else { throw MalformedRecord() }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }

    @inlinable package mutating func zigzag() throws(MalformedRecord) -> Int64 {
        let value = try varint()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    @inlinable package mutating func number<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(MalformedRecord) -> T {
        guard let number = bytes.readInteger(endianness: .little, as: type) else { throw MalformedRecord() }
        return number
    }

    @inlinable package mutating func byte() throws(MalformedRecord) -> UInt8 { try number() }

    @inlinable package mutating func slice(_ count: UInt64) throws(MalformedRecord) -> ByteBuffer {
        guard count <= UInt64(bytes.readableBytes), let slice = bytes.readSlice(length: Int(count)) else { throw MalformedRecord() }
        return slice
    }

    @inlinable package mutating func skip(_ count: UInt64) throws(MalformedRecord) {
        guard count <= UInt64(bytes.readableBytes) else { throw MalformedRecord() }
        bytes.moveReaderIndex(forwardBy: Int(count))
    }

    /// A length and as many bytes.
    @inlinable package mutating func sized() throws(MalformedRecord) -> ByteBuffer { try slice(try varint()) }

    package mutating func text() throws(MalformedRecord) -> String { String(buffer: try sized()) }

    /// 0 is nil, otherwise the length plus one.
    package mutating func optionalText() throws(MalformedRecord) -> String? {
        let count = try varint()
        return count == 0 ? nil : String(buffer: try slice(count - 1))
    }

    /// A count of things that take a byte each at the least, so that a lie does not make a loop long.
    package mutating func count() throws(MalformedRecord) -> Int {
        let count = try varint()
        guard count <= UInt64(bytes.readableBytes) else { throw MalformedRecord() }
        return Int(count)
    }
}

extension ByteBuffer {
    /// A slice by offset from the reader index; empty when it is not inside.
    package func slice(_ offset: Int, _ length: Int) -> ByteBuffer {
        getSlice(at: readerIndex + offset, length: length) ?? ByteBuffer()
    }

    /// The same bytes in storage of their own, so that what they were a part of is not kept alive.
    package var detached: ByteBuffer { ByteBuffer(bytes: readableBytesView) }
}
