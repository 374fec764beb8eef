// Upstream connections: opening, TLS with the server, and what follows when one is there or cannot be had.

import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore
import TLSEngine

extension ProxySession {
    /// Asks for a connection. Answered by ``upstreamIsReady()`` or ``upstreamGone(_:)``, perhaps before this returns.
    func openUpstream(_ destination: Destination) {
        upstreamCount += 1
        let facts = ServerConnection(id: identities.next(at: now), target: destination.endpoint, opened: now)
        upstream = Upstream(
            leg: Leg(handle: ConnectionHandle(upstreamCount)), destination: destination, facts: facts, shared: Shared(facts),
            decoder: HTTP1Decoder(.responses, limits: configuration.limits, validation: configuration.validation))
        if configuration.ownAddresses.contains(destination.endpoint) {
            return upstreamGone("\(destination.endpoint) is the recorder itself, so the request would go round in circles")
        }
        output.commands.append(.open(ConnectionHandle(upstreamCount), destination.endpoint))
    }

    func upstreamOpened(peer: Endpoint, local: Endpoint) {
        guard upstream?.state == .connecting else { return }
        if configuration.ownAddresses.contains(peer) {
            return upstreamGone("\(peer) is the recorder itself, so the request would go round in circles")
        }
        upstream?.facts.peer = peer
        upstream?.facts.local = local
        upstream?.facts.connected = now
        upstream?.state = .connected
        shareUpstreamFacts()
        if upstream?.destination.isTLS == true {
            startUpstreamTLS()
        } else {
            if upstream?.destination.isTLS == false { upstream?.state = .ready }
            upstreamIsReady()
        }
    }

    /// Begins TLS with the server. It is offered what the client offered, so that its choice can be mirrored.
    func startUpstreamTLS() {
        guard let upstream else { return }
        let serverName =
            route?.isTunnel == true ? route?.serverName ?? upstream.destination.endpoint.host : upstream.destination.endpoint.host
        let offers = (clientFacts.value.tls?.alpnOffers ?? pendingHello?.alpn ?? ["http/1.1"]).filter { $0 != "h2" }
        do throws(TLSError) {
            let tls = try TLSConnection(
                client: configuration.clientTLS, serverName: serverName, alpnOffers: offers,
                sessionKey: "\(serverName) \(upstream.destination.endpoint) \(offers.joined(separator: ","))")
            var details = TLSDetails()
            details.serverName = serverName
            details.alpnOffers = offers
            details.handshakeStarted = now
            self.upstream?.facts.tls = details
            self.upstream?.leg.tls = tls
            self.upstream?.state = .handshaking
            shareUpstreamFacts()
            startHandshakeTimer()
            readUpstreamTLS(tls)
        } catch {
            upstreamTLSFailed(error)
        }
    }

    private var pendingHello: ClientHello? {
        if case .intercepting(let hello) = phase { hello } else { nil }
    }

    func upstreamTLSEstablished(_ tls: TLSConnection) {
        cancelHandshakeTimer()
        upstream?.leg.isTLSEstablished = true
        upstream?.state = .ready
        takeFacts(of: tls)
        upstreamIsReady()
    }

    private func takeFacts(of tls: TLSConnection) {
        let facts = tls.facts
        var details = upstream?.facts.tls ?? TLSDetails()
        details.version = facts.version
        details.cipher = facts.cipher
        details.alpn = facts.alpn
        details.certificates = facts.peerCertificates
        details.isResumed = facts.isResumed
        details.isVerified = facts.isVerified
        details.verificationError = facts.verificationError
        if upstream?.leg.isTLSEstablished == true { details.handshakeEnded = now }
        upstream?.facts.tls = details
        shareUpstreamFacts()
    }

    private func shareUpstreamFacts() {
        if let facts = upstream?.facts { upstream?.shared = Shared(facts) }
    }

    func upstreamTLSFailed(_ error: TLSError) {
        if upstream?.leg.isTLSEstablished == true {
            switch phase {
            case .tunnel: return tunnelClosed(.server, isReset: false)
            case .http: return serverClosed(error.message, isReset: false)
            default: return upstreamGone(error.message)
            }
        }
        cancelHandshakeTimer()
        if let tls = upstream?.leg.tls { takeFacts(of: tls) }
        // The alert tells the server why.
        upstream?.leg.hasUnsentRecords = true
        flush(.server)
        let target = upstream?.destination.endpoint.description ?? ""
        upstreamGone("TLS with \(target) failed: \(error.message)")
    }

    func upstreamFailed(_ reason: String) {
        let target = upstream?.destination.endpoint.description ?? ""
        upstreamGone("cannot connect to \(target): \(reason)")
    }

    /// Goes on with what waited for the connection.
    private func upstreamIsReady() {
        switch phase {
        case .connecting:
            answerConnect()
        case .intercepting:
            if upstream?.state == .connected { startUpstreamTLS() } else { forge() }
        case .http:
            sendRequest()
        case .tunnel:
            tunnelIsOpen()
        case .detecting, .handshaking, .lingering:
            break
        }
    }

    /// The connection cannot be had, or is gone before it served.
    func upstreamGone(_ message: String) {
        let error = FlowError(side: .server, message: message, at: now)
        switch phase {
        case .connecting(let head):
            recordRefused(head.wire, error: error)
            answer(status: 502, error.message)
            closeUpstream()
            closeClient(.clean)
        case .intercepting:
            // The client gets its TLS, so that its request can be answered with the reason.
            route?.failure = error
            forge()
            closeUpstream()
        case .http:
            if exchange != nil { fail(status: 502, error) }
            closeUpstream()
        case .tunnel:
            endOpenFlow(FlowEnding(state: .failed, error: error, closedBy: .server))
            closeUpstream()
            closeClient(.reset)
        case .detecting, .handshaking, .lingering:
            closeUpstream()
        }
    }
}
