// The protocol of a connection, detected from its first bytes.

import HTTPSemantics
import NIOCore

/// The likely protocol of a stream, from its first bytes.
enum DetectedProtocol: Equatable {
    /// A TLS record that carries a handshake (RFC 8446 §5.1).
    case tls
    /// A method and a space, or a prefix of that.
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
                self = i > 0 && Self.mayBeRequestLine(bytes) ? .http : .other
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

    /// Other protocols begin with a word in capitals too (NICK of IRC, AUTH of Redis, OPTIONS of RTSP), but a line of theirs, once it is
    /// complete, names no version of HTTP (RFC 9112 §3).
    private static func mayBeRequestLine(_ bytes: ByteBuffer) -> Bool {
        let view = bytes.readableBytesView
        guard let end = view.firstIndex(of: 0x0A) else { return true }
        return view[..<end].contains("HTTP/".utf8)
    }

    /// There are bytes, and they do not begin TLS.
    static func isNotTLS(_ bytes: ByteBuffer) -> Bool { bytes.readableBytesView.first.map { $0 != 0x16 } ?? false }
}
