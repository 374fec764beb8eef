// Protocol detection, and TLS between the client and us: the ClientHello decides, the upstream's certificate is mirrored.

import FlowModel
import HTTPSemantics
import NIOCore
import TLSEngine

/// The beginning TLS of a client.
struct Interception {
    let hello: ClientHello
    /// The layer that follows.
    var resumes: ClientStack.Continuation
    /// The requested certificate.
    var request: RequestID?
}

extension ClientStack {
    /// Detects the protocol from the first bytes and starts it.
    func detect() {
        let detected = client.hasEnded && unparsed.isEmpty ? nil : DetectedProtocol(unparsed.bytes)
        switch detected {
        case nil:
            clientEndedWithoutAWord()
        case .undecided where !client.hasEnded && unparsed.isEmpty:
            startDetectionTimer()
        case .undecided where !client.hasEnded && !(isTCP && DetectedProtocol.isNotTLS(unparsed.bytes)):
            startHandshakeTimer()
        case .tls where client.tls == nil:
            intercept()
        case .http where !isTCP:
            startHTTP()
        default:
            route?.isTunnel == true || isTCP ? startUnknown() : startHTTP()
        }
    }

    /// The client's protocol is unknown: its bytes are relayed. The recorder's own page has no server for them.
    private func startUnknown() { isOnboarding ? closeClient(.clean) : startTunnel() }

    /// A client that sends first does so as soon as it is connected.
    private static let detectionTimeout: Int64 = 1_000_000_000
    /// The server is offered the client's ALPN protocols. A server that is connected already waits no longer than this for the client's TLS.
    static let clientTLSTimeout: Int64 = 250_000_000

    /// Neither side has sent anything. A client with a server connection has no limit; otherwise it may be waiting for a server that
    /// waits for us.
    func startDetectionTimer() {
        if upstream == nil { startHandshakeTimer(Self.detectionTimeout) }
    }

    /// The client waits for the server to send first.
    func detectionTimedOut() {
        guard let route, route.isTunnel || route.isTCP, !isOnboarding else { return beginningTimedOut() }
        if unparsed.isEmpty, upstream == nil, route.failure == nil, !route.isTCP {
            openUpstream(route.destination)
        } else {
            startTunnel()
        }
    }

    /// The client did not complete the beginning of a request or of TLS.
    private func beginningTimedOut() {
        switch unparsed.isEmpty || isOnboarding ? .other : DetectedProtocol(unparsed.bytes) {
        case .tls:
            recordFailedTLS(FlowError(side: .client, message: "the client did not complete the TLS handshake in time", at: now))
            closeClient(.clean)
        case .undecided:
            startHTTP()
            requestTimedOut()
        case .http, .other:
            closeClient(.clean)
        }
    }

    /// The client is gone, or waits for the server to speak first.
    private func clientEndedWithoutAWord() {
        guard !noteSilentRejection(), route?.isTunnel == true || (route?.isTCP == true && upstream != nil) else {
            closeUpstreams()
            return closeClient(.clean)
        }
        startUnknown()
    }

    /// Anything but TLS is relayed as bytes, without detection.
    private var isTCP: Bool {
        guard let route else { return false }
        return route.isTCP || configuration.hosts.treatment(of: route.destination.endpoint, serverName: nil) == .tcp
    }

    func startHTTP() {
        cancelHandshakeTimer()
        layer = .http
        if route?.destination.isTLS == nil { route?.destination.isTLS = false }
        for upstream in upstreams where upstream.isEarly { releaseEarly(upstream) }
        if clientFacts.value.tls?.alpn == "h2" {
            startHTTP2(unparsed.take())
        } else if !client.hasEnded {
            httpReceived(unparsed.take())
        }
        // The end decided that the first bytes are those of HTTP.
        if client.hasEnded, case .http = layer { httpEnded() }
    }

    /// Handles what a server sent, and its end, before its client was known to speak HTTP.
    private func releaseEarly(_ upstream: Upstream) {
        let bytes = upstream.early.take()
        if bytes.readableBytes > 0, case .http1(let server) = upstream.http {
            server.decoder.receive(bytes)
            advanceResponses(of: upstream, server)
        }
        switch upstream.takeEarlyEnd() {
        case .none: break
        case .finished, .closed: upstreamFailed(upstream, "the server closed the connection")
        }
    }

