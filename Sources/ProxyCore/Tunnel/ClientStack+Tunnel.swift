// Bytes that are not HTTP, relayed as they come: behind CONNECT, behind 101. Each side's end reaches the other as its own.

import FlowModel
import HTTPSemantics
import NIOCore
import TLSEngine
import WebSocketCodec

/// A stream of bytes in both directions.
struct Tunnel {
    let flow: FlowID
    var clientEnded = false
    var serverEnded = false
    var closedBy: Side?
    /// The bytes are the frames of a WebSocket conversation.
    var webSocket: WebSocketRelay?
    /// The bytes are not read; these are their numbers.
    var passthrough: PassthroughSizes?
    /// Its server is played from a recording; when it goes on by itself; and what a client of WebSocket said goodbye with.
    var server: (any ServerPlayer)?
    var due: Timestamp?
    var closeFrame: ByteBuffer?
    /// What broke the protocol of a WebSocket conversation that is being ended.
    var failure: FlowError?
    var isCloseSent = false
    /// The client has said something.
    var hasClientSpoken = false
    /// The server has said something.
    var hasServerSpoken = false
    /// Data is told in the event log.
    var logsData = false

    var isEnded: Bool { clientEnded && serverEnded }
}

extension ClientStack {
    /// What the client speaks is nobody's protocol that we know: a TCP flow.
    func startTunnel() {
        guard let route else { return }
        cancelHandshakeTimer()
        // It began with the first byte of either side.
        let began = [unparsed.began, upstream?.early.began].compactMap { $0 }.min() ?? now
        let flow = context.identities.next(at: min(client.lastRead, began))
        let endpoint = route.destination.endpoint
        let target = FlowTarget(scheme: client.tls == nil ? "tcp" : "tls", host: endpoint.host, port: endpoint.port)
        exchangeCount += 1
        let opening = FlowOpening(kind: .tcp, client: clientFacts, target: target, stream: StreamID(exchangeCount))
        record(flow, at: began, .opened(opening))
        phase = .tunnel(Tunnel(flow: flow, logsData: route.isTCP))
        if servesRecordings { return startRecordedStream(target) }
        if let failure = route.failure {
            self.route?.isFailureRecorded = true
            endOpenFlow(FlowEnding(state: .failed, error: failure, closedBy: .server))
            return closeClient(.reset)
        }
        if let upstream {
            if upstream.isConnected {
                if upstream.destination.isTLS == true { return startUpstreamTLS(upstream) }
                upstream.becomeReady()
            }
            if upstream.isReady { tunnelIsOpen() }
        } else {
            openUpstream(Destination(endpoint: endpoint, isTLS: route.destination.isTLS ?? (client.tls != nil)))
        }
    }

    /// Nothing of the connection is read.
    /// - Parameter hello: when it was seen already.
    func startPassthrough(_ hello: ClientHello? = nil) {
        guard let route else { return }
        cancelHandshakeTimer()
        if let hello { takeFacts(of: hello) }
        let flow = context.identities.next(at: now)
        let endpoint = route.destination.endpoint
        let target = FlowTarget(scheme: hello == nil ? "tcp" : "tls", host: endpoint.host, port: endpoint.port)
        exchangeCount += 1
        let opening = FlowOpening(kind: .tcp, client: clientFacts, target: target, stream: StreamID(exchangeCount))
        record(flow, at: now, .opened(opening))
        phase = .tunnel(Tunnel(flow: flow, passthrough: PassthroughSizes(fromClient: 0, fromServer: 0)))
        if upstream?.isConnected == true { upstream?.becomeReady() }
        if upstream?.isReady == true {
            tunnelIsOpen()
        } else if upstream == nil {
            openUpstream(Destination(endpoint: endpoint, isTLS: false))
        }
    }

