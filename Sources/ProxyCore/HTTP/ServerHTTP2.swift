// HTTP/2 towards a server: an exchange for each stream (RFC 9113 §8), and the data for retries of its requests (RFC 9113 §8.7).

import HTTP2Codec
import HTTPSemantics
import NIOCore

/// A connection to a server that speaks HTTP/2.
final class ServerHTTP2 {
    let transport: Transport
    let connection: HTTP2Connection
    /// By the streams of this connection.
    private(set) var exchanges = StreamTable<Exchange>()
    /// The server's GOAWAY.
    var goAway: GoAway?
    /// Bytes in the retry buffers of its exchanges.
    private var retryBytes = 0

    init(_ transport: Transport, _ connection: HTTP2Connection) {
        self.transport = transport
        self.connection = connection
    }

    /// In the order of the client's streams.
    var inOrder: [Exchange] { exchanges.isEmpty ? [] : exchanges.inOrder.sorted { $0.client.order < $1.client.order } }

    /// Sends the head of an exchange's request.
    /// - Returns: its stream; nil if the connection accepts no more requests.
    func sendHead(of exchange: Exchange, priority: HTTP2Priority?, update: ByteBuffer?) -> StreamID? {
        let opensWebSocket = if case .handshake = exchange.content { true } else { false }
        let fields = HTTP2Fields(
            exchange.request, exchange.framing, target: exchange.target.path, authority: exchange.target.authority,
            isTLS: transport.tls != nil, opensWebSocket: opensWebSocket)
        let stream = connection.sendRequest(
            fields, endsStream: exchange.framing == .none && !opensWebSocket, isHead: exchange.isHead,
            isTunnel: exchange.request.isMethod("CONNECT") || opensWebSocket, priority: priority)
        guard let stream else { return nil }
        exchanges[stream] = exchange
        if exchange.framing != .none {
            if exchange.retry == nil { exchange.retry = RetryBuffer() }
            exchange.retry?.begin()
        }
        if let update { connection.sendPriorityUpdate(update, on: stream) }
        return stream
    }

    /// The upgrade that an exchange requested is accepted: its response follows on stream 1 (RFC 7540 §3.2).
    func continueUpgraded(_ exchange: Exchange) -> ServerStream {
        exchanges[StreamID(1)] = exchange
        return .http2(self, StreamID(1))
    }

    func sendContent(_ content: ByteBuffer, of exchange: Exchange, on stream: StreamID) {
        // The client's window opens when nghttp2 has sent it.
        connection.sendData(content, on: stream)
        keep(content, of: exchange)
    }

    func sendEnd(_ trailers: FieldSection?, of exchange: Exchange, on stream: StreamID) {
        guard exchange.framing != .none || exchange.isUpgraded else { return }
        exchange.retry?.end(trailers)
        connection.sendEnd(trailers: trailers.map { HTTP2Fields(trailers: $0) }, on: stream)
    }

    /// Keeps sent content, as long as it is little.
    private func keep(_ content: ByteBuffer, of exchange: Exchange) {
        // In place: a copy of the buffer would be written into a buffer of its own.
        guard exchange.retry?.isWhole == true else { return }
        let size = content.readableBytes
        guard (exchange.retry?.bytes ?? 0) + size <= FlowControl.highWaterMark,
            retryBytes + size <= FlowControl.maximumRetryBufferBytes,
            case .none = exchange.response, exchange.webSocket == nil
        else { return releaseRetryBuffer(of: exchange) }
        retryBytes += size
        exchange.retry?.append(content)
    }

    /// The retry buffer of a request is not needed any more.
    func releaseRetryBuffer(of exchange: Exchange) {
        guard let retry = exchange.retry, retry.isWhole else { return }
        retryBytes -= retry.bytes
        exchange.retry?.discard()
    }

    func forget(_ stream: StreamID) { exchanges[stream] = nil }
}
