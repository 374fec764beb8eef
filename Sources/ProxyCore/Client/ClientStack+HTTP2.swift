// HTTP/2 on either side: what the frames of a connection mean for its exchanges.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore

extension ClientStack {
    // MARK: The client's side

    /// The client speaks HTTP/2.
    func startHTTP2(_ bytes: ByteBuffer) {
        cancelHandshakeTimer()
        if route?.isTunnel == true, client.tls == nil { route?.isCleartextHTTP2 = true }
        let connection = HTTP2Connection(
            .server, limits: configuration.http2Limits, validation: configuration.http2Validation,
            enablesConnectProtocol: takesExtendedConnect)
        http = .http2(ClientHTTP2(connection, configuration))
        if bytes.readableBytes > 0 { connection.receive(bytes) }
        askForSettings()
        advanceFrames()
        for upstream in upstreams { advanceFrames(of: upstream) }
    }

    /// A client that wants WebSocket waits until it knows that the server takes it (RFC 8441 §3), which is in the server's SETTINGS.
    private func askForSettings() {
        guard let route, route.isCleartextHTTP2, route.failure == nil, configuration.strategy == .eager,
            !servesRecordings
        else { return }
        if upstreams.isEmpty {
            openUpstream(route.destination)
        } else if let upstream, upstream.isConnected {
            becomeReady(upstream)
        }
    }

    /// The server accepts the upgrade to HTTP/2 without TLS that the client asked for (RFC 7540 §3.2).
    func isUpgradeToHTTP2(_ head: ResponseHead, _ exchange: Exchange) -> Bool {
        head.status == 101 && exchange.requestIsComplete && configuration.allowsHTTP2 && exchange.request.upgrade == .h2c
            && head.fields.list("upgrade", contains: "h2c")
    }

    /// Both connections continue in HTTP/2. The request is stream 1 on each, and its response follows there.
    func upgradeToHTTP2(_ head: ResponseHead, _ exchange: Exchange, _ upstream: Upstream, _ at: Timestamp) {
        guard case .http1(let http1) = http, case .http1(let server1) = upstream.http else { return }
        sendToClient(HTTP1Encoder.response(head, framing: .tunnel))
        let encoded = exchange.request.fields.first("http2-settings") ?? ByteBuffer()
        let toClient = HTTP2Connection(.server, limits: configuration.http2Limits, validation: configuration.http2Validation)
        let toServer = HTTP2Connection(.client, limits: configuration.http2Limits, validation: configuration.http2Validation)
        guard let settings = Base64.decode(encoded, .url), toClient.upgrade(settings: settings, isHeadRequest: exchange.isHead),
            toServer.upgrade(settings: settings, isHeadRequest: exchange.isHead)
        else {
            return fail(exchange, status: 502, FlowError(side: .client, message: "the HTTP2-Settings are malformed", at: now))
        }
        let client2 = ClientHTTP2(toClient, configuration)
        let server2 = ServerHTTP2(upstream.transport, toServer)
        exchange.client = .http2(client2, StreamID(1))
        client2.exchanges[StreamID(1)] = exchange
        exchange.server = server2.continueUpgraded(exchange)
        http = .http2(client2)
        upstream.speak(server2)
        let fromServer = server1.decoder.takeRest()
        if fromServer.readableBytes > 0 { toServer.receive(fromServer) }
        let fromClient = http1.decoder.takeRest()
        if fromClient.readableBytes > 0 { toClient.receive(fromClient) }
        advanceFrames()
        advanceFrames(of: upstream)
    }

    func advanceFrames() {
        guard let http2 = http.http2 else { return }
        while case .http = layer, authentication.pending == nil, let event = http2.connection.next() { receive(event, http2) }
    }

