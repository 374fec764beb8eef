// HTTP/1 towards a server: one exchange at a time, whose request is written with the framing that HTTP/1 needs (RFC 9112 §6).

import HTTP1Codec
import HTTPSemantics
import NIOCore

/// A connection to a server that speaks HTTP/1.
final class ServerHTTP1 {
    let transport: Transport
    private let context: SessionContext
    let decoder: HTTP1ResponseDecoder
    var exchange: Exchange?
    /// How the content of the request in progress is sent.
    private var content = HTTP1Content.verbatim
    /// Content that waits in the socket: its sender's windows open when it was sent.
    private var unconsumed = 0

    init(_ transport: Transport, _ context: SessionContext) {
        self.transport = transport
        self.context = context
        decoder = HTTP1ResponseDecoder(limits: context.configuration.limits, validation: context.configuration.validation)
    }

    /// Sends the head of the exchange's request.
    /// - Parameters:
    ///   - isForwardProxy: the connection leads to an upstream proxy that gets the absolute form.
    ///   - authorization: the credentials for that proxy, and the treatment of the client's.
    func sendHead(of exchange: Exchange, isForwardProxy: Bool, _ authorization: HTTP1Encoder.ProxyAuthorization) {
        decoder.expectResponse(to: exchange.isHead ? .head : .other)
        let target = isForwardProxy ? exchange.target.absolute(exchange.request) : exchange.target.path
        unconsumed = 0
        guard exchange.request.isFramedByStream else {
            content = .verbatim
            return write(
                HTTP1Encoder.request(
                    exchange.request, framing: exchange.framing, target: target, host: exchange.target.authority,
                    proxyAuthorization: authorization))
        }
        var key: String?
        if case .handshake(let own) = exchange.content { key = own }
        let head = HTTP1Translation.request(
            exchange.request, exchange.framing, target: target, host: exchange.target.authority, webSocketKey: key,
            proxyAuthorization: authorization.sent)
        content = HTTP1Content(of: head)
        write(head.bytes)
    }

    func sendContent(_ bytes: ByteBuffer, wire: ByteBuffer, of exchange: Exchange) throws(ExchangeFailure) {
        let framed = content.bytes(of: bytes, wire: wire)
        if content.isExceeded { throw lengthMismatch(exchange) }
        write(framed)
        // A conversation has a count of its own.
        guard exchange.webSocket == nil else { return }
        unconsumed += bytes.readableBytes
        if transport.isWritable { becameWritable() }
    }

    func sendEnd(_ trailers: FieldSection?, wire: ByteBuffer, of exchange: Exchange) throws(ExchangeFailure) {
        if exchange.isUpgraded { return transport.finish(context) }
        if content.hasLengthMismatch { throw lengthMismatch(exchange) }
        write(content.end(trailers, wire: wire))
    }

    /// A client of HTTP/2 sent less or more than its Content-Length, which lenient validation accepts; the server would read the rest as
    /// another request, or wait for it.
    private func lengthMismatch(_ exchange: Exchange) -> ExchangeFailure {
        let size = exchange.sizes.request
        return ExchangeFailure(
            status: 400, side: .client, message: "the request's content is \(size) bytes long, which its Content-Length contradicts"
        )
    }

    /// The server accepts bytes again.
    func becameWritable() {
        guard let exchange else { return }
        let bytes = unconsumed + (exchange.webSocket?.takeUnconsumed(from: .client) ?? 0)
        unconsumed = 0
        if bytes > 0 { exchange.requestForwarded(bytes) }
    }

    private func write(_ bytes: ByteBuffer) { transport.write(bytes, context) }
}
