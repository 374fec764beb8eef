// What goes on from one side to the other, whatever version each speaks. From HTTP/1 to HTTP/1 the bytes pass as they came; otherwise heads
// are translated and content is framed anew (RFC 9113 §8, RFC 9112 §6).

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore

extension ClientStack {
    // MARK: To the server

    /// Sends the head of a request, and what came behind it in the meantime.
    func sendRequest(_ exchange: Exchange, on upstream: Upstream) {
        if mustWaitForSettings(exchange, upstream) { return upstream.waiting.append(exchange) }
        exchange.isSent = true
        exchange.upstream = upstream
        upstream.requests += 1
        record(exchange.flow, at: now, .server(upstream.shared))
        if upstream.http2 == nil { upstream.exchange = exchange }
        if upstream.http2 == nil, exchange.isPlainConnect { return refuseConnect(exchange) }
        if let refusal = bootstrapWebSocket(exchange, upstream) {
            return fail(exchange, status: refusal.status, FlowError(side: refusal.side, message: refusal.message, at: now))
        }
        let (priority, update) = pendingPriorities.take(exchange.stream)
        if let http2 = upstream.http2 {
            let opensWebSocket = exchange.bootstrap != nil
            let fields = HTTP2Fields(
                exchange.request, exchange.framing, target: exchange.target, authority: exchange.authority,
                isTLS: upstream.transport.tls != nil, opensWebSocket: opensWebSocket)
            let stream = http2.sendRequest(
                fields, endsStream: exchange.framing == .none && !opensWebSocket, isHead: exchange.isHead,
                isTunnel: exchange.request.isMethod("CONNECT") || opensWebSocket,
                priority: priority.map { translated($0, for: upstream) })
            guard let stream else {
                exchange.isSent = false
                return retry(exchange, "the server takes no more requests on its connection")
            }
            exchange.upstreamStream = stream
            exchange.retryBuffer = ByteBuffer()
            upstream.exchanges[stream] = exchange
            if let update { http2.sendPriorityUpdate(update, on: stream) }
        } else {
            sendHead(of: exchange, on: upstream)
        }
        if exchange.isUpgradePending { return }
        let pendingContent = exchange.pendingContent
        exchange.pendingContent = []
        for event in pendingContent { forward(event, of: exchange) }
        if exchange.request.version.major < 2 { advanceRequests() }
    }

    /// Sends the head of a request to a server of HTTP/1.
    private func sendHead(of exchange: Exchange, on upstream: Upstream) {
        upstream.decoder.expectResponse(to: exchange.isHead ? .head : .other)
        if exchange.request.version.major >= 2 {
            let head = HTTP1Translation.request(
                exchange, target: upstream.isForwardProxy ? exchange.absoluteTarget : nil,
                proxyAuthorization: proxyAuthorization(for: upstream).sent)
            exchange.chunksRequest = head.isChunked
            exchange.remainingRequestLength = head.length
            send(head.bytes, to: upstream)
        } else {
            let target = upstream.isForwardProxy ? exchange.absoluteTarget : exchange.target
            send(
                HTTP1Encoder.request(
                    exchange.request, framing: exchange.framing, target: target, host: exchange.authority,
                    proxyAuthorization: proxyAuthorization(for: upstream)
                ), to: upstream)
        }
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
        if buffered(content, of: exchange) { return }
        guard exchange.isSent, let upstream = exchange.upstream else {
            return exchange.pendingContent.append(.content(content, wire: wire, isLast: false))
        }
        if let http2 = upstream.http2 {
            // The client's window opens when nghttp2 has sent it: see exchangeFrames().
            if let stream = exchange.upstreamStream { http2.sendData(content, on: stream) }
            keep(content, of: exchange)
        } else {
            if let promised = exchange.remainingRequestLength {
                exchange.remainingRequestLength = promised - content.readableBytes
                if promised < content.readableBytes { return requestLengthMismatch(exchange) }
            }
            send(exchange.chunksRequest ? HTTP1Encoder.chunk(content) : wire, to: upstream)
            if http2 != nil, exchange.webSocket == nil {
                exchange.unconsumedRequest += content.readableBytes
                if upstream.transport.isWritable { consumeRequest(exchange) }
            }
        }
    }

