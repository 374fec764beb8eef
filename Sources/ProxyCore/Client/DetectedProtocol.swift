// The protocol of a connection, detected from its first bytes.

import HTTPSemantics
import NIOCore

/// The likely protocol of a stream, from its first bytes.
enum DetectedProtocol: Equatable {
    /// A TLS record that carries a handshake (RFC 8446 §5.1).
    case tls
    /// A line that begins with a method and names a version of HTTP.
    case http
    case other
    case undecided

    /// - Parameter bytes: the first bytes of the client.
    init(_ bytes: ByteBuffer) {
        let span = bytes.readableBytesUInt8Span
        guard span.count > 0 else {
            self = .undecided
            return
        }
        if span[0] == 0x16 {
            self = span.count < 2 ? .undecided : span[1] == 0x03 ? .tls : .other
            return
        }
        // No registered method is longer than 17 letters; some have digits or hyphens (RFC 9110 §16.1.1).
        for i in 0..<min(span.count, 24) {
            if span[i] == 0x20 {
                self = i > 0 ? Self.requestLine(bytes) : .other
                return
            }
            let isLetter = span[i] &- 0x41 < 26
            let isLaterCharacter = i > 0 && (span[i] == 0x2D || span[i] == 0x5F || span[i] &- 0x30 < 10)
            guard isLetter || isLaterCharacter else {
                self = .other
                return
            }
        }
        self = span.count >= 24 ? .other : .undecided
    }

    /// A longer line is left to the decoder.
    private static let maximumLine = 16 * 1024

    /// Other protocols begin with a word in capitals too (NICK of IRC, AUTH of Redis, OPTIONS of RTSP), but their lines name no version of HTTP
    /// (RFC 9112 §3). The answer does not depend on the way in which the line arrives.
    private static func requestLine(_ bytes: ByteBuffer) -> DetectedProtocol {
        let view = bytes.readableBytesView
        let end = view.firstIndex(of: 0x0A)
        if view[..<(end ?? view.endIndex)].contains("HTTP/".utf8) { return .http }
        return end != nil ? .other : view.count < maximumLine ? .undecided : .http
    }

    /// There are bytes, and they do not begin TLS.
    static func isNotTLS(_ bytes: ByteBuffer) -> Bool { bytes.readableBytesView.first.map { $0 != 0x16 } ?? false }
}
