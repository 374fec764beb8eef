// What a writer holds until the storage has taken it, and which flows that are: when a disk stays full, a recording reports what is missing.

import FlowModel
import FlowRecords

/// Records that the storage has not taken yet.
package struct UnwrittenRecords: Sendable {
    /// Records of a flow that is not whole in one.
    private struct Part {
        var hasFirst = false
        /// The record that continues it from another file is here.
        var hasContinuation = false
        var bytes: UInt64 = 0
    }

    private var wholeFlows = 0
    private var wholeBytes: UInt64 = 0
    private var parts: [FlowID: Part] = [:]
    /// Flows of which a tombstone is here.
    private var removed: Set<FlowID> = []

    package init() {}

    /// Flows of which no record was written before.
    package var flows: Int { wholeFlows + begun.count }
    /// Of those, the ones that are in several records.
    package var begun: [FlowID] { parts.filter { $0.value.hasFirst && !removed.contains($0.key) }.map(\.key) }
    /// Flows of which only the beginning was written before.
    package var cutFlows: [FlowID] { parts.filter { !$0.value.hasFirst && !removed.contains($0.key) }.map(\.key) }
    /// Flows of which a part was written before that was to be removed.
    package var unremovedFlows: Int { removed.count { parts[$0]?.hasFirst != true } }
    /// Bytes on the wire of the flows' pieces.
    package var bytes: UInt64 {
        parts.reduce(wholeBytes) { removed.contains($1.key) ? $0 : $0 + $1.value.bytes }
    }

    package mutating func formUnion(_ other: UnwrittenRecords) {
        wholeFlows += other.wholeFlows
        wholeBytes += other.wholeBytes
        parts.merge(other.parts) {
            Part(
                hasFirst: $0.hasFirst || $1.hasFirst, hasContinuation: $0.hasContinuation || $1.hasContinuation,
                bytes: $0.bytes + $1.bytes)
        }
        removed.formUnion(other.removed)
    }

    mutating func count(_ record: FlowRecord) {
        let size = record.wireSizeFromClient + record.wireSizeFromServer
        if record.isFirst, record.hasEnded {
            wholeFlows += 1
            wholeBytes += size
        } else {
            parts[record.id, default: Part()].bytes += size
            if record.isFirst { parts[record.id]?.hasFirst = true }
        }
    }

    func hasContinuation(of flow: FlowID) -> Bool { parts[flow]?.hasContinuation ?? false }
    mutating func countContinuation(of flow: FlowID) { parts[flow, default: Part()].hasContinuation = true }

    /// A part of a flow is in a later file.
    package mutating func noteWritten(_ flow: FlowID) { parts[flow]?.hasFirst = false }

    mutating func countWholeFlow() { wholeFlows += 1 }
    mutating func countTombstone(of flow: FlowID) { removed.insert(flow) }
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
