// The server connections of a client: the connection for each request, and the handling of their events.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import TLSEngine

extension ClientStack {
    /// Sends the request on an available server connection, or opens one.
    func assignServer(for exchange: Exchange) {
        let destination = exchange.destination
        if let upstream = servers.ready(for: destination) { return sendRequest(exchange, on: upstream) }
        // The connection that a CONNECT opened before it was clear that no TLS follows.
        if let upstream, upstream.isConnected, upstream.destination.endpoint == destination.endpoint,
            destination.isTLS == false
        {
            becomeReady(upstream)
            return sendRequest(exchange, on: upstream)
        }
        if !http.isMultiplexed {
            if let upstream, !upstream.isReady, upstream.destination == destination {
                upstream.waiting = [exchange]
                return
            }
            closeUpstreams()
        } else {
            // A connection being established may negotiate HTTP/2, so requests to the same server wait for it.
            if let upstream = servers.opening(to: destination) {
                return upstream.waiting.append(exchange)
            }
            if !servers.hasRoom { return servers.enqueue(exchange) }
        }
        openUpstream(destination, for: exchange)
    }

    /// Requests that waited for a connection get one.
    func serveQueued() {
        while let exchange = servers.takeQueued() { assignServer(for: exchange) }
        guard servers.isStarved else { return }
        // The descriptors of connections that no exchange uses are for those that wait.
        for upstream in upstreams where upstream.isReady && upstream.isIdle { close(upstream) }
    }

    /// No descriptor is free for a connection.
    func postpone(_ upstream: Upstream) {
        let server = upstream.destination.endpoint
        log(.info, "limit", "\(server): no descriptor is free for a connection (see ulimit -n); the client waits", server: server)
        if case .http = layer, http.isMultiplexed {
            // Its exchanges take any connection that can be used earlier.
            servers.takeBack(upstream)
            context.forget(upstream.transport.handle)
            serveQueued()
        } else {
            upstream.postpone()
        }
    }

    /// Descriptors may be free again.
    func openPostponed() {
        servers.hasDescriptors()
        for upstream in upstreams where upstream.isPostponed { open(upstream) }
        serveQueued()
    }

    /// Requests a connection. Answered by ``upstreamIsReady(_:)`` or ``upstreamFailed(_:_:)``, possibly before this returns.
    func openUpstream(_ destination: Destination, for exchange: Exchange? = nil) {
        let upstream = Upstream(
            Transport(.socket(context.nextConnection(for: number))), to: destination, isRouted: route != nil, context)
        if let exchange { upstream.waiting = [exchange] }
        servers.add(upstream)
        // The address that the client connected to is ours as well: in mode transparent it was not redirected.
        let isLocal = destination.endpoint == clientFacts.value.local
        if let owner = configuration.ownAddresses.owner(of: destination.endpoint) ?? (isLocal ? .listener : nil) {
            return handle(Upstream.refusal(destination.endpoint, owner), of: upstream)
        }
        open(upstream)
    }

    private func open(_ upstream: Upstream) {
        upstream.open()
        servers.opened()
        context.emit(.open(upstream.transport.handle, upstream.path.proxy?.endpoint ?? upstream.destination.endpoint))
    }

    // MARK: Events

    /// Handles the events of a server connection.
    func handle(_ event: ProxyEvent, _ upstream: Upstream) {
        var first: UpstreamEvent?
        switch event {
        case .received(_, let bytes): upstream.receive(bytes, at: now)
        case .opened(_, let peer, let local): first = upstream.opened(peer: peer, local: local, context)
        case .openFailed(_, let reason): first = upstream.openFailed(reason)
        case .halfClosed: first = upstream.receivedEnd(context)
        case .closed(_, let error, let isReset): first = upstream.gone(error: error, isReset: isReset, context)
        case .writable(_, let isWritable):
            upstream.transport.isWritable = isWritable
            if isWritable { upstream.http.http1?.becameWritable() }
            return
        case .started, .noDescriptor, .descriptorsFree, .timerFired, .certificateReady, .loginVerified, .shutdown:
            return
        }
        if let first { handle(first, of: upstream) }
        advance(upstream)
        if case .halfClosed = event, let last = upstream.isAtEnd() { handle(last, of: upstream) }
    }

    /// Takes the events of a server connection until there are no more.
    private func advance(_ upstream: Upstream) {
        while let event = upstream.next(context) { handle(event, of: upstream) }
    }

