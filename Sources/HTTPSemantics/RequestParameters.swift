// The parts of a request-target, and the parameters of a query or a form.

import NIOCore

extension ByteBuffer {
    /// Path and query of a request-target, without scheme and authority of the absolute form.
    package var pathAndQuery: (path: ByteBuffer, query: ByteBuffer) {
        let bytes = readableBytesUInt8Span
        var start = 0
        if bytes.count > 0, bytes[0] != 0x2F, bytes[0] != 0x2A {
            // scheme "://" authority
            var index = 0
            while index + 2 < bytes.count, !(bytes[index] == 0x3A && bytes[index + 1] == 0x2F && bytes[index + 2] == 0x2F) {
                index += 1
            }
            if index + 2 < bytes.count {
                start = index + 3
                while start < bytes.count, bytes[start] != 0x2F, bytes[start] != 0x3F { start += 1 }
            }
        }
        var mark = start
        while mark < bytes.count, bytes[mark] != 0x3F { mark += 1 }
        let path = start == mark ? ByteBuffer(string: "/") : slice(ByteRange(start, mark))
        return (path, mark < bytes.count ? slice(ByteRange(mark + 1, bytes.count)) : ByteBuffer())
    }

    /// Visits the parameters of a query or a form: the name, and the whole parameter as it is written.
    package func forEachParameter(_ body: (_ name: ByteBuffer, _ whole: ByteBuffer) throws -> Void) rethrows {
        let bytes = readableBytesUInt8Span
        var start = 0
        var equals: Int?
        for index in 0...bytes.count {
            let byte: UInt8 = index < bytes.count ? bytes[index] : 0x26
            if byte == 0x3D, equals == nil { equals = index }
            guard byte == 0x26 else { continue }
            if index > start { try body(slice(ByteRange(start, equals ?? index)), slice(ByteRange(start, index))) }
            start = index + 1
            equals = nil
        }
    }

    /// Decodes percent-encoding, and `+` as a space (application/x-www-form-urlencoded, WHATWG URL §5.1). A percent sign without two
    /// hexadecimal digits after it stays.
    package var formDecoded: ByteBuffer {
        guard readableBytesView.contains(where: { $0 == 0x25 || $0 == 0x2B }) else { return self }
        let bytes = readableBytesUInt8Span
        var decoded = ByteBuffer()
        decoded.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            if bytes[index] == 0x25, index + 2 < bytes.count, let high = bytes[index + 1].hexadecimalDigit,
                let low = bytes[index + 2].hexadecimalDigit
            {
                decoded.writeInteger(high << 4 | low)
                index += 3
            } else {
                decoded.writeInteger(bytes[index] == 0x2B ? 0x20 : bytes[index])
                index += 1
            }
        }
        return decoded
    }
}

extension UInt8 {
    fileprivate var hexadecimalDigit: UInt8? {
        switch self {
        case 0x30...0x39: self - 0x30
        case 0x41...0x46: self - 0x37
        case 0x61...0x66: self - 0x57
        default: nil
        }
    }
}
