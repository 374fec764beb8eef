// WebSocket from one version of HTTP to the other: a client's extended CONNECT becomes a GET with Upgrade for a server of HTTP/1, a client's
// Upgrade becomes extended CONNECT for a server of HTTP/2 (RFC 8441 §5, RFC 6455 §4). Behind the handshake frames go on as they came, in DATA
// on one side and bare on the other; END_STREAM is FIN, and RST_STREAM with CANCEL a reset.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import WebSocketCodec

/// How far it has come.
enum WebSocketBootstrap: Equatable {
    /// - Parameter key: Sec-WebSocket-Key on the side that speaks HTTP/1, the client's or ours.
    case asked(key: String)
    /// The connection of HTTP/1 carries no messages any more.
    case accepted
    /// The answer is an ordinary response.
    case refused
}

/// Why a wish for WebSocket goes no further.
struct BootstrapRefusal {
    var status: Int
    var side: Side
    var message: String
}

extension ClientStack {
    // MARK: Asking

    /// A client of HTTP/2 may be told that extended CONNECT is taken (RFC 8441 §3): a server of HTTP/2 takes it, or the server speaks HTTP/1.
    var takesExtendedConnect: Bool {
        let isKnown = upstreams.contains { upstream in
            upstream.http2.map(\.peerEnablesConnectProtocol) ?? (upstream.isReady)
        }
        // Plain servers of a forward proxy's clients speak HTTP/1.
        guard !isKnown, let route else { return true }
        return route.destination.isTLS == false && !route.isCleartextHTTP2
    }

    /// RFC 8441 §3: whether a server of HTTP/2 takes extended CONNECT is in its SETTINGS.
    func mustWaitForSettings(_ exchange: Exchange, _ upstream: Upstream) -> Bool {
        guard let http2 = upstream.http2, !http2.hasPeerSettings else { return false }
        // The first request does not wait; those behind it do, since the server may take one at a time.
        return exchange.isExtendedConnect || exchange.asksForWebSocket || !upstream.exchanges.isEmpty
    }

    /// Before a request is sent: what it takes to ask for WebSocket in the server's version of HTTP.
    /// - Returns: why it cannot be asked for; nil when it can, or when the request asks for something else.
    func bootstrapWebSocket(_ exchange: Exchange, _ upstream: Upstream) -> BootstrapRefusal? {
        exchange.bootstrap = nil
        switch (exchange.isExtendedConnect, upstream.http2) {
        case (true, nil):
            guard exchange.asksForWebSocket else {
                let message = "the server speaks HTTP/1, where extended CONNECT can be said for WebSocket only"
                return BootstrapRefusal(status: 501, side: .client, message: message)
            }
            let nonce = (0..<4).flatMap { _ in bigEndianBytes(context.identities.random()) }
            exchange.bootstrap = .asked(key: WebSocketHandshake.key(nonce: nonce))
        case (true, let http2?):
            guard http2.peerEnablesConnectProtocol else { return Self.isNotTaken }
        case (false, nil):
            break
        case (false, let http2?):
            // A GET with content is no handshake that a conversation could follow.
            guard exchange.framing == .none, exchange.asksForWebSocket else { return nil }
            guard http2.peerEnablesConnectProtocol else { return Self.isNotTaken }
            do throws(WebSocketError) {
                guard let offer = try WebSocketHandshake.offer(in: exchange.request) else { return nil }
                exchange.bootstrap = .asked(key: offer.key)
            } catch {
                return BootstrapRefusal(status: 400, side: .client, message: error.message)
            }
        }
        return nil
    }

    private static let isNotTaken = BootstrapRefusal(
        status: 501, side: .server,
        message: "the server speaks HTTP/2 and does not take extended CONNECT, without which there is no WebSocket (RFC 8441)")

    // MARK: The answer

    /// The final response to a handshake that was translated.
    func receiveAnswer(_ head: ResponseHead, _ framing: BodyFraming, to exchange: Exchange, key: String, _ at: Timestamp) {
        let isSuccess = head.status / 100 == 2
        if head.version.major >= 2 {
            isSuccess ? accept(head, of: exchange, key: key, at) : refuse(head, framing, of: exchange)
        } else if head.status == 101 {
            do throws(WebSocketError) {
                try WebSocketHandshake.confirm(head, key: key)
                accept(head, of: exchange, key: key, at)
            } catch {
                fail(exchange, status: 502, FlowError(side: .server, message: error.message, at: now))
            }
        } else if isSuccess {
            // To a client of HTTP/2 it would say that the conversation is open.
            let message = "the server answered the WebSocket handshake with \(head.status), and did not switch protocols"
            fail(exchange, status: 502, FlowError(side: .server, message: message, at: now))
        } else {
            refuse(head, framing, of: exchange)
        }
    }

