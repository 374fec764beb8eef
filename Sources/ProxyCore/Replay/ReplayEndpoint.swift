// The client's end of a replayed connection. Only this type knows which version of HTTP the steps are sent in.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore

/// The protocol in which the inner session of a replay gets its requests.
enum ReplayEndpoint {
    /// One request at a time.
    case http1
    /// A stream for each request.
    case http2(HTTP2Connection)
    /// One stream of bytes.
    case bytes

    init(_ wireProtocol: ReplayProtocol) {
        switch wireProtocol {
        case .http1: self = .http1
        case .http2: self = .http2(HTTP2Connection(.client, validation: .lenient))
        case .bytes: self = .bytes
        }
    }

    /// Several steps are in progress at a time.
    var isMultiplexed: Bool {
        if case .http2 = self { true } else { false }
    }

    /// Whether a flow that the inner session opens is that of a step.
    func isFlow(_ opening: FlowOpening, of step: ActiveRequest) -> Bool { !isMultiplexed || step.stream == opening.stream }

    /// Whether a response accepts a conversation: 101, or on a stream any success (RFC 8441 §5).
    func accepts(_ head: ResponseHead) -> Bool { head.status == 101 || isMultiplexed && head.status / 100 == 2 }

    // MARK: A step

    /// Sends content, a frame, or bytes of a step.
    /// - Returns: the bytes for the connection; empty if the stream has them.
    func content(_ content: ByteBuffer, of step: ActiveRequest) -> ByteBuffer {
        switch self {
        case .http2(let connection):
            connection.sendData(content, on: step.stream)
            return ByteBuffer()
        case .http1, .bytes:
            return step.body?.isChunked == true ? HTTP1Encoder.chunk(content) : content
        }
    }

    /// Ends a step's content.
    /// - Returns: the bytes for the connection.
    func end(_ trailers: FieldSection?, of step: ActiveRequest) -> ByteBuffer {
        switch self {
        case .http2(let connection):
            connection.sendEnd(trailers: trailers.map { HTTP2Fields(trailers: $0) }, on: step.stream)
            return ByteBuffer()
        case .http1, .bytes:
            return step.body?.isChunked == true ? HTTP1Encoder.lastChunk(trailers: trailers) : ByteBuffer()
        }
    }

    /// Nothing more is sent on the stream of a step, if it has one.
    func endStream(of step: ActiveRequest) {
        if case .http2(let connection) = self { connection.sendEnd(trailers: nil, on: step.stream) }
    }

    /// Resets the stream of a step.
    /// - Returns: false if it has none, so that only its connection can be reset.
    @discardableResult
    func reset(_ step: ActiveRequest) -> Bool {
        guard case .http2(let connection) = self else { return false }
        connection.reset(step.stream, .cancel)
        return true
    }

    /// Whether content of a step can be sent, as far as its stream decides.
    func hasRoom(for step: ActiveRequest) -> Bool {
        if case .http2(let connection) = self { connection.queuedBytes(on: step.stream) < FlowControl.highWaterMark } else { true }
    }

    // MARK: The connection

    /// Receives bytes of the inner session. What they contain is seen in the recorded events.
    func receive(_ bytes: ByteBuffer) {
        if case .http2(let connection) = self { connection.receive(bytes) }
    }

    /// Handles what came on the connection itself.
    /// - Returns: whether it takes no more requests.
    func takeEvents() -> Bool {
        guard case .http2(let connection) = self else { return false }
        var isEnding = false
        while let event = connection.next() {
            switch event {
            // Content is in the recorded events already.
            case .response(let stream, .content(let content, _, _)): connection.consumed(content.readableBytes, on: stream)
            case .goAway, .terminated: isEnding = true
            default: break
            }
        }
        return isEnding
    }

    /// The next frames for the connection; nil if there are none.
    func takeOutput() -> ByteBuffer? {
        guard case .http2(let connection) = self else { return nil }
        if let bytes = connection.takeOutput() { return bytes }
        _ = connection.takeSentContent()
        return nil
    }
}
