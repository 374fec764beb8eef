// What one side says on a WebSocket connection: messages, pings, pongs, and the close (RFC 6455 §5.5, §5.6).

import NIOCore

/// What has come from one side.
package enum WebSocketEvent: Sendable, Equatable {
    case message(WebSocketMessage)
    case ping(ByteBuffer)
    case pong(ByteBuffer)
    /// - Parameter payload: as it came, code and reason.
    case close(WebSocketClose, payload: ByteBuffer)
}

/// A message, or a piece of one that is too long to be kept whole.
package struct WebSocketMessage: Sendable, Equatable {
    package enum Kind: Sendable, Hashable {
        case text
        case binary

        package var opcode: WebSocketOpcode { self == .text ? .text : .binary }
    }

    package var kind: Kind
    /// The content after permessage-deflate. Text that is cut is cut between characters.
    package var content: ByteBuffer
    /// Bytes of the message's content that came in earlier pieces; 0 for a message in one piece.
    package var offset: UInt64 = 0
    /// The message ends with this piece.
    package var isLast = true
    /// Bytes of payload on the wire, as compressed, that came since the piece before. Added up over the pieces, those of the message.
    package var wireSize: UInt64
    /// Frames that began since the piece before. Added up over the pieces, those of the message.
    package var frames: UInt32 = 1
    /// permessage-deflate compressed the message.
    package var isCompressed = false

    package init(
        _ kind: Kind, _ content: ByteBuffer, offset: UInt64 = 0, isLast: Bool = true, wireSize: UInt64? = nil, frames: UInt32 = 1,
        isCompressed: Bool = false
    ) {
        self.kind = kind
        self.content = content
        self.offset = offset
        self.isLast = isLast
        self.wireSize = wireSize ?? UInt64(content.readableBytes)
        self.frames = frames
        self.isCompressed = isCompressed
    }
}

/// The payload of a close frame (RFC 6455 §5.5.1).
package struct WebSocketClose: Sendable, Hashable {
    /// nil: the frame has no payload, which is told as 1005.
    package var code: UInt16?
    package var reason: String

    package init(code: UInt16?, reason: String = "") {
        self.code = code
        self.reason = reason
    }

    /// - Throws: 1002 when there is half a code or one that may not be sent, 1007 when the reason is not UTF-8.
    package init(parsing payload: ByteBuffer) throws(WebSocketError) {
        guard payload.readableBytes > 0 else {
            self.init(code: nil)
            return
        }
        guard let code = payload.getInteger(at: payload.readerIndex, as: UInt16.self) else {
            throw WebSocketError(.closePayload, "a close frame holds half a code")
        }
        guard CloseCode.isAllowedOnWire(code) else {
            throw WebSocketError(.closePayload, "a close frame holds the code \(code), which may not be sent")
        }
        var reason = payload
        reason.moveReaderIndex(forwardBy: 2)
        guard reason.isUTF8 else {
            throw WebSocketError(.notUTF8, closeCode: CloseCode.invalidPayload, "the reason in a close frame is not UTF-8")
        }
        self.init(code: code, reason: String(buffer: reason))
    }
}
