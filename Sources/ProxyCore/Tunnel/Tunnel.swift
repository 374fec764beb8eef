// A stream of bytes in both directions that is not HTTP: after CONNECT, after 101, or of a client that speaks another protocol.

import FlowModel
import HTTPSemantics
import NIOCore
import WebSocketCodec

/// The flow of one tunnel and the state of its two ends. It records; its owner sends.
final class Tunnel {
    /// The kind of its bytes.
    enum Content {
        /// Recorded as they come. The sides that have sent something.
        case bytes(by: Set<Side>)
        /// The frames of a WebSocket conversation.
        case webSocket(WebSocketRelay, Failure?)
        /// Counted only.
        case passthrough(PassthroughSizes)
    }

    /// A violation of the protocol that ends a WebSocket conversation.
    struct Failure {
        let error: FlowError
        /// The other side has its close frame.
        var isCloseSent = false
    }

    /// The other end of the client's stream.
    enum Server {
        /// A connection, which the client's stack has.
        case connection
        case recorded(RecordedStream)
    }

    let flow: FlowID
    /// Data is written to the event log.
    let logsData: Bool
    private(set) var content: Content
    /// The sides that send no more, the first one first.
    private(set) var ends: [Side] = []
    private(set) var server: Server

    init(_ flow: FlowID, _ content: Content = .bytes(by: []), logsData: Bool = false, server: Server = .connection) {
        self.flow = flow
        self.content = content
        self.logsData = logsData
        self.server = server
    }

    // MARK: The server

    var recorded: RecordedStream? {
        if case .recorded(let stream) = server { stream } else { nil }
    }

    /// A recording takes the place of the server.
    func play(_ stream: RecordedStream) { server = .recorded(stream) }

    // MARK: Kind

    var isPassthrough: Bool {
        if case .passthrough = content { true } else { false }
    }

    var isWebSocket: Bool {
        if case .webSocket = content { true } else { false }
    }

    /// A WebSocket conversation in which both sides have sent their close frames.
    var isClosed: Bool {
        if case .webSocket(let relay, _) = content { relay.isClosed } else { false }
    }

    /// A WebSocket conversation that ends within a frame.
    var isCutInFrame: Bool {
        if case .webSocket(let relay, _) = content { relay.isCutInFrame } else { false }
    }

    var failure: Failure? {
        if case .webSocket(_, let failure) = content { failure } else { nil }
    }

    func hasSent(_ side: Side) -> Bool {
        switch content {
        case .bytes(let senders): senders.contains(side)
        case .webSocket: true
        case .passthrough(let sizes): (side == .client ? sizes.fromClient : sizes.fromServer) > 0
        }
    }

    // MARK: Ends

    var isEnded: Bool { ends.count == 2 }
    var closedBy: Side? { ends.first }
    func hasEnded(_ side: Side) -> Bool { ends.contains(side) }

    /// A side sends no more.
    func end(_ side: Side) { ends.append(side) }

    /// One side has ended, and there is nothing that the other could be answering: the client never sent anything, and the server does not
    /// speak first; or both have sent close frames in WebSocket (RFC 6455 §7.1.1). It has some time to end too. Otherwise there is no
    /// limit, because a half-closed connection still carries data.
    var isNothingOutstanding: Bool {
        if isWebSocket { return isClosed }
        return hasEnded(.client) && recorded == nil && !hasSent(.client) && !hasSent(.server)
    }

    /// The end of the tunnel when both sides have ended, or one has and the other has nothing to send.
    func ending(at now: Timestamp) -> FlowEnding {
        guard isWebSocket, !isClosed else { return FlowEnding(state: .complete, closedBy: closedBy) }
        // RFC 6455 §7.1.5: known to both sides as 1006.
        let message = "the connection was closed without the close frames of both sides (1006)"
        let error = FlowError(side: closedBy, message: message, at: now)
        return FlowEnding(state: .incomplete, error: error, closedBy: closedBy)
    }

    // MARK: Bytes

    /// Records bytes that pass; those of a passthrough are counted.
    func record(_ bytes: ByteBuffer, from side: Side, at: Timestamp, _ context: SessionContext) {
        switch content {
        case .passthrough(var sizes):
            if side == .client {
                sizes.fromClient += UInt64(bytes.readableBytes)
            } else {
                sizes.fromServer += UInt64(bytes.readableBytes)
            }
            content = .passthrough(sizes)
        case .bytes(let senders):
            context.record(flow, at: at, .piece(FlowPiece(from: side, content: bytes)))
            if !senders.contains(side) { content = .bytes(by: senders.union([side])) }
        case .webSocket:
            context.record(flow, at: at, .piece(FlowPiece(from: side, content: bytes)))
        }
    }

    /// Reads the frames of a side of a conversation.
    /// - Returns: the violation of the protocol, if there is one.
    func receiveFrames(
        _ bytes: ByteBuffer, from side: Side, into actions: inout [WebSocketRelay.Action], at now: Timestamp
    ) -> Failure? {
        changeRelay { relay, failure in
            do throws(WebSocketError) {
                try relay.receive(bytes, from: side, into: &actions)
                return nil
            } catch {
                let broken = FlowError(side: side, message: "\(error.message) (\(error.closeCode))", at: now)
                failure = Failure(error: broken)
                return failure
            }
        } ?? nil
    }

    /// Sends a close frame to the side without the protocol error.
    func sendClose(into actions: inout [WebSocketRelay.Action]) {
        changeRelay { relay, failure in
            relay.sendClose(into: &actions)
            failure?.isCloseSent = true
        }
    }

    /// Sends close frames to both sides, unless they were sent.
    func giveUp(into actions: inout [WebSocketRelay.Action]) { changeRelay { relay, _ in relay.giveUp(into: &actions) } }

    /// The relay has one owner while it works, so that nothing in it is copied.
    @discardableResult
    private func changeRelay<Result>(_ change: (inout WebSocketRelay, inout Failure?) -> Result) -> Result? {
        guard case .webSocket(var relay, var failure) = content else { return nil }
        content = .bytes(by: [])
        defer { content = .webSocket(relay, failure) }
        return change(&relay, &failure)
    }

    // MARK: The end of the flow

    /// Records the end.
    /// - Parameter early: bytes of both sides that could not be relayed.
    func recordEnd(
        _ ending: FlowEnding, early: [(bytes: ByteBuffer, at: Timestamp, side: Side)], _ context: SessionContext
    ) {
        var ending = ending
        for piece in changeRelay({ relay, _ in relay.takeIncomplete() }) ?? [] {
            context.record(flow, at: context.now, .piece(piece))
        }
        for (bytes, at, side) in early { record(bytes, from: side, at: at, context) }
        if case .passthrough(let sizes) = content { ending.passthrough = sizes }
        context.record(flow, at: context.now, .ended(ending))
    }
}
