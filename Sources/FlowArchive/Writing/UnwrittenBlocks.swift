// What a writer holds until the storage has taken it, and which flows that are: when a disk stays full, a recording reports what is missing.

import FlowModel
import FlowRecords

/// Records that the storage has not taken yet.
package struct UnwrittenRecords: Sendable {
    /// Flows that are whole in one record.
    package private(set) var wholeFlows = 0
    /// Flows of which the first record is here, and flows of which a later one is. A flow can be in both.
    package private(set) var begun: Set<FlowID> = []
    package private(set) var continued: Set<FlowID> = []
    /// Bytes on the wire of the records' pieces.
    package private(set) var bytes: UInt64 = 0

    package init() {}

    /// Flows of which no record was written before.
    package var flows: Int { wholeFlows + begun.count }
    /// Flows of which only the beginning was written before.
    package var cutFlows: Set<FlowID> { continued.subtracting(begun) }

    package mutating func formUnion(_ other: UnwrittenRecords) {
        wholeFlows += other.wholeFlows
        bytes += other.bytes
        begun.formUnion(other.begun)
        continued.formUnion(other.continued)
    }

    mutating func count(_ record: FlowRecord) {
        bytes += record.wireSizeFromClient + record.wireSizeFromServer
        if record.isFirst, record.hasEnded {
            wholeFlows += 1
        } else if record.isFirst {
            begun.insert(record.id)
        } else {
            continued.insert(record.id)
        }
    }

    mutating func countWholeFlow() { wholeFlows += 1 }
}

/// Bytes of a segment that the storage has still to take, in blocks.
struct UnwrittenBlocks {
    private(set) var bytes = ScatteredBytes()
    private var blocks: [(length: Int, records: UnwrittenRecords)] = []
    /// Bytes that the storage has taken of the first block and of those after it.
    private(set) var begun = 0

    /// Adds a block, or other bytes that are of no use in part.
    mutating func add(_ records: UnwrittenRecords = UnwrittenRecords(), _ write: (inout ScatteredBytes) -> Void) {
        let before = bytes.count
        write(&bytes)
        if bytes.count > before { blocks.append((bytes.count - before, records)) }
    }

    /// The storage has taken bytes at the front.
    /// - Parameter kept: the bytes that were taken last and can still be lost. A block is written when none of its bytes is among them.
    mutating func removeFirst(_ count: Int, kept: Int) {
        bytes.removeFirst(count)
        begun += count
        var whole = 0
        while whole < blocks.count, begun - kept >= blocks[whole].length {
            begun -= blocks[whole].length
            whole += 1
        }
        blocks.removeFirst(whole)
    }

    /// The records of blocks that are not whole in the storage.
    var records: UnwrittenRecords { blocks.reduce(into: UnwrittenRecords()) { $0.formUnion($1.records) } }
}
