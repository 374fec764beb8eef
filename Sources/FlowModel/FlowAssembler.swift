// Combines the events of one flow into a Flow. The caller chooses whether the pieces' content is kept.

import HTTPSemantics
import NIOCore

/// Receives every event of a flow, in order.
package struct FlowAssembler: Sendable {
    private var partial: Flow
    private var kept: PiecesInMemory?
    private var counted = CountedPieces()

    /// The flow so far.
    package var flow: Flow {
        var flow = partial
        if let kept { flow.pieces = kept } else if counted.count > 0 { flow.pieces = counted }
        return flow
    }

    /// - Parameters:
    ///   - opening: the flow's first event.
    ///   - keepsPieces: whether content is kept in memory. Otherwise only sizes and times are taken from pieces, and the caller sets
    ///     ``Flow/pieces``.
    package init(id: FlowID, at: Timestamp, opening: FlowOpening, keepsPieces: Bool) {
        partial = Flow(id: id, opening: opening, started: at)
        kept = keepsPieces ? PiecesInMemory() : nil
    }

    package mutating func receive(_ what: FlowEvent.What, at: Timestamp) {
        switch what {
        case .opened:
            break
        case .server(let server):
            partial.server = server
        case .client(let client):
            partial.client = client
        case .request(let head):
            partial.request = Message(
                head: head, started: at, isStoredDecoded: partial.isStoredDecoded(.client), isCut: partial.cut(of: .client) != nil)
        case .interim(let head):
            partial.interims.append(Timed(at: at, value: head))
        case .response(let head):
            partial.response = Message(
                head: head, started: at, isStoredDecoded: partial.isStoredDecoded(.server), isCut: partial.cut(of: .server) != nil)
        case .piece(let piece):
            receive(piece, at: at)
        case .trailers(.client, let fields):
            partial.request?.trailers = fields
        case .trailers(.server, let fields):
            partial.response?.trailers = fields
        case .finished(.client):
            partial.request?.ended = at
        case .finished(.server):
            partial.response?.ended = at
        case .note(let note):
            partial.notes.append(Timed(at: at, value: note))
        case .malformed(let side, let bytes):
            partial.malformed.append(Timed(at: at, value: MalformedBytes(from: side, bytes)))
        case .localReply(let reply):
            partial.localReply = Timed(at: at, value: reply)
        case .redacted(let redaction):
            partial.add(redaction)
        case .cut(let side, let cut):
            partial.setCut(cut, of: side)
        case .ended(let ending):
            partial.receive(partial.redaction == nil ? ending : ending.ofRedacted, at: at)
        }
    }

    private mutating func receive(_ piece: FlowPiece, at: Timestamp) {
        count(piece.kind, from: piece.from, size: piece.wireSize, stored: UInt64(piece.content.readableBytes), at: at)
        if kept == nil { counted.add(piece) } else { kept?.pieces.append((at, piece)) }
    }

    /// Counts a piece without its content.
    /// - Parameters:
    ///   - size: bytes on the wire; `stored`: bytes of them that are kept.
    package mutating func count(_ kind: FlowPiece.Kind, from: Side, size: UInt64, stored: UInt64, at: Timestamp) {
        guard kind == .data else {
            partial.isWebSocket = true
            return
        }
        switch from {
        case .client:
            partial.request?.size += size
            partial.request?.storedSize += stored
            if partial.request?.firstByte == nil { partial.request?.firstByte = at }
        case .server:
            partial.response?.size += size
            partial.response?.storedSize += stored
            if partial.response?.firstByte == nil { partial.response?.firstByte = at }
        }
    }
}

extension Flow {
    mutating func receive(_ ending: FlowEnding, at: Timestamp) {
        ended = at
        state = ending.state
        error = ending.error
        closedBy = ending.closedBy
        isReset = ending.isReset
        passthrough = ending.passthrough
        comment = ending.comment
        tags = ending.tags
    }
}

/// Pieces of which only the number and the sizes are kept.
private struct CountedPieces: FlowPieces {
    private(set) var count = 0
    private var fromClient: UInt64 = 0
    private var fromServer: UInt64 = 0
    private var counted = ConversationSizes()

    mutating func add(_ piece: FlowPiece) {
        count += 1
        counted.count(piece)
        if piece.from == .client { fromClient += piece.wireSize } else { fromServer += piece.wireSize }
    }

    func wireSize(from side: Side) -> UInt64 { side == .client ? fromClient : fromServer }
    func sizes() -> ConversationSizes { counted }
    func forEach(_ visit: (Timestamp, FlowPiece) throws -> Bool) throws {}
    func cursor() -> any FlowPieceCursor { PiecesInMemory().cursor() }
}
