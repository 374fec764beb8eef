// One connection of a session to a server: opening, the upstream proxy on the way, TLS. It knows nothing of its client: the client's stack
// takes its events, one after the other.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import TLSEngine

/// An event of a connection to a server.
enum UpstreamEvent {
    /// The connection leads to the server; TLS has not begun.
    case connected
    /// TLS is established.
    case secured
    /// The server sent bytes.
    case received(ByteBuffer)
    /// The server sends no more.
    /// - isClean: false if TLS ended without close_notify.
    case ended(isClean: Bool)
    /// The connection is gone.
    case closed(error: String?, isReset: Bool)
    /// TLS broke after it was established.
    case broken(TLSError)
    /// The connection cannot be used, for this reason.
    case failed(String)
}

/// A server connection.
final class Upstream {
    enum State {
        case opening
        /// No descriptor is free: it is opened later.
        case postponed
        /// TLS with the upstream proxy.
        case securingProxy(UpstreamProxy)
        /// The upstream proxy is asked to connect to the server.
        case negotiating(ProxyHandshake)
        /// TCP is established; whether TLS follows is not decided (after CONNECT, before the client's first bytes).
        case connected
        case handshaking
        case ready
        /// Closed from our side, or gone.
        case closed
    }

    /// The way to the server.
    enum Path {
        case direct
        /// The upstream proxy connects to the server.
        case tunnel(UpstreamProxy)
        /// The upstream proxy gets the requests itself, in absolute form: plain HTTP is not tunnelled.
        case forwardProxy(UpstreamProxy)

        init(to destination: Destination, through proxy: UpstreamProxy?, isRouted: Bool) {
            guard let proxy else {
                self = .direct
                return
            }
            let isForwarded = proxy.kind != .socks5 && destination.isTLS == false && !isRouted
            self = isForwarded ? .forwardProxy(proxy) : .tunnel(proxy)
        }

        var proxy: UpstreamProxy? {
            switch self {
            case .direct: nil
            case .tunnel(let proxy), .forwardProxy(let proxy): proxy
            }
        }
    }

    let transport: Transport
    let destination: Destination
    let path: Path
    private(set) var state = State.opening
    /// The facts that the recording has of it.
    private(set) var shared: Shared<ServerConnection>
    /// Bytes of the peer that were not parsed yet.
    private var input = ByteBuffer()
    /// Its version of HTTP, and the exchanges that it serves. HTTP/1 until another version is negotiated.
    private(set) var http: ServerHTTP
    /// Exchanges that wait until it is ready.
    var waiting: [Exchange] = []
    /// Requests sent on it.
    var requests = 0
    /// The bytes that it sent, and how it ended, before its client's side of a tunnel stood.
    var early = EarlyBytes()
    private var earlyEnd = EarlyEnd.none

    enum EarlyEnd {
        /// It sends more.
        case none
        /// It sends no more.
        case finished
        /// The connection is gone.
        case closed(isReset: Bool)
    }

    /// - Parameter isRouted: the client's whole stream goes to this server.
    init(
        _ transport: Transport, to destination: Destination, isRouted: Bool, _ context: SessionContext
    ) {
        let configuration = context.configuration
        self.transport = transport
        self.destination = destination
        path = Path(to: destination, through: configuration.upstreamProxy, isRouted: isRouted)
        shared = Shared(
            ServerConnection(id: context.identities.next(at: context.now), target: destination.endpoint, opened: context.now))
        http = .http1(ServerHTTP1(transport, context))
    }

    var facts: ServerConnection { shared.value }

    /// Updates its facts.
    func update(_ change: (inout ServerConnection) -> Void) {
        var facts = shared.value
        change(&facts)
        shared = Shared(facts)
    }

    // MARK: States

    /// It is being opened.
    func open() { state = .opening }

    func postpone() { state = .postponed }

    var isPostponed: Bool {
        if case .postponed = state { true } else { false }
    }

    /// Takes the exchanges that wait until it is ready.
    func takeWaiting() -> [Exchange] {
        defer { waiting = [] }
        return waiting
    }

    var isConnected: Bool {
        if case .connected = state { true } else { false }
    }

    var isReady: Bool {
        if case .ready = state { true } else { false }
    }

    var isClosed: Bool {
        if case .closed = state { true } else { false }
    }

    /// When the handshake that is in progress must be complete.
    private var deadline: Deadline { Deadline(.servers, owner: transport.handle.value) }

    /// Requests go to an upstream proxy itself.
    var isForwardProxy: Bool {
        if case .forwardProxy = path { true } else { false }
    }

    /// Its data or end waits for the tunnel.
    var isEarly: Bool {
        if case .none = earlyEnd { !early.isEmpty } else { true }
    }

    /// It ended before its client's side of the tunnel stood.
    func endEarly(_ end: EarlyEnd) { earlyEnd = end }

    func takeEarlyEnd() -> EarlyEnd {
        defer { earlyEnd = .none }
        return earlyEnd
    }

