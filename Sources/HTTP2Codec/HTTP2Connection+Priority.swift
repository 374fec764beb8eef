// Priority signals: the frames of RFC 7540, which RFC 9113 §5.3.2 deprecated, and PRIORITY_UPDATE of RFC 9218 §7.1. nghttp2 handles the
// latter only where both ends have disabled the former, so it is treated as an extension frame.

import CNghttp2
import HTTPSemantics
import NIOCore

extension HTTP2Connection {
    static let priorityUpdateType: UInt8 = 0x10

    // MARK: In

    func receivedPriority(_ stream: Int32, _ specification: nghttp2_priority_spec) {
        emit(
            .priority(
                stream.unsigned,
                HTTP2Priority(
                    dependency: specification.stream_id.unsigned, weight: specification.weight,
                    isExclusive: specification.exclusive != 0)))
    }

    /// Collects the frame's payload, which may arrive in parts.
    func receivedExtension(_ bytes: UnsafeRawBufferPointer) { unsafe extensionPayload.writeBytes(bytes) }

    /// RFC 9218 §7.1: on stream 0, with the number of the prioritized stream.
    func receivedPriorityUpdate(on stream: Int32) {
        var payload = extensionPayload
        extensionPayload = ByteBuffer()
        guard stream == 0 else { return terminate(.protocolError, "PRIORITY_UPDATE on a stream") }
        guard let number = payload.readInteger(as: UInt32.self) else {
            return terminate(.frameSizeError, "a PRIORITY_UPDATE frame of less than four bytes")
        }
        let prioritized = StreamID(number & 0x7FFF_FFFF)
        guard prioritized.value != 0 else { return terminate(.protocolError, "PRIORITY_UPDATE of no stream") }
        emit(.priorityUpdate(prioritized, value: payload))
    }

    // MARK: Out

    /// Forwards a priority signal.
    package func sendPriority(_ priority: HTTP2Priority, on id: StreamID) {
        var specification = priority.specification
        unsafe nghttp2_submit_priority(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id.signed, &specification)
    }

    /// Forwards an update of RFC 9218; clients only.
    package func sendPriorityUpdate(_ value: ByteBuffer, on id: StreamID) {
        precondition(role == .client)
        guard value.readableBytes + 4 <= Self.maximumFrameSize else { return }
        var payload = ByteBuffer(integer: id.value)
        payload.writeImmutableBuffer(value)
        let result = unsafe nghttp2_submit_extension(session, Self.priorityUpdateType, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, nil)
        if result == 0 { extensionsToSend.append(payload) }
    }

    /// nghttp2 sends such frames in the order in which they were submitted.
    func packExtension(into room: UnsafeMutableRawBufferPointer) -> Int {
        guard let payload = extensionsToSend.popFirst() else { return Int(NGHTTP2_ERR_CANCEL.rawValue) }
        return unsafe payload.withUnsafeReadableBytes { bytes in
            unsafe room.copyMemory(from: bytes)
            return bytes.count
        }
    }
}

extension HTTP2Priority {
    /// In nghttp2's form.
    var specification: nghttp2_priority_spec {
        var specification = nghttp2_priority_spec()
        unsafe nghttp2_priority_spec_init(&specification, dependency.signed, weight, isExclusive ? 1 : 0)
        return specification
    }
}
