// The client's side of a session. This file takes events in and hands each to the part that it concerns; the parts are extensions: reading
// and writing, TLS interception, HTTP exchanges, tunnels, server connections.
//
// A client of HTTP/1 has one exchange and one server connection at a time; one of HTTP/2 has an exchange for each stream, and as many server
// connections as they need: one where the server speaks HTTP/2, one for each exchange in progress where it does not.
//
//     detecting ──TLS──▶ intercepting ──▶ handshaking ──▶ http │ detecting
//         └──HTTP──▶ http ──CONNECT──▶ connecting ──▶ detecting        http ──101──▶ tunnel
//         └──else──▶ tunnel                                            any ──▶ lingering

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import TLSEngine

/// The protocols on the client's connection, or on a stream of it after CONNECT.
final class ClientStack {
    /// The protocol of the client's bytes at the moment, with the state that exists only then.
    enum Layer {
        /// The client names its server by SOCKS.
        case socks(SOCKS5Server)
        /// The first bytes show the protocol.
        case detecting(Continuation)
        /// A ClientHello was received; the server's TLS or the certificate is missing.
        case intercepting(Interception)
        /// Our side of TLS with the client.
        case handshaking(Continuation)
        case http
        /// The client asked for a tunnel, whose server is not connected yet.
        case connecting(ConnectRequest)
        case tunnel(Tunnel)
        /// We closed; later data of the client is dropped.
        case lingering
    }

    /// The layer that follows TLS.
    enum Continuation {
        /// The protocol is detected.
        case detection
        /// TLS began in the middle of a conversation (STARTTLS), which it resumes.
        case tunnel(Tunnel)

        var tunnel: Tunnel? {
            if case .tunnel(let tunnel) = self { tunnel } else { nil }
        }
    }

    let context: SessionContext
    /// Whether a responder answers instead of servers. Cached: checked on every event.
    let servesRecordings: Bool

    var layer = Layer.detecting(.detection)
    let client: Transport
    var clientFacts = Shared(ClientConnection.unknown)
    /// Client bytes that have not been parsed yet.
    var unparsed = EarlyBytes()
    var route: Route?
    /// The client's version of HTTP, and the exchanges in progress. HTTP/1 until the preface of HTTP/2 comes.
    var http: ClientHTTP
    /// Tunnels on its streams.
    var tunnels = StreamTunnels()
    var exchangeCount: UInt32 = 0
    /// Its connections to servers.
    var servers = ServerPool()
    /// Turns of the recorded servers of exchanges.
    var recordings = RecordingSchedule()
    /// The client has sent data after its TLS handshake.
    var hasClientSpoken = false
    var authentication = ClientAuthentication()
    var lastActivity = Timestamp(nanoseconds: 0)

    /// - Parameters:
    ///   - originalDestination: mode transparent: where the client was going.
    ///   - link: a stream of HTTP/2 on which the client asked for a tunnel; nil for the client's connection itself.
    init(_ context: SessionContext, originalDestination: Endpoint? = nil, on link: StreamLink? = nil) {
        self.context = context
        let configuration = context.configuration
        client = link.map { Transport(.stream($0)) } ?? Transport(.socket(.client))
        servesRecordings = configuration.responder != nil
        http = .http1(ClientHTTP1(client, context))
        switch configuration.mode {
        case .regular, .upstream, .origin:
            break
        case .stream:
            route = Route(destination: Destination(endpoint: Endpoint(host: "", port: 0), isTLS: nil), isTunnel: true, isTCP: true)
        case .reverse(let server, let endpoint):
            // The client decides whether bytes for a TCP server are in TLS.
            let isTLS = server == .tcp ? nil : server.isTLS
            route = Route(destination: Destination(endpoint: endpoint, isTLS: isTLS), isTunnel: server == .tcp)
            route?.isCleartextHTTP2 = server == .h2c
            route?.isTCP = server.isTCP
        case .socks5:
            layer = .socks(SOCKS5Server(asksForPassword: configuration.credentials != nil))
        case .transparent:
            route = originalDestination.map { Route(destination: Destination(endpoint: $0, isTLS: nil), isTunnel: true) }
        }
    }

    var configuration: ProxyConfiguration { context.configuration }
    /// The time of the event that is being handled.
    var now: Timestamp { context.now }
    /// Its stream; 0 for the client's connection. Its deadlines have this number.
    var number: UInt32 { client.stream?.stream.value ?? 0 }
    var upstreams: [Upstream] { servers.connections }
    var upstream: Upstream? { servers.first }

    /// The tunnel in which TLS is beginning (STARTTLS).
    var suspendedTunnel: Tunnel? {
        switch layer {
        case .detecting(let continuation), .handshaking(let continuation): continuation.tunnel
        case .intercepting(let interception): interception.resumes.tunnel
        case .socks, .http, .connecting, .tunnel, .lingering: nil
        }
    }

