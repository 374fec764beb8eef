// The client's connection: bytes in and out of TLS, its end, closing it, and back-pressure.

import FlowModel
import HTTPSemantics
import NIOCore
import TLSEngine

extension ClientStack {
    /// How a connection is closed from our side.
    enum Closing {
        /// As a peer that has sent everything: close_notify, FIN.
        case clean
        /// A cut: FIN without close_notify.
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

    /// Processes the plaintext of the client's TLS.
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
            // An end without close_notify is an end; the protocol above decides whether something was cut.
            if client.isTLSEstablished, error.kind == .truncated { clientEnded() } else { clientTLSFailed(error) }
        }
    }

    func clientPlain(_ bytes: ByteBuffer, at: Timestamp) {
        switch layer {
        case .detecting:
            if unparsed.isEmpty { cancelHandshakeTimer() }
            unparsed.append(bytes, at: at)
            detect()
        case .intercepting, .handshaking, .connecting:
            unparsed.append(bytes, at: at)
        case .http:
            httpReceived(bytes)
        case .socks:
            unparsed.append(bytes, at: at)
            advanceSOCKS()
        case .tunnel:
            tunnelReceived(bytes, from: .client, at: at)
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

    /// The client sends no more: FIN or close_notify.
    func clientEnded() {
        guard !client.hasEnded else { return }
        client.hasEnded = true
        switch layer {
        case .detecting:
            detect()
        case .http:
            httpEnded()
        case .tunnel:
            tunnelEnded(.client)
        case .connecting, .intercepting, .handshaking, .socks:
            recordPartialSOCKS("the client closed the connection in the middle of the SOCKS handshake")
            // A peer that closes while it waits for us has given up.
            clientClosed(isReset: false)
            client.closeLink(context)
        case .lingering:
            client.closeLink(context)
        }
    }

    /// No request follows what was received.
    func httpEnded() {
        _ = noteSilentRejection()
        switch http {
        case .http2:
            if authentication.pending == nil { framesEnded() }
        case .http1(let http1):
            if let exchange = http1.exchange, exchange.isUpgraded { return conversationEnded(exchange) }
            http1.decoder.receivedEnd()
            startDecoding()
            advanceRequests()
        }
    }

    func clientClosed(isReset: Bool) {
        client.isGone()
        streamsEnded(isReset: isReset)
        if case .tunnel(let tunnel) = layer, tunnel.isEnded {
        } else {
            let message = isReset ? "the client reset the connection" : "the client closed the connection"
            var ending = FlowEnding(state: .incomplete, error: FlowError(side: .client, message: message, at: now))
            ending.closedBy = .client
            ending.isReset = isReset
            recordGivenUpTLS(isReset: isReset)
            let switched = http.http1?.exchange.flatMap { $0.isUpgraded ? $0 : nil }
            // RFC 8441 §5: a server of HTTP/2 receives it on the stream.
            if let switched { abandon(switched) }
            endOpenFlow(ending)
            if switched != nil { closeUpstreams() }
        }
        layer = .lingering
        for upstream in upstreams { isReset ? abort(upstream) : close(upstream) }
    }

    // MARK: Writing

    /// Sends plaintext to the client, through TLS where it is used.
    func sendToClient(_ bytes: ByteBuffer) {
        do throws(TLSError) { try client.send(bytes, context) } catch { clientTLSFailed(error) }
    }

    // MARK: Closing

    func closeClient(_ closing: Closing) {
        if let http2 = http.http2?.connection, closing == .clean, !client.isFinished, !isLingering {
            layer = .lingering
            // A client that broke a rule has received the reason.
            if !http2.isTerminated { http2.goAway(.noError) }
            if let bytes = http2.takeOutput() { sendToClient(bytes) }
        }
        layer = .lingering
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
        if case .lingering = layer { true } else { false }
    }

    // MARK: Back-pressure

    /// A side is read only while the other one takes its bytes, and while they can be kept. HTTP/2 holds its streams back by their
    /// windows, so its connections are always read.
    func updateReading() {
        client.setReading(readsClient, context)
        for upstream in upstreams { upstream.transport.setReading(reads(upstream), context) }
    }

    private var readsClient: Bool {
        if case .lingering = layer { return true }
        guard case .http1(let http1) = http else { return authentication.pending == nil }
        let exchange = http1.exchange
        let isWaiting = exchange.map { $0.server == nil || $0.requestIsComplete } ?? (authentication.pending != nil)
        let waiting = unparsed.count + (isWaiting ? http1.decoder.bufferedBytes : 0)
        let isTaken = exchange?.server?.canAcceptMore ?? upstream?.transport.isWritable ?? true
        return isTaken && waiting < FlowControl.highWaterMark && client.unreadReplies < FlowControl.highWaterMark
    }

    private func reads(_ upstream: Upstream) -> Bool {
        guard case .http1(let server) = upstream.http else { return true }
        guard upstream.transport.unreadReplies < FlowControl.highWaterMark, upstream.early.count < FlowControl.highWaterMark else {
            return false
        }
        return server.exchange?.client.canAcceptMore ?? client.isWritable
    }

    /// A limit on the time for something that has begun: a handshake, a head.
    /// - Parameter nanoseconds: if it is not the usual limit.
    func startHandshakeTimer(_ nanoseconds: Int64? = nil) {
        guard !isHandshakeTimerRunning else { return }
        context.start(deadline(.handshake), after: nanoseconds ?? configuration.timeouts.handshake)
    }

    func cancelHandshakeTimer() { context.deadlines.cancel(deadline(.handshake)) }

    var isHandshakeTimerRunning: Bool { context.deadlines[deadline(.handshake)] != nil }
}
