// Encodes frames (RFC 6455 §5): single frames, control frames, and messages in one frame or in fragments. A client's frames are masked with
// keys from the caller, one for each frame; nothing here is random.

import HTTPSemantics
import NIOCore

package enum WebSocketFrameEncoder {
    /// The largest payload of a control frame (RFC 6455 §5.5).
    package static let maximumControlPayload = 125

    /// One frame.
    /// - Parameters:
    ///   - payload: not masked; compressed already if permessage-deflate is used.
    ///   - maskingKey: a new one for each frame of a client (RFC 6455 §5.3); nil for a server.
    package static func frame(
        _ opcode: WebSocketOpcode, _ payload: ByteBuffer, isFinal: Bool = true, reserved: ReservedBits = [],
        maskingKey: MaskingKey? = nil
    ) -> ByteBuffer {
        let header = WebSocketFrameHeader(
            opcode, payloadLength: UInt64(payload.readableBytes), isFinal: isFinal, reserved: reserved, maskingKey: maskingKey)
        var out = ByteBuffer()
        out.reserveCapacity(14 + payload.readableBytes)
        write(header, into: &out)
        if let maskingKey {
            maskingKey.write(payload, into: &out)
        } else {
            out.writeImmutableBuffer(payload)
        }
        return out
    }

    /// A frame's header alone (RFC 6455 §5.2), for a payload that is sent in parts; those are masked by ``MaskingKey``.
    package static func write(_ header: WebSocketFrameHeader, into out: inout ByteBuffer) {
        precondition(header.payloadLength >> 63 == 0, "a frame's length has 63 bits")
        out.writeInteger(header.opcode.rawValue | header.reserved.rawValue | (header.isFinal ? 0x80 : 0))
        let mask: UInt8 = header.maskingKey == nil ? 0 : 0x80
        switch header.payloadLength {
        case 0...125:
            out.writeInteger(UInt8(header.payloadLength) | mask)
        case 126...0xFFFF:
            out.writeInteger(126 | mask)
            out.writeInteger(UInt16(header.payloadLength))
        default:
            out.writeInteger(127 | mask)
            out.writeInteger(header.payloadLength)
        }
        if let key = header.maskingKey { out.writeInteger(key.value) }
    }

    /// A whole message.
    /// - Parameters:
    ///   - deflater: compresses the message (RFC 7692 §6.1); nil sends it uncompressed, which is always allowed.
    ///   - fragmentSize: bytes of payload in each frame but the last; nil: one frame.
    ///   - maskingKey: called once for each frame.
    package static func message(
        _ kind: WebSocketMessage.Kind, _ content: ByteBuffer, deflater: MessageDeflater? = nil, fragmentSize: Int? = nil,
        maskingKey: () -> MaskingKey?
    ) -> ByteBuffer {
        precondition(fragmentSize ?? 1 > 0, "a fragment is not empty")
        var rest = deflater?.compress(content) ?? content
        let reserved: ReservedBits = deflater == nil ? [] : .rsv1
        guard let fragmentSize, rest.readableBytes > fragmentSize else {
            return frame(kind.opcode, rest, reserved: reserved, maskingKey: maskingKey())
        }
        var out = ByteBuffer()
        var isFirst = true
        while rest.readableBytes > 0 {
            let part = rest.readSlice(length: min(fragmentSize, rest.readableBytes)) ?? ByteBuffer()
            out.writeImmutableBuffer(
                frame(
                    isFirst ? kind.opcode : .continuation, part, isFinal: rest.readableBytes == 0,
                    reserved: isFirst ? reserved : [], maskingKey: maskingKey()))
            isFirst = false
        }
        return out
    }

    /// A ping, a pong, or a close whose payload was recorded.
    /// - Throws: if the payload is longer than 125 bytes.
    package static func control(
        _ opcode: WebSocketOpcode, _ payload: ByteBuffer, maskingKey: MaskingKey? = nil
    ) throws(WebSocketError) -> ByteBuffer {
        precondition(opcode.isControl, "\(opcode) is no control frame")
        guard payload.readableBytes <= maximumControlPayload else {
            throw WebSocketError(
                .controlFrame, "a \(opcode) frame of \(payload.readableBytes) bytes is longer than \(maximumControlPayload)")
        }
        return frame(opcode, payload, maskingKey: maskingKey)
    }

    /// A close frame (RFC 6455 §5.5.1). A reason that is too long is cut between characters.
    /// - Parameter close: without a code there is no payload, hence no reason.
    package static func close(_ close: WebSocketClose, maskingKey: MaskingKey? = nil) -> ByteBuffer {
        var payload = ByteBuffer()
        if let code = close.code {
            precondition(CloseCode.isAllowedOnWire(code), "\(code) may not be sent")
            payload.writeInteger(code)
            var length = min(close.reason.utf8.count, maximumControlPayload - 2)
            let bytes = ByteBuffer(string: close.reason)
            if length < bytes.readableBytes {
                let span = bytes.readableBytesUInt8Span
                while length > 0, span[length] & 0xC0 == 0x80 { length -= 1 }
            }
            payload.writeImmutableBuffer(bytes.slice(ByteRange(0, length)))
        }
        return frame(.close, payload, maskingKey: maskingKey)
    }
}
