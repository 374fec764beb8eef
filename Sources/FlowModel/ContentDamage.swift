// Content of a recording that cannot be read any more. Fetching it throws, so that it is not taken for empty content; callers that can mark it
// go through the other pieces and mark this one.

import HTTPSemantics
import NIOCore

/// A piece of which the content is damaged, and what else is known of it.
package struct DamagedPiece: Sendable, Equatable {
    package var at: Timestamp
    package var kind: FlowPiece.Kind
    package var from: Side
    /// Bytes of its content.
    package var size: UInt64

    package init(at: Timestamp, kind: FlowPiece.Kind, from: Side, size: UInt64) {
        (self.at, self.kind, self.from, self.size) = (at, kind, from, size)
    }
}

/// What fetching content may throw.
package protocol ContentError: Error {
    /// The piece, when it is damaged in the recording. The pieces after it can be fetched.
    var damagedPiece: DamagedPiece? { get }
}

extension FlowPieces {
    /// Goes through the pieces in order, past those that are damaged.
    /// - Parameters:
    ///   - visit: returns false to stop.
    ///   - damaged: receives each piece whose content is damaged; returns false to stop.
    /// - Throws: what fetching a piece throws for another reason; what the closures throw.
    package func forEach(
        _ visit: (Timestamp, FlowPiece) throws -> Bool, damaged: (DamagedPiece) throws -> Bool
    ) throws {
        var cursor = cursor()
        while true {
            var found: (at: Timestamp, piece: FlowPiece)?
            do { found = try cursor.next() } catch let error as any ContentError {
                guard let piece = error.damagedPiece else { throw error }
                guard try damaged(piece) else { return }
                continue
            }
            guard let (at, piece) = found, try visit(at, piece) else { return }
        }
    }

    /// The content of one side as ``content(from:maximum:)`` gives it; nil when it is damaged.
    package func contentUnlessDamaged(from side: Side, maximum: Int = .max) throws -> ByteBuffer? {
        do { return try content(from: side, maximum: maximum) } catch let error as any ContentError {
            guard error.damagedPiece != nil else { throw error }
            return try contentPastDamage(from: side, maximum: maximum)
        }
    }

    /// The piece that was damaged may have been the other side's.
    private func contentPastDamage(from side: Side, maximum: Int) throws -> ByteBuffer? {
        var joined = ByteBuffer()
        var isDamaged = false
        try forEach(
            { _, piece in
                guard piece.kind == .data, piece.from == side else { return true }
                joined.writeImmutableBuffer(
                    piece.content.slice(ByteRange(0, min(piece.content.readableBytes, maximum - joined.readableBytes))))
                return joined.readableBytes < maximum
            },
            damaged: { piece in
                isDamaged = piece.kind == .data && piece.from == side
                return !isDamaged
            })
        return isDamaged ? nil : joined
    }
}