    private func receive(_ event: HTTP2Event, _ http2: ClientHTTP2) {
        switch event {
        case .request(let stream, .head(let head, let framing, let isLast)):
            begin(head, framing, isLast: isLast, stream: stream)
        case .request(let stream, let event):
            if let exchange = http2.exchanges[stream] {
                receive(event, of: exchange)
            } else if let tunnel = tunnels[stream] {
                receive(event, tunnel)
            } else if case .content(let content, _, _) = event {
                http2.connection.consumed(content.readableBytes, on: stream)
            }
        case .reset(let stream, let code):
            if let exchange = http2.exchanges[stream] {
                clientReset(exchange, "the client reset the stream with \(code)", code)
                countReset(http2)
            } else if let tunnel = tunnels[stream] {
                streamEnded(tunnel, isReset: true)
                countReset(http2)
            }
        case .failed(let stream, _, let message, let head, let isRelaxable):
            let error = FlowError(side: .client, message: message + hint(isRelaxable: isRelaxable), at: now)
            countReset(http2)
            if let tunnel = tunnels[stream] { return streamEnded(tunnel, isReset: true) }
            guard let exchange = http2.exchanges[stream] else { return recordRefused(head, error: error, stream: stream) }
            let ending = FlowEnding(state: .incomplete, error: error, closedBy: .client)
            recordEnd(of: exchange, ending)
            abandon(exchange)
            forget(exchange)
            serveQueued()
        case .fieldsTooLarge(let stream, let head):
            let message = "the field section is larger than \(configuration.http2Limits.maximumFieldSectionSize) bytes"
            let error = FlowError(side: .client, message: message, at: now)
            guard let exchange = http2.exchanges[stream] else { return refuse(status: 431, error, head: head, stream: stream) }
            fail(exchange, status: 431, error)
        case .terminated(let code, let message):
            clientTerminated(code, message)
        case .priority(let stream, let priority):
            forward(priority, of: stream, http2)
        case .priorityUpdate(let stream, let value):
            forward(update: value, of: stream, http2)
        case .ping:
            // It was answered; what it keeps alive is the whole way.
            for upstream in upstreams { upstream.http.http2?.connection.sendPing() }
        case .settings(let settings):
            received(settings: settings)
        case .note(let stream, let sentence):
            if let exchange = http2.exchanges[stream] { note(exchange.flow, .client, at: client.lastRead, sentence) }
        case .response, .goAway, .unprocessed:
            break
        }
    }

    private func received(settings: [PeerSetting]) {
        guard let known = clientFacts.value.settings.adding(settings) else { return }
        var facts = clientFacts.value
        facts.settings = known
        clientFacts = Shared(facts)
        for exchange in http.exchanges { record(exchange.flow, at: client.lastRead, .client(clientFacts)) }
    }

    /// The client sends no more. Requests that are not complete will never be.
    func framesEnded() {
        guard let http2 = http.http2 else { return }
        for exchange in http2.inOrder where !exchange.requestIsComplete {
            clientReset(exchange, "the client closed the connection", .cancel, isReset: false)
        }
        for tunnel in tunnels.inOrder where !tunnel.stack.client.hasEnded {
            http2.connection.reset(tunnel.stream, .cancel)
            streamEnded(tunnel, isReset: false)
        }
        // A client that still reads answers; one that is gone causes a reset, and its requests are cancelled.
        if !http2.exchanges.isEmpty || !tunnels.isEmpty { http2.connection.sendPing() }
        closeIfDone()
    }

    /// The client wants no answer any more.
    private func clientReset(_ exchange: Exchange, _ message: String, _ code: HTTP2ErrorCode, isReset: Bool = true) {
        var ending = FlowEnding(state: .incomplete, error: FlowError(side: .client, message: message, at: now), closedBy: .client)
        ending.isReset = isReset
        recordEarlyEnd(of: exchange, ending)
        abandon(exchange, code, isReset: isReset && !exchange.isConversationOver)
        forget(exchange)
        serveQueued()
    }

    /// RFC 9113 §10.5: a client that opens streams only to give them up, or to have them reset, makes work of nothing.
    private func countReset(_ http2: ClientHTTP2) {
        guard !http2.resetLimit.take(at: now) else { return }
        http2.connection.terminate(.enhanceYourCalm, "the client gives up streams faster than it may")
    }

    /// The client broke a rule of the connection; GOAWAY names it.
    private func clientTerminated(_ code: HTTP2ErrorCode, _ message: String) {
        let error = FlowError(side: .client, message: "\(message) (\(code))", at: now)
        let exchanges = http.exchanges
        if exchanges.isEmpty { recordRefused(ByteBuffer(), error: error, stream: StreamID(0)) }
        for exchange in exchanges { abandon(exchange) }
        streamsEnded(isReset: true)
        endOpenFlow(FlowEnding(state: .incomplete, error: error, closedBy: .client))
        closeUpstreams()
        closeClient(.clean)
    }

    // MARK: The server's side

    func advanceFrames(of upstream: Upstream) {
        guard let http2 = upstream.http.http2 else { return }
        while case .http = layer, !upstream.isClosed, let event = http2.connection.next() {
            receive(event, from: upstream, http2)
        }
    }

