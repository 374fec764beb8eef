// Responses of the server on their way to the client, and the ends of exchanges.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore

extension ClientStack {
    /// Takes from the decoder of an HTTP/1 connection what can be forwarded now.
    func advanceResponses(of upstream: Upstream, _ server: ServerHTTP1) {
        do throws(HTTP1Error) {
            while case .http = layer, !upstream.isClosed {
                guard let exchange = server.exchange, !exchange.responseIsComplete else { return checkIdleServer(upstream, server) }
                guard let event = try server.decoder.next() else { break }
                for sentence in server.decoder.takeNotes() {
                    note(exchange.flow, .server, at: upstream.transport.lastRead, sentence)
                }
                receiveResponse(event, of: exchange, at: upstream.transport.lastRead)
            }
        } catch {
            responseFailed(upstream, server, error)
        }
    }

    /// A server has nothing to send when it was not asked (RFC 9112 §9.2); a 408 on an idle connection is one that closes.
    private func checkIdleServer(_ upstream: Upstream, _ server: ServerHTTP1) {
        guard server.decoder.bufferedBytes > 0, server.exchange == nil else { return }
        let server = upstream.destination.endpoint
        log(.info, "server-closed", "\(server): unexpected data from the server on an idle connection; closing it", server: server)
        close(upstream)
    }

    func receiveResponse(_ event: ResponseEvent, of exchange: Exchange, at: Timestamp) {
        switch event {
        case .interim(let head):
            exchange.responseBegan()
            record(exchange.flow, at: at, .interim(head))
            exchange.client.sendInterim(head, of: exchange)
        case .head(let head, let framing, let isLast):
            receiveHead(head, framing, of: exchange, at)
            if isLast { responseEnded(nil, wire: ByteBuffer(), of: exchange, at) }
        case .content(let content, let wire, let isLast):
            receiveContent(content, wire: wire, of: exchange, at)
            if isLast { responseEnded(nil, wire: ByteBuffer(), of: exchange, at) }
        case .end(let trailers, let wire):
            responseEnded(trailers, wire: wire, of: exchange, at)
        }
    }

    private func receiveContent(_ content: ByteBuffer, wire: ByteBuffer, of exchange: Exchange, _ at: Timestamp) {
        if let conversation = exchange.webSocket {
            return relayFrames(content, from: .server, in: conversation, of: exchange, at: at)
        }
        exchange.sizes.response += UInt64(content.readableBytes)
        if let maximum = configuration.maximumBodySize, exchange.sizes.response > maximum {
            let message = "the response's content is larger than \(maximum) bytes"
            return fail(exchange, status: 502, FlowError(side: .server, message: message, at: now))
        }
        if content.readableBytes > 0 {
            record(exchange.flow, at: at, .piece(FlowPiece(from: .server, content: content)))
        }
        exchange.client.sendContent(content, wire: wire, of: exchange)
    }

    /// The server has sent the whole response, unless the exchange has ended with its last content.
    private func responseEnded(_ trailers: FieldSection?, wire: ByteBuffer, of exchange: Exchange, _ at: Timestamp) {
        guard !exchange.isOver else { return }
        if let trailers { record(exchange.flow, at: at, .trailers(from: .server, trailers)) }
        record(exchange.flow, at: at, .finished(.server))
        exchange.client.sendEnd(trailers, wire: wire, of: exchange)
        exchange.responseEnded()
        if exchange.client.hasLengthMismatch { return contentLengthMismatch(exchange) }
        responseIsComplete(exchange)
    }

    private func receiveHead(_ head: ResponseHead, _ framing: BodyFraming, of exchange: Exchange, _ at: Timestamp) {
        exchange.responseBegan()
        record(exchange.flow, at: at, isUpgradeToHTTP2(head, exchange) ? .interim(head) : .response(head))
        if let maximum = configuration.maximumBodySize, case .length(let length) = framing, length > maximum {
            let message = "the response's content is larger than \(maximum) bytes"
            return fail(exchange, status: 502, FlowError(side: .server, message: message, at: now))
        }
        if case .handshake(let key) = exchange.content { return receiveAnswer(head, framing, to: exchange, key: key, at) }
        if framing == .tunnel, changesProtocol(head, exchange, at) { return }
        if !head.isFramedByStream { checkFraming(head, framing, exchange, at) }
        if exchange.isExtendedConnect, let conversation = webSocket(of: exchange, head) { exchange.content = .frames(conversation) }
        exchange.received(head)
        exchange.connectionUse.endsWithConnection = framing == .untilClose
        exchange.client.sendHead(head, framing, of: exchange)
        if framing == .tunnel {
            record(exchange.flow, at: at, .finished(.server))
            startTunnel(after: exchange, webSocket: webSocketRelay(of: exchange, head))
        } else if !exchange.pendingContent.isEmpty {
            flushPending(exchange)
        }
    }

