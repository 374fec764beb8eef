// A flow of a recording as stages leave it: what recording it with them would have stored.

import HTTPSemantics
import NIOCore

extension Flow {
    /// Bytes of content of a flow that are kept in memory.
    private static var keptContent: Int { 1024 * 1024 }

    /// The flow after the stages. More content than a few bytes stays where it is, and passes the stages again when it is fetched.
    /// - Throws: errors of fetching a piece, unless its content is damaged: fetching it from the result throws then.
    package func passing(_ stages: FlowEventStages) throws -> Flow {
        guard let stage = stages.begin() else { return self }
        var assembler: FlowAssembler?
        var kept = PiecesInMemory()
        var keptBytes = 0
        var isDamaged = false
        func take(_ what: FlowEvent.What, _ at: Timestamp) {
            if case .opened(let opening) = what {
                assembler = FlowAssembler(id: id, at: at, opening: opening, keepsPieces: false)
            } else {
                if case .piece(let piece) = what {
                    keptBytes += piece.content.readableBytes
                    if keptBytes <= Self.keptContent { kept.pieces.append((at, piece)) } else { kept.pieces = [] }
                }
                assembler?.receive(what, at: at)
            }
        }
        var events = FlowEventCursor(self)
        var last = started
        while true {
            do {
                guard let event = try events.next() else { break }
                last = event.at
                stage.receive(event.what, at: event.at, into: take)
            } catch let error as any ContentError {
                guard error.damagedPiece != nil else { throw error }
                isDamaged = true
            }
        }
        if ended == nil { stage.stop(at: last, into: take) }
        guard var flow = assembler?.flow else { preconditionFailure("a stage passes the opening of a flow on") }
        let count = flow.pieces.count
        let isKept = keptBytes <= Self.keptContent && !isDamaged
        flow.pieces = isKept ? kept : PassedPieces(flow: self, stages: stages, count: count) as any FlowPieces
        flow.isBeingRecorded = isBeingRecorded
        if client == nil { flow.client = nil }
        if ended == nil { (flow.state, flow.error) = (state, error) }
        return flow
    }
}

/// The pieces of a flow, which pass the stages when they are fetched.
private struct PassedPieces: FlowPieces {
    let flow: Flow
    let stages: FlowEventStages
    let count: Int

    func cursor() -> any FlowPieceCursor { PassedPieceCursor(flow, stages) }

    func forEach(_ visit: (Timestamp, FlowPiece) throws -> Bool) throws {
        var cursor = cursor()
        while let (at, piece) = try cursor.next() {
            guard try visit(at, piece) else { return }
        }
    }
}

/// Passes the events of a flow on, and returns the pieces.
///
/// `@unchecked Sendable`: a cursor is used by one thread at a time, and a copy of it continues where the original is.
private final class PassedPieceCursor: FlowPieceCursor, @unchecked Sendable {
    private var events: FlowEventCursor
    private var stage: (any FlowEventStage)?
    private let hasEnd: Bool
    private var last: Timestamp
    private var waiting: [(at: Timestamp, piece: FlowPiece)] = []
    private var position = 0

    init(_ flow: Flow, _ stages: FlowEventStages) {
        events = FlowEventCursor(flow)
        stage = stages.begin()
        hasEnd = flow.ended != nil
        last = flow.started
    }

    func next() throws -> (at: Timestamp, piece: FlowPiece)? {
        while position == waiting.count {
            (waiting, position) = ([], 0)
            guard let stage else { return nil }
            if let event = try events.next() {
                last = event.at
                stage.receive(event.what, at: event.at, into: take)
            } else {
                if !hasEnd { stage.stop(at: last, into: take) }
                self.stage = nil
            }
        }
        position += 1
        return waiting[position - 1]
    }

    private func take(_ what: FlowEvent.What, _ at: Timestamp) {
        if case .piece(let piece) = what { waiting.append((at, piece)) }
    }
}