    /// No exchange uses it or waits for it.
    var isIdle: Bool { http.isIdle && waiting.isEmpty }

    /// A request to this destination may be sent on it now.
    func takes(_ destination: Destination) -> Bool {
        guard isReady, !transport.hasEnded, !transport.isFinished, leads(to: destination) else { return false }
        return http.takesRequests
    }

    func leads(to destination: Destination) -> Bool {
        guard self.destination.endpoint == destination.endpoint else { return false }
        return self.destination == destination || transport.isTLSEstablished == destination.isTLS
    }

    // MARK: Opening

    /// TCP is established.
    func opened(peer: Endpoint, local: Endpoint, _ context: SessionContext) -> UpstreamEvent? {
        guard case .opening = state else { return nil }
        if let owner = context.configuration.ownAddresses.owner(of: peer, from: local) { return Self.refusal(peer, owner) }
        update {
            $0.peer = peer
            $0.local = local
            $0.connected = context.now
        }
        guard let proxy = path.proxy else { return connect(context) }
        context.start(deadline, after: context.configuration.timeouts.handshake)
        guard proxy.kind == .https else { return negotiate(with: proxy, context) }
        state = .securingProxy(proxy)
        do throws(TLSError) {
            let tls = try TLSConnection(
                client: context.configuration.clientTLS, serverName: proxy.endpoint.host, alpnOffers: ["http/1.1"],
                sessionKey: "proxy \(proxy.endpoint)")
            transport.beginProxyTLS(tls)
            return nil
        } catch {
            return .failed("TLS with the upstream proxy \(proxy.endpoint) failed: \(error.message)")
        }
    }

    /// A request to the recorder itself would never end; its view is for the user at this machine, not for clients.
    static func refusal(_ endpoint: Endpoint, _ owner: OwnAddresses.Owner) -> UpstreamEvent {
        switch owner {
        case .listener: .failed("\(endpoint) is the recorder itself, so the request would go round in circles")
        case .view: .failed("\(endpoint) is the view of this recorder, to which nothing is forwarded")
        }
    }

    func openFailed(_ reason: String) -> UpstreamEvent {
        if let proxy = path.proxy { return .failed("cannot connect to the upstream proxy \(proxy.endpoint): \(reason)") }
        return .failed("cannot connect to \(destination.endpoint): \(reason)")
    }

    private func negotiate(with proxy: UpstreamProxy, _ context: SessionContext) -> UpstreamEvent? {
        if isForwardProxy { return connect(context) }
        let (handshake, first) = ProxyHandshake.begin(proxy, to: destination.endpoint)
        state = .negotiating(handshake)
        transport.transmit(first, context)
        return nil
    }

    private func connect(_ context: SessionContext) -> UpstreamEvent {
        state = .connected
        context.deadlines.cancel(deadline)
        return .connected
    }

    /// The handshake has taken too long.
    func timedOut() -> UpstreamEvent? {
        switch state {
        case .closed: return nil
        case .securingProxy(let proxy):
            return .failed("the upstream proxy \(proxy.endpoint) did not complete the handshake in time")
        case .negotiating:
            let name = path.proxy?.endpoint.description ?? ""
            return .failed("the upstream proxy \(name) did not complete the handshake in time")
        default: return .failed("\(destination.endpoint) did not complete the handshake in time")
        }
    }

    // MARK: TLS

    /// Begins TLS with the server. ``next(_:)`` returns the results.
    func startTLS(serverName: String, offers: [String], _ context: SessionContext) throws(TLSError) {
        let tls = try TLSConnection(
            client: context.configuration.clientTLS, serverName: serverName, alpnOffers: offers,
            sessionKey: "\(serverName) \(destination.endpoint) \(offers.joined(separator: ","))")
        transport.begin(tls)
        state = .handshaking
        update {
            var details = TLSDetails()
            details.serverName = serverName
            details.alpnOffers = offers
            details.handshakeStarted = context.now
            $0.tls = details
        }
        context.start(deadline, after: context.configuration.timeouts.handshake)
        // A server that speaks before TLS does not speak TLS.
        if !early.isEmpty { tls.receive(early.take()) }
    }

    private func takeFacts(of tls: TLSConnection, _ context: SessionContext) {
        let facts = tls.facts
        update {
            var details = $0.tls ?? TLSDetails()
            details.update(from: facts)
            details.isVerified = facts.isVerified
            details.verificationError = facts.verificationError
            if transport.isTLSEstablished { details.handshakeEnded = context.now }
            $0.tls = details
        }
    }

    /// TLS failed.
    func failed(_ error: TLSError, _ context: SessionContext) -> UpstreamEvent? {
        guard !isClosed else { return nil }
        if transport.isTLSEstablished { return .broken(error) }
        if let tls = transport.tls { takeFacts(of: tls, context) }
        // The alert has the reason.
        transport.noteRecords()
        transport.flush(context)
        return .failed("TLS with \(destination.endpoint) failed: \(error.message)")
    }

