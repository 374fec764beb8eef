// WebSocket conversations: what was agreed on when they were opened, over HTTP/1 (RFC 6455 §4) and over HTTP/2 (RFC 8441), and their frames
// on streams of HTTP/2.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import WebSocketCodec

extension ProxySession {
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
            return try WebSocketRelay(agreement, pings: configuration.webSocketPings, keys: identities)
        } catch {
            log(.warning, "\(clientFacts.value.peer): \(error.message); what follows is recorded as bytes")
            return nil
        }
    }

    private func agreement(of exchange: Exchange, _ head: ResponseHead) throws(WebSocketError) -> WebSocketAgreement? {
        if exchange.isExtendedConnect {
            guard exchange.asksForWebSocket, head.status / 100 == 2 else { return nil }
            return try WebSocketHandshake.agreement(in: head.fields, to: try WebSocketHandshake.offer(in: exchange.request.fields))
        }
        guard let offer = try WebSocketHandshake.offer(in: exchange.request) else { return nil }
        return try WebSocketHandshake.agreement(in: head, to: offer)
    }

    /// Frames that came on a stream of HTTP/2.
    func relayFrames(_ bytes: ByteBuffer, from side: Side, of exchange: Exchange, at: Timestamp) {
        var actions: [WebSocketRelay.Action] = []
        var failure: WebSocketError?
        do throws(WebSocketError) {
            try exchange.webSocket?.receive(bytes, from: side, into: &actions)
        } catch {
            failure = error
        }
        for action in actions {
            switch action {
            case .send(let bytes, .server): sendContent(bytes, wire: bytes, of: exchange)
            case .send(let bytes, .client): sendResponseContent(bytes, wire: bytes, of: exchange)
            case .record(let piece):
                record(exchange.flow, at: at, .piece(piece))
                if piece.from == .client { hear(piece, of: exchange) }
            }
        }
        takeBack(bytes.readableBytes, from: side, of: exchange)
        guard let failure else { return }
        let error = FlowError(side: side, message: "\(failure.message) (\(failure.closeCode))", at: now)
        record(exchange.flow, at: now, .ended(FlowEnding(state: .incomplete, error: error, closedBy: side)))
        sendEnd(nil, wire: ByteBuffer(), of: exchange)
        sendResponseEnd(nil, wire: ByteBuffer(), of: exchange)
        forget(exchange)
    }

    /// What came and what goes on differ by our own frames, so windows open by what came, as long as the other side keeps up.
    private func takeBack(_ bytes: Int, from side: Side, of exchange: Exchange) {
        if exchange.played != nil {
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
        guard let upstream = exchange.upstream, let there = exchange.upstreamStream, let frames = upstream.http2, let http2 else {
            return
        }
        if frames.queuedBytes(on: there) < Self.maximumBacklog {
            http2.consumed(exchange.unconsumedRequest, on: exchange.stream)
            exchange.unconsumedRequest = 0
        }
        if http2.queuedBytes(on: exchange.stream) < Self.maximumBacklog {
            frames.consumed(exchange.unconsumedResponse, on: there)
            exchange.unconsumedResponse = 0
        }
    }
}

extension Exchange {
    /// RFC 8441 §5.
    var asksForWebSocket: Bool {
        var isWebSocket = false
        FieldSection.forEachLine(in: request.wire) { name, value in
            if request.wire.equals(name, ":protocol") { isWebSocket = request.wire.equals(value, "websocket") }
        }
        return isWebSocket
    }
}
