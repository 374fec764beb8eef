// Requests of the client, of HTTP/1 and of HTTP/2 alike: where each goes, and what is refused. HTTP/1 takes them one at a time.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore

extension ClientStack {
    /// Bytes of a client that speaks HTTP.
    func httpReceived(_ bytes: ByteBuffer) {
        switch http {
        case .http1(let http1):
            receive(bytes, http1)
        case .http2(let http2):
            http2.connection.receive(bytes)
            advanceFrames()
        }
    }

    /// The first bytes tell whether it is HTTP/2 with prior knowledge (RFC 9113 §3.4).
    private func receive(_ bytes: ByteBuffer, _ http1: ClientHTTP1) {
        if let exchange = http1.exchange, exchange.isUpgraded {
            return receive(.content(bytes, wire: bytes, isLast: false), of: exchange)
        }
        if case .started(let line) = http1.lineCheck, isForeign(line, bytes, http1) { return }
        guard case .undecided = http1.input else {
            http1.decoder.receive(bytes)
            return advanceRequests()
        }
        unparsed.append(bytes, at: client.lastRead)
        switch HTTP2Preface.matches(unparsed.bytes) {
        case true?:
            startHTTP2(unparsed.take())
        case false?:
            startDecoding()
            advanceRequests()
        case nil:
            client.hasEnded ? startDecoding() : startHandshakeTimer()
        }
    }

    /// Checks the client's first line.
    /// - Parameter line: its bytes so far; those that have come are added.
    /// - Returns: whether it is not HTTP, and was refused.
    private func isForeign(_ line: ByteBuffer, _ bytes: ByteBuffer, _ http1: ClientHTTP1) -> Bool {
        var line = line
        if line.readableBytes == 0 { line = bytes } else { line.writeImmutableBuffer(bytes) }
        switch FirstLine(line) {
        case .http:
            http1.lineCheck = .done
        case .undecided:
            http1.lineCheck = line.readableBytes < FirstLine.maximumSize ? .started(line) : .done
        case .foreign(let message):
            http1.lineCheck = .done
            refuse(status: 400, FlowError(side: .client, message: message, at: now), head: line)
            return true
        }
        return false
    }

    /// The client speaks HTTP/1: its decoder gets what was kept.
    func startDecoding() {
        guard let http1 = http.http1, case .undecided = http1.input else { return }
        http1.input = .requests
        if !unparsed.isEmpty { http1.decoder.receive(unparsed.take()) }
    }

    /// Takes from the decoder of an HTTP/1 client what can be forwarded now. A request waits while another one is in progress (RFC 9112 §9.3.2
    /// asks for responses in order), and its content waits for the server.
    func advanceRequests() {
        guard let http1 = http.http1, case .requests = http1.input, authentication.pending == nil else { return }
        http1.input = .advancing
        defer { http1.input = .requests }
        while case .http = layer, authentication.pending == nil {
            if let exchange = http1.exchange, exchange.requestIsComplete || exchange.isUpgraded || exchange.server == nil { return }
            do throws(HTTP1Error) {
                guard let event = try http1.decoder.next() else { break }
                if case .head(let head, let framing, let isLast) = event {
                    cancelHandshakeTimer()
                    exchangeCount += 1
                    begin(head, framing, isLast: isLast, stream: StreamID(exchangeCount))
                } else if let exchange = http1.exchange {
                    noteRequest(exchange, http1)
                    receive(event, of: exchange)
                }
            } catch {
                requestFailed(error, http1)
            }
        }
        guard case .http = layer, http1.exchange == nil, authentication.pending == nil else { return }
        if client.hasEnded {
            closeUpstreams()
            closeClient(.clean)
        } else if http1.decoder.isBetweenMessages {
            cancelHandshakeTimer()
        } else {
            startHandshakeTimer()
        }
    }

    /// Notes what was unusual in the request in progress.
    private func noteRequest(_ exchange: Exchange, _ http1: ClientHTTP1) {
        for sentence in http1.decoder.takeNotes() { note(exchange.flow, .client, at: client.lastRead, sentence) }
    }

