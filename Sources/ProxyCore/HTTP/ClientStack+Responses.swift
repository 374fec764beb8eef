// Responses of the server on their way to the client, and the ends of exchanges.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore

extension ClientStack {
    /// Takes from the decoder of an HTTP/1 connection what can go on now.
    func advanceResponses(of upstream: Upstream) {
        do throws(HTTP1Error) {
            while case .http = phase, !upstream.isClosed {
                guard let exchange = upstream.exchange, !exchange.responseIsComplete else { return checkIdleServer(upstream) }
                guard let event = try upstream.decoder.next() else { break }
                for sentence in upstream.decoder.takeNotes() {
                    note(exchange.flow, .server, at: upstream.transport.lastRead, sentence)
                }
                receiveResponse(event, of: exchange, at: upstream.transport.lastRead)
            }
        } catch {
            responseFailed(upstream, error)
        }
    }

    /// A server has nothing to say when it was not asked (RFC 9112 §9.2); a 408 on an idle connection is one that closes.
    private func checkIdleServer(_ upstream: Upstream) {
        guard upstream.decoder.bufferedBytes > 0, upstream.exchange == nil else { return }
        log(.info, "\(upstream.destination.endpoint): unexpected data from the server on an idle connection; closing it")
        close(upstream)
    }