    func handle(_ event: UpstreamEvent, of upstream: Upstream) {
        switch event {
        case .connected: isConnected(upstream)
        case .secured:
            logServerTLS(upstream)
            becomeReady(upstream)
            upstreamIsReady(upstream)
        case .received(let bytes): upstreamPlain(bytes, upstream, at: upstream.transport.lastRead)
        case .ended(let isClean): upstreamEnded(upstream, isClean: isClean)
        case .closed(let error, let isReset): upstreamClosed(upstream, error: error, isReset: isReset)
        case .broken(let error):
            switch layer {
            case .tunnel: tunnelClosed(.server, isReset: false)
            case .http: serverClosed(upstream, error.message, isReset: false)
            default: upstreamFailed(upstream, error.message)
            }
        case .failed(let message): upstreamFailed(upstream, message)
        }
    }

    /// The connection leads to the server.
    private func isConnected(_ upstream: Upstream) {
        logServerConnected(upstream)
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

    /// The client of a TCP server in TLS has not sent its ClientHello yet, and still has time for that.
    private var mayOfferYet: Bool {
        guard case .detecting = layer, client.tls == nil else { return false }
        return isHandshakeTimerRunning
    }

    /// The connection can be used, in the version that is known by now.
    func becomeReady(_ upstream: Upstream) {
        upstream.becomeReady()
        let speaksHTTP2 =
            upstream.transport.tls != nil ? upstream.facts.tls?.alpn == "h2" : route?.isCleartextHTTP2 == true
        if speaksHTTP2, !isTunnelling, route?.isTCP != true, suspendedTunnel == nil {
            let connection = HTTP2Connection(
                .client, limits: configuration.http2Limits, validation: configuration.http2Validation)
            upstream.speak(ServerHTTP2(upstream.transport, connection))
        } else if case .http = layer {
            http.http2?.connection.enableConnectProtocol()
        }
    }

    private var isPassingThrough: Bool {
        if case .tunnel(let tunnel) = layer { tunnel.isPassthrough } else { false }
    }

    private var isTunnelling: Bool {
        if case .tunnel = layer { true } else { false }
    }

    /// Begins TLS with the server. The client's offers are passed on, so that the server's choice can be mirrored.
    func startUpstreamTLS(_ upstream: Upstream) {
        let serverName =
            route?.isTunnel == true ? route?.serverName ?? upstream.destination.endpoint.host : upstream.destination.endpoint.host
        let ours = route?.isTCP == true ? [] : http.isMultiplexed ? ["h2", "http/1.1"] : ["http/1.1"]
        var offers = clientFacts.value.tls?.alpnOffers ?? pendingHello?.alpn ?? ours
        // A client whose protocol is already chosen gets a translation.
        if client.isTLSEstablished, http.isMultiplexed, !offers.contains("http/1.1") { offers.append("http/1.1") }
        if !configuration.allowsHTTP2 { offers.removeAll { $0 == "h2" } }
        do throws(TLSError) {
            try upstream.startTLS(serverName: serverName, offers: offers, context)
            advance(upstream)
        } catch {
            if let event = upstream.failed(error, context) { handle(event, of: upstream) }
        }
    }

    private var pendingHello: ClientHello? {
        if case .intercepting(let interception) = layer { interception.hello } else { nil }
    }

    /// Continues what waited for the connection.
    private func upstreamIsReady(_ upstream: Upstream) {
        switch layer {
        case .connecting(let request):
            accept(request)
        case .intercepting:
            if upstream.isConnected { startUpstreamTLS(upstream) } else { forge() }
        case .http:
            for exchange in upstream.takeWaiting() { assignServer(for: exchange) }
        case .tunnel:
            tunnelIsOpen()
        case .detecting, .handshaking, .lingering, .socks:
            break
        }
    }

    /// The connection failed, or closed before it was used.
    func upstreamFailed(_ upstream: Upstream, _ message: String) {
        let error = FlowError(side: .server, message: message, at: now)
        switch layer {
        case .connecting(let request):
            deny(request, error)
            close(upstream)
            closeClient(.clean)
        case .intercepting:
            // The client gets its TLS, so that its request can be answered with the reason.
            route?.failure = error
            forge()
            close(upstream)
        case .http:
            let waiting = upstream.takeWaiting()
            for exchange in waiting { record(exchange.flow, at: now, .server(upstream.shared)) }
            for exchange in waiting { fail(exchange, status: 502, error) }
            close(upstream)
            serveQueued()
        case .tunnel:
            endOpenFlow(FlowEnding(state: .failed, error: error, closedBy: .server))
            close(upstream)
            closeClient(.reset)
        case .detecting where route?.isTunnel == true || route?.isTCP == true:
            // Opened before the client sent anything: its next request is answered with the reason.
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

    // MARK: Bytes and ends

    func upstreamPlain(_ bytes: ByteBuffer, _ upstream: Upstream, at: Timestamp) {
        switch layer {
        case .http:
            switch upstream.http {
            case .http2(let server):
                server.connection.receive(bytes)
                advanceFrames(of: upstream)
            case .http1(let server):
                if let exchange = server.exchange, exchange.isUpgraded {
                    return receiveResponse(
                        .content(bytes, wire: bytes, isLast: false), of: exchange, at: upstream.transport.lastRead)
                }
                server.decoder.receive(bytes)
                advanceResponses(of: upstream, server)
            }
        case .tunnel:
            tunnelReceived(bytes, from: .server, at: at)
        case .detecting where suspendedTunnel != nil && upstream.transport.tls == nil:
            // It still sends plaintext while its client begins TLS.
            relayBesideTLS(bytes, at: at)
        case .detecting where isFirst(upstream):
            // The server speaks first, so it is not HTTP.
            startTunnel()
            tunnelReceived(bytes, from: .server, at: at)
        case .detecting, .intercepting, .handshaking, .connecting, .socks:
            // The SETTINGS of HTTP/2 come as soon as TLS is established. Other data waits until the client's side is established too.
            if let http2 = upstream.http.http2 { http2.connection.receive(bytes) } else { upstream.early.append(bytes, at: at) }
        case .lingering:
            break
        }
    }

    /// The server sends no more.
    /// - Parameter isClean: false when TLS was cut without close_notify.
    func upstreamEnded(_ upstream: Upstream, isClean: Bool) {
        switch layer {
        case .tunnel:
            tunnelEnded(.server)
        case .http:
            serverEnded(upstream, isClean: isClean)
        case .detecting where isFirst(upstream):
            startTunnel()
            tunnelEnded(.server)
        case .detecting where isOfTunnel(upstream), .intercepting where isOfTunnel(upstream),
            .handshaking where isOfTunnel(upstream):
            upstream.endEarly(.finished)
        case .detecting, .intercepting, .handshaking, .connecting, .lingering, .socks:
            upstreamFailed(upstream, "the server closed the connection")
        }
    }

    /// The server's bytes, and its end, are for the client, whatever protocol it uses.
    private func isOfTunnel(_ upstream: Upstream) -> Bool {
        guard let route, route.isTunnel || route.isTCP, case .http1 = upstream.http else { return false }
        return upstream.isReady || (upstream.isConnected && upstream.destination.isTLS != true)
    }

    /// The server sends, or ends, before the client has sent anything that counts: the client receives it at once.
    private func isFirst(_ upstream: Upstream) -> Bool {
        guard isOfTunnel(upstream), suspendedTunnel == nil else { return false }
        // A client that has begun TLS gets it in TLS, if the server's side is TLS.
        return client.tls != nil || upstream.transport.tls == nil || DetectedProtocol(unparsed.bytes) != .tls
    }

    func upstreamClosed(_ upstream: Upstream, error: String?, isReset: Bool) {
        switch layer {
        case .tunnel:
            tunnelClosed(.server, isReset: isReset)
        case .http:
            serverClosed(
                upstream, error ?? (isReset ? "the server reset the connection" : "the server closed the connection"),
                isReset: isReset)
        case .detecting where isFirst(upstream):
            startTunnel()
            tunnelClosed(.server, isReset: isReset)
        case .detecting where isOfTunnel(upstream), .intercepting where isOfTunnel(upstream),
            .handshaking where isOfTunnel(upstream):
            upstream.endEarly(.closed(isReset: isReset))
        case .detecting, .intercepting, .handshaking, .connecting, .lingering, .socks:
            upstreamFailed(upstream, error ?? "the server closed the connection")
        }
    }

    // MARK: Writing and closing

    func send(_ bytes: ByteBuffer, to upstream: Upstream) {
        do throws(TLSError) { try upstream.transport.send(bytes, context) } catch {
            if let event = upstream.failed(error, context) { handle(event, of: upstream) }
        }
    }

    func closeUpstreams() {
        for upstream in upstreams { close(upstream) }
    }

    func close(_ upstream: Upstream) {
        guard !upstream.isClosed else { return }
        logServerClosed(upstream)
        upstream.close(context)
        servers.remove(upstream)
    }

    func abort(_ upstream: Upstream) {
        guard !upstream.isClosed else { return }
        logServerClosed(upstream)
        upstream.abort(context)
        servers.remove(upstream)
    }
}
