// A recorded flow as a whole, as readers of recordings use it. Heads and facts are in memory; bodies, messages and stream data may be in a
// file and are fetched piece by piece, so a flow is small whatever it carried.

import HTTPSemantics
import NIOCore

/// A recorded session: one HTTP exchange (with the WebSocket conversation it opened), one TCP stream, one failed TLS connection.
package struct Flow: Sendable {
    package var id: FlowID
    package var kind: FlowKind
    package var state: FlowState
    package var started: Timestamp
    /// nil when the recording stops before the flow ends.
    package var ended: Timestamp?
    /// The flow has not ended, and a recorder is still writing its file.
    package var isBeingRecorded = false
    package var error: FlowError?
    package var target: FlowTarget
    package var stream: StreamID
    /// nil when its record was lost.
    package var client: Shared<ClientConnection>?
    package var server: Shared<ServerConnection>?
    /// HTTP only, as is everything below down to ``pieces``.
    package var request: Message<RequestHead>?
    package var interims: [Timed<ResponseHead>] = []
    package var response: Message<ResponseHead>?
    /// The exchange became a WebSocket conversation.
    package var isWebSocket = false
    /// Content of both sides, WebSocket messages or stream data, in the order of time.
    package var pieces: any FlowPieces
    package var closedBy: Side?
    package var isReset = false
    package var passthrough: PassthroughSizes?
    package var comment: String?
    package var tags: [String] = []
    /// Unusual things that did not end the flow.
    package var notes: [Timed<FlowNote>] = []
    /// Bytes that could not be parsed, by the side that sent them.
    package var malformed: [Timed<MalformedBytes>] = []
    /// The recorder's own response, when no response of a server reached the client.
    package var localReply: Timed<LocalReply>? {
        get { sharedLocalReply?.value }
        set { sharedLocalReply = newValue.map { Shared($0) } }
    }
    /// Rare and large: a flow is copied often.
    private var sharedLocalReply: Shared<Timed<LocalReply>>?
    private var sharedCuts: Shared<ContentCuts>?

    /// What redaction changed before the flow was stored; nil when it changed nothing.
    package var redaction: FlowRedaction? {
        get { sharedRedaction?.value }
        set { sharedRedaction = newValue.map { Shared($0) } }
    }
    private var sharedRedaction: Shared<FlowRedaction>?

    package init(id: FlowID, opening: FlowOpening, started: Timestamp) {
        self.id = id
        self.kind = opening.kind
        self.state = .incomplete
        self.started = started
        self.target = opening.target
        self.stream = opening.stream
        self.client = opening.client
        self.pieces = PiecesInMemory()
    }
}

extension Flow {
    /// Why the content of one side, of its message or its stream, is not all stored; nil when nothing of it was cut. Each message of a
    /// WebSocket has its own, ``FlowPiece/cut``.
    package func cut(of side: Side) -> ContentCut? { sharedCuts?.value[side] }

    package mutating func setCut(_ cut: ContentCut, of side: Side) {
        var cuts = sharedCuts?.value ?? ContentCuts()
        cuts[side] = cut
        sharedCuts = Shared(cuts)
        if side == .client { request?.isCut = true } else { response?.isCut = true }
    }
}

/// Bytes of one side that could not be parsed, as received.
package struct MalformedBytes: Sendable, Equatable {
    package var from: Side
    package var bytes: ByteBuffer

    package init(from: Side, _ bytes: ByteBuffer) {
        self.from = from
        self.bytes = bytes
    }
}

/// A value and the moment it was received.
package struct Timed<Value: Sendable & Equatable>: Sendable, Equatable {
    package var at: Timestamp
    package var value: Value

    package init(at: Timestamp, value: Value) {
        self.at = at
        self.value = value
    }
}

/// One direction of an HTTP exchange. Its content is in the flow's pieces.
package struct Message<Head: Sendable & Equatable>: Sendable, Equatable {
    package var head: Head
    /// When the head was complete.
    package var started: Timestamp
    /// When the last byte was received; nil when the message is not complete.
    package var ended: Timestamp?
    package var trailers: FieldSection?
    /// Bytes of content on the wire, without transfer codings.
    package var size: UInt64 = 0
    /// Bytes of content that are in the recording.
    package var storedSize: UInt64 = 0
    /// Redaction stored the content without content codings: ``storedSize`` counts decoded bytes.
    package var isStoredDecoded = false
    /// Some of its content was not stored: ``Flow/cut(of:)``.
    package var isCut = false
    /// When the first byte of content was received.
    package var firstByte: Timestamp?

    package init(head: Head, started: Timestamp, isStoredDecoded: Bool = false, isCut: Bool = false) {
        self.head = head
        self.started = started
        self.isStoredDecoded = isStoredDecoded
        self.isCut = isCut
    }

    /// The content that was received is in the recording, as it was sent or without its content codings.
    package var hasAllContent: Bool { !isCut && (storedSize == size || isStoredDecoded) }
    /// The whole message was received and is in the recording.
    package var isComplete: Bool { ended != nil && hasAllContent }
}