    /// Keeps what was said to a server of HTTP/2, as long as that is not much.
    private func keep(_ content: ByteBuffer, of exchange: Exchange) {
        guard let kept = exchange.retryBuffer?.readableBytes else { return }
        let size = content.readableBytes
        guard kept + size <= FlowControl.highWaterMark, retryBufferBytes + size <= FlowControl.maximumRetryBufferBytes,
            !exchange.hasResponseBegun, exchange.webSocket == nil
        else {
            _ = takeRetryBuffer(of: exchange)
            return
        }
        retryBufferBytes += size
        // Copied, since the bytes that were received may be a small part of what was read.
        exchange.retryBuffer?.writeImmutableBuffer(content)
    }

    /// What was kept of a request, which is kept no more.
    func takeRetryBuffer(of exchange: Exchange) -> ByteBuffer? {
        guard let retryBuffer = exchange.retryBuffer else { return nil }
        retryBufferBytes -= retryBuffer.readableBytes
        exchange.retryBuffer = nil
        return retryBuffer
    }

    func sendEnd(_ trailers: FieldSection?, wire: ByteBuffer, of exchange: Exchange) {
        if exchange.recorded != nil {
            lookUp(exchange)
            if !exchange.isForwarded { return }
        }
        guard exchange.isSent, let upstream = exchange.upstream else {
            return exchange.pendingContent.append(.end(trailers: trailers, wire: wire))
        }
        if let http2 = upstream.http2 {
            guard let stream = exchange.upstreamStream, exchange.framing != .none || exchange.isUpgraded else { return }
            if exchange.retryBuffer != nil { exchange.retryTrailers = trailers }
            http2.sendEnd(trailers: trailers.map { HTTP2Fields(trailers: $0) }, on: stream)
        } else if exchange.isUpgraded {
            upstream.transport.finish(context)
        } else if exchange.request.version.major >= 2 {
            if let promised = exchange.remainingRequestLength, promised != 0 { return requestLengthMismatch(exchange) }
            if exchange.chunksRequest { send(HTTP1Encoder.lastChunk(trailers: trailers), to: upstream) }
        } else {
            send(wire, to: upstream)
        }
    }

    /// A client of HTTP/2 sent less or more than its Content-Length says, which lenient validation lets pass; a server of HTTP/1 would read the
    /// rest as another request, or wait for it.
    private func requestLengthMismatch(_ exchange: Exchange) {
        let message = "the request's content is \(exchange.requestSize) bytes long, which its Content-Length contradicts"
        fail(exchange, status: 400, FlowError(side: .client, message: message, at: now))
    }

    /// The client may send as much of a request as has gone on.
    private func consumeRequest(_ exchange: Exchange) {
        http2?.consumed(exchange.countForwarded(exchange.unconsumedRequest), on: exchange.stream)
        exchange.unconsumedRequest = 0
    }

    /// A connection of HTTP/1 to the server takes bytes again.
    func serverBecameWritable(_ upstream: Upstream) {
        if let exchange = upstream.exchange, exchange.unconsumedRequest > 0 { consumeRequest(exchange) }
    }

    // MARK: To the client

    func sendInterim(_ head: ResponseHead, of exchange: Exchange) {
        if let http2 {
            http2.sendInterim(HTTP2Fields(head, .tunnel), on: exchange.stream)
        } else if exchange.request.version == .http1_0 {
            // RFC 9110 §15.2: a client of HTTP/1.0 knows no interim responses.
            return
        } else if head.version.major >= 2 {
            sendToClient(HTTP1Translation.response(head, to: exchange, isLast: false).bytes)
        } else {
            sendToClient(HTTP1Encoder.response(head, framing: .tunnel))
        }
    }

    func sendResponse(_ head: ResponseHead, _ framing: BodyFraming, of exchange: Exchange) {
        if let http2 {
            http2.sendResponse(HTTP2Fields(head, framing), on: exchange.stream, endsStream: framing == .none)
        } else if head.version.major >= 2 || (framing == .chunked && exchange.request.version == .http1_0) {
            // RFC 9112 §7.1: a client of HTTP/1.0 does not know chunks.
            exchange.undoesChunks = head.version.major < 2
            let translated = HTTP1Translation.response(head, to: exchange, isLast: true, framing: framing)
            exchange.chunksResponse = translated.isChunked
            exchange.endsWithConnection = translated.endsWithConnection
            exchange.remainingContentLength = translated.length
            sendToClient(translated.bytes)
        } else {
            // What is played may hold more content, or less, than its head says.
            if exchange.recorded != nil { exchange.remainingContentLength = framing.length }
            sendToClient(HTTP1Encoder.response(head, framing: framing))
        }
    }