    private func accept(_ head: ResponseHead, of exchange: Exchange, key: String, _ at: Timestamp) {
        guard let upstream = exchange.upstream else { return }
        exchange.response = head
        exchange.webSocket = webSocket(of: exchange, head)
        exchange.bootstrap = .accepted
        if let http2 {
            http2.sendResponse(HTTP2Fields(accepting: head), on: exchange.stream, endsStream: false)
            flushPending(exchange)
            let early = upstream.decoder.takeRest()
            if early.readableBytes > 0 { receiveResponse(.content(early, wire: early, isLast: false), of: exchange, at: at) }
        } else {
            sendToClient(HTTP1Translation.switching(head, accept: WebSocketHandshake.accept(for: key)))
            // That was the GET; now its connection speaks on.
            exchange.requestIsComplete = false
            exchange.closedBy = nil
            exchange.pendingContent = []
            let early = decoder.takeRest()
            if early.readableBytes > 0 { receive(.content(early, wire: early, isLast: false), of: exchange) }
            if client.hasEnded, self.exchange === exchange { conversationEnded(exchange) }
        }
    }

    private func refuse(_ head: ResponseHead, _ framing: BodyFraming, of exchange: Exchange) {
        exchange.bootstrap = .refused
        exchange.response = head
        exchange.pendingContent = []
        exchange.endsWithConnection = framing == .untilClose
        sendResponse(head, framing, of: exchange)
        if let there = exchange.upstreamStream { exchange.upstream?.http2?.sendEnd(trailers: nil, on: there) }
    }

    /// What a client of HTTP/2 said before its wish for WebSocket was answered.
    func flushPending(_ exchange: Exchange) {
        let pendingContent = exchange.pendingContent
        exchange.pendingContent = []
        for event in pendingContent where exchange.upstream != nil || exchange.recorded != nil { receive(event, of: exchange) }
    }

    // MARK: Ends

    /// The client of HTTP/1 says no more in the conversation.
    func conversationEnded(_ exchange: Exchange) {
        sendEnd(nil, wire: ByteBuffer(), of: exchange)
        requestEnded(exchange)
    }

    /// How an exchange ended whose both directions have.
    func ending(of exchange: Exchange) -> FlowEnding {
        let closedBy = exchange.webSocket != nil || exchange.isUpgraded ? exchange.closedBy : nil
        guard let webSocket = exchange.webSocket, !webSocket.isClosed else {
            return FlowEnding(state: .complete, closedBy: closedBy)
        }
        // RFC 6455 §7.1.5: known to both sides as 1006.
        let message = "the streams ended without the close frames of both sides (1006)"
        return FlowEnding(state: .incomplete, error: FlowError(side: closedBy, message: message, at: now), closedBy: closedBy)
    }

    /// The connections of a conversation went when both had said goodbye.
    func endConversation(_ exchange: Exchange, _ ending: FlowEnding) {
        recordEnd(of: exchange, exchange.ending(ending))
        finishConversation(exchange)
    }

    /// Ends both directions of a conversation whose end is recorded.
    func finishConversation(_ exchange: Exchange) {
        let upstream = exchange.upstream
        if upstream?.isClosed != true { sendEnd(nil, wire: ByteBuffer(), of: exchange) }
        guard let http2 else {
            forget(exchange)
            closeUpstreams()
            return closeClient(.clean)
        }
        sendResponseEnd(nil, wire: ByteBuffer(), of: exchange)
        forget(exchange)
        http2.endInput(of: exchange.stream)
        if let upstream, upstream.http2 == nil {
            close(upstream)
            serveQueued()
        }
        closeIfDone()
    }

    private func bigEndianBytes(_ word: UInt32) -> [UInt8] {
        stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: word >> UInt32($0)) }
    }
}

extension Exchange {
    /// The connection of HTTP/1, on one side, carries bytes of a conversation.
    var isUpgraded: Bool { bootstrap == .accepted }

    /// A client of HTTP/2 asked for WebSocket and has no answer yet: what it says belongs to a conversation that may never be.
    var isUpgradePending: Bool { isExtendedConnect && response == nil && asksForWebSocket }

    /// Both sides have said goodbye.
    var isConversationOver: Bool { webSocket?.isClosed == true }

    /// How it ended: a conversation in which both have said goodbye is complete, however its connections went.
    func ending(_ ending: FlowEnding) -> FlowEnding {
        isConversationOver ? FlowEnding(state: .complete, closedBy: closedBy ?? ending.closedBy) : ending
    }
}