/// Where the pieces of a flow are: in memory or in a file.
package protocol FlowPieces: Sendable {
    /// The number of pieces.
    var count: Int { get }

    /// Bytes of one side on the wire.
    func wireSize(from side: Side) throws -> UInt64

    /// Counts the messages of both sides. Content is fetched of a close frame only.
    func sizes() throws -> ConversationSizes

    /// A cursor before the first piece.
    func cursor() -> any FlowPieceCursor

    /// Visits the pieces in order and fetches each one on demand.
    /// - Parameter visit: returns false to stop.
    /// - Throws: errors of fetching a piece; errors of `visit`.
    func forEach(_ visit: (Timestamp, FlowPiece) throws -> Bool) throws
}

/// Iterates over pieces one at a time.
package protocol FlowPieceCursor: Sendable {
    /// - Returns: nil after the last piece.
    /// - Throws: errors of fetching a piece; a ``ContentError`` for a damaged piece, after which the next one can be fetched.
    mutating func next() throws -> (at: Timestamp, piece: FlowPiece)?
}

extension FlowPieces {
    package func wireSize(from side: Side) throws -> UInt64 {
        var size: UInt64 = 0
        try forEach { _, piece in
            if piece.from == side { size += piece.wireSize }
            return true
        }
        return size
    }

    package func sizes() throws -> ConversationSizes {
        var sizes = ConversationSizes()
        try forEach { _, piece in
            sizes.count(piece)
            return true
        }
        return sizes
    }

    /// The content of one side's data pieces, joined: a message body as sent.
    /// - Parameter maximum: the most bytes that are fetched and returned.
    package func content(from side: Side, maximum: Int = .max) throws -> ByteBuffer {
        var joined = ByteBuffer()
        try forEach { _, piece in
            guard piece.kind == .data, piece.from == side else { return true }
            let room = maximum - joined.readableBytes
            if joined.readableBytes == 0, piece.content.readableBytes <= room {
                joined = piece.content
            } else {
                var part = piece.content.slice(ByteRange(0, min(room, piece.content.readableBytes)))
                joined.writeBuffer(&part)
            }
            return joined.readableBytes < maximum
        }
        return joined
    }
}

/// Pieces of a flow that was not written, or is small.
package struct PiecesInMemory: FlowPieces {
    package var pieces: [(at: Timestamp, piece: FlowPiece)] = []

    package init() {}

    package var count: Int { pieces.count }

    package func forEach(_ visit: (Timestamp, FlowPiece) throws -> Bool) throws {
        for (at, piece) in pieces where try !visit(at, piece) { return }
    }

    package func cursor() -> any FlowPieceCursor { Cursor(rest: pieces[...]) }

    private struct Cursor: FlowPieceCursor {
        var rest: ArraySlice<(at: Timestamp, piece: FlowPiece)>

        mutating func next() -> (at: Timestamp, piece: FlowPiece)? { rest.popFirst() }
    }
}

extension Message<RequestHead> {
    /// The content codings (RFC 9110 section 8.4.1) of the stored content, in the order in which they were applied.
    package var storedCodings: [ByteBuffer] { isStoredDecoded ? [] : head.fields.declaredCodings }
}

extension Message<ResponseHead> {
    /// The content codings (RFC 9110 section 8.4.1) of the stored content, in the order in which they were applied.
    package var storedCodings: [ByteBuffer] { isStoredDecoded ? [] : head.fields.declaredCodings }
}

extension FieldSection {
    /// The elements of Content-Encoding, in the order in which the codings were applied. Stored content may be without them.
    package var declaredCodings: [ByteBuffer] { all("content-encoding").flatMap { $0.listElements() } }
}

extension Flow {
    /// Adds to ``redaction``.
    mutating func add(_ redaction: FlowRedaction) {
        var sum = self.redaction ?? FlowRedaction()
        sum.merge(redaction)
        self.redaction = sum
        request?.isStoredDecoded = sum.isRequestDecoded
        response?.isStoredDecoded = sum.isResponseDecoded
    }

    /// Visits the flow as events, in an order that a recorder could have seen. Content is fetched piece by piece.
    /// Damaged content is left out; the flow is incomplete then, with an error that reports it.
    /// - Throws: other errors of fetching a piece; errors of `visit`.
    package func forEachEvent(_ visit: (FlowEvent) throws -> Void) throws {
        var events = FlowEventCursor(self, marksDamage: true)
        while let event = try events.next() { try visit(event) }
    }
}
