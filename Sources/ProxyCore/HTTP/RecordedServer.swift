// A recorded server of one exchange: an endpoint like one of HTTP/1 or HTTP/2. It keeps the request until it is complete, and
// returns the events of the recorded response.

import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore
import WebSocketCodec

/// The recorded server of an exchange.
final class RecordedServer {
    /// What it waits for.
    enum Waiting: Equatable {
        /// The client: its request, or its next data.
        case client
        case moment(Timestamp)
        /// The client is not writable.
        case room
    }

    /// The wire form of a recorded event.
    enum Outcome {
        case event(ResponseEvent)
        /// Invisible to a client.
        case nothing
        /// The recording contradicts itself; the client sees a cut.
        case cut(String)
    }

    /// Requests with more content are not looked up.
    private static let maximumQueryContent = 64 * 1024 * 1024

    private enum State {
        /// The content of a request that is not complete.
        case buffering(ByteBuffer)
        /// The player answers while the client still sends its request.
        case duplex(any ServerPlayer)
        /// The player answers a request that is complete.
        case answering(any ServerPlayer)
        case over
    }

    private let context: SessionContext
    private var state = State.buffering(ByteBuffer())
    /// 100 Continue was sent already (RFC 9110 §10.1.1).
    var sent100Continue = false
    var waiting = Waiting.client
    private var trailers: FieldSection?
    /// The content length that the head of the response declares.
    private var promised: UInt64?
    /// The response is sent in chunks.
    private var isChunked = false
    /// The client's close frame in a conversation.
    private(set) var closeFrame: ByteBuffer?

    init(_ context: SessionContext) { self.context = context }

    /// The player that answers.
    var player: (any ServerPlayer)? {
        switch state {
        case .duplex(let player), .answering(let player): player
        case .buffering, .over: nil
        }
    }

    // MARK: The request

    /// A player answers while the request continues.
    func startDuplex(_ player: any ServerPlayer) { state = .duplex(player) }

    /// A player answers the request, which is complete.
    func start(_ player: any ServerPlayer) { state = .answering(player) }

    /// The player that answers while the request continues.
    var duplexPlayer: (any ServerPlayer)? {
        if case .duplex(let player) = state { player } else { nil }
    }

    /// No player answers the request yet.
    var awaitsAnswer: Bool {
        if case .buffering = state { true } else { false }
    }

    /// Content of the request.
    func receive(_ bytes: ByteBuffer, of exchange: Exchange) throws(ExchangeFailure) {
        // Messages of a conversation are delivered one by one.
        if exchange.webSocket != nil { return }
        exchange.client.consumed(bytes.readableBytes)
        var content: ByteBuffer
        switch state {
        case .duplex(let player): return player.receive(FlowPiece(from: .client, content: bytes), at: context.now)
        case .answering, .over: return
        case .buffering(let buffered): content = buffered
        }
        // The buffer has one owner while it grows, so that it is not copied.
        state = .over
        content.writeImmutableBuffer(bytes)
        state = .buffering(content)
        guard content.readableBytes <= Self.maximumQueryContent else {
            let message = "the request's content is larger than the \(Self.maximumQueryContent) bytes that are looked up"
            throw ExchangeFailure(status: 413, side: .client, message: message)
        }
    }

    /// The query for a responder.
    func query(_ exchange: Exchange) -> RecordedRequestQuery {
        var content = ByteBuffer()
        if case .buffering(let buffered) = state { content = buffered }
        let offer = try? WebSocketHandshake.offer(in: exchange.request)
        let scheme = exchange.destination.isTLS == true ? "https" : "http"
        return RecordedRequestQuery(
            head: exchange.request, target: FlowTarget(scheme: scheme, exchange.destination.endpoint), content: content,
            sent100Continue: sent100Continue, isExtendedConnect: exchange.isExtendedConnect,
            accept: offer.map { WebSocketHandshake.accept(for: $0.key) })
    }

    /// A message of the client in a conversation.
    func deliver(_ piece: FlowPiece) {
        player?.receive(piece, at: context.now)
        if piece.kind == .close { closeFrame = piece.content }
    }

    // MARK: The response

    /// The next event of the recording, in its wire form.
    func event(_ what: FlowEvent.What, of exchange: Exchange) -> Outcome {
        switch what {
        case .interim(let head):
            return .event(.interim(head))
        case .response(let head):
            let framing = framing(of: head, exchange)
            isChunked = framing == .chunked
            let isBodiless = exchange.isHead || head.status == 204 || head.status == 304
            switch framing {
            case .length(let length): promised = length
            case .none where !isBodiless: promised = 0
            default: break
            }
            return .event(.head(head, framing, isLast: false))
        case .piece(let piece):
            let bytes = piece.kind == .data ? piece.content : Self.frame(piece)
            if let promised, exchange.sizes.response + UInt64(bytes.readableBytes) > promised {
                // A client would read the rest as another response.
                return .cut("the recording holds more than the \(promised) bytes of content that the response promises")
            }
            let wire = isChunked ? HTTP1Encoder.chunk(bytes) : exchange.isBodiless ? ByteBuffer() : bytes
            return .event(.content(bytes, wire: wire, isLast: false))
        case .trailers(_, let fields):
            trailers = fields
            return .nothing
        case .finished:
            if let promised, promised != exchange.sizes.response {
                return .cut("the recording holds \(exchange.sizes.response) of \(promised) bytes of the response's content")
            }
            return .event(.end(trailers: trailers, wire: isChunked ? HTTP1Encoder.lastChunk(trailers: trailers) : ByteBuffer()))
        case .opened, .server, .client, .request, .note, .malformed, .localReply, .redacted, .cut, .ended:
            return .nothing
        }
    }

    /// RFC 9112 §6.3.
    private func framing(of head: ResponseHead, _ exchange: Exchange) -> BodyFraming {
        if exchange.isExtendedConnect { return .stream }
        if head.status == 101 { return .tunnel }
        if exchange.isHead || head.status == 204 || head.status == 304 { return .none }
        if exchange.client.isMultiplexed || head.isFramedByStream { return player?.hasContent == false ? .none : .stream }
        if head.fields.transferCodings.last?.equalsIgnoringCase("chunked") == true { return .chunked }
        guard let length = head.fields.contentLength else { return .untilClose }
        return length == 0 ? .none : .length(length)
    }

    /// A recorded message as a frame of a server.
    static func frame(_ piece: FlowPiece) -> ByteBuffer {
        let opcode: WebSocketOpcode =
            switch piece.kind {
            case .data, .binary: .binary
            case .text: .text
            case .ping: .ping
            case .pong: .pong
            case .close: .close
            }
        return WebSocketFrameEncoder.frame(opcode, piece.content, maskingKey: nil)
    }

    /// The recording has nothing more.
    func stop() { state = .over }
}
