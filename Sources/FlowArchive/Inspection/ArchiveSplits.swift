// Ranges of a flow file for several readers, by the headers of its blocks alone.

import FlowModel
import NIOCore

/// A range, and what its blocks contain.
package struct ArchiveSplit: Sendable, Equatable {
    package var offset: UInt64
    package var length: UInt64
    /// Flows that are whole in one of its blocks. Those with parts in several are not known without reading them.
    package var flows: UInt64 = 0
    /// From the earliest start to the latest end; nil without flows.
    package var times: ClosedRange<Timestamp>?
    /// The whole file was closed in order.
    package var isSealed: Bool

    fileprivate mutating func add(_ header: BlockHeader) {
        flows += UInt64(header.flows)
        guard let found = header.times else { return }
        times = times.map { min($0.lowerBound, found.lowerBound)...max($0.upperBound, found.upperBound) } ?? found
    }
}

extension ArchiveSplit {
    /// The splits of a file, which together are all of it. Of a file with an index only that is read.
    /// - Parameters:
    ///   - input: stands at its beginning.
    ///   - size: a split ends with the first block that makes it as large.
    /// - Throws: when the file is encrypted, no flow file, or cannot be read.
    package static func splits(of input: ArchiveInput, size: UInt64) throws(ArchiveError) -> [ArchiveSplit] {
        try input.checkRanges()
        var frames = ArchiveFrameScanner(input: input)
        try frames.checkBeginning(isStrict: false)
        let end = try input.remaining()
        let index = try ArchiveIndex(of: input)
        var splits = [ArchiveSplit(offset: 0, length: 0, isSealed: index != nil && end > 0)]
        func add(_ header: BlockHeader, at offset: UInt64) {
            let last = splits.count - 1
            if offset - splits[last].offset >= size, size > 0 {
                splits[last].length = offset - splits[last].offset
                splits.append(ArchiveSplit(offset: offset, length: 0, isSealed: splits[last].isSealed))
            }
            splits[splits.count - 1].add(header)
        }
        if var index {
            try index.forEach { add($1, at: $0) }
        } else {
            repeat {
                while let frame = try frames.next() {
                    guard case .block(let header, let offset) = frame else { continue }
                    frames.skipFrames(of: header)
                    add(header, at: offset)
                }
            } while try frames.giveUpIncomplete()
        }
        splits[splits.count - 1].length = end - splits[splits.count - 1].offset
        return splits
    }
}
