// JSON with a line for each element, two spaces for each level. Numbers and the order of keys stay as they are; escapes in strings become
// the characters that they stand for, if a terminal shows those safely.

import HTTPSemantics
import NIOCore

struct JSONLayout {
    private let palette: Palette
    private var out = ByteBuffer()
    private var depth = 0

    init(_ palette: Palette) { self.palette = palette }

    /// - Returns: text that can be printed as it is; nil when brackets or strings do not close.
    consuming func layOut(_ json: ByteBuffer) -> ByteBuffer? {
        out.reserveCapacity(json.readableBytes * 2)
        let span = json.readableBytesUInt8Span
        var i = 0
        while i < span.count {
            let byte = span[i]
            switch byte {
            case 0x22:
                let start = i
                i += 1
                while i < span.count, span[i] != 0x22 { i += span[i] == 0x5C ? 2 : 1 }
                guard i < span.count else { return nil }
                let isKey = json.isFollowedByColon(i + 1)
                string(json.slice(ByteRange(start, i + 1)), isKey ? .name : .string)
            case 0x7B, 0x5B:
                out.writeInteger(byte)
                var next = i + 1
                while next < span.count, span[next].isWhitespaceOrLineEnd { next += 1 }
                if next < span.count, span[next] == byte + 2 {
                    out.writeInteger(byte + 2)
                    i = next
                } else {
                    depth += 1
                    newLine()
                }
            case 0x7D, 0x5D:
                depth -= 1
                guard depth >= 0 else { return nil }
                newLine()
                out.writeInteger(byte)
            case 0x2C:
                out.writeInteger(byte)
                newLine()
            case 0x3A:
                out.writeStaticString(": ")
            case _ where byte.isWhitespaceOrLineEnd:
                break
            default:
                let start = i
                while i + 1 < span.count, !span[i + 1].endsLiteral { i += 1 }
                palette.write(.literal, into: &out) { $0.writeVisible(json.slice(ByteRange(start, i + 1))) }
            }
            i += 1
        }
        return depth == 0 ? out : nil
    }

    private mutating func newLine() {
        out.writeInteger(UInt8(0x0A))
        out.writeRepeatingByte(0x20, count: min(depth, 200) * 2)
    }

    /// Appends a string with its quotation marks.
    private mutating func string(_ text: ByteBuffer, _ role: Palette.Role) {
        palette.write(role, into: &out) { out in
            guard let first = text.firstIndexOfEscape else { return out.writeVisible(text) }
            out.writeVisible(text.slice(ByteRange(0, first)))
            out.writeUnescaped(text.slice(ByteRange(first, text.readableBytes)))
        }
    }
}

extension UInt8 {
    /// The byte is not one of a number, of true, false or null.
    fileprivate var endsLiteral: Bool {
        isWhitespaceOrLineEnd || [0x22, 0x2C, 0x3A, 0x5B, 0x5D, 0x7B, 0x7D].contains(self)
    }
}

extension ByteBuffer {
    fileprivate func isFollowedByColon(_ start: Int) -> Bool {
        let span = readableBytesUInt8Span
        var i = start
        while i < span.count, span[i].isWhitespaceOrLineEnd { i += 1 }
        return i < span.count && span[i] == 0x3A
    }

    /// The place of the first `\u`.
    fileprivate var firstIndexOfEscape: Int? {
        let span = readableBytesUInt8Span
        var i = 0
        while i + 1 < span.count {
            if span[i] == 0x5C {
                if span[i + 1] == UInt8(ascii: "u") { return i }
                i += 2
            } else {
                i += 1
            }
        }
        return nil
    }

    /// Appends part of a JSON string. `\u00e4` becomes `ä`; other escapes, and those of characters that are not visible, stay.
    fileprivate mutating func writeUnescaped(_ text: ByteBuffer) {
        var start = 0
        var i = 0
        while i + 1 < text.readableBytes {
            let byte: UInt8 = text.readableBytesUInt8Span[i]
            guard byte == 0x5C else {
                i += 1
                continue
            }
            guard let (scalar, length) = text.escapedScalar(at: i), scalar.isVisible else {
                i += 2
                continue
            }
            writeVisible(text.slice(ByteRange(start, i)))
            writeString(String(scalar))
            i += length
            start = i
        }
        writeVisible(text.slice(ByteRange(start, text.readableBytes)))
    }

    /// The character of an escape, or of the two of a surrogate pair (RFC 8259 section 7), and the length of both.
    private func escapedScalar(at i: Int) -> (Unicode.Scalar, length: Int)? {
        guard let high = escapedUnit(at: i) else { return nil }
        if let scalar = Unicode.Scalar(high) { return (scalar, 6) }
        guard UTF16.isLeadSurrogate(high), let low = escapedUnit(at: i + 6), UTF16.isTrailSurrogate(low) else { return nil }
        return (UTF16.decode(UTF16.EncodedScalar([high, low])), 12)
    }

    private func escapedUnit(at i: Int) -> UInt16? {
        let span = readableBytesUInt8Span
        guard i + 6 <= span.count, span[i] == 0x5C, span[i + 1] == UInt8(ascii: "u") else { return nil }
        var unit: UInt16 = 0
        for place in i + 2..<i + 6 {
            guard let digit = Character(Unicode.Scalar(span[place])).hexDigitValue else { return nil }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }
}

extension Unicode.Scalar {
    /// It is visible as itself, and needs no escape in JSON.
    fileprivate var isVisible: Bool {
        guard self != "\"", self != "\\" else { return false }
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: return false
        default: return true
        }
    }
}
