// CONNECT of a client of HTTP/2 to a forward proxy: carrying the session behind it. See StreamSession.swift.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import TLSEngine

extension ProxySession {
    /// A tunnel is asked for on a stream.
    func carry(_ head: RequestHead, on stream: StreamID) {
        guard Endpoint(parsing: String(buffer: head.authority)[...], defaultPort: nil) != nil else {
            let message = "the target of CONNECT is not host:port"
            return refuse(status: 400, FlowError(side: .client, message: message, at: now), head: head.wire, stream: stream)
        }
        let seed = UInt64(context.identities.random()) << 32 | UInt64(context.identities.random())
        let session = ProxySession(configuration: configuration, seed: seed, carriedBy: (head, stream))
        let carried = StreamSession(stream, session)
        streamSessions[stream] = carried
        tell(carried, .started(peer: clientFacts.value.peer, local: clientFacts.value.local))
    }

    // MARK: What is told to them

    /// - Returns: whether the event was about a connection of a session on a stream.
    func isForStreamSession(_ event: ProxyEvent) -> Bool {
        guard let handle = event.handle, let (owner, inner) = streamSessions.owners[handle] else { return false }
        lastActivity = now
        if event.isEnd {
            owner.handles[inner] = nil
            streamSessions.owners[handle] = nil
        }
        tell(owner, event.renamed(inner))
        return true
    }

    /// What a client says on the stream of a tunnel.
    func hear(_ event: RequestEvent, _ carried: StreamSession) {
        switch event {
        case .content(let content, _, let isLast):
            carried.unconsumed += content.readableBytes
            tell(carried, .received(.client, content))
            openWindow(carried)
            if isLast, streamSessions[carried.stream] === carried { tell(carried, .halfClosed(.client)) }
        case .end:
            tell(carried, .halfClosed(.client))
        case .head:
            break
        }
    }

    /// The stream is gone.
    func streamEnded(_ carried: StreamSession, isReset: Bool) {
        carried.isOver = true
        guard !carried.isClientClosed else { return }
        carried.isClientClosed = true
        tell(carried, .closed(.client, error: nil, isReset: isReset))
    }

    /// The client says no more on any stream, or is gone.
    func streamsEnded(isReset: Bool) {
        for carried in streamSessions.inOrder {
            if !carried.isOver { http2?.reset(carried.stream, .cancel) }
            streamEnded(carried, isReset: isReset)
        }
    }

    func streamWoke(_ stream: StreamID) {
        if let carried = streamSessions[stream] { tell(carried, .timerFired) }
    }

    /// - Returns: whether it was a session on a stream that waited for the certificate.
    func isForForging(_ request: RequestID, _ result: Result<LeafCertificate, CertificateError>) -> Bool {
        guard let (owner, inner) = streamSessions.forging.removeValue(forKey: request) else { return false }
        tell(owner, .certificateReady(inner, result))
        return true
    }

    /// Tells the sessions whether their streams take more.
    /// - Returns: whether any was told something.
    func regulateStreamSessions() -> Bool {
        guard !streamSessions.touched.isEmpty else { return false }
        let touched = streamSessions.touched.sorted { $0.value < $1.value }
        streamSessions.touched.removeAll(keepingCapacity: true)
        var hasTold = false
        for stream in touched {
            guard let carried = streamSessions[stream], !carried.isOver, let http2 else { continue }
            let isWritable = http2.queuedBytes(on: stream) < Self.highWaterMark
            guard isWritable != carried.isWritable else { continue }
            carried.isWritable = isWritable
            tell(carried, .writable(.client, isWritable))
            hasTold = true
        }
        return hasTold
    }