    /// The server changes the protocol.
    /// - Returns: whether the exchange has failed with it, or continues in HTTP/2; otherwise a tunnel follows.
    private func changesProtocol(_ head: ResponseHead, _ exchange: Exchange, _ at: Timestamp) -> Bool {
        if exchange.client.isMultiplexed {
            let message = "the server changed the protocol, which it was not asked to"
            fail(exchange, status: 502, FlowError(side: .server, message: message, at: now))
            return true
        }
        if let upstream = upstream(of: exchange), isUpgradeToHTTP2(head, exchange) {
            upgradeToHTTP2(head, exchange, upstream, at)
            return true
        }
        if exchange.request.version == .http1_0 {
            // RFC 9110 §15.2: a 1xx is never sent to a client of HTTP/1.0, which cannot have asked for an upgrade (§7.8).
            let message = "the server changed the protocol, which HTTP/1.0 cannot ask for"
            fail(exchange, status: 502, FlowError(side: .server, message: message, at: now))
            return true
        }
        return false
    }

    /// Notes what of a head of HTTP/1 is ambiguous, or does not reach the client as it is.
    private func checkFraming(_ head: ResponseHead, _ framing: BodyFraming, _ exchange: Exchange, _ at: Timestamp) {
        if head.fields.contains("transfer-encoding") {
            let changes = FramingFields(head.fields, framing, version: head.version, isRequest: false)
            if changes.isAmbiguous { exchange.connectionUse.isFramingAmbiguous = true }
            noteCoding(of: head, exchange, at)
        }
        if exchange.client.isMultiplexed, !head.fields.lines.allSatisfy(head.fields.isNameOfHTTP2) {
            note(exchange.flow, .client, at: at, "fields whose names HTTP/2 does not allow are not sent to the client")
        }
    }

    /// HTTP/2 and HTTP/1.0 have no transfer codings: the content is passed on as it was coded, since undoing it would change what was sent.
    private func noteCoding(of head: ResponseHead, _ exchange: Exchange, _ at: Timestamp) {
        guard let version = exchange.client.versionWithoutCodings(exchange.request) else { return }
        let codings = head.fields.transferCodings.map { String(buffer: $0) }
            .filter { !["chunked", "identity"].contains($0.lowercased()) }
        guard !codings.isEmpty else { return }
        let names = codings.joined(separator: ", ")
        note(
            exchange.flow, .client, at: at,
            "the client gets the content with the transfer coding \(names) of the server, which \(version) does not have")
    }

    /// A server of HTTP/2 sent less or more than its Content-Length. A client of HTTP/1 waits for the rest, or has no place for it: it is
    /// cut off (RFC 9112 §6.3, §8).
    private func contentLengthMismatch(_ exchange: Exchange) {
        let message = "the response's content is \(exchange.sizes.response) bytes long, which its Content-Length contradicts"
        fail(exchange, status: 502, FlowError(side: .server, message: message, at: now))
    }

    private func responseIsComplete(_ exchange: Exchange) {
        if exchange.isRefused, !exchange.requestIsComplete {
            // Nothing is sent in a conversation that was refused: the request was its head.
            record(exchange.flow, at: now, .finished(.client))
            exchange.client.endInput()
            exchange.requestIsComplete = true
        }
        if exchange.requestIsComplete {
            endExchange(exchange)
        } else if !exchange.isUpgraded, exchange.server?.readsNoMore(of: exchange) == true {
            // The server has answered and will not read the rest of the request (RFC 9112 §9.6).
            cutRequest(exchange)
        }
    }

