// WebSocket conversations: what was agreed on when they were opened, over HTTP/1 (RFC 6455 §4) and over HTTP/2 (RFC 8441), and their frames
// on streams of HTTP/2.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import WebSocketCodec

extension ClientStack {
    /// The conversation that a response opens; nil when it opens none, or none that can be read, and its bytes pass as they are.
    func webSocket(of exchange: Exchange, _ head: ResponseHead) -> WebSocketRelay? {
        do throws(WebSocketError) {
            guard let agreement = try agreement(of: exchange, head) else { return nil }
            guard agreement.unknownExtensions.isEmpty else {
                let names = agreement.unknownExtensions.map(\.name).joined(separator: ", ")
                log(
                    .warning,
                    "\(clientFacts.value.peer): the WebSocket extension \(names) is not known; frames are recorded as bytes")
                return nil
            }
            return try WebSocketRelay(
                agreement, pings: configuration.webSocketPings, keys: context.identities, isStrict: exchange.recorded != nil)
        } catch {
            log(.warning, "\(clientFacts.value.peer): \(error.message); what follows is recorded as bytes")
            return nil
        }
    }

    private func agreement(of exchange: Exchange, _ head: ResponseHead) throws(WebSocketError) -> WebSocketAgreement? {
        guard exchange.asksForWebSocket else { return nil }
        let isHTTP2 = head.version.major >= 2
        guard isHTTP2 ? head.status / 100 == 2 : head.status == 101 else { return nil }
        if isHTTP2 || exchange.bootstrap != nil {
            return try WebSocketHandshake.agreement(in: head.fields, to: try WebSocketHandshake.offer(in: exchange.request.fields))
        }
        guard let offer = try WebSocketHandshake.offer(in: exchange.request) else { return nil }
        return try WebSocketHandshake.agreement(in: head, to: offer)
    }

    /// Bytes of a conversation of which one side at least is a stream of HTTP/2.
    func relayFrames(_ bytes: ByteBuffer, from side: Side, of exchange: Exchange, at: Timestamp) {
        var actions: [WebSocketRelay.Action] = []
        var failure: WebSocketError?
        do throws(WebSocketError) {
            try exchange.webSocket?.receive(bytes, from: side, into: &actions)
        } catch {
            failure = error
            exchange.webSocket?.giveUp(into: &actions)
        }
        for action in actions {
            switch action {
            case .send(let bytes, let other):
                if other == .server {
                    sendContent(bytes, wire: bytes, of: exchange)
                } else {
                    sendResponseContent(bytes, wire: bytes, of: exchange)
                }
                if other == side { countUnreadReplies(bytes.readableBytes, by: side, exchange.upstream) }
            case .record(let piece):
                record(exchange.flow, at: at, .piece(piece))
                logControl(piece, exchange.destination.endpoint)
                if piece.from == .client { deliver(piece, of: exchange) }
            case .recordMalformed(let bytes, let side):
                recordMalformed(bytes, from: side, of: exchange.flow)
            case .note(let message, let side):
                note(exchange.flow, side, at: at, message)
            }
        }
        takeBack(bytes.readableBytes, from: side, of: exchange)
        guard let failure else { return }
        let error = FlowError(side: side, message: "\(failure.message) (\(failure.closeCode))", at: now)
        recordEnd(of: exchange, FlowEnding(state: .incomplete, error: error, closedBy: side))
        finishConversation(exchange)
    }

    /// A ping or a pong stands in the event log with its payload.
    func logControl(_ piece: FlowPiece, _ server: Endpoint?) {
        guard piece.kind == .ping || piece.kind == .pong else { return }
        let arrow = piece.from == .client ? "->" : "<-"
        let payload = piece.content.readableBytesView.map { byte in
            byte >= 0x20 && byte < 0x7F && byte != 0x5C
                ? String(UnicodeScalar(byte)) : "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        let name = piece.kind == .ping ? "PING" : "PONG"
        let size = piece.content.readableBytes
        log(
            .info,
            "websocket \(clientFacts.value.peer) \(arrow) \(server?.description ?? "") \(name) \(size) B: \(payload.joined())")
    }

    /// What came and what goes on differ by our own frames, so windows open by what came, as long as the other side keeps up.
    private func takeBack(_ bytes: Int, from side: Side, of exchange: Exchange) {
        if exchange.recorded != nil {
            if side == .client { http2?.consumed(bytes, on: exchange.stream) }
            return
        }
        switch side {
        case .client: exchange.unconsumedRequest += bytes
        case .server: exchange.unconsumedResponse += bytes
        }
        openWindows(of: exchange)
    }

    /// Opens the windows of a conversation whose other side has taken most of what came.
    func openWindows(of exchange: Exchange) {
        guard let upstream = exchange.upstream else { return }
        let queuedForServer = exchange.upstreamStream.flatMap { upstream.http2?.queuedBytes(on: $0) }
        let queuedForClient = http2.map { $0.queuedBytes(on: exchange.stream) }
        let serverCanAcceptMore = queuedForServer.map { $0 < FlowControl.highWaterMark } ?? upstream.transport.isWritable
        let clientCanAcceptMore = queuedForClient.map { $0 < FlowControl.highWaterMark } ?? client.isWritable
        // What is queued for a side beyond what the other one may say are answers to its pings, which it should read first.
        if serverCanAcceptMore, queuedForClient ?? 0 < 2 * FlowControl.highWaterMark {
            http2?.consumed(exchange.unconsumedRequest, on: exchange.stream)
            exchange.unconsumedRequest = 0
        }
        if clientCanAcceptMore, queuedForServer ?? 0 < 2 * FlowControl.highWaterMark {
            if let there = exchange.upstreamStream { upstream.http2?.consumed(exchange.unconsumedResponse, on: there) }
            exchange.unconsumedResponse = 0
        }
    }
}

extension Exchange {
    /// The client asks for WebSocket: by extended CONNECT (RFC 8441 §5), or by Upgrade.
    var asksForWebSocket: Bool { request.upgrade == .webSocket }
}