    /// Records the end of a tunnel.
    func end(_ tunnel: Tunnel, _ ending: FlowEnding) {
        var (tunnel, ending) = (tunnel, ending)
        for piece in tunnel.webSocket?.takeIncomplete() ?? [] { record(tunnel.flow, at: now, .piece(piece)) }
        switch phase {
        // What the client has begun to say is TLS.
        case .detecting, .intercepting: unparsed = EarlyBytes()
        default: break
        }
        for (bytes, at, side) in takeEarly() {
            // It came, although it could not go on.
            if tunnel.passthrough != nil {
                tunnel.passthrough?.add(bytes.readableBytes, from: side)
            } else {
                record(tunnel.flow, at: at, .piece(FlowPiece(from: side, content: bytes)))
            }
        }
        ending.passthrough = tunnel.passthrough
        record(tunnel.flow, at: now, .ended(ending))
    }

    /// TLS stands on both sides of a tunnel that began without.
    func resume(_ tunnel: Tunnel) {
        suspendedTunnel = nil
        phase = .tunnel(tunnel)
        record(tunnel.flow, at: now, .client(clientFacts))
        if let failure = route?.failure {
            route?.isFailureRecorded = true
            endOpenFlow(FlowEnding(state: .failed, error: failure, closedBy: .server))
            return closeClient(.reset)
        }
        if let upstream { record(tunnel.flow, at: now, .server(upstream.shared)) }
        relayEarly()
    }

    /// What came of both sides before the tunnel stood, in the order in which it came.
    private func takeEarly() -> [(bytes: ByteBuffer, at: Timestamp, side: Side)] {
        guard !unparsed.isEmpty || upstream?.early.isEmpty == false else { return [] }
        let ofServer = upstream?.early.takePieces() ?? []
        var pieces: [(bytes: ByteBuffer, at: Timestamp, side: Side)] = []
        var next = 0
        for (bytes, at) in unparsed.takePieces() {
            while next < ofServer.count, ofServer[next].at < at {
                pieces.append((ofServer[next].bytes, ofServer[next].at, .server))
                next += 1
            }
            pieces.append((bytes, at, .client))
        }
        return pieces + ofServer[next...].map { ($0.bytes, $0.at, .server) }
    }

    /// Relays what came before the tunnel stood, and passes on how the server ended.
    private func relayEarly() {
        for (bytes, at, side) in takeEarly() {
            // TLS may begin in the middle of it.
            if side == .client {
                clientPlain(bytes, at: at)
            } else if let upstream {
                upstreamPlain(bytes, upstream, at: at)
            }
        }
        guard case .tunnel = phase, let upstream, let end = upstream.earlyEnd else { return }
        upstream.earlyEnd = nil
        switch end {
        case .finished: tunnelEnded(.server)
        case .closed(let isReset): tunnelClosed(.server, isReset: isReset)
        }
    }

    /// What a server still says in the clear while its client begins TLS in the middle of a conversation.
    func relayBesideTLS(_ bytes: ByteBuffer, at: Timestamp) {
        guard let tunnel = suspendedTunnel else { return }
        relay(bytes, from: .server, in: tunnel, at: at)
    }

    /// Where TLS begins in what a client says in the middle of a conversation (STARTTLS of SMTP, IMAP, POP3, XMPP, LDAP, PostgreSQL, …): it
    /// waits for the server's consent, so its hello stands at the beginning of what is read. MySQL's client waits for nothing: its hello
    /// may stand behind the packet of 32 bytes that asks for TLS.
    private func startOfTLS(_ bytes: ByteBuffer, in tunnel: Tunnel) -> Int? {
        guard client.tls == nil, tunnel.webSocket == nil, tunnel.passthrough == nil,
            upstream?.isReady == true || tunnel.server != nil, http.exchanges.isEmpty
        else { return nil }
        // In front of a server that is spoken to in TLS anyway, a client may be late with its own.
        if upstream?.transport.tls != nil, tunnel.hasClientSpoken || tunnel.hasServerSpoken { return nil }
        func isHello(at offset: Int) -> Bool {
            let start = bytes.slice(ByteRange(offset, bytes.readableBytes)).readableBytesView.prefix(6)
            guard start.count == 6 else { return false }
            let head = Array(start)
            return head[0] == 0x16 && head[1] == 3 && head[2] <= 3 && head[5] == 1
        }
        if isHello(at: 0) { return 0 }
        let isMySQL = bytes.readableBytesView.prefix(4).elementsEqual([0x20, 0, 0, 1])
        return isMySQL && isHello(at: 36) ? 36 : nil
    }

