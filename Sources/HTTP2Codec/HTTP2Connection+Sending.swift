// Sending: heads, content, ends, resets. Everything waits in nghttp2 and in the streams' queues until the peer's windows and its limit of
// streams allow it.

import CNghttp2
import HTTPSemantics
import NIOCore

extension HTTP2Connection {
    /// Begins a request.
    /// - Parameters:
    ///   - fields: pseudo-fields first (RFC 9113 §8.3).
    ///   - isHead: the answer has no content.
    ///   - isTunnel: CONNECT.
    /// - Returns: its stream, or nil if the connection accepts no more requests.
    package func sendRequest(
        _ fields: HTTP2Fields, endsStream: Bool, isHead: Bool = false, isTunnel: Bool = false, priority: HTTP2Priority? = nil
    ) -> StreamID? {
        precondition(role == .client)
        guard takesRequests else { return nil }
        var specification = nghttp2_priority_spec()
        unsafe nghttp2_priority_spec_default_init(&specification)
        if let priority { specification = priority.specification }
        var source = unsafe dataSource
        let id = unsafe withFields(fields) { lines, count in
            endsStream
                ? unsafe nghttp2_submit_request(session, &specification, lines, count, nil, nil)
                : unsafe nghttp2_submit_request(session, &specification, lines, count, &source, nil)
        }
        guard id > 0 else { return nil }
        let stream = HTTP2Stream(id: id)
        stream.window = limits.initialWindow
        stream.answersHead = isHead
        stream.isTunnel = isTunnel
        stream.isOutputEnded = endsStream
        stream.hasSource = !endsStream
        streams[id] = stream
        return StreamID(UInt32(id))
    }

    /// Sends the head of an interim response (RFC 9110 §15.2).
    package func sendInterim(_ fields: HTTP2Fields, on id: StreamID) {
        guard streams[id.signed] != nil else { return }
        _ = unsafe withFields(fields) { lines, count in
            unsafe nghttp2_submit_headers(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id.signed, nil, lines, count, nil)
        }
    }

    /// Sends the head of the final response.
    package func sendResponse(_ fields: HTTP2Fields, on id: StreamID, endsStream: Bool) {
        guard let stream = streams[id.signed], !stream.isOutputEnded, !stream.hasSource else { return }
        stream.isOutputEnded = endsStream
        stream.hasSource = !endsStream
        var source = unsafe dataSource
        _ = unsafe withFields(fields) { lines, count in
            endsStream
                ? unsafe nghttp2_submit_response(session, id.signed, lines, count, nil)
                : unsafe nghttp2_submit_response(session, id.signed, lines, count, &source)
        }
    }

    /// Sends a piece of a message's content.
    package func sendData(_ bytes: ByteBuffer, on id: StreamID) {
        guard let stream = streams[id.signed], stream.hasSource, !stream.isOutputEnded, bytes.readableBytes > 0 else { return }
        stream.enqueue(bytes)
        resume(stream)
    }

    /// Ends a message, with trailers if it has any.
    package func sendEnd(trailers: HTTP2Fields?, on id: StreamID) {
        guard let stream = streams[id.signed], stream.hasSource, !stream.isOutputEnded else { return }
        stream.isOutputEnded = true
        if let trailers, !trailers.isEmpty { stream.trailers = trailers }
        resume(stream)
    }

    private func resume(_ stream: HTTP2Stream) {
        guard stream.isDeferred else { return }
        stream.isDeferred = false
        unsafe nghttp2_session_resume_data(session, stream.id)
    }

