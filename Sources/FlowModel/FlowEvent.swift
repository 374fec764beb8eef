// What the proxy core says of a flow while it happens. The events of one flow come in order; those of different flows interleave.

import HTTPSemantics
import NIOCore

/// One thing that happened in a flow.
package struct FlowEvent: Sendable {
    package var flow: FlowID
    /// When the bytes that caused it were read.
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
        /// The server connection of the flow is known, or more is known of it. May come several times; the last one counts.
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
        /// Something unusual that passed all the same. May come several times.
        case note(FlowNote)
        /// Bytes that could not be read and so ended the flow, as they came.
        case malformed(from: Side, ByteBuffer)
        /// What the recorder answered itself; no server said it.
        indirect case localReply(LocalReply)
        /// The last event of every flow that the recorder lived to see the end of.
        case ended(FlowEnding)
    }
}

/// How a flow begins.
package struct FlowOpening: Sendable {
    package var kind: FlowKind
    package var client: Shared<ClientConnection>
    /// Where the client meant to go. The host and port of the effective request URI (RFC 9110 §7.1) for HTTP, the peer for the rest.
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

/// Scheme, host and port that a flow is meant for. All are empty or 0 where they could not be found out.
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
    /// A TCP stream, and a connection that was passed through unread (``FlowEnding/passthrough``).
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

/// A piece of what a flow carries behind its heads. The pieces of both sides stand in one sequence, in the order of their times.
package struct FlowPiece: Sendable, Equatable {
    package enum Kind: UInt8, Sendable {
        /// Bytes of a message's content (transfer codings removed, content codings not), or of a TCP stream.
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
    /// WebSocket: payload bytes on the wire before permessage-deflate was undone; for the other kinds the size of `content`.
    package var wireSize: UInt64
    /// WebSocket: frames that the message came in; otherwise 1.
    package var frames: UInt32

    package init(kind: Kind = .data, from: Side, content: ByteBuffer, wireSize: UInt64? = nil, frames: UInt32 = 1) {
        self.kind = kind
        self.from = from
        self.content = content
        self.wireSize = wireSize ?? UInt64(content.readableBytes)
        self.frames = frames
    }
}

/// What was wrong with a flow that passed all the same, in one sentence.
package struct FlowNote: Sendable, Equatable {
    /// Whose bytes it concerns; nil is neither's.
    package var side: Side?
    package var message: String

    package init(side: Side?, _ message: String) {
        self.side = side
        self.message = message
    }
}

/// An answer that the recorder gave itself, as the client received it.
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
    /// TCP: who closed first, and whether by FIN or RST. WebSocket: how the connection below it went.
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

package struct PassthroughSizes: Sendable, Equatable {
    package var fromClient: UInt64
    package var fromServer: UInt64

    package init(fromClient: UInt64, fromServer: UInt64) {
        self.fromClient = fromClient
        self.fromServer = fromServer
    }
}

package enum FlowState: UInt8, Sendable, CustomStringConvertible {
    /// Everything that was meant to be said was said.
    case complete = 0
    /// It was cut: a message is truncated, a peer went away, or the recorder ended first.
    case incomplete = 1
    /// It never came to an exchange: refused, unreachable, a failed handshake, a malformed request.
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
    /// Who is to blame; nil is the recorder itself.
    package var side: Side?
    package var message: String
    package var at: Timestamp

    package init(side: Side?, message: String, at: Timestamp) {
        self.side = side
        self.message = message
        self.at = at
    }
}
