// What happens in a flow, as the proxy core reports it. The events of one flow are in order; those of different flows interleave.

import HTTPSemantics
import NIOCore

/// One event of a flow.
package struct FlowEvent: Sendable {
    package var flow: FlowID
    /// When the bytes that caused it were received.
    package var at: Timestamp
    package var what: What

    package init(flow: FlowID, at: Timestamp, what: What) {
        self.flow = flow
        self.at = at
        self.what = what
    }

    package enum What: Sendable {
        /// The first event of every flow.
        case opened(FlowOpening)
        /// The server connection of the flow is known, or more is known of it. May occur several times; the last one counts.
        case server(Shared<ServerConnection>)
        /// More is known of the client connection (its TLS). The last one counts.
        case client(Shared<ClientConnection>)
        case request(RequestHead)
        /// A 1xx response; there may be several.
        case interim(ResponseHead)
        case response(ResponseHead)
        /// A piece of content, a WebSocket message, data of a TCP stream. Its time is the event's.
        case piece(FlowPiece)
        case trailers(from: Side, FieldSection)
        /// One side's message is complete (HTTP), or it sent its FIN (TCP).
        case finished(Side)
        /// Something unusual that did not end the flow. May occur several times.
        case note(FlowNote)
        /// Bytes that could not be parsed and so ended the flow, as received.
        case malformed(from: Side, ByteBuffer)
        /// A response of the recorder itself.
        indirect case localReply(LocalReply)
        /// Redaction changed the flow. May occur several times; what the later ones report is added to the earlier. One that marks a body
        /// as decoded precedes the content of that body.
        indirect case redacted(FlowRedaction)
        /// Not all of one side's content, of a message or a stream, is stored. May occur several times; the last one counts.
        case cut(from: Side, ContentCut)
        /// The last event of a flow, unless the recorder ended first.
        case ended(FlowEnding)
    }
}

/// How a flow begins.
package struct FlowOpening: Sendable {
    package var kind: FlowKind
    package var client: Shared<ClientConnection>
    /// The destination that the client wanted: the host and port of the effective request URI (RFC 9110 §7.1) for HTTP, the peer for the rest.
    package var target: FlowTarget
    /// The stream of the client connection: its number in HTTP/2, the count of the exchange in HTTP/1.
    package var stream: StreamID

    package init(kind: FlowKind, client: Shared<ClientConnection>, target: FlowTarget, stream: StreamID) {
        self.kind = kind
        self.client = client
        self.target = target
        self.stream = stream
    }
}

/// Scheme, host and port that a flow is meant for; empty or 0 when they are not known.
package struct FlowTarget: Sendable, Hashable {
    /// `http` or `https` for HTTP; `tcp` or `tls` for the rest.
    package var scheme: String
    /// The server that is contacted: the name in the URI or of CONNECT; in reverse mode the configured one.
    package var host: String
    package var port: UInt16

    package init(scheme: String, host: String, port: UInt16) {
        self.scheme = scheme
        self.host = host
        self.port = port
    }

    package init(scheme: String, _ endpoint: Endpoint) {
        self.init(scheme: scheme, host: endpoint.host, port: endpoint.port)
    }
}

package enum FlowKind: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    case http = 0
    /// A TCP stream, or a connection that was passed through unread (``FlowEnding/passthrough``).
    case tcp = 1
    /// A TLS connection that carried nothing because its handshake failed.
    case tls = 2

    package var description: String {
        switch self {
        case .http: "http"
        case .tcp: "tcp"
        case .tls: "tls"
        }
    }
}