    func receiveResponse(_ event: ResponseEvent, of exchange: Exchange, at: Timestamp) {
        switch event {
        case .interim(let head):
            responseBegins(exchange)
            record(exchange.flow, at: at, .interim(head))
            sendInterim(head, of: exchange)
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
        if exchange.webSocket != nil { return relayFrames(content, from: .server, of: exchange, at: at) }
        exchange.responseSize += UInt64(content.readableBytes)
        if let maximum = configuration.maximumBodySize, exchange.responseSize > maximum {
            let message = "the response's content is larger than \(maximum) bytes"
            return fail(exchange, status: 502, FlowError(side: .server, message: message, at: now))
        }
        if content.readableBytes > 0 {
            record(exchange.flow, at: at, .piece(FlowPiece(from: .server, content: content)))
        }
        sendResponseContent(content, wire: wire, of: exchange)
    }

    /// The server has sent the whole response, unless what came with its end ended the exchange.
    private func responseEnded(_ trailers: FieldSection?, wire: ByteBuffer, of exchange: Exchange, _ at: Timestamp) {
        guard !exchange.isOver else { return }
        if let trailers { record(exchange.flow, at: at, .trailers(from: .server, trailers)) }
        record(exchange.flow, at: at, .finished(.server))
        sendResponseEnd(trailers, wire: wire, of: exchange)
        exchange.responseIsComplete = true
        if exchange.closedBy == nil { exchange.closedBy = .server }
        if let remaining = exchange.remainingContentLength, remaining != 0 { return contentLengthMismatch(exchange) }
        responseIsComplete(exchange)
    }

    /// The server has looked at the request.
    private func responseBegins(_ exchange: Exchange) {
        exchange.hasResponseBegun = true
        _ = takeRetryBuffer(of: exchange)
    }

    private func receiveHead(_ head: ResponseHead, _ framing: BodyFraming, of exchange: Exchange, _ at: Timestamp) {
        responseBegins(exchange)
        record(exchange.flow, at: at, isUpgradeToHTTP2(head, exchange) ? .interim(head) : .response(head))
        if let maximum = configuration.maximumBodySize, case .length(let length) = framing, length > maximum {
            let message = "the response's content is larger than \(maximum) bytes"
            return fail(exchange, status: 502, FlowError(side: .server, message: message, at: now))
        }
        if case .asked(let key) = exchange.bootstrap { return receiveAnswer(head, framing, to: exchange, key: key, at) }
        if framing == .tunnel, http2 != nil {
            let message = "the server changed the protocol, which it was not asked to"
            return fail(exchange, status: 502, FlowError(side: .server, message: message, at: now))
        }
        if framing == .tunnel, let upstream = exchange.upstream, isUpgradeToHTTP2(head, exchange) {
            return upgradeToHTTP2(head, exchange, upstream, at)
        }
        if framing == .tunnel, exchange.request.version == .http1_0 {
            // RFC 9110 §15.2: a 1xx is never sent to a client of HTTP/1.0, which cannot have asked for an upgrade (§7.8).
            let message = "the server changed the protocol, which HTTP/1.0 cannot ask for"
            return fail(exchange, status: 502, FlowError(side: .server, message: message, at: now))
        }
        if head.fields.contains("transfer-encoding"), head.version.major < 2 {
            let changes = FramingFields(head.fields, framing, version: head.version, isRequest: false)
            exchange.isFramingAmbiguous = exchange.isFramingAmbiguous || changes.isAmbiguous
            noteCoding(of: head, exchange, at)
        }
        if http2 != nil, head.version.major < 2, !head.fields.lines.allSatisfy(head.fields.isNameOfHTTP2) {
            note(exchange.flow, .client, at: at, "fields whose names HTTP/2 does not allow are not sent to the client")
        }
        if exchange.isExtendedConnect { exchange.webSocket = webSocket(of: exchange, head) }
        exchange.response = head
        exchange.endsWithConnection = framing == .untilClose
        sendResponse(head, framing, of: exchange)
        if framing == .tunnel {
            record(exchange.flow, at: at, .finished(.server))
            startTunnel(after: exchange, webSocket: webSocket(of: exchange, head))
        } else if !exchange.pendingContent.isEmpty {
            flushPending(exchange)
        }
    }

    /// HTTP/2 and HTTP/1.0 have no transfer codings: the content is passed on as it was coded, since undoing it would change what was sent.
    private func noteCoding(of head: ResponseHead, _ exchange: Exchange, _ at: Timestamp) {
        guard http2 != nil || exchange.request.version == .http1_0 else { return }
        let codings = head.fields.transferCodings.map { String(buffer: $0) }
            .filter { !["chunked", "identity"].contains($0.lowercased()) }
        guard !codings.isEmpty else { return }
        let version = http2 == nil ? "HTTP/1.0" : "HTTP/2"
        let names = codings.joined(separator: ", ")
        note(
            exchange.flow, .client, at: at,
            "the client gets the content with the transfer coding \(names) of the server, which \(version) does not have")
    }

    /// A server of HTTP/2 sent less or more than its Content-Length says. A client of HTTP/1 waits for the rest, or has no place for it: it is
    /// cut off (RFC 9112 §6.3, §8).
    private func contentLengthMismatch(_ exchange: Exchange) {
        let message = "the response's content is \(exchange.responseSize) bytes long, which its Content-Length contradicts"
        fail(exchange, status: 502, FlowError(side: .server, message: message, at: now))
    }

    private func responseIsComplete(_ exchange: Exchange) {
        if exchange.bootstrap == .refused, !exchange.requestIsComplete {
            // Nothing is said in a conversation that was refused: the request was its head.
            record(exchange.flow, at: now, .finished(.client))
            http2?.endInput(of: exchange.stream)
            exchange.requestIsComplete = true
        }
        if exchange.requestIsComplete {
            endExchange(exchange)
        } else if !exchange.isUpgraded, let upstream = exchange.upstream, upstream.http2 == nil,
            !serverPersists(exchange, upstream) || upstream.transport.hasEnded
        {
            // The server has answered and will not read the rest of the request (RFC 9112 §9.6).
            cutRequest(exchange)
        }
    }

    /// The server answered and reads no more of the request, which it may (RFC 9112 §9.3, RFC 9113 §8.1): the exchange is complete
    /// although its request is not.
    func cutRequest(_ exchange: Exchange) {
        note(exchange.flow, .server, at: now, "the server answered before the request was complete, and reads no more of it")
        recordEnd(of: exchange, FlowEnding(state: .complete, closedBy: .server))
        let upstream = exchange.upstream
        if let http2 {
            http2.endInput(of: exchange.stream)
            forget(exchange)
            if let upstream, upstream.http2 == nil { close(upstream) }
        } else {
            forget(exchange)
            closeUpstreams()
            closeClient(.clean)
        }
    }

    /// - Parameter upstream: nil when the server is played.
    private func serverPersists(_ exchange: Exchange, _ upstream: Upstream?) -> Bool {
        guard let response = exchange.response, !exchange.isUpgraded else { return false }
        if upstream?.http2 != nil { return true }
        if upstream == nil, response.version.major >= 2 { return !exchange.endsWithConnection }
        let asked = exchange.request.version.major >= 2 || exchange.request.keepsConnection
        return response.keepsConnection && asked && !exchange.endsWithConnection && !exchange.isFramingAmbiguous
    }

    /// Request and response are complete: the next one, or the end of the connections.
    func endExchange(_ exchange: Exchange) {
        recordEnd(of: exchange, ending(of: exchange))
        let upstream = exchange.upstream
        let serverPersists = upstream != nil || exchange.recorded != nil ? self.serverPersists(exchange, upstream) : false
        forget(exchange)
        if http2 != nil {
            if let upstream, upstream.http2 == nil {
                if !serverPersists || upstream.transport.hasEnded { close(upstream) }
                serveQueued()
            }
            return closeIfDone()
        }
        let clientPersists =
            exchange.request.keepsClientConnection && !exchange.endsWithConnection && !exchange.isFramingAmbiguous
            && serverPersists
        if let upstream, !serverPersists || upstream.transport.hasEnded { close(upstream) }
        if exchange.isUpgraded {
            // Each side's end was passed on as it came.
            closeUpstreams()
            phase = .lingering
            client.closeLink(context)
        } else if clientPersists {
            advanceRequests()
        } else {
            closeUpstreams()
            closeClient(.clean)
        }
    }

    /// The exchange is over: nobody knows it any more.
    func forget(_ exchange: Exchange) {
        exchange.isOver = true
        exchange.upstream?.forget(exchange)
        _ = takeRetryBuffer(of: exchange)
        exchange.recorded?.server = nil
        if self.exchange === exchange { self.exchange = nil }
        if http2 != nil { exchanges[exchange.stream] = nil }
        queued.removeAll { $0 === exchange }
        for upstream in upstreams where !upstream.waiting.isEmpty { upstream.waiting.removeAll { $0 === exchange } }
    }

    /// A client of HTTP/2 that says no more is closed when its last stream has ended.
    func closeIfDone() {
        guard client.hasEnded, exchanges.isEmpty, tunnels.isEmpty, case .http = phase else { return }
        closeUpstreams()
        closeClient(.clean)
    }

    // MARK: The server's end

    /// The server will say no more.
    func serverEnded(_ upstream: Upstream, isClean: Bool) {
        guard upstream.http2 == nil else { return serverClosed(upstream, "the server closed the connection", isReset: false) }
        guard let exchange = upstream.exchange else { return upstreamFailed(upstream, "the server closed the connection") }
        if exchange.isUpgraded { return receiveResponse(.end(trailers: nil, wire: ByteBuffer()), of: exchange, at: now) }
        if exchange.endsWithConnection, !isClean {
            // RFC 9112 §9.8: without close_notify it may have been cut.
            return serverClosed(
                upstream, "the server closed the TLS connection without close_notify, so the response may be cut", isReset: false)
        }
        upstream.decoder.receivedEnd()
        advanceResponses(of: upstream)
        guard let exchange = upstream.exchange else { return }
        if exchange.responseIsComplete {
            cutRequest(exchange)
        } else if upstream.transport.hasEnded {
            serverClosed(upstream, "the server closed the connection", isReset: false)
        }
    }

    /// The connection to the server is gone in the middle of something, or between two exchanges.
    func serverClosed(_ upstream: Upstream, _ message: String, isReset: Bool) {
        let isBetweenMessages = upstream.http2 != nil || upstream.decoder.isBetweenMessages
        let exchanges = upstream.exchange.map { [$0] } ?? upstream.exchanges.values.sorted { $0.stream.value < $1.stream.value }
        let wasUsed = upstream.requests > exchanges.count
        guard !exchanges.isEmpty || !upstream.waiting.isEmpty else { return close(upstream) }
        // A head that did not come to its end, or a chunk's.
        if let exchange = upstream.exchange {
            recordMalformed(upstream.decoder.takeRefused(), from: .server, of: exchange.flow)
        }
        let waiting = upstream.waiting
        let isRefused = upstream.goAway?.isError == true
        let message = message + (isRefused ? upstream.goAway.map { " after \($0.description)," } ?? "" : "")
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
            exchange.response == nil
            ? "before it answered" : exchange.isUpgraded ? "in the middle of the conversation" : "in the middle of the response"
        var ending = FlowEnding(
            state: exchange.response == nil ? .failed : .incomplete,
            error: FlowError(side: .server, message: "\(message) \(place)", at: now))
        ending.closedBy = .server
        ending.isReset = isReset
        // RFC 8441 §5: a connection that was reset is a stream reset with CANCEL.
        end(exchange, ending, status: 502, isReset: isReset, code: exchange.isUpgraded ? .cancel : .internalError)
    }

    /// Sends a request once more, to a new connection.
    func retry(_ exchange: Exchange, _ message: String) {
        guard exchange.isReplayable else { return serverDisconnected(exchange, message, isReset: false) }
        exchange.upstream?.forget(exchange)
        exchange.attempts += 1
        exchange.rewind(takeRetryBuffer(of: exchange))
        assignServer(for: exchange)
    }

    private func responseFailed(_ upstream: Upstream, _ error: HTTP1Error) {
        if error.kind.isTruncation {
            let message = upstream.transport.hasEnded ? "the server closed the connection" : error.message
            return serverClosed(upstream, message, isReset: false)
        }
        guard let exchange = upstream.exchange else { return close(upstream) }
        recordMalformed(upstream.decoder.takeRefused(), from: .server, of: exchange.flow)
        fail(exchange, status: 502, FlowError(side: .server, message: error.message, at: now))
    }

    // MARK: Failures

    /// Ends the exchange with an error: an answer where the client has none yet, otherwise a cut.
    func fail(_ exchange: Exchange, status: Int, _ error: FlowError, code: HTTP2ErrorCode = .internalError) {
        let ending = FlowEnding(state: exchange.response == nil ? .failed : .incomplete, error: error)
        end(exchange, ending, status: status, isReset: false, code: code)
    }

    /// - Parameters:
    ///   - status: of the answer, when there was no response yet.
    ///   - code: what a stream of HTTP/2 is reset with, when there was.
    func end(_ exchange: Exchange, _ ending: FlowEnding, status: Int?, isReset: Bool, code: HTTP2ErrorCode) {
        if exchange.isConversationOver { return endConversation(exchange, ending) }
        let hasContent = !exchange.isHead && status != 204 && status != 304
        var reply: LocalReply?
        if let status, exchange.response == nil {
            reply = Self.localReply(
                status: status, ending.error?.message ?? "", hasContent: hasContent, isHTTP2: http2 != nil)
        }
        if let reply { record(exchange.flow, at: now, .localReply(reply)) }
        recordEnd(of: exchange, ending)
        logFailure("\(clientFacts.value.peer): \(exchange.destination.endpoint): \(ending.error?.message ?? "")")
        abandon(exchange)
        forget(exchange)
        if let http2 {
            if let reply {
                http2.answer(reply, on: exchange.stream)
            } else {
                // nghttp2 lets a reset overtake what is queued; the client is to see what came before it.
                sendFrames()
                http2.reset(exchange.stream, code)
            }
            serveQueued()
            return closeIfDone()
        }
        closeUpstreams()
        if let reply {
            send(reply)
            closeClient(.clean)
        } else {
            closeClient(isReset ? .reset : .truncated)
        }
    }

    /// Tells the server that nobody waits for its response any more.
    /// - Parameter isReset: the client reset its side.
    func abandon(_ exchange: Exchange, _ code: HTTP2ErrorCode = .cancel, isReset: Bool = false) {
        guard let upstream = exchange.upstream, exchange.isSent else { return }
        if let http2 = upstream.http2 {
            if let stream = exchange.upstreamStream { http2.reset(stream, code) }
        } else {
            upstream.exchange = nil
            isReset ? abort(upstream) : close(upstream)
        }
    }
}
