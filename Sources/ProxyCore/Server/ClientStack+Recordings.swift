// Exchanges and streams whose server is played from a recording: the request is gathered, the responder asked, and what its server says goes
// the way of what a real one says.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import WebSocketCodec

extension ClientStack {
    /// Requests with more content are not looked up.
    private static let maximumQueryContent = 64 * 1024 * 1024
    /// Content that is played in one go; then others have their turn.
    static let maximumContentAtOnce = 256 * 1024

    // MARK: Asking

    /// The request will be answered by the responder, when it is complete.
    func bufferRequest(_ exchange: Exchange) {
        exchange.recorded = RecordedServer()
        if exchange.framing != .none, exchange.request.version != .http1_0,
            exchange.request.fields.list("expect", contains: "100-continue")
        {
            exchange.recorded?.sent100Continue = true
            let head = ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")
            sendInterim(ResponseHead(parsing: head, version: .http1_1), of: exchange)
        }
        if exchange.framing == .chunked || exchange.framing == .stream, !exchange.isExtendedConnect,
            let server = configuration.responder?.answerDuplex(query(exchange), at: now)
        {
            exchange.recorded?.server = server
            exchange.recorded?.isDuplex = true
        }
        guard exchange.requestIsComplete || exchange.isExtendedConnect else { return advanceRequests() }
        lookUp(exchange)
        if exchange.requestIsComplete, exchange.recorded?.server != nil { resume(exchange) }
    }

    /// Content of a request that is being gathered.
    /// - Returns: false when the exchange is none of ours.
    func buffered(_ content: ByteBuffer, of exchange: Exchange) -> Bool {
        guard exchange.recorded != nil else { return false }
        if exchange.webSocket != nil { return true }
        http2?.consumed(content.readableBytes, on: exchange.stream)
        if exchange.recorded?.isDuplex == true {
            exchange.recorded?.server?.receive(FlowPiece(from: .client, content: content), at: now)
            return true
        }
        exchange.recorded?.content.writeImmutableBuffer(content)
        if exchange.recorded?.content.readableBytes ?? 0 > Self.maximumQueryContent {
            let message = "the request's content is larger than the \(Self.maximumQueryContent) bytes that are looked up"
            fail(exchange, status: 413, FlowError(side: .client, message: message, at: now))
        }
        return true
    }

    /// The request is complete.
    func lookUp(_ exchange: Exchange) {
        guard let responder = configuration.responder, let recorded = exchange.recorded else { return }
        if recorded.isDuplex, let server = recorded.server { return server.clientFinished(at: now) }
        guard recorded.server == nil else { return }
        switch responder.answer(query(exchange), at: now) {
        case .play(let server):
            exchange.recorded?.server = server
            exchange.recorded?.content = ByteBuffer()
        case .refuse(let status, let message):
            fail(exchange, status: status, FlowError(side: nil, message: message, at: now))
        case .close(let message, let isReset):
            let ending = FlowEnding(state: .failed, error: FlowError(side: nil, message: message, at: now))
            end(exchange, ending, status: nil, isReset: isReset, code: .internalError)
        case .forward(let endpoint, let isTLS):
            exchange.recorded = nil
            exchange.forward(to: Destination(endpoint: endpoint, isTLS: isTLS))
            if recorded.content.readableBytes > 0 {
                let isChunked = exchange.framing == .chunked
                let wire = isChunked ? HTTP1Encoder.chunk(recorded.content) : recorded.content
                sendContent(recorded.content, wire: wire, of: exchange)
            }
            assignServer(for: exchange)
        }
    }

    private func query(_ exchange: Exchange) -> RecordedRequestQuery {
        let offer = try? WebSocketHandshake.offer(in: exchange.request)
        let scheme = exchange.destination.isTLS == true ? "https" : "http"
        return RecordedRequestQuery(
            head: exchange.request, target: FlowTarget(scheme: scheme, exchange.destination.endpoint),
            content: exchange.recorded?.content ?? ByteBuffer(), sent100Continue: exchange.recorded?.sent100Continue ?? false,
            isExtendedConnect: exchange.isExtendedConnect, accept: offer.map { WebSocketHandshake.accept(for: $0.key) })
    }

