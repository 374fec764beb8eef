// HTTP/2 towards a client: an exchange for each stream (RFC 9113 §8).

import HTTP2Codec
import HTTPSemantics
import NIOCore

/// The connection of a client that speaks HTTP/2.
final class ClientHTTP2 {
    let connection: HTTP2Connection
    /// By their streams.
    var exchanges = StreamTable<Exchange>()
    var resetLimit: ResetRateLimit
    var pendingPriorities = PendingPriorities()

    init(_ connection: HTTP2Connection, _ configuration: ProxyConfiguration) {
        self.connection = connection
        resetLimit = ResetRateLimit(configuration.http2Limits)
    }

    /// In the order of their streams.
    var inOrder: [Exchange] { exchanges.inOrder }

    // MARK: The response

    func sendInterim(_ head: ResponseHead, on stream: StreamID) {
        connection.sendInterim(HTTP2Fields(head, .tunnel), on: stream)
    }

    func sendHead(_ head: ResponseHead, _ framing: BodyFraming, on stream: StreamID) {
        connection.sendResponse(HTTP2Fields(head, framing), on: stream, endsStream: framing == .none)
    }

    func sendContent(_ content: ByteBuffer, of exchange: Exchange, on stream: StreamID) {
        // Content that is not sent counts as forwarded.
        guard !exchange.isBodiless else { return exchange.responseForwarded(content.readableBytes) }
        connection.sendData(content, on: stream)
    }

    func sendEnd(_ trailers: FieldSection?, on stream: StreamID) {
        connection.sendEnd(trailers: trailers.map { HTTP2Fields(trailers: $0) }, on: stream)
    }

    /// A server of HTTP/1 accepts the conversation that the client asked for (RFC 8441 §5).
    func accept(_ head: ResponseHead, on stream: StreamID) {
        connection.sendResponse(HTTP2Fields(accepting: head), on: stream, endsStream: false)
    }
}
