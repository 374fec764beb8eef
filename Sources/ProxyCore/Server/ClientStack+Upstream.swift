// Upstream connections: opening, TLS with the server, and what follows when one is there or cannot be had.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import TLSEngine

extension ClientStack {
    /// Connections to a server of HTTP/1 that one client of HTTP/2 may cause at a time; further streams wait. Browsers open 6.
    private static let maximumConnections = 256

    /// Sends the request when a server connection is there, or sees to it that one will be.
    func assignServer(for exchange: Exchange) {
        if servesRecordings, !exchange.isForwarded { return bufferRequest(exchange) }
        let destination = exchange.destination
        if let upstream = upstreams.first(where: { $0.takes(destination) }) { return sendRequest(exchange, on: upstream) }
        // The connection that a CONNECT opened before it was known that no TLS follows.
        if let upstream, upstream.state == .connected, upstream.destination.endpoint == destination.endpoint,
            destination.isTLS == false
        {
            becomeReady(upstream)
            return sendRequest(exchange, on: upstream)
        }
        if http2 == nil {
            if let upstream, upstream.state != .ready, upstream.destination == destination {
                upstream.waiting = [exchange]
                return
            }
            closeUpstreams()
        } else {
            // One that is on its way may turn out to speak HTTP/2, so all that go there wait for it.
            if let upstream = upstreams.first(where: { $0.state != .ready && $0.destination == destination }) {
                return upstream.waiting.append(exchange)
            }
            if upstreams.count >= Self.maximumConnections { return queued.append(exchange) }
        }
        openUpstream(destination, for: exchange)
    }

    /// Requests that waited for a connection get one.
    func serveQueued() {
        while !queued.isEmpty,
            upstreams.count < Self.maximumConnections || upstreams.contains(where: { $0.takes(queued[0].destination) })
        {
            assignServer(for: queued.removeFirst())
        }
    }

    /// Asks for a connection. Answered by ``upstreamIsReady(_:)`` or ``upstreamFailed(_:_:)``, perhaps before this returns.
    func openUpstream(_ destination: Destination, for exchange: Exchange? = nil) {
        let facts = ServerConnection(id: context.identities.next(at: now), target: destination.endpoint, opened: now)
        let upstream = Upstream(
            transport: Transport(.socket(context.nextConnection(for: number))), destination: destination, facts: facts,
            decoder: HTTP1ResponseDecoder(limits: configuration.limits, validation: configuration.validation))
        if let exchange { upstream.waiting = [exchange] }
        upstreams.append(upstream)
        // Where the client connected to is ours as well, whatever the listener's address: in mode transparent nobody redirected it.
        if configuration.ownAddresses.contains(destination.endpoint) || destination.endpoint == clientFacts.value.local {
            return upstreamFailed(
                upstream, "\(destination.endpoint) is the recorder itself, so the request would go round in circles")
        }
        openConnections += 1
        context.emit(.open(upstream.transport.handle, configuration.upstreamProxy?.endpoint ?? destination.endpoint))
    }

    func upstreamOpened(_ upstream: Upstream, peer: Endpoint, local: Endpoint) {
        guard upstream.state == .connecting else { return }
        if configuration.ownAddresses.contains(peer, from: local) {
            return upstreamFailed(upstream, "\(peer) is the recorder itself, so the request would go round in circles")
        }
        upstream.facts.peer = peer
        upstream.facts.local = local
        upstream.facts.connected = now
        upstream.shared = Shared(upstream.facts)
        if let proxy = configuration.upstreamProxy { return proxyConnected(proxy, upstream) }
        isConnected(upstream)
    }

    /// The connection leads to the server.
    func isConnected(_ upstream: Upstream) {
        upstream.state = .connected
        cancelDeadline(upstream)
        if isPassingThrough {
            becomeReady(upstream)
            return upstreamIsReady(upstream)
        }
        if upstream.destination.isTLS == true {
            if !mayOfferYet { startUpstreamTLS(upstream) }
        } else {
            if upstream.destination.isTLS == false { becomeReady(upstream) }
            upstreamIsReady(upstream)
        }
    }

    /// The client of a TCP server in TLS has not said yet what it offers, and still has time for that.
    private var mayOfferYet: Bool {
        guard case .detecting = phase, client.tls == nil else { return false }
        return isHandshakeTimerRunning
    }

    /// The connection can be spoken on, in the version that is known by now.
    func becomeReady(_ upstream: Upstream) {
        upstream.state = .ready
        let speaksHTTP2 =
            upstream.transport.tls != nil ? upstream.facts.tls?.alpn == "h2" : route?.isCleartextHTTP2 == true
        if speaksHTTP2, !isTunnelling, route?.isTCP != true, suspendedTunnel == nil {
            upstream.http2 = HTTP2Connection(
                .client, limits: configuration.http2Limits, validation: configuration.http2Validation)
        } else if case .http = phase {
            http2?.enableConnectProtocol()
        }
    }

    private var isPassingThrough: Bool {
        if case .tunnel(let tunnel) = phase { tunnel.passthrough != nil } else { false }
    }

    private var isTunnelling: Bool {
        if case .tunnel = phase { true } else { false }
    }

