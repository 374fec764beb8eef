// The protocol that a request asks to change to. The codecs find it once, when they read the head.

import NIOCore

/// The protocol after the request if the server accepts: by Upgrade of HTTP/1.1 (RFC 9110 §7.8), or by extended CONNECT (RFC 8441 §4).
package enum UpgradeProtocol: Sendable, Hashable {
    case webSocket
    /// HTTP/2 without TLS (RFC 7540 §3.2).
    case h2c
    case other

    /// Reads the Upgrade field of HTTP/1.1.
    /// - Returns: nil if the request asks for no upgrade: without `Connection: upgrade` the field has no effect.
    package init?(_ wire: ByteBuffer, _ method: ByteRange, _ version: HTTPVersion, _ fields: FieldSection) {
        guard version == .http1_1, fields.contains("upgrade"), fields.list("connection", contains: "upgrade") else { return nil }
        if fields.list("upgrade", contains: "websocket"), wire.equals(method, "GET") {
            self = .webSocket
        } else if fields.list("upgrade", contains: "h2c"), fields.contains("http2-settings") {
            self = .h2c
        } else {
            self = .other
        }
    }

    /// Reads the value of :protocol in a CONNECT of HTTP/2.
    package init(_ wire: ByteBuffer, protocolValue value: ByteRange) {
        self = wire.equalsIgnoringCase(value, "websocket") ? .webSocket : .other
    }
}
