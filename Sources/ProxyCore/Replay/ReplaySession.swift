// Says the client's side of a recorded connection again. What a server gets, and what is recorded of it, is the work of a ProxySession in
// mode reverse; here its client is no socket but this machine: it makes the client's bytes, takes what is meant for the client, and sees
// from the recorded events how far each flow has come, in the same words for every version of HTTP.
//
//     driver ──ProxyEvent──▶ ReplaySession ──ProxyEvent──▶ ProxySession ──ProxyCommand──▶ driver
//                                 ▲ └──bytes of the client──▶ │
//                                 └──bytes for the client, FlowEvents

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import WebSocketCodec

/// A session without a client connection. Closes its client, for the driver to see, when it is over. Used on one thread.
package final class ReplaySession: ProxySessionProtocol {
    let script: ReplayScript
    private let inner: ProxySession
    private let report: (ReplayReport) -> Void
    var now = Timestamp(nanoseconds: 0)
    private var output = ProxyOutput()
    /// Events that the inner session receives next.
    private var pending = CircularBuffer<ProxyEvent>()

    /// What begins the inner session, with the first step.
    private var startEvent: ProxyEvent?
    /// Steps from here on have not been begun.
    private var next = 0
    /// Steps that were begun and have not ended, in their order.
    private(set) var open: [ActiveRequest] = []
    let endpoint: ReplayEndpoint
    var keys: IdentityGenerator
    private var moments = Moments()
    private var client = Client()
    /// No step begins any more.
    private var isEnding = false
    private var isOver = false

    /// When something continues.
    private struct Moments {
        /// The driver was asked to wake the session.
        var armed: Timestamp?
        /// The inner session is to be woken.
        var inner: Timestamp?
        /// The earliest moment at which something may continue, as far as it was found in this turn.
        var own: Timestamp?
    }

    /// The client that the inner session sees.
    private struct Client {
        /// Bytes that may still be sent in this turn. Whether the server's connection takes more is known between turns.
        var room = 0
        /// The inner session reads.
        var isRead = true
        /// The inner session has sent everything.
        var hasServerEnded = false
        var hasEnded = false
        /// When a client that has ended stops waiting for the server's end.
        var responseDeadline: Timestamp?
    }

    /// - Parameters:
    ///   - configuration: of mode reverse: it names the only server. HTTP/1 is replayed with HTTP/2 not allowed.
    ///   - seed: random, for identities, masks and keys.
    ///   - report: called on the session's thread.
    package init(
        script: ReplayScript, configuration: ProxyConfiguration, seed: UInt64, report: @escaping (ReplayReport) -> Void
    ) {
        guard case .reverse = configuration.mode else { preconditionFailure("a replay goes to one server") }
        self.script = script
        self.report = report
        keys = IdentityGenerator(seed: ~seed)
        inner = ProxySession(configuration: configuration, seed: seed)
        endpoint = ReplayEndpoint(script.wireProtocol)
    }

    package func receive(_ event: ProxyEvent, at now: Timestamp, into output: inout ProxyOutput) {
        swap(&self.output, &output)
        self.now = now
        client.room = FlowControl.highWaterMark
        switch event {
        case .timerFired:
            moments.armed = nil
            if let moment = moments.inner, moment <= now {
                moments.inner = nil
                pending.append(.timerFired)
            }
        case .closed(.client, _, _):
            // The driver cuts everything off.
            end(.closed(.client, error: nil, isReset: true))
        case .started:
            startEvent = event
        case .shutdown:
            isEnding = true
            pending.append(event)
        default:
            pending.append(event)
        }
        advance()
        if !isOver { setTimer() }
        swap(&self.output, &output)
    }

    /// Continues until nothing more can be sent now.
    private func advance() {
        repeat {
            while let event = pending.popFirst() { deliver(event) }
            guard !isOver else { return }
            moments.own = client.responseDeadline
            beginSteps()
            for step in open { step.isConversation ? converse(step) : feed(step) }
            exchangeFrames()
            if pending.isEmpty { endIfDone() }
        } while !pending.isEmpty
    }

    // MARK: The inner session

    /// Tells the inner session something, and takes what it has for its client.
    private func deliver(_ event: ProxyEvent) {
        var said = ProxyOutput()
        swap(&said.records, &output.records)
        said.records.events = []
        inner.receive(event, at: now, into: &said)
        // The recording holds bytes, and the server may send first: the protocol is not detected.
        if case .started = event, script.wireProtocol == .bytes { inner.endDetection(at: now, into: &said) }
        for event in said.records.events ?? [] { observe(event) }
        said.records.events = nil
        swap(&said.records, &output.records)
        for command in said.commands {
            switch command {
            case .send(.client, let bytes): endpoint.receive(bytes)
            case .read(.client, let isRead): client.isRead = isRead
            case .finish(.client): serverEnded()
            case .wake(let moment): moments.inner = moment
            case .close(.client), .abort(.client): end(.closed(.client, error: nil, isReset: false))
            default: output.commands.append(command)
            }
        }
    }

    /// The next bytes of the client.
    func send(_ bytes: ByteBuffer) {
        guard !client.hasEnded, bytes.readableBytes > 0 else { return }
        client.room -= bytes.readableBytes
        pending.append(.received(.client, bytes))
    }

    /// The client sends no more.
    func endClient() {
        guard !client.hasEnded else { return }
        client.hasEnded = true
        startResponseTimeout()
        pending.append(.halfClosed(.client))
    }

    /// A client that has ended waits as long as the server sends something.
    func startResponseTimeout() {
        if client.hasEnded { client.responseDeadline = now.advanced(byNanoseconds: script.responseTimeout) }
    }

    /// The client resets its connection.
    func resetClient() { end(.closed(.client, error: nil, isReset: true)) }

    /// The inner session has sent everything to its client.
    var hasServerEnded: Bool { client.hasServerEnded }

    private func serverEnded() {
        client.hasServerEnded = true
        isEnding = true
        // A stream of bytes may continue in the other direction.
        if !open.contains(where: \.isConversation) { endClient() }
    }

    /// The client is gone, and the session with it. Connections to the server that are still closing close by themselves.
    private func end(_ event: ProxyEvent) {
        guard !isOver else { return }
        isOver = true
        deliver(event)
        output.commands.append(.close(.client))
        report(.ended(rest: open.filter { $0.flow == nil }.map(\.step) + script.steps[next...]))
        open = []
    }

    private func endIfDone() {
        if let moment = client.responseDeadline, moment <= now, client.hasEnded {
            return end(.closed(.client, error: nil, isReset: false))
        }
        guard open.isEmpty, isEnding || next == script.steps.count else { return }
        // There was no data, so there is nothing to end.
        if next == 0 || startEvent != nil { return end(.closed(.client, error: nil, isReset: false)) }
        endClient()
    }

    // MARK: What is seen of the flows

    private func observe(_ event: FlowEvent) {
        if case .opened(let opening) = event.what {
            guard let step = open.first(where: { $0.flow == nil && endpoint.isFlow(opening, of: $0) }) else { return }
            step.flow = event.flow
            report(.began(number: step.step.number, recorded: step.recorded, flow: event.flow, lateness: step.lateness))
            if opening.kind == .tcp { step.beginConversation(at: now, isWebSocket: false) }
            return
        }
        guard let index = open.firstIndex(where: { $0.flow == event.flow }) else { return }
        let step = open[index]
        switch event.what {
        case .response(let head) where step.opensWebSocket && endpoint.accepts(head):
            step.beginConversation(at: now, isWebSocket: true)
        case .response where step.opensWebSocket:
            endpoint.endStream(of: step)
        case .piece(let piece) where piece.from == .server && step.isConversation:
            step.conversation?.heard.append(piece)
        case .ended:
            open.remove(at: index)
        default:
            break
        }
    }

    // MARK: Steps

    private func beginSteps() {
        while !isEnding, next < script.steps.count {
            let step = script.steps[next]
            if !endpoint.isMultiplexed, !open.isEmpty { return }
            if let due = step.due {
                guard due <= now else { return wake(at: due) }
            } else if open.contains(where: { $0.step.hadEnded(before: step) }) {
                return
            }
            next += 1
            do {
                begin(step, try script.read(step.number))
            } catch {
                report(.unreadable(number: step.number, message: "\(error)"))
            }
        }
    }

    private func begin(_ step: ReplayStep, _ recorded: Flow) {
        let lateness = step.due.map { max(0, now - $0) } ?? 0
        let begun = ActiveRequest(step, recorded, lateness: lateness)
        open.append(begun)
        if let startEvent { pending.append(startEvent) }
        startEvent = nil
        switch endpoint {
        case .http1:
            guard let request = recorded.request?.asStored else { return }
            if begun.opensWebSocket {
                send(webSocketRequest(request.head))
            } else {
                let framing = Self.framing(of: request)
                send(Self.requestHead(request.head, framing))
                begun.body = RequestBody(request, of: recorded, isChunked: framing.isChunked)
            }
        case .http2(let connection):
            guard let request = recorded.request?.asStored else { return }
            let hasBody = request.size > 0 || request.trailers != nil || begun.opensWebSocket
            let isTunnel = request.head.isMethod("CONNECT")
            let stream = connection.sendRequest(
                fields(request), endsStream: !hasBody, isHead: request.head.isMethod("HEAD"), isTunnel: isTunnel)
            guard let stream else {
                // The connection takes no more: the rest goes to another one.
                open.removeLast()
                next -= 1
                isEnding = true
                return
            }
            begun.stream = stream
            if hasBody, !begun.opensWebSocket { begun.body = RequestBody(request, of: recorded, isChunked: false) }
        case .bytes:
            break
        }
    }

    /// Hands on as much of a request's content as is taken now.
    private func feed(_ step: ActiveRequest) {
        guard step.body != nil, !client.hasEnded else { return }
        do {
            while isRoom(for: step) {
                guard let content = try step.body?.next() else {
                    finish(step)
                    return
                }
                send(endpoint.content(content, of: step))
            }
        } catch {
            unreadable(step, "\(error)")
        }
    }

    private func isRoom(for step: ActiveRequest) -> Bool {
        // The session handles what was sent before more is sent.
        (endpoint.isMultiplexed || pending.isEmpty) && endpoint.hasRoom(for: step) && isRoom
    }

    /// More may be sent now; otherwise a later turn follows in which it may.
    var isRoom: Bool {
        guard client.isRead || endpoint.isMultiplexed else { return false }
        if client.room <= 0 { wake(at: now) }
        return client.room > 0
    }

    private func finish(_ step: ActiveRequest) {
        send(endpoint.end(step.recorded.request?.trailers, of: step))
        step.body = nil
    }

    func unreadable(_ step: ActiveRequest, _ message: String) {
        report(.unreadable(number: step.step.number, message: message))
        step.body = nil
        if !endpoint.reset(step) { resetClient() }
    }

    // MARK: HTTP/2 and time

    private func exchangeFrames() {
        if endpoint.takeEvents() { isEnding = true }
        while let bytes = endpoint.takeOutput() { send(bytes) }
    }

    /// Wakes the session at this moment, unless it wakes earlier.
    func wake(at time: Timestamp) {
        if moments.own.map({ time < $0 }) ?? true { moments.own = time }
    }

    private func setTimer() {
        guard let moment = [moments.own, moments.inner].compactMap({ $0 }).min(), moment != moments.armed || moment <= now else {
            return
        }
        moments.armed = moment
        output.commands.append(.wake(at: moment))
    }
}

