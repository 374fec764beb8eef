// CONNECT of a client of HTTP/2 to a forward proxy: the tunnels on its streams. See StreamTunnel.swift.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore

extension ClientStack {
    /// A client requests a tunnel on a stream.
    func openTunnel(_ head: RequestHead, on stream: StreamID) {
        guard Endpoint(parsing: String(buffer: head.authority)[...], defaultPort: nil) != nil else {
            let message = "the target of CONNECT is not host:port"
            return refuse(status: 400, FlowError(side: .client, message: message, at: now), head: head.wire, stream: stream)
        }
        guard let http2 = http.http2 else { return }
        let tunnel = StreamTunnel(self, StreamLink(http2.connection, stream))
        tunnels[stream] = tunnel
        deliver(to: tunnel) { [clientFacts] stack in
            stack.start(peer: clientFacts.value.peer, local: clientFacts.value.local)
            if !stack.isLingering { stack.connect(head) }
        }
    }

    // MARK: Events

    /// - Returns: whether the event belongs to a connection of a tunnel.
    func isForTunnel(_ event: ProxyEvent) -> Bool {
        if case .certificateReady(let request, let result) = event {
            guard let tunnel = tunnels.all.values.first(where: { $0.stack.awaits(request) }) else { return false }
            deliver(to: tunnel) { $0.certificateReady(request, result) }
            return true
        }
        guard let handle = event.handle, let stream = context.owners[handle] else { return false }
        lastActivity = now
        if event.isEnd { context.forget(handle) }
        guard let tunnel = tunnels[StreamID(stream)] else { return true }
        deliver(to: tunnel) { $0.handle(event) }
        return true
    }

    /// - Returns: whether the deadline was set by a tunnel.
    func isForTunnel(_ deadline: Deadline) -> Bool {
        let stream = deadline.kind == .servers ? context.owners[ConnectionHandle(deadline.owner)] ?? 0 : deadline.owner
        guard stream != 0 else { return false }
        if let tunnel = tunnels[StreamID(stream)] { deliver(to: tunnel) { $0.passed(deadline) } }
        return true
    }

    /// Data of a client on the stream of a tunnel.
    func receive(_ event: RequestEvent, _ tunnel: StreamTunnel) {
        switch event {
        case .content(let content, _, let isLast):
            tunnel.link.received(content.readableBytes)
            deliver(to: tunnel) { $0.handle(.received(.client, content)) }
            tunnel.link.openWindow()
            if isLast, tunnels[tunnel.stream] === tunnel { deliver(to: tunnel) { $0.handle(.halfClosed(.client)) } }
        case .end:
            deliver(to: tunnel) { $0.handle(.halfClosed(.client)) }
        case .head:
            break
        }
    }

    /// The stream is gone.
    func streamEnded(_ tunnel: StreamTunnel, isReset: Bool) {
        tunnel.link.isGone()
        guard !tunnel.isClosed else { return }
        tunnel.isClosed = true
        deliver(to: tunnel) { $0.handle(.closed(.client, error: nil, isReset: isReset)) }
    }

    /// The client sends no more on any stream, or is gone.
    func streamsEnded(isReset: Bool) {
        for tunnel in tunnels.inOrder {
            if !tunnel.link.isOver { http.http2?.connection.reset(tunnel.stream, .cancel) }
            streamEnded(tunnel, isReset: isReset)
        }
    }

    /// Reports to the tunnels whether their streams take more.
    /// - Returns: whether it changed for any.
    func updateTunnels() -> Bool {
        guard !tunnels.touched.isEmpty else { return false }
        let touched = tunnels.touched.sorted { $0.value < $1.value }
        tunnels.touched.removeAll(keepingCapacity: true)
        var hasChanged = false
        for stream in touched {
            guard let tunnel = tunnels[stream], !tunnel.link.isOver else { continue }
            let isWritable = tunnel.link.isWritable
            guard isWritable != tunnel.stack.client.isWritable else { continue }
            deliver(to: tunnel) { $0.handle(.writable(.client, isWritable)) }
            hasChanged = true
        }
        return hasChanged
    }

    /// Delivers an event to a tunnel, then carries out the requests of its stream.
    func deliver(to tunnel: StreamTunnel, _ body: (ClientStack) -> Void) {
        body(tunnel.stack)
        tunnel.stack.settle()
        if tunnel.link.takeHasSent() { tunnels.touched.insert(tunnel.stream) }
        while let request = tunnel.link.takeRequest() { perform(request, of: tunnel) }
        guard tunnel.isDone, tunnels[tunnel.stream] === tunnel else { return }
        tunnels[tunnel.stream] = nil
        context.deadlines.cancelAll(ofStream: tunnel.stream.value)
        closeIfDone()
    }

    private func perform(_ request: StreamLink.Request, of tunnel: StreamTunnel) {
        switch request {
        case .reset(let code):
            // nghttp2 lets a reset overtake queued frames.
            sendFrames()
            http.http2?.connection.reset(tunnel.stream, code)
        case .refuse(let reply):
            http.http2?.connection.answer(reply, on: tunnel.stream)
            deliver(to: tunnel) { $0.handle(.halfClosed(.client)) }
        case .closed:
            guard !tunnel.isClosed else { return }
            tunnel.isClosed = true
            deliver(to: tunnel) { $0.handle(.closed(.client, error: nil, isReset: false)) }
        }
    }
}
