// The extent of a conversation without its content.

import HTTPSemantics
import NIOCore

/// What the two sides of a conversation sent.
package struct ConversationSizes: Sendable, Equatable {
    package struct Sent: Sendable, Equatable {
        /// WebSocket: messages without control frames. Otherwise pieces as they were received.
        package var messages = 0
        /// Bytes of them, without compression.
        package var bytes: UInt64 = 0
        /// A message is not all stored: ``FlowPiece/cut``.
        package var isCut = false
    }

    package var client = Sent()
    package var server = Sent()
    /// The content of the first close frame of a WebSocket, and its sender.
    package var close: (content: ByteBuffer, from: Side)? {
        get { closeFrom.map { (closeContent, $0) } }
        set { (closeContent, closeFrom) = (newValue?.content ?? ByteBuffer(), newValue?.from) }
    }
    private var closeContent = ByteBuffer()
    private var closeFrom: Side?

    package init() {}

    /// Counts a piece, or a part of one.
    /// - Parameter endsMessage: false for a part that another one follows.
    package mutating func count(
        _ kind: FlowPiece.Kind, from: Side, size: UInt64, endsMessage: Bool = true, isCut: Bool = false
    ) {
        if isCut {
            if from == .client { client.isCut = true } else { server.isCut = true }
        }
        switch kind {
        case .data, .text, .binary: break
        case .ping, .pong, .close: return
        }
        var sent = from == .client ? client : server
        sent.messages += endsMessage ? 1 : 0
        sent.bytes &+= size
        if from == .client { client = sent } else { server = sent }
    }

    package mutating func count(_ piece: FlowPiece) {
        count(piece.kind, from: piece.from, size: piece.size, isCut: piece.cut != nil)
        if piece.kind == .close, close == nil { close = (piece.content, piece.from) }
    }
}

/// The content of a WebSocket close frame (RFC 6455 section 5.5.1).
package struct CloseReason: Sendable, Equatable {
    package var code: UInt16
    package var reason: ByteBuffer

    /// - Returns: nil if the frame has no code.
    package init?(_ content: ByteBuffer) {
        guard let code: UInt16 = content.getInteger(at: content.readerIndex) else { return nil }
        self.code = code
        reason = content.getSlice(at: content.readerIndex + 2, length: content.readableBytes - 2) ?? ByteBuffer()
    }
}
