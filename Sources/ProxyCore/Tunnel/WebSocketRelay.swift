// A WebSocket conversation on its way through (RFC 6455): frames go on as they came, while a tee makes messages of them for the recording.
// A ping is answered at once, and the other side gets one of its own, without payload, that keeps its connection alive; pongs end here.
// What we say ourselves waits until the frame that is passing in that direction is whole.

import FlowModel
import HTTPSemantics
import NIOCore
import WebSocketCodec

/// Both directions of one conversation.
struct WebSocketRelay {
    enum Action {
        case send(ByteBuffer, to: Side)
        case record(FlowPiece)
        /// The bytes of a side that broke the protocol, from the frame on that did.
        case recordMalformed(ByteBuffer, from: Side)
        /// Something of a side is unusual, and passes all the same.
        case note(String, of: Side)
    }

    /// What one side says.
    private struct Direction {
        var decoder: WebSocketFrameDecoder
        var assembler: WebSocketMessageAssembler
        /// A frame has begun to pass and has not ended.
        var isInFrame = false
        /// Frames of ours that wait for its end.
        var waiting: [ByteBuffer] = []
        /// A frame was masked that should not be, or the other way round.
        var isMaskNoted = false
        /// A close frame has passed in this direction, of the sender's or of ours.
        var hasClosed = false
        /// The sender broke the protocol; what else it says is dropped.
        var failure: WebSocketClose?
    }

    /// Frames of ours that wait for the end of one that is passing. Of pings beyond that the newest are answered (RFC 6455 §5.5.3).
    private static let maximumWaiting = 100

    private var fromClient: Direction
    private var fromServer: Direction
    private let pings: WebSocketPings
    private var keys: IdentityGenerator

    /// - Parameters:
    ///   - keys: where masking keys come from.
    ///   - isStrict: masking is judged (RFC 6455 §5.1) as the peer at the end of the conversation has to; on the way through that is left to
    ///     it, and noted.
    init(
        _ agreement: WebSocketAgreement, pings: WebSocketPings, keys: IdentityGenerator, isStrict: Bool = false
    ) throws(WebSocketError) {
        var limits = WebSocketLimits()
        limits.maximumPieceSize = 16 << 20
        let compression = agreement.compression
        let allowed: ReservedBits = compression == nil ? [] : .rsv1
        fromClient = Direction(
            decoder: WebSocketFrameDecoder(from: .client, allowing: allowed, isStrict: isStrict),
            assembler: try WebSocketMessageAssembler(compression: compression?.client, limits: limits))
        fromServer = Direction(
            decoder: WebSocketFrameDecoder(from: .server, allowing: allowed, isStrict: isStrict),
            assembler: try WebSocketMessageAssembler(compression: compression?.server, limits: limits))
        self.pings = pings
        self.keys = keys
    }

    private subscript(_ sender: Side) -> Direction {
        get { sender == .client ? fromClient : fromServer }
        _modify { if sender == .client { yield &fromClient } else { yield &fromServer } }
    }

    /// Both sides have said that they close, so that the connection may end (RFC 6455 §7.1.4).
    var isClosed: Bool { fromClient.hasClosed && fromServer.hasClosed }

    /// A side broke the protocol in the middle of a frame, behind which the other side cannot be told.
    var isCutInFrame: Bool {
        (fromClient.failure != nil && fromClient.isInFrame) || (fromServer.failure != nil && fromServer.isInFrame)
    }

    /// Takes bytes of one side.
    /// - Throws: what the side did wrong; what came before it is in `actions`. The other side, which may still be answering that, is told by
    ///   ``tell(into:)``; what it says, its close frame at the last, goes to the side that failed. ``giveUp(into:)`` does not wait for it.
    mutating func receive(_ bytes: ByteBuffer, from side: Side, into actions: inout [Action]) throws(WebSocketError) {
        guard self[side].failure == nil else { return }
        self[side].decoder.receive(bytes)
        var refused = ByteBuffer()
        do throws(WebSocketError) {
            while let part = try self[side].decoder.next() {
                refused = part.wire
                try receive(part, from: side, &actions)
                refused = ByteBuffer()
            }
        } catch {
            actions += takeIncomplete(from: side).map { .record($0) }
            refused.writeImmutableBuffer(self[side].decoder.takeRest())
            actions.append(.recordMalformed(refused, from: side))
            let close = WebSocketClose(code: error.closeCode, reason: error.message)
            self[side].failure = close
            throw error
        }
    }

