// WebSocket from one version of HTTP to the other: a client's extended CONNECT becomes a GET with Upgrade for a server of HTTP/1, a client's
// Upgrade becomes extended CONNECT for a server of HTTP/2 (RFC 8441 §5, RFC 6455 §4). After the handshake frames are forwarded as they came, in DATA
// on one side and bare on the other; END_STREAM is FIN, and RST_STREAM with CANCEL a reset.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import WebSocketCodec

extension ClientStack {
    // MARK: Asking

    /// Whether extended CONNECT is announced to a client of HTTP/2 (RFC 8441 §3): a server of HTTP/2 takes it, or the server speaks HTTP/1.
    var takesExtendedConnect: Bool {
        let isKnown = upstreams.contains { upstream in
            upstream.http.http2.map(\.connection.peerEnablesConnectProtocol) ?? (upstream.isReady)
        }
        // Plain servers of a forward proxy's clients speak HTTP/1.
        guard !isKnown, let route else { return true }
        return route.destination.isTLS == false && !route.isCleartextHTTP2
    }

    /// RFC 8441 §3: whether a server of HTTP/2 takes extended CONNECT is in its SETTINGS.
    func mustWaitForSettings(_ exchange: Exchange, _ upstream: Upstream) -> Bool {
        guard let http2 = upstream.http.http2, !http2.connection.hasPeerSettings else { return false }
        // The first request does not wait; those after it do, since the server may take one at a time.
        return exchange.isExtendedConnect || exchange.asksForWebSocket || !http2.exchanges.isEmpty
    }

    /// Before a request is sent to a server of HTTP/1: extended CONNECT for WebSocket needs a key.
    /// - Throws: when HTTP/1 cannot ask for what the request asks for.
    func bootstrapWebSocket(_ exchange: Exchange, to server: ServerHTTP1) throws(ExchangeFailure) {
        if exchange.isPlainConnect { throw Self.connectIsNotTaken }
        guard exchange.isExtendedConnect else { return }
        guard exchange.asksForWebSocket else {
            let message = "the server speaks HTTP/1, where extended CONNECT is possible for WebSocket only"
            throw ExchangeFailure(status: 501, side: .client, message: message)
        }
        let nonce = (0..<4).flatMap { _ in bigEndianBytes(context.identities.random()) }
        exchange.content = .handshake(key: WebSocketHandshake.key(nonce: nonce))
    }

    /// Before a request is sent to a server of HTTP/2: Upgrade to WebSocket becomes extended CONNECT.
    /// - Throws: when the server does not take that.
    func bootstrapWebSocket(_ exchange: Exchange, to server: ServerHTTP2) throws(ExchangeFailure) {
        guard exchange.isExtendedConnect || (exchange.framing == .none && exchange.asksForWebSocket) else { return }
        guard server.connection.peerEnablesConnectProtocol else {
            let message =
                "the server speaks HTTP/2 and does not take extended CONNECT, without which there is no WebSocket (RFC 8441)"
            throw ExchangeFailure(status: 501, side: .server, message: message)
        }
        // A GET with content is no handshake that a conversation could follow.
        if exchange.isExtendedConnect { return }
        do throws(WebSocketError) {
            guard let offer = try WebSocketHandshake.offer(in: exchange.request) else { return }
            exchange.content = .handshake(key: offer.key)
        } catch {
            throw ExchangeFailure(status: 400, side: .client, message: error.message)
        }
    }

    /// Where the server is known already, CONNECT on a stream is forwarded to it if it speaks HTTP/2 (RFC 9113 §8.5); one of HTTP/1 cannot be asked
    /// within a tunnel.
    static let connectIsNotTaken = ExchangeFailure(
        status: 501, side: .client,
        message: "CONNECT on an HTTP/2 connection is passed on to HTTP/2 servers only, within a tunnel and in reverse mode")

    // MARK: The answer

