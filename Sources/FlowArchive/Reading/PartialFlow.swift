// A flow that is put together from its records, one after the other.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

/// A flow of which some parts were read.
struct PartialFlow {
    private var assembler: FlowAssembler
    private var pieces = ArchivePieces()
    private var nextPart: UInt32 = 0
    private var hasParts = false
    /// Parts are missing: their block was lost.
    private var isTorn = false
    /// What the files before have of it, when they were not read.
    private var before: ContinuedFlow?
    private var hasClient = true
    /// The last piece continues in the next part.
    private var isPieceOpen = false
    /// Parts with whole pieces. After them a piece has begun that continues in a later part.
    private var wholeParts = 0
    private var wholePieces = 0
    /// Those of them that ``takeNewPieces()`` returned.
    private var reportedParts = 0
    private var reportedPieces = 0

    /// Begins with the first part that was found. When it is not the flow's first, the beginning of the flow was lost.
    init(_ view: RecordView, _ block: DecodedBlock) {
        let opening = block.opening(view)
        assembler = FlowAssembler(id: view.id, at: view.started, opening: opening, keepsPieces: false)
        hasClient = opening.client.value != .unknown
    }

    /// The flow of a record that holds all of it.
    static func whole(_ view: RecordView, _ block: DecodedBlock) throws -> Flow {
        var flow = PartialFlow(view, block)
        try flow.receive(view, block, isWhole: true)
        return flow.flow
    }

    /// Adds a part.
    /// - Parameter isWhole: the flow may keep the memory of its block. Otherwise it copies what it needs.
    /// - Throws: when the details are damaged or not valid; nothing was added then.
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
        let continued = view.isFirst ? nil : try ContinuedFlow(details, from: view.started)
        if let continued {
            if hasParts { return noteNext(view.part) }
            assembler = FlowAssembler(id: view.id, at: continued.started, opening: block.opening(view), keepsPieces: false)
        }
        var isPieceOpen = isPieceOpen
        try block.events(
            of: view, in: details, { what, at in assembler.receive(what, at: at) },
            piece: { place, at in
                let size = place.sentSize(isContinuing: isPieceOpen)
                assembler.count(place.kind, from: place.from, size: size, stored: place.size, at: at)
                isPieceOpen = place.continues
            })
        (self.assembler, self.isPieceOpen) = (assembler, isPieceOpen)
        pieces.notePart(in: block.offset)
        if let continued {
            before = continued
            nextPart = view.part
            hasParts = true
            return
        }
        noteNext(view.part)
        nextPart &+= 1
        hasParts = true
        guard view.pieceCount > 0 || place.contentLength > 0 else { return }
        pieces.parts.append(place)
        pieces.count += view.pieceCount
        if !isPieceOpen { (wholeParts, wholePieces) = (pieces.parts.count, pieces.count) }
    }

    private mutating func noteNext(_ part: UInt32) {
        if part != nextPart { isTorn = true }
        nextPart = part
    }

    /// The flow as far as it is recorded, with only the pieces that were added since the last call; nil without any.
    mutating func takeNewPieces() -> Flow? {
        guard wholeParts > reportedParts else { return nil }
        var flow = flow
        flow.pieces = ArchivePieces(parts: Array(pieces.parts[reportedParts..<wholeParts]), count: wholePieces - reportedPieces)
        (reportedParts, reportedPieces) = (wholeParts, wholePieces)
        return flow
    }

    /// The parts in the files before were not read.
    var beginsEarlier: Bool { before != nil }

    /// The blocks of its parts.
    var sources: [BlockSource] { pieces.parts.map(\.source) }

    var flow: Flow {
        var flow = assembler.flow
        flow.pieces = pieces
        if !hasClient { flow.client = nil }
        if let before {
            flow.state = .incomplete
            if flow.error == nil {
                flow.error = FlowError(side: nil, message: before.sentence, at: flow.ended ?? flow.started)
            }
        }
        if isTorn {
            flow.state = .incomplete
            flow.error = FlowError(side: nil, message: "a part of this flow's recording was lost", at: flow.ended ?? flow.started)
        }
        return flow
    }

    /// Flows without an end are returned in the order of their starts.
    var order: (Timestamp, FlowID) {
        let flow = assembler.flow
        return (flow.started, flow.id)
    }
}

extension ContinuedFlow {
    /// What is missing.
    fileprivate var sentence: String {
        "the beginning of this flow is in an earlier file of the recording "
            + "(\(wireSizeFromClient) bytes from the client, \(wireSizeFromServer) from the server)"
    }
}
