// Base64 (RFC 4648): the text form of bytes in fields, and of bytes that are not text in JSON.

import NIOCore

/// Base64, in the standard alphabet or in the one for URLs.
package enum Base64 {
    /// The characters for 62 and 63.
    package enum Alphabet {
        /// `+` and `/` (RFC 4648 section 4).
        case standard
        /// `-` and `_` (RFC 4648 section 5).
        case url
        /// Either of them.
        case any
    }

    private static let padding: UInt8 = 0x3D

    /// Encodes bytes in the standard alphabet, with padding.
    package static func encode(_ bytes: ByteBuffer) -> String {
        let writer = ByteWriter(capacity: (bytes.readableBytes + 2) / 3 * 4)
        writer.append(base64: bytes)
        return unsafe String(decoding: writer.bytes, as: UTF8.self)
    }

    /// Decodes text. Padding may be absent, and is allowed at the end only.
    /// - Parameter ignoresWhitespace: spaces, tabs and line ends may stand anywhere.
    /// - Returns: nil if the text is not valid Base64.
    package static func decode(
        _ text: ByteBuffer, _ alphabet: Alphabet = .standard, ignoresWhitespace: Bool = false
    ) -> ByteBuffer? {
        let span = text.readableBytesUInt8Span
        var out = ByteBuffer()
        out.reserveCapacity(span.count / 4 * 3 + 3)
        var word: UInt32 = 0
        var count = 0
        var isPadded = false
        for index in 0..<span.count {
            let byte = span[index]
            if ignoresWhitespace, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { continue }
            if byte == padding {
                isPadded = true
                continue
            }
            guard !isPadded, let value = value(of: byte, alphabet) else { return nil }
            word = word << 6 | UInt32(value)
            count += 1
            if count % 4 == 0 {
                out.writeInteger(UInt16(truncatingIfNeeded: word >> 8))
                out.writeInteger(UInt8(truncatingIfNeeded: word))
            }
        }
        // Two characters have one byte more, three have two; one alone has none.
        switch count % 4 {
        case 1: return nil
        case 2: out.writeInteger(UInt8(truncatingIfNeeded: word >> 4))
        case 3: out.writeInteger(UInt16(truncatingIfNeeded: word >> 2))
        default: break
        }
        return out
    }

    private static func value(of byte: UInt8, _ alphabet: Alphabet) -> UInt8? {
        switch byte {
        case 0x41...0x5A: byte - 0x41
        case 0x61...0x7A: byte - 0x61 + 26
        case 0x30...0x39: byte - 0x30 + 52
        case 0x2B where alphabet != .url: 62
        case 0x2F where alphabet != .url: 63
        case 0x2D where alphabet != .standard: 62
        case 0x5F where alphabet != .standard: 63
        default: nil
        }
    }
}

extension ByteWriter {
    /// Appends bytes in Base64, in the standard alphabet and with padding.
    package func append(base64 bytes: ByteBuffer) {
        let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        // SAFETY: the alphabet has 64 characters, and the index six bits.
        func letter(_ value: UInt32) -> UInt32 { unsafe UInt32(alphabet.utf8Start[Int(value & 63)]) }
        let span = bytes.readableBytesUInt8Span
        reserve((span.count + 2) / 3 * 4)
        var i = 0
        while i < span.count {
            let left = span.count - i
            let word = UInt32(span[i]) << 16 | (left > 1 ? UInt32(span[i + 1]) << 8 : 0) | (left > 2 ? UInt32(span[i + 2]) : 0)
            let third = left > 1 ? letter(word >> 6) : 0x3D
            let fourth = left > 2 ? letter(word) : 0x3D
            append(letter(word >> 18) | letter(word >> 12) << 8 | third << 16 | fourth << 24)
            i += 3
        }
    }
}
