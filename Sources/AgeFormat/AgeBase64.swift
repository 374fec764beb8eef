// Base64 as age has it (C2SP age, "Conventions"): the standard alphabet, no padding, and only the canonical text of the bytes.

import HTTPSemantics
import NIOCore

/// Base64 without padding.
enum AgeBase64 {
    static func encode(_ bytes: [UInt8]) -> String {
        var text = Substring(Base64.encode(ByteBuffer(bytes: bytes)))
        while text.last == "=" { text.removeLast() }
        return String(text)
    }

    /// - Returns: nil when it is not the text that ``encode(_:)`` makes.
    static func decode(_ text: String) -> [UInt8]? {
        guard let decoded = Base64.decode(ByteBuffer(string: text)) else { return nil }
        let bytes = Array(decoded.readableBytesView)
        return encode(bytes) == text ? bytes : nil
    }
}
