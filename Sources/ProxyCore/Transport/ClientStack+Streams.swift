// Reading and writing the two legs: bytes in and out of TLS, ends, closing, and how fast is read.

import FlowModel
import HTTPSemantics
import NIOCore
import TLSEngine

extension ClientStack {
    /// How a connection is closed from our side.
    enum Closing {
        /// As a peer that has said everything: close_notify, FIN.
        case clean
        /// As a peer that was cut off: FIN without close_notify.
        case truncated
        /// RST.
        case reset
    }

    // MARK: Reading

    func clientReceived(_ bytes: ByteBuffer) {
        guard let tls = client.tls else { return clientPlain(bytes, at: client.lastRead) }
        tls.receive(bytes)
        readClientTLS(tls)
    }

    /// Moves on whatever the client's TLS has to give.
    func readClientTLS(_ tls: TLSConnection) {
        do throws(TLSError) {
            client.noteRecords()
            if !client.isTLSEstablished {
                guard try client.handshake(tls) else { return }
                clientTLSEstablished(tls)
            }
            while client.tls === tls, let plain = try tls.read() {
                hasClientSpoken = true
                clientPlain(plain, at: client.lastRead)
            }
            if client.tls === tls, tls.isPeerClosed { clientEnded() }
        } catch {
            // An end without close_notify is an end; whether something was cut is for the protocol above to know.
            if client.isTLSEstablished, error.kind == .truncated { clientEnded() } else { clientTLSFailed(error) }
        }
    }

    func clientPlain(_ bytes: ByteBuffer, at: Timestamp) {
        switch phase {
        case .detecting:
            if unparsed.isEmpty { cancelHandshakeTimer() }
            unparsed.append(bytes, at: at)
            detect()
        case .intercepting, .handshaking, .connecting:
            unparsed.append(bytes, at: at)
        case .http:
            httpReceived(bytes)
        case .socks(let step):
            unparsed.append(bytes, at: at)
            advanceSOCKS(step)
        case .tunnel:
            tunnelReceived(bytes, from: .client, at: at)
        case .lingering:
            break
        }
    }

    func upstreamReceived(_ bytes: ByteBuffer, _ upstream: Upstream) {
        if let proxyTLS = upstream.transport.proxySecurity.tls { return proxyTLSReceived(bytes, upstream, proxyTLS) }
        upstreamInnerReceived(bytes, upstream)
    }

    func upstreamInnerReceived(_ bytes: ByteBuffer, _ upstream: Upstream) {
        if upstream.state == .negotiating { return negotiate(bytes, upstream) }
        guard let tls = upstream.transport.tls else { return upstreamPlain(bytes, upstream, at: upstream.transport.lastRead) }
        tls.receive(bytes)
        readUpstreamTLS(upstream, tls)
    }

    func readUpstreamTLS(_ upstream: Upstream, _ tls: TLSConnection) {
        do throws(TLSError) {
            upstream.transport.noteRecords()
            if !upstream.transport.isTLSEstablished {
                guard try upstream.transport.handshake(tls) else { return }
                upstreamTLSEstablished(upstream, tls)
            }
            while upstream.state != .closed, let plain = try tls.read() {
                upstreamPlain(plain, upstream, at: upstream.transport.lastRead)
            }
            if upstream.state != .closed, tls.isPeerClosed { upstreamEnded(upstream, isClean: true) }
        } catch {
            if upstream.transport.isTLSEstablished, error.kind == .truncated {
                upstreamEnded(upstream, isClean: false)
            } else {
                upstreamTLSFailed(upstream, error)
            }
        }
    }

    func upstreamPlain(_ bytes: ByteBuffer, _ upstream: Upstream, at: Timestamp) {
        switch phase {
        case .http:
            if let http2 = upstream.http2 {
                http2.receive(bytes)
                advanceFrames(of: upstream)
            } else if let exchange = upstream.exchange, exchange.isUpgraded {
                receiveResponse(.content(bytes, wire: bytes, isLast: false), of: exchange, at: upstream.transport.lastRead)
            } else {
                upstream.decoder.receive(bytes)
                advanceResponses(of: upstream)
            }
        case .tunnel:
            tunnelReceived(bytes, from: .server, at: at)
        case .detecting where suspendedTunnel != nil && upstream.transport.tls == nil:
            // It still sends in the clear while its client begins TLS.
            relayBesideTLS(bytes, at: at)
        case .detecting where isFirst(upstream):
            // The server speaks first, so it is not HTTP.
            startTunnel()
            tunnelReceived(bytes, from: .server, at: at)
        case .detecting, .intercepting, .handshaking, .connecting, .socks:
            // The SETTINGS of HTTP/2 come as soon as TLS stands. What is not HTTP waits until the client's side stands too.
            if let http2 = upstream.http2 { http2.receive(bytes) } else { upstream.early.append(bytes, at: at) }
        case .lingering:
            break
        }
    }

    // MARK: Ends

