// Base64 (RFC 4648 §4) as the opening handshake uses it: short values, padded, on one line.

private let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

func base64(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        var bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        bits <<= UInt32(8 * (3 - group.count))
        for i in 0..<4 {
            text.append(i <= group.count ? alphabet[Int(bits >> UInt32(18 - 6 * i) & 63)] : UInt8(ascii: "="))
        }
    }
    return String(decoding: text, as: UTF8.self)
}

/// Whether this is the Base64 form of this many bytes.
func isBase64(_ text: [UInt8], ofBytes count: Int) -> Bool {
    let padding = (3 - count % 3) % 3
    guard text.count == (count + 2) / 3 * 4, text.suffix(padding).allSatisfy({ $0 == UInt8(ascii: "=") }) else { return false }
    return text.dropLast(padding).allSatisfy(alphabet.contains)
}
