// A stream of HTTP/2 that carries bytes (RFC 9113 §8.5) as a socket does.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore

/// One stream of a client's connection, from its CONNECT on. Requests to the connection beyond its own frames are kept until the owner of
/// the connection takes them.
final class StreamLink {
    private enum State {
        /// CONNECT has no answer.
        case requested
        case open
        /// Nothing more is sent.
        case over
    }

    /// A request to the owner of the connection.
    enum Request {
        /// The stream is reset after its output.
        case reset(HTTP2ErrorCode)
        /// The client is refused with this answer, and sends nothing more.
        case refuse(LocalReply)
        /// The stream is closed from our side.
        case closed
    }

    let stream: StreamID
    private let connection: HTTP2Connection
    private var state = State.requested
    private var requests: [Request] = []
    /// Bytes were sent since the last check.
    private var hasSent = false
    /// Bytes that were received and wait for their window.
    private var unconsumed = 0
    /// Received bytes are taken; otherwise the client's window stays closed.
    var isReading = true {
        didSet { openWindow() }
    }

    init(_ connection: HTTP2Connection, _ stream: StreamID) {
        self.connection = connection
        self.stream = stream
    }

    var isOver: Bool {
        if case .over = state { true } else { false }
    }

    // MARK: The answer to CONNECT

    func accept() {
        state = .open
        var fields = HTTP2Fields()
        fields.append(":status", "200")
        connection.sendResponse(fields, on: stream, endsStream: false)
    }

    func refuse(_ reply: LocalReply) {
        state = .over
        requests.append(.refuse(reply))
    }

    // MARK: Bytes

    /// Counts received bytes before they are handled.
    func received(_ count: Int) { unconsumed += count }

    /// Opens the client's window by the accepted bytes.
    func openWindow() {
        guard isReading, unconsumed > 0 else { return }
        connection.consumed(unconsumed, on: stream)
        unconsumed = 0
    }

    func send(_ bytes: ByteBuffer) {
        guard !isOver else { return }
        connection.sendData(bytes, on: stream)
        hasSent = true
    }

    var isWritable: Bool { connection.queuedBytes(on: stream) < FlowControl.highWaterMark }

    // MARK: Ends

    /// Ends our direction.
    func finish() {
        if case .open = state { connection.sendEnd(trailers: nil, on: stream) }
    }

    /// Ends both directions after the output; a stream without an answer is reset.
    func close() {
        if case .open = state {
            connection.sendEnd(trailers: nil, on: stream)
            connection.endInput(of: stream)
            state = .over
        }
        abort()
    }

    /// Resets the stream (RFC 9113 §8.5: the connection below failed).
    func abort() {
        switch state {
        case .requested: requests.append(.reset(.cancel))
        case .open: requests.append(.reset(.connectError))
        case .over: break
        }
        state = .over
        requests.append(.closed)
    }

    /// The stream is gone.
    func isGone() { state = .over }

    // MARK: For the owner of the connection

    func takeRequest() -> Request? { requests.isEmpty ? nil : requests.removeFirst() }

    func takeHasSent() -> Bool {
        defer { hasSent = false }
        return hasSent
    }
}