    // MARK: Playing

    /// Lets the played servers go on: those whose time has come, and those whose client has said or taken something.
    func resumeRecordings() {
        if case .tunnel(let tunnel) = phase, tunnel.player != nil { resumeTunnel() }
        if let exchange, exchange.recorded?.server != nil { resume(exchange) }
        for exchange in exchanges.values where exchange.recorded?.server != nil { resume(exchange) }
        var due: Timestamp?
        if case .tunnel(let tunnel) = phase { due = tunnel.player?.due }
        for moment in [exchange?.recorded?.due] + exchanges.values.map({ $0.recorded?.due }) {
            if let moment, moment < due ?? moment.advanced(byNanoseconds: 1) { due = moment }
        }
        if let due { context.deadlines.set(deadline(.replay), at: due) }
    }

    /// Frames have moved out, which no event tells: servers that waited for it go on.
    func resumeAfterFlush() {
        guard http2 != nil, client.isWritable else { return }
        let isRoom = exchanges.values.contains { $0.recorded?.waitsForRoom == true && canAcceptMore($0) }
        if isRoom { context.start(deadline(.replay), after: 0) }
    }

    /// Whether the client takes more of a response.
    private func canAcceptMore(_ exchange: Exchange) -> Bool {
        guard let http2 else { return client.isWritable }
        return http2.queuedBytes(on: exchange.stream) < FlowControl.highWaterMark
    }

    /// Lets the server of an exchange go on. A request has ended by then, unless it is answered while it goes on.
    func resume(_ exchange: Exchange) {
        exchange.recorded?.due = nil
        exchange.recorded?.waitsForRoom = false
        var budget = Self.maximumContentAtOnce
        while !exchange.responseIsComplete, let server = exchange.recorded?.server {
            guard canAcceptMore(exchange) else {
                exchange.recorded?.waitsForRoom = true
                return
            }
            guard budget > 0 else {
                exchange.recorded?.due = now
                return
            }
            switch step(of: server) {
            case .say(let what):
                lastActivity = now
                if case .piece(let piece) = what { budget -= piece.content.readableBytes }
                say(what, of: exchange)
            case .wait(let moment):
                exchange.recorded?.due = moment
                return
            case .waitForClient:
                return answerCloseFrame(of: exchange)
            case .end(let ending):
                return endRecorded(exchange, ending)
            }
        }
    }

    /// What a server does next. A recording that cannot be read ends there.
    func step(of server: any ServerPlayer) -> ServerStep {
        // Nothing but a line in the log tells of it.
        defer { for complaint in server.takeComplaints() { log(.error, "\(clientFacts.value.peer): \(complaint)") } }
        do {
            return try server.next(at: now)
        } catch {
            log(.error, "\(clientFacts.value.peer): \(error); the client sees a cut")
            configuration.responder?.couldNotRead()
            return .end(FlowEnding(state: .incomplete, error: FlowError(side: nil, message: "\(error)", at: now)))
        }
    }

