// The server's side of a recorded flow, played again: what it says, and when. Neither sockets nor a clock: moments come in and go out as values.
//
// Time counts from what the client did last: a response begins as long after the request as it did, a message of a dialogue as long after
// the message before it. What a client said in the recording before the server went on must have come before it goes on now.

import FlowModel
import HTTPSemantics
import NIOCore

/// When a server's message in a dialogue may be said.
package enum DialogueMatching: String, Sendable, CaseIterable {
    /// The client's messages before it have come, and said the same.
    case content
    /// As many have come.
    case count
    /// Its time has come.
    case time
}

/// Plays one flow. Used by one session.
package final class ServerPart {
    private enum Dialogue {
        case none
        case messages
        /// TCP, what follows an upgrade to anything but WebSocket, and an exchange in which the response began before the request was
        /// complete.
        case bytes
    }

    private let timing: ReplayTiming
    private let matching: DialogueMatching
    private var events: FlowEventCursor
    /// The event that is said next.
    private var pending: FlowEvent?
    private var edited: EditedResponse?
    /// Bytes of the response's content that were gone through.
    private var offset: UInt64 = 0
    /// What the client says after the beginning decides when the server goes on: messages, or bytes of a stream.
    private let dialogue: Dialogue
    private let kind: FlowKind
    /// The exchange became a conversation or a tunnel.
    private let hasSwitched: Bool
    /// The recorded moment from which pauses are counted, and the one now that stands for it.
    private var recordedAnchor: Timestamp
    private var anchor: Timestamp
    /// What the client has said and the recording has not come to.
    private var said: [FlowPiece] = []
    private var saidBytes = ByteBuffer()
    private var hasClientFinished: Bool
    private let hasSaid100: Bool

    /// Content or trailers follow the response's head.
    package let hasContent: Bool

    /// What the client said that is not in the recording, one sentence each; taken by whoever logs.
    package private(set) var complaints: [String] = []

    /// - Parameters:
    ///   - response: the head as it is given today; nil for a TCP stream, and when there is none.
    ///   - now: when the request was complete, or the stream began.
    ///   - isRequestComplete: false when the rest of the request will be told by ``receive(_:at:)``.
    ///   - hasSaid100: 100 Continue was said already.
    package init(
        _ flow: Flow, response: EditedResponse?, timing: ReplayTiming, matching: DialogueMatching, now: Timestamp,
        isRequestComplete: Bool = true, hasSaid100: Bool = false
    ) {
        self.timing = timing
        self.matching = matching
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
        self.hasSaid100 = hasSaid100
    }

    /// The client said something in a dialogue.
    package func receive(_ piece: FlowPiece, at now: Timestamp) {
        if dialogue == .none || matching == .time { return }
        if dialogue == .bytes {
            saidBytes.writeImmutableBuffer(piece.content)
        } else if piece.kind != .ping, piece.kind != .pong {
            said.append(piece)
        }
    }

    /// The client ended its side.
    package func clientFinished(at now: Timestamp) { hasClientFinished = true }

    /// What is done at a moment. Asked again after each thing that was said, when a wait is over, and when the client said something.
    /// - Throws: what fetching content throws.
    package func next(at now: Timestamp) throws -> ServerStep {
        while true {
            guard let event = try pending ?? events.next() else {
                return .end(FlowEnding(state: .incomplete))
            }
            pending = event
            if !isPassedOver(event.what), let step = step(event, now) { return step }
            pending = nil
        }
    }

    /// Fetches what is given first, and the content that follows a head at once.
    /// - Throws: what fetching content throws; nothing was given then.
    package func readAhead() throws {
        while let event = try pending ?? events.next() {
            pending = event
            guard isPassedOver(event.what) else { return }
            pending = nil
        }
    }

    /// It is neither given nor waited for.
    private func isPassedOver(_ what: FlowEvent.What) -> Bool {
        switch what {
        case .opened, .server, .client, .request, .trailers(from: .client, _), .note, .malformed, .localReply:
            // A reply of the recorder's own, and bytes that it refused, are nothing that a server is to say again.
            true
        case .piece(let piece) where piece.from == .client:
            dialogue == .none || (dialogue == .messages && piece.kind == .data)
        // The end of a request is known already; that of a stream is waited for.
        case .finished(.client): dialogue != .bytes || hasSwitched
        // The end of the handshake, or of the conversation, which comes with the flow's.
        case .finished(.server): hasSwitched
        case .interim(let head): head.status == 101 || (head.status == 100 && hasSaid100)
        default: false
        }
    }

    /// - Returns: nil when an event is passed over.
    private func step(_ event: FlowEvent, _ now: Timestamp) -> ServerStep? {
        switch event.what {
        case .piece(let piece) where piece.from == .client:
            return awaitClient(piece, event.at, now)
        case .finished(.client):
            if !hasClientFinished, matching != .time { return .waitForClient }
            move(to: event.at, now)
            return nil
        case .ended(let ending) where ending.isOfClient && !hasClientFinished:
            // The client of that time gave up; the server would have gone on.
            return .waitForClient
        case .ended(let ending) where kind == .tcp && ending.closedBy == .client && !hasClientFinished && matching != .time:
            return .waitForClient
        default:
            let due = anchor.advanced(byNanoseconds: timing.pause(max(0, event.at - recordedAnchor)))
            if due > now { return .wait(until: due) }
            guard let step = given(event.what) else { return nil }
            pending = nil
            // The moment that was meant, so that a late timer does not delay everything behind it.
            anchor = timing == .none ? now : due
            recordedAnchor = event.at
            return step
        }
    }

    /// What the server says as it is said today; nil when it is left out.
    private func given(_ what: FlowEvent.What) -> ServerStep? {
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
    }

    /// The part of a piece that is sent.
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

    /// - Returns: nil when the client has said it, or need not.
    private func awaitClient(_ piece: FlowPiece, _ recorded: Timestamp, _ now: Timestamp) -> ServerStep? {
        // Pings are answered as they come, and may come at other times.
        if matching == .time || piece.kind == .pong || piece.kind == .ping { return nil }
        if dialogue == .bytes {
            guard saidBytes.readableBytes >= piece.content.readableBytes else {
                return hasClientFinished ? clientSaidLess(recorded, now) : .waitForClient
            }
            let bytes = saidBytes.readSlice(length: piece.content.readableBytes) ?? ByteBuffer()
            if matching == .content, bytes != piece.content {
                complaints.append(
                    "the client's bytes differ from the recording from byte \(bytes.commonPrefix(with: piece.content)) of a piece of \(bytes.readableBytes) on"
                )
            }
        } else {
            guard let first = said.first else { return .waitForClient }
            if matching == .content, first.kind != piece.kind || first.content != piece.content {
                guard let found = said.firstIndex(where: { $0.kind == piece.kind && $0.content == piece.content }) else {
                    said.removeFirst()
                    complaints.append(
                        "the client said '\(String(buffer: first.content).short)' where the recording has '\(String(buffer: piece.content).short)'"
                    )
                    // A goodbye is answered whatever it says.
                    if first.kind == .close { hasClientFinished = true }
                    return .waitForClient
                }
                said.removeSubrange(...found)
            } else {
                said.removeFirst()
            }
        }
        move(to: recorded, now)
        return nil
    }

    /// The client ended before it had said what the recording has. A request is complete by then; a stream has nobody to go on with.
    private func clientSaidLess(_ recorded: Timestamp, _ now: Timestamp) -> ServerStep? {
        let message = "the client ended before it had said what the recording has"
        guard kind == .http, !hasSwitched else {
            return .end(
                FlowEnding(state: .incomplete, error: FlowError(side: .client, message: message, at: now), closedBy: .client))
        }
        complaints.append(message)
        saidBytes.clear()
        move(to: recorded, now)
        return nil
    }

    package func takeComplaints() -> [String] {
        defer { complaints.removeAll() }
        return complaints
    }
}

extension Flow {
    /// The exchange became a conversation or a tunnel: 101, or 200 to an extended CONNECT.
    package var hasSwitched: Bool {
        guard kind == .http, let response else { return isWebSocket }
        return isWebSocket || response.head.status == 101
            || (response.head.status / 100 == 2 && request?.head.isMethod("CONNECT") == true)
    }

    /// It became one of WebSocket, perhaps one in which nobody said anything.
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
    /// It was the client that cut the flow.
    fileprivate var isOfClient: Bool { state != .complete && (error?.side == .client || (error == nil && closedBy == .client)) }
}