    /// What follows a request's head.
    func receive(_ event: RequestEvent, of exchange: Exchange) {
        if exchange.isUpgradePending { return exchange.pendingContent.append(event) }
        switch event {
        case .content(let content, let wire, let isLast):
            receiveContent(content, wire: wire, of: exchange)
            if isLast { receiveEnd(nil, wire: ByteBuffer(), of: exchange) }
        case .end(let trailers, let wire):
            receiveEnd(trailers, wire: wire, of: exchange)
        case .head:
            break
        }
    }

    private func receiveContent(_ content: ByteBuffer, wire: ByteBuffer, of exchange: Exchange) {
        if let conversation = exchange.webSocket {
            return relayFrames(content, from: .client, in: conversation, of: exchange, at: client.lastRead)
        }
        if exchange.isRefused { return exchange.client.consumed(content.readableBytes) }
        exchange.sizes.request += UInt64(content.readableBytes)
        if let maximum = configuration.maximumBodySize, exchange.sizes.request > maximum {
            let message = "the request's content is larger than \(maximum) bytes"
            return fail(exchange, status: 413, FlowError(side: .client, message: message, at: now))
        }
        if content.readableBytes > 0 {
            record(exchange.flow, at: client.lastRead, .piece(FlowPiece(from: .client, content: content)))
        }
        sendContent(content, wire: wire, of: exchange)
    }

    /// The request is complete, unless the exchange has ended with its last content.
    private func receiveEnd(_ trailers: FieldSection?, wire: ByteBuffer, of exchange: Exchange) {
        guard !exchange.isOver else { return }
        if let trailers { record(exchange.flow, at: client.lastRead, .trailers(from: .client, trailers)) }
        record(exchange.flow, at: client.lastRead, .finished(.client))
        sendEnd(trailers, wire: wire, of: exchange)
        requestEnded(exchange)
    }

    /// The client has sent everything.
    func requestEnded(_ exchange: Exchange) {
        exchange.requestIsComplete = true
        if exchange.closedBy == nil { exchange.closedBy = .client }
        if exchange.responseIsComplete {
            endExchange(exchange)
        } else if let recorded = exchange.server?.recorded {
            resume(exchange, recorded)
        }
    }

    /// The request has no content, so its end needs no message to the server.
    private func endWithHead(_ exchange: Exchange) {
        // What follows extended CONNECT belongs to the conversation that it asks for.
        if exchange.isUpgradePending { return exchange.pendingContent.append(.end(trailers: nil, wire: ByteBuffer())) }
        record(exchange.flow, at: client.lastRead, .finished(.client))
        exchange.requestIsComplete = true
        exchange.closedBy = .client
    }

