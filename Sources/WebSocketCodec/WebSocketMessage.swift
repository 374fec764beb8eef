// The events of one side of a WebSocket connection: messages, pings, pongs, and the close (RFC 6455 §5.5, §5.6).

import NIOCore

/// An event of one side.
package enum WebSocketEvent: Sendable, Equatable {
    case message(WebSocketMessage)
    case ping(ByteBuffer)
    case pong(ByteBuffer)
    /// - Parameter payload: code and reason as they were received.
    case close(WebSocketClose, payload: ByteBuffer)
}

/// A message, or a piece of one that is too long to be kept in memory.
package struct WebSocketMessage: Sendable, Equatable {
    package enum Kind: Sendable, Hashable {
        case text
        case binary

        package var opcode: WebSocketOpcode { self == .text ? .text : .binary }
    }

    package var kind: Kind
    /// The content after permessage-deflate. Text that is cut is cut between characters.
    package var content: ByteBuffer
    /// Bytes of the message's content in earlier pieces; 0 for a message in one piece.
    package var offset: UInt64 = 0
    /// The message ends with this piece.
    package var isLast = true
    /// Bytes of payload on the wire (compressed) since the piece before. The sum over the pieces is that of the message.
    package var wireSize: UInt64
    /// Frames that began since the piece before. The sum over the pieces is that of the message.
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
    /// nil: the frame has no payload, which is reported as 1005.
    package var code: UInt16?
    package var reason: String

    package init(code: UInt16?, reason: String = "") {
        self.code = code
        self.reason = reason
    }

    /// - Throws: 1002 if the code is incomplete or must not be sent, 1007 if the reason is not UTF-8.
    package init(parsing payload: ByteBuffer) throws(WebSocketError) {
        guard payload.readableBytes > 0 else {
            self.init(code: nil)
            return
        }
        guard let code = payload.getInteger(at: payload.readerIndex, as: UInt16.self) else {
            throw WebSocketError(.closePayload, "a close frame has an incomplete code")
        }
        guard CloseCode.isAllowedOnWire(code) else {
            throw WebSocketError(.closePayload, "a close frame has the code \(code), which must not be sent")
        }
        var reason = payload
        reason.moveReaderIndex(forwardBy: 2)
        guard reason.isUTF8 else {
            throw WebSocketError(.notUTF8, closeCode: CloseCode.invalidPayload, "the reason in a close frame is not UTF-8")
        }
        self.init(code: code, reason: String(buffer: reason))
    }
}
