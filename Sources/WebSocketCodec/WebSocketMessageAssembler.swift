// Assembles messages from the frames of one side (RFC 6455 §5.4): joins fragments, inflates permessage-deflate (RFC 7692 §6.2), validates
// text as it is received (RFC 6455 §8.1), reads close frames. Parts of frames go in, and events are pulled out. A message longer than a
// limit comes in several pieces, so that memory is bounded and nothing is lost; compressed content is inflated piece by piece, as it is
// pulled.

import HTTPSemantics
import NIOCore

/// Limits of an assembler.
package struct WebSocketLimits: Sendable, Equatable {
    /// Bytes of content in one piece, at least 4. Longer messages come in several pieces. Nearly all messages are below 1 MiB; one piece of
    /// each direction of each connection may be in memory.
    package var maximumPieceSize = 4 << 20
    /// Bytes of content in one message; a longer one is an error, 1009. Firefox refuses those of 2 GiB and more
    /// (network.websocket.max-message-size), and it ends what a small frame can inflate to.
    package var maximumMessageSize: UInt64 = 2 << 30

    package init() {}
}

/// An assembler for one direction of one connection. It relies on the order of the parts and their reserved bits, which the decoder has
/// checked. Copies share one inflater, so keep only one.
package struct WebSocketMessageAssembler {
    private let limits: WebSocketLimits
    private let inflater: MessageInflater?
    private var parts = CircularBuffer<WebSocketFramePart>()
    /// The message that is not complete.
    private var open: OpenMessage?
    private var failure: WebSocketError?

    /// - Parameter compression: how the sender compresses; nil if permessage-deflate was not agreed on.
    /// - Throws: if zlib has no memory.
    package init(compression: PerMessageDeflate.Direction?, limits: WebSocketLimits = WebSocketLimits()) throws(WebSocketError) {
        precondition(limits.maximumPieceSize >= 4, "a piece has room for a character")
        self.limits = limits
        if let compression {
            inflater = try MessageInflater(compression)
        } else {
            inflater = nil
        }
    }

    /// Takes a part of a frame.
    package mutating func receive(_ part: WebSocketFramePart) { parts.append(part) }

    /// The next event.
    /// - Returns: nil if more parts are needed.
    /// - Throws: the first error, and the same error on each later call. ``takeIncomplete()`` returns the content before it.
    package mutating func next() throws(WebSocketError) -> WebSocketEvent? {
        if let failure { throw failure }
        do throws(WebSocketError) {
            while true {
                if let piece = try nextPiece() { return .message(piece) }
                guard let part = parts.popFirst() else { return nil }
                if part.header.opcode.isControl { return try control(part) }
                take(part)
            }
        } catch {
            failure = error
            throw error
        }
    }

    /// The rest of a message that will not be complete, because the connection was lost or an error occurred. It is not the last piece of
    /// its message; text may end within a character or with bytes that are not UTF-8.
    /// - Returns: nil if no message is open.
    package mutating func takeIncomplete() -> WebSocketMessage? {
        guard let message = open.take() else { return nil }
        return message.piece(message.content, isLast: false)
    }

    private func control(_ part: WebSocketFramePart) throws(WebSocketError) -> WebSocketEvent {
        switch part.header.opcode {
        case .ping: .ping(part.payload)
        case .pong: .pong(part.payload)
        default: .close(try WebSocketClose(parsing: part.payload), payload: part.payload)
        }
    }

    /// Adds a part to the open message, or opens one with it.
    private mutating func take(_ part: WebSocketFramePart) {
        let header = part.header
        if header.opcode != .continuation, part.isFirst {
            let isCompressed = header.reserved.contains(.rsv1)
            open = OpenMessage(
                kind: header.opcode == .text ? .text : .binary, inflater: isCompressed ? inflater : nil)
        }
        open?.receive(part)
    }

    private mutating func nextPiece() throws(WebSocketError) -> WebSocketMessage? {
        guard var message = open.take() else { return nil }
        do throws(WebSocketError) {
            let piece = try message.nextPiece(limits)
            if piece?.isLast != true { open = message }
            return piece
        } catch {
            open = message
            throw error
        }
    }
}

