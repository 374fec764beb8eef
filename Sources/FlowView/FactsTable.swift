// The facts of all flows, in pieces of a fixed size: nothing is copied when flows are added, and a reader keeps what it has got.

/// Facts by ordinal.
struct FactsTable: Sendable {
    private static let shift = 13
    private static let pieceSize = 1 << shift
    private var pieces: [[FlowFacts]] = []
    private(set) var count = 0

    subscript(ordinal: Int) -> FlowFacts {
        get { pieces[ordinal >> Self.shift][ordinal & (Self.pieceSize - 1)] }
        set { pieces[ordinal >> Self.shift][ordinal & (Self.pieceSize - 1)] = newValue }
    }

    mutating func append(_ facts: FlowFacts) {
        if count & (Self.pieceSize - 1) == 0 {
            var piece: [FlowFacts] = []
            piece.reserveCapacity(Self.pieceSize)
            pieces.append(piece)
        }
        pieces[pieces.count - 1].append(facts)
        count += 1
    }

    /// Calls back with the facts of a range of ordinals, in their order.
    func forEach(_ range: Range<Int>, _ body: (Int, FlowFacts) -> Void) {
        var ordinal = range.lowerBound
        while ordinal < range.upperBound {
            let piece = pieces[ordinal >> Self.shift]
            let start = ordinal & (Self.pieceSize - 1)
            let end = min(piece.count, start + range.upperBound - ordinal)
            for index in start..<end { body(ordinal + index - start, piece[index]) }
            ordinal += end - start
        }
    }
}
