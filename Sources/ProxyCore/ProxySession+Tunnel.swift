// Bytes that are not HTTP, relayed as they come: behind CONNECT, behind 101. Each side's end reaches the other as its own.

import FlowModel
import HTTPSemantics
import NIOCore

/// A stream of bytes in both directions.
struct Tunnel {
    let flow: FlowID
    var clientEnded = false
    var serverEnded = false
    var closedBy: Side?

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
    func startTunnel(after exchange: Exchange) {
        phase = .tunnel(Tunnel(flow: exchange.flow))
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
        record(tunnel.flow, at: now, .piece(FlowPiece(from: side, content: bytes)))
        if side == .server {
            sendToClient(bytes)
        } else if let upstream {
            send(bytes, to: upstream)
        }
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
        record(tunnel.flow, at: now, .ended(FlowEnding(state: .complete, closedBy: tunnel.closedBy)))
        closeUpstreams()
        phase = .lingering
        output.commands.append(.close(.client))
    }

    /// One side is gone altogether.
    func tunnelClosed(_ side: Side, isReset: Bool) {
        guard case .tunnel(let tunnel) = phase else { return }
        let who = side == .client ? "client" : "server"
        let error = FlowError(side: side, message: "the \(who) \(isReset ? "reset" : "dropped") the connection", at: now)
        record(
            tunnel.flow, at: now,
            .ended(FlowEnding(state: .incomplete, error: error, closedBy: tunnel.closedBy ?? side, isReset: isReset)))
        phase = .lingering
        for upstream in upstreams { isReset ? abort(upstream) : close(upstream) }
        closeClient(isReset ? .reset : .truncated)
    }
}
