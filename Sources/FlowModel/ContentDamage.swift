// Damaged content of a recording. Fetching it throws, so that it is not mistaken for empty content; callers that can mark damage continue with
// the other pieces.

import HTTPSemantics
import NIOCore

/// A piece whose content is damaged, and the facts that are known of it.
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

/// An error that fetching content may throw.
package protocol ContentError: Error {
    /// The piece, when it is damaged in the recording. The pieces after it can be fetched.
    var damagedPiece: DamagedPiece? { get }
}

extension FlowPieces {
    /// Visits the pieces in order, including damaged ones.
    /// - Parameters:
    ///   - visit: returns false to stop.
    ///   - damaged: receives each piece whose content is damaged; returns false to stop.
    /// - Throws: other errors of fetching a piece; errors of the closures.
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

    /// The damaged piece may be the other side's.
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
