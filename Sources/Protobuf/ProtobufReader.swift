// The wire format of protobuf: the fields of a message by their wire types (protobuf.dev, "Encoding"). Nothing is trusted: lengths are
// checked against the bytes that are left, nesting is bounded, and impossible numbers end the reading.

import HTTPSemantics
import NIOCore

/// One field as it is on the wire.
package struct ProtobufField: Equatable, Sendable {
    package enum Value: Equatable, Sendable {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        case lengthDelimited(ByteBuffer)
        /// The fields up to the matching `groupEnd` are inside.
        case groupStart
        case groupEnd
    }

    package var number: UInt32
    package var value: Value
}

package enum ProtobufError: Error, Equatable, Sendable {
    /// The message ends before the field does.
    case truncated
    /// No field of protobuf looks like this.
    case invalid
    /// Beyond the depth that the reader was given.
    case tooDeep
}

/// Reads the fields of one message, one after the other.
package struct ProtobufReader: Sendable {
    /// Messages and groups in one another, without a schema. A guess that goes deeper than this is rarely a message.
    package static let maximumDepth = 32
    /// The same with a schema: the limit of protobuf's own parsers.
    package static let maximumTypedDepth = 100
    /// Fields read of one body: a line each, so that a body of the smallest fields does not become gigabytes of text.
    package static let maximumFields = 500_000

    private let bytes: ByteBuffer
    private let depthOfMessage: Int
    private let maximumDepth: Int
    private var openGroups: [UInt32] = []
    /// Where the next field begins; after a throw, where the field begins that cannot be read.
    package private(set) var offset = 0

    /// - Parameters:
    ///   - depth: how many messages and groups are around this one.
    ///   - maximumDepth: groups that go deeper are an error.
    package init(_ bytes: ByteBuffer, depth: Int = 0, maximumDepth: Int = Self.maximumDepth) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
        depthOfMessage = depth
    }

    /// How many messages and groups are around the next field.
    package var depth: Int { depthOfMessage + openGroups.count }

    /// The bytes from the next field on.
    package var rest: ByteBuffer { bytes.slice(ByteRange(offset, bytes.readableBytes)) }

    /// - Returns: nil at the end of the message.
    package mutating func next() throws(ProtobufError) -> ProtobufField? {
        let bytes = bytes
        let span = bytes.readableBytesUInt8Span
        guard offset < span.count else {
            guard openGroups.isEmpty else { throw .truncated }
            return nil
        }
        var position = offset
        let tag = try readVarint(span, &position)
        guard tag >> 3 > 0, tag <= UInt64(UInt32.max) else { throw .invalid }
        let number = UInt32(tag >> 3)
        let value: ProtobufField.Value
        switch tag & 7 {
        case 0: value = .varint(try readVarint(span, &position))
        case 1: value = .fixed64(try Self.littleEndian(span, &position, count: 8))
        case 2:
            let length = try readVarint(span, &position)
            guard length <= UInt64(span.count - position) else { throw .truncated }
            value = .lengthDelimited(bytes.slice(ByteRange(position, position + Int(length))))
            position += Int(length)
        case 3:
            guard depth < maximumDepth else { throw .tooDeep }
            openGroups.append(number)
            value = .groupStart
        case 4:
            guard openGroups.last == number else { throw .invalid }
            openGroups.removeLast()
            value = .groupEnd
        case 5: value = .fixed32(UInt32(truncatingIfNeeded: try Self.littleEndian(span, &position, count: 4)))
        default: throw .invalid
        }
        offset = position
        return ProtobufField(number: number, value: value)
    }

    /// Whether all of the bytes are fields.
    package static func isMessage(_ bytes: ByteBuffer) -> Bool {
        var reader = ProtobufReader(bytes)
        do throws(ProtobufError) {
            while try reader.next() != nil {}
            return true
        } catch {
            return false
        }
    }

    private static func littleEndian(_ span: Span<UInt8>, _ position: inout Int, count: Int) throws(ProtobufError) -> UInt64 {
        guard span.count - position >= count else { throw .truncated }
        var value: UInt64 = 0
        for i in 0..<count { value |= UInt64(span[position + i]) << UInt64(8 * i) }
        position += count
        return value
    }
}

/// Reads a varint: seven bits a byte, the lowest first, at most 64 bits in all.
func readVarint(_ span: Span<UInt8>, _ position: inout Int) throws(ProtobufError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < span.count {
        let byte = span[position]
        position += 1
        guard shift < 63 || byte <= 1 else { throw .invalid }
        value |= UInt64(byte & 0x7F) << shift
        if byte < 0x80 { return value }
        shift += 7
    }
    throw .truncated
}

/// Messages that stand one after the other, each after its length as a varint (`writeDelimitedTo` of protobuf's libraries).
package struct DelimitedMessages: Sendable {
    private let bytes: ByteBuffer
    private var offset = 0

    package init(_ bytes: ByteBuffer) { self.bytes = bytes }

    /// The bytes from the next message on; after an error, the bytes that are not a message.
    package var rest: ByteBuffer { bytes.slice(ByteRange(offset, bytes.readableBytes)) }

    /// - Returns: nil at the end.
    package mutating func next() throws(ProtobufError) -> ByteBuffer? {
        let bytes = bytes
        let span = bytes.readableBytesUInt8Span
        guard offset < span.count else { return nil }
        var position = offset
        let length = try readVarint(span, &position)
        guard length <= UInt64(span.count - position) else { throw .truncated }
        offset = position + Int(length)
        return bytes.slice(ByteRange(position, offset))
    }

    /// Whether all of the bytes are messages of that form, and there is more than a length.
    package static func fits(_ bytes: ByteBuffer) -> Bool {
        var messages = DelimitedMessages(bytes)
        var hasContent = false
        do throws(ProtobufError) {
            while let message = try messages.next() {
                guard ProtobufReader.isMessage(message) else { return false }
                if message.readableBytes > 0 { hasContent = true }
            }
            return hasContent
        } catch {
            return false
        }
    }
}
