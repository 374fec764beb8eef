// The pieces of a flow in a file: its items say what each piece is and where its content stands; content is fetched when it is asked for.

import FlowModel
import HTTPSemantics
import NIOCore

/// Where each part of a flow keeps its pieces.
struct ArchivePieces: FlowPieces {
    /// One record's part of the flow.
    struct Part {
        var source: BlockSource
        var started: Timestamp
        var detailsAt: UInt32
        var detailsLength: UInt32
        var contentAt: UInt32
        var contentLength: UInt32
    }

    var parts: [Part] = []
    var count = 0

    func cursor() -> any FlowPieceCursor { ArchivePieceCursor(parts) }

    /// The items alone say it: content is not fetched.
    func wireSize(from side: Side) throws -> UInt64 {
        var size: UInt64 = 0
        var isContinuing = false
        for (index, part) in parts.enumerated() {
            let details = try part.source.details(at: Int(part.detailsAt), count: Int(part.detailsLength))
            var items = ItemReader(details, from: part.started)
            while let item = try items.next() {
                guard item.tag == ItemTag.piece else { continue }
                let place = try PiecePlace(item.content)
                if place.from == side, !isContinuing || place.isPlain { size &+= place.wireSize }
                isContinuing = place.continues
            }
            if index + 1 < parts.count { part.source.forgetPart() }
        }
        return size
    }

    func forEach(_ visit: (Timestamp, FlowPiece) throws -> Bool) throws {
        var cursor = ArchivePieceCursor(parts)
        while let (at, piece) = try cursor.next() {
            guard try visit(at, piece) else { return }
        }
    }
}

/// Goes through the pieces of all parts.
struct ArchivePieceCursor: FlowPieceCursor {
    private let parts: [ArchivePieces.Part]
    private var index = 0
    private var items: ItemReader?
    /// Bytes of the part's content that were gone through.
    private var offset: UInt64 = 0

    init(_ parts: [ArchivePieces.Part]) { self.parts = parts }

    mutating func next() throws -> (at: Timestamp, piece: FlowPiece)? {
        var begun: FlowPiece?
        while index < parts.count {
            let part = parts[index]
            if items == nil {
                let details = try part.source.details(at: Int(part.detailsAt), count: Int(part.detailsLength))
                items = ItemReader(details, from: part.started)
                offset = 0
            }
            while let item = try items?.next() {
                guard item.tag == ItemTag.piece else { continue }
                let place = try PiecePlace(item.content)
                let piece = try piece(place, of: part, behind: begun)
                if !place.continues { return (item.at, piece) }
                begun = piece
            }
            items = nil
            index += 1
            // A flow that goes through many blocks would leave something of each in memory.
            if index < parts.count { part.source.forgetPart() }
        }
        return nil
    }

    private mutating func piece(_ place: PiecePlace, of part: ArchivePieces.Part, behind begun: FlowPiece?) throws -> FlowPiece {
        guard place.size <= UInt64(part.contentLength) - offset else { throw MalformedRecord() }
        let content = try part.source.content(at: UInt64(part.contentAt) + offset, count: place.size)
        offset += place.size
        guard var whole = begun else {
            return FlowPiece(kind: place.kind, from: place.from, content: content, wireSize: place.wireSize, frames: place.frames)
        }
        guard whole.content.readableBytes + content.readableBytes <= ArchiveFormat.maximumMessage else { throw MalformedRecord() }
        whole.content.writeImmutableBuffer(content)
        if place.isPlain { whole.wireSize += place.wireSize }
        return whole
    }
}
