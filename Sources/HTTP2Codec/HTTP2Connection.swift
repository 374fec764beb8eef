// One HTTP/2 connection in either role (RFC 9113), without a socket: bytes are handed in, events are pulled out, what is to be sent is
// taken as bytes. Frames, HPACK, stream states and flow control are libnghttp2's; messages and their rules are ours, since nghttp2's own
// would refuse what browsers and servers tolerate. Receive windows open when the owner says that content has gone on, so a slow reader
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

    /// What we take, and do not announce otherwise (RFC 9113 §6.5.2).
    static let maximumFrameSize = 16_384
    /// Of one field section: a mebibyte of them, four times what is taken.
    private static let maximumContinuations = 64
    /// Closed streams that are remembered, of each kind.
    private static let keptStreams = 1024
    /// Room for so many events is kept for those to come.
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
    /// What is to be sent, as far as nghttp2 has said it.
    var output = ByteBuffer()
    /// The bytes that are being received, and where they stand in memory while nghttp2 looks at them: content is sliced out of them.
    var input = ByteBuffer()
    var inputBase: UnsafeRawPointer?
    /// Content of ours that was put into the output since the owner asked last.
    var sentBytes: [(stream: StreamID, count: Int)] = []
    /// By how much the windows of open streams are larger than at first, in bytes.
    var growth = 0
    /// We asked whether the peer is there.
    var isPingUnanswered = false
    /// PRIORITY_UPDATE: the payload that is arriving, and those that are to go out.
    var extensionPayload = ByteBuffer()
    var extensionsToSend = CircularBuffer<ByteBuffer>(initialCapacity: 0)
    /// Frames that ask for work and carry nothing, since the last that carried something.
    var idleFrames = 0
    /// Frames with content on closed streams that were answered.
    private var strayFrames = 0
    /// Where in the bytes that come the frames begin.
    var walk: FrameWalk
    /// Streams that we have reset lately: frames on them may have been under way.
    var resetStreams = CircularBuffer<Int32>(initialCapacity: 0)
    /// Streams of a client that both ends have ended lately: nothing may follow on them.
    var endedStreams = CircularBuffer<Int32>(initialCapacity: 0)
    /// Our SETTINGS have gone out.
    private var hasSentSettings = false
    /// The peer's first SETTINGS frame has come.
    package private(set) var hasPeerSettings = false
    /// A rule was broken that ends the connection, by either side; nothing is read any more.
    package private(set) var isTerminated = false
    /// The peer takes no new streams.
    package private(set) var isGoingAway = false
    private var hasEnabledConnect: Bool
    /// Why we ended the connection, as far as nghttp2 or we said it.
    var terminationMessage: String?
    /// The stream with the highest identifier that the peer has begun.
    package private(set) var lastPeerStream: Int32 = 0
    /// How many it has begun.
    private var peerStreams = 0

    /// Begins a connection; the preface and our SETTINGS are in the first output.
    /// - Parameter enablesConnectProtocol: a server that takes extended CONNECT (RFC 8441 §3).
    package init(
        _ role: Role, limits: HTTP2Limits = HTTP2Limits(), validation: HTTP2Validation = .strict,
        enablesConnectProtocol: Bool = false
    ) {
        self.role = role
        self.limits = limits
        self.validation = validation
        hasEnabledConnect = enablesConnectProtocol
        walk = FrameWalk(role)
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
        // It would end the connection for a section on one of them, even one that we have reset: see mayBeReused.
        unsafe nghttp2_option_set_no_closed_streams(options, 1)
        unsafe nghttp2_option_set_max_send_header_block_length(options, 4 * limits.maximumFieldSectionSize)
        unsafe nghttp2_option_set_max_continuations(options, Self.maximumContinuations)
        // nghttp2 calls it an INTERNAL_ERROR; the owner has a clock and counts itself.
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
                // The first, and not what the client is told: see sayLimitOfStreams.
                [entry(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, Int(UInt32.max))] + common
                    + (enablesConnectProtocol ? [entry(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1)] : [])
            }
        unsafe nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
    }

    /// Tells the client that extended CONNECT is taken (RFC 8441 §3), once that is known of the server.
    package func enableConnectProtocol() {
        guard !hasEnabledConnect else { return }
        hasEnabledConnect = true
        let settings = [
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL.rawValue), value: 1)
        ]
        unsafe nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
    }

    /// Goes on with a connection that was upgraded from HTTP/1 (RFC 7540 §3.2): stream 1 is half-closed from the client's side.
    /// - Parameter settings: the HTTP2-Settings field, base64url undone.
    /// - Returns: false when the settings are malformed.
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

    /// Takes bytes as they came. Never fails: what was wrong comes as an event.
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

    /// Hands bytes to nghttp2.
    func feed(_ bytes: UnsafeRawBufferPointer) {
        let result = unsafe nghttp2_session_mem_recv(
            session, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
        if result < 0 { receiveFailed(Int32(result)) }
    }

    /// What nghttp2 cannot go on from: garbage instead of the preface, a flood, an error of our own.
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

    /// Ends the connection for a broken rule: GOAWAY, then nothing.
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

    /// The next event; nil when there is none.
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

    /// Marks the last pending event as the end of its message, where it is content of that stream: END_STREAM stands in the same frame as a rule.
    /// - Returns: false when there is no such event.
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
        emit(.settings(walk.takeSettings()))
    }

    func receivedGoAway(last: Int32, code: HTTP2ErrorCode, debug: String) {
        isGoingAway = true
        emit(.goAway(last: StreamID(UInt32(bitPattern: last)), code, debug: debug))
    }

    func peerBegan(_ stream: Int32) {
        lastPeerStream = max(lastPeerStream, stream)
        peerStreams += 1
    }

    /// A client may use each identifier once, and none below one that it used (RFC 9113 §5.1.1). On a stream that we have reset, trailers may
    /// have been under way.
    /// - Returns: why a section on a stream that is not open ends the connection; nil when it is one of those, or new.
    func misuse(of stream: Int32) -> HTTP2ErrorCode? {
        guard role == .server, stream % 2 == 1, stream <= lastPeerStream, !resetStreams.contains(stream) else { return nil }
        // Of a client that left none out it is known that the stream was open.
        return Int(lastPeerStream) == peerStreams * 2 - 1 ? .streamClosed : .protocolError
    }

    /// DATA on a stream that is closed (RFC 9113 §5.1, §6.1): an error of the stream, and of the connection when a client had ended the
    /// stream, as it is when fields come there. After a reset of ours it may have been under way, and is passed over.
    func dataOnClosedStream(_ stream: Int32) {
        let isPeers = (stream % 2 == 1) == (role == .server)
        let next = unsafe nghttp2_session_get_next_stream_id(session)
        let isIdle = isPeers ? stream > lastPeerStream : UInt32(bitPattern: stream) >= next
        // nghttp2 ends the connection for a stream that was never open.
        guard isPeers || role == .client, !isIdle, !resetStreams.contains(stream) else { return }
        if endedStreams.contains(stream) {
            return terminate(.streamClosed, "content on stream \(stream), which is closed")
        }
        // A peer that does not read could have any number of answers kept for it.
        strayFrames += 1
        guard strayFrames <= limits.maximumIdleFrames else {
            return terminate(.enhanceYourCalm, "the peer sent content on \(strayFrames) streams that were closed")
        }
        unsafe nghttp2_submit_rst_stream(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, HTTP2ErrorCode.streamClosed.rawValue)
        // Once is enough.
        noteReset(stream)
    }

    /// Notes a stream that we have reset.
    func noteReset(_ stream: Int32) { Self.note(stream, in: &resetStreams) }

    /// Notes a stream that both ends have ended.
    func noteEnd(_ stream: Int32) { Self.note(stream, in: &endedStreams) }

    private static func note(_ stream: Int32, in list: inout CircularBuffer<Int32>) {
        if list.count == keptStreams { list.removeFirst() }
        list.append(stream)
    }

    // MARK: The peer's settings

    /// Streams that the peer lets us have open; large when it has not said.
    package var peerMaximumConcurrentStreams: UInt32 {
        unsafe nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
    }

    /// The server takes extended CONNECT (RFC 8441 §3).
    package var peerEnablesConnectProtocol: Bool {
        unsafe nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1
    }

    /// A new request may be sent: the peer has not said GOAWAY and identifiers are left.
    package var takesRequests: Bool {
        unsafe !isTerminated && !isGoingAway && nghttp2_session_check_request_allowed(session) != 0
    }

    // MARK: Output

    /// There is something to send.
    package var wantsOutput: Bool { unsafe output.readableBytes > 0 || nghttp2_session_want_write(session) != 0 }

    /// The bytes to send now, as far as the peer's windows allow; nil when there are none.
    /// - Parameter maximum: about so many; the rest comes with the next call.
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

    /// Puts the next frame into the output; DATA frames before it were put there by their callback.
    /// - Returns: false when there was none.
    private func makeOutput() -> Bool {
        var chunk: UnsafePointer<UInt8>?
        let count = unsafe nghttp2_session_mem_send(session, &chunk)
        if count < 0 { ended(.internalError, unsafe String(cString: nghttp2_strerror(Int32(count)))) }
        guard count > 0, let chunk = unsafe chunk else { return false }
        unsafe output.writeBytes(UnsafeRawBufferPointer(start: chunk, count: count))
        if !hasSentSettings { sayLimitOfStreams() }
        return true
    }

    /// nghttp2 ends the connection of a client that opens more streams than it may, where RFC 9113 §5.1.2 asks for an error of the stream. So
    /// it is told of no limit, and the client in our first frame of the one that we keep ourselves.
    private func sayLimitOfStreams() {
        hasSentSettings = true
        guard role == .server else { return }
        let setting = output.readerIndex + FrameHeader.size
        precondition(output.getInteger(at: setting) == UInt16(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue))
        output.setInteger(limits.maximumConcurrentStreams, at: setting + 2)
    }

    /// Sends until the reset of a stream is out, which closes it.
    func closeReset(_ stream: Int32) {
        maximumOutput = output.readableBytes + 1 << 20
        while streams[stream] != nil, makeOutput() {}
    }

    /// What the last output took: the next one is likely to be as large.
    private var outputHint = 512

    /// What was put into the output of each stream's content since the last call: so much more may be read from where it comes.
    package func takeSentContent() -> [(stream: StreamID, count: Int)] {
        guard !sentBytes.isEmpty else { return [] }
        defer { sentBytes.removeAll(keepingCapacity: true) }
        return sentBytes
    }

    /// Above it no more DATA frames are put into the output for now.
    private(set) var maximumOutput = 0

    /// Nothing more will be said by either side.
    package var isDone: Bool {
        unsafe nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0 && output.readableBytes == 0
    }
}