    /// A request's head: finds out where it goes.
    func begin(_ head: RequestHead, _ framing: BodyFraming, isLast: Bool, stream: StreamID) {
        if case .socks5 = configuration.mode, route == nil { return answerBesideSOCKS(head, stream) }
        if let isAllowed = isAllowed(head, framing, isLast, stream) {
            guard isAllowed else { return refuseCredentials(head, stream: stream) }
        } else {
            return
        }
        let sender = http.stream(stream)
        var absolute: AbsoluteTarget?
        switch sender {
        case .http1:
            if head.isMethod("CONNECT") { return connect(head) }
            let isAbsolute = AbsoluteTarget.isMeant(by: head)
            if isAbsolute { absolute = AbsoluteTarget(head.target) }
            if isAbsolute, absolute == nil {
                // RFC 9112 §3.2.2: Host is not read where the target names the server.
                let message = "the target is a URI without a valid host, or of another scheme than http and https"
                return refuse(status: 400, FlowError(side: .client, message: message, at: now), head: head.wire, stream: stream)
            }
        case .http2:
            if route == nil, configuration.mode != .origin, head.isMethod("CONNECT"), head.upgrade == nil {
                openTunnel(head, on: stream)
                if isLast, let tunnel = tunnels[stream] { receive(.end(trailers: nil, wire: ByteBuffer()), tunnel) }
                return
            }
        }
        guard let destination = destination(of: head, absolute) else {
            let message = "the request does not say which server it is for: it has neither an absolute target nor a Host field"
            return refuse(status: 400, FlowError(side: .client, message: message, at: now), head: head.wire, stream: stream)
        }
        if isForOnboarding(head, to: destination, origin: absolute?.origin) {
            return answerOnboarding(head, absolute?.origin ?? head.target, to: sender)
        }
        let exchange = Exchange(
            flow: context.identities.next(at: client.lastRead), client: sender, request: head, framing: framing,
            target: ExchangeTarget(
                destination, path: absolute?.origin.emptyPath(for: head), authority: newAuthority(head, absolute)))
        http.begin(exchange, stream)
        recordOpening(of: exchange, stream)
        if isLast { endWithHead(exchange) }
        if let maximum = configuration.maximumBodySize, case .length(let length) = framing, length > maximum {
            let message = "the request's content is larger than \(maximum) bytes"
            return fail(exchange, status: 413, FlowError(side: .client, message: message, at: now))
        }
        if exchange.isPlainConnect, route == nil { return fail(exchange, Self.connectIsNotTaken) }
        if let failure = route?.failure {
            route?.isFailureRecorded = true
            return fail(exchange, status: 502, failure)
        }
        if servesRecordings { bufferRequest(exchange) } else { assignServer(for: exchange) }
    }

    /// Answers a request of HTTP that was sent to a SOCKS proxy.
    private func answerBesideSOCKS(_ head: RequestHead, _ stream: StreamID) {
        if let destination = destination(of: head, nil), isForOnboarding(head, to: destination, origin: nil) {
            return answerOnboarding(head, head.target, to: http.stream(stream))
        }
        let error = FlowError(side: .client, message: SOCKS5Server.httpMessage, at: now)
        refuse(status: 400, error, head: head.wire, stream: stream)
    }

    private func recordOpening(of exchange: Exchange, _ stream: StreamID) {
        let destination = exchange.destination
        let scheme = destination.isTLS == true ? "https" : "http"
        let target = FlowTarget(scheme: scheme, host: destination.endpoint.host, port: destination.endpoint.port)
        let opening = FlowOpening(kind: .http, client: clientFacts, target: target, stream: stream)
        record(exchange.flow, at: client.lastRead, .opened(opening))
        record(exchange.flow, at: client.lastRead, .request(exchange.request))
        guard case .http1(let http1) = http else { return }
        noteRequest(exchange, http1)
        if exchange.request.fields.contains("transfer-encoding") {
            let head = exchange.request
            let changes = FramingFields(head.fields, exchange.framing, version: head.version, isRequest: true)
            exchange.connectionUse.isFramingAmbiguous = changes.isAmbiguous
        }
    }

    private func destination(of head: RequestHead, _ absolute: AbsoluteTarget?) -> Destination? {
        if let route { return route.destination }
        if let absolute { return Destination(endpoint: absolute.endpoint, isTLS: absolute.isTLS) }
        let isOrigin = configuration.mode == .origin
        let isTLS = isOrigin ? client.tls != nil : head.wire.equals(head.schemeRange, "https")
        let named = head.authorityRange.isEmpty ? head.fields.first("host") : head.authority
        if named == nil, isOrigin { return Destination(endpoint: clientFacts.value.local, isTLS: isTLS) }
        guard let named, let endpoint = Endpoint(parsing: String(buffer: named)[...], defaultPort: isTLS ? 443 : 80) else {
            return nil
        }
        return Destination(endpoint: endpoint, isTLS: isTLS)
    }

