// What a field may mean when its type is not known: the wire distinguishes neither text from bytes nor bytes from a message. One reading is
// the best; the others are likely enough to be shown to a person who asks for them.

import HTTPSemantics
import NIOCore

/// What a length-delimited field may be.
package enum ProtobufGuess: Equatable, Sendable {
    case message
    case text
    case bytes
    /// Several numbers of a repeated field (protobuf.dev, "Packed Repeated Fields").
    case packed(ProtobufNumbers)

    /// A message when all of it reads as one, otherwise text when it is text. A short word reads as both (`hi` is field 13 with the value
    /// 105): it is a word when it can be printed and nothing in it is length-delimited. Bytes that are neither are numbers if that is
    /// likely.
    /// - Parameter depth: of the fields that would be inside.
    package init(_ bytes: ByteBuffer, depth: Int) { self = Self.readings(of: bytes, depth: depth)[0] }

    /// Every likely reading, the best one first.
    package static func readings(of bytes: ByteBuffer, depth: Int) -> [ProtobufGuess] {
        let isText = bytes.isProtobufText(withLineEnds: true)
        if case .message(let hasLengths) = shape(bytes, depth: depth) {
            guard isText else { return [.message] }
            return hasLengths || !bytes.isProtobufText(withLineEnds: false) ? [.message, .text] : [.text, .message]
        }
        if isText { return [.text] }
        if let numbers = ProtobufNumbers.likely(in: bytes) { return [.packed(numbers), .bytes] }
        guard let varints = ProtobufNumbers.varints(in: bytes), varints.count > 1,
            bytes.readableBytesView.contains(where: { $0 != 0 })
        else { return [.bytes] }
        return [.bytes, .packed(varints)]
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

/// The numbers of a packed field.
package enum ProtobufNumbers: Equatable, Sendable {
    case varints([UInt64])
    case floats([Float])
    case doubles([Double])

    /// More values than this are bytes: a line of numbers is for people.
    private static let maximum = 10_000

    package var count: Int {
        switch self {
        case .varints(let values): values.count
        case .floats(let values): values.count
        case .doubles(let values): values.count
        }
    }

    /// The values as text.
    package var texts: [String] {
        switch self {
        case .varints(let values): values.map { "\($0)" }
        case .floats(let values): values.map { "\($0)" }
        case .doubles(let values): values.map { "\($0)" }
        }
    }

    /// Numbers that random bytes hardly are: small varints of one byte each, or three floats, or two doubles, of usual magnitudes.
    static func likely(in bytes: ByteBuffer) -> ProtobufNumbers? {
        let count = bytes.readableBytes
        guard count <= maximum else { return nil }
        if count > 1, bytes.readableBytesView.allSatisfy({ $0 < 0x80 }), bytes.readableBytesView.contains(where: { $0 != 0 }) {
            return varints(in: bytes)
        }
        if count >= 16, count % 8 == 0 {
            let values = bytes.littleEndian(UInt64.self).map { Double(bitPattern: $0) }
            if values.areUsual { return .doubles(values) }
        }
        if count >= 12, count % 4 == 0 {
            let values = bytes.littleEndian(UInt32.self).map { Float(bitPattern: $0) }
            if values.areUsual { return .floats(values) }
        }
        return nil
    }

    /// nil if the bytes are not varints to their end, each as short as it can be.
    static func varints(in bytes: ByteBuffer) -> ProtobufNumbers? {
        let span = bytes.readableBytesUInt8Span
        var values: [UInt64] = []
        var position = 0
        while position < span.count {
            let start = position
            guard let value = try? readVarint(span, &position), position == start + 1 || span[position - 1] != 0 else { return nil }
            values.append(value)
            guard values.count <= maximum else { return nil }
        }
        return .varints(values)
    }
}

/// Other readings of a varint, where they are likely.
package struct ProtobufSigned: Equatable, Sendable {
    /// int32 and int64 below zero take all 64 bits.
    package var complement: Int64?
    /// sint32 below zero. Zero and one are left alone, being Booleans mostly, and so are even numbers: half of anything is no news.
    package var zigzag: Int64?

    package init(_ value: UInt64) {
        complement = value > UInt64(Int64.max) ? Int64(bitPattern: value) : nil
        zigzag = value > 1 && value & 1 == 1 && value <= UInt64(UInt32.max) ? -Int64(value >> 1) - 1 : nil
    }
}

extension [Double] {
    /// Of magnitudes that people use; not only zeros.
    fileprivate var areUsual: Bool {
        allSatisfy { $0 == 0 || (1e-6...1e12).contains(abs($0)) } && contains { $0 != 0 }
    }
}

extension [Float] {
    fileprivate var areUsual: Bool { map { Double($0) }.areUsual }
}

extension ByteBuffer {
    /// All bytes as numbers of one size, the lowest byte first.
    fileprivate func littleEndian<T: FixedWidthInteger>(_: T.Type) -> [T] {
        let size = MemoryLayout<T>.size
        return (0..<readableBytes / size).map { getInteger(at: readerIndex + $0 * size, endianness: .little)! }
    }

    /// UTF-8 without control characters.
    /// - Parameter withLineEnds: line ends and tabs may be in it.
    fileprivate func isProtobufText(withLineEnds: Bool) -> Bool {
        let span = readableBytesUInt8Span
        for i in 0..<span.count where span[i] < 0x20 || span[i] == 0x7F {
            guard withLineEnds, span[i].isWhitespaceOrLineEnd else { return false }
        }
        return String(validating: readableBytesView, as: UTF8.self) != nil
    }
}
