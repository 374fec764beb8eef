// A flow file that a list is made of: the reader skips blocks that have no flow for the filter, and tests the others on all cores.

import FlowArchive
import FlowFilter
import FlowModel
import Foundation
import Synchronization

/// A file and what a filter has found in it. Used by one thread.
final class ScannedFile {
    /// Seconds between two reports of what was found.
    private static let interval = 0.03

    private let source: Int
    private let reader: ArchiveReader
    private let places = Places()
    /// Places of blocks that the index does not have yet.
    private var later: [FlowPlace] = []
    private var reported = Date.distantPast

    /// - Parameter lookup: has the file open; its name may lead to another file by now.
    /// - Throws: why the file cannot be read.
    init(_ source: Int, _ lookup: ArchiveLookup, _ filter: FlowFilter) throws(ArchiveError) {
        self.source = source
        reader = ArchiveReader(
            try lookup.input(), where: PlacingPredicate(filter, places),
            jobs: ProcessInfo.processInfo.activeProcessorCount)
    }

    /// Reads to the current end of the file.
    /// - Parameter found: receives the ordinals of flows that match, in any order, and how many flows of the index come before the place
    ///   of the reader.
    /// - Throws: an ``ArchiveError`` when reading cannot continue; what the filter throws.
    func read(
        into index: FlowIndex, isCancelled: @escaping () -> Bool, found: ([UInt32], Int) -> Void
    ) throws {
        try withoutActuallyEscaping(found) { found in
            reader.beforeBlock = { [unowned self] in
                if -reported.timeIntervalSinceNow > Self.interval { report(index, found) }
                return !isCancelled()
            }
            defer { reader.beforeBlock = nil }
            // Flows with parts in several blocks are kept by the index, and tested there.
            while try reader.next() != nil {}
            report(index, found)
        }
    }

    private func report(_ index: FlowIndex, _ found: ([UInt32], Int) -> Void) {
        let places = later + places.take()
        let (ordinals, unknown) = index.state.withLock { $0.ordinals(of: places, in: source) }
        later = unknown
        let offset = reader.offset
        found(ordinals, index.state.withLock { $0.count(before: offset, in: source) })
        reported = Date()
    }
}

/// Places that threads have found.
private final class Places: Sendable {
    private let blocks = Mutex<[FlowPlace]>([])

    func add(_ places: [FlowPlace]) { blocks.withLock { $0 += places } }

    func take() -> [FlowPlace] {
        blocks.withLock { blocks in
            defer { blocks = [] }
            return blocks
        }
    }
}

/// Notes where the flows are that match and are whole in their block. The reader makes none of them.
private struct PlacingPredicate: FlowPredicate {
    private let filter: FlowFilter
    private let places: Places
    /// nil for the flows that the reader tests itself, between those that it puts together.
    private var block: BlockPlaces?

    /// The places of one block, which are handed over together.
    private final class BlockPlaces: Sendable {
        private let places: Places
        private let found = Mutex<[FlowPlace]>([])

        init(_ places: Places) { self.places = places }

        func add(_ place: FlowPlace) { found.withLock { $0.append(place) } }

        deinit { places.add(found.withLock { $0 }) }
    }

    init(_ filter: FlowFilter, _ places: Places) {
        self.filter = filter
        self.places = places
    }

    func matches(_ flow: some FlowAttributes) throws -> Bool {
        guard let view = flow as? RecordView, let place = view.flowPlace else { return false }
        guard try filter.matches(flow) else { return false }
        if let block { block.add(place) } else { places.add([place]) }
        return false
    }

    func mayMatch(_ block: some BlockSummary) -> Bool { filter.mayMatch(block) }

    func forBlock() -> PlacingPredicate {
        var predicate = PlacingPredicate(filter.forBlock(), places)
        predicate.block = BlockPlaces(places)
        return predicate
    }
}

extension FlowIndex.State {
    /// The ordinals of flows of a source, and the places that are not in the index.
    /// - Parameter places: those of one block stand together, in their order.
    func ordinals(of places: [FlowPlace], in source: Int) -> (ordinals: [UInt32], unknown: [FlowPlace]) {
        var ordinals: [UInt32] = []
        ordinals.reserveCapacity(places.count)
        var unknown: [FlowPlace] = []
        var block: UInt64?
        var rest = 0..<0
        for place in places {
            if place.block != block {
                block = place.block
                rest = range(of: place.block, in: source)
            }
            while let ordinal = rest.first, facts[ordinal].isKept || facts[ordinal].record < place.record {
                rest = ordinal + 1..<rest.upperBound
            }
            if let ordinal = rest.first, facts[ordinal].record == place.record {
                ordinals.append(UInt32(ordinal))
            } else {
                unknown.append(place)
            }
        }
        return (ordinals, unknown)
    }

    /// The number of flows that stand before a place of a source.
    func count(before offset: UInt64, in source: Int) -> Int {
        let numbers = sources[source].blocks
        let index = position(of: offset, in: numbers)
        return index < numbers.count ? blocks[Int(numbers[index])].first : facts.count
    }

    /// The ordinals of the flows of a block; empty if the index does not have it.
    private func range(of offset: UInt64, in source: Int) -> Range<Int> {
        let numbers = sources[source].blocks
        let index = position(of: offset, in: numbers)
        guard index < numbers.count, blocks[Int(numbers[index])].offset == offset else { return 0..<0 }
        let number = Int(numbers[index])
        return blocks[number].first..<(number + 1 < blocks.count ? blocks[number + 1].first : facts.count)
    }

    /// The index of the first block at an offset or after it.
    private func position(of offset: UInt64, in numbers: [UInt32]) -> Int {
        var (low, high) = (0, numbers.count)
        while low < high {
            let middle = (low + high) / 2
            if blocks[Int(numbers[middle])].offset < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
