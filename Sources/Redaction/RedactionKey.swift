// The text that stands for a hidden value. It has no length of the value: `«redacted»`, or `«redacted:0123456789abcdef»` with the first 64
// bits of HMAC-SHA-256 (RFC 2104), so equal values stay equal and cannot be guessed without the key.

import Digests
import HTTPSemantics
import NIOCore

/// The key of the hashes. It is never written into a recording.
package struct RedactionKey: Sendable {
    /// Bytes of a key.
    package static let size = 32

    private let hmac: HMACSHA256

    /// - Parameter bytes: ``size`` random bytes.
    /// - Returns: nil for another number of bytes.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.size else { return nil }
        hmac = HMACSHA256(key: bytes)
    }

    /// The text by which recordings name the key: `#key:` and 64 bits that tell nothing about it. It is not a rule.
    package var name: String { Self.namePrefix + String(buffer: digits(of: ByteBuffer(string: "the name of this key"))) }

    package static let namePrefix = "#key:"

    /// `«redacted:0123456789abcdef»`.
    func marker(of value: ByteBuffer) -> ByteBuffer {
        var marker = ByteBuffer()
        marker.writeImmutableBuffer(RedactionMarker.hashStart)
        marker.writeImmutableBuffer(digits(of: value))
        marker.writeImmutableBuffer(RedactionMarker.end)
        return marker
    }

    private func digits(of value: ByteBuffer) -> ByteBuffer {
        var text = ByteBuffer()
        for byte in hmac.code(value).prefix(RedactionMarker.hashBytes) {
            text.writeInteger(RedactionMarker.digits[Int(byte >> 4)])
            text.writeInteger(RedactionMarker.digits[Int(byte & 15)])
        }
        return text
    }
}

/// The text that replaces a value.
package enum RedactionMarker {
    /// `«redacted»` in UTF-8.
    package static let mask = ByteBuffer(string: "«redacted»")
    static let hashBytes = 8
    fileprivate static let hashStart = ByteBuffer(string: "«redacted:")
    fileprivate static let end = ByteBuffer(string: "»")
    fileprivate static let digits = Array("0123456789abcdef".utf8)

    /// Whether a value is a marker: it was hidden before, and stays as it is.
    package static func isMarker(_ value: ByteBuffer) -> Bool {
        let count = value.readableBytes
        // Most values end here.
        guard count == mask.readableBytes || count == hashStart.readableBytes + 2 * hashBytes + end.readableBytes,
            value.byte(at: 0) == 0xC2
        else { return false }
        if count == mask.readableBytes { return value == mask }
        let view = value.readableBytesView
        return view.starts(with: hashStart.readableBytesView) && view.suffix(end.readableBytes).elementsEqual(end.readableBytesView)
            && view.dropFirst(hashStart.readableBytes).prefix(2 * hashBytes).allSatisfy { digits.contains($0) }
    }
}
