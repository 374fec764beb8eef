// Replays the server's side of a recorded flow: what it sends, and when. Neither sockets nor a clock: moments come in and go out as
// values.
//
// Time is counted from the client's last action: a response begins as long after its request as in the recording, a message of a
// dialogue as long after the message before it. The server continues only after the client has sent everything that it had sent by
// then in the recording.

import FlowModel
import HTTPSemantics
import NIOCore

/// When a server's message in a dialogue may be sent.
package enum DialogueMatching: String, Sendable, CaseIterable {
    /// After the same messages of the client.
    case content
    /// After the same number of them.
    case count
    /// At its time.
    case time
}

/// Replays one flow. Used by one session.
package final class FlowPlayer {
    private enum Dialogue {
        case none
        case messages
        /// TCP, a protocol other than WebSocket after an upgrade, and an exchange whose response began before the request was
        /// complete.
        case bytes
    }

    private let timing: ReplayTiming
    private let matching: DialogueMatching
    private let likeness: DialogueLikeness
    private var events: FlowEventCursor
    /// The next event.
    private var pending: FlowEvent?
    private var edited: EditedResponse?
    /// The bytes of the response's content that have been read.
    private var offset: UInt64 = 0
    /// What the server waits for from the client: nothing, messages, or bytes of a stream.
    private let dialogue: Dialogue
    private let kind: FlowKind
    /// The exchange became a WebSocket conversation or a tunnel.
    private let hasSwitched: Bool
    /// The recorded moment from which pauses are counted, and the present moment that corresponds to it.
    private var recordedAnchor: Timestamp
    private var anchor: Timestamp
    /// The server has sent something since the client's last action.
    private var isAnswering = false
    /// Messages, or bytes, of the client that have not been compared with the recording yet.
    private var received: [FlowPiece] = []
    private var receivedBytes = ByteBuffer()
    private var hasClientFinished: Bool
    private let sent100Continue: Bool

    /// Content or trailers follow the head of the response.
    package let hasContent: Bool

    /// How the client deviated from the recording, one sentence each, for the event log.
    package private(set) var complaints: [String] = []

    /// - Parameters:
    ///   - response: the head to send; nil for a TCP stream, and if none was recorded.
    ///   - now: when the request was complete, or the stream began.
    ///   - isRequestComplete: false if the rest of the request comes by ``receive(_:at:)``.
    ///   - sent100Continue: 100 Continue was sent already.
    ///   - redactions: the rules by which recordings were redacted.
    package init(
        _ flow: Flow, response: EditedResponse?, timing: ReplayTiming, matching: DialogueMatching, now: Timestamp,
        isRequestComplete: Bool = true, sent100Continue: Bool = false, redactions: [RecordedRedaction] = []
    ) {
        self.timing = timing
        self.matching = matching
        likeness = DialogueLikeness(flow, redactions)
        events = FlowEventCursor(flow)
        edited = response
        kind = flow.kind
        hasSwitched = flow.hasSwitched
        let isDuplex = !isRequestComplete && flow.isDuplex
        dialogue = flow.isWebSocket ? .messages : flow.kind == .tcp || flow.hasSwitched || isDuplex ? .bytes : .none
        anchor = now
        recordedAnchor =
            flow.kind == .tcp ? flow.started : (isDuplex ? nil : flow.request?.ended) ?? flow.request?.started ?? flow.started
        hasClientFinished = false
        hasContent = flow.response.map { $0.storedSize > 0 || $0.ended == nil || $0.trailers != nil } ?? true
        self.sent100Continue = sent100Continue
    }

    /// The client sent a message, or bytes, of a dialogue.
    package func receive(_ piece: FlowPiece, at now: Timestamp) {
        if dialogue == .none || matching == .time { return }
        if dialogue == .bytes {
            receivedBytes.writeImmutableBuffer(piece.content)
        } else if piece.kind != .ping, piece.kind != .pong {
            received.append(piece)
        }
    }

    /// The client ended its side.
    package func clientFinished(at now: Timestamp) { hasClientFinished = true }

    /// The next step at a moment. Called again after each step, after a wait, and when the client has sent something.
    /// - Throws: if content cannot be read.
    package func next(at now: Timestamp) throws -> ServerStep {
        while true {
            guard let event = try pending ?? events.next() else {
                return .end(FlowEnding(state: .incomplete))
            }
            pending = event
            if !isSkipped(event.what), let step = step(event, now) { return step }
            pending = nil
        }
    }

    /// Reads the first event, so that an error shows before a head is sent.
    /// - Throws: if it cannot be read.
    package func readAhead() throws {
        while let event = try pending ?? events.next() {
            pending = event
            guard isSkipped(event.what) else { return }
            pending = nil
        }
    }

    /// The event is neither sent nor waited for.
    private func isSkipped(_ what: FlowEvent.What) -> Bool {
        switch what {
        case .opened, .server, .client, .request, .trailers(from: .client, _), .note, .malformed, .localReply, .redacted, .cut:
            // The recorder's own reply, and bytes that it rejected, did not come from a server.
            true
        // The mark of content that is not in the recording. An empty chunk would end the response.
        case .piece(let piece) where piece.from == .server && piece.kind == .data && piece.content.readableBytes == 0: true
        case .piece(let piece) where piece.from == .client:
            dialogue == .none || (dialogue == .messages && piece.kind == .data)
        // The end of a request is known already; the end of a stream is waited for.
        case .finished(.client): dialogue != .bytes || hasSwitched
        // The end of the handshake, or of the conversation, which comes with the end of the flow.
        case .finished(.server): hasSwitched
        case .interim(let head): head.status == 101 || (head.status == 100 && sent100Continue)
        default: false
        }
    }

    /// - Returns: nil if the event is skipped.
    private func step(_ event: FlowEvent, _ now: Timestamp) -> ServerStep? {
        switch event.what {
        case .piece(let piece) where piece.from == .client:
            return awaitClient(piece, event.at, now)
        case .finished(.client):
            if !hasClientFinished, matching != .time { return .waitForClient }
            move(to: event.at, now)
            return nil
        case .ended(let ending) where ending.isOfClient && !hasClientFinished:
            // The recorded client gave up; the server would have continued.
            return .waitForClient
        case .ended(let ending) where kind == .tcp && ending.closedBy == .client && !hasClientFinished && matching != .time:
            return .waitForClient
        default:
            let pause = timing.pause(max(0, event.at - recordedAnchor), isFirst: !isAnswering)
            let due = anchor.advanced(byNanoseconds: pause)
            if due > now { return .wait(until: due) }
            guard let step = output(event.what) else { return nil }
            pending = nil
            // The intended moment, so that a late timer does not delay everything after it.
            anchor = timing == .none ? now : due
            recordedAnchor = event.at
            isAnswering = true
            return step
        }
    }

    /// What the server sends now; nil if the event is left out.
    private func output(_ what: FlowEvent.What) -> ServerStep? {
        switch what {
        case .response: edited.map { .say(.response($0.head)) }
        case .piece(let piece): cut(piece).map { .say(.piece($0)) }
        case .trailers: edited?.range != nil || edited?.hasContent == false ? nil : .say(what)
        case .ended(let ending): .end(ending)
        default: .say(what)
        }
    }

    private func move(to recorded: Timestamp, _ now: Timestamp) {
        guard matching != .time else { return }
        anchor = max(anchor, now)
        recordedAnchor = recorded
        isAnswering = false
    }

    /// The bytes of a piece that are in the range to send.
    private func cut(_ piece: FlowPiece) -> FlowPiece? {
        if piece.kind == .pong { return nil }
        guard piece.kind == .data, let edited else { return piece }
        guard edited.hasContent else { return nil }
        guard let range = edited.range else { return piece }
        let start = offset
        offset += UInt64(piece.content.readableBytes)
        let from = max(start, range.lowerBound)
        let to = min(offset, range.upperBound)
        guard from < to else { return nil }
        return FlowPiece(from: .server, content: piece.content.slice(ByteRange(Int(from - start), Int(to - start))))
    }

    // MARK: The client in a dialogue

    /// - Returns: nil if the client has sent it, or need not.
    private func awaitClient(_ piece: FlowPiece, _ recorded: Timestamp, _ now: Timestamp) -> ServerStep? {
        // Pings are answered when they come, and may come at other times.
        if matching == .time || piece.kind == .pong || piece.kind == .ping { return nil }
        if dialogue == .bytes {
            // The bytes that were sent: those in the recording may be more, or fewer.
            let size = Int(clamping: piece.wireSize)
            guard receivedBytes.readableBytes >= size else {
                return hasClientFinished ? clientEndedEarly(recorded, now) : .waitForClient
            }
            let bytes = receivedBytes.readSlice(length: size) ?? ByteBuffer()
            if matching == .content, !likeness.isSame(FlowPiece(from: .client, content: bytes), piece) {
                complaints.append(
                    "the client's bytes differ from the recording at byte \(bytes.commonPrefix(with: piece.content)) of \(bytes.readableBytes)"
                )
            }
        } else {
            guard let first = received.first else { return .waitForClient }
            if matching == .content, !likeness.isSame(first, piece) {
                guard let found = received.firstIndex(where: { likeness.isSame($0, piece) }) else {
                    received.removeFirst()
                    complaints.append(
                        "the client sent '\(String(buffer: likeness.shown(first)).short)', the recording has '\(String(buffer: piece.content).short)'"
                    )
                    // A close frame is answered whatever its content.
                    if first.kind == .close { hasClientFinished = true }
                    return .waitForClient
                }
                received.removeSubrange(...found)
            } else {
                received.removeFirst()
            }
        }
        move(to: recorded, now)
        return nil
    }

    /// The client ended before it had sent everything that is in the recording. For a request this is the end of its content; a
    /// stream cannot continue.
    private func clientEndedEarly(_ recorded: Timestamp, _ now: Timestamp) -> ServerStep? {
        let message = "the client ended before it had sent what is in the recording"
        guard kind == .http, !hasSwitched else {
            return .end(
                FlowEnding(state: .incomplete, error: FlowError(side: .client, message: message, at: now), closedBy: .client))
        }
        complaints.append(message)
        receivedBytes.clear()
        move(to: recorded, now)
        return nil
    }

    package func takeComplaints() -> [String] {
        defer { complaints.removeAll() }
        return complaints
    }
}

extension Flow {
    /// The exchange became a WebSocket conversation or a tunnel: 101, or 2xx to CONNECT.
    package var hasSwitched: Bool {
        guard kind == .http, let response else { return isWebSocket }
        return isWebSocket || response.head.status == 101
            || (response.head.status / 100 == 2 && request?.head.isMethod("CONNECT") == true)
    }

    /// It became a WebSocket conversation, perhaps one without messages.
    var opensWebSocket: Bool {
        guard hasSwitched, let response else { return false }
        return isWebSocket || response.head.fields.list("upgrade", contains: "websocket")
            || response.head.fields.contains("sec-websocket-accept")
            || (asksForWebSocket && request?.head.isMethod("CONNECT") == true)
    }

    /// The response began before the request was complete, so each may depend on the other.
    package var isDuplex: Bool {
        guard kind == .http, !hasSwitched, let request, let response, request.size > 0 else { return false }
        return request.ended.map { response.started < $0 } ?? true
    }
}

extension FlowEnding {
    /// The client cut the flow.
    fileprivate var isOfClient: Bool { state != .complete && (error?.side == .client || (error == nil && closedBy == .client)) }
}