    /// The value of Host or :authority where it is not the client's: the authority of an absolute target (RFC 9112 §3.2.2),
    /// in reverse mode the server.
    private func newAuthority(_ head: RequestHead, _ absolute: AbsoluteTarget?) -> ByteBuffer? {
        let authority: ByteBuffer
        if let server = configuration.reverseAuthority {
            authority = server
        } else if let absolute {
            authority = absolute.authority
        } else {
            return nil
        }
        let fields = head.fields
        let isWritten =
            head.authorityRange.isEmpty
            ? fields.line("host").map { fields.wire.equals(fields.lines[$0].value, authority) } == true
            : head.wire.equals(head.authorityRange, authority)
        return isWritten ? nil : authority
    }

    // MARK: CONNECT

    /// A tunnel is asked for (RFC 9110 §9.3.6).
    func connect(_ head: RequestHead) {
        guard route == nil, configuration.mode != .origin else {
            let message = "CONNECT is answered in regular mode only, and not within a tunnel"
            return refuse(status: 400, FlowError(side: .client, message: message, at: now), head: head.wire)
        }
        let target = client.stream == nil ? head.target : head.authority
        guard let endpoint = Endpoint(parsing: String(buffer: target)[...], defaultPort: nil) else {
            let message = "the target of CONNECT is not host:port"
            return refuse(status: 400, FlowError(side: .client, message: message, at: now), head: head.wire)
        }
        if let http1 = http.http1 { unparsed.append(http1.decoder.takeRest(), at: client.lastRead) }
        http = .http1(ClientHTTP1(client, context, lineCheck: http.http1?.lineCheck ?? .done))
        closeUpstreams()
        connect(client.stream.map { .stream(head, $0) } ?? .http1(head), to: endpoint)
    }

    // MARK: Who may use the proxy

    /// RFC 9110 §11.7: asked of a forward proxy's clients, request by request.
    /// - Returns: nil when it has to be found out first; the request waits for that.
    private func isAllowed(_ head: RequestHead, _ framing: BodyFraming, _ isLast: Bool, _ stream: StreamID) -> Bool? {
        guard let check = configuration.credentials, route == nil else { return true }
        guard let login = ClientAccess.basicCredentials(head.fields) else { return false }
        return isRight(login, check, for: .request(PendingRequest(head: head, framing: framing, isLast: isLast, stream: stream)))
    }

    /// - Returns: nil when it has to be verified first, which ``loginVerified(_:isRight:)`` reports.
    func isRight(_ login: Login, _ check: CredentialCheck, for waiting: ClientAuthentication.Waiting) -> Bool? {
        if let known = authentication.verified, known.login == login { return known.isRight }
        if let known = check.cached(login) { return known }
        let pending = ClientAuthentication.Pending(id: context.nextRequest(), login: login, waiting: waiting)
        authentication.pending = pending
        context.emit(.verify(pending.id, login, check))
        return nil
    }

    func loginVerified(_ request: RequestID, isRight: Bool) {
        // The client may be gone.
        guard let pending = authentication.pending, pending.id == request else { return }
        authentication.pending = nil
        authentication.verified = (pending.login, isRight)
        switch (pending.waiting, layer) {
        case (.socks, .socks): socksLoginVerified(isRight: isRight)
        case (.request(let request), .http): resume(request)
        default: break
        }
    }

    /// The login of a request is verified.
    private func resume(_ request: PendingRequest) {
        begin(request.head, request.framing, isLast: request.isLast, stream: request.stream)
        switch http {
        case .http1:
            advanceRequests()
        case .http2:
            advanceFrames()
            if client.hasEnded, authentication.pending == nil { framesEnded() }
        }
    }

    private func refuseCredentials(_ head: RequestHead, stream: StreamID) {
        let message = "the proxy wants a user name and a password"
        var answer = LocalContent.message(status: 407, message)
        answer.fields.append(("Proxy-Authenticate", "Basic realm=\"mitm\""))
        let sender = http.stream(stream)
        let reply = sender.localReply(answer)
        recordRefused(head.wire, error: FlowError(side: .client, message: message, at: now), stream: stream, reply: reply)
        sender.answer(reply)
        if sender.isMultiplexed { return }
        closeUpstreams()
        closeClient(.clean)
    }