    func clientHalfClosed() {
        if let tls = client.tls {
            tls.receivedEnd()
            if client.isTLSEstablished {
                readClientTLS(tls)
            } else {
                clientTLSFailed(TLSError(.truncated, "the client closed the connection during the TLS handshake"))
            }
        }
        clientEnded()
    }

    /// The client will say no more: FIN or close_notify.
    func clientEnded() {
        guard !client.hasEnded else { return }
        client.hasEnded = true
        switch phase {
        case .detecting:
            detect()
        case .http:
            _ = noteSilentRejection()
            if http2 != nil {
                if pendingAuthentication == nil { framesEnded() }
            } else if let exchange, exchange.isUpgraded {
                conversationEnded(exchange)
            } else {
                decoder.receivedEnd()
                startDecoding()
                advanceRequests()
            }
        case .tunnel:
            tunnelEnded(.client)
        case .connecting, .intercepting, .handshaking, .socks:
            // A peer that goes away while it waits for us has given up.
            clientClosed(error: nil, isReset: false)
            client.closeLink(context)
        case .lingering:
            client.closeLink(context)
        }
    }

    func clientClosed(error: String?, isReset: Bool) {
        client.isGone()
        streamsEnded(isReset: isReset)
        if case .tunnel(let tunnel) = phase, tunnel.isEnded {
        } else {
            let message = isReset ? "the client reset the connection" : "the client closed the connection"
            var ending = FlowEnding(state: .incomplete, error: FlowError(side: .client, message: message, at: now))
            ending.closedBy = .client
            ending.isReset = isReset
            recordGivenUpTLS(isReset: isReset)
            let switched = exchange.flatMap { $0.isUpgraded ? $0 : nil }
            // RFC 8441 §5: a server of HTTP/2 is told of it on the stream.
            if let switched { abandon(switched) }
            endOpenFlow(ending)
            if switched != nil { closeUpstreams() }
        }
        phase = .lingering
        for upstream in upstreams { isReset ? abort(upstream) : close(upstream) }
    }

    func upstreamHalfClosed(_ upstream: Upstream) {
        if upstream.state == .negotiating {
            return upstreamFailed(upstream, "the upstream proxy closed the connection before it let us through")
        }
        if let tls = upstream.transport.tls {
            tls.receivedEnd()
            if upstream.transport.isTLSEstablished {
                readUpstreamTLS(upstream, tls)
            } else {
                return upstreamTLSFailed(
                    upstream, TLSError(.truncated, "the server closed the connection during the TLS handshake"))
            }
        }
        guard upstream.state != .closed else { return }
        upstreamEnded(upstream, isClean: upstream.transport.tls?.isPeerClosed ?? true)
    }

    /// The server will say no more.
    /// - Parameter isClean: false when TLS was cut without close_notify.
    func upstreamEnded(_ upstream: Upstream, isClean: Bool) {
        guard !upstream.transport.hasEnded else { return }
        upstream.transport.hasEnded = true
        switch phase {
        case .tunnel:
            tunnelEnded(.server)
        case .http:
            serverEnded(upstream, isClean: isClean)
        case .detecting where isFirst(upstream):
            startTunnel()
            tunnelEnded(.server)
        case .detecting where isOfTunnel(upstream), .intercepting where isOfTunnel(upstream),
            .handshaking where isOfTunnel(upstream):
            upstream.earlyEnd = .finished
        case .detecting, .intercepting, .handshaking, .connecting, .lingering, .socks:
            upstreamFailed(upstream, "the server closed the connection")
        }
    }

    /// What the server says, and its end, is for the client, whatever that will turn out to speak.
    private func isOfTunnel(_ upstream: Upstream) -> Bool {
        guard let route, route.isTunnel || route.isTCP, upstream.http2 == nil else { return false }
        return upstream.state == .ready || (upstream.state == .connected && upstream.destination.isTLS != true)
    }

    /// The server speaks, or ends, before the client has said anything that counts: the client is to have it at once.
    private func isFirst(_ upstream: Upstream) -> Bool {
        guard isOfTunnel(upstream), suspendedTunnel == nil else { return false }
        // A client that has begun TLS gets it in there, if the server's side is TLS.
        return client.tls != nil || upstream.transport.tls == nil || DetectedProtocol(unparsed.bytes) != .tls
    }

    func upstreamClosed(_ upstream: Upstream, error: String?, isReset: Bool) {
        if upstream.state == .handshaking {
            return upstreamTLSFailed(
                upstream,
                TLSError(
                    .truncated,
                    isReset
                        ? "the server reset the connection during the TLS handshake"
                        : "the server closed the connection during the TLS handshake"))
        }
        switch phase {
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
            upstream.earlyEnd = .closed(isReset: isReset)
        case .detecting, .intercepting, .handshaking, .connecting, .lingering, .socks:
            upstreamFailed(upstream, error ?? "the server closed the connection")
        }
    }

    // MARK: Writing

    /// Sends plaintext to the client, through TLS where it is spoken.
    func sendToClient(_ bytes: ByteBuffer) {
        do throws(TLSError) { try client.send(bytes, context) } catch { clientTLSFailed(error) }
    }