    /// The server answered and reads no more of the request, which it may (RFC 9112 §9.3, RFC 9113 §8.1): the exchange is complete
    /// although its request is not.
    func cutRequest(_ exchange: Exchange) {
        note(exchange.flow, .server, at: now, "the server answered before the request was complete, and reads no more of it")
        recordEnd(of: exchange, FlowEnding(state: .complete, closedBy: .server))
        let upstream = upstream(of: exchange)
        exchange.client.endInput()
        forget(exchange)
        guard exchange.client.isMultiplexed else {
            closeUpstreams()
            return closeClient(.clean)
        }
        if let upstream, case .http1 = upstream.http { close(upstream) }
    }

    /// Request and response are complete: the next one, or the end of the connections.
    func endExchange(_ exchange: Exchange) {
        recordEnd(of: exchange, ending(of: exchange))
        let upstream = upstream(of: exchange)
        let serverPersists = exchange.server?.persists(after: exchange) ?? false
        forget(exchange)
        if let upstream, !serverPersists || upstream.transport.hasEnded,
            !upstream.http.isMultiplexed || !exchange.client.isMultiplexed
        {
            close(upstream)
        }
        if exchange.client.isMultiplexed {
            serveQueued()
            closeIfDone()
        } else if exchange.isUpgraded {
            // Each side's end was forwarded as it came.
            closeUpstreams()
            layer = .lingering
            client.closeLink(context)
        } else if serverPersists, exchange.request.keepsClientConnection, exchange.connectionUse.isReusable {
            advanceRequests()
        } else {
            closeUpstreams()
            closeClient(.clean)
        }
    }

    /// Removes an exchange that is over from all tables.
    func forget(_ exchange: Exchange) {
        exchange.server?.forget(exchange)
        exchange.end()
        exchange.client.forget(exchange)
        servers.forget(exchange)
    }

    /// A client of HTTP/2 that sends no more is closed when its last stream has ended.
    func closeIfDone() {
        guard client.hasEnded, http.exchanges.isEmpty, tunnels.isEmpty, case .http = layer else { return }
        closeUpstreams()
        closeClient(.clean)
    }

    // MARK: The server's end

    /// The server will send no more.
    func serverEnded(_ upstream: Upstream, isClean: Bool) {
        guard case .http1(let server) = upstream.http else {
            return serverClosed(upstream, "the server closed the connection", isReset: false)
        }
        guard let exchange = server.exchange else { return upstreamFailed(upstream, "the server closed the connection") }
        if exchange.isUpgraded { return receiveResponse(.end(trailers: nil, wire: ByteBuffer()), of: exchange, at: now) }
        if exchange.connectionUse.endsWithConnection, !isClean {
            // RFC 9112 §9.8: without close_notify it may have been cut.
            return serverClosed(
                upstream, "the server closed the TLS connection without close_notify, so the response may be cut", isReset: false)
        }
        server.decoder.receivedEnd()
        advanceResponses(of: upstream, server)
        guard let exchange = server.exchange else { return }
        if exchange.responseIsComplete {
            cutRequest(exchange)
        } else if upstream.transport.hasEnded {
            serverClosed(upstream, "the server closed the connection", isReset: false)
        }
    }

    /// The connection to the server is gone in the middle of something, or between two exchanges.
    func serverClosed(_ upstream: Upstream, _ message: String, isReset: Bool) {
        let isBetweenMessages = upstream.http.isBetweenMessages
        let exchanges = upstream.http.exchanges
        let wasUsed = upstream.requests > exchanges.count
        guard !exchanges.isEmpty || !upstream.waiting.isEmpty else { return close(upstream) }
        // A head that did not come to its end, or a chunk's.
        if case .http1(let server) = upstream.http, let exchange = server.exchange {
            recordMalformed(server.decoder.takeRefused(), from: .server, of: exchange.flow)
        }
        let waiting = upstream.waiting
        let goAway = upstream.http.http2?.goAway
        let isRefused = goAway?.isError == true
        let message = message + (isRefused ? goAway.map { " after \($0.description)," } ?? "" : "")
        close(upstream)
        for exchange in exchanges {
            if wasUsed, !isRefused, exchange.isSafeToRetry, isBetweenMessages {
                // The server closed a connection it had kept, while the request was on its way (RFC 9112 §9.3.1).
                retry(exchange, message)
            } else {
                serverDisconnected(exchange, message, isReset: isReset)
            }
        }
        for exchange in waiting { isRefused ? serverDisconnected(exchange, message, isReset: isReset) : retry(exchange, message) }
    }

