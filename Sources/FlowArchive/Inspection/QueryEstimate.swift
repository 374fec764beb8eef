// What a query will read, by the headers in the index of a file alone: the estimates of --explain.

import FlowModel
import NIOCore

/// Upper bounds of what a query reads. Sums of several files.
package struct QueryEstimate: Sendable, Equatable {
    /// All blocks, and those that may have a matching flow or that other blocks need.
    package var allBlocks: UInt64 = 0
    package var blocks: UInt64 = 0
    /// The same for flows that are whole in their block, and for bytes of content before compression.
    package var allFlows: UInt64 = 0
    package var flows: UInt64 = 0
    package var allContent: UInt64 = 0
    package var content: UInt64 = 0

    package init() {}

    /// Adds a file.
    /// - Parameters:
    ///   - input: stands at its beginning.
    ///   - range: what is read of it; nil is everything.
    /// - Returns: false when the file has no index: it is a pipe, is being written, or was not closed.
    /// - Throws: why it cannot be read.
    package mutating func add(
        _ input: ArchiveInput, where predicate: some FlowPredicate, in range: ArchiveRange? = nil
    ) throws(ArchiveError) -> Bool {
        guard var index = try ArchiveIndex(of: input) else { return false }
        try index.forEach { offset, header in
            allBlocks += 1
            allFlows += UInt64(header.flows)
            allContent += UInt64(header.contentSize)
            guard range.map({ offset < $0.end }) ?? true else { return }
            let isInside = range?.contains(offset) ?? true
            guard !header.standsAlone || isInside && predicate.mayMatch(header) else { return }
            blocks += 1
            flows += UInt64(header.flows)
            content += UInt64(header.contentSize)
        }
        return true
    }
}

/// The summary of a block without flows.
package func emptyBlockSummary() -> some BlockSummary { BlockHeader() }
