// WebSocket conversations: what was agreed on when they were opened, over HTTP/1 (RFC 6455 §4) and over HTTP/2 (RFC 8441), and their frames
// on streams of HTTP/2.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import WebSocketCodec

extension ClientStack {
    /// The conversation that a response opens; nil when it opens none, or none that can be read, and its bytes pass as they are.
    func webSocketRelay(of exchange: Exchange, _ head: ResponseHead) -> WebSocketRelay? {
        do throws(WebSocketError) {
            guard let agreement = try agreement(of: exchange, head) else { return nil }
            guard agreement.unknownExtensions.isEmpty else {
                let names = agreement.unknownExtensions.map(\.name).joined(separator: ", ")
                log(
                    .warning, "websocket",
                    "\(clientFacts.value.peer): the WebSocket extension \(names) is not known; frames are recorded as bytes")
                return nil
            }
            return try WebSocketRelay(
                agreement, pings: configuration.webSocketPings, keys: context.identities, isStrict: exchange.server?.recorded != nil
            )
        } catch {
            log(.warning, "websocket", "\(clientFacts.value.peer): \(error.message); what follows is recorded as bytes")
            return nil
        }
    }

    /// The same for a conversation of which one side at least is a stream of HTTP/2.
    func webSocket(of exchange: Exchange, _ head: ResponseHead) -> Conversation? {
        webSocketRelay(of: exchange, head).map { Conversation($0) }
    }

    private func agreement(of exchange: Exchange, _ head: ResponseHead) throws(WebSocketError) -> WebSocketAgreement? {
        guard exchange.asksForWebSocket else { return nil }
        let isByConnect = head.isFramedByStream
        guard isByConnect ? head.status / 100 == 2 : head.status == 101 else { return nil }
        let isTranslated = if case .handshake = exchange.content { true } else { false }
        if isByConnect || isTranslated {
            return try WebSocketHandshake.agreement(in: head.fields, to: try WebSocketHandshake.offer(in: exchange.request.fields))
        }
        guard let offer = try WebSocketHandshake.offer(in: exchange.request) else { return nil }
        return try WebSocketHandshake.agreement(in: head, to: offer)
    }

    /// Bytes of a conversation of which one side at least is a stream of HTTP/2.
    func relayFrames(_ bytes: ByteBuffer, from side: Side, in conversation: Conversation, of exchange: Exchange, at: Timestamp) {
        var actions: [WebSocketRelay.Action] = []
        var failure: WebSocketError?
        do throws(WebSocketError) {
            try conversation.relay.receive(bytes, from: side, into: &actions)
        } catch {
            failure = error
            conversation.relay.giveUp(into: &actions)
        }
        for action in actions {
            switch action {
            case .send(let bytes, let other):
                if other == .server {
                    sendContent(bytes, wire: bytes, of: exchange)
                } else {
                    exchange.client.sendContent(bytes, wire: bytes, of: exchange)
                }
                if other == side { countUnreadReplies(bytes.readableBytes, by: side, of: exchange) }
            case .record(let piece):
                record(exchange.flow, at: at, .piece(piece))
                logControl(piece, exchange.destination.endpoint)
                if piece.from == .client { deliver(piece, in: conversation, of: exchange) }
            case .recordMalformed(let bytes, let side):
                recordMalformed(bytes, from: side, of: exchange.flow)
            case .note(let message, let side):
                note(exchange.flow, side, at: at, message)
            }
        }
        takeBack(bytes.readableBytes, from: side, in: conversation, of: exchange)
        guard let failure else { return }
        let error = FlowError(side: side, message: "\(failure.message) (\(failure.closeCode))", at: now)
        recordEnd(of: exchange, FlowEnding(state: .incomplete, error: error, closedBy: side))
        finishConversation(exchange)
    }

    /// A ping or a pong stands in the event log with its payload.
    func logControl(_ piece: FlowPiece, _ server: Endpoint?) {
        guard piece.kind == .ping || piece.kind == .pong, configuration.lowestLogLevel <= .info else { return }
        let arrow = piece.from == .client ? "->" : "<-"
        let payload =
            !configuration.logsContent
            ? []
            : piece.content.readableBytesView.map { byte in
                byte >= 0x20 && byte < 0x7F && byte != 0x5C
                    ? String(UnicodeScalar(byte)) : "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        let name = piece.kind == .ping ? "PING" : "PONG"
        let size = piece.content.readableBytes
        log(
            .info, "websocket",
            "websocket \(clientFacts.value.peer) \(arrow) \(server?.description ?? "") \(name) \(size) B"
                + (configuration.logsContent ? ": \(payload.joined())" : ""),
            server: server)
    }

    /// Replies to the pings of a side are counted on its own connection.
    private func countUnreadReplies(_ bytes: Int, by side: Side, of exchange: Exchange) {
        switch side {
        case .client: client.countUnreadReplies(bytes)
        case .server: exchange.server?.countUnreadReplies(bytes)
        }
    }

    /// What comes and what is forwarded differ by our own frames, so windows open by what comes, as long as the other side keeps up.
    private func takeBack(_ bytes: Int, from side: Side, in conversation: Conversation, of exchange: Exchange) {
        if exchange.server?.recorded != nil {
            if side == .client { exchange.client.consumed(bytes) }
            return
        }
        conversation.count(bytes, from: side)
        openWindows(of: exchange)
    }

    /// Opens the windows of a conversation whose other side has taken most of the content.
    func openWindows(of exchange: Exchange) {
        guard let server = exchange.server, let conversation = exchange.webSocket else { return }
        let client = exchange.client
        // What is queued for a side beyond what the other one may send are answers to its pings, which it should read first.
        if server.canAcceptMore, client.queuedBytes < 2 * FlowControl.highWaterMark {
            client.consumed(conversation.takeUnconsumed(from: .client))
        }
        if client.canAcceptMore, server.queuedBytes < 2 * FlowControl.highWaterMark {
            server.consumed(conversation.takeUnconsumed(from: .server))
        }
    }
}
