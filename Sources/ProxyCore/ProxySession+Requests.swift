// HTTP/1 requests of the client: where each goes, and its way there.

import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore

extension ProxySession {
    /// Takes from the client's decoder what can go on now. A request waits while another one is in progress (RFC 9112 §9.3.2 asks
    /// for responses in order), and its content waits for the server.
    func advanceRequests() {
        guard !isAdvancing else { return }
        isAdvancing = true
        defer { isAdvancing = false }
        while case .http = phase {
            if let exchange, !exchange.isSent || exchange.requestIsComplete { return }
            do throws(HTTP1Error) {
                guard let event = try decoder.next() else { break }
                receive(event)
            } catch {
                requestFailed(error)
            }
        }
        guard case .http = phase, exchange == nil else { return }
        if client.hasEnded {
            closeUpstream()
            closeClient(.clean)
        } else if decoder.isBetweenMessages {
            cancelHandshakeTimer()
        } else {
            startHandshakeTimer()
        }
    }

    private func receive(_ event: HTTPEvent) {
        switch event {
        case .request(let head, let framing):
            cancelHandshakeTimer()
            begin(head, framing)
        case .body(let content, let wire):
            guard let flow = exchange?.flow else { return }
            exchange?.requestSize += UInt64(content.readableBytes)
            if let maximum = configuration.maximumBodySize, let size = exchange?.requestSize, size > maximum {
                return fail(
                    status: 413, FlowError(side: .client, message: "the request's content is larger than \(maximum) bytes", at: now)
                )
            }
            if content.readableBytes > 0 { record(flow, at: client.lastRead, .piece(FlowPiece(from: .client, content: content))) }
            send(wire, to: .server)
        case .end(let trailers, let wire):
            guard let flow = exchange?.flow else { return }
            if let trailers { record(flow, at: client.lastRead, .trailers(from: .client, trailers)) }
            record(flow, at: client.lastRead, .finished(.client))
            send(wire, to: .server)
            exchange?.requestIsComplete = true
            if exchange?.responseIsComplete == true { endExchange() }
        case .interim, .response:
            preconditionFailure("a decoder of requests gives no responses")
        }
    }

    /// A request's head: finds out where it goes.
    private func begin(_ head: RequestHead, _ framing: BodyFraming) {
        exchangeCount += 1
        if head.isMethod("CONNECT") { return connect(head) }
        let absolute = AbsoluteTarget(head.target)
        guard let destination = destination(of: head, absolute) else {
            let message = "the request does not say which server it is for: it has neither an absolute target nor a Host field"
            return refuse(status: 400, FlowError(side: .client, message: message, at: now), head: head.wire)
        }
        if route == nil, destination.endpoint.host == Onboarding.host { return answerOnboarding(absolute?.origin ?? head.target) }
        let isTLS = destination.isTLS == true
        let flow = identities.next(at: client.lastRead)
        exchange = Exchange(
            flow: flow, request: head, destination: destination, target: absolute?.origin.emptyPath(for: head),
            host: newHost(head, absolute), isBodiless: framing == .none)
        let target = FlowTarget(scheme: isTLS ? "https" : "http", host: destination.endpoint.host, port: destination.endpoint.port)
        record(
            flow, at: client.lastRead,
            .opened(FlowOpening(kind: .http, client: clientFacts, target: target, stream: StreamID(exchangeCount))))
        record(flow, at: client.lastRead, .request(head))
        if let maximum = configuration.maximumBodySize, case .length(let length) = framing, length > maximum {
            return fail(
                status: 413, FlowError(side: .client, message: "the request's content is larger than \(maximum) bytes", at: now))
        }
        if let failure = route?.failure {
            route?.isFailureRecorded = true
            return fail(status: 502, failure)
        }
        reachServer()
    }

    private func destination(of head: RequestHead, _ absolute: AbsoluteTarget?) -> Destination? {
        if let route { return route.destination }
        if let absolute { return Destination(endpoint: absolute.endpoint, isTLS: absolute.isTLS) }
        guard let host = head.fields.first("host"), let endpoint = Endpoint(parsing: String(buffer: host)[...], defaultPort: 80)
        else {
            return nil
        }
        return Destination(endpoint: endpoint, isTLS: false)
    }

    /// What Host must say when it is not what the client wrote: the authority of an absolute target (RFC 9112 §3.2.2), in reverse
    /// mode the server.
    private func newHost(_ head: RequestHead, _ absolute: AbsoluteTarget?) -> ByteBuffer? {
        let host: ByteBuffer
        if case .reverse(let isTLS, let endpoint) = configuration.mode, !configuration.keepsHostHeader {
            host = ByteBuffer(
                string: endpoint.port == (isTLS ? 443 : 80) ? Endpoint.hostInURI(endpoint.host) : endpoint.description)
        } else if let absolute {
            host = absolute.authority
        } else {
            return nil
        }
        return head.fields.first("host") == host ? nil : host
    }

