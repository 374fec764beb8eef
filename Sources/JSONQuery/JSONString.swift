// The text of a JSON string without a loss. JSON can write half of a surrogate pair (RFC 8259 section 8.2), which no Swift String can hold,
// and Swift compares strings by what they look like, while JSON's are equal when their code points are.

import NIOCore

/// A string's code points as UTF-8. Half of a surrogate pair without its other half stands as the three bytes that UTF-8 would have for it
/// (WTF-8). Bytes of the text that are not UTF-8 stand as they are.
package struct JSONString: Sendable, Hashable, Comparable, ExpressibleByStringLiteral {
    package var bytes: ByteBuffer

    package init(bytes: ByteBuffer) { self.bytes = bytes }

    package init(_ text: String) { bytes = ByteBuffer(string: text) }

    package init(stringLiteral text: String) { self.init(text) }

    /// What is not Unicode text becomes U+FFFD.
    package var text: String { String(decoding: bytes.readableBytesView, as: UTF8.self) }

    /// By code points.
    package static func < (a: JSONString, b: JSONString) -> Bool {
        a.bytes.readableBytesView.lexicographicallyPrecedes(b.bytes.readableBytesView)
    }
}