    /// What has come of messages that will not be complete.
    mutating func takeIncomplete() -> [FlowPiece] { takeIncomplete(from: .client) + takeIncomplete(from: .server) }

    private mutating func takeIncomplete(from side: Side) -> [FlowPiece] {
        guard let message = self[side].assembler.takeIncomplete(), message.content.readableBytes > 0 else { return [] }
        return [piece(message, from: side)]
    }

    /// Tells the other side that one broke the protocol.
    mutating func tell(into actions: inout [Action]) {
        for side in [Side.client, .server] {
            guard let close = self[side].failure else { continue }
            let frame = WebSocketFrameEncoder.close(close, maskingKey: key(to: side.opposite))
            say(frame, to: side.opposite, isClose: true, &actions)
        }
    }

    /// Tells both sides, where they were not told.
    mutating func giveUp(into actions: inout [Action]) {
        tell(into: &actions)
        for side in [Side.client, .server] {
            guard let close = self[side].failure else { continue }
            say(WebSocketFrameEncoder.close(close, maskingKey: key(to: side)), to: side, isClose: true, &actions)
        }
    }

    private mutating func receive(
        _ part: WebSocketFramePart, from side: Side, _ actions: inout [Action]
    ) throws(WebSocketError) {
        noteMask(of: part, from: side, &actions)
        switch part.header.opcode {
        case .ping:
            actions.append(.record(FlowPiece(kind: .ping, from: side, content: part.payload)))
            if pings == .relay { return pass(part, from: side, &actions) }
            say(frame(.pong, part.payload, to: side), to: side, &actions)
            say(frame(.ping, ByteBuffer(), to: side.opposite), to: side.opposite, &actions)
        case .pong:
            actions.append(.record(FlowPiece(kind: .pong, from: side, content: part.payload)))
            if pings == .relay { pass(part, from: side, &actions) }
        case .close:
            actions.append(.record(FlowPiece(kind: .close, from: side, content: part.payload)))
            _ = try WebSocketClose(parsing: part.payload)
            pass(part, from: side, &actions)
            self[side].hasClosed = true
        case .text, .binary, .continuation:
            pass(part, from: side, &actions)
            self[side].assembler.receive(part)
            while let event = try self[side].assembler.next() {
                if case .message(let message) = event { actions.append(.record(piece(message, from: side))) }
            }
        }
    }

    /// RFC 6455 §5.1: a client masks its frames, a server does not.
    private mutating func noteMask(of part: WebSocketFramePart, from side: Side, _ actions: inout [Action]) {
        let isMasked = part.header.maskingKey != nil
        guard part.isFirst, isMasked != (side == .client), !self[side].isMaskNoted else { return }
        self[side].isMaskNoted = true
        let message = isMasked ? "the server masks its WebSocket frames" : "the client does not mask its WebSocket frames"
        actions.append(.note(message, of: side))
    }

    private func piece(_ message: WebSocketMessage, from side: Side) -> FlowPiece {
        FlowPiece(
            kind: message.kind == .text ? .text : .binary, from: side, content: message.content, wireSize: message.wireSize,
            frames: message.frames)
    }

    /// Passes a part of a frame on as it came, and behind a whole frame what waited for its end.
    private mutating func pass(_ part: WebSocketFramePart, from side: Side, _ actions: inout [Action]) {
        actions.append(.send(part.wire, to: side.opposite))
        self[side].isInFrame = !part.isLast
        guard part.isLast else { return }
        for frame in self[side].waiting { actions.append(.send(frame, to: side.opposite)) }
        self[side].waiting = []
    }

    /// Sends a frame of our own, as if the other side had said it.
    private mutating func say(_ frame: ByteBuffer, to side: Side, isClose: Bool = false, _ actions: inout [Action]) {
        guard !self[side.opposite].hasClosed else { return }
        self[side.opposite].hasClosed = isClose
        if self[side.opposite].isInFrame {
            self[side.opposite].waiting.append(frame)
            // A close frame is the last of them.
            if self[side.opposite].waiting.count > Self.maximumWaiting { self[side.opposite].waiting.removeFirst() }
        } else {
            actions.append(.send(frame, to: side))
        }
    }

    private mutating func frame(_ opcode: WebSocketOpcode, _ payload: ByteBuffer, to side: Side) -> ByteBuffer {
        WebSocketFrameEncoder.frame(opcode, payload, maskingKey: key(to: side))
    }

    /// What a client sends is masked (RFC 6455 §5.3), and to a server we are one.
    private mutating func key(to side: Side) -> MaskingKey? { side == .server ? MaskingKey(keys.random()) : nil }
}