/// A step that was begun.
final class ActiveRequest {
    let step: ReplayStep
    let recorded: Flow
    let lateness: Int64
    /// HTTP/2: on the connection to the inner session.
    var stream = StreamID(0)
    /// What it is recorded as, once that is known.
    var flow: FlowID?
    /// Content of the request that was not sent yet.
    var body: RequestBody?
    var conversation: ReplayConversation?
    let opensWebSocket: Bool

    var isConversation: Bool { conversation != nil }

    init(_ step: ReplayStep, _ recorded: Flow, lateness: Int64) {
        self.step = step
        self.recorded = recorded
        self.lateness = lateness
        opensWebSocket = recorded.asksForWebSocket
    }

    func beginConversation(at now: Timestamp, isWebSocket: Bool) {
        guard conversation == nil else { return }
        conversation = ReplayConversation(recorded, begins: now, isWebSocket: isWebSocket)
    }
}

/// The content of a recorded request, piece by piece.
struct RequestBody {
    private var reader: any FlowPieceCursor
    private var rest: UInt64
    /// HTTP/1: it is sent in chunks.
    let isChunked: Bool

    init(_ request: Message<RequestHead>, of flow: Flow, isChunked: Bool) {
        reader = flow.pieces.cursor()
        rest = request.size
        self.isChunked = isChunked
    }

    mutating func next() throws -> ByteBuffer? {
        // Everything after the last of it is the server's, and is not fetched.
        while rest > 0, let (_, piece) = try reader.next() {
            guard piece.kind == .data, piece.from == .client, piece.content.readableBytes > 0 else { continue }
            rest -= min(rest, UInt64(piece.content.readableBytes))
            return piece.content
        }
        return nil
    }
}
