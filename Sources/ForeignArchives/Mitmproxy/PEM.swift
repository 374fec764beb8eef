// Certificates as text (RFC 7468) and back.

import Foundation
import HTTPSemantics
import NIOCore

private let begin = "-----BEGIN CERTIFICATE-----"
private let end = "-----END CERTIFICATE-----"

/// The first certificate of a PEM text, in DER; nil if there is none.
func certificateDER(ofPEM pem: ByteBuffer) -> ByteBuffer? {
    let text = String(buffer: pem)
    guard let start = text.range(of: begin), let stop = text.range(of: end, range: start.upperBound..<text.endIndex) else {
        return nil
    }
    return decodeBase64(ByteBuffer(substring: text[start.upperBound..<stop.lowerBound]))
}

/// Whether bytes have the outer form of a certificate (RFC 5280 section 4.1): a sequence of the right length that begins with
/// another sequence. A recording may contain anything that a peer sent as its certificate, and other programs reject a whole file
/// for it.
func isCertificate(_ der: ByteBuffer) -> Bool {
    let bytes = der.readableBytesUInt8Span
    // The length of a certificate has two bytes: real ones are between 256 bytes and 64 KiB.
    guard bytes.count > 8, bytes[0] == 0x30, bytes[1] == 0x82 else { return false }
    return (Int(bytes[2]) << 8 | Int(bytes[3])) + 4 == bytes.count && bytes[4] == 0x30
}

/// A certificate in DER as PEM text.
func certificatePEM(ofDER der: ByteBuffer) -> ByteBuffer {
    var out = ByteBuffer(string: begin)
    var text = ByteBuffer(string: Base64.encode(der))
    while text.readableBytes > 0 {
        out.writeString("\n")
        out.writeImmutableBuffer(text.readSlice(length: min(64, text.readableBytes))!)
    }
    out.writeString("\n\(end)\n")
    return out
}
