// HTTP/1 responses of the server on their way to the client, and the end of an exchange.

import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore

extension ProxySession {
    func advanceResponses() {
        do throws(HTTP1Error) {
            while case .http = phase, upstream != nil {
                guard exchange?.isSent == true, exchange?.responseIsComplete == false else { return checkIdleServer() }
                guard let event = try upstream?.decoder.next() else { break }
                receive(event)
            }
        } catch {
            responseFailed(error)
        }
    }

    /// A server has nothing to say when it was not asked (RFC 9112 §9.2); a 408 on an idle connection is one that closes.
    private func checkIdleServer() {
        guard let upstream, upstream.decoder.bufferedBytes > 0, exchange?.isSent != true else { return }
        log(.info, "\(upstream.destination.endpoint): unexpected data from the server on an idle connection; closing it")
        closeUpstream()
    }

    private func receive(_ event: HTTPEvent) {
        guard let flow = exchange?.flow, let at = upstream?.leg.lastRead else { return }
        switch event {
        case .interim(let head):
            exchange?.hasResponseBegun = true
            record(flow, at: at, .interim(head))
            send(HTTP1Encoder.response(head), to: .client)
        case .response(let head, let framing):
            receive(head, framing, flow, at)
        case .body(let content, let wire):
            exchange?.responseSize += UInt64(content.readableBytes)
            if let maximum = configuration.maximumBodySize, let size = exchange?.responseSize, size > maximum {
                return fail(
                    status: 502,
                    FlowError(side: .server, message: "the response's content is larger than \(maximum) bytes", at: now))
            }
            if content.readableBytes > 0 { record(flow, at: at, .piece(FlowPiece(from: .server, content: content))) }
            send(wire, to: .client)
        case .end(let trailers, let wire):
            if let trailers { record(flow, at: at, .trailers(from: .server, trailers)) }
            record(flow, at: at, .finished(.server))
            send(wire, to: .client)
            exchange?.responseIsComplete = true
            responseIsComplete()
        case .request:
            preconditionFailure("a decoder of responses gives no requests")
        }
    }

    private func receive(_ head: ResponseHead, _ framing: BodyFraming, _ flow: FlowID, _ at: Timestamp) {
        exchange?.hasResponseBegun = true
        record(flow, at: at, .response(head))
        if let maximum = configuration.maximumBodySize, case .length(let length) = framing, length > maximum {
            return fail(
                status: 502, FlowError(side: .server, message: "the response's content is larger than \(maximum) bytes", at: now))
        }
        exchange?.response = head
        exchange?.endsWithConnection = framing == .untilClose
        send(HTTP1Encoder.response(head), to: .client)
        if framing == .tunnel, let exchange {
            record(flow, at: at, .finished(.server))
            startTunnel(after: exchange)
        }
    }

    private func responseIsComplete() {
        guard let exchange else { return }
        if exchange.requestIsComplete {
            endExchange()
        } else if !serverPersists(exchange) || upstream?.leg.hasEnded == true {
            // The server has answered and will not read the rest of the request (RFC 9112 §9.6).
            cutRequest()
        }
    }

    private func cutRequest() {
        let error = FlowError(side: .server, message: "the server answered and closed before the request was complete", at: now)
        endOpenFlow(FlowEnding(state: .incomplete, error: error, closedBy: .server))
        closeUpstream()
        closeClient(.clean)
    }

    private func serverPersists(_ exchange: Exchange) -> Bool {
        guard let response = exchange.response else { return false }
        return response.keepsConnection && exchange.request.keepsConnection && !exchange.endsWithConnection
    }

    /// Request and response are complete: the next one, or the end of the connections.
    func endExchange() {
        guard let exchange else { return }
        record(exchange.flow, at: now, .ended(FlowEnding(state: .complete)))
        self.exchange = nil
        let persists = serverPersists(exchange)
        let clientPersists = persists && exchange.request.keepsClientConnection
        if !persists || upstream?.leg.hasEnded == true { closeUpstream() }
        if !clientPersists {
            closeUpstream()
            closeClient(.clean)
        } else {
            advanceRequests()
        }
    }

    // MARK: The server's end

    /// The server will say no more.
    func serverEnded(isClean: Bool) {
        guard let exchange, exchange.isSent else { return closeUpstream() }
        if exchange.endsWithConnection, !isClean {
            // RFC 9112 §9.8: without close_notify it may have been cut.
            return serverClosed(
                "the server closed the TLS connection without close_notify, so the response may be cut", isReset: false)
        }
        upstream?.decoder.receivedEnd()
        advanceResponses()
        guard let exchange = self.exchange else { return }
        if exchange.responseIsComplete {
            cutRequest()
        } else if exchange.isSent, upstream?.leg.hasEnded == true {
            serverClosed("the server closed the connection", isReset: false)
        }
    }

    /// The connection to the server is gone in the middle of something, or between two exchanges.
    func serverClosed(_ message: String, isReset: Bool) {
        guard let exchange, exchange.isSent else { return closeUpstream() }
        if let upstream, upstream.requests > 1, exchange.isRepeatable, upstream.decoder.isBetweenMessages {
            // The server closed a connection it had kept, while the request was on its way (RFC 9112 §9.3.1).
            closeUpstream()
            self.exchange?.isSent = false
            self.exchange?.isRepeated = true
            return reachServer()
        }
        let place = exchange.response == nil ? "before it answered" : "in the middle of the response"
        var ending = FlowEnding(
            state: exchange.response == nil ? .failed : .incomplete,
            error: FlowError(side: .server, message: "\(message) \(place)", at: now))
        ending.closedBy = .server
        ending.isReset = isReset
        end(ending, status: 502, isReset: isReset)
    }

    private func responseFailed(_ error: HTTP1Error) {
        if error.kind.isTruncation, let upstream {
            return serverClosed(upstream.leg.hasEnded ? "the server closed the connection" : error.message, isReset: false)
        }
        fail(status: 502, FlowError(side: .server, message: error.message, at: now))
    }

    // MARK: Failures

    /// Ends the exchange with an error: an answer where the client has none yet, otherwise a cut.
    func fail(status: Int, _ error: FlowError) {
        end(FlowEnding(state: exchange?.response == nil ? .failed : .incomplete, error: error), status: status, isReset: false)
    }

    private func end(_ ending: FlowEnding, status: Int, isReset: Bool) {
        guard let exchange else { return }
        record(exchange.flow, at: now, .ended(ending))
        self.exchange = nil
        log(.warning, "\(clientFacts.value.peer): \(exchange.destination.endpoint): \(ending.error?.message ?? "")")
        closeUpstream()
        if exchange.response == nil {
            answer(status: status, ending.error?.message ?? "")
            closeClient(.clean)
        } else {
            closeClient(isReset ? .reset : .truncated)
        }
    }
}
