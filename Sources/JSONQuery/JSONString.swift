// The text of a JSON string without loss. JSON can contain half of a surrogate pair (RFC 8259 section 8.2), which a Swift String
// cannot, and Swift compares strings by canonical equivalence, while JSON strings are equal if their code points are.

import NIOCore

/// The code points of a string in UTF-8. Half of a surrogate pair without its other half is encoded in the three bytes that UTF-8
/// would use for it (WTF-8). Bytes of the text that are not UTF-8 stay unchanged.
package struct JSONString: Sendable, Hashable, Comparable, ExpressibleByStringLiteral {
    package var bytes: ByteBuffer

    package init(bytes: ByteBuffer) { self.bytes = bytes }

    package init(_ text: String) { bytes = ByteBuffer(string: text) }

    package init(stringLiteral text: String) { self.init(text) }

    /// Bytes that are not Unicode text become U+FFFD.
    package var text: String { String(decoding: bytes.readableBytesView, as: UTF8.self) }

    /// Compares code points.
    package static func < (a: JSONString, b: JSONString) -> Bool {
        a.bytes.readableBytesView.lexicographicallyPrecedes(b.bytes.readableBytesView)
    }
}