    /// The server went away in the middle of an exchange.
    private func serverDisconnected(_ exchange: Exchange, _ message: String, isReset: Bool) {
        let place =
            exchange.responseHead == nil
            ? "before it answered" : exchange.isUpgraded ? "in the middle of the conversation" : "in the middle of the response"
        var ending = FlowEnding(
            state: exchange.responseHead == nil ? .failed : .incomplete,
            error: FlowError(side: .server, message: "\(message) \(place)", at: now))
        ending.closedBy = .server
        ending.isReset = isReset
        // RFC 8441 §5: a connection that was reset is a stream reset with CANCEL.
        end(exchange, ending, status: 502, isReset: isReset, code: exchange.isUpgraded ? .cancel : .internalError)
    }

    /// Sends a request once more, to a new connection.
    func retry(_ exchange: Exchange, _ message: String) {
        guard exchange.isReplayable else { return serverDisconnected(exchange, message, isReset: false) }
        exchange.server?.forget(exchange)
        exchange.rewind()
        assignServer(for: exchange)
    }

    private func responseFailed(_ upstream: Upstream, _ server: ServerHTTP1, _ error: HTTP1Error) {
        if error.kind.isTruncation {
            let message = upstream.transport.hasEnded ? "the server closed the connection" : error.message
            return serverClosed(upstream, message, isReset: false)
        }
        guard let exchange = server.exchange else { return close(upstream) }
        recordMalformed(server.decoder.takeRefused(), from: .server, of: exchange.flow)
        fail(exchange, status: 502, FlowError(side: .server, message: error.message, at: now))
    }

    // MARK: Failures

    /// Ends the exchange with an error: an answer where the client has none yet, otherwise a cut.
    func fail(_ exchange: Exchange, status: Int, _ error: FlowError, code: HTTP2ErrorCode = .internalError) {
        let ending = FlowEnding(state: exchange.responseHead == nil ? .failed : .incomplete, error: error)
        end(exchange, ending, status: status, isReset: false, code: code)
    }

    func fail(_ exchange: Exchange, _ failure: ExchangeFailure) {
        fail(exchange, status: failure.status, FlowError(side: failure.side, message: failure.message, at: now))
    }

    /// - Parameters:
    ///   - status: of the answer, when there was no response yet.
    ///   - code: what a stream of HTTP/2 is reset with, when there was.
    func end(_ exchange: Exchange, _ ending: FlowEnding, status: Int?, isReset: Bool, code: HTTP2ErrorCode) {
        if exchange.isConversationOver { return endConversation(exchange, ending) }
        let client = exchange.client
        let hasContent = !exchange.isHead && status != 204 && status != 304
        var reply: LocalReply?
        if let status, exchange.responseHead == nil {
            reply = client.localReply(status: status, ending.error?.message ?? "", hasContent: hasContent)
        }
        if let reply { record(exchange.flow, at: now, .localReply(reply)) }
        recordEnd(of: exchange, ending)
        logFailure(
            "failed", "\(clientFacts.value.peer): \(exchange.destination.endpoint): \(ending.error?.message ?? "")",
            server: exchange.destination.endpoint)
        abandon(exchange)
        forget(exchange)
        guard client.isMultiplexed else {
            closeUpstreams()
            if let reply { client.answer(reply) }
            return closeClient(reply != nil ? .clean : isReset ? .reset : .truncated)
        }
        if let reply {
            client.answer(reply)
        } else {
            // nghttp2 lets a reset overtake what is queued; the client is to get what is queued first.
            sendFrames()
            client.reset(code)
        }
        serveQueued()
        closeIfDone()
    }

    /// Tells the server that its response is not wanted any more.
    /// - Parameter isReset: the client reset its side.
    func abandon(_ exchange: Exchange, _ code: HTTP2ErrorCode = .cancel, isReset: Bool = false) {
        switch exchange.server {
        case .http2(let server, let stream):
            server.connection.reset(stream, code)
        case .http1(let server):
            let upstream = upstream(of: exchange)
            server.exchange = nil
            if let upstream { isReset ? abort(upstream) : close(upstream) }
        case .recorded, nil:
            break
        }
    }
}