    /// The exchange of an upgrade goes on as a tunnel within the same flow (RFC 9110 §15.2.2).
    func startTunnel(after exchange: Exchange, webSocket: WebSocketRelay?) {
        phase = .tunnel(Tunnel(flow: exchange.flow, webSocket: webSocket, server: exchange.server?.recorded?.player))
        let upstream = upstream(of: exchange)
        let early = exchange.server?.takeEarly() ?? ByteBuffer()
        forget(exchange)
        if let http1 = http.http1 { unparsed.append(http1.decoder.takeRest(), at: client.lastRead) }
        if let upstream { upstream.early.append(early, at: upstream.transport.lastRead) }
        tunnelIsOpen()
    }

    func tunnelIsOpen() {
        guard case .tunnel(let tunnel) = phase else { return }
        if upstream?.isConnected == true { upstream?.becomeReady() }
        if let upstream { record(tunnel.flow, at: now, .server(upstream.shared)) }
        relayEarly()
        if client.hasEnded { tunnelEnded(.client) }
    }

    func tunnelReceived(_ bytes: ByteBuffer, from side: Side, at: Timestamp) {
        guard case .tunnel(let tunnel) = phase else { return }
        if side == .client, upstream?.isReady != true, tunnel.server == nil {
            unparsed.append(bytes, at: at)
            return
        }
        // The time in which a conversation must close is not extended by what is sent meanwhile.
        if tunnel.webSocket != nil { return relayFrames(bytes, from: side, in: tunnel, at: at) }
        if side == .server, tunnel.clientEnded { context.deadlines.cancel(deadline(.tunnel)) }
        if tunnel.passthrough != nil {
            count(bytes.readableBytes, from: side)
        } else if side == .client, let start = startOfTLS(bytes, in: tunnel) {
            if start > 0 { relay(bytes.slice(ByteRange(0, start)), from: .client, in: tunnel, at: at) }
            suspendedTunnel = tunnel
            unparsed = EarlyBytes(bytes.slice(ByteRange(start, bytes.readableBytes)), at: at)
            phase = .detecting
            return detect()
        } else {
            return relay(bytes, from: side, in: tunnel, at: at)
        }
        sendThrough(bytes, to: side.opposite)
    }

    private func relay(_ bytes: ByteBuffer, from side: Side, in tunnel: Tunnel, at: Timestamp) {
        let piece = FlowPiece(from: side, content: bytes)
        record(tunnel.flow, at: at, .piece(piece))
        let hasSpoken = side == .client ? tunnel.hasClientSpoken : tunnel.hasServerSpoken
        if !hasSpoken { updateTunnel { if side == .client { $0.hasClientSpoken = true } else { $0.hasServerSpoken = true } } }
        deliver(piece)
        if tunnel.logsData { log(.notice, logLine(bytes, from: side)) }
        sendThrough(bytes, to: side.opposite)
    }

    private func count(_ bytes: Int, from side: Side) {
        updateTunnel { $0.passthrough?.add(bytes, from: side) }
    }

    /// A line for the event log: who said how much, and how it begins, with what no terminal should see as dots.
    private func logLine(_ bytes: ByteBuffer, from side: Side) -> String {
        let start = bytes.readableBytesView.prefix(64).map { $0 >= 0x20 && $0 < 0x7F ? $0 : 0x2E }
        let target = route?.destination.endpoint.description ?? ""
        let arrow = side == .client ? "\(clientFacts.value.peer) -> \(target)" : "\(clientFacts.value.peer) <- \(target)"
        return "tcp \(arrow) \(bytes.readableBytes) B: \(String(decoding: start, as: UTF8.self))"
    }

