// The callbacks of nghttp2: each finds its connection and passes values to it. nghttp2's rule: a callback does not send or receive.

import CNghttp2
import HTTPSemantics
import NIOCore

enum HTTP2Callbacks {
    static func install(_ callbacks: OpaquePointer?) {
        unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, owner in
            unsafe connection(owner).beganSection(frame!.pointee)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, frame, name, nameLength, value, valueLength, flags, owner in
            // Called for each field: the connection is used in place, without reference counting.
            unsafe Unmanaged<HTTP2Connection>.fromOpaque(owner!)._withUnsafeGuaranteedRef { connection in
                unsafe connection.receivedField(
                    frame!.pointee.hd.stream_id, UnsafeRawBufferPointer(start: name, count: nameLength),
                    UnsafeRawBufferPointer(start: value, count: valueLength),
                    isNeverIndexed: UInt32(flags) & NGHTTP2_NV_FLAG_NO_INDEX.rawValue != 0)
            }
        }
        unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, data, length, owner in
            unsafe connection(owner).receivedData(stream, UnsafeRawBufferPointer(start: data, count: length))
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, owner in
            unsafe connection(owner).received(frame!)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, frame, error, owner in
            unsafe connection(owner).receivedInvalid(frame!.pointee.hd, error)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, owner in
            unsafe connection(owner).sent(frame!)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks) { _, frame, error, owner in
            unsafe connection(owner).notSent(frame!.pointee, error)
            return 0
        }
        unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, code, owner in
            unsafe connection(owner).closed(stream, HTTP2ErrorCode(rawValue: code))
            return 0
        }
        unsafe nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, frame, header, length, _, owner in
            unsafe connection(owner).send(
                frame!.pointee.hd.stream_id, header: UnsafeRawBufferPointer(start: header, count: 9), length)
        }
    }

    /// Extension frames: see ``HTTP2Connection/priorityUpdateType``.
    static func installExtensions(_ callbacks: OpaquePointer?) {
        unsafe nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(callbacks) { _, _, data, length, owner in
            unsafe connection(owner).receivedExtension(UnsafeRawBufferPointer(start: data, count: length))
            return 0
        }
        // The payload was collected; it is used when the frame is complete.
        unsafe nghttp2_session_callbacks_set_unpack_extension_callback(callbacks) { _, _, _, _ in 0 }
        unsafe nghttp2_session_callbacks_set_pack_extension_callback(callbacks) { _, buffer, length, _, owner in
            unsafe connection(owner).packExtension(into: UnsafeMutableRawBufferPointer(start: buffer, count: length))
        }
    }

    /// The number of a stream's bytes in the next DATA frame.
    static let read: nghttp2_data_source_read_callback = { _, stream, _, room, flags, _, owner in
        unsafe connection(owner).read(stream, room, &flags!.pointee)
    }
}

private func connection(_ owner: UnsafeMutableRawPointer?) -> HTTP2Connection {
    unsafe Unmanaged<HTTP2Connection>.fromOpaque(owner!).takeUnretainedValue()
}

extension HTTP2Connection {
    // MARK: Frames in