    /// Ends a stream at once (RFC 9113 §6.4); unsent content is dropped, and no more events are reported for it.
    package func reset(_ id: StreamID, _ code: HTTP2ErrorCode) {
        guard let stream = streams[id.signed] else { return }
        stream.isSilent = true
        stream.dropQueue()
        unsafe nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id.signed, code.rawValue)
    }

    /// Ignores the rest of a stream's incoming message. When our own message is completely sent, a stream whose peer still sends is reset with
    /// NO_ERROR (RFC 9113 §8.1).
    package func endInput(of id: StreamID) {
        guard let stream = streams[id.signed], !stream.isInputEnded else { return }
        stream.isSilent = true
        stream.isInputUnwanted = true
        if stream.isOutputDone { outputDone(stream) }
    }

    func outputDone(_ stream: HTTP2Stream) {
        stream.isOutputDone = true
        guard stream.isInputUnwanted, !stream.isInputEnded else { return }
        unsafe nghttp2_submit_rst_stream(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, HTTP2ErrorCode.noError.rawValue)
    }

    /// Bytes of a message that wait to be sent.
    package func queuedBytes(on id: StreamID) -> Int { streams[id.signed]?.queuedBytes ?? 0 }

    /// Reports that received content was forwarded, so its sender may send as much again (RFC 9113 §5.2). A window that was used up and
    /// completely forwarded is doubled.
    package func consumed(_ bytes: Int, on id: StreamID) {
        guard bytes > 0, let stream = streams[id.signed], !stream.isInputEnded else { return }
        unsafe nghttp2_session_consume_stream(session, id.signed, bytes)
        stream.consumedOfWindow += bytes
        guard stream.consumedOfWindow >= Int(stream.window), stream.window < limits.maximumWindow else { return }
        stream.consumedOfWindow = 0
        let larger = min(stream.window * 2, limits.maximumWindow)
        // At most a quarter of the rest, so that stalled streams with large windows leave room for others.
        guard Int(larger) <= (limits.maximumGrowth - growth) / 4 else { return }
        growth += Int(larger - stream.window)
        stream.window = larger
        unsafe nghttp2_session_set_local_window_size(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), id.signed, stream.window)
    }

    /// Sends a PING (RFC 9113 §6.7), unless one is unanswered.
    package func sendPing() {
        guard !isPingUnanswered else { return }
        isPingUnanswered = true
        unsafe nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
    }

    /// Accepts no new streams; open ones finish (RFC 9113 §6.8).
    package func goAway(_ code: HTTP2ErrorCode) {
        unsafe nghttp2_submit_goaway(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), role == .server ? lastPeerStream : 0, code.rawValue, nil, 0)
    }

    // MARK: Fields and data for nghttp2

    private var dataSource: nghttp2_data_provider {
        unsafe nghttp2_data_provider(source: nghttp2_data_source(ptr: nil), read_callback: HTTP2Callbacks.read)
    }

    /// Passes fields to nghttp2, which copies them.
    func withFields<R>(_ fields: HTTP2Fields, _ body: (UnsafePointer<nghttp2_nv>?, Int) -> R) -> R {
        unsafe fields.base.withUnsafeReadableBytes { base in
            unsafe fields.own.withUnsafeReadableBytes { own in
                unsafe withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: max(1, fields.lines.count)) { lines in
                    let base = unsafe UnsafeMutablePointer(mutating: base.baseAddress?.assumingMemoryBound(to: UInt8.self))
                    let own = unsafe UnsafeMutablePointer(mutating: own.baseAddress?.assumingMemoryBound(to: UInt8.self))
                    for (index, line) in fields.lines.enumerated() {
                        let flags = line.isNeverIndexed ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE
                        let name = unsafe line.isOwnName ? own : base
                        let value = unsafe line.isOwnValue ? own : base
                        unsafe lines.initializeElement(
                            at: index,
                            to: nghttp2_nv(
                                name: name.map { unsafe $0 + Int(line.name.start) },
                                value: value.map { unsafe $0 + Int(line.value.start) }, namelen: line.name.count,
                                valuelen: line.value.count, flags: UInt8(flags.rawValue)))
                    }
                    return unsafe body(UnsafePointer(lines.baseAddress), fields.lines.count)
                }
            }
        }
    }
}

extension StreamID {
    /// In nghttp2's type.
    var signed: Int32 { Int32(bitPattern: value) }
}