    /// The final response to a handshake that was translated.
    func receiveAnswer(_ head: ResponseHead, _ framing: BodyFraming, to exchange: Exchange, key: String, _ at: Timestamp) {
        let isSuccess = head.status / 100 == 2
        if head.isFramedByStream {
            isSuccess ? accept(head, of: exchange, key: key, at) : refuse(head, framing, of: exchange)
        } else if head.status == 101 {
            do throws(WebSocketError) {
                try WebSocketHandshake.confirm(head, key: key)
                accept(head, of: exchange, key: key, at)
            } catch {
                fail(exchange, status: 502, FlowError(side: .server, message: error.message, at: now))
            }
        } else if isSuccess {
            // A client of HTTP/2 would take the conversation for open.
            let message = "the server answered the WebSocket handshake with \(head.status), and did not switch protocols"
            fail(exchange, status: 502, FlowError(side: .server, message: message, at: now))
        } else {
            refuse(head, framing, of: exchange)
        }
    }

    private func accept(_ head: ResponseHead, of exchange: Exchange, key: String, _ at: Timestamp) {
        guard let server = exchange.server else { return }
        exchange.received(head)
        exchange.content = .upgraded(webSocket(of: exchange, head))
        let fromClient = exchange.client.acceptConversation(headForClient(head), key: key)
        guard !exchange.client.isMultiplexed else {
            flushPending(exchange)
            let early = server.takeEarly()
            if early.readableBytes > 0 { receiveResponse(.content(early, wire: early, isLast: false), of: exchange, at: at) }
            return
        }
        // That was the GET; its connection carries the conversation now.
        exchange.requestIsComplete = false
        exchange.closedBy = nil
        exchange.pendingContent = []
        if fromClient.readableBytes > 0 { receive(.content(fromClient, wire: fromClient, isLast: false), of: exchange) }
        if client.hasEnded, !exchange.isOver { conversationEnded(exchange) }
    }

    private func refuse(_ head: ResponseHead, _ framing: BodyFraming, of exchange: Exchange) {
        exchange.content = .refused
        exchange.received(head)
        exchange.pendingContent = []
        exchange.connectionUse.endsWithConnection = framing == .untilClose
        exchange.client.sendHead(headForClient(head), framing, of: exchange)
        exchange.server?.endConversation()
    }

    /// What a client of HTTP/2 sent before its handshake was answered.
    func flushPending(_ exchange: Exchange) {
        let pendingContent = exchange.pendingContent
        exchange.pendingContent = []
        for event in pendingContent where exchange.server != nil { receive(event, of: exchange) }
    }

    // MARK: Ends

    /// The client of HTTP/1 sends no more in the conversation.
    func conversationEnded(_ exchange: Exchange) {
        sendEnd(nil, wire: ByteBuffer(), of: exchange)
        requestEnded(exchange)
    }

    /// How an exchange ended whose both directions have.
    func ending(of exchange: Exchange) -> FlowEnding {
        let closedBy = exchange.webSocket != nil || exchange.isUpgraded ? exchange.closedBy : nil
        guard let webSocket = exchange.webSocket, !webSocket.relay.isClosed else {
            return FlowEnding(state: .complete, closedBy: closedBy)
        }
        // RFC 6455 §7.1.5: known to both sides as 1006.
        let message = "the streams ended without the close frames of both sides (1006)"
        return FlowEnding(state: .incomplete, error: FlowError(side: closedBy, message: message, at: now), closedBy: closedBy)
    }

    /// The connections of a conversation went when both sides had closed it.
    func endConversation(_ exchange: Exchange, _ ending: FlowEnding) {
        recordEnd(of: exchange, exchange.ending(ending))
        finishConversation(exchange)
    }

    /// Ends both directions of a conversation whose end is recorded.
    func finishConversation(_ exchange: Exchange) {
        let upstream = upstream(of: exchange)
        // The server may be gone.
        if upstream != nil { sendEnd(nil, wire: ByteBuffer(), of: exchange) }
        guard exchange.client.isMultiplexed else {
            forget(exchange)
            closeUpstreams()
            return closeClient(.clean)
        }
        exchange.client.sendEnd(nil, wire: ByteBuffer(), of: exchange)
        forget(exchange)
        exchange.client.endInput()
        if let upstream, case .http1 = upstream.http { close(upstream) }
        serveQueued()
        closeIfDone()
    }

    private func bigEndianBytes(_ word: UInt32) -> [UInt8] {
        stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt32($0)) }
    }
}
