// The common vocabulary of HTTP/1 and HTTP/2: the events that a codec reads from a peer, one message after the other on each stream.

import NIOCore

/// Identifies a stream within one connection. HTTP/2: the stream identifier. HTTP/1: 1 for the first exchange, then 2, 3, ….
@usableFromInline package struct StreamID: Sendable, Hashable, CustomStringConvertible {
    @usableFromInline package let value: UInt32

    @inlinable package init(_ value: UInt32) { self.value = value }
    @usableFromInline package var description: String { "\(value)" }
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

/// An event of a client on one stream: a head, content, an end. Each states whether it is the last of its message, so a request without content
/// is one event.
package enum RequestEvent: Sendable, Equatable {
    case head(RequestHead, BodyFraming, isLast: Bool)
    /// - content: a part of the content, transfer codings removed. Empty when only framing came, such as the CRLF of a chunk.
    /// - wire: the bytes as they came, framing included. Concatenated over a message they are exactly what was received, so a
    ///   message that keeps its version is forwarded unchanged by sending `wire`.
    case content(ByteBuffer, wire: ByteBuffer, isLast: Bool)
    /// The message is complete, and no other event stated so. `trailers` is nil without a trailer section; `wire` has its framing bytes.
    case end(trailers: FieldSection?, wire: ByteBuffer)
}

/// An event of a server on one stream: any number of interim heads, a head, content, an end. See ``RequestEvent`` for the cases' values.
package enum ResponseEvent: Sendable, Equatable {
    /// A 1xx response other than 101.
    case interim(ResponseHead)
    case head(ResponseHead, BodyFraming, isLast: Bool)
    case content(ByteBuffer, wire: ByteBuffer, isLast: Bool)
    case end(trailers: FieldSection?, wire: ByteBuffer)
}

/// Which of the two peers of the proxy.
package enum Side: UInt8, Sendable, Hashable {
    case client = 0
    case server = 1

    package var opposite: Side { self == .client ? .server : .client }
}
