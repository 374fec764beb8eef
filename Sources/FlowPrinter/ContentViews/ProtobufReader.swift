// Protobuf without a schema: the fields of a message by their wire types (protobuf.dev, "Encoding"). Nothing is trusted: lengths are
// checked against the bytes that are left, nesting is bounded, and impossible numbers end the reading. What a field means is a guess, since
// the wire distinguishes neither text from bytes nor bytes from a message.

import HTTPSemantics
import NIOCore

/// One field as it is on the wire.
struct ProtobufField: Equatable {
    enum Value: Equatable {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        case lengthDelimited(ByteBuffer)
        /// The fields up to the matching `groupEnd` are inside.
        case groupStart
        case groupEnd
    }

    var number: UInt32
    var value: Value
}

enum ProtobufError: Error, Equatable {
    /// The message ends before the field does.
    case truncated
    /// No field of protobuf looks like this.
    case invalid
    /// Beyond ``ProtobufReader/maximumDepth``.
    case tooDeep
}

/// Reads the fields of one message, one after the other.
struct ProtobufReader {
    /// Messages and groups in one another. Parsers of protobuf allow 100; a guess that goes deeper than this is rarely a message.
    static let maximumDepth = 32
    /// Fields shown of one body: a line each, so that a body of the smallest fields does not become gigabytes of text.
    static let maximumFields = 500_000

    private let bytes: ByteBuffer
    private let depthOfMessage: Int
    private var openGroups: [UInt32] = []
    /// Where the next field begins; after a throw, where the field begins that cannot be read.
    private(set) var offset = 0

    /// - Parameter depth: how many messages and groups are around this one.
    init(_ bytes: ByteBuffer, depth: Int = 0) {
        self.bytes = bytes
        depthOfMessage = depth
    }

    /// How many messages and groups are around the next field.
    var depth: Int { depthOfMessage + openGroups.count }

    /// The bytes from the next field on.
    var rest: ByteBuffer { bytes.slice(ByteRange(offset, bytes.readableBytes)) }

    /// - Returns: nil at the end of the message.
    mutating func next() throws(ProtobufError) -> ProtobufField? {
        let bytes = bytes
        let span = bytes.readableBytesUInt8Span
        guard offset < span.count else {
            guard openGroups.isEmpty else { throw .truncated }
            return nil
        }
        var position = offset
        let tag = try Self.varint(span, &position)
        guard tag >> 3 > 0, tag <= UInt64(UInt32.max) else { throw .invalid }
        let number = UInt32(tag >> 3)
        let value: ProtobufField.Value
        switch tag & 7 {
        case 0: value = .varint(try Self.varint(span, &position))
        case 1: value = .fixed64(try Self.littleEndian(span, &position, count: 8))
        case 2:
            let length = try Self.varint(span, &position)
            guard length <= UInt64(span.count - position) else { throw .truncated }
            value = .lengthDelimited(bytes.slice(ByteRange(position, position + Int(length))))
            position += Int(length)
        case 3:
            guard depth < Self.maximumDepth else { throw .tooDeep }
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
    static func isMessage(_ bytes: ByteBuffer) -> Bool {
        var reader = ProtobufReader(bytes)
        do throws(ProtobufError) {
            while try reader.next() != nil {}
            return true
        } catch {
            return false
        }
    }

    /// Seven bits a byte, the lowest first, at most 64 bits in all.
    private static func varint(_ span: Span<UInt8>, _ position: inout Int) throws(ProtobufError) -> UInt64 {
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

    private static func littleEndian(_ span: Span<UInt8>, _ position: inout Int, count: Int) throws(ProtobufError) -> UInt64 {
        guard span.count - position >= count else { throw .truncated }
        var value: UInt64 = 0
        for i in 0..<count { value |= UInt64(span[position + i]) << UInt64(8 * i) }
        position += count
        return value
    }
}

// MARK: Guesses

/// What a length-delimited field may be.
enum ProtobufGuess: Equatable {
    case message
    case text
    case bytes

    /// A message when all of it reads as one, otherwise text when it is text. A short word reads as both (`hi` is field 13 with the value
    /// 105): it is a word when it can be printed and nothing in it is length-delimited.
    /// - Parameter depth: of the fields that would be inside.
    init(_ bytes: ByteBuffer, depth: Int) {
        let isText = bytes.isProtobufText(withLineEnds: true)
        switch Self.shape(bytes, depth: depth) {
        case .message(let hasLengths) where hasLengths || !isText || !bytes.isProtobufText(withLineEnds: false): self = .message
        default: self = isText ? .text : .bytes
        }
    }

    private enum Shape {
        case message(hasLengths: Bool)
        case other
    }

    private static func shape(_ bytes: ByteBuffer, depth: Int) -> Shape {
        guard bytes.readableBytes > 0, depth <= ProtobufReader.maximumDepth else { return .other }
        var reader = ProtobufReader(bytes, depth: depth)
        var hasLengths = false
        do throws(ProtobufError) {
            while let field = try reader.next() {
                if case .lengthDelimited = field.value { hasLengths = true }
            }
            return .message(hasLengths: hasLengths)
        } catch {
            return .other
        }
    }
}

/// Other readings of a varint, where they are likely.
struct ProtobufSigned: Equatable {
    /// int32 and int64 below zero take all 64 bits.
    var complement: Int64?
    /// sint32 below zero. Zero and one are left alone, being Booleans mostly, and so are even numbers: half of anything is no news.
    var zigzag: Int64?

    init(_ value: UInt64) {
        complement = value > UInt64(Int64.max) ? Int64(bitPattern: value) : nil
        zigzag = value > 1 && value & 1 == 1 && value <= UInt64(UInt32.max) ? -Int64(value >> 1) - 1 : nil
    }
}

extension ByteBuffer {
    /// UTF-8 without control characters.
    /// - Parameter withLineEnds: line ends and tabs may be in it.
    fileprivate func isProtobufText(withLineEnds: Bool) -> Bool {
        let span = readableBytesUInt8Span
        for i in 0..<span.count where span[i] < 0x20 || span[i] == 0x7F {
            guard withLineEnds, span[i].isWhitespaceOrLineEnd else { return false }
        }
        return isUTF8
    }
}
