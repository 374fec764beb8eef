// Reading and writing the two legs: bytes in and out of TLS, ends, closing, and how fast is read.

import FlowModel
import HTTPSemantics
import NIOCore
import TLSEngine

extension ProxySession {
    /// How a connection is closed from our side.
    enum Closing {
        /// As a peer that has said everything: close_notify, FIN.
        case clean
        /// As a peer that was cut off: FIN without close_notify.
        case truncated
        /// RST.
        case reset
    }

    /// Bytes of the client that wait for something are kept up to here; then the client is not read.
    static let maximumBacklog = 256 * 1024

    // MARK: Reading

    func clientReceived(_ bytes: ByteBuffer) {
        guard let tls = client.tls else { return clientPlain(bytes) }
        tls.receive(bytes)
        readClientTLS(tls)
    }

    /// Moves on whatever the client's TLS has to give.
    func readClientTLS(_ tls: TLSConnection) {
        do throws(TLSError) {
            client.hasUnsentRecords = true
            if !client.isTLSEstablished {
                guard try tls.handshake() else { return }
                clientTLSEstablished(tls)
            }
            while client.tls === tls, let plain = try tls.read() {
                clientPlain(plain)
            }
            if client.tls === tls, tls.isPeerClosed { clientEnded() }
        } catch {
            // An end without close_notify is an end; whether something was cut is for the protocol above to know.
            if client.isTLSEstablished, error.kind == .truncated { clientEnded() } else { clientTLSFailed(error) }
        }
    }

    func clientPlain(_ bytes: ByteBuffer) {
        switch phase {
        case .detecting:
            backlog.writeImmutableBuffer(bytes)
            detect()
        case .intercepting, .handshaking, .connecting:
            backlog.writeImmutableBuffer(bytes)
        case .http:
            decoder.receive(bytes)
            advanceRequests()
        case .tunnel:
            tunnelReceived(bytes, from: .client)
        case .lingering:
            break
        }
    }

    func upstreamReceived(_ bytes: ByteBuffer) {
        guard let tls = upstream?.leg.tls else { return upstreamPlain(bytes) }
        tls.receive(bytes)
        readUpstreamTLS(tls)
    }

    func readUpstreamTLS(_ tls: TLSConnection) {
        do throws(TLSError) {
            upstream?.leg.hasUnsentRecords = true
            if upstream?.leg.isTLSEstablished == false {
                guard try tls.handshake() else { return }
                upstreamTLSEstablished(tls)
            }
            while upstream?.leg.tls === tls, let plain = try tls.read() {
                upstreamPlain(plain)
            }
            if upstream?.leg.tls === tls, tls.isPeerClosed { upstreamEnded(isClean: true) }
        } catch {
            if upstream?.leg.isTLSEstablished == true, error.kind == .truncated {
                upstreamEnded(isClean: false)
            } else {
                upstreamTLSFailed(error)
            }
        }
    }

    private func upstreamPlain(_ bytes: ByteBuffer) {
        switch phase {
        case .http:
            upstream?.decoder.receive(bytes)
            advanceResponses()
        case .tunnel:
            tunnelReceived(bytes, from: .server)
        case .detecting, .connecting:
            // The server speaks first, so it is not HTTP.
            if case .detecting = phase, route?.isTunnel == true {
                startTunnel()
                tunnelReceived(bytes, from: .server)
            }
        case .intercepting, .handshaking, .lingering:
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
            decoder.receivedEnd()
            advanceRequests()
        case .tunnel:
            tunnelEnded(.client)
        case .connecting, .intercepting, .handshaking:
            // A peer that goes away while it waits for us has given up.
            clientClosed(error: nil, isReset: false)
            output.commands.append(.close(.client))
        case .lingering:
            output.commands.append(.close(.client))
        }
    }

    func clientClosed(error: String?, isReset: Bool) {
        client.hasEnded = true
        client.isFinished = true
        if case .tunnel(let tunnel) = phase, tunnel.isEnded {
        } else {
            let message = isReset ? "the client reset the connection" : "the client closed the connection"
            var ending = FlowEnding(state: .incomplete, error: FlowError(side: .client, message: message, at: now))
            ending.closedBy = .client
            ending.isReset = isReset
            endOpenFlow(ending)
        }
        phase = .lingering
        isReset ? abortUpstream() : closeUpstream()
    }

    func upstreamHalfClosed() {
        guard let leg = upstream?.leg else { return }
        if let tls = leg.tls {
            tls.receivedEnd()
            if leg.isTLSEstablished {
                readUpstreamTLS(tls)
            } else {
                return upstreamTLSFailed(TLSError(.truncated, "the server closed the connection during the TLS handshake"))
            }
        }
        if upstream?.leg.handle == leg.handle { upstreamEnded(isClean: leg.tls == nil || leg.tls?.isPeerClosed == true) }
    }

    /// The server will say no more.
    /// - Parameter isClean: false when TLS was cut without close_notify.
    func upstreamEnded(isClean: Bool) {
        guard upstream?.leg.hasEnded == false else { return }
        upstream?.leg.hasEnded = true
        switch phase {
        case .tunnel:
            tunnelEnded(.server)
        case .http:
            serverEnded(isClean: isClean)
        case .detecting, .intercepting, .handshaking, .connecting, .lingering:
            upstreamGone("the server closed the connection")
        }
    }