    /// It can be used: for HTTP/1, or for bytes.
    func becomeReady() { state = .ready }

    /// It continues in HTTP/2.
    func speak(_ http2: ServerHTTP2) { http = .http2(http2) }

    // MARK: Events

    /// Receives bytes. ``next(_:)`` returns their events.
    func receive(_ bytes: ByteBuffer, at now: Timestamp) {
        transport.lastRead = now
        if let proxyTLS = transport.proxySecurity.tls { proxyTLS.receive(bytes) } else { input = bytes }
    }

    /// The next event. Taken until there are no more.
    func next(_ context: SessionContext) -> UpstreamEvent? {
        while !isClosed {
            if input.readableBytes > 0 {
                let bytes = input
                input = ByteBuffer()
                if case .negotiating(let handshake) = state {
                    if let event = advance(handshake, bytes, context) { return event }
                } else if let tls = transport.tls {
                    tls.receive(bytes)
                } else {
                    return .received(bytes)
                }
            }
            if let tls = transport.tls, let event = read(tls, context) { return event }
            if input.readableBytes == 0, let tls = transport.proxySecurity.tls {
                do throws(TLSError) {
                    guard transport.proxySecurity.isEstablished else {
                        guard try transport.proxyHandshake(tls, context), let proxy = path.proxy else { return nil }
                        if let event = negotiate(with: proxy, context) { return event }
                        continue
                    }
                    if let plain = try tls.read() { input = plain }
                } catch {
                    return .failed("TLS with the upstream proxy failed: \(error.message)")
                }
            }
            if input.readableBytes == 0 { return nil }
        }
        return nil
    }

    /// - Returns: nil if more bytes of the proxy are needed.
    private func advance(_ handshake: ProxyHandshake, _ bytes: ByteBuffer, _ context: SessionContext) -> UpstreamEvent? {
        var (handshake, bytes) = (handshake, bytes)
        do throws(SOCKS5.Failure) {
            while let outcome = try handshake.receive(bytes) {
                switch outcome {
                case .send(let answer):
                    transport.transmit(answer, context)
                    bytes = ByteBuffer()
                case .open(let rest):
                    input = rest
                    return connect(context)
                }
            }
            state = .negotiating(handshake)
            return nil
        } catch {
            return .failed(error.message)
        }
    }

    private func read(_ tls: TLSConnection, _ context: SessionContext) -> UpstreamEvent? {
        do throws(TLSError) {
            transport.noteRecords()
            if !transport.isTLSEstablished {
                guard try transport.handshake(tls) else { return nil }
                context.deadlines.cancel(deadline)
                takeFacts(of: tls, context)
                return .secured
            }
            if let plain = try tls.read() { return .received(plain) }
            return tls.isPeerClosed ? end(isClean: true) : nil
        } catch {
            if transport.isTLSEstablished, error.kind == .truncated { return end(isClean: false) }
            return failed(error, context)
        }
    }

    private func end(isClean: Bool) -> UpstreamEvent? {
        guard !transport.hasEnded else { return nil }
        transport.hasEnded = true
        return .ended(isClean: isClean)
    }

    /// The peer's FIN was received. ``next(_:)`` first returns the rest that TLS has.
    func receivedEnd(_ context: SessionContext) -> UpstreamEvent? {
        switch state {
        case .securingProxy, .negotiating: return .failed("the upstream proxy closed the connection before it let us through")
        default: break
        }
        guard let tls = transport.tls else { return nil }
        tls.receivedEnd()
        guard !transport.isTLSEstablished else { return nil }
        return failed(TLSError(.truncated, "the server closed the connection during the TLS handshake"), context)
    }

    /// All bytes before the peer's FIN were read.
    func isAtEnd() -> UpstreamEvent? { isClosed ? nil : end(isClean: transport.tls?.isPeerClosed ?? true) }

    /// The connection is gone.
    func gone(error: String?, isReset: Bool, _ context: SessionContext) -> UpstreamEvent? {
        guard case .handshaking = state else { return .closed(error: error, isReset: isReset) }
        let what = isReset ? "reset" : "closed"
        return failed(TLSError(.truncated, "the server \(what) the connection during the TLS handshake"), context)
    }

    // MARK: Closing

    /// Closes both directions after the output.
    func close(_ context: SessionContext) {
        if let http2 = http.http2?.connection, !transport.hasEnded {
            // Frames that are queued come first. A failure of TLS does not matter any more.
            if let bytes = http2.takeOutput() { try? transport.send(bytes, context) }
            if !http2.isTerminated { http2.goAway(.noError) }
            if let bytes = http2.takeOutput() { try? transport.send(bytes, context) }
        }
        state = .closed
        context.deadlines.cancel(deadline)
        transport.close(context)
    }

    func abort(_ context: SessionContext) {
        state = .closed
        context.deadlines.cancel(deadline)
        transport.abort(context)
    }
}