    private func sendThrough(_ bytes: ByteBuffer, to side: Side) {
        if side == .client {
            sendToClient(bytes)
        } else if let upstream {
            send(bytes, to: upstream)
        }
    }

    private func relayFrames(_ bytes: ByteBuffer, from side: Side, in tunnel: Tunnel, at: Timestamp) {
        var tunnel = tunnel
        // The relay has one owner while it works, so that nothing in it is copied.
        phase = .tunnel(
            Tunnel(flow: tunnel.flow, clientEnded: tunnel.clientEnded, serverEnded: tunnel.serverEnded, server: tunnel.server))
        var actions: [WebSocketRelay.Action] = []
        var failure: WebSocketError?
        do throws(WebSocketError) {
            try tunnel.webSocket?.receive(bytes, from: side, into: &actions)
        } catch {
            failure = error
        }
        phase = .tunnel(tunnel)
        for action in actions {
            switch action {
            case .send(let bytes, let other):
                sendThrough(bytes, to: other)
                if other == side { countUnreadReplies(bytes.readableBytes, by: side, upstream) }
            case .record(let piece):
                record(tunnel.flow, at: at, .piece(piece))
                logControl(piece, route?.destination.endpoint ?? upstream?.destination.endpoint)
                deliver(piece)
            case .recordMalformed(let bytes, let side):
                recordMalformed(bytes, from: side, of: tunnel.flow)
            case .note(let message, let side):
                note(tunnel.flow, side, at: at, message)
            }
        }
        if let failure {
            let error = FlowError(side: side, message: "\(failure.message) (\(failure.closeCode))", at: now)
            updateTunnel { $0.failure = error }
            context.start(deadline(.tunnel), after: Self.closeTimeout)
        }
        if let webSocket = tunnel.webSocket, webSocket.isClosed || webSocket.isCutInFrame { endFailedConversation() }
    }

    /// A side that pings and does not read the answers is not read either, when there are many.
    /// - Parameter upstream: the server of the conversation; a client of HTTP/2 may have several.
    func countUnreadReplies(_ bytes: Int, by side: Side, _ upstream: Upstream?) {
        if side == .client {
            client.countUnreadReplies(bytes)
        } else {
            upstream?.transport.countUnreadReplies(bytes)
        }
    }

    /// So long the other side may go on answering what came before the protocol was broken (RFC 6455 §7.1.7 sets no time for closing).
    private static let closeTimeout: Int64 = 100_000_000

    /// One side was given time to say its last, and has not.
    func tunnelIsOverdue() {
        guard case .tunnel(let tunnel) = phase else { return }
        if tunnel.failure == nil {
            guard tunnel.clientEnded || tunnel.serverEnded else { return }
            client.finish(context)
            endTunnel(tunnel)
        } else if tunnel.isCloseSent {
            endFailedConversation()
        } else {
            sendClose(in: tunnel)
        }
    }

    /// The other side is told that a conversation broke the protocol, and has some time to close.
    private func sendClose(in tunnel: Tunnel) {
        var tunnel = tunnel
        var actions: [WebSocketRelay.Action] = []
        tunnel.webSocket?.tell(into: &actions)
        tunnel.isCloseSent = true
        phase = .tunnel(tunnel)
        for case .send(let bytes, let side) in actions { sendThrough(bytes, to: side) }
        context.start(deadline(.tunnel), after: configuration.timeouts.linger)
    }

    /// A conversation that broke the protocol ends when both sides have said goodbye, or one has gone, or after a while.
    /// - Returns: false when there is none.
    @discardableResult
    func endFailedConversation() -> Bool {
        guard case .tunnel(var tunnel) = phase, let error = tunnel.failure else { return false }
        var actions: [WebSocketRelay.Action] = []
        tunnel.webSocket?.giveUp(into: &actions)
        for case .send(let bytes, let side) in actions { sendThrough(bytes, to: side) }
        end(tunnel, FlowEnding(state: .incomplete, error: error, closedBy: error.side))
        phase = .lingering
        closeUpstreams()
        closeClient(.clean)
        return true
    }