    func upstreamClosed(error: String?, isReset: Bool) {
        guard let upstream else { return }
        if upstream.state == .handshaking {
            return upstreamTLSFailed(
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
                error ?? (isReset ? "the server reset the connection" : "the server closed the connection"), isReset: isReset)
        case .detecting, .intercepting, .handshaking, .connecting, .lingering:
            upstreamGone(error ?? "the server closed the connection")
        }
    }

    // MARK: Writing

    /// Sends plaintext, through TLS where it is spoken. Nothing is sent to a connection that we have finished.
    func send(_ bytes: ByteBuffer, to side: Side) {
        guard bytes.readableBytes > 0 else { return }
        switch side {
        case .client:
            guard !client.isFinished else { return }
            guard let tls = client.tls else { return output.commands.append(.send(.client, bytes)) }
            do throws(TLSError) {
                try tls.write(bytes)
                client.hasUnsentRecords = true
            } catch {
                clientTLSFailed(error)
            }
        case .server:
            guard let leg = upstream?.leg, !leg.isFinished else { return }
            guard let tls = leg.tls else { return output.commands.append(.send(leg.handle, bytes)) }
            do throws(TLSError) {
                try tls.write(bytes)
                upstream?.leg.hasUnsentRecords = true
            } catch {
                upstreamTLSFailed(error)
            }
        }
    }

    /// Sends the records that TLS has ready.
    func flush(_ side: Side) {
        switch side {
        case .client:
            guard client.hasUnsentRecords, let tls = client.tls else { return }
            client.hasUnsentRecords = false
            if let records = tls.takeCiphertext() { output.commands.append(.send(.client, records)) }
        case .server:
            guard let leg = upstream?.leg, leg.hasUnsentRecords, let tls = leg.tls else { return }
            upstream?.leg.hasUnsentRecords = false
            if let records = tls.takeCiphertext() { output.commands.append(.send(leg.handle, records)) }
        }
    }

    /// Sends FIN behind what was sent, with close_notify before it where TLS is spoken.
    func finish(_ side: Side) {
        switch side {
        case .client:
            guard !client.isFinished else { return }
            client.tls?.close()
            client.hasUnsentRecords = client.tls != nil
            flush(.client)
            client.isFinished = true
            output.commands.append(.finish(.client))
        case .server:
            guard let leg = upstream?.leg, !leg.isFinished else { return }
            leg.tls?.close()
            upstream?.leg.hasUnsentRecords = leg.tls != nil
            flush(.server)
            upstream?.leg.isFinished = true
            output.commands.append(.finish(leg.handle))
        }
    }

    // MARK: Closing

    func closeClient(_ closing: Closing) {
        phase = .lingering
        guard !client.isFinished || closing == .reset else { return }
        switch closing {
        case .clean:
            finish(.client)
        case .truncated:
            flush(.client)
            client.isFinished = true
            output.commands.append(.finish(.client))
        case .reset:
            client.isFinished = true
            output.commands.append(.abort(.client))
            return
        }
        if client.hasEnded {
            output.commands.append(.close(.client))
        } else {
            output.commands.append(.startTimer(.linger, nanoseconds: configuration.timeouts.linger))
        }
    }

    func closeUpstream() {
        guard let leg = upstream?.leg else { return }
        if leg.isTLSEstablished { leg.tls?.close() }
        if leg.tls != nil {
            upstream?.leg.hasUnsentRecords = true
            flush(.server)
        }
        output.commands.append(.close(leg.handle))
        upstream = nil
    }

    func abortUpstream() {
        guard let leg = upstream?.leg else { return }
        output.commands.append(.abort(leg.handle))
        upstream = nil
    }

    // MARK: Back-pressure

    /// A leg is read only while the other one takes what comes, and while what came can be kept.
    func regulateReading() {
        let waiting =
            backlog.readableBytes + (exchange?.isSent == false || exchange?.requestIsComplete == true ? decoder.bufferedBytes : 0)
        let takesMore = upstream?.leg.isWritable ?? true
        let readsClient: Bool
        if case .lingering = phase { readsClient = true } else { readsClient = takesMore && waiting < Self.maximumBacklog }
        if readsClient != client.isReading {
            client.isReading = readsClient
            output.commands.append(.read(.client, readsClient))
        }
        if let leg = upstream?.leg, leg.isReading != client.isWritable {
            upstream?.leg.isReading = client.isWritable
            output.commands.append(.read(leg.handle, client.isWritable))
        }
    }

    /// A limit on the time for something that has begun: a handshake, a head.
    func startHandshakeTimer() {
        guard !isHandshakeTimerRunning else { return }
        isHandshakeTimerRunning = true
        output.commands.append(.startTimer(.handshake, nanoseconds: configuration.timeouts.handshake))
    }

    func cancelHandshakeTimer() {
        guard isHandshakeTimerRunning else { return }
        isHandshakeTimerRunning = false
        output.commands.append(.cancelTimer(.handshake))
    }
}
