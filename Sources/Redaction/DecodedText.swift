// Text without an encoding, and where each byte of it came from: a place that is found in the decoded text is changed in the encoded one, and
// the rest of that keeps its bytes.

import HTTPSemantics
import NIOCore

struct DecodedText {
    private(set) var text = ByteBuffer()
    /// For each byte of the text, and for its end, the offset in the encoded text.
    private var starts: [Int32] = []

    /// The range of the encoded text that a range of the text came from.
    func encoded(_ range: Range<Int>) -> Range<Int> { Int(starts[range.lowerBound])..<Int(starts[range.upperBound]) }

    /// Percent-encoding (RFC 3986 section 2.1).
    /// - Parameter isForm: `+` is a space (WHATWG URL section 5.1).
    /// - Returns: nil if there is nothing to decode.
    static func percent(_ encoded: ByteBuffer, isForm: Bool) -> DecodedText? {
        let span = encoded.readableBytesUInt8Span
        guard contains(span, 0x25) || isForm && contains(span, 0x2B) else { return nil }
        var decoded = DecodedText(capacity: span.count)
        var index = 0
        while index < span.count {
            if span[index] == 0x25, index + 2 < span.count, let high = digit(span[index + 1]), let low = digit(span[index + 2]) {
                decoded.append(high << 4 | low, at: index)
                index += 3
            } else {
                decoded.append(isForm && span[index] == 0x2B ? 0x20 : span[index], at: index)
                index += 1
            }
        }
        decoded.starts.append(Int32(span.count))
        return decoded
    }

    /// The escapes of JSON strings (RFC 8259 section 7), wherever they are in the text.
    /// - Returns: nil if there is nothing to decode.
    static func json(_ encoded: ByteBuffer) -> DecodedText? {
        let span = encoded.readableBytesUInt8Span
        guard contains(span, 0x5C) else { return nil }
        var decoded = DecodedText(capacity: span.count)
        var index = 0
        while index < span.count {
            guard span[index] == 0x5C, index + 1 < span.count, let (scalar, length) = escape(span, index) else {
                decoded.append(span[index], at: index)
                index += 1
                continue
            }
            for byte in String(Character(scalar)).utf8 { decoded.append(byte, at: index) }
            index += length
        }
        decoded.starts.append(Int32(span.count))
        return decoded
    }

    private init(capacity: Int) {
        text.reserveCapacity(capacity)
        starts.reserveCapacity(capacity + 1)
    }

    private mutating func append(_ byte: UInt8, at offset: Int) {
        text.writeInteger(byte)
        starts.append(Int32(offset))
    }

    /// The escape at an offset; nil if it is not valid.
    private static func escape(_ span: Span<UInt8>, _ index: Int) -> (Unicode.Scalar, length: Int)? {
        switch span[index + 1] {
        case 0x22, 0x5C, 0x2F: return (Unicode.Scalar(span[index + 1]), 2)
        case 0x62: return ("\u{8}", 2)
        case 0x66: return ("\u{C}", 2)
        case 0x6E: return ("\n", 2)
        case 0x72: return ("\r", 2)
        case 0x74: return ("\t", 2)
        case 0x75:
            guard let unit = unit(span, index + 2) else { return nil }
            if let scalar = Unicode.Scalar(unit) { return (scalar, 6) }
            guard unit < 0xDC00, index + 7 < span.count, span[index + 6] == 0x5C, span[index + 7] == 0x75,
                let low = self.unit(span, index + 8), (0xDC00..<0xE000).contains(low)
            else { return nil }
            return Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00)).map { ($0, 12) }
        default: return nil
        }
    }

    private static func unit(_ span: Span<UInt8>, _ start: Int) -> UInt32? {
        guard start + 4 <= span.count else { return nil }
        var unit: UInt32 = 0
        for index in start..<start + 4 {
            guard let digit = digit(span[index]) else { return nil }
            unit = unit << 4 | UInt32(digit)
        }
        return unit
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }

    private static func contains(_ span: Span<UInt8>, _ byte: UInt8) -> Bool {
        for index in span.indices where span[index] == byte { return true }
        return false
    }
}

extension ByteBuffer {
    /// Percent-encodes all bytes but those that stand for themselves everywhere in a URL, and colons (RFC 3986 sections 2.3 and 3.4).
    var percentEncoded: ByteBuffer { self == RedactionMarker.mask ? Self.encodedMask : encoded }

    /// Most values are hidden by this text.
    private static let encodedMask = RedactionMarker.mask.encoded

    private var encoded: ByteBuffer {
        var out: [UInt8] = []
        out.reserveCapacity(3 * readableBytes)
        for byte in readableBytesView {
            switch byte {
            case 0x30...0x3A, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: out.append(byte)
            default:
                out.append(UInt8(ascii: "%"))
                out.append(Self.hexadecimal(byte >> 4))
                out.append(Self.hexadecimal(byte & 15))
            }
        }
        return ByteBuffer(bytes: out)
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8 { digit < 10 ? 0x30 + digit : 0x37 + digit }
}