    func updateTunnel(_ change: (inout Tunnel) -> Void) {
        guard case .tunnel(var tunnel) = phase else { return }
        change(&tunnel)
        phase = .tunnel(tunnel)
    }

    /// One side has said everything; the other goes on.
    func tunnelEnded(_ side: Side) {
        guard !endFailedConversation(), case .tunnel(var tunnel) = phase else { return }
        if side == .client, upstream?.isReady != true, tunnel.server == nil { return }
        switch side {
        case .client:
            guard !tunnel.clientEnded else { return }
            tunnel.clientEnded = true
            tunnel.server?.clientFinished(at: now)
        case .server:
            guard !tunnel.serverEnded else { return }
            tunnel.serverEnded = true
        }
        if tunnel.closedBy == nil { tunnel.closedBy = side }
        phase = .tunnel(tunnel)
        // An end without close_notify may be somebody else's doing (RFC 8446 §6.1), so it reaches the other side as one.
        if side == .server {
            client.finish(isCut: upstream?.transport.tls?.isPeerClosed == false, context)
        } else if let upstream {
            upstream.transport.finish(isCut: client.tls?.isPeerClosed == false, context)
        }
        if tunnel.isEnded {
            endTunnel(tunnel)
        } else if isNothingOutstanding(in: tunnel) {
            context.start(deadline(.tunnel), after: configuration.timeouts.linger)
        }
    }

    /// One side has ended, and there is nothing that the other could be answering: the client never said anything, and the server does not
    /// speak first; or both have said goodbye in WebSocket (RFC 6455 §7.1.1). It has some time to end too. Everything else may take as long
    /// as it likes, since a connection that is closed by half still carries data.
    private func isNothingOutstanding(in tunnel: Tunnel) -> Bool {
        if let webSocket = tunnel.webSocket { return webSocket.isClosed }
        guard tunnel.clientEnded, tunnel.server == nil else { return false }
        if let sizes = tunnel.passthrough { return sizes.fromClient == 0 && sizes.fromServer == 0 }
        return !tunnel.hasClientSpoken && !tunnel.hasServerSpoken && suspendedTunnel == nil
    }

    /// Both sides have ended, or one has and the other has nothing to say.
    private func endTunnel(_ tunnel: Tunnel) {
        if let webSocket = tunnel.webSocket, !webSocket.isClosed {
            // RFC 6455 §7.1.5: known to both sides as 1006.
            let message = "the connection was closed without the close frames of both sides (1006)"
            let error = FlowError(side: tunnel.closedBy, message: message, at: now)
            end(tunnel, FlowEnding(state: .incomplete, error: error, closedBy: tunnel.closedBy))
        } else {
            end(tunnel, FlowEnding(state: .complete, closedBy: tunnel.closedBy))
        }
        closeUpstreams()
        phase = .lingering
        client.closeLink(context)
    }

    /// One side is gone altogether.
    func tunnelClosed(_ side: Side, isReset: Bool) {
        guard !endFailedConversation(), case .tunnel(let tunnel) = phase else { return }
        let who = side == .client ? "client" : "server"
        if let webSocket = tunnel.webSocket, webSocket.isClosed {
            // Both have said goodbye; how the connection went does not matter.
            end(tunnel, FlowEnding(state: .complete, closedBy: tunnel.closedBy ?? side))
            phase = .lingering
            closeUpstreams()
            return closeClient(.clean)
        }
        let error = FlowError(side: side, message: "the \(who) \(isReset ? "reset" : "dropped") the connection", at: now)
        end(tunnel, FlowEnding(state: .incomplete, error: error, closedBy: tunnel.closedBy ?? side, isReset: isReset))
        phase = .lingering
        for upstream in upstreams { isReset ? abort(upstream) : close(upstream) }
        closeClient(isReset ? .reset : .truncated)
    }
}

extension PassthroughSizes {
    fileprivate mutating func add(_ bytes: Int, from side: Side) {
        if side == .client { fromClient += UInt64(bytes) } else { fromServer += UInt64(bytes) }
    }
}
