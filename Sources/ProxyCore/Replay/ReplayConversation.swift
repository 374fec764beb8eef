// WebSocket conversations and streams of bytes, sent again: the client's messages in their order, each when its time has come and when as much
// has come from the server as stood before it in the recording. The wait for a server that sends less than it did is limited.

import FlowModel
import HTTPSemantics
import NIOCore
import WebSocketCodec

/// The client's side of a conversation.
struct ReplayConversation {
    let isWebSocket: Bool
    private var reader: any FlowPieceCursor
    /// When it began, in the recording and now.
    let recordedStart: Timestamp
    let start: Timestamp
    /// The client's next message; nil after the last one.
    private(set) var message: (at: Timestamp, piece: FlowPiece)?
    private(set) var isAtEnd = false
    /// The count of what the server had sent in the recording before ``message``, and has sent now: messages, or bytes of a stream.
    private(set) var expected = 0
    private var came = 0
    /// Messages of the server that were not handled yet.
    var heard: [FlowPiece] = []
    /// When either side last sent something.
    var lastProgress: Timestamp
    /// Close frames.
    var hasClosed = false
    var isServerClosed = false
    /// HTTP/2: the client's side of the stream was ended.
    var hasEndedStream = false

    init(_ flow: Flow, begins start: Timestamp, isWebSocket: Bool) {
        self.isWebSocket = isWebSocket
        self.start = start
        reader = flow.pieces.cursor()
        recordedStart = isWebSocket ? flow.response?.started ?? flow.started : flow.started
        lastProgress = start
    }

    var isWaiting: Bool { came < expected }

    /// Finds the client's next message.
    mutating func findMessage() throws {
        while message == nil, !isAtEnd {
            guard let (at, piece) = try reader.next() else {
                isAtEnd = true
                return
            }
            if piece.from == .server {
                expected += Self.weight(piece)
            } else if piece.kind != .pong, (piece.kind == .data) != isWebSocket {
                message = (at, piece)
            }
        }
    }

    mutating func sent() { message = nil }

    /// Counts a message of the server.
    mutating func count(_ piece: FlowPiece) { came += Self.weight(piece) }

    private static func weight(_ piece: FlowPiece) -> Int {
        switch piece.kind {
        case .data: Int(clamping: piece.size)
        case .text, .binary: 1
        case .ping, .pong, .close: 0
        }
    }
}

extension ReplaySession {
    /// Sends what can be sent now.
    func converse(_ step: ActiveRequest) {
        listen(step)
        if step.conversation?.hasEndedStream == true { return endStream(of: step) }
        do {
            while !isClosing(step), let message = try nextMessage(of: step) {
                guard isDue(message.at, step), isAnswered(step), isRoom else { return }
                step.conversation?.sent()
                step.conversation?.lastProgress = now
                send(message.piece, in: step)
            }
        } catch {
            return unreadable(step, "\(error)")
        }
        endConversation(step)
    }

    private func nextMessage(of step: ActiveRequest) throws -> (at: Timestamp, piece: FlowPiece)? {
        try step.conversation?.findMessage()
        return step.conversation?.message
    }

    private func isClosing(_ step: ActiveRequest) -> Bool {
        step.conversation.map { $0.hasClosed || $0.isServerClosed } ?? true
    }

    /// Handles the server's messages: pings are answered, a close frame is answered by one.
    private func listen(_ step: ActiveRequest) {
        guard let heard = step.conversation?.heard, !heard.isEmpty else { return }
        step.conversation?.heard = []
        step.conversation?.lastProgress = now
        startResponseTimeout()
        for piece in heard {
            step.conversation?.count(piece)
            switch piece.kind {
            case .ping:
                if !isClosing(step) { send(FlowPiece(kind: .pong, from: .client, content: piece.content), in: step) }
            case .close:
                if !isClosing(step) { send(FlowPiece(kind: .close, from: .client, content: piece.content), in: step) }
                step.conversation?.isServerClosed = true
            case .data, .text, .binary, .pong:
                break
            }
        }
    }

    /// Whether the time of something recorded has come.
    private func isDue(_ at: Timestamp, _ step: ActiveRequest) -> Bool {
        guard let speed = script.speed, let conversation = step.conversation else { return true }
        let pause = Double(at - conversation.recordedStart) / speed
        // Some seventy years at the most, so that the sum fits.
        let due = conversation.start.advanced(byNanoseconds: Int64(min(max(0, pause), 0x1p61)))
        if due > now { wake(at: due) }
        return due <= now
    }

    /// Whether the server has sent as much as in the recording, or is not waited for any more.
    private func isAnswered(_ step: ActiveRequest) -> Bool {
        guard script.waitsForServer, !hasServerEnded, let conversation = step.conversation, conversation.isWaiting else {
            return true
        }
        return hasTimedOut(conversation)
    }

    private func hasTimedOut(_ conversation: ReplayConversation) -> Bool {
        let end = conversation.lastProgress.advanced(byNanoseconds: script.responseTimeout)
        if end > now { wake(at: end) }
        return end <= now
    }

    private func send(_ piece: FlowPiece, in step: ActiveRequest) {
        guard step.conversation?.isWebSocket == true else { return send(piece.content) }
        let opcode: WebSocketOpcode
        switch piece.kind {
        case .text: opcode = .text
        case .binary, .data: opcode = .binary
        case .ping: opcode = .ping
        case .pong: opcode = .pong
        case .close:
            opcode = .close
            step.conversation?.hasClosed = true
        }
        let frame = WebSocketFrameEncoder.frame(opcode, piece.content, maskingKey: MaskingKey(keys.random()))
        send(endpoint.content(frame, of: step))
    }

    /// Everything was sent: ends the client's side as it ended in the recording.
    private func endConversation(_ step: ActiveRequest) {
        guard let conversation = step.conversation else { return }
        let flow = step.recorded
        if hasServerEnded || conversation.hasClosed && conversation.isServerClosed { return endStream(of: step) }
        if conversation.hasClosed {
            if hasTimedOut(conversation) { endStream(of: step) }
            return
        }
        // A client that the server closed waits for it; otherwise the client ends at its time, and not before it was answered.
        if let ended = flow.ended, !isDue(ended, step) { return }
        let isServersTurn = flow.closedBy == .server || conversation.isWaiting
        if isServersTurn, !hasTimedOut(conversation) { return }
        if flow.isReset, flow.closedBy == .client { resetClient() } else { endStream(of: step) }
    }

    private func endStream(of step: ActiveRequest) {
        guard endpoint.isMultiplexed else { return endClient() }
        guard let conversation = step.conversation, conversation.hasEndedStream else {
            step.conversation?.hasEndedStream = true
            step.conversation?.lastProgress = now
            endpoint.endStream(of: step)
            return
        }
        if hasTimedOut(conversation) { endpoint.reset(step) }
    }
}