    /// Sends the request when the server is there, or sees to it that it will be.
    func reachServer() {
        guard let exchange else { return }
        if let upstream, upstream.destination == exchange.destination, !upstream.leg.hasEnded {
            if upstream.state == .ready { sendRequest() }
            return
        }
        // The connection that a CONNECT opened before it was known that no TLS follows.
        if upstream?.state == .connected, upstream?.destination.endpoint == exchange.destination.endpoint,
            exchange.destination.isTLS == false
        {
            upstream?.state = .ready
            return sendRequest()
        }
        // One that a TLS client's hello opened, or an earlier request.
        if upstream?.state == .ready, upstream?.destination.endpoint == exchange.destination.endpoint,
            upstream?.leg.isTLSEstablished == exchange.destination.isTLS, upstream?.leg.hasEnded == false
        {
            return sendRequest()
        }
        closeUpstream()
        openUpstream(exchange.destination)
    }

    func sendRequest() {
        guard let exchange, !exchange.isSent, let upstream else { return }
        self.exchange?.isSent = true
        self.upstream?.requests += 1
        record(exchange.flow, at: now, .server(upstream.shared))
        self.upstream?.decoder.expectResponse(to: exchange.request.isMethod("HEAD") ? .head : .other)
        send(HTTP1Encoder.request(exchange.request, target: exchange.target, host: exchange.host), to: .server)
        advanceRequests()
    }

    // MARK: CONNECT

    /// A tunnel is asked for (RFC 9110 §9.3.6).
    private func connect(_ head: RequestHead) {
        guard route == nil else {
            let message = "CONNECT is answered in regular mode only, and not within a tunnel"
            return refuse(status: 400, FlowError(side: .client, message: message, at: now), head: head.wire)
        }
        guard let endpoint = Endpoint(parsing: String(buffer: head.target)[...], defaultPort: nil) else {
            let message = "the target of CONNECT is not host:port"
            return refuse(status: 400, FlowError(side: .client, message: message, at: now), head: head.wire)
        }
        route = Route(destination: Destination(endpoint: endpoint, isTLS: nil), isTunnel: true)
        backlog.writeImmutableBuffer(decoder.takeRest())
        decoder = HTTP1Decoder(.requests, limits: configuration.limits, validation: configuration.validation)
        phase = .connecting(head)
        closeUpstream()
        if configuration.strategy == .eager {
            openUpstream(Destination(endpoint: endpoint, isTLS: nil))
        } else {
            answerConnect()
        }
    }

    func answerConnect() {
        send(ByteBuffer(string: "HTTP/1.1 200 Connection established\r\n\r\n"), to: .client)
        phase = .detecting
        detect()
    }

    // MARK: Refusals

    private func requestFailed(_ error: HTTP1Error) {
        let blame = FlowError(side: .client, message: error.message, at: now)
        if exchange == nil {
            refuse(status: error.status, blame, head: error.head)
        } else if error.kind.isTruncation {
            // RFC 9112 §8: the server sees the same cut.
            endOpenFlow(FlowEnding(state: .incomplete, error: blame, closedBy: .client))
            closeUpstream()
            closeClient(.truncated)
        } else {
            fail(status: error.status, blame)
        }
    }

    /// Answers a request that never became an exchange, and closes.
    func refuse(status: Int, _ error: FlowError, head: ByteBuffer) {
        recordRefused(head, error: error)
        if !client.hasEnded || status != 400 { answer(status: status, error.message) }
        closeUpstream()
        closeClient(.clean)
    }

    /// A request that went nowhere is a flow too.
    func recordRefused(_ head: ByteBuffer, error: FlowError) {
        let flow = identities.next(at: client.lastRead)
        let endpoint = route?.destination.endpoint
        let scheme = client.tls == nil ? "http" : "https"
        let target = FlowTarget(scheme: scheme, host: endpoint?.host ?? "", port: endpoint?.port ?? 0)
        record(
            flow, at: client.lastRead,
            .opened(FlowOpening(kind: .http, client: clientFacts, target: target, stream: StreamID(max(1, exchangeCount)))))
        if let upstream { record(flow, at: now, .server(upstream.shared)) }
        if head.readableBytes > 0 { record(flow, at: client.lastRead, .request(RequestHead(parsing: head, version: .http1_1))) }
        record(flow, at: now, .ended(FlowEnding(state: .failed, error: error)))
        log(.warning, "\(clientFacts.value.peer): refused: \(error.message)")
    }

    /// An answer of our own; the connection closes behind it.
    func answer(status: Int, _ message: String) {
        let body = ByteBuffer(string: "mitm: \(message)\n")
        send(
            HTTP1Encoder.response(
                status: status, reason: Self.reason(status),
                fields: [("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close")], body: body), to: .client)
    }

    private static func reason(_ status: Int) -> String {
        switch status {
        case 400: "Bad Request"
        case 408: "Request Timeout"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 431: "Request Header Fields Too Large"
        case 501: "Not Implemented"
        case 505: "HTTP Version Not Supported"
        case 504: "Gateway Timeout"
        default: "Bad Gateway"
        }
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