    /// Tells a session something and does what it asks for.
    func tell(_ carried: StreamSession, _ event: ProxyEvent) {
        var events = CircularBuffer<ProxyEvent>()
        events.append(event)
        while let event = events.popFirst() {
            var said = ProxyOutput()
            carried.session.receive(event, at: now, into: &said)
            for record in said.records { context.record(record.flow, at: record.at, record.what) }
            if let answer = carried.session.takeConnectAnswer() {
                // A client that was refused says nothing more.
                if !say(answer, to: carried) { events.append(.halfClosed(.client)) }
            }
            for command in said.commands {
                if let reply = perform(command, of: carried) { events.append(reply) }
            }
        }
        guard carried.isDone, streamSessions[carried.stream] === carried else { return }
        streamSessions[carried.stream] = nil
        closeIfDone()
    }

    // MARK: What they ask for

    private func say(_ answer: ConnectAnswer, to carried: StreamSession) -> Bool {
        switch answer {
        case .accepted:
            carried.isOpen = true
            var fields = HTTP2Fields()
            fields.append(":status", "200")
            http2?.sendResponse(fields, on: carried.stream, endsStream: false)
            return true
        case .refused(let reply):
            carried.isOver = true
            http2?.answer(reply, on: carried.stream)
            return false
        }
    }

    /// - Returns: what the session is to be told of it.
    private func perform(_ command: ProxyCommand, of carried: StreamSession) -> ProxyEvent? {
        switch command {
        case .open(let handle, let endpoint):
            upstreamCount += 1
            let ours = ConnectionHandle(upstreamCount)
            carried.handles[handle] = ours
            streamSessions.owners[ours] = (carried, handle)
            context.emit(.open(ours, endpoint))
        case .send(.client, let bytes):
            guard !carried.isOver else { break }
            http2?.sendData(bytes, on: carried.stream)
            streamSessions.touched.insert(carried.stream)
        case .finish(.client):
            if carried.isOpen, !carried.isOver { http2?.sendEnd(trailers: nil, on: carried.stream) }
        case .close(.client):
            return closed(carried, isAborted: false)
        case .abort(.client):
            return closed(carried, isAborted: true)
        case .read(.client, let reads):
            carried.reads = reads
            openWindow(carried)
        case .send(let handle, let bytes):
            if let ours = carried.handles[handle] { context.emit(.send(ours, bytes)) }
        case .finish(let handle):
            if let ours = carried.handles[handle] { context.emit(.finish(ours)) }
        case .close(let handle):
            if let ours = carried.handles[handle] { context.emit(.close(ours)) }
        case .abort(let handle):
            if let ours = carried.handles[handle] { context.emit(.abort(ours)) }
        case .read(let handle, let reads):
            if let ours = carried.handles[handle] { context.emit(.read(ours, reads)) }
        case .wake(let moment):
            context.deadlines.set(Deadline(.streams, owner: carried.stream.value), at: moment)
        case .forge(let inner, let request):
            let id = context.nextRequest()
            streamSessions.forging[id] = (carried, inner)
            context.emit(.forge(id, request))
        case .verify:
            preconditionFailure("who the client is was found out before its CONNECT was taken")
        case .log:
            context.emit(command)
        }
        return nil
    }

    /// The session closes its client: END_STREAM behind what was said, or a reset.
    private func closed(_ carried: StreamSession, isAborted: Bool) -> ProxyEvent? {
        if let http2, !carried.isOver {
            if isAborted || !carried.isOpen {
                // nghttp2 lets a reset overtake what is queued.
                sendFrames()
                // RFC 9113 §8.5: the connection below failed.
                http2.reset(carried.stream, carried.isOpen ? .connectError : .cancel)
            } else {
                http2.sendEnd(trailers: nil, on: carried.stream)
                http2.endInput(of: carried.stream)
            }
        }
        carried.isOver = true
        guard !carried.isClientClosed else { return nil }
        carried.isClientClosed = true
        return .closed(.client, error: nil, isReset: false)
    }

    /// The client may say as much more as was taken.
    private func openWindow(_ carried: StreamSession) {
        guard carried.reads, carried.unconsumed > 0 else { return }
        http2?.consumed(carried.unconsumed, on: carried.stream)
        carried.unconsumed = 0
    }
}
