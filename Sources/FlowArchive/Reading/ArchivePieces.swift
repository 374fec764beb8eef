// The pieces of a flow in a file: its items describe each piece; the content is fetched on demand.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

/// The pieces of a flow, in each of its parts.
struct ArchivePieces: FlowPieces {
    /// One record's part of the flow.
    struct Part {
        var flow: FlowID
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

    /// Reads the items only: content is not fetched.
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
            if index + 1 < parts.count { part.source.forgetChunk() }
        }
        return size
    }

    /// Reads the items, and the content of the first close frame.
    func sizes() throws -> ConversationSizes {
        var sizes = ConversationSizes()
        var isContinuing = false
        for (index, part) in parts.enumerated() {
            let details = try part.source.details(at: Int(part.detailsAt), count: Int(part.detailsLength))
            var items = ItemReader(details, from: part.started)
            var offset = UInt64(part.contentAt)
            while let item = try items.next() {
                guard item.tag == ItemTag.piece else { continue }
                let place = try PiecePlace(item.content)
                let size = place.sentSize(isContinuing: isContinuing)
                sizes.count(place.kind, from: place.from, size: size, endsMessage: !place.continues, isCut: place.cut != nil)
                isContinuing = place.continues
                if place.kind == .close, sizes.close == nil {
                    // A damaged recording has lost the reason; the sizes are known.
                    let content = try? part.source.content(at: offset, count: place.size)
                    sizes.close = (content ?? ByteBuffer(), place.from)
                }
                offset &+= place.size
            }
            if index + 1 < parts.count { part.source.forgetChunk() }
        }
        return sizes
    }

    func forEach(_ visit: (Timestamp, FlowPiece) throws -> Bool) throws {
        var cursor = ArchivePieceCursor(parts)
        while let (at, piece) = try cursor.next() {
            guard try visit(at, piece) else { return }
        }
    }
}

extension Flow {
    /// The parts of the flow in its file, and where the block with the last one begins; nil for a flow that was not read from a flow file, or
    /// was changed since.
    package var storedParts: (count: Int, lastBlock: UInt64)? {
        guard let parts = (pieces as? ArchivePieces)?.parts, let last = parts.last else { return nil }
        return (parts.count, last.source.blockOffset)
    }
}

/// Iterates over the pieces of all parts.
struct ArchivePieceCursor: FlowPieceCursor {
    private let parts: [ArchivePieces.Part]
    private var index = 0
    private var items: ItemReader?
    /// Bytes of the part's content that precede the next piece.
    private var offset: UInt64 = 0

    init(_ parts: [ArchivePieces.Part]) { self.parts = parts }

    /// A part whose items cannot be read ends the iteration; a piece whose content cannot be read is skipped.
    mutating func next() throws -> (at: Timestamp, piece: FlowPiece)? {
        var begun: FlowPiece?
        var damage: (error: ArchiveError, size: UInt64)?
        while index < parts.count {
            let part = parts[index]
            if items == nil { items = try open(part) }
            while let item = try items?.next() {
                guard item.tag == ItemTag.piece else { continue }
                let place = try PiecePlace(item.content)
                do throws(ArchiveError) {
                    begun = try piece(place, of: part, behind: begun, isDamaged: damage != nil)
                } catch {
                    guard error.kind == .damagedContent else { throw error }
                    part.source.noteDamagedContent(of: part.flow)
                    damage = (error, UInt64(begun?.content.readableBytes ?? 0))
                }
                damage?.size &+= place.size
                guard !place.continues else { continue }
                if var damage {
                    damage.error.damagedPiece = DamagedPiece(at: item.at, kind: place.kind, from: place.from, size: damage.size)
                    throw damage.error
                }
                return begun.map { (item.at, $0) }
            }
            items = nil
            index += 1
            // A flow in many blocks would otherwise keep a chunk of each in memory.
            if index < parts.count { part.source.forgetChunk() }
        }
        return nil
    }

    private mutating func open(_ part: ArchivePieces.Part) throws(ArchiveError) -> ItemReader {
        offset = 0
        do throws(ArchiveError) {
            return ItemReader(try part.source.details(at: Int(part.detailsAt), count: Int(part.detailsLength)), from: part.started)
        } catch {
            index = parts.count
            throw error
        }
    }

    /// - Parameter isDamaged: content of the piece was damaged, so the rest of it is not fetched.
    private mutating func piece(
        _ place: PiecePlace, of part: ArchivePieces.Part, behind begun: FlowPiece?, isDamaged: Bool
    ) throws(ArchiveError) -> FlowPiece? {
        let start = offset
        guard place.size <= UInt64(part.contentLength) - start else {
            offset = UInt64(part.contentLength)
            throw part.source.contentError("a piece lies outside of the content of its record")
        }
        offset += place.size
        guard !isDamaged else { return nil }
        let content = try part.source.content(at: UInt64(part.contentAt) + start, count: place.size)
        guard var whole = begun else {
            return FlowPiece(
                kind: place.kind, from: place.from, content: content, wireSize: place.wireSize, frames: place.frames, cut: place.cut
            )
        }
        guard whole.content.readableBytes + content.readableBytes <= ArchiveFormat.maximumMessage else {
            throw part.source.contentError("a message is longer than one can be")
        }
        whole.content.writeImmutableBuffer(content)
        if place.isPlain { whole.wireSize += place.wireSize }
        return whole
    }
}
