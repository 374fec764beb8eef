// The vocabulary in which HTTP/1 and HTTP/2 meet: what a codec reads from a peer, one message after the other on each stream.

import NIOCore

/// Identifies a stream within one connection. HTTP/2: the stream identifier. HTTP/1: 1 for the first exchange, then 2, 3, ….
package struct StreamID: Sendable, Hashable, CustomStringConvertible {
    package let value: UInt32

    package init(_ value: UInt32) { self.value = value }
    package var description: String { "\(value)" }
}

/// How the end of a message's content is found (RFC 9112 §6.3).
package enum BodyFraming: Sendable, Hashable {
    /// There is no content.
    case none
    /// Content-Length, in bytes; 0 is ``none``.
    case length(UInt64)
    /// Chunked transfer coding, with chunk extensions and a trailer section.
    case chunked
    /// A response that ends where the connection ends.
    case untilClose
    /// HTTP/2 and later: the stream's own end.
    case stream
    /// No message: bytes of another protocol follow (2xx to CONNECT, 101).
    case tunnel
}

/// What a codec has read from one stream. A message is one head (after any number of interim heads), content, one end.
package enum HTTPEvent: Sendable, Equatable {
    case request(RequestHead, BodyFraming)
    /// A 1xx response other than 101.
    case interim(ResponseHead)
    case response(ResponseHead, BodyFraming)
    /// - content: a piece of the content, transfer codings removed; may be empty when only framing came (a chunk's extension).
    /// - wire: the bytes as they came, framing included. Concatenated over a message they are exactly what was received, so a
    ///   message that stays in its version is passed on unchanged by sending `wire`.
    case body(content: ByteBuffer, wire: ByteBuffer)
    /// The message is complete. `trailers` is nil when there was no trailer section, `wire` its framing bytes.
    case end(trailers: FieldSection?, wire: ByteBuffer)
}

/// Which of the two peers of the proxy.
package enum Side: UInt8, Sendable, Hashable {
    case client = 0
    case server = 1

    package var opposite: Side { self == .client ? .server : .client }
}
