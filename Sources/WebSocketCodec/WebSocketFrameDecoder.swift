// Decodes the frames that one side of a connection sends (RFC 6455 §5). Bytes go in as they are received, and parts of frames are pulled
// out. A payload is never buffered, except that of a control frame, which is at most 125 bytes. A part contains slices of the received
// bytes, and for masked payload an unmasked copy. Nothing after a close frame is decoded (RFC 6455 §5.5.1).

import HTTPSemantics
import NIOCore

/// A decoder for one direction of one connection.
package struct WebSocketFrameDecoder: Sendable {
    private enum State: Equatable {
        case header
        case payload(WebSocketFrameHeader, received: UInt64)
        case closed
        case failed(WebSocketError)
    }

    private let sender: Side
    private let allowed: ReservedBits
    private let isStrict: Bool
    private var buffer = ByteBuffer()
    private var state = State.header
    /// A message has begun and its last frame has not.
    private var isInMessage = false

    /// - Parameters:
    ///   - sender: the side that sends these frames: a client masks them, a server does not (RFC 6455 §5.1).
    ///   - allowed: the bits that the negotiated extensions define for the first frame of a message: RSV1 for permessage-deflate. All others
    ///     are refused.
    ///   - isStrict: unmasked frames of a client and masked frames of a server are refused. Otherwise they are read.
    package init(from sender: Side, allowing allowed: ReservedBits = [], isStrict: Bool = true) {
        self.sender = sender
        self.allowed = allowed
        self.isStrict = isStrict
    }

    /// Takes received bytes. Nothing is copied if the decoder has consumed those before.
    package mutating func receive(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.writeImmutableBuffer(bytes)
        }
    }

    package var bufferedBytes: Int { buffer.readableBytes }

    /// A close frame was received: anything after it is ignored.
    package var isClosed: Bool { state == .closed }

    /// No frame and no message is incomplete. If the connection ends here, nothing is lost, though the end is clean only after a close
    /// frame.
    package var isBetweenMessages: Bool {
        (state == .header || state == .closed) && !isInMessage && buffer.readableBytes == 0
    }

    /// All bytes that were not consumed. The decoder is empty afterwards.
    package mutating func takeRest() -> ByteBuffer {
        defer { buffer = ByteBuffer() }
        return buffer
    }

    /// The next part of a frame.
    /// - Returns: nil if more bytes are needed, and after a close frame.
    /// - Throws: the first error, and the same error on each later call. The bytes of a refused header stay in the decoder.
    package mutating func next() throws(WebSocketError) -> WebSocketFramePart? {
        do throws(WebSocketError) {
            switch state {
            case .header: return try nextFrame()
            case .payload(let header, let received): return nextPayload(header, received)
            case .closed: return nil
            case .failed(let error): throw error
            }
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// A frame's header with the part of its payload that has been received.
    private mutating func nextFrame() throws(WebSocketError) -> WebSocketFramePart? {
        guard let first = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) else { return nil }
        let opcode = try opcode(first)
        guard let (header, length) = try header(opcode, first) else { return nil }
        let available = UInt64(buffer.readableBytes - length)
        if header.opcode.isControl, available < header.payloadLength { return nil }
        if !header.opcode.isControl { isInMessage = !header.isFinal }
        return part(header, received: 0, headerLength: length, count: min(available, header.payloadLength))
    }

    private mutating func nextPayload(_ header: WebSocketFrameHeader, _ received: UInt64) -> WebSocketFramePart? {
        guard buffer.readableBytes > 0 else { return nil }
        let count = min(UInt64(buffer.readableBytes), header.payloadLength - received)
        return part(header, received: received, headerLength: 0, count: count)
    }

    /// Takes a part from the start of the buffer, which has all its bytes.
    private mutating func part(
        _ header: WebSocketFrameHeader, received: UInt64, headerLength: Int, count: UInt64
    ) -> WebSocketFramePart {
        let wire = buffer.readSlice(length: headerLength + Int(count)) ?? ByteBuffer()
        var payload = wire.getSlice(at: wire.readerIndex + headerLength, length: Int(count)) ?? ByteBuffer()
        if let key = header.maskingKey { payload = key.applied(to: payload, offset: received) }
        let total = received + count
        if total < header.payloadLength {
            state = .payload(header, received: total)
        } else {
            state = header.opcode == .close ? .closed : .header
        }
        return WebSocketFramePart(header: header, offset: received, payload: payload, wire: wire, isFirst: headerLength > 0)
    }

    // MARK: The header (RFC 6455 §5.2)

    /// Checks a frame's first byte: opcode, reserved bits, and whether the frame is allowed at this point (RFC 6455 §5.4).
    private func opcode(_ first: UInt8) throws(WebSocketError) -> WebSocketOpcode {
        guard let opcode = WebSocketOpcode(rawValue: first & 0x0F) else {
            throw WebSocketError(.opcode, "the opcode \(first & 0x0F) is reserved")
        }
        let reserved = ReservedBits(rawValue: first & 0x70)
        // RFC 7692 §6.1: the bit applies to a whole message, so it is set on the first frame only.
        let meant = opcode == .text || opcode == .binary ? allowed : []
        guard reserved.isSubset(of: meant) else {
            throw WebSocketError(
                .reservedBits, "\(reserved.subtracting(meant)) is set on a \(opcode) frame, and no extension gives it a meaning")
        }
        switch opcode {
        case .close, .ping, .pong:
            guard first & 0x80 != 0 else { throw WebSocketError(.controlFrame, "a \(opcode) frame is fragmented") }
        case .continuation:
            guard isInMessage else { throw WebSocketError(.continuation, "a continuation frame continues no message") }
        case .text, .binary:
            guard !isInMessage else { throw WebSocketError(.continuation, "a \(opcode) frame begins inside another message") }
        }
        return opcode
    }

    /// - Returns: the header and its length in bytes; nil if more bytes are needed.
    private func header(
        _ opcode: WebSocketOpcode, _ first: UInt8
    ) throws(WebSocketError) -> (header: WebSocketFrameHeader, length: Int)? {
        let start = buffer.readerIndex
        guard let second = buffer.getInteger(at: start + 1, as: UInt8.self) else { return nil }
        let isMasked = second & 0x80 != 0
        // RFC 6455 §5.1
        guard !isStrict || isMasked == (sender == .client) else {
            throw WebSocketError(
                .masking, sender == .client ? "a frame of the client is not masked" : "a frame of the server is masked")
        }
        let short = second & 0x7F
        if opcode.isControl, short > 125 { throw WebSocketError(.controlFrame, "a \(opcode) frame is longer than 125 bytes") }
        guard let (payloadLength, lengthEnd) = try payloadLength(short) else { return nil }
        var header = WebSocketFrameHeader(
            opcode, payloadLength: payloadLength, isFinal: first & 0x80 != 0, reserved: ReservedBits(rawValue: first & 0x70))
        guard isMasked else { return (header, lengthEnd) }
        guard let key = buffer.getInteger(at: start + lengthEnd, as: UInt32.self) else { return nil }
        header.maskingKey = MaskingKey(key)
        return (header, lengthEnd + 4)
    }

    /// - Parameter short: the seven bits of the second byte.
    /// - Returns: the payload's length, and the offset of the byte after it in the frame; nil if more bytes are needed.
    private func payloadLength(_ short: UInt8) throws(WebSocketError) -> (length: UInt64, end: Int)? {
        let start = buffer.readerIndex
        switch short {
        case 126:
            guard let length = buffer.getInteger(at: start + 2, as: UInt16.self) else { return nil }
            guard length > 125 else { throw notMinimal(UInt64(length)) }
            return (UInt64(length), 4)
        case 127:
            guard let length = buffer.getInteger(at: start + 2, as: UInt64.self) else { return nil }
            guard length >> 63 == 0 else { throw WebSocketError(.length, "a frame's length has its highest bit set") }
            guard length > UInt64(UInt16.max) else { throw notMinimal(length) }
            return (length, 10)
        default:
            return (UInt64(short), 2)
        }
    }

    private func notMinimal(_ length: UInt64) -> WebSocketError {
        WebSocketError(.length, "a frame's length \(length) is not written in the fewest bytes")
    }
}

extension ReservedBits: CustomStringConvertible {
    package var description: String {
        [(ReservedBits.rsv1, "RSV1"), (.rsv2, "RSV2"), (.rsv3, "RSV3")].filter { contains($0.0) }.map(\.1).joined(
            separator: " and ")
    }
}
