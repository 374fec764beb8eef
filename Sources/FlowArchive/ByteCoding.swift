// Numbers and strings inside records: LEB128 varints, zigzag for signed ones, lengths before bytes. Reading checks bounds in one place.

import NIOCore

/// A record's bytes are not what they must be.
struct MalformedRecord: Error {}

extension ByteBuffer {
    mutating func writeVarint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            writeInteger(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        writeInteger(UInt8(truncatingIfNeeded: value))
    }

    mutating func writeZigzag(_ value: Int64) {
        writeVarint(UInt64(bitPattern: value &<< 1) ^ UInt64(bitPattern: value >> 63))
    }

    mutating func writeText(_ text: String) {
        writeVarint(UInt64(text.utf8.count))
        writeString(text)
    }

    mutating func writeSized(_ bytes: ByteBuffer) {
        writeVarint(UInt64(bytes.readableBytes))
        writeImmutableBuffer(bytes)
    }

    /// nil is written as 0, text as its length plus one.
    mutating func writeOptionalText(_ text: String?) {
        guard let text else { return writeVarint(0) }
        writeVarint(UInt64(text.utf8.count) + 1)
        writeString(text)
    }
}

/// Bytes that a varint takes.
func varintSize(_ value: UInt64) -> Int { value < 0x80 ? 1 : (UInt64.bitWidth - value.leadingZeroBitCount + 6) / 7 }

/// Takes a record's bytes apart from front to back.
struct RecordReader {
    private(set) var bytes: ByteBuffer

    init(_ bytes: ByteBuffer) { self.bytes = bytes }

    var isAtEnd: Bool { bytes.readableBytes == 0 }

    mutating func varint() throws(MalformedRecord) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard let byte: UInt8 = bytes.readInteger(), shift < 64 else { throw MalformedRecord() }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }

    mutating func zigzag() throws(MalformedRecord) -> Int64 {
        let value = try varint()
        return Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }

    mutating func byte() throws(MalformedRecord) -> UInt8 {
        guard let byte: UInt8 = bytes.readInteger() else { throw MalformedRecord() }
        return byte
    }

    mutating func number<T: FixedWidthInteger>(_ type: T.Type) throws(MalformedRecord) -> T {
        guard let number = bytes.readInteger(endianness: .little, as: type) else { throw MalformedRecord() }
        return number
    }

    mutating func slice(_ count: UInt64) throws(MalformedRecord) -> ByteBuffer {
        guard count <= UInt64(bytes.readableBytes), let slice = bytes.readSlice(length: Int(count)) else { throw MalformedRecord() }
        return slice
    }

    mutating func sized() throws(MalformedRecord) -> ByteBuffer { try slice(try varint()) }

    mutating func text() throws(MalformedRecord) -> String { String(buffer: try sized()) }

    mutating func optionalText() throws(MalformedRecord) -> String? {
        let count = try varint()
        return count == 0 ? nil : String(buffer: try slice(count - 1))
    }
}