    // MARK: Refusals

    /// What a user can do about a request that was refused.
    func hint(isRelaxable: Bool) -> String {
        isRelaxable && !servesRecordings ? " (--no-validate-inbound-headers lets it pass)" : ""
    }

    private func requestFailed(_ error: HTTP1Error, _ http1: ClientHTTP1) {
        let blame = FlowError(side: .client, message: error.message + hint(isRelaxable: error.isRelaxable), at: now)
        guard let exchange = http1.exchange else { return refuse(status: error.status, blame, head: error.head) }
        if error.kind.isTruncation {
            // RFC 9112 §8: the server sees the same cut.
            endOpenFlow(FlowEnding(state: .incomplete, error: blame, closedBy: .client))
            closeUpstreams()
            closeClient(.truncated)
        } else {
            recordMalformed(http1.decoder.takeRefused(), from: .client, of: exchange.flow)
            fail(exchange, status: error.status, blame)
        }
    }

    /// Records bytes that could not be read and so end a flow.
    func recordMalformed(_ bytes: ByteBuffer, from side: Side, of flow: FlowID) {
        if bytes.readableBytes > 0 { record(flow, at: now, .malformed(from: side, bytes)) }
    }

    /// Answers a request that never became an exchange. A connection of HTTP/1 closes after the answer.
    func refuse(status: Int, _ error: FlowError, head: ByteBuffer, stream: StreamID? = nil) {
        let sender = http.stream(stream ?? StreamID(0))
        let reply = sender.localReply(.message(status: status, error.message))
        let isAnswered = sender.isMultiplexed || !client.hasEnded || status != 400
        recordRefused(head, error: error, stream: stream, reply: isAnswered ? reply : nil)
        if isAnswered { sender.answer(reply) }
        if sender.isMultiplexed { return }
        closeUpstreams()
        closeClient(.clean)
    }

    /// A request that went nowhere is a flow too.
    /// - Parameter reply: what the client is answered.
    func recordRefused(_ head: ByteBuffer, error: FlowError, stream: StreamID? = nil, reply: LocalReply? = nil) {
        let flow = context.identities.next(at: client.lastRead)
        let endpoint = route?.destination.endpoint
        let scheme = client.tls == nil ? "http" : "https"
        let target = FlowTarget(scheme: scheme, host: endpoint?.host ?? "", port: endpoint?.port ?? 0)
        let opening = FlowOpening(
            kind: .http, client: clientFacts, target: target, stream: stream ?? StreamID(max(1, exchangeCount)))
        record(flow, at: client.lastRead, .opened(opening))
        // The servers of other streams are not this one's.
        if !http.isMultiplexed, let upstream { record(flow, at: now, .server(upstream.shared)) }
        var version = http.version
        if case .connecting(let request) = layer, let head = request.head { version = head.version }
        if head.readableBytes > 0 { record(flow, at: client.lastRead, .request(RequestHead(parsing: head, version: version))) }
        if let reply { record(flow, at: now, .localReply(reply)) }
        record(flow, at: now, .ended(FlowEnding(state: .failed, error: error)))
        logFailure("refused", "\(clientFacts.value.peer): refused: \(error.message)")
    }
}

extension Endpoint {
    /// A host as it stands in a URI: an IPv6 address gets brackets.
    static func hostInURI(_ host: String) -> String { host.utf8.contains(0x3A) ? "[\(host)]" : host }
}

extension ByteBuffer {
    /// RFC 9112 §3.2.4: OPTIONS for a whole server, written as a URI without path, becomes the asterisk form.
    fileprivate func emptyPath(for head: RequestHead) -> ByteBuffer {
        let isWholeServer =
            head.isMethod("OPTIONS") && readableBytes == 1 && !head.target.readableBytesView.dropFirst(8).contains(0x2F)
        return isWholeServer ? ByteBuffer(string: "*") : self
    }
}
