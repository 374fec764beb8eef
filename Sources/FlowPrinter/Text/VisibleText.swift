// Recorded text for a terminal: characters that would control the terminal are escaped.

import HTTPSemantics
import NIOCore

extension ByteBuffer {
    /// Appends bytes as text. Control characters of ASCII and Unicode, the DEL character and characters that turn the direction of text
    /// become escapes like `\x1b`; bytes that are not UTF-8 become U+FFFD.
    /// - Parameter keepsLines: line ends and tabs stay.
    package mutating func writeVisible(_ bytes: ByteBuffer, keepsLines: Bool = false) {
        let span = bytes.readableBytesUInt8Span
        var isPlain = true
        for i in 0..<span.count where span[i] < 0x20 || span[i] >= 0x7F {
            isPlain = false
            break
        }
        if isPlain {
            writeImmutableBuffer(bytes)
            return
        }
        for scalar in String(buffer: bytes).unicodeScalars {
            switch scalar.value {
            case 0x0A, 0x09:
                if keepsLines { writeInteger(UInt8(scalar.value)) } else { writeString(scalar.value == 0x0A ? "\\n" : "\\t") }
            case 0x0D:
                if !keepsLines { writeString("\\r") }
            case 0x00..<0x20, 0x7F..<0xA0:
                writeString("\\x" + hexadecimal(UInt64(scalar.value), digits: 2))
            case 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069:
                writeString("\\u{" + String(scalar.value, radix: 16) + "}")
            default:
                writeString(String(scalar))
            }
        }
    }

    package mutating func writeVisible(_ text: String) { writeVisible(ByteBuffer(string: text)) }
}

func hexadecimal(_ value: UInt64, digits: Int) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}

/// A number of bytes for people: `512 B`, `1.5 KiB`.
package func readableSize(_ bytes: UInt64) -> String {
    guard bytes >= 1024 else { return "\(bytes) B" }
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var value = Double(bytes) / 1024
    var unit = 0
    while value >= 1023.95, unit < units.count - 1 {
        value /= 1024
        unit += 1
    }
    return "\(decimal(value, places: 1)) \(units[unit])"
}

/// A duration for people: `350 µs`, `12.5 ms`, `3.2 s`.
package func readableDuration(_ nanoseconds: Int64) -> String {
    switch nanoseconds {
    case ..<1_000_000: "\(nanoseconds / 1000) µs"
    case ..<1_000_000_000: "\(decimal(Double(nanoseconds) / 1e6, places: 1)) ms"
    default: "\(decimal(Double(nanoseconds) / 1e9, places: 2)) s"
    }
}

/// A decimal number with a fixed count of places, without the cost of a format string.
package func decimal(_ value: Double, places: Int) -> String {
    var scale = 1
    for _ in 0..<places { scale *= 10 }
    let scaled = Int64((value * Double(scale)).rounded())
    let fraction = String(abs(scaled) % Int64(scale))
    let sign = scaled < 0 ? "-" : ""
    guard places > 0 else { return "\(scaled)" }
    return "\(sign)\(abs(scaled) / Int64(scale)).\(String(repeating: "0", count: places - fraction.utf8.count))\(fraction)"
}
