// A flow of which records are being put together, one after the other.

import FlowModel
import HTTPSemantics
import NIOCore

/// A flow of which parts have come.
struct OpenFlow {
    private var assembler: FlowAssembler
    private var pieces = ArchivePieces()
    private var nextPart: UInt32 = 0
    /// Parts of it are not there: their block was lost.
    private var isTorn = false
    private var hasClient = true
    /// Parts that hold whole pieces; behind them a piece has begun that goes on in a part to come.
    private var wholeParts = 0
    private var wholePieces = 0
    /// Of these, what ``takeNews()`` gave.
    private var toldParts = 0
    private var toldPieces = 0

    /// Begins with the first part that there is. When it is not the flow's first, its beginning was lost and what there is is shown.
    init(_ view: RecordView, _ block: DecodedBlock) {
        let opening = block.opening(view)
        assembler = FlowAssembler(id: view.id, at: view.started, opening: opening, keepsPieces: false)
        hasClient = opening.client.value != .unknown
    }

    /// Adds a part.
    /// - Parameter isWhole: the flow does not outlive what is done with its block. Otherwise it keeps nothing of the block alive.
    /// - Throws: when the details are damaged, or cannot be understood; nothing was added then.
    mutating func receive(_ view: RecordView, _ block: DecodedBlock, isWhole: Bool) throws {
        let place = view.place
        var details = try block.source.details(at: Int(place.detailsAt), count: Int(place.detailsLength))
        if !isWhole { details = details.detached }
        var assembler = assembler
        if !isWhole, let client = block.client(view.clientReference) {
            assembler.receive(.client(client), at: view.started)
            hasClient = true
        }
        if let server = block.server(view.serverReference) { assembler.receive(.server(server), at: view.started) }
        var isPieceOpen = false
        try block.events(
            of: view, in: details, { what, at in assembler.receive(what, at: at) },
            piece: { place, at in
                assembler.count(place.kind, from: place.from, size: place.size, stored: place.size, at: at)
                isPieceOpen = place.continues
            })
        self.assembler = assembler
        if view.part != nextPart { isTorn = true }
        nextPart = view.part &+ 1
        guard view.pieceCount > 0 || place.contentLength > 0 else { return }
        pieces.parts.append(place)
        pieces.count += view.pieceCount
        if !isPieceOpen { (wholeParts, wholePieces) = (pieces.parts.count, pieces.count) }
    }

    /// The flow as far as it has come, with the pieces that have come since this was asked last; nil when there are none.
    mutating func takeNews() -> Flow? {
        guard wholeParts > toldParts else { return nil }
        var flow = flow
        flow.pieces = ArchivePieces(parts: Array(pieces.parts[toldParts..<wholeParts]), count: wholePieces - toldPieces)
        (toldParts, toldPieces) = (wholeParts, wholePieces)
        return flow
    }

    /// The blocks that its parts are in.
    var sources: [BlockSource] { pieces.parts.map(\.source) }

    var flow: Flow {
        var flow = assembler.flow
        flow.pieces = pieces
        if !hasClient { flow.client = nil }
        if isTorn {
            flow.state = .incomplete
            flow.error = FlowError(side: nil, message: "a part of this flow's recording was lost", at: flow.ended ?? flow.started)
        }
        return flow
    }

    /// Flows that do not end are told in the order in which they began.
    var order: (Timestamp, FlowID) {
        let flow = assembler.flow
        return (flow.started, flow.id)
    }
}