    func sendResponseContent(_ content: ByteBuffer, wire: ByteBuffer, of exchange: Exchange) {
        // RFC 9110 §6.4.1: some responses have no content, whatever a server of HTTP/2 sends.
        let status = exchange.response?.status
        let isContent = !exchange.isFramedAnew || !(exchange.isHead || status == 204 || status == 304)
        if let http2 {
            if isContent { http2.sendData(content, on: exchange.stream) } else { consumeResponse(exchange, content.readableBytes) }
        } else if exchange.isFramedAnew {
            if isContent {
                sendToClient(exchange.chunksResponse ? HTTP1Encoder.chunk(content) : exchange.clampedToContentLength(content))
            }
            if exchange.webSocket != nil { return }
            exchange.unconsumedResponse += content.readableBytes
            if client.isWritable { clientBecameWritable() }
        } else {
            sendToClient(wire)
        }
    }

    func sendResponseEnd(_ trailers: FieldSection?, wire: ByteBuffer, of exchange: Exchange) {
        if let http2 {
            http2.sendEnd(trailers: trailers.map { HTTP2Fields(trailers: $0) }, on: exchange.stream)
        } else if exchange.isUpgraded {
            client.finish(context)
        } else if exchange.isFramedAnew {
            if exchange.chunksResponse { sendToClient(HTTP1Encoder.lastChunk(trailers: trailers)) }
        } else if let trailers, trailers.hasSpaceBeforeColon {
            sendToClient(HTTP1Encoder.lastChunk(trailers: trailers))
        } else {
            sendToClient(wire)
        }
    }

    /// The server may send as much of a response as has gone on.
    private func consumeResponse(_ exchange: Exchange, _ bytes: Int) {
        guard let stream = exchange.upstreamStream else { return }
        exchange.upstream?.http2?.consumed(bytes, on: stream)
    }

    /// A client of HTTP/1 takes bytes again.
    func clientBecameWritable() {
        guard http2 == nil, let exchange, exchange.unconsumedResponse > 0 else { return }
        consumeResponse(exchange, exchange.unconsumedResponse)
        exchange.unconsumedResponse = 0
    }

    // MARK: HTTP/2 frames

    /// Moves frames out to the client.
    /// - Returns: whether there were any.
    @discardableResult
    func sendFrames() -> Bool {
        guard let http2, !client.isFinished, client.isWritable, let bytes = http2.takeOutput() else { return false }
        sendToClient(bytes)
        for (stream, count) in http2.takeSentContent() {
            guard let exchange = exchanges[stream] else {
                if tunnels[stream] != nil { tunnels.touched.insert(stream) }
                continue
            }
            if exchange.webSocket == nil { consumeResponse(exchange, count) } else { openWindows(of: exchange) }
        }
        return true
    }

    /// Moves frames out on both sides until neither has any left that its peer takes, and opens windows for what has gone on.
    func exchangeFrames() {
        guard http2 != nil || upstreams.contains(where: { $0.http2 != nil }) else { return }
        var isMoving = true
        while isMoving {
            isMoving = sendFrames()
            for upstream in upstreams {
                guard let frames = upstream.http2, upstream.transport.isWritable, let bytes = frames.takeOutput() else { continue }
                isMoving = true
                send(bytes, to: upstream)
                for (stream, count) in frames.takeSentContent() {
                    guard let exchange = upstream.exchanges[stream] else { continue }
                    if exchange.webSocket == nil {
                        http2?.consumed(exchange.countForwarded(count), on: exchange.stream)
                    } else {
                        openWindows(of: exchange)
                    }
                }
            }
            if http2?.hasEvents == true { advanceFrames() }
            for upstream in upstreams where upstream.http2?.hasEvents == true { advanceFrames(of: upstream) }
        }
        // Both have said that nothing more comes: GOAWAY, and the last stream ended.
        if let http2, http2.isDone, exchanges.isEmpty, tunnels.isEmpty, case .http = phase {
            closeUpstreams()
            closeClient(.clean)
        }
        for upstream in upstreams where upstream.isIdle && upstream.http2?.isDone == true { close(upstream) }
    }
}

extension BodyFraming {
    /// The length of the content where it is known from the head.
    fileprivate var length: Int? {
        switch self {
        case .none: 0
        case .length(let length): Int(clamping: length)
        case .chunked, .untilClose, .stream, .tunnel: nil
        }
    }
}
