// What the answer of an operator needs of a flow.

/// The parts of a flow that an operator reads, from the cheapest to the most expensive.
package enum TermAccess: String, Sendable, Comparable {
    /// Fields of the flow's record.
    case record
    /// Header fields, trailers and notes, which are decompressed for a whole block.
    case heads
    /// Bodies and messages.
    case content

    package static func < (a: TermAccess, b: TermAccess) -> Bool { a.rank < b.rank }

    private var rank: Int {
        switch self {
        case .record: 0
        case .heads: 1
        case .content: 2
        }
    }
}

extension FilterTerm {
    var access: TermAccess { row.cost >= 9 ? .content : row.cost >= 5 ? .heads : .record }
}