    /// Nothing is resumed any more: the caller ends the tunnel.
    func takeSuspendedTunnel() -> Tunnel? {
        let tunnel = suspendedTunnel
        switch layer {
        case .detecting: layer = .detecting(.detection)
        case .handshaking: layer = .handshaking(.detection)
        case .intercepting(var interception):
            interception.resumes = .detection
            layer = .intercepting(interception)
        case .socks, .http, .connecting, .tunnel, .lingering: break
        }
        return tunnel
    }

    func deadline(_ kind: Deadline.Kind) -> Deadline { Deadline(kind, owner: number) }

    /// Moves data between the sides until neither has anything left.
    func settle() {
        if servesRecordings { resumeRecordings() }
        exchangeFrames()
        while updateTunnels() { exchangeFrames() }
        if servesRecordings { resumeAfterFlush() }
        updateReading()
        client.flush(context)
        for upstream in upstreams { upstream.transport.flush(context) }
        checkWrites()
    }

    private func clientBecameWritable() {
        guard let http1 = http.http1 else { return }
        http1.becameWritable()
        if servesRecordings, let exchange = http1.exchange { clientTookContent(of: exchange) }
    }

    /// A connection whose TLS took no bytes is lost.
    private func checkWrites() {
        if let error = client.takeFailure() { clientTLSFailed(error) }
        for upstream in upstreams {
            if let error = upstream.transport.takeFailure(), let event = upstream.failed(error, context) {
                handle(event, of: upstream)
            }
        }
    }

    /// Ends detection: the client's bytes are relayed as they come.
    func endDetection() {
        cancelHandshakeTimer()
        handshakeTimedOut()
    }

    func handle(_ event: ProxyEvent) {
        if !tunnels.isEmpty, isForTunnel(event) { return }
        switch event {
        case .started(let peer, let local):
            start(peer: peer, local: local)
        case .received(.client, let bytes):
            lastActivity = now
            client.lastRead = now
            clientReceived(bytes)
        case .halfClosed(.client):
            clientHalfClosed()
        case .closed(.client, _, let isReset):
            logClientClosed(isReset: isReset)
            clientClosed(isReset: isReset)
        case .writable(.client, let isWritable):
            client.isWritable = isWritable
            if isWritable { clientBecameWritable() }
        case .received(let handle, _):
            lastActivity = now
            if let upstream = servers[handle] { self.handle(event, upstream) }
        case .halfClosed(let handle), .closed(let handle, _, _), .opened(let handle, _, _), .openFailed(let handle, _),
            .writable(let handle, _):
            if event.isEnd { servers.closed() }
            if let upstream = servers[handle] { self.handle(event, upstream) }
        case .noDescriptor(let handle):
            servers.closed()
            if let upstream = servers[handle] { postpone(upstream) }
        case .descriptorsFree:
            for tunnel in tunnels.inOrder { deliver(to: tunnel) { $0.handle(event) } }
            openPostponed()
        case .timerFired:
            for deadline in context.deadlines.takeDue(at: now) { passed(deadline) }
        case .certificateReady(let request, let result):
            certificateReady(request, result)
        case .loginVerified(let request, let isRight):
            loginVerified(request, isRight: isRight)
        case .shutdown:
            shutDown()
        }
    }

    /// A client is connected.
    func start(peer: Endpoint, local: Endpoint) {
        lastActivity = now
        clientFacts = Shared(
            ClientConnection(
                id: context.identities.next(at: now), peer: peer, local: local, opened: now, mode: configuration.modeText))
        context.start(deadline(.idle), after: configuration.timeouts.idle)
        logClientConnected()
        if configuration.blocksGlobal, ClientAccess.isGlobal(peer.host) {
            log(.warning, "refused", "\(peer): refused: the address is one of the open internet (--no-block-global lets it in)")
            return closeClient(.clean)
        }
        if case .socks = layer { return startHandshakeTimer() }
        guard let route else {
            if case .transparent = configuration.mode {
                log(.warning, "refused", "\(peer): refused: the system does not tell where the connection was going")
                return closeClient(.clean)
            }
            // Clients of a forward proxy speak HTTP from the first byte.
            if configuration.mode != .origin { layer = .http }
            return
        }
        let destination = route.destination
        if configuration.hosts.treatment(of: destination.endpoint, serverName: nil) == .passThrough {
            startPassthrough()
        } else if serverSpeaksFirst(isTLS: false) {
            startTunnel()
        } else if route.isTunnel || route.isTCP, configuration.strategy == .eager {
            openUpstream(destination)
            if destination.isTLS == true { startHandshakeTimer(Self.clientTLSTimeout) }
        } else if route.isTunnel || route.isTCP {
            startDetectionTimer()
        }
    }

