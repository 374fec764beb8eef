// Searches in the bytes of files of other programs.

import HTTPSemantics
import NIOCore

extension ByteBuffer {
    /// The offset of the first occurrence of a pattern, or the number of bytes at which none can begin.
    /// - Parameter start: bytes before which none is searched for.
    func offset(of pattern: [UInt8], after start: Int = 0) -> (offset: Int, isFound: Bool) {
        // A byte of a high value is the rarest one in text.
        guard let anchor = pattern.indices.max(by: { pattern[$0] < pattern[$1] }) else { return (start, true) }
        let bytes = readableBytesUInt8Span
        var i = start
        while let found = firstIndex(of: pattern[anchor], from: i + anchor, to: bytes.count - (pattern.count - 1 - anchor)) {
            i = found - anchor
            var length = 0
            while length < pattern.count, bytes[i + length] == pattern[length] { length += 1 }
            if length == pattern.count { return (i, true) }
            i += 1
        }
        return (max(start, bytes.count - pattern.count + 1), false)
    }

    /// - Returns: nil if the byte is not in the range, or if the range is empty.
    func firstIndex(of byte: UInt8, from start: Int, to end: Int) -> Int? {
        guard start < end else { return nil }
        // SAFETY: eight bytes from each position are within the readable bytes, as `end` is.
        return unsafe withUnsafeReadableBytes { bytes in
            var i = start
            while i + 8 <= end, unsafe EightBytes(at: bytes.baseAddress! + i).equal(to: byte) == 0 { i += 8 }
            while i < end, unsafe bytes[i] != byte { i += 1 }
            return i < end ? i : nil
        }
    }

    /// The number of bytes of a head: through the empty line that ends it; nil if that is not there.
    /// - Parameter start: bytes before which no end is.
    func endOfHead(after start: Int = 0) -> Int? {
        let bytes = readableBytesUInt8Span
        var i = start
        while let found = firstIndex(of: 0x0A, from: i, to: bytes.count) {
            if found + 1 < bytes.count, bytes[found + 1] == 0x0A { return found + 2 }
            if found + 2 < bytes.count, bytes[found + 1] == 0x0D, bytes[found + 2] == 0x0A { return found + 3 }
            i = found + 1
        }
        return nil
    }
}

extension UInt8 {
    /// The value of a hexadecimal digit.
    var hexDigit: Int? {
        switch self {
        case 0x30...0x39: Int(self) - 0x30
        case 0x41...0x46: Int(self) - 0x41 + 10
        case 0x61...0x66: Int(self) - 0x61 + 10
        default: nil
        }
    }
}
