// Proxies on both sides of us: a client that says by SOCKS where it wants to go, and an upstream proxy that servers are reached through.

import FlowModel
import HTTPSemantics
import NIOCore
import TLSEngine

/// How far a SOCKS client has come.
enum SOCKSStep {
    case greeting
    case credentials
    case request
    /// The server is being connected to.
    case connecting
}

extension ClientStack {
    // MARK: SOCKS clients

    func advanceSOCKS(_ step: SOCKSStep) {
        do throws(SOCKS5.Failure) {
            var step = step
            while case .socks = phase, let next = try advance(from: step) {
                step = next
                phase = .socks(next)
                if case .connecting = next { return connectForSOCKS() }
            }
        } catch {
            let blame = FlowError(side: .client, message: error.message, at: now)
            recordRefused(ByteBuffer(), error: blame)
            if let reply = error.reply { sendToClient(SOCKS5.answer(reply)) }
            closeUpstreams()
            closeClient(.clean)
        }
    }

    /// - Returns: the next step; nil when more bytes are needed.
    private func advance(from step: SOCKSStep) throws(SOCKS5.Failure) -> SOCKSStep? {
        switch step {
        case .greeting:
            var rest = unparsed.bytes
            guard let methods = try SOCKS5.greeting(&rest) else { return nil }
            unparsed.keep(rest)
            let wanted: SOCKS5.Method = configuration.credentials == nil ? .none : .password
            guard methods.contains(wanted.rawValue) else {
                sendToClient(SOCKS5.answer(.noAcceptable))
                throw SOCKS5.Failure(
                    message: wanted == .password
                        ? "the client offers no user name and password" : "the client insists on authentication")
            }
            sendToClient(SOCKS5.answer(wanted))
            return wanted == .password ? .credentials : .request
        case .credentials:
            guard pendingAuthentication == nil else { return nil }
            var rest = unparsed.bytes
            guard let login = try SOCKS5.credentials(&rest) else { return nil }
            // What is left to be found out leaves the message where it is.
            guard let isRight = configuration.credentials.map({ self.isRight(login, $0) }) ?? true else { return nil }
            unparsed.keep(rest)
            sendToClient(ByteBuffer(bytes: [1, isRight ? 0 : 1]))
            guard isRight else { throw SOCKS5.Failure(message: "the user name or the password is wrong") }
            return .request
        case .request:
            var rest = unparsed.bytes
            guard let endpoint = try SOCKS5.request(&rest) else { return nil }
            unparsed.keep(rest)
            route = Route(destination: Destination(endpoint: endpoint, isTLS: nil), isTunnel: true)
            return .connecting
        case .connecting:
            return nil
        }
    }

    private func connectForSOCKS() {
        cancelHandshakeTimer()
        guard let route else { return }
        if configuration.strategy == .eager { openUpstream(route.destination) } else { answerSOCKS() }
    }

    func answerSOCKS() {
        sendToClient(SOCKS5.answer(.succeeded))
        routeIsOpen()
    }

    func refuseSOCKS(_ reply: SOCKS5.Reply, _ message: String) {
        recordRefused(ByteBuffer(), error: FlowError(side: .server, message: message, at: now))
        sendToClient(SOCKS5.answer(reply))
        closeClient(.clean)
    }

    // MARK: An upstream proxy

    /// TCP with the upstream proxy stands.
    func proxyConnected(_ proxy: UpstreamProxy, _ upstream: Upstream) {
        upstream.state = .negotiating
        startDeadline(upstream)
        guard proxy.kind == .https else { return beginHandshake(proxy, upstream) }
        do throws(TLSError) {
            let name = proxy.endpoint.host
            let proxyTLS = try TLSConnection(
                client: configuration.clientTLS, serverName: name, alpnOffers: ["http/1.1"], sessionKey: "proxy \(proxy.endpoint)")
            upstream.transport.beginProxyTLS(proxyTLS)
            readProxyTLS(upstream, proxyTLS)
        } catch {
            upstreamFailed(upstream, "TLS with the upstream proxy \(proxy.endpoint) failed: \(error.message)")
        }
    }

    private func beginHandshake(_ proxy: UpstreamProxy, _ upstream: Upstream) {
        // Plain HTTP is asked of a proxy itself; everything else goes through a tunnel.
        if proxy.kind != .socks5, upstream.destination.isTLS == false, route == nil {
            upstream.isForwardProxy = true
            return isConnected(upstream)
        }
        let (handshake, first) = ProxyHandshake.begin(proxy, to: upstream.destination.endpoint)
        upstream.handshake = handshake
        upstream.transport.transmit(first, context)
    }

    /// Bytes of the upstream proxy before it lets us through.
    func negotiate(_ bytes: ByteBuffer, _ upstream: Upstream) {
        do throws(SOCKS5.Failure) {
            var bytes = bytes
            while let outcome = try upstream.handshake?.receive(bytes) {
                switch outcome {
                case .send(let answer):
                    upstream.transport.transmit(answer, context)
                    bytes = ByteBuffer()
                case .open(let rest):
                    upstream.handshake = nil
                    isConnected(upstream)
                    if rest.readableBytes > 0, upstream.state != .closed { upstreamInnerReceived(rest, upstream) }
                    return
                }
            }
        } catch {
            upstreamFailed(upstream, error.message)
        }
    }

    func proxyTLSReceived(_ bytes: ByteBuffer, _ upstream: Upstream, _ proxyTLS: TLSConnection) {
        proxyTLS.receive(bytes)
        readProxyTLS(upstream, proxyTLS)
    }

    private func readProxyTLS(_ upstream: Upstream, _ proxyTLS: TLSConnection) {
        do throws(TLSError) {
            if !upstream.transport.proxySecurity.isEstablished {
                let isEstablished = try upstream.transport.proxyHandshake(proxyTLS, context)
                guard isEstablished, let proxy = configuration.upstreamProxy else { return }
                beginHandshake(proxy, upstream)
            }
            while upstream.state != .closed, let plain = try proxyTLS.read() { upstreamInnerReceived(plain, upstream) }
        } catch {
            upstreamFailed(upstream, "TLS with the upstream proxy failed: \(error.message)")
        }
    }
}
