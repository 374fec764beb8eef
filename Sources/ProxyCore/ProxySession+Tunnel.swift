// Bytes that are not HTTP, relayed as they come: behind CONNECT, behind 101. Each side's end reaches the other as its own.

import FlowModel
import HTTPSemantics
import NIOCore
import WebSocketCodec

/// A stream of bytes in both directions.
struct Tunnel {
    let flow: FlowID
    var clientEnded = false
    var serverEnded = false
    var closedBy: Side?
    /// The bytes are the frames of a WebSocket conversation.
    var webSocket: WebSocketRelay?

    var isEnded: Bool { clientEnded && serverEnded }
}

extension ProxySession {
    /// What the client speaks is nobody's protocol that we know: a TCP flow.
    func startTunnel() {
        guard let route else { return }
        cancelHandshakeTimer()
        let flow = identities.next(at: client.lastRead)
        let endpoint = route.destination.endpoint
        let target = FlowTarget(scheme: client.tls == nil ? "tcp" : "tls", host: endpoint.host, port: endpoint.port)
        exchangeCount += 1
        record(
            flow, at: now, .opened(FlowOpening(kind: .tcp, client: clientFacts, target: target, stream: StreamID(exchangeCount))))
        phase = .tunnel(Tunnel(flow: flow))
        if let failure = route.failure {
            self.route?.isFailureRecorded = true
            endOpenFlow(FlowEnding(state: .failed, error: failure, closedBy: .server))
            return closeClient(.reset)
        }
        if let upstream {
            if upstream.state == .connected { upstream.state = .ready }
            if upstream.state == .ready { tunnelIsOpen() }
        } else {
            openUpstream(Destination(endpoint: endpoint, isTLS: client.tls != nil))
        }
    }

    /// The exchange of an upgrade goes on as a tunnel within the same flow (RFC 9110 §15.2.2).
    func startTunnel(after exchange: Exchange, webSocket: WebSocketRelay?) {
        phase = .tunnel(Tunnel(flow: exchange.flow, webSocket: webSocket))
        forget(exchange)
        backlog.writeImmutableBuffer(decoder.takeRest())
        let early = exchange.upstream?.decoder.takeRest() ?? upstream?.decoder.takeRest() ?? ByteBuffer()
        tunnelIsOpen()
        if early.readableBytes > 0 { tunnelReceived(early, from: .server) }
    }

    func tunnelIsOpen() {
        guard case .tunnel(let tunnel) = phase else { return }
        if upstream?.state == .connected { upstream?.state = .ready }
        if let upstream { record(tunnel.flow, at: now, .server(upstream.shared)) }
        let bytes = backlog
        backlog = ByteBuffer()
        if bytes.readableBytes > 0 { tunnelReceived(bytes, from: .client) }
        if client.hasEnded { tunnelEnded(.client) }
    }

    func tunnelReceived(_ bytes: ByteBuffer, from side: Side) {
        guard case .tunnel(let tunnel) = phase else { return }
        if side == .client, upstream?.state != .ready {
            backlog.writeImmutableBuffer(bytes)
            return
        }
        if tunnel.webSocket != nil { return relayFrames(bytes, from: side, in: tunnel) }
        record(tunnel.flow, at: now, .piece(FlowPiece(from: side, content: bytes)))
        sendThrough(bytes, to: side.opposite)
    }

    private func sendThrough(_ bytes: ByteBuffer, to side: Side) {
        if side == .client {
            sendToClient(bytes)
        } else if let upstream {
            send(bytes, to: upstream)
        }
    }

    private func relayFrames(_ bytes: ByteBuffer, from side: Side, in tunnel: Tunnel) {
        var tunnel = tunnel
        // The relay has one owner while it works, so that nothing in it is copied.
        phase = .tunnel(Tunnel(flow: tunnel.flow, clientEnded: tunnel.clientEnded, serverEnded: tunnel.serverEnded))
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
            case .send(let bytes, let side): sendThrough(bytes, to: side)
            case .record(let piece): record(tunnel.flow, at: now, .piece(piece))
            }
        }
        guard let failure else { return }
        let error = FlowError(side: side, message: "\(failure.message) (\(failure.closeCode))", at: now)
        record(tunnel.flow, at: now, .ended(FlowEnding(state: .incomplete, error: error, closedBy: side)))
        phase = .lingering
        closeUpstreams()
        closeClient(.clean)
    }

    /// One side has said everything; the other goes on.
    func tunnelEnded(_ side: Side) {
        guard case .tunnel(var tunnel) = phase else { return }
        if side == .client, upstream?.state != .ready { return }
        switch side {
        case .client:
            guard !tunnel.clientEnded else { return }
            tunnel.clientEnded = true
        case .server:
            guard !tunnel.serverEnded else { return }
            tunnel.serverEnded = true
        }
        if tunnel.closedBy == nil { tunnel.closedBy = side }
        phase = .tunnel(tunnel)
        if side == .server {
            finishClient()
        } else if let upstream {
            finish(upstream)
        }
        guard tunnel.isEnded else { return }
        if let webSocket = tunnel.webSocket, !webSocket.isClosed {
            // RFC 6455 §7.1.5: known to both sides as 1006.
            let message = "the connection was closed without the close frames of both sides (1006)"
            let error = FlowError(side: tunnel.closedBy, message: message, at: now)
            record(tunnel.flow, at: now, .ended(FlowEnding(state: .incomplete, error: error, closedBy: tunnel.closedBy)))
        } else {
            record(tunnel.flow, at: now, .ended(FlowEnding(state: .complete, closedBy: tunnel.closedBy)))
        }
        closeUpstreams()
        phase = .lingering
        output.commands.append(.close(.client))
    }

    /// One side is gone altogether.
    func tunnelClosed(_ side: Side, isReset: Bool) {
        guard case .tunnel(let tunnel) = phase else { return }
        let who = side == .client ? "client" : "server"
        if let webSocket = tunnel.webSocket, webSocket.isClosed {
            // Both have said goodbye; how the connection went does not matter.
            record(tunnel.flow, at: now, .ended(FlowEnding(state: .complete, closedBy: tunnel.closedBy ?? side)))
            phase = .lingering
            closeUpstreams()
            return closeClient(.clean)
        }
        let error = FlowError(side: side, message: "the \(who) \(isReset ? "reset" : "dropped") the connection", at: now)
        record(
            tunnel.flow, at: now,
            .ended(FlowEnding(state: .incomplete, error: error, closedBy: tunnel.closedBy ?? side, isReset: isReset)))
        phase = .lingering
        for upstream in upstreams { isReset ? abort(upstream) : close(upstream) }
        closeClient(isReset ? .reset : .truncated)
    }
}
