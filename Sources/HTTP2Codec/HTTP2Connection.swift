// One HTTP/2 connection in either role (RFC 9113), without a socket: received bytes go in, events are pulled out, output is taken as bytes.
// Frames, HPACK, stream states and flow control are libnghttp2's. Messages and their rules are ours, because nghttp2's own rules would refuse
// messages that browsers and servers tolerate. Receive windows open when the owner reports that content was forwarded, so a slow reader
// slows its own stream and no other.

import CNghttp2
import HTTPSemantics
import NIOCore

/// One connection. Not Sendable: used on one thread at a time, and never from inside one of its own calls.
@safe package final class HTTP2Connection {
    package enum Role: Sendable {
        /// The peer is a client.
        case server
        /// The peer is a server.
        case client
    }

    /// The frame size that we accept, which is the default and not announced (RFC 9113 §6.5.2).
    static let maximumFrameSize = 16_384
    /// CONTINUATION frames of one field section: a mebibyte of them, four times the limit.
    private static let maximumContinuations = 64
    /// The number of closed streams that are remembered, of each kind.
    private static let keptStreams = 1024
    /// Capacity for events that is kept.
    private static let keptEvents = 256

    package let role: Role
    let limits: HTTP2Limits
    let validation: HTTP2Validation
    // SAFETY: non-null from init to deinit. Its callbacks find this object through an unretained pointer; they run inside our own calls only.
    private(set) var session: OpaquePointer! = nil

    var streams = HTTP2Streams()
    /// The field section that is arriving: there is one at a time (RFC 9113 §4.3).
    var arriving: (stream: Int32, section: IncomingSection)?
    /// Pending events; consumed slots are nil. Events are moved, never copied.
    private var events: [HTTP2Event?] = []
    private var nextEvent = 0
    /// Output of nghttp2 that was not taken yet.
    var output = ByteBuffer()
    /// The bytes that are being received, and their address while nghttp2 parses them: content is sliced out of them.
    var input = ByteBuffer()
    var inputBase: UnsafeRawPointer?
    /// Content of ours that was added to the output since the owner last took this list.
    var sentBytes: [(stream: StreamID, count: Int)] = []
    /// The growth of the windows of open streams, in bytes.
    var growth = 0
    /// Our PING is unanswered.
    var isPingUnanswered = false
    /// PRIORITY_UPDATE: the payload that is arriving, and those to send.
    var extensionPayload = ByteBuffer()
    var extensionsToSend = CircularBuffer<ByteBuffer>(initialCapacity: 0)
    /// Frames that cause work and carry nothing, since the last one that carried something.
    var idleFrames = 0
    /// Frames with content on closed streams that were answered.
    private var strayFrames = 0
    /// Finds the frames in the received bytes.
    var scanner: HTTP2FrameScanner
    /// Streams that we have reset recently: frames on them may have been under way.
    var resetStreams = CircularBuffer<Int32>(initialCapacity: 0)
    /// Streams of a client that both ends have ended recently: nothing may follow on them.
    var endedStreams = CircularBuffer<Int32>(initialCapacity: 0)
    /// Our SETTINGS were sent.
    private var hasSentSettings = false
    /// The peer's first SETTINGS frame was received.
    package private(set) var hasPeerSettings = false
    /// A connection error occurred on either side; nothing more is read.
    package private(set) var isTerminated = false
    /// The peer accepts no new streams.
    package private(set) var isGoingAway = false
    private var hasEnabledConnect: Bool
    /// Why we ended the connection, as nghttp2 or we reported it.
    var terminationMessage: String?
    /// The stream with the highest identifier that the peer has begun.
    package private(set) var lastPeerStream: Int32 = 0
    /// The number of streams that it has begun.
    private var peerStreams = 0

    /// Begins a connection; the preface and our SETTINGS are in the first output.
    /// - Parameter enablesConnectProtocol: as a server, accept extended CONNECT (RFC 8441 §3).
    package init(
        _ role: Role, limits: HTTP2Limits = HTTP2Limits(), validation: HTTP2Validation = .strict,
        enablesConnectProtocol: Bool = false
    ) {
        self.role = role
        self.limits = limits
        self.validation = validation
        hasEnabledConnect = enablesConnectProtocol
        scanner = HTTP2FrameScanner(role)
        unsafe session = makeSession()
        submitSettings(enablesConnectProtocol)
        unsafe nghttp2_session_set_local_window_size(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, limits.connectionWindow)
    }

    deinit { unsafe nghttp2_session_del(session) }

    private func makeSession() -> OpaquePointer {
        var callbacks: OpaquePointer?
        var options: OpaquePointer?
        precondition(unsafe nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&options) == 0, "out of memory")
        defer {
            unsafe nghttp2_session_callbacks_del(callbacks)
            unsafe nghttp2_option_del(options)
        }
        unsafe HTTP2Callbacks.install(callbacks)
        unsafe HTTP2Callbacks.installExtensions(callbacks)
        unsafe nghttp2_option_set_no_http_messaging(options, 1)
        unsafe nghttp2_option_set_no_auto_window_update(options, 1)
        // nghttp2 would end the connection for a section on one of them, even one that we have reset: see mayBeReused.
        unsafe nghttp2_option_set_no_closed_streams(options, 1)
        unsafe nghttp2_option_set_max_send_header_block_length(options, 4 * limits.maximumFieldSectionSize)
        unsafe nghttp2_option_set_max_continuations(options, Self.maximumContinuations)
        // nghttp2 reports it as INTERNAL_ERROR; the owner has a clock and counts itself.
        unsafe nghttp2_option_set_stream_reset_rate_limit(options, UInt64(UInt32.max), UInt64(UInt32.max))
        if role == .server { unsafe nghttp2_option_set_user_recv_extension_type(options, Self.priorityUpdateType) }
        var session: OpaquePointer?
        let owner = unsafe Unmanaged.passUnretained(self).toOpaque()
        let result =
            switch role {
            case .server: unsafe nghttp2_session_server_new2(&session, callbacks, owner, options)
            case .client: unsafe nghttp2_session_client_new2(&session, callbacks, owner, options)
            }
        guard result == 0, let session = unsafe session else { preconditionFailure("out of memory") }
        return unsafe session
    }

    private func submitSettings(_ enablesConnectProtocol: Bool) {
        func entry(_ id: nghttp2_settings_id, _ value: Int) -> nghttp2_settings_entry {
            nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: UInt32(value))
        }
        let common = [
            entry(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, Int(limits.initialWindow)),
            entry(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits.maximumFieldSectionSize),
        ]
        let settings =
            switch role {
            case .client:
                common + [entry(NGHTTP2_SETTINGS_ENABLE_PUSH, 0)]
            case .server:
                // The first SETTINGS, without the client's limit: see sayLimitOfStreams.
                [entry(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, Int(UInt32.max))] + common
                    + (enablesConnectProtocol ? [entry(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1)] : [])
            }
        unsafe nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
    }

    /// Announces extended CONNECT to the client (RFC 8441 §3), once the server's support is known.
    package func enableConnectProtocol() {
        guard !hasEnabledConnect else { return }
        hasEnabledConnect = true
        let settings = [
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL.rawValue), value: 1)
        ]
        unsafe nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
    }

    /// Continues a connection that was upgraded from HTTP/1 (RFC 7540 §3.2): stream 1 is half-closed from the client's side.
    /// - Parameter settings: the HTTP2-Settings field, decoded from base64url.
    /// - Returns: false if the settings are malformed.
    package func upgrade(settings: ByteBuffer, isHeadRequest: Bool) -> Bool {
        let result = unsafe settings.withUnsafeReadableBytes { bytes in
            unsafe nghttp2_session_upgrade2(
                session, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count, isHeadRequest ? 1 : 0, nil)
        }
        guard result == 0 else { return false }
        let stream = HTTP2Stream(id: 1)
        stream.window = limits.initialWindow
        stream.answersHead = isHeadRequest
        if role == .server {
            stream.isInputEnded = true
            stream.hasPeerEnded = true
            peerBegan(1)
        } else {
            stream.isOutputEnded = true
            stream.isOutputDone = true
        }
        streams[1] = stream
        return true
    }

    // MARK: Receiving

    /// Receives bytes. Never fails: errors come as events.
    package func receive(_ bytes: ByteBuffer) {
        guard !isTerminated else { return }
        input = bytes
        unsafe bytes.withUnsafeReadableBytes { bytes in
            unsafe inputBase = bytes.baseAddress
            unsafe receiveFrames(bytes)
            unsafe inputBase = nil
        }
        input = ByteBuffer()
    }

    /// Passes bytes to nghttp2.
    func feed(_ bytes: UnsafeRawBufferPointer) {
        let result = unsafe nghttp2_session_mem_recv(
            session, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
        if result < 0 { receiveFailed(Int32(result)) }
    }

    /// An error after which nghttp2 cannot continue: garbage instead of the preface, a flood, an error of our own.
    private func receiveFailed(_ result: Int32) {
        switch result {
        case Int32(NGHTTP2_ERR_BAD_CLIENT_MAGIC.rawValue):
            terminate(.protocolError, "the connection does not begin with the preface of HTTP/2")
        case Int32(NGHTTP2_ERR_FLOODED.rawValue):
            terminate(.enhanceYourCalm, "the peer sends frames that must be answered faster than it takes the answers")
        case Int32(NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue):
            terminate(.enhanceYourCalm, "a field section in more than \(Self.maximumContinuations) CONTINUATION frames")
        default:
            terminate(.internalError, unsafe String(cString: nghttp2_strerror(result)))
        }
    }

    /// Ends the connection after a connection error: GOAWAY, then nothing.
    package func terminate(_ code: HTTP2ErrorCode, _ message: String) {
        guard !isTerminated else { return }
        terminationMessage = message
        unsafe nghttp2_session_terminate_session(session, code.rawValue)
        ended(code, message)
    }

    func ended(_ code: HTTP2ErrorCode, _ message: String) {
        guard !isTerminated else { return }
        isTerminated = true
        emit(.terminated(code, message: message))
    }

    /// The next event; nil if no event is pending.
    package func next() -> HTTP2Event? {
        guard nextEvent < events.count else { return nil }
        let event = events[nextEvent].take()
        nextEvent += 1
        if nextEvent == events.count {
            events.removeAll(keepingCapacity: events.count < Self.keptEvents)
            nextEvent = 0
        }
        return event
    }

    package var hasEvents: Bool { !events.isEmpty }

    func emit(_ event: consuming HTTP2Event) { events.append(event) }

    /// Marks the last pending event as the end of its message, if it is content of that stream: END_STREAM is usually in the same frame.
    /// - Returns: false if there is no such event.
    func endsWithLastEvent(_ stream: StreamID) -> Bool {
        guard let last = events.indices.last else { return false }
        switch events[last] {
        case .request(stream, .content(let content, let wire, _)):
            events[last] = .request(stream, .content(content, wire: wire, isLast: true))
        case .response(stream, .content(let content, let wire, _)):
            events[last] = .response(stream, .content(content, wire: wire, isLast: true))
        default:
            return false
        }
        return true
    }

    func receivedSettings() {
        hasPeerSettings = true
        emit(.settings(scanner.takeSettings()))
    }

    func receivedGoAway(last: Int32, code: HTTP2ErrorCode, debug: String) {
        isGoingAway = true
        emit(.goAway(last: StreamID(UInt32(bitPattern: last)), code, debug: debug))
    }

    func peerBegan(_ stream: Int32) {
        lastPeerStream = max(lastPeerStream, stream)
        peerStreams += 1
    }

    /// A client may use each identifier once, and no identifier below one that it used (RFC 9113 §5.1.1). On a stream that we have reset,
    /// trailers may have been under way.
    /// - Returns: why a section on a stream that is not open ends the connection; nil if it was under way, or is a new stream.
    func misuse(of stream: Int32) -> HTTP2ErrorCode? {
        guard role == .server, stream % 2 == 1, stream <= lastPeerStream, !resetStreams.contains(stream) else { return nil }
        // If the client has used every identifier, the stream must have been open.
        return Int(lastPeerStream) == peerStreams * 2 - 1 ? .streamClosed : .protocolError
    }

    /// DATA on a closed stream (RFC 9113 §5.1, §6.1): a stream error, and a connection error if the client had ended the stream, as for fields.
    /// After a reset of ours it may have been under way, and is ignored.
    func dataOnClosedStream(_ stream: Int32) {
        let isPeers = (stream % 2 == 1) == (role == .server)
        let next = unsafe nghttp2_session_get_next_stream_id(session)
        let isIdle = isPeers ? stream > lastPeerStream : UInt32(bitPattern: stream) >= next
        // nghttp2 ends the connection for a stream that was never open.
        guard isPeers || role == .client, !isIdle, !resetStreams.contains(stream) else { return }
        if endedStreams.contains(stream) {
            return terminate(.streamClosed, "content on stream \(stream), which is closed")
        }
        // A peer that does not read could make us keep any number of answers.
        strayFrames += 1
        guard strayFrames <= limits.maximumIdleFrames else {
            return terminate(.enhanceYourCalm, "the peer sent content on \(strayFrames) streams that were closed")
        }
        unsafe nghttp2_submit_rst_stream(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, HTTP2ErrorCode.streamClosed.rawValue)
        // One answer is enough.
        noteReset(stream)
    }

    /// Remembers a stream that we have reset.
    func noteReset(_ stream: Int32) { Self.note(stream, in: &resetStreams) }

    /// Remembers a stream that both ends have ended.
    func noteEnd(_ stream: Int32) { Self.note(stream, in: &endedStreams) }

    private static func note(_ stream: Int32, in list: inout CircularBuffer<Int32>) {
        if list.count == keptStreams { list.removeFirst() }
        list.append(stream)
    }

    // MARK: The peer's settings

    /// The peer's limit of concurrent streams; large before its SETTINGS.
    package var peerMaximumConcurrentStreams: UInt32 {
        unsafe nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
    }

    /// The server accepts extended CONNECT (RFC 8441 §3).
    package var peerEnablesConnectProtocol: Bool {
        unsafe nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1
    }

    /// A new request may be sent: the peer has not sent GOAWAY and identifiers are left.
    package var takesRequests: Bool {
        unsafe !isTerminated && !isGoingAway && nghttp2_session_check_request_allowed(session) != 0
    }

    // MARK: Output

    /// There is something to send.
    package var wantsOutput: Bool { unsafe output.readableBytes > 0 || nghttp2_session_want_write(session) != 0 }

    /// The bytes to send now, as far as the peer's windows allow; nil if there are no such bytes.
    /// - Parameter maximum: the approximate number of bytes; the rest comes with the next call.
    package func takeOutput(maximum: Int = 1 << 20) -> ByteBuffer? {
        guard wantsOutput else { return nil }
        maximumOutput = maximum
        output.reserveCapacity(min(outputHint, maximum))
        while output.readableBytes < maximum, makeOutput() {}
        guard output.readableBytes > 0 else { return nil }
        let bytes = output
        output = ByteBuffer()
        outputHint = bytes.readableBytes + 512
        return bytes
    }

    /// Adds the next frame to the output; the callback has added DATA frames before it.
    /// - Returns: false if there was no frame.
    private func makeOutput() -> Bool {
        var chunk: UnsafePointer<UInt8>?
        let count = unsafe nghttp2_session_mem_send(session, &chunk)
        if count < 0 { ended(.internalError, unsafe String(cString: nghttp2_strerror(Int32(count)))) }
        guard count > 0, let chunk = unsafe chunk else { return false }
        unsafe output.writeBytes(UnsafeRawBufferPointer(start: chunk, count: count))
        if !hasSentSettings { sayLimitOfStreams() }
        return true
    }

    /// nghttp2 ends the connection of a client that opens too many streams, where RFC 9113 §5.1.2 asks for a stream error. So nghttp2 gets no
    /// limit, and our first frame announces to the client the limit that we keep ourselves.
    private func sayLimitOfStreams() {
        hasSentSettings = true
        guard role == .server else { return }
        let setting = output.readerIndex + FrameHeader.size
        precondition(output.getInteger(at: setting) == UInt16(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue))
        output.setInteger(limits.maximumConcurrentStreams, at: setting + 2)
    }

    /// Sends until the reset of a stream is sent, which closes the stream.
    func closeReset(_ stream: Int32) {
        maximumOutput = output.readableBytes + 1 << 20
        while streams[stream] != nil, makeOutput() {}
    }

    /// The size of the last output: the next one is likely to be as large.
    private var outputHint = 512

    /// The content of each stream that was added to the output since the last call: its source may be read as much further.
    package func takeSentContent() -> [(stream: StreamID, count: Int)] {
        guard !sentBytes.isEmpty else { return [] }
        defer { sentBytes.removeAll(keepingCapacity: true) }
        return sentBytes
    }

    /// Above it no more DATA frames are added to the output for now.
    private(set) var maximumOutput = 0

    /// Neither side will send anything more.
    package var isDone: Bool {
        unsafe nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0 && output.readableBytes == 0
    }
}

/// `name/version` of the library, as it is at run time.
package var nghttp2Library: String {
    guard let info = unsafe nghttp2_version(0) else { return "nghttp2" }
    return unsafe "nghttp2/\(String(cString: info.pointee.version_str))"
}
