// A file of a rotated recording, among those beside it. A flow that continues in the next file belongs to the file with its end: the reader of
// a range of that file fetches the parts before, and the reader of the range with the end of this file leaves the flow to it. Both read the
// same two files, so that exactly one of them returns the flow.

import FlowModel
import FlowRecords
import NIOCore

/// Files in the order in which they were recorded, and the one of them of which a range is read.
package struct RecordedFiles: Sendable {
    private let paths: [String]
    private let index: Int
    private let meter: ReadingMeter

    /// - Parameter meter: receives what reading the other files costs.
    package init(_ paths: [String], reading index: Int, meter: ReadingMeter = ReadingMeter()) {
        precondition(paths.indices.contains(index))
        self.paths = paths
        self.index = index
        self.meter = meter
    }

    /// Lets a reader of a range of the file take over flows from the file before, and leave flows to the file after it.
    package func join(_ reader: ArchiveReader) {
        reader.predecessor = { openFlows(of: $0).map { .flows($0) } ?? .unknown }
        reader.isContinued = { predecessor(of: index + 1) == $0 }
    }

    /// The flows that are open at the end of the file before, with their parts in the files before that.
    /// - Parameter segment: its last segment.
    /// - Returns: nil when the file before has another last segment, cannot be read, or has no open flows.
    private func openFlows(of segment: Timestamp) -> OpenFlows? {
        guard predecessor(of: index) == segment else { return nil }
        // Back to the file in which the first of them began.
        var passed: [Int] = []
        var (wanted, flows): (Timestamp?, OpenFlows?) = (segment, nil)
        var place = index - 1
        while flows == nil, let found = openFlows(at: place, after: nil), found.segment == wanted {
            wanted = found.beginsEarlier ? predecessor(of: place) : nil
            if wanted == nil { flows = found } else { passed.append(place) }
            place -= 1
        }
        for place in passed.reversed() { flows = openFlows(at: place, after: flows) }
        return flows
    }

    /// The flows that are open at the end of a file.
    /// - Parameter before: those of the file before it.
    private func openFlows(at place: Int, after before: OpenFlows?) -> OpenFlows? {
        guard let input = input(place) else { return nil }
        let reader = ArchiveReader(input, range: ArchiveRange(offset: .max, end: .max), meter: meter)
        reader.predecessor = { name in before.flatMap { $0.segment == name ? Predecessor.flows($0) : nil } ?? .unknown }
        guard (try? reader.finish(keepsOpen: true)) != nil else { return nil }
        return reader.takeOpenFlows()
    }

    /// The segment from which a file continues flows: its first block names it. nil without such a file.
    private func predecessor(of place: Int) -> Timestamp? {
        guard let input = input(place) else { return nil }
        var fetcher = BlockFetcher(input, meter)
        while let item = try? fetcher.next({ _ in true }) {
            guard case .block(let block) = item else { continue }
            return decodeLZ4Frame(block.records, size: Int(block.header.recordsSize)).flatMap { FoundRecords.predecessor(in: $0) }
        }
        return nil
    }

    /// A file that can be read in ranges.
    private func input(_ place: Int) -> ArchiveInput? {
        guard paths.indices.contains(place), let input = try? ArchiveInput(path: paths[place]) else { return nil }
        return (try? input.checkRanges()) == nil ? nil : input
    }
}
