// The seam to a responder, which answers in place of servers: a session that has one asks it before it connects to a server.

import FlowModel
import HTTPSemantics
import NIOCore

/// A request, without its content when it is not complete.
package struct RecordedRequestQuery: Sendable {
    package var head: RequestHead
    /// Its destination.
    package var target: FlowTarget
    package var content: ByteBuffer
    /// 100 Continue was sent already (RFC 9110 §10.1.1).
    package var sent100Continue: Bool
    /// It asks for WebSocket by extended CONNECT (RFC 8441 §5).
    package var isExtendedConnect: Bool
    /// Sec-WebSocket-Accept for its key, if it asks for WebSocket by Upgrade.
    package var accept: String?
}

/// The answer to a request.
package enum ResponderAnswer {
    case play(any ServerPlayer)
    /// An answer of our own, with a reason for users.
    case refuse(status: Int, String)
    /// The connection is closed, the stream reset, without an answer.
    case close(String, isReset: Bool)
    /// It is sent to this server.
    case forward(Endpoint, isTLS: Bool)
}

/// Answers requests, and provides the recorded servers of streams. Called from every event loop.
package protocol Responder: Sendable {
    /// Asked when a request with content of unknown length begins: a player that answers before its end; nil waits for all of it.
    func answerDuplex(_ request: RecordedRequestQuery, at now: Timestamp) -> (any ServerPlayer)?
    func answer(_ request: RecordedRequestQuery, at now: Timestamp) -> ResponderAnswer
    /// Whether the server of a stream to this target sends before its client does; in TLS where the target's scheme is `tls`.
    func speaksFirst(on target: FlowTarget) -> Bool
    /// Returns nil if no recording holds this stream.
    func stream(to target: FlowTarget, at now: Timestamp) -> (any ServerPlayer)?
    /// The next part of a recording could not be read.
    func couldNotRead()
}

/// A recorded server, for one exchange or stream. Used by one session.
package protocol ServerPlayer: AnyObject {
    /// Content or trailers follow the head of its response.
    var hasContent: Bool { get }
    /// Its next step at a moment; called again after each event that it sent.
    /// - Throws: when the recording cannot be read.
    func next(at now: Timestamp) throws -> ServerStep
    /// The client sent a message, or bytes of a stream or of a request.
    func receive(_ piece: FlowPiece, at now: Timestamp)
    /// The client ended its side of a stream.
    func clientFinished(at now: Timestamp)
    /// Descriptions of client messages that were not expected.
    func takeComplaints() -> [String]
}
