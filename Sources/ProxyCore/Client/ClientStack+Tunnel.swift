// The client's side in a tunnel: bytes are relayed as they come, and each side's end reaches the other as its own.

import FlowModel
import HTTPSemantics
import NIOCore
import TLSEngine
import WebSocketCodec

extension ClientStack {
    /// The protocol is unknown; relay and record it as a TCP flow.
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
        layer = .tunnel(Tunnel(flow, logsData: route.isTCP))
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

    /// Passthrough: nothing of the connection is read.
    /// - Parameter hello: if it was received already.
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
        layer = .tunnel(Tunnel(flow, .passthrough(PassthroughSizes(fromClient: 0, fromServer: 0))))
        if upstream?.isConnected == true { upstream?.becomeReady() }
        if upstream?.isReady == true {
            tunnelIsOpen()
        } else if upstream == nil {
            openUpstream(Destination(endpoint: endpoint, isTLS: false))
        }
    }

    /// Records the end of a tunnel.
    func end(_ tunnel: Tunnel, _ ending: FlowEnding) {
        switch layer {
        // What the client has begun to send is TLS.
        case .detecting, .intercepting: unparsed = EarlyBytes()
        default: break
        }
        tunnel.recordEnd(ending, early: takeEarly(), context)
    }

    /// TLS is established on both sides of a tunnel that began without it.
    func resume(_ tunnel: Tunnel) {
        layer = .tunnel(tunnel)
        record(tunnel.flow, at: now, .client(clientFacts))
        if let failure = route?.failure {
            route?.isFailureRecorded = true
            endOpenFlow(FlowEnding(state: .failed, error: failure, closedBy: .server))
            return closeClient(.reset)
        }
        if let upstream { record(tunnel.flow, at: now, .server(upstream.shared)) }
        relayEarly()
    }

    /// Takes the bytes that both sides sent before the tunnel stood, in the order in which they came.
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

    /// Relays the bytes that came before the tunnel stood, and the server's end.
    private func relayEarly() {
        for (bytes, at, side) in takeEarly() {
            // TLS may begin in the middle of it.
            if side == .client {
                clientPlain(bytes, at: at)
            } else if let upstream {
                upstreamPlain(bytes, upstream, at: at)
            }
        }
        guard case .tunnel = layer, let upstream else { return }
        switch upstream.takeEarlyEnd() {
        case .none: break
        case .finished: tunnelEnded(.server)
        case .closed(let isReset): tunnelClosed(.server, isReset: isReset)
        }
    }

    /// Relays plaintext that a server still sends while its client begins TLS in the middle of a conversation.
    func relayBesideTLS(_ bytes: ByteBuffer, at: Timestamp) {
        guard let tunnel = suspendedTunnel else { return }
        relay(bytes, from: .server, in: tunnel, at: at)
    }

    /// The offset at which TLS begins in a client's data within a conversation.
    private func startOfTLS(_ bytes: ByteBuffer, in tunnel: Tunnel) -> Int? {
        guard client.tls == nil, case .bytes = tunnel.content, upstream?.isReady == true || tunnel.recorded != nil,
            http.exchanges.isEmpty
        else { return nil }
        // Where the server connection is TLS anyway, a client may begin its own late.
        if upstream?.transport.tls != nil, tunnel.hasSent(.client) || tunnel.hasSent(.server) { return nil }
        return StartTLS.start(in: bytes)
    }

    /// The exchange of an upgrade continues as a tunnel within the same flow (RFC 9110 §15.2.2).
    func startTunnel(after exchange: Exchange, webSocket: WebSocketRelay?) {
        layer = .tunnel(
            Tunnel(
                exchange.flow, webSocket.map { .webSocket($0, nil) } ?? .bytes(by: []),
                server: exchange.server?.recorded?.player.map { .recorded(RecordedStream($0)) } ?? .connection))
        let upstream = upstream(of: exchange)
        let early = exchange.server?.takeEarly() ?? ByteBuffer()
        forget(exchange)
        if let http1 = http.http1 { unparsed.append(http1.decoder.takeRest(), at: client.lastRead) }
        if let upstream { upstream.early.append(early, at: upstream.transport.lastRead) }
        tunnelIsOpen()
    }

    func tunnelIsOpen() {
        guard case .tunnel(let tunnel) = layer else { return }
        if upstream?.isConnected == true { upstream?.becomeReady() }
        if let upstream { record(tunnel.flow, at: now, .server(upstream.shared)) }
        relayEarly()
        if client.hasEnded { tunnelEnded(.client) }
    }

    func tunnelReceived(_ bytes: ByteBuffer, from side: Side, at: Timestamp) {
        guard case .tunnel(let tunnel) = layer else { return }
        if side == .client, upstream?.isReady != true, tunnel.recorded == nil {
            unparsed.append(bytes, at: at)
            return
        }
        // The time in which a conversation must close is not extended by what is sent meanwhile.
        if tunnel.isWebSocket { return relayFrames(bytes, from: side, in: tunnel, at: at) }
        if side == .server, tunnel.hasEnded(.client) { context.deadlines.cancel(deadline(.tunnel)) }
        guard side == .client, let start = startOfTLS(bytes, in: tunnel) else {
            return relay(bytes, from: side, in: tunnel, at: at)
        }
        if start > 0 { relay(bytes.slice(ByteRange(0, start)), from: .client, in: tunnel, at: at) }
        unparsed = EarlyBytes(bytes.slice(ByteRange(start, bytes.readableBytes)), at: at)
        layer = .detecting(.tunnel(tunnel))
        detect()
    }

    private func relay(_ bytes: ByteBuffer, from side: Side, in tunnel: Tunnel, at: Timestamp) {
        tunnel.record(bytes, from: side, at: at, context)
        if !tunnel.isPassthrough {
            if tunnel.recorded != nil { deliver(FlowPiece(from: side, content: bytes)) }
            if tunnel.logsData { log(.notice, "data", logLine(bytes, from: side), server: route?.destination.endpoint) }
        }
        sendThrough(bytes, to: side.opposite)
    }

    /// A line for the event log: sender, size and beginning of the data, with control characters as dots.
    private func logLine(_ bytes: ByteBuffer, from side: Side) -> String {
        let start = !configuration.logsContent ? [] : bytes.readableBytesView.prefix(64).map { $0 >= 0x20 && $0 < 0x7F ? $0 : 0x2E }
        let target = route?.destination.endpoint.description ?? ""
        let arrow = side == .client ? "\(clientFacts.value.peer) -> \(target)" : "\(clientFacts.value.peer) <- \(target)"
        let shown = start.isEmpty ? "" : ": " + String(decoding: start, as: UTF8.self)
        return "tcp \(arrow) \(bytes.readableBytes) B\(shown)"
    }

    private func sendThrough(_ bytes: ByteBuffer, to side: Side) {
        if side == .client {
            sendToClient(bytes)
        } else if let upstream {
            send(bytes, to: upstream)
        }
    }

    private func relayFrames(_ bytes: ByteBuffer, from side: Side, in tunnel: Tunnel, at: Timestamp) {
        var actions: [WebSocketRelay.Action] = []
        let failure = tunnel.receiveFrames(bytes, from: side, into: &actions, at: now)
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
        if failure != nil { context.start(deadline(.tunnel), after: Self.closeTimeout) }
        if tunnel.isClosed || tunnel.isCutInFrame { endFailedConversation() }
    }

    /// A side that pings and does not read the answers is not read, if there are many.
    /// - Parameter upstream: the server of the conversation; a client of HTTP/2 may have several.
    func countUnreadReplies(_ bytes: Int, by side: Side, _ upstream: Upstream?) {
        if side == .client {
            client.countUnreadReplies(bytes)
        } else {
            upstream?.transport.countUnreadReplies(bytes)
        }
    }

    /// Time for the other side to answer what came before the protocol was broken (RFC 6455 §7.1.7 sets no time for closing).
    private static let closeTimeout: Int64 = 100_000_000

    /// One side had time to end, and has not.
    func tunnelIsOverdue() {
        guard case .tunnel(let tunnel) = layer else { return }
        switch tunnel.failure?.isCloseSent {
        case nil:
            guard !tunnel.ends.isEmpty else { return }
            client.finish(context)
            endTunnel(tunnel)
        case true?: endFailedConversation()
        case false?: sendClose(in: tunnel)
        }
    }

    /// Sends a close frame to the side that did not break the protocol, which has some time to close.
    private func sendClose(in tunnel: Tunnel) {
        var actions: [WebSocketRelay.Action] = []
        tunnel.sendClose(into: &actions)
        for case .send(let bytes, let side) in actions { sendThrough(bytes, to: side) }
        context.start(deadline(.tunnel), after: configuration.timeouts.linger)
    }

    /// A conversation that broke the protocol ends when both sides have closed, or one is gone, or after a while.
    /// - Returns: false if there is no such conversation.
    @discardableResult
    func endFailedConversation() -> Bool {
        guard case .tunnel(let tunnel) = layer, let error = tunnel.failure?.error else { return false }
        var actions: [WebSocketRelay.Action] = []
        tunnel.giveUp(into: &actions)
        for case .send(let bytes, let side) in actions { sendThrough(bytes, to: side) }
        end(tunnel, FlowEnding(state: .incomplete, error: error, closedBy: error.side))
        layer = .lingering
        closeUpstreams()
        closeClient(.clean)
        return true
    }

    /// One side sends no more; the other continues.
    func tunnelEnded(_ side: Side) {
        guard !endFailedConversation(), case .tunnel(let tunnel) = layer, !tunnel.hasEnded(side) else { return }
        if side == .client {
            if upstream?.isReady != true, tunnel.recorded == nil { return }
            tunnel.recorded?.player.clientFinished(at: now)
        }
        tunnel.end(side)
        // An end without close_notify may be an attack (RFC 8446 §6.1), so the other side gets no clean end either.
        if side == .server {
            client.finish(isCut: upstream?.transport.tls?.isPeerClosed == false, context)
        } else if let upstream {
            upstream.transport.finish(isCut: client.tls?.isPeerClosed == false, context)
        }
        if tunnel.isEnded {
            endTunnel(tunnel)
        } else if tunnel.isNothingOutstanding {
            context.start(deadline(.tunnel), after: configuration.timeouts.linger)
        }
    }

    /// Both sides have ended, or one has and the other has nothing to send.
    private func endTunnel(_ tunnel: Tunnel) {
        end(tunnel, tunnel.ending(at: now))
        closeUpstreams()
        layer = .lingering
        client.closeLink(context)
    }

    /// One side is gone in both directions.
    func tunnelClosed(_ side: Side, isReset: Bool) {
        guard !endFailedConversation(), case .tunnel(let tunnel) = layer else { return }
        let who = side == .client ? "client" : "server"
        if tunnel.isClosed {
            // Both have sent close frames; how the connection ended does not matter.
            end(tunnel, FlowEnding(state: .complete, closedBy: tunnel.closedBy ?? side))
            layer = .lingering
            closeUpstreams()
            return closeClient(.clean)
        }
        let error = FlowError(side: side, message: "the \(who) \(isReset ? "reset" : "dropped") the connection", at: now)
        end(tunnel, FlowEnding(state: .incomplete, error: error, closedBy: tunnel.closedBy ?? side, isReset: isReset))
        layer = .lingering
        for upstream in upstreams { isReset ? abort(upstream) : close(upstream) }
        closeClient(isReset ? .reset : .truncated)
    }
}
