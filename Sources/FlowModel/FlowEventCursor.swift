// The events of a recorded flow, in an order that a recorder could have seen, one at a time.

import HTTPSemantics
import NIOCore

/// Iterates over the events of a flow. Content is fetched piece by piece, on demand.
package struct FlowEventCursor: Sendable {
    private let flow: FlowID
    /// Events that are not pieces, in the order of their times; those with `isFirst` precede all others.
    private var rest: [(at: Timestamp, what: FlowEvent.What, isFirst: Bool)] = []
    private var index = 0
    private var pieces: any FlowPieceCursor
    private var piece: (at: Timestamp, piece: FlowPiece)?
    private var hasBegun = false
    private var end: (at: Timestamp, ending: FlowEnding)?
    private var isOver = false
    private let marksDamage: Bool
    /// Sides with damaged content that was left out: their messages have no end.
    private var damaged: Set<Side> = []

    /// - Parameter marksDamage: leaves damaged content out and makes the flow incomplete; otherwise damage is an error.
    package init(_ flow: Flow, marksDamage: Bool = false) {
        self.flow = flow.id
        self.marksDamage = marksDamage
        pieces = flow.pieces.cursor()
        end = flow.ended.map { ($0, FlowEnding(flow)) }
        let opening = FlowOpening(
            kind: flow.kind, client: flow.client ?? Shared(.unknown), target: flow.target, stream: flow.stream)
        rest.append((flow.started, .opened(opening), true))
        if let server = flow.server { rest.append((flow.started, .server(server), true)) }
        if let redaction = flow.redaction { rest.append((flow.started, .redacted(redaction), true)) }
        if let request = flow.request { rest.append((request.started, .request(request.head), true)) }
        // Events with times of their own, after the request's head.
        var later: [(at: Timestamp, what: FlowEvent.What)] = flow.interims.map { ($0.at, .interim($0.value)) }
        if let response = flow.response { later.append((response.started, .response(response.head))) }
        for side in [Side.client, .server] {
            guard let cut = flow.cut(of: side) else { continue }
            let end = side == .client ? flow.request?.ended : flow.response?.ended
            later.append((end ?? flow.ended ?? flow.started, .cut(from: side, cut)))
        }
        if let request = flow.request, let end = request.ended {
            if let trailers = request.trailers { later.append((end, .trailers(from: .client, trailers))) }
            later.append((end, .finished(.client)))
        }
        if let response = flow.response, let end = response.ended {
            if let trailers = response.trailers { later.append((end, .trailers(from: .server, trailers))) }
            later.append((end, .finished(.server)))
        }
        later += flow.notes.map { ($0.at, .note($0.value)) }
        later += flow.malformed.map { ($0.at, .malformed(from: $0.value.from, $0.value.bytes)) }
        if let reply = flow.localReply { later.append((reply.at, .localReply(reply.value))) }
        later.sort { $0.at < $1.at }
        rest += later.map { ($0.at, $0.what, false) }
    }

    /// - Returns: nil after the last event.
    /// - Throws: errors of fetching a piece.
    package mutating func next() throws -> FlowEvent? {
        if !hasBegun {
            hasBegun = true
            piece = try nextPiece()
        }
        while index < rest.count, isOfDamaged(rest[index].what) { index += 1 }
        if index < rest.count, piece.map({ stands(rest[index], before: $0.at) }) ?? true {
            defer { index += 1 }
            return FlowEvent(flow: flow, at: rest[index].at, what: rest[index].what)
        }
        if let (at, found) = piece {
            piece = try nextPiece()
            return FlowEvent(flow: flow, at: at, what: .piece(found))
        }
        guard let end, !isOver else { return nil }
        isOver = true
        return FlowEvent(flow: flow, at: end.at, what: .ended(end.ending))
    }

    private mutating func nextPiece() throws -> (at: Timestamp, piece: FlowPiece)? {
        while true {
            do { return try pieces.next() } catch let error as any ContentError {
                guard marksDamage, let piece = error.damagedPiece else { throw error }
                // Messages of a conversation are not the content of a request or a response.
                if piece.kind == .data { damaged.insert(piece.from) }
                end?.ending.state = .incomplete
                if end?.ending.error == nil {
                    let message = "content of this flow was damaged in the recording that it was copied from"
                    end?.ending.error = FlowError(side: nil, message: message, at: piece.at)
                }
            }
        }
    }

    private func isOfDamaged(_ what: FlowEvent.What) -> Bool {
        switch what {
        case .finished(let side), .trailers(from: let side, _): damaged.contains(side)
        default: false
        }
    }

    /// A head precedes content of the same time. The end of a message follows its last piece, which may have the same time.
    private func stands(_ event: (at: Timestamp, what: FlowEvent.What, isFirst: Bool), before piece: Timestamp) -> Bool {
        event.isFirst || event.at < piece || (event.at == piece && event.what.isHead)
    }
}

extension FlowEnding {
    fileprivate init(_ flow: Flow) {
        self.init(state: flow.state, error: flow.error, closedBy: flow.closedBy, isReset: flow.isReset)
        passthrough = flow.passthrough
        comment = flow.comment
        tags = flow.tags
    }
}

extension FlowEvent.What {
    fileprivate var isHead: Bool {
        switch self {
        case .interim, .response: true
        default: false
        }
    }
}
