// The elements of the base framing protocol (RFC 6455 §5.2): opcode, reserved bits, the header of a frame, and a part of a frame as it was
// received.

import NIOCore

package enum WebSocketOpcode: UInt8, Sendable, Hashable, CaseIterable {
    case continuation = 0
    case text = 1
    case binary = 2
    case close = 8
    case ping = 9
    case pong = 10

    /// Close, ping and pong: at most 125 bytes, never fragmented, allowed between the fragments of a message (RFC 6455 §5.5).
    package var isControl: Bool { rawValue >= 8 }
}

/// The bits RSV1 to RSV3 of a frame's first byte, which have a meaning only if an extension defines one.
package struct ReservedBits: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Set on the first frame of a message that permessage-deflate compressed (RFC 7692 §6).
    package static let rsv1 = ReservedBits(rawValue: 0x40)
    package static let rsv2 = ReservedBits(rawValue: 0x20)
    package static let rsv3 = ReservedBits(rawValue: 0x10)
}

/// The header of a frame (RFC 6455 §5.2).
package struct WebSocketFrameHeader: Sendable, Hashable {
    /// FIN: the message's last frame.
    package var isFinal: Bool
    package var reserved: ReservedBits
    package var opcode: WebSocketOpcode
    /// nil: the payload is not masked.
    package var maskingKey: MaskingKey?
    /// Bytes.
    package var payloadLength: UInt64

    package init(
        _ opcode: WebSocketOpcode, payloadLength: UInt64, isFinal: Bool = true, reserved: ReservedBits = [],
        maskingKey: MaskingKey? = nil
    ) {
        self.isFinal = isFinal
        self.reserved = reserved
        self.opcode = opcode
        self.maskingKey = maskingKey
        self.payloadLength = payloadLength
    }
}

/// A part of a frame: the bytes that had been received when it was requested. A control frame is always one part.
package struct WebSocketFramePart: Sendable, Equatable {
    package var header: WebSocketFrameHeader
    /// The number of bytes of the frame's payload in earlier parts.
    package var offset: UInt64
    /// This part of the payload, unmasked.
    package var payload: ByteBuffer
    /// The bytes as they were received: the frame's header in the first part, and the masked payload. Concatenated over a connection they
    /// are exactly the bytes that were received, so sending `wire` forwards a frame unchanged.
    package var wire: ByteBuffer
    /// This part contains the header.
    package var isFirst: Bool

    package init(header: WebSocketFrameHeader, offset: UInt64 = 0, payload: ByteBuffer, wire: ByteBuffer, isFirst: Bool = true) {
        self.header = header
        self.offset = offset
        self.payload = payload
        self.wire = wire
        self.isFirst = isFirst
    }

    /// The frame ends with this part.
    package var isLast: Bool { offset + UInt64(payload.readableBytes) == header.payloadLength }
}