    /// The client begins TLS: waits for the whole ClientHello, then for the server's certificate.
    private func intercept() {
        startHandshakeTimer()
        let hello: ClientHello
        do throws(TLSError) {
            if let parsed = try ClientHello.parse(unparsed.bytes) {
                hello = parsed
            } else if client.hasEnded {
                throw TLSError(.truncated, "the client closed the connection during the TLS handshake")
            } else {
                return
            }
        } catch {
            recordFailedTLS(FlowError(side: .client, message: error.message, at: now))
            return closeClient(.clean)
        }
        route?.serverName = hello.serverName
        if isOnboarding {
            closeUpstreams()
        } else if let route, suspendedTunnel == nil {
            switch configuration.hosts.treatment(of: route.destination.endpoint, serverName: hello.serverName) {
            case .passThrough: return startPassthrough(hello)
            case .tcp: self.route?.isTCP = true
            case .intercept: break
            }
        }
        // From here on the client waits for us.
        cancelHandshakeTimer()
        layer = .intercepting(Interception(hello: hello, resumes: suspendedTunnel.map { .tunnel($0) } ?? .detection))
        if route?.isTunnel == true { route?.destination.isTLS = true }
        if suspendedTunnel != nil, let upstream {
            return upstream.transport.tls == nil ? startUpstreamTLS(upstream) : upstream.isReady ? forge() : ()
        }
        guard let route, route.destination.isTLS == true, configuration.strategy == .eager, !isOnboarding else {
            return forge()
        }
        if let upstream, upstream.isConnected {
            startUpstreamTLS(upstream)
        } else if upstream == nil {
            openUpstream(route.destination)
        }
    }

    /// Requests the certificate for the client.
    func forge() {
        guard case .intercepting(var interception) = layer, interception.request == nil else { return }
        let hello = interception.hello
        let request = context.nextRequest()
        interception.request = request
        layer = .intercepting(interception)
        let host = route?.destination.endpoint.host ?? ""
        context.emit(
            .forge(
                request,
                LeafRequest(
                    serverName: hello.serverName ?? (host.isEmpty ? clientFacts.value.local.host : host),
                    upstream: upstream?.facts.tls?.certificates.first, key: hello.needsRSA ? .rsa : .ecdsa)))
    }

    /// Whether it has requested this certificate and waits for it.
    func awaits(_ request: RequestID) -> Bool {
        if case .intercepting(let interception) = layer { interception.request == request } else { false }
    }

    func certificateReady(_ request: RequestID, _ result: Result<LeafCertificate, CertificateError>) {
        guard case .intercepting(let interception) = layer, interception.request == request else { return }
        let hello = interception.hello
        do {
            let tls = try TLSConnection(
                server: configuration.serverTLS, certificate: try result.get(), alpn: selectedProtocol(hello))
            client.begin(tls)
            var details = TLSDetails()
            details.serverName = hello.serverName
            details.alpnOffers = hello.alpn
            details.ja3 = hello.ja3
            details.ja4 = hello.ja4
            details.handshakeStarted = client.lastRead
            updateClientTLS(details)
            layer = .handshaking(interception.resumes)
            startHandshakeTimer()
            tls.receive(unparsed.take())
            readClientTLS(tls)
        } catch {
            let message = (error as? CertificateError)?.message ?? (error as? TLSError)?.message ?? "\(error)"
            recordFailedTLS(FlowError(side: nil, message: "no certificate for the client: \(message)", at: now))
            closeClient(.clean)
        }
    }

    /// The protocol to choose from what the client offers: the one that the server chose, or HTTP/2 where there is no server to ask.
    private func selectedProtocol(_ hello: ClientHello) -> String? {
        if let upstream, upstream.transport.isTLSEstablished { return upstream.facts.tls?.alpn }
        // HTTP/2 can carry what a server of either version sends.
        if configuration.allowsHTTP2, route?.failure == nil, hello.alpn.contains("h2") { return "h2" }
        return hello.alpn.contains("http/1.1") ? "http/1.1" : hello.alpn.contains("h2") ? "h2" : nil
    }