/// Data or a message that a flow carries after its heads. The pieces of both sides form one sequence, in the order of their times.
package struct FlowPiece: Sendable, Equatable {
    package enum Kind: UInt8, Sendable {
        /// Bytes of a message's content (transfer codings removed, content codings not), or of a TCP stream. Redaction may have removed
        /// the content codings (``FlowRedaction/isDecoded(_:)``).
        case data = 0
        /// WebSocket messages and control frames (RFC 6455 §5.6, §5.5).
        case text = 1
        case binary = 2
        case ping = 3
        case pong = 4
        case close = 5
    }

    package var kind: Kind
    package var from: Side
    package var content: ByteBuffer
    /// WebSocket: payload bytes on the wire before permessage-deflate was undone. Data: the bytes that were sent, which are more or fewer
    /// than those of `content` when the recorder changed it or left some of it out. Other kinds: the size of `content`.
    package var wireSize: UInt64
    /// WebSocket: the number of frames of the message; otherwise 1.
    package var frames: UInt32
    /// WebSocket: `content` is not all of the message. Of other content ``FlowEvent/What/cut(from:_:)`` tells.
    package var cut: Shared<ContentCut>?

    package init(
        kind: Kind = .data, from: Side, content: ByteBuffer, wireSize: UInt64? = nil, frames: UInt32 = 1,
        cut: Shared<ContentCut>? = nil
    ) {
        self.kind = kind
        self.from = from
        self.content = content
        self.wireSize = wireSize ?? UInt64(content.readableBytes)
        self.frames = frames
        self.cut = cut
    }
}

/// Something unusual that did not end the flow, in one sentence.
package struct FlowNote: Sendable, Equatable {
    /// The side whose bytes it concerns; nil for neither.
    package var side: Side?
    package var message: String

    package init(side: Side?, _ message: String) {
        self.side = side
        self.message = message
    }
}

/// A response of the recorder itself, as the client received it.
package struct LocalReply: Sendable, Equatable {
    package var head: ResponseHead
    package var content: ByteBuffer

    package init(head: ResponseHead, content: ByteBuffer) {
        self.head = head
        self.content = content
    }
}

/// How a flow ends.
package struct FlowEnding: Sendable, Equatable {
    package var state: FlowState
    package var error: FlowError?
    /// TCP: the side that closed first, and whether by RST. WebSocket: the same of the connection below.
    package var closedBy: Side?
    package var isReset = false
    /// A connection that was passed through unread: the bytes that each side sent.
    package var passthrough: PassthroughSizes?
    package var comment: String?
    package var tags: [String] = []

    package init(state: FlowState, error: FlowError? = nil, closedBy: Side? = nil, isReset: Bool = false) {
        self.state = state
        self.error = error
        self.closedBy = closedBy
        self.isReset = isReset
    }
}

extension FlowEnding {
    /// The ending with the tag of a flow that redaction changed.
    package var ofRedacted: FlowEnding {
        guard !tags.contains(FlowRedaction.tag) else { return self }
        var tagged = self
        tagged.tags.append(FlowRedaction.tag)
        return tagged
    }
}

package struct PassthroughSizes: Sendable, Equatable {
    package var fromClient: UInt64
    package var fromServer: UInt64

    package init(fromClient: UInt64, fromServer: UInt64) {
        self.fromClient = fromClient
        self.fromServer = fromServer
    }
}

package enum FlowState: UInt8, Sendable, CustomStringConvertible {
    /// Everything was sent and received.
    case complete = 0
    /// It was cut off: a message is truncated, a peer disconnected, or the recorder ended first.
    case incomplete = 1
    /// There was no exchange: refused, unreachable, a failed handshake, a malformed request.
    case failed = 2

    package var description: String {
        switch self {
        case .complete: "complete"
        case .incomplete: "incomplete"
        case .failed: "failed"
        }
    }
}

/// What went wrong, in one sentence, and on whose side.
package struct FlowError: Sendable, Equatable {
    /// The side that caused it; nil is the recorder itself.
    package var side: Side?
    package var message: String
    package var at: Timestamp

    package init(side: Side?, message: String, at: Timestamp) {
        self.side = side
        self.message = message
        self.at = at
    }
}
