// Requests on their way to a server, and frames of HTTP/2 on their way out.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore

extension ClientStack {
    // MARK: To the server

    /// Sends the head of a request, and the content that has arrived since.
    func sendRequest(_ exchange: Exchange, on upstream: Upstream) {
        if mustWaitForSettings(exchange, upstream) { return upstream.waiting.append(exchange) }
        upstream.requests += 1
        record(exchange.flow, at: now, .server(upstream.shared))
        exchange.content = .message
        do throws(ExchangeFailure) {
            guard try sendHead(of: exchange, on: upstream) else {
                return retry(exchange, "the server takes no more requests on its connection")
            }
        } catch {
            return fail(exchange, error)
        }
        if exchange.isUpgradePending { return }
        let pendingContent = exchange.pendingContent
        exchange.pendingContent = []
        for event in pendingContent { forward(event, of: exchange) }
        advanceRequests()
    }

    /// - Returns: false when the connection takes no more requests.
    private func sendHead(of exchange: Exchange, on upstream: Upstream) throws(ExchangeFailure) -> Bool {
        let (priority, update) = takePriority(of: exchange)
        switch upstream.http {
        case .http1(let server):
            server.exchange = exchange
            exchange.server = .http1(server)
            try bootstrapWebSocket(exchange, to: server)
            server.sendHead(of: exchange, isForwardProxy: upstream.isForwardProxy, proxyAuthorization(for: upstream))
        case .http2(let server):
            try bootstrapWebSocket(exchange, to: server)
            let forServer = priority.map { translated($0, for: server) }
            guard let stream = server.sendHead(of: exchange, priority: forServer, update: update) else { return false }
            exchange.server = .http2(server, stream)
        }
        return true
    }

    /// Ours goes to an upstream proxy; the client's was for us when we asked for it.
    private func proxyAuthorization(for upstream: Upstream) -> HTTP1Encoder.ProxyAuthorization {
        if upstream.isForwardProxy, let authorization = configuration.upstreamProxy?.authorization {
            return .replace(authorization)
        }
        return configuration.credentials != nil ? .remove : .keep
    }

    private func forward(_ event: RequestEvent, of exchange: Exchange) {
        switch event {
        case .content(let content, let wire, _): sendContent(content, wire: wire, of: exchange)
        case .end(let trailers, let wire): sendEnd(trailers, wire: wire, of: exchange)
        case .head: break
        }
    }

    func sendContent(_ content: ByteBuffer, wire: ByteBuffer, of exchange: Exchange) {
        guard let server = exchange.server else {
            return exchange.pendingContent.append(.content(content, wire: wire, isLast: false))
        }
        do throws(ExchangeFailure) {
            try server.sendContent(content, wire: wire, of: exchange)
            if case .recorded(let recorded) = server, recorded.duplexPlayer != nil { recordings.wake(exchange) }
        } catch {
            fail(exchange, error)
        }
    }

    func sendEnd(_ trailers: FieldSection?, wire: ByteBuffer, of exchange: Exchange) {
        // A responder may send the request on, which the server then is to have an end of.
        if let recorded = exchange.server?.recorded { lookUp(exchange, recorded) }
        guard let server = exchange.server else {
            return exchange.pendingContent.append(.end(trailers: trailers, wire: wire))
        }
        do throws(ExchangeFailure) {
            try server.sendEnd(trailers, wire: wire, of: exchange)
        } catch {
            fail(exchange, error)
        }
    }

    /// The connection that an exchange's request runs on.
    func upstream(of exchange: Exchange) -> Upstream? {
        guard let server = exchange.server else { return nil }
        return upstreams.first { $0.http.carries(server) }
    }

    // MARK: HTTP/2 frames

    /// Moves frames out to the client.
    /// - Returns: whether there were any.
    @discardableResult
    func sendFrames() -> Bool {
        guard let http2 = http.http2, !client.isFinished, client.isWritable, let bytes = http2.connection.takeOutput() else {
            return false
        }
        sendToClient(bytes)
        for (stream, count) in http2.connection.takeSentContent() {
            guard let exchange = http2.exchanges[stream] else {
                if tunnels[stream] != nil { tunnels.touched.insert(stream) }
                continue
            }
            if exchange.webSocket == nil { exchange.responseForwarded(count) } else { openWindows(of: exchange) }
            if servesRecordings { clientTookContent(of: exchange) }
        }
        return true
    }

    /// - Returns: whether there were any.
    private func sendFrames(to upstream: Upstream) -> Bool {
        guard let http2 = upstream.http.http2, upstream.transport.isWritable, let bytes = http2.connection.takeOutput() else {
            return false
        }
        send(bytes, to: upstream)
        for (stream, count) in http2.connection.takeSentContent() {
            guard let exchange = http2.exchanges[stream] else { continue }
            if exchange.webSocket == nil { exchange.requestForwarded(count) } else { openWindows(of: exchange) }
        }
        return true
    }

    /// Moves frames out on both sides until neither has any left that its peer takes, and opens windows for what has been forwarded.
    func exchangeFrames() {
        guard http.isMultiplexed || upstreams.contains(where: \.http.isMultiplexed) else { return }
        var isMoving = true
        while isMoving {
            isMoving = sendFrames()
            for upstream in upstreams where sendFrames(to: upstream) { isMoving = true }
            if http.http2?.connection.hasEvents == true { advanceFrames() }
            for upstream in upstreams where upstream.http.http2?.connection.hasEvents == true { advanceFrames(of: upstream) }
        }
        // Both sides are done: GOAWAY was sent, and the last stream has ended.
        if let http2 = http.http2, http2.connection.isDone, http2.exchanges.isEmpty, tunnels.isEmpty, case .http = layer {
            closeUpstreams()
            closeClient(.clean)
        }
        for upstream in upstreams where upstream.isIdle && upstream.http.http2?.connection.isDone == true { close(upstream) }
    }
}