    private func receive(_ event: HTTP2Event, from upstream: Upstream, _ http2: ServerHTTP2) {
        switch event {
        case .response(let stream, let event):
            guard let exchange = http2.exchanges[stream] else { return }
            receiveResponse(event, of: exchange, at: upstream.transport.lastRead)
        case .reset(let stream, let code):
            guard let exchange = http2.exchanges[stream] else { return }
            serverReset(exchange, code)
        case .failed(let stream, let code, let message, let head, _):
            guard let exchange = http2.exchanges[stream] else { return }
            recordMalformed(head, from: .server, of: exchange.flow)
            fail(exchange, status: 502, FlowError(side: .server, message: "\(message) (\(code))", at: now))
        case .note(let stream, let sentence):
            guard let exchange = http2.exchanges[stream] else { return }
            note(exchange.flow, .server, at: upstream.transport.lastRead, sentence)
        case .fieldsTooLarge(let stream, _):
            guard let exchange = http2.exchanges[stream] else { return }
            let message = "the response's field section is larger than \(configuration.http2Limits.maximumFieldSectionSize) bytes"
            fail(exchange, status: 502, FlowError(side: .server, message: message, at: now))
        case .unprocessed(let stream):
            guard let exchange = http2.exchanges[stream] else { return }
            serverDidNotProcess(exchange, http2.goAway)
        case .goAway(let last, let code, let debug):
            log(
                .info, "server-goaway",
                "\(upstream.destination.endpoint): the server goes away: \(code), last stream \(last)\(debug.isEmpty ? "" : ", \(debug)")",
                server: upstream.destination.endpoint)
            // A server may send it twice, first to announce the second (RFC 9113 §6.8).
            if http2.goAway?.isError != true { http2.goAway = GoAway(code: code, debug: debug) }
            if upstream.isIdle { close(upstream) }
        case .terminated(let code, let message):
            serverClosed(upstream, "\(message) (\(code))", isReset: false)
        case .settings(let settings):
            received(settings: settings, upstream)
            if http2.connection.peerEnablesConnectProtocol { http.http2?.connection.enableConnectProtocol() }
            // What waits at a connection that is ready waits to know whether the server takes extended CONNECT.
            for exchange in upstream.takeWaiting() { assignServer(for: exchange) }
        case .ping:
            http.http2?.connection.sendPing()
        case .request, .priority, .priorityUpdate:
            break
        }
    }

    private func received(settings: [PeerSetting], _ upstream: Upstream) {
        guard let known = upstream.facts.settings.adding(settings) else { return }
        upstream.update { $0.settings = known }
        for exchange in upstream.http.exchanges { record(exchange.flow, at: upstream.transport.lastRead, .server(upstream.shared)) }
    }

    /// RST_STREAM of the server: passed on as it is where the client speaks HTTP/2.
    private func serverReset(_ exchange: Exchange, _ code: HTTP2ErrorCode) {
        if exchange.responseIsComplete, code == .noError {
            // RFC 9113 §8.1: the answer is whole, the rest of the request is not wanted.
            return cutRequest(exchange)
        }
        // A client of HTTP/2 decides itself; HTTP/1 cannot report that a request was not processed.
        let decidesItself = exchange.client.isMultiplexed
        if code == .refusedStream, !decidesItself, exchange.isReplayable { return retry(exchange, "the server refused the stream") }
        let error = FlowError(side: .server, message: "the server reset the stream with \(code)", at: now)
        let state = exchange.responseHead == nil ? FlowState.failed : .incomplete
        var ending = FlowEnding(state: state, error: error, closedBy: .server)
        ending.isReset = true
        end(exchange, ending, status: decidesItself ? nil : 502, isReset: true, code: code)
    }

    /// Beyond the last stream of a GOAWAY (RFC 9113 §8.7): the request may be sent again, and where we no longer have it, by the client.
    /// A server that goes away for what we did is not asked again.
    private func serverDidNotProcess(_ exchange: Exchange, _ goAway: GoAway?) {
        if exchange.isReplayable, goAway?.isError != true { return retry(exchange, "the server refused the stream") }
        let reason = goAway.map { " (\($0.description))" } ?? ""
        let error = FlowError(side: .server, message: "the server refused the stream unprocessed\(reason)", at: now)
        let ending = FlowEnding(state: .failed, error: error, closedBy: .server)
        end(exchange, ending, status: exchange.client.isMultiplexed ? nil : 503, isReset: false, code: .refusedStream)
    }
}

extension [PeerSetting]? {
    /// The known settings of a peer after it has sent more.
    /// - Returns: nil when that is no more than before.
    fileprivate func adding(_ said: [PeerSetting]) -> [PeerSetting]? {
        let known = Array((self ?? []) + said.prefix(PeerSetting.maximumKept)).prefix(PeerSetting.maximumKept)
        return self.map { $0.count == known.count } == true ? nil : Array(known)
    }
}
