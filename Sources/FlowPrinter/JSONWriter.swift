// Writes JSON (RFC 8259) straight into bytes.

import HTTPSemantics
import NIOCore

/// An object or array under construction. Absent values are left out by their writers.
struct JSONWriter {
    private(set) var out: ByteBuffer
    private var needsComma = false

    init(into out: ByteBuffer) { self.out = out }

    mutating func beginObject() { open(0x7B) }
    mutating func endObject() { close(0x7D) }
    mutating func beginArray() { open(0x5B) }
    mutating func endArray() { close(0x5D) }

    mutating func key(_ name: StaticString) {
        separate()
        out.writeInteger(UInt8(0x22))
        out.writeStaticString(name)
        out.writeStaticString("\":")
        needsComma = false
    }

    mutating func string(_ text: String) { string(ByteBuffer(string: text)) }

    /// Bytes as a string: what is no UTF-8 becomes U+FFFD.
    mutating func string(_ bytes: ByteBuffer) {
        separate()
        let isValid =
            bytes.readableBytesView.allSatisfy { $0 < 0x80 } || String(validating: bytes.readableBytesView, as: UTF8.self) != nil
        escape(isValid ? bytes : ByteBuffer(string: String(buffer: bytes)))
        needsComma = true
    }

    mutating func number(_ value: some BinaryInteger) {
        separate()
        out.writeString(String(value))
        needsComma = true
    }

    /// Nanoseconds as milliseconds with a fraction.
    mutating func milliseconds(_ nanoseconds: Int64) {
        separate()
        let fraction = String(abs(nanoseconds) % 1_000_000)
        out.writeString("\(nanoseconds < 0 ? "-" : "")\(abs(nanoseconds) / 1_000_000)")
        if abs(nanoseconds) % 1_000_000 != 0 {
            var digits = String(repeating: "0", count: 6 - fraction.utf8.count) + fraction
            while digits.last == "0" { digits.removeLast() }
            out.writeString(".\(digits)")
        }
        needsComma = true
    }

    mutating func bool(_ value: Bool) {
        separate()
        out.writeString(value ? "true" : "false")
        needsComma = true
    }

    /// RFC 4648 §4.
    mutating func base64(_ bytes: ByteBuffer) {
        separate()
        out.writeInteger(UInt8(0x22))
        let span = bytes.readableBytesUInt8Span
        let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        func letter(_ value: UInt32) -> UInt8 { unsafe alphabet.utf8Start[Int(value & 63)] }
        out.reserveCapacity(minimumWritableBytes: span.count / 3 * 4 + 8)
        var i = 0
        while i < span.count {
            let left = span.count - i
            let word = UInt32(span[i]) << 16 | (left > 1 ? UInt32(span[i + 1]) << 8 : 0) | (left > 2 ? UInt32(span[i + 2]) : 0)
            out.writeMultipleIntegers(
                letter(word >> 18), letter(word >> 12), left > 1 ? letter(word >> 6) : 0x3D, left > 2 ? letter(word) : 0x3D)
            i += 3
        }
        out.writeInteger(UInt8(0x22))
        needsComma = true
    }

    mutating func newLine() {
        out.writeInteger(UInt8(0x0A))
        needsComma = false
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        out.writeInteger(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        out.writeInteger(bracket)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { out.writeInteger(UInt8(0x2C)) }
    }

    /// Writes runs of plain bytes at once, escapes between them.
    private mutating func escape(_ bytes: ByteBuffer) {
        out.writeInteger(UInt8(0x22))
        let span = bytes.readableBytesUInt8Span
        var start = 0
        for i in 0..<span.count where span[i] < 0x20 || span[i] == 0x22 || span[i] == 0x5C || span[i] == 0x7F {
            out.writeImmutableBuffer(bytes.slice(ByteRange(start, i)))
            start = i + 1
            switch span[i] {
            case 0x22: out.writeStaticString("\\\"")
            case 0x5C: out.writeStaticString("\\\\")
            case 0x0A: out.writeStaticString("\\n")
            case 0x0D: out.writeStaticString("\\r")
            case 0x09: out.writeStaticString("\\t")
            default: out.writeString("\\u" + hexadecimal(UInt64(span[i]), digits: 4))
            }
        }
        out.writeImmutableBuffer(bytes.slice(ByteRange(start, span.count)))
        out.writeInteger(UInt8(0x22))
    }
}
