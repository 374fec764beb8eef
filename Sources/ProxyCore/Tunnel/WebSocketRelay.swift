// A WebSocket conversation that is relayed (RFC 6455): frames are forwarded as they came, while a tee assembles messages for the recording.
// A ping is answered at once, and the other side gets one of its own, without payload, that keeps its connection alive; pongs end here.
// Our own frames wait until the frame that is passing in that direction is whole.

import FlowModel
import HTTPSemantics
import NIOCore
import WebSocketCodec

/// Both directions of one conversation.
struct WebSocketRelay {
    enum Action {
        case send(ByteBuffer, to: Side)
        case record(FlowPiece)
        /// The bytes of a side with a protocol error, from the faulty frame on.
        case recordMalformed(ByteBuffer, from: Side)
        /// A deviation of a side that passes.
        case note(String, of: Side)
    }

    /// The frames of one side.
    private struct Direction {
        var decoder: WebSocketFrameDecoder
        var assembler: WebSocketMessageAssembler
        /// A frame has begun to pass and has not ended.
        var isInFrame = false
        /// Frames of ours that wait for its end.
        var waiting: [ByteBuffer] = []
        /// A frame had the wrong masking.
        var isMaskNoted = false
        /// A close frame has passed in this direction, of the sender's or of ours.
        var hasClosed = false
        /// The sender broke the protocol; further bytes of it are dropped.
        var failure: WebSocketClose?
    }

    /// Frames of ours that wait for the end of one that is passing. Of pings beyond that the newest are answered (RFC 6455 §5.5.3).
    private static let maximumWaiting = 100

    private var fromClient: Direction
    private var fromServer: Direction
    private let pings: WebSocketPings
    private var keys: IdentityGenerator

    /// - Parameters:
    ///   - keys: the source of masking keys.
    ///   - isStrict: wrong masking is an error (RFC 6455 §5.1), as for an endpoint; for an intermediary it is left to the endpoint,
    ///     and noted.
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

    /// Both sides have sent close frames, so the connection may end (RFC 6455 §7.1.4).
    var isClosed: Bool { fromClient.hasClosed && fromServer.hasClosed }

    /// A side broke the protocol in the middle of a frame, after which no close frame can be sent to the other side.
    var isCutInFrame: Bool {
        (fromClient.failure != nil && fromClient.isInFrame) || (fromServer.failure != nil && fromServer.isInFrame)
    }

    /// Receives bytes of one side.
    /// - Throws: the violation of the protocol; what came before it is in `actions`. ``sendClose(into:)`` closes towards the other side, which
    ///   may still be answering; its frames, up to its close frame, go to the side that failed. ``giveUp(into:)`` does not wait for it.
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

    /// Takes the parts of messages that will not be complete.
    mutating func takeIncomplete() -> [FlowPiece] { takeIncomplete(from: .client) + takeIncomplete(from: .server) }

    private mutating func takeIncomplete(from side: Side) -> [FlowPiece] {
        guard let message = self[side].assembler.takeIncomplete(), message.content.readableBytes > 0 else { return [] }
        return [piece(message, from: side)]
    }

    /// Sends a close frame to the side without the protocol error.
    mutating func sendClose(into actions: inout [Action]) {
        for side in [Side.client, .server] {
            guard let close = self[side].failure else { continue }
            let frame = WebSocketFrameEncoder.close(close, maskingKey: key(to: side.opposite))
            send(frame, to: side.opposite, isClose: true, &actions)
        }
    }

    /// Sends close frames to both sides, unless they were sent.
    mutating func giveUp(into actions: inout [Action]) {
        sendClose(into: &actions)
        for side in [Side.client, .server] {
            guard let close = self[side].failure else { continue }
            send(WebSocketFrameEncoder.close(close, maskingKey: key(to: side)), to: side, isClose: true, &actions)
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
            send(frame(.pong, part.payload, to: side), to: side, &actions)
            send(frame(.ping, ByteBuffer(), to: side.opposite), to: side.opposite, &actions)
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

    /// Forwards a part of a frame as it came, and after a whole frame the frames that waited for its end.
    private mutating func pass(_ part: WebSocketFramePart, from side: Side, _ actions: inout [Action]) {
        actions.append(.send(part.wire, to: side.opposite))
        self[side].isInFrame = !part.isLast
        guard part.isLast else { return }
        for frame in self[side].waiting { actions.append(.send(frame, to: side.opposite)) }
        self[side].waiting = []
    }

    /// Sends a frame of our own, as if the other side had sent it.
    private mutating func send(_ frame: ByteBuffer, to side: Side, isClose: Bool = false, _ actions: inout [Action]) {
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

    /// A client masks its frames (RFC 6455 §5.3), and to a server we are the client.
    private mutating func key(to side: Side) -> MaskingKey? { side == .server ? MaskingKey(keys.random()) : nil }
}
