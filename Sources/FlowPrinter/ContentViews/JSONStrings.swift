// Strings of JSON for a terminal.

import HTTPSemantics
import NIOCore

extension ByteBuffer {
    /// Appends a string of JSON text, with its quotation marks. `\u00e4` becomes `ä`; other escapes, and those of characters that are not
    /// visible, stay.
    mutating func writeJSONString(_ text: ByteBuffer) {
        guard let first = text.firstIndexOfEscape else { return writeVisible(text) }
        writeVisible(text.slice(ByteRange(0, first)))
        writeUnescaped(text.slice(ByteRange(first, text.readableBytes)))
    }

    /// Appends text as a string of JSON, with quotation marks. Characters that are not visible become escapes; bytes that are not UTF-8
    /// become U+FFFD.
    mutating func writeQuoted(_ text: ByteBuffer) {
        writeInteger(UInt8(ascii: "\""))
        let span = text.readableBytesUInt8Span
        var isPlain = true
        for i in 0..<span.count where span[i] < 0x20 || span[i] >= 0x7F || span[i] == 0x22 || span[i] == 0x5C {
            isPlain = false
            break
        }
        if isPlain {
            writeImmutableBuffer(text)
        } else {
            for scalar in String(buffer: text).unicodeScalars { writeQuoted(scalar) }
        }
        writeInteger(UInt8(ascii: "\""))
    }

    private mutating func writeQuoted(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "\"", "\\": writeString("\\\(scalar)")
        case "\n": writeStaticString("\\n")
        case "\r": writeStaticString("\\r")
        case "\t": writeStaticString("\\t")
        case _ where scalar.isVisible: writeString(String(scalar))
        default: for unit in String(scalar).utf16 { writeString("\\u" + hexadecimal(UInt64(unit), digits: 4)) }
        }
    }

    /// The place of the first `\u`.
    private var firstIndexOfEscape: Int? {
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

    private mutating func writeUnescaped(_ text: ByteBuffer) {
        var start = 0
        var i = 0
        while i + 1 < text.readableBytes {
            let byte: UInt8 = text.readableBytesUInt8Span[i]
            guard byte == 0x5C else {
                i += 1
                continue
            }
            guard let (scalar, length) = text.escapedScalar(at: i), scalar.isVisible, scalar != "\"", scalar != "\\" else {
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
    /// It can be shown as itself.
    fileprivate var isVisible: Bool {
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }
}