    func received(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = unsafe frame.pointee.hd
        let endsStream = UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            let priority = unsafe frame.pointee.headers.pri_spec
            if UInt32(header.flags) & NGHTTP2_FLAG_PRIORITY.rawValue != 0 { receivedPriority(header.stream_id, priority) }
            sectionIsComplete(header.stream_id, endsStream: endsStream)
        case NGHTTP2_DATA.rawValue:
            if endsStream, let stream = streams[header.stream_id] { inputEnded(stream, trailers: nil) }
        case NGHTTP2_RST_STREAM.rawValue:
            let code = unsafe frame.pointee.rst_stream.error_code
            wasReset(header.stream_id, HTTP2ErrorCode(rawValue: code))
        case NGHTTP2_SETTINGS.rawValue:
            if UInt32(header.flags) & NGHTTP2_FLAG_ACK.rawValue == 0 { receivedSettings() }
        case NGHTTP2_GOAWAY.rawValue:
            let goAway = unsafe frame.pointee.goaway
            let debug = unsafe UnsafeRawBufferPointer(start: goAway.opaque_data, count: goAway.opaque_data_len)
            receivedGoAway(
                last: unsafe goAway.last_stream_id, code: unsafe HTTP2ErrorCode(rawValue: goAway.error_code),
                debug: unsafe String(decoding: debug.prefix(256), as: UTF8.self))
        case NGHTTP2_PING.rawValue:
            if UInt32(header.flags) & NGHTTP2_FLAG_ACK.rawValue == 0 { emit(.ping) } else { isPingUnanswered = false }
        case NGHTTP2_PRIORITY.rawValue:
            receivedPriority(header.stream_id, unsafe frame.pointee.priority.pri_spec)
        case UInt32(Self.priorityUpdateType):
            receivedPriorityUpdate(on: header.stream_id)
        default:
            break
        }
    }

    func wasReset(_ id: Int32, _ code: HTTP2ErrorCode) {
        guard let stream = streams[id], !stream.isSilent else { return }
        stream.isSilent = true
        stream.dropQueue()
        emit(.reset(stream.id.unsigned, code))
    }

    /// nghttp2 found an invalid frame. An error of a stream is reported at once, one of the connection when GOAWAY is sent.
    func receivedInvalid(_ header: nghttp2_frame_hd, _ error: Int32) {
        guard let stream = streams[header.stream_id], !stream.isSilent else { return }
        stream.isSilent = true
        stream.dropQueue()
        let code: HTTP2ErrorCode =
            switch error {
            case Int32(NGHTTP2_ERR_FLOW_CONTROL.rawValue): .flowControlError
            case Int32(NGHTTP2_ERR_STREAM_CLOSED.rawValue): .streamClosed
            case Int32(NGHTTP2_ERR_REFUSED_STREAM.rawValue): .refusedStream
            default: .protocolError
            }
        let reason = unsafe String(cString: nghttp2_strerror(error))
        emit(
            .failed(
                stream.id.unsigned, code, message: "the peer broke a rule of HTTP/2 on the stream: \(reason)", head: ByteBuffer()))
    }

    /// nghttp2 has closed a stream.
    func closed(_ id: Int32, _ code: HTTP2ErrorCode) {
        guard let stream = streams.remove(id) else { return }
        growth -= max(0, Int(stream.window - limits.initialWindow))
        let isWhole = stream.isInputEnded && stream.isOutputDone
        if role == .server, code == .noError, stream.hasPeerEnded { noteEnd(id) }
        guard !stream.isSilent, !isWhole else { return }
        // RFC 9113 §6.9.2: nghttp2 only resets the streams whose windows SETTINGS made too large.
        if code == .flowControlError { terminate(.flowControlError, "SETTINGS take the window of a stream beyond 2³¹-1") }
        // Closed without RST_STREAM from the peer: beyond the last stream of a GOAWAY, or by an error of nghttp2's own.
        if code == .refusedStream, role == .client {
            emit(.unprocessed(id.unsigned))
        } else if code != .noError {
            emit(.failed(id.unsigned, code, message: "the stream was closed with \(code)", head: ByteBuffer()))
        } else if !stream.isInputEnded {
            emit(.reset(id.unsigned, code))
        }
    }

    // MARK: Frames out

    func sent(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = unsafe frame.pointee.hd
        switch UInt32(header.type) {
        case NGHTTP2_GOAWAY.rawValue:
            let goAway = unsafe frame.pointee.goaway
            guard unsafe goAway.error_code != 0 else { return }
            let debug = unsafe UnsafeRawBufferPointer(start: goAway.opaque_data, count: goAway.opaque_data_len)
            // nghttp2 gives no reason besides the code.
            let reason = unsafe debug.isEmpty ? "" : ": \(String(decoding: debug, as: UTF8.self))"
            ended(
                unsafe HTTP2ErrorCode(rawValue: goAway.error_code),
                terminationMessage ?? "the peer broke a rule of HTTP/2\(reason)")
        case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
            idleFrames = 0
            if UInt32(header.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0, let stream = streams[header.stream_id] {
                outputDone(stream)
            }
        case NGHTTP2_RST_STREAM.rawValue:
            noteReset(header.stream_id)
        default:
            break
        }
    }

    func notSent(_ frame: nghttp2_frame, _ error: Int32) {
        guard UInt32(unsafe frame.hd.type) == NGHTTP2_HEADERS.rawValue, let stream = unsafe streams[frame.hd.stream_id],
            !stream.isSilent
        else { return }
        stream.isSilent = true
        // The connection accepts no new streams: the request can be sent on another one.
        if role == .client, !stream.hasHead,
            error == Int32(NGHTTP2_ERR_START_STREAM_NOT_ALLOWED.rawValue)
                || error == Int32(NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE.rawValue)
                || error == Int32(NGHTTP2_ERR_SESSION_CLOSING.rawValue)
        {
            return emit(.unprocessed(stream.id.unsigned))
        }
        let reason = unsafe String(cString: nghttp2_strerror(error))
        unsafe nghttp2_submit_rst_stream(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, HTTP2ErrorCode.internalError.rawValue)
        emit(.failed(stream.id.unsigned, .internalError, message: "the head could not be sent: \(reason)", head: ByteBuffer()))
    }

    /// nghttp2 asks how much of a stream's content it may send; ``send(_:header:_:)`` fetches the bytes.
    func read(_ id: Int32, _ room: Int, _ flags: inout UInt32) -> Int {
        guard let stream = streams[id] else { return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
        let count = min(room, stream.queuedBytes)
        guard count > 0 || stream.isOutputEnded else {
            stream.isDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        flags |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        if stream.isOutputEnded, count == stream.queuedBytes {
            flags |= NGHTTP2_DATA_FLAG_EOF.rawValue
            if let trailers = stream.trailers {
                flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                stream.trailers = nil
                _ = unsafe withFields(trailers) { lines, count in unsafe nghttp2_submit_trailer(session, id, lines, count) }
            }
        }
        return count
    }

    /// Adds a DATA frame to the output.
    func send(_ id: Int32, header: UnsafeRawBufferPointer, _ length: Int) -> Int32 {
        guard output.readableBytes < maximumOutput else { return Int32(NGHTTP2_ERR_WOULDBLOCK.rawValue) }
        guard let stream = streams[id], stream.queuedBytes >= length else {
            return Int32(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
        }
        output.reserveCapacity(minimumWritableBytes: length + 9)
        unsafe output.writeBytes(header)
        stream.dequeue(length, into: &output)
        sentContent(stream, length)
        return 0
    }
}

extension Int32 {
    var unsigned: StreamID { StreamID(UInt32(bitPattern: self)) }
}