    private func say(_ what: FlowEvent.What, of exchange: Exchange) {
        switch what {
        case .interim(let head):
            receiveResponse(.interim(head), of: exchange, at: now)
        case .response(let head):
            let framing = framing(of: head, exchange)
            exchange.chunksResponse = framing == .chunked && exchange.request.version == .http1_1
            let isBodiless = exchange.isHead || head.status == 204 || head.status == 304
            switch framing {
            case .length(let length): exchange.recorded?.promised = length
            case .none where !isBodiless: exchange.recorded?.promised = 0
            default: break
            }
            receiveResponse(.head(head, framing, isLast: false), of: exchange, at: now)
        case .piece(let piece):
            let bytes = piece.kind == .data ? piece.content : frame(piece)
            if let promised = exchange.recorded?.promised, exchange.responseSize + UInt64(bytes.readableBytes) > promised {
                // A client would read the rest as another response.
                let message = "the recording holds more than the \(promised) bytes of content that the response promises"
                let error = FlowError(side: nil, message: message, at: now)
                return endRecorded(exchange, FlowEnding(state: .incomplete, error: error))
            }
            receiveResponse(.content(bytes, wire: bytes, isLast: false), of: exchange, at: now)
        case .trailers(_, let fields):
            exchange.recorded?.trailers = fields
        case .finished:
            if let promised = exchange.recorded?.promised, promised != exchange.responseSize {
                let message = "the recording holds \(exchange.responseSize) of \(promised) bytes of the response's content"
                let error = FlowError(side: nil, message: message, at: now)
                return endRecorded(exchange, FlowEnding(state: .incomplete, error: error))
            }
            receiveResponse(.end(trailers: exchange.recorded?.trailers, wire: ByteBuffer()), of: exchange, at: now)
        case .opened, .server, .client, .request, .note, .malformed, .localReply, .ended:
            break
        }
    }

    /// RFC 9112 §6.3.
    private func framing(of head: ResponseHead, _ exchange: Exchange) -> BodyFraming {
        if exchange.isExtendedConnect { return .stream }
        if head.status == 101 { return .tunnel }
        if exchange.isHead || head.status == 204 || head.status == 304 { return .none }
        if http2 != nil || head.version.major >= 2 { return exchange.recorded?.server?.hasContent == false ? .none : .stream }
        if head.fields.transferCodings.last?.equalsIgnoringCase("chunked") == true { return .chunked }
        guard let length = head.fields.contentLength else { return .untilClose }
        return length == 0 ? .none : .length(length)
    }

    /// A recorded message as a frame of a server.
    func frame(_ piece: FlowPiece) -> ByteBuffer {
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

    /// A message of the client in a conversation on a stream of HTTP/2.
    func deliver(_ piece: FlowPiece, of exchange: Exchange) {
        guard let server = exchange.recorded?.server else { return }
        server.receive(piece, at: now)
        if piece.kind == .close { exchange.recorded?.closeFrame = piece.content }
        guard piece.kind == .ping else { return }
        let pong = WebSocketFrameEncoder.frame(.pong, piece.content, maskingKey: nil)
        relayFrames(pong, from: .server, of: exchange, at: now)
    }

    /// A client that says goodbye where the recording has something else gets its answer (RFC 6455 §5.5.1).
    private func answerCloseFrame(of exchange: Exchange) {
        guard let closeFrame = exchange.recorded?.closeFrame, exchange.webSocket?.isClosed == false else { return }
        relayFrames(WebSocketFrameEncoder.frame(.close, closeFrame, maskingKey: nil), from: .server, of: exchange, at: now)
        endRecorded(exchange, FlowEnding(state: .complete))
    }

    /// The recording ends before the exchange is complete: the client sees the same cut.
    private func endRecorded(_ exchange: Exchange, _ ending: FlowEnding) {
        var ending = ending
        if ending.error == nil {
            ending.error = FlowError(side: .server, message: "the recording of the response ends here", at: now)
        }
        let code = HTTP2ErrorCode(namedIn: ending.error?.message ?? "") ?? .internalError
        // What is left is the client's to say.
        if exchange.responseIsComplete {
            exchange.recorded?.server = nil
            return
        }
        if exchange.webSocket?.isClosed == true {
            receiveResponse(.end(trailers: nil, wire: ByteBuffer()), of: exchange, at: now)
            return
        }
        ending.state = exchange.response == nil ? .failed : .incomplete
        end(exchange, ending, status: nil, isReset: ending.isReset, code: code)
    }
}

extension HTTP2ErrorCode {
    /// The code that a sentence of the recording ends with, or has in parentheses.
    fileprivate init?(namedIn message: String) {
        let words = message.split { !$0.isUppercase && $0 != "_" && $0 != "1" }
        let known = (0...13).map { HTTP2ErrorCode(rawValue: $0) }
        guard let found = known.first(where: { code in words.contains { $0 == "\(code)" } }) else { return nil }
        self = found
    }
}