    /// Begins TLS with the server. It is offered what the client offered, so that its choice can be mirrored.
    func startUpstreamTLS(_ upstream: Upstream) {
        let serverName =
            route?.isTunnel == true ? route?.serverName ?? upstream.destination.endpoint.host : upstream.destination.endpoint.host
        let ours = route?.isTCP == true ? [] : http2 == nil ? ["http/1.1"] : ["h2", "http/1.1"]
        var offers = clientFacts.value.tls?.alpnOffers ?? pendingHello?.alpn ?? ours
        // A client whose protocol is chosen already is translated for.
        if client.isTLSEstablished, http2 != nil, !offers.contains("http/1.1") { offers.append("http/1.1") }
        if !configuration.allowsHTTP2 { offers.removeAll { $0 == "h2" } }
        do throws(TLSError) {
            let tls = try TLSConnection(
                client: configuration.clientTLS, serverName: serverName, alpnOffers: offers,
                sessionKey: "\(serverName) \(upstream.destination.endpoint) \(offers.joined(separator: ","))")
            var details = TLSDetails()
            details.serverName = serverName
            details.alpnOffers = offers
            details.handshakeStarted = now
            upstream.facts.tls = details
            upstream.transport.begin(tls)
            upstream.state = .handshaking
            upstream.shared = Shared(upstream.facts)
            startDeadline(upstream)
            // A server that speaks before TLS does not speak TLS.
            if !upstream.early.isEmpty { tls.receive(upstream.early.take()) }
            readUpstreamTLS(upstream, tls)
        } catch {
            upstreamTLSFailed(upstream, error)
        }
    }

    private var pendingHello: ClientHello? {
        if case .intercepting(let interception) = phase { interception.hello } else { nil }
    }

    func upstreamTLSEstablished(_ upstream: Upstream, _ tls: TLSConnection) {
        cancelDeadline(upstream)
        takeFacts(of: tls, upstream)
        becomeReady(upstream)
        upstreamIsReady(upstream)
    }

    private func takeFacts(of tls: TLSConnection, _ upstream: Upstream) {
        let facts = tls.facts
        var details = upstream.facts.tls ?? TLSDetails()
        details.version = facts.version
        details.cipher = facts.cipher
        details.alpn = facts.alpn
        details.certificates = facts.peerCertificates
        details.isResumed = facts.isResumed
        details.isVerified = facts.isVerified
        details.verificationError = facts.verificationError
        if upstream.transport.isTLSEstablished { details.handshakeEnded = now }
        upstream.facts.tls = details
        upstream.shared = Shared(upstream.facts)
    }

    func upstreamTLSFailed(_ upstream: Upstream, _ error: TLSError) {
        guard upstream.state != .closed else { return }
        if upstream.transport.isTLSEstablished {
            switch phase {
            case .tunnel: return tunnelClosed(.server, isReset: false)
            case .http: return serverClosed(upstream, error.message, isReset: false)
            default: return upstreamFailed(upstream, error.message)
            }
        }
        if let tls = upstream.transport.tls { takeFacts(of: tls, upstream) }
        // The alert tells the server why.
        upstream.transport.noteRecords()
        upstream.transport.flush(context)
        upstreamFailed(upstream, "TLS with \(upstream.destination.endpoint) failed: \(error.message)")
    }

    func openFailed(_ upstream: Upstream, _ reason: String) {
        if let proxy = configuration.upstreamProxy {
            return upstreamFailed(upstream, "cannot connect to the upstream proxy \(proxy.endpoint): \(reason)")
        }
        upstreamFailed(upstream, "cannot connect to \(upstream.destination.endpoint): \(reason)")
    }

    /// Goes on with what waited for the connection.
    private func upstreamIsReady(_ upstream: Upstream) {
        switch phase {
        case .connecting:
            answerConnect()
        case .intercepting:
            if upstream.state == .connected { startUpstreamTLS(upstream) } else { forge() }
        case .http:
            let waiting = upstream.waiting
            upstream.waiting = []
            for exchange in waiting { assignServer(for: exchange) }
        case .tunnel:
            tunnelIsOpen()
        case .socks(.connecting):
            answerSOCKS()
        case .detecting, .handshaking, .lingering, .socks:
            break
        }
    }

    /// The connection cannot be had, or is gone before it served.
    func upstreamFailed(_ upstream: Upstream, _ message: String) {
        let error = FlowError(side: .server, message: message, at: now)
        switch phase {
        case .connecting(let head):
            denyConnect(head, error)
            close(upstream)
            closeClient(.clean)
        case .intercepting:
            // The client gets its TLS, so that its request can be answered with the reason.
            route?.failure = error
            forge()
            close(upstream)
        case .http:
            let waiting = upstream.waiting
            upstream.waiting = []
            for exchange in waiting { record(exchange.flow, at: now, .server(upstream.shared)) }
            for exchange in waiting { fail(exchange, status: 502, error) }
            close(upstream)
            serveQueued()
        case .tunnel:
            endOpenFlow(FlowEnding(state: .failed, error: error, closedBy: .server))
            close(upstream)
            closeClient(.reset)
        case .socks(.connecting):
            refuseSOCKS(SOCKS5.Reply(failure: message), message)
            close(upstream)
        case .detecting where route?.isTunnel == true || route?.isTCP == true:
            // Opened before the client said anything: what it says next is answered with the reason.
            route?.failure = error
            close(upstream)
            if upstream.destination.isTLS == nil, route?.isTCP == true {
                startTunnel()
            } else if unparsed.isEmpty {
                startDetectionTimer()
            }
        case .detecting, .handshaking, .lingering, .socks:
            close(upstream)
        }
    }
}
