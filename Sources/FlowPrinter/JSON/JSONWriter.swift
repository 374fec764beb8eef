// Writes JSON (RFC 8259) straight into bytes.

import FlowModel
import HTTPSemantics
import NIOCore

/// An object or array under construction. Absent values are left out by their writers.
package struct JSONWriter {
    let out = ByteWriter(capacity: 4096)
    private var needsComma = false

    package init() {}

    /// Moves the output so far; the object continues.
    func take(into bytes: inout ByteBuffer) {
        write(into: &bytes)
        out.clear()
    }

    /// Appends the output.
    package func write(into bytes: inout ByteBuffer) { _ = unsafe bytes.writeBytes(out.bytes) }

    package mutating func beginObject() { open(0x7B) }
    package mutating func endObject() { close(0x7D) }
    package mutating func beginArray() { open(0x5B) }
    package mutating func endArray() { close(0x5D) }

    package mutating func key(_ name: StaticString) {
        separate()
        out.append(UInt8(0x22))
        out.append(name)
        out.append("\":")
        needsComma = false
    }

    /// A key that is made at run time.
    package mutating func key(named name: String) {
        string(name)
        out.append(UInt8(0x3A))
        needsComma = false
    }

    /// A key in two parts.
    package mutating func key(_ name: StaticString, _ suffix: StaticString) {
        separate()
        out.append(UInt8(0x22))
        out.append(name)
        out.append(suffix)
        out.append("\":")
        needsComma = false
    }

    package mutating func string(_ text: String) {
        separate()
        var text = text
        out.append(UInt8(0x22))
        text.withUTF8 { unsafe escape(UnsafeRawBufferPointer($0)) }
        out.append(UInt8(0x22))
        needsComma = true
    }

    /// A value that is JSON already.
    package mutating func raw(_ json: String) {
        separate()
        out.append(ByteBuffer(string: json))
        needsComma = true
    }

    /// Bytes as a string. Those that are not UTF-8 stand there as ISO-8859-1 has them (RFC 9110 section 5.5), so that a person can read them.
    /// - Returns: whether they are UTF-8. Otherwise the caller writes the exact bytes in another place.
    @discardableResult package mutating func string(_ bytes: ByteBuffer) -> Bool {
        guard bytes.isUTF8 else {
            string(String(String.UnicodeScalarView(bytes.readableBytesView.map { Unicode.Scalar($0) })))
            return false
        }
        separate()
        out.append(UInt8(0x22))
        unsafe bytes.withUnsafeReadableBytes { unsafe escape($0) }
        out.append(UInt8(0x22))
        needsComma = true
        return true
    }

    /// Bytes of a value that are written before its output may be taken; a multiple of 3, so that Base64 has no padding between.
    private static let sliceSize = 192 * 1024

    /// Content as text where it is text and may be, otherwise in base64.
    mutating func content(_ bytes: ByteBuffer, isText: Bool) { content(bytes, isText: isText) { _ in } }

    /// The same for long content.
    /// - Parameter pour: may take the output so far, between parts of the content.
    mutating func content(_ bytes: ByteBuffer, isText: Bool, pour: (JSONWriter) throws -> Void) rethrows {
        let isString = isText && bytes.isUTF8
        key(isString ? "text" : "base64")
        out.append(UInt8(0x22))
        var rest = bytes
        while let part = rest.readSlice(length: min(Self.sliceSize, rest.readableBytes)), part.readableBytes > 0 {
            if isString { unsafe part.withUnsafeReadableBytes { unsafe escape($0) } } else { out.append(base64: part) }
            try pour(self)
        }
        out.append(UInt8(0x22))
        needsComma = true
    }

    /// A member whose value is bytes that should be text.
    /// - Parameter exact: the name of a second member that holds the bytes in base64, written when they are not UTF-8.
    package mutating func member(_ name: StaticString, _ bytes: ByteBuffer, exact: StaticString) {
        key(name)
        guard !string(bytes) else { return }
        key(exact)
        base64(bytes)
    }

    package mutating func time(_ time: Timestamp) {
        separate()
        out.append(UInt8(0x22))
        out.append(rfc3339: time)
        out.append(UInt8(0x22))
        needsComma = true
    }

    package mutating func number(_ value: some BinaryInteger) {
        separate()
        if value < 0 { out.append(UInt8(0x2D)) }
        out.append(decimal: UInt64(value.magnitude))
        needsComma = true
    }

    /// Nanoseconds as milliseconds with a fraction.
    package mutating func milliseconds(_ nanoseconds: Int64) {
        separate()
        if nanoseconds < 0 { out.append(UInt8(0x2D)) }
        out.append(decimal: nanoseconds.magnitude / 1_000_000)
        var fraction = nanoseconds.magnitude % 1_000_000
        if fraction > 0 {
            var digits = 6
            while fraction % 10 == 0 {
                fraction /= 10
                digits -= 1
            }
            out.append(UInt8(0x2E))
            out.append(decimal: fraction, width: digits)
        }
        needsComma = true
    }

    package mutating func bool(_ value: Bool) {
        separate()
        out.append(value ? "true" : "false")
        needsComma = true
    }

    /// A string that is Base64.
    package mutating func base64(_ bytes: ByteBuffer) {
        separate()
        out.append(UInt8(0x22))
        out.append(base64: bytes)
        out.append(UInt8(0x22))
        needsComma = true
    }

    /// A key and a number; nothing if JSON has no such number (NaN, infinity).
    mutating func finiteNumber(_ name: StaticString, _ value: some BinaryFloatingPoint & LosslessStringConvertible) {
        guard value.isFinite else { return }
        key(name)
        separate()
        var text = value.description
        text.withUTF8 { unsafe out.append(UnsafeRawBufferPointer($0)) }
        needsComma = true
    }

    /// A number that is there in its digits: at least one of them, with a fraction perhaps.
    package mutating func decimal(_ digits: String) {
        separate()
        var digits = digits
        digits.withUTF8 { unsafe out.append(UnsafeRawBufferPointer($0)) }
        needsComma = true
    }

    package mutating func newLine() {
        out.append(UInt8(0x0A))
        needsComma = false
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        out.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        out.append(bracket)
        needsComma = true
    }

    private func separate() {
        if needsComma { out.append(UInt8(0x2C)) }
    }

    /// Writes runs of plain bytes at once, escapes between them.
    private func escape(_ bytes: UnsafeRawBufferPointer) {
        var start = 0
        while let special = unsafe Self.special(in: bytes, from: start) {
            unsafe out.append(UnsafeRawBufferPointer(rebasing: bytes[start..<special]))
            escape(unsafe bytes[special])
            start = special + 1
        }
        unsafe out.append(UnsafeRawBufferPointer(rebasing: bytes[start..<bytes.count]))
    }

    /// The place of the next byte that is escaped, found eight bytes at a time.
    private static func special(in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        guard let base = bytes.baseAddress else { return nil }
        var i = start
        while i &+ 8 <= bytes.count {
            // SAFETY: eight bytes from there are in the buffer.
            let eight = unsafe EightBytes(at: base + i)
            let found = eight.below(0x20) | eight.equal(to: 0x22) | eight.equal(to: 0x5C) | eight.equal(to: 0x7F)
            if found != 0 { return i &+ found.trailingZeroBitCount >> 3 }
            i &+= 8
        }
        while i < bytes.count {
            let byte = unsafe bytes[i]
            if byte < 0x20 || byte == 0x22 || byte == 0x5C || byte == 0x7F { return i }
            i &+= 1
        }
        return nil
    }

    private func escape(_ byte: UInt8) {
        switch byte {
        case 0x22: out.append("\\\"")
        case 0x5C: out.append("\\\\")
        case 0x0A: out.append("\\n")
        case 0x0D: out.append("\\r")
        case 0x09: out.append("\\t")
        default:
            out.append("\\u")
            out.append(hexadecimal: UInt64(byte), digits: 4)
        }
    }
}

extension ByteBuffer {
    /// Whether all readable bytes are UTF-8.
    package var isUTF8: Bool {
        let isASCII = unsafe withUnsafeReadableBytes { bytes in
            var i = 0
            while i + 8 <= bytes.count {
                guard unsafe bytes.loadUnaligned(fromByteOffset: i, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 else {
                    return false
                }
                i += 8
            }
            while i < bytes.count {
                guard unsafe bytes[i] < 0x80 else { return false }
                i += 1
            }
            return true
        }
        if isASCII { return true }
        do {
            _ = try UTF8Span(validating: readableBytesUInt8Span)
            return true
        } catch {
            return false
        }
    }
}