    func passed(_ deadline: Deadline) {
        if !tunnels.isEmpty, isForTunnel(deadline) { return }
        switch deadline.kind {
        case .idle:
            let remaining = configuration.timeouts.idle - (now - lastActivity)
            if remaining > 0 {
                context.start(deadline, after: remaining)
            } else {
                endEverything(FlowError(side: nil, message: "nothing was received for too long", at: now))
            }
        case .handshake:
            handshakeTimedOut()
        case .servers:
            if let upstream = servers[ConnectionHandle(deadline.owner)], let event = upstream.timedOut() {
                handle(event, of: upstream)
            }
        case .linger:
            client.closeLink(context)
        case .tunnel:
            tunnelIsOverdue()
        case .replay:
            // A recorded server that waits for its time is resumed after every event.
            break
        }
    }

    private func handshakeTimedOut() {
        switch layer {
        case .detecting:
            detectionTimedOut()
        case .socks:
            log(.warning, "refused", "\(clientFacts.value.peer): the client did not complete the SOCKS handshake in time")
            recordPartialSOCKS("the client did not complete the SOCKS handshake in time")
            closeClient(.clean)
        case .handshaking:
            recordFailedTLS(FlowError(side: .client, message: "the client did not complete the TLS handshake in time", at: now))
            closeClient(.truncated)
        case .http:
            requestTimedOut()
        default:
            break
        }
    }

    func requestTimedOut() {
        guard case .http = layer, case .http1(let http1) = http, http1.exchange == nil else { return }
        refuse(
            status: 408, FlowError(side: .client, message: "the client did not complete the request in time", at: now),
            head: http1.decoder.takeRest())
    }

    private func shutDown() {
        for tunnel in tunnels.inOrder { deliver(to: tunnel) { $0.shutDown() } }
        endEverything(FlowError(side: nil, message: "the recorder was stopped", at: now))
    }

    /// Ends all open flows, records them as cut, and closes both sides.
    func endEverything(_ error: FlowError) {
        let isClosing = isLingering
        streamsEnded(isReset: false)
        endOpenFlow(FlowEnding(state: .incomplete, error: error))
        closeUpstreams()
        if !isClosing { closeClient(.truncated) }
    }

    /// Records the end of the flows that are open.
    func endOpenFlow(_ ending: FlowEnding) {
        let exchanges = http.exchanges
        for exchange in exchanges { endOpen(exchange, ending) }
        if !exchanges.isEmpty {
            // They were all there was.
        } else if case .tunnel(let tunnel) = layer {
            end(tunnel, ending)
            layer = .lingering
        } else if let tunnel = takeSuspendedTunnel() {
            end(tunnel, ending)
        } else if case .connecting(let request) = layer, let head = request.head, let error = ending.error {
            recordRefused(head.wire, error: error)
        }
        if case .request(let request)? = authentication.pending?.waiting, let error = ending.error {
            authentication.pending = nil
            recordRefused(request.head.wire, error: error, stream: request.stream)
        }
        if let failure = route?.failure { recordFailedTLS(failure) }
    }

    private func endOpen(_ exchange: Exchange, _ ending: FlowEnding) {
        recordEarlyEnd(of: exchange, ending)
        forget(exchange)
    }

    /// An exchange ends before both messages have.
    func recordEarlyEnd(of exchange: Exchange, _ ending: FlowEnding) {
        if ending.closedBy == .client, exchange.isAnswered, hasTaken(exchange) {
            // A client that counts bytes does not need END_STREAM, and may close early.
            record(exchange.flow, at: now, .finished(.server))
            recordEnd(of: exchange, FlowEnding(state: .complete))
        } else if ending.closedBy == .client, exchange.isAnsweredEarly, hasTaken(exchange) {
            // It need not send the rest of a request that was answered (RFC 9110 §10.1.1, RFC 9112 §9.5).
            note(exchange.flow, .client, at: now, "the client had the answer and did not send the rest of its request")
            recordEnd(of: exchange, FlowEnding(state: .complete, closedBy: .client, isReset: ending.isReset))
        } else {
            recordEnd(of: exchange, exchange.ending(ending))
        }
    }

    /// Everything that came of a response was sent to the client.
    private func hasTaken(_ exchange: Exchange) -> Bool {
        client.isWritable && exchange.client.queuedBytes == 0
    }

    /// Records the end of an exchange, preceded by any partial WebSocket messages.
    func recordEnd(of exchange: Exchange, _ ending: FlowEnding) {
        for piece in exchange.webSocket?.relay.takeIncomplete() ?? [] { record(exchange.flow, at: now, .piece(piece)) }
        var ending = ending
        if exchange.responseHead?.fields.offersHTTP3 == true { ending.tags.append(Self.offersHTTP3) }
        record(exchange.flow, at: now, .ended(ending))
    }

    /// The tag of flows whose response offers HTTP/3.
    private static let offersHTTP3 = "h3-offered"

    /// Appends one event to a flow.
    func record(_ flow: FlowID, at: Timestamp, _ what: FlowEvent.What) { context.record(flow, at: at, what) }

    /// Notes a deviation that passes.
    /// - Parameter side: the sender of the bytes.
    func note(_ flow: FlowID, _ side: Side?, at: Timestamp, _ message: String) {
        record(flow, at: at, .note(FlowNote(side: side, message)))
    }

}
