// HTTP/1 towards a client: one exchange at a time, whose response is written for the client's version (RFC 9112 §6, §7.1, §9.3.2).

import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore
import WebSocketCodec

/// The connection of a client that speaks HTTP/1.
final class ClientHTTP1 {
    /// The use of the client's bytes.
    enum Input {
        /// There are not enough of them to distinguish HTTP/2 from HTTP/1.
        case undecided
        /// They are requests, which wait in the decoder.
        case requests
        /// Requests are being taken from the decoder, by a caller further up the stack.
        case advancing
    }

    /// The check of the client's first line.
    enum LineCheck {
        /// The line is not whole yet.
        case started(ByteBuffer)
        /// What follows is for the decoder.
        case done
    }

    let transport: Transport
    private let context: SessionContext
    let decoder: HTTP1RequestDecoder
    var exchange: Exchange?
    var input: Input
    var lineCheck: LineCheck
    /// How the content of the response in progress is sent.
    private var content = HTTP1Content.verbatim
    /// Content that waits in the socket: its sender's windows open when it was sent.
    private var unconsumed = 0

    /// - Parameter lineCheck: `done` after CONNECT, whose line was checked.
    init(_ transport: Transport, _ context: SessionContext, lineCheck: LineCheck = .started(ByteBuffer())) {
        self.transport = transport
        self.lineCheck = lineCheck
        self.context = context
        let configuration = context.configuration
        decoder = HTTP1RequestDecoder(limits: configuration.limits, validation: configuration.validation)
        input = configuration.allowsHTTP2 ? .undecided : .requests
    }

    // MARK: The response

    func sendInterim(_ head: ResponseHead, to request: RequestHead) {
        // RFC 9110 §15.2: HTTP/1.0 clients do not know interim responses.
        guard request.version != .http1_0 else { return }
        write(
            head.isFramedByStream
                ? HTTP1Translation.response(head, to: request, isLast: false).bytes : HTTP1Encoder.response(head, framing: .tunnel))
    }

    func sendHead(_ head: ResponseHead, _ framing: BodyFraming, of exchange: Exchange) {
        unconsumed = 0
        // RFC 9112 §7.1: HTTP/1.0 clients do not know chunks.
        guard head.isFramedByStream || (framing == .chunked && exchange.request.version == .http1_0) else {
            content = .verbatim
            return write(HTTP1Encoder.response(head, framing: framing))
        }
        let translated = HTTP1Translation.response(head, to: exchange.request, isLast: true, framing: framing)
        content = exchange.isBodiless ? .none : HTTP1Content(of: translated)
        exchange.connectionUse.endsWithConnection = translated.endsWithConnection
        write(translated.bytes)
    }

    func sendContent(_ bytes: ByteBuffer, wire: ByteBuffer, of exchange: Exchange) {
        write(content.bytes(of: bytes, wire: wire))
        if case .verbatim = content { return }
        // A conversation has a count of its own.
        guard exchange.webSocket == nil else { return }
        unconsumed += bytes.readableBytes
        if transport.isWritable { becameWritable() }
    }

    func sendEnd(_ trailers: FieldSection?, wire: ByteBuffer, of exchange: Exchange) {
        if exchange.isUpgraded { return transport.finish(context) }
        write(content.end(trailers, wire: wire))
    }

    /// The content is longer or shorter than the declared length, which a client that waits for the rest cannot detect (RFC 9112 §6.3, §8).
    var hasLengthMismatch: Bool { content.hasLengthMismatch }

    /// A server of HTTP/2 accepts the conversation that the client asked for (RFC 6455 §4.2.2).
    /// - Returns: what the client sent after its request.
    func switchProtocols(_ head: ResponseHead, key: String) -> ByteBuffer {
        write(HTTP1Translation.switching(head, accept: WebSocketHandshake.accept(for: key)))
        content = .bare(remaining: nil)
        return decoder.takeRest()
    }

    func answer(_ reply: LocalReply) {
        write(reply.head.wire)
        write(reply.content)
    }

    /// The client accepts bytes again.
    func becameWritable() {
        guard let exchange else { return }
        let bytes = unconsumed + (exchange.webSocket?.takeUnconsumed(from: .server) ?? 0)
        unconsumed = 0
        if bytes > 0 { exchange.responseForwarded(bytes) }
    }

    private func write(_ bytes: ByteBuffer) { transport.write(bytes, context) }
}