/// A message that is not complete, and its content that was not returned yet.
private struct OpenMessage {
    let kind: WebSocketMessage.Kind
    /// nil: the message is not compressed.
    let inflater: MessageInflater?
    private(set) var content = ByteBuffer()
    private var offset: UInt64 = 0
    private var wireSize: UInt64 = 0
    private var frames: UInt32 = 0
    private var text = UTF8Validator()
    /// Uncompressed payload that has not become content yet.
    private var input = ByteBuffer()
    /// The last part of the last frame was received, and all of its payload has become content.
    private var hasEnded = false
    private var isComplete = false

    init(kind: WebSocketMessage.Kind, inflater: MessageInflater?) {
        self.kind = kind
        self.inflater = inflater
    }

    /// Takes a part, after the input of those before it has been used up.
    mutating func receive(_ part: WebSocketFramePart) {
        wireSize += UInt64(part.payload.readableBytes)
        // Empty fragments cost a peer nothing, so any number of them must be countable.
        if part.isFirst, frames < .max { frames += 1 }
        hasEnded = part.header.isFinal && part.isLast
        guard let inflater else {
            input = part.payload
            return
        }
        inflater.receive(part.payload)
        if hasEnded { inflater.receivedEnd() }
    }

    /// Produces content until a piece is full or the message ends.
    /// - Returns: nil if the input is used up and the message continues.
    mutating func nextPiece(_ limits: WebSocketLimits) throws(WebSocketError) -> WebSocketMessage? {
        while true {
            if content.readableBytes > limits.maximumPieceSize { return cutPiece(limits.maximumPieceSize) }
            if isComplete { return piece(content, isLast: true) }
            let before = content.readableBytes
            // One byte more than fits shows that this is not the last piece.
            try makeContent(limits.maximumPieceSize + 1 - before)
            try check(from: before, limits)
            if !isComplete, content.readableBytes == before { return nil }
        }
    }

    /// - Parameter room: the maximum number of bytes to produce; more than 0.
    private mutating func makeContent(_ room: Int) throws(WebSocketError) {
        if let inflater {
            isComplete = try inflater.inflate(into: &content, maximum: room)
            return
        }
        let taken = input.readSlice(length: min(room, input.readableBytes)) ?? ByteBuffer()
        if content.readableBytes == 0 {
            content = taken
        } else {
            content.writeImmutableBuffer(taken)
        }
        isComplete = hasEnded && input.readableBytes == 0
    }

    /// Checks content that was produced.
    /// - Parameter start: the number of bytes of the content that were checked before.
    private mutating func check(from start: Int, _ limits: WebSocketLimits) throws(WebSocketError) {
        guard offset + UInt64(content.readableBytes) <= limits.maximumMessageSize else {
            throw WebSocketError(
                .tooBig, closeCode: CloseCode.tooBig, "a message is larger than \(limits.maximumMessageSize) bytes")
        }
        guard kind == .text else { return }
        guard text.accept(content, from: start), text.isComplete || !isComplete else {
            throw WebSocketError(.notUTF8, closeCode: CloseCode.invalidPayload, "a text message is not UTF-8")
        }
    }

    /// Takes a full piece from the content; text is cut between characters.
    private mutating func cutPiece(_ size: Int) -> WebSocketMessage {
        var size = size
        if kind == .text {
            let bytes = content.readableBytesUInt8Span
            while bytes[size] & 0xC0 == 0x80 { size -= 1 }
        }
        let result = piece(content.slice(ByteRange(0, size)), isLast: false)
        // These few bytes get storage of their own: appending to a buffer that shares storage with the piece would copy the piece.
        content = ByteBuffer(bytes: content.slice(ByteRange(size, content.readableBytes)).readableBytesView)
        offset += UInt64(size)
        (wireSize, frames) = (0, 0)
        return result
    }

    func piece(_ content: ByteBuffer, isLast: Bool) -> WebSocketMessage {
        WebSocketMessage(
            kind, content, offset: offset, isLast: isLast, wireSize: wireSize, frames: frames, isCompressed: inflater != nil)
    }
}
