// Incremental validation of UTF-8 (RFC 3629 §4): reports the first invalid byte, even if its character is not complete (RFC 6455 §8.1
// allows a receiver to fail early).

import NIOCore

/// The state between two pieces of one text.
struct UTF8Validator: Sendable, Equatable {
    /// The number of bytes that the incomplete character still needs, and the range of the next one.
    private var needed = 0
    private var lowest: UInt8 = 0x80
    private var highest: UInt8 = 0xBF

    /// No character is incomplete: the text may end here.
    var isComplete: Bool { needed == 0 }

    /// Takes the readable bytes from an offset on.
    /// - Returns: false if no valid text begins with these bytes; the validator must not be used after that.
    mutating func accept(_ bytes: ByteBuffer, from offset: Int = 0) -> Bool {
        unsafe bytes.withUnsafeReadableBytes { unsafe accept($0, from: offset) }
    }

    private mutating func accept(_ bytes: UnsafeRawBufferPointer, from offset: Int) -> Bool {
        let count = bytes.count
        var position = offset
        while position < count {
            // Eight ASCII characters at a time, since most text is ASCII.
            while needed == 0, position + 8 <= count {
                let word = unsafe bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)
                guard word & 0x8080_8080_8080_8080 == 0 else { break }
                position += 8
            }
            guard position < count else { break }
            guard accept(unsafe bytes[position]) else { return false }
            position += 1
        }
        return true
    }

    private mutating func accept(_ byte: UInt8) -> Bool {
        if needed > 0 {
            guard byte >= lowest, byte <= highest else { return false }
            needed -= 1
            (lowest, highest) = (0x80, 0xBF)
            return true
        }
        switch byte {
        case 0x00...0x7F: return true
        case 0xC2...0xDF: needed = 1
        // No overlong forms (E0, F0), no surrogates (ED), nothing above U+10FFFF (F4).
        case 0xE0: (needed, lowest) = (2, 0xA0)
        case 0xED: (needed, highest) = (2, 0x9F)
        case 0xE1...0xEF: needed = 2
        case 0xF0: (needed, lowest) = (3, 0x90)
        case 0xF4: (needed, highest) = (3, 0x8F)
        case 0xF1...0xF3: needed = 3
        default: return false
        }
        return true
    }
}

extension ByteBuffer {
    /// Whether all readable bytes are UTF-8 text that ends with a whole character.
    var isUTF8: Bool {
        var validator = UTF8Validator()
        return validator.accept(self) && validator.isComplete
    }
}