    func clientTLSEstablished(_ tls: TLSConnection) {
        cancelHandshakeTimer()
        let facts = tls.facts
        var details = clientFacts.value.tls ?? TLSDetails()
        details.update(from: facts)
        details.handshakeEnded = now
        updateClientTLS(details)
        logClientTLS()
        if let tunnel = suspendedTunnel { return resume(tunnel) }
        if route?.isTCP == true || (facts.alpn == nil && serverSpeaksFirst(isTLS: true)) { return startTunnel() }
        if facts.alpn?.hasPrefix("http/1") == true || facts.alpn == "h2" || route?.isTunnel == false {
            startHTTP()
        } else if upstream?.isEarly == true {
            // The server speaks first, so it is not HTTP.
            startTunnel()
        } else {
            layer = .detecting(.detection)
            startDetectionTimer()
        }
    }

    func clientTLSFailed(_ error: TLSError) {
        if client.isTLSEstablished {
            // The stream failed: treated as if the client had closed.
            let ending = FlowEnding(
                state: .incomplete, error: FlowError(side: .client, message: error.message, at: now), closedBy: .client)
            endOpenFlow(ending)
            closeUpstreams()
        } else {
            switch (error.kind, layer) {
            // Some clients close without an alert after they have seen our certificate.
            case (.peerAlert, _), (.truncated, .handshaking): noteRejection()
            default: break
            }
            recordFailedTLS(FlowError(side: .client, message: error.message, at: now))
        }
        client.noteRecords()
        closeUpstreams()
        closeClient(.truncated)
    }

    /// A client that closes right after the TLS handshake may not accept our certificate: one that pins keys checks them only then.
    /// - Returns: whether this is recorded as a rejection.
    func noteSilentRejection() -> Bool {
        guard client.isTLSEstablished, !hasClientSpoken, suspendedTunnel == nil, configuration.hosts.passesThroughOnReject else {
            return false
        }
        noteRejection()
        let message = "the client closed right after the TLS handshake; it may not accept the certificate"
        recordFailedTLS(FlowError(side: .client, message: message, at: now))
        return true
    }

    /// The client is gone; a beginning TLS handshake has failed.
    func recordGivenUpTLS(isReset: Bool) {
        switch layer {
        case .handshaking: noteRejection()
        case .intercepting where route?.failure == nil: break
        default:
            _ = noteSilentRejection()
            return
        }
        let message = "the client \(isReset ? "reset" : "closed") the connection during the TLS handshake"
        recordFailedTLS(FlowError(side: .client, message: message, at: now))
    }

    /// The client does not accept our certificate.
    private func noteRejection() {
        guard let route else { return }
        let host = configuration.hosts.noteRejection(of: route.destination.endpoint, serverName: route.serverName)
        if let host {
            log(.notice, "passthrough", "\(host): a client does not accept our certificate; the host passes unread from now on")
        }
    }

    /// Records the ClientHello of a connection whose TLS is not ours.
    func takeFacts(of hello: ClientHello) {
        var details = TLSDetails()
        details.serverName = hello.serverName
        details.alpnOffers = hello.alpn
        details.ja3 = hello.ja3
        details.ja4 = hello.ja4
        updateClientTLS(details)
    }

    private func updateClientTLS(_ details: TLSDetails) {
        var facts = clientFacts.value
        facts.tls = details
        clientFacts = Shared(facts)
    }

    /// Records a connection whose TLS failed as a flow of its own, once.
    func recordFailedTLS(_ error: FlowError) {
        guard route?.isFailureRecorded != true else { return }
        route?.isFailureRecorded = true
        if let tunnel = takeSuspendedTunnel() {
            return end(tunnel, FlowEnding(state: .incomplete, error: error))
        }
        let flow = context.identities.next(at: now)
        let destination = route?.destination.endpoint ?? clientFacts.value.local
        // Bytes that the server sent before its client was ready, which the client did not receive.
        let lost = upstream?.early.takePieces() ?? []
        let began = lost.first?.at ?? now
        let target = FlowTarget(scheme: lost.isEmpty ? "tls" : "tcp", host: destination.host, port: destination.port)
        let kind: FlowKind = lost.isEmpty ? .tls : .tcp
        record(flow, at: began, .opened(FlowOpening(kind: kind, client: clientFacts, target: target, stream: StreamID(0))))
        if let upstream { record(flow, at: began, .server(upstream.shared)) }
        for piece in lost { record(flow, at: piece.at, .piece(FlowPiece(from: .server, content: piece.bytes))) }
        record(flow, at: now, .ended(FlowEnding(state: .failed, error: error)))
        logFailure(
            "tls-failed",
            "\(clientFacts.value.peer): TLS with \(error.side == .server ? "the server" : "the client") failed (\(destination)): \(error.message)"
        )
    }
}
