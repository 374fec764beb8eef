// Searches in the bytes of files of other programs.

import NIOCore

extension ByteBuffer {
    /// The offset of the first occurrence of a pattern, or the number of bytes at which none can begin.
    func offset(of pattern: [UInt8]) -> (offset: Int, isFound: Bool) {
        let bytes = readableBytesUInt8Span
        var i = 0
        while i + pattern.count <= bytes.count {
            if bytes[i] == pattern[0] {
                var length = 1
                while length < pattern.count, bytes[i + length] == pattern[length] { length += 1 }
                if length == pattern.count { return (i, true) }
            }
            i += 1
        }
        return (i, false)
    }

    /// The number of bytes of a head: through the empty line that ends it; nil if that is not there.
    /// - Parameter start: bytes before which no end is.
    func endOfHead(after start: Int = 0) -> Int? {
        let bytes = readableBytesUInt8Span
        var i = start
        while i < bytes.count {
            if bytes[i] == 0x0A {
                if i + 1 < bytes.count, bytes[i + 1] == 0x0A { return i + 2 }
                if i + 2 < bytes.count, bytes[i + 1] == 0x0D, bytes[i + 2] == 0x0A { return i + 3 }
            }
            i += 1
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