    func send(_ bytes: ByteBuffer, to upstream: Upstream) {
        do throws(TLSError) { try upstream.transport.send(bytes, context) } catch { upstreamTLSFailed(upstream, error) }
    }

    // MARK: Closing

    func closeClient(_ closing: Closing) {
        if let http2, closing == .clean, !client.isFinished, !isLingering {
            phase = .lingering
            // Whoever broke a rule has been told which.
            if !http2.isTerminated { http2.goAway(.noError) }
            if let bytes = http2.takeOutput() { sendToClient(bytes) }
        }
        phase = .lingering
        guard !client.isFinished || closing == .reset else { return }
        switch closing {
        case .clean:
            client.finish(context)
        case .truncated:
            client.finish(isCut: true, context)
        case .reset:
            client.flush(context)
            return client.abort(context)
        }
        if client.hasEnded {
            client.closeLink(context)
        } else {
            context.start(deadline(.linger), after: configuration.timeouts.linger)
        }
    }

    var isLingering: Bool {
        if case .lingering = phase { true } else { false }
    }

    func closeUpstreams() {
        for upstream in upstreams { close(upstream) }
    }

    func close(_ upstream: Upstream) {
        guard upstream.state != .closed else { return }
        if let http2 = upstream.http2, !upstream.transport.hasEnded {
            // What was said stands before it.
            if let bytes = http2.takeOutput() { send(bytes, to: upstream) }
            if !http2.isTerminated { http2.goAway(.noError) }
            if let bytes = http2.takeOutput() { send(bytes, to: upstream) }
        }
        upstream.state = .closed
        cancelDeadline(upstream)
        upstream.transport.close(context)
        upstreams.removeAll { $0 === upstream }
    }

    func abort(_ upstream: Upstream) {
        guard upstream.state != .closed else { return }
        upstream.state = .closed
        cancelDeadline(upstream)
        upstream.transport.abort(context)
        upstreams.removeAll { $0 === upstream }
    }

    // MARK: Back-pressure

    /// A leg is read only while the other one takes what comes, and while what came can be kept. HTTP/2 holds its streams back by their
    /// windows, so its connections are always read.
    func updateReading() {
        let readsClient: Bool
        if case .lingering = phase {
            readsClient = true
        } else if http2 != nil {
            readsClient = pendingAuthentication == nil
        } else {
            let isWaiting = exchange.map { !$0.isSent || $0.requestIsComplete } ?? (pendingAuthentication != nil)
            let waiting = unparsed.count + (isWaiting ? decoder.bufferedBytes : 0)
            readsClient = serverCanAcceptMore && waiting < FlowControl.highWaterMark && client.unreadReplies < FlowControl.highWaterMark
        }
        client.setReading(readsClient, context)
        for upstream in upstreams {
            upstream.transport.setReading(upstream.http2 != nil || clientCanAcceptMore(from: upstream), context)
        }
    }

    private var serverCanAcceptMore: Bool {
        guard let upstream else { return true }
        if let http2 = upstream.http2, let stream = exchange?.upstreamStream {
            return http2.queuedBytes(on: stream) < FlowControl.highWaterMark
        }
        return upstream.transport.isWritable
    }

    private func clientCanAcceptMore(from upstream: Upstream) -> Bool {
        guard upstream.transport.unreadReplies < FlowControl.highWaterMark, upstream.early.count < FlowControl.highWaterMark else { return false }
        guard let http2, let exchange = upstream.exchange else { return client.isWritable }
        return http2.queuedBytes(on: exchange.stream) < FlowControl.highWaterMark
    }

    /// A limit on the time for something that has begun: a handshake, a head.
    /// - Parameter nanoseconds: when it is not the usual limit.
    func startHandshakeTimer(_ nanoseconds: Int64? = nil) {
        guard !isHandshakeTimerRunning else { return }
        context.start(deadline(.handshake), after: nanoseconds ?? configuration.timeouts.handshake)
    }

    func cancelHandshakeTimer() { context.deadlines.cancel(deadline(.handshake)) }

    var isHandshakeTimerRunning: Bool { context.deadlines[deadline(.handshake)] != nil }

    // MARK: Deadlines of server connections

    /// Limits the time that the server, or the proxy on the way to it, has for the handshake that has begun.
    func startDeadline(_ upstream: Upstream) { context.start(upstream.deadline, after: configuration.timeouts.handshake) }

    func cancelDeadline(_ upstream: Upstream) { context.deadlines.cancel(upstream.deadline) }

    func handshakeTimedOut(_ upstream: Upstream) {
        if upstream.state == .negotiating, let proxy = configuration.upstreamProxy {
            upstreamFailed(upstream, "the upstream proxy \(proxy.endpoint) did not complete the handshake in time")
        } else if upstream.state != .closed {
            upstreamFailed(upstream, "\(upstream.destination.endpoint) did not complete the handshake in time")
        }
    }
}
