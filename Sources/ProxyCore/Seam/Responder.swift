// The seam to a responder, which answers in place of servers: a session that has one asks it before it connects to a server.

import FlowModel
import HTTPSemantics
import NIOCore

/// A request, without its content when it is not complete.
package struct RecordedRequestQuery: Sendable {
    package var head: RequestHead
    /// Where it was going.
    package var target: FlowTarget
    package var content: ByteBuffer
    /// 100 Continue was said already (RFC 9110 §10.1.1).
    package var sent100Continue: Bool
    /// It asks for WebSocket by extended CONNECT (RFC 8441 §5).
    package var isExtendedConnect: Bool
    /// Sec-WebSocket-Accept for its key, when it asks for WebSocket by Upgrade.
    package var accept: String?
}

/// What becomes of a request.
package enum ResponderAnswer {
    case play(any ServerPlayer)
    /// An answer of our own, with a reason for people.
    case refuse(status: Int, String)
    /// The connection is closed, the stream reset, without an answer.
    case close(String, isReset: Bool)
    /// It goes to this server after all.
    case forward(Endpoint, isTLS: Bool)
}

/// Answers requests, and plays the servers of streams. Called from every event loop.
package protocol Responder: Sendable {
    /// Asked when a request with content of unknown length begins: who answers while it goes on. nil waits for all of it.
    func answerDuplex(_ request: RecordedRequestQuery, at now: Timestamp) -> (any ServerPlayer)?
    func answer(_ request: RecordedRequestQuery, at now: Timestamp) -> ResponderAnswer
    /// Whether the server of a stream to this target says something before its client does; behind TLS where the target's scheme is `tls`.
    func speaksFirst(on target: FlowTarget) -> Bool
    /// nil: nobody plays this stream.
    func stream(to target: FlowTarget, at now: Timestamp) -> (any ServerPlayer)?
    /// What a played server was to say next could not be read.
    func couldNotRead()
}

/// A server that is played, for one exchange or stream. Used by one session.
package protocol ServerPlayer: AnyObject {
    /// Content or trailers follow the head of its response.
    var hasContent: Bool { get }
    /// What it does at a moment; asked again after each thing that it said.
    /// - Throws: when the recording cannot be read.
    func next(at now: Timestamp) throws -> ServerStep
    /// The client said something in a dialogue: a message, or bytes of a stream or of a request.
    func receive(_ piece: FlowPiece, at now: Timestamp)
    /// The client ended its side of a stream.
    func clientFinished(at now: Timestamp)
    /// What the client said that was not expected.
    func takeComplaints() -> [String]
}
