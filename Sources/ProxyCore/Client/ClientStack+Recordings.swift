// Exchanges and streams whose server is a recording: the request is buffered, the responder is asked, and the events of its player are
// handled as those of a real server.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import WebSocketCodec

extension ClientStack {
    /// Content that is sent in one go; then others have their turn.
    static let maximumContentAtOnce = 256 * 1024

    // MARK: Asking

    /// The responder will answer the request when it is complete.
    func bufferRequest(_ exchange: Exchange) {
        let recorded = RecordedServer(context)
        exchange.server = .recorded(recorded)
        if exchange.framing != .none, exchange.request.version != .http1_0,
            exchange.request.fields.list("expect", contains: "100-continue")
        {
            recorded.sent100Continue = true
            let head = ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")
            exchange.client.sendInterim(ResponseHead(parsing: head, version: .http1_1), of: exchange)
        }
        if exchange.framing == .chunked || exchange.framing == .stream, !exchange.isExtendedConnect,
            let player = configuration.responder?.answerDuplex(recorded.query(exchange), at: now)
        {
            recorded.startDuplex(player)
            recordings.wake(exchange)
        }
        guard exchange.requestIsComplete || exchange.isExtendedConnect else { return advanceRequests() }
        lookUp(exchange, recorded)
        if exchange.requestIsComplete { resume(exchange, recorded) } else { recordings.wake(exchange) }
    }

    /// The request is complete.
    func lookUp(_ exchange: Exchange, _ recorded: RecordedServer) {
        if let player = recorded.duplexPlayer { return player.clientFinished(at: now) }
        guard let responder = configuration.responder, recorded.awaitsAnswer else { return }
        let query = recorded.query(exchange)
        switch responder.answer(query, at: now) {
        case .play(let player):
            recorded.start(player)
        case .refuse(let status, let message):
            fail(exchange, ExchangeFailure(status: status, side: nil, message: message))
        case .close(let message, let isReset):
            let ending = FlowEnding(state: .failed, error: FlowError(side: nil, message: message, at: now))
            end(exchange, ending, status: nil, isReset: isReset, code: .internalError)
        case .forward(let endpoint, let isTLS):
            exchange.forward(to: Destination(endpoint: endpoint, isTLS: isTLS))
            if query.content.readableBytes > 0 {
                let wire = exchange.framing == .chunked ? HTTP1Encoder.chunk(query.content) : query.content
                sendContent(query.content, wire: wire, of: exchange)
            }
            assignServer(for: exchange)
        }
    }

    // MARK: Answering

    /// Lets the recorded servers continue: those whose time has come, and those whose client has sent or taken something.
    func resumeRecordings() {
        resumeTunnel()
        for exchange in recordings.take(at: now) {
            if let recorded = exchange.server?.recorded { resume(exchange, recorded) }
        }
        var due = recordings.next()
        if case .tunnel(let tunnel) = layer, let moment = tunnel.recorded?.due { due = min(due ?? moment, moment) }
        if let due { context.deadlines.set(deadline(.replay), at: due) }
    }

    /// Frames have been sent, which no event reports: servers that waited for it continue.
    func resumeAfterFlush() {
        if client.isWritable, recordings.hasWoken { context.start(deadline(.replay), after: 0) }
    }

    /// A recorded server waited until its client has taken more.
    func clientTookContent(of exchange: Exchange) {
        if exchange.server?.recorded?.waiting == .room, exchange.client.canAcceptMore { recordings.wake(exchange) }
    }

    private func wait(_ exchange: Exchange, _ recorded: RecordedServer, until moment: Timestamp) {
        recorded.waiting = .moment(moment)
        recordings.add(exchange, at: moment)
    }

    /// Lets the server of an exchange continue. A request has ended by then, unless it is answered while the client still sends it.
    func resume(_ exchange: Exchange, _ recorded: RecordedServer) {
        guard recorded.player != nil else { return }
        recorded.waiting = .client
        var budget = Self.maximumContentAtOnce
        while !exchange.responseIsComplete, let player = recorded.player {
            guard exchange.client.canAcceptMore else {
                recorded.waiting = .room
                return
            }
            guard budget > 0 else {
                return wait(exchange, recorded, until: now)
            }
            switch step(of: player) {
            case .say(let what):
                lastActivity = now
                if case .piece(let piece) = what { budget -= piece.content.readableBytes }
                switch recorded.event(what, of: exchange) {
                case .event(let event):
                    receiveResponse(event, of: exchange, at: now)
                case .nothing:
                    break
                case .cut(let message):
                    let error = FlowError(side: nil, message: message, at: now)
                    endRecorded(exchange, recorded, FlowEnding(state: .incomplete, error: error))
                }
            case .wait(let moment):
                return wait(exchange, recorded, until: moment)
            case .waitForClient:
                return answerCloseFrame(of: exchange, recorded)
            case .end(let ending):
                return endRecorded(exchange, recorded, ending)
            }
        }
    }

    /// The next step of a recorded server. A recording that cannot be read ends there.
    func step(of player: any ServerPlayer) -> ServerStep {
        // Only a line in the log reports it.
        defer { for complaint in player.takeComplaints() { log(.error, "damage", "\(clientFacts.value.peer): \(complaint)") } }
        do {
            return try player.next(at: now)
        } catch {
            log(.error, "damage", "\(clientFacts.value.peer): \(error); the client sees a cut")
            configuration.responder?.couldNotRead()
            return .end(FlowEnding(state: .incomplete, error: FlowError(side: nil, message: "\(error)", at: now)))
        }
    }

    /// A message of the client in a conversation on a stream of HTTP/2.
    func deliver(_ piece: FlowPiece, in conversation: Conversation, of exchange: Exchange) {
        guard let recorded = exchange.server?.recorded else { return }
        recorded.deliver(piece)
        recordings.wake(exchange)
        guard piece.kind == .ping else { return }
        let pong = WebSocketFrameEncoder.frame(.pong, piece.content, maskingKey: nil)
        relayFrames(pong, from: .server, in: conversation, of: exchange, at: now)
    }

    /// A client that closes where the recording has something else gets its answer (RFC 6455 §5.5.1).
    private func answerCloseFrame(of exchange: Exchange, _ recorded: RecordedServer) {
        guard let closeFrame = recorded.closeFrame, let conversation = exchange.webSocket, !conversation.relay.isClosed else {
            return
        }
        let frame = WebSocketFrameEncoder.frame(.close, closeFrame, maskingKey: nil)
        relayFrames(frame, from: .server, in: conversation, of: exchange, at: now)
        endRecorded(exchange, recorded, FlowEnding(state: .complete))
    }

    /// The recording ends before the exchange is complete: the client sees the same cut.
    private func endRecorded(_ exchange: Exchange, _ recorded: RecordedServer, _ ending: FlowEnding) {
        var ending = ending
        if ending.error == nil {
            ending.error = FlowError(side: .server, message: "the recording of the response ends here", at: now)
        }
        let code = HTTP2ErrorCode(namedIn: ending.error?.message ?? "") ?? .internalError
        // What is left is for the client to send.
        if exchange.responseIsComplete { return recorded.stop() }
        if exchange.isConversationOver {
            return receiveResponse(.end(trailers: nil, wire: ByteBuffer()), of: exchange, at: now)
        }
        ending.state = exchange.responseHead == nil ? .failed : .incomplete
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
