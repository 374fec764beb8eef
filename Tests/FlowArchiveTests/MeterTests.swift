// What a reader counts while it reads, what an index estimates before, and a reading that is ended early.

import FlowArchive
import FlowFilter
import FlowModel
import Synchronization
import TestSupport
import Testing

/// A clock that advances by one nanosecond each time it is read.
private final class Ticks: Sendable {
    private let time = Atomic<Int64>(0)
    func next() -> Int64 { time.add(1, ordering: .relaxed).newValue }
}

@Suite("What reading costs")
struct MeterTests {
    /// A closed file of many small blocks.
    private func withArchive(_ body: (String) throws -> Void) throws {
        var samples = SampleFlows(seed: 91, certificates: 0)
        var options = ArchiveOptions()
        options.blockTarget = 8 * 1024
        // Sorted by status, so that blocks have few of them.
        let flows = (0..<400).map { _ in samples.next(kind: 0) }
        let sorted = flows.map { (assemble($0)[0].response?.head.status ?? 0, $0) }.sorted { $0.0 < $1.0 }
        let bytes = try archive(sorted.flatMap(\.1), options: options)
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(bytes, to: path)
            try body(path)
        }
    }

    private func read(_ path: String, _ expression: String, jobs: Int, _ meter: ReadingMeter) throws -> Int {
        let reader = ArchiveReader(
            try ArchiveInput(path: path), where: try FlowFilter(expression), jobs: jobs, delivery: .counted, meter: meter)
        let reading = try readAll(reader)
        #expect(reading.damage.isEmpty)
        return reader.counted + reading.flows.count
    }

    @Test("Blocks, flows and bytes are the same with any number of threads, and the index estimates them", arguments: [1, 3])
    func counts(jobs: Int) throws {
        try withArchive { path in
            let every = ReadingMeter()
            let flows = try read(path, "~all", jobs: jobs, every)
            #expect(flows == 400)
            let all = every.statistics
            #expect(all.records == 400)
            #expect(all.blocksSkipped == 0 && all.bytesSkipped == 0)
            #expect(UInt64(all.recordFrames.count) == all.blocksRead)
            // Neither heads nor content are needed.
            #expect(all.detailFrames == ReadingStatistics.Frames() && all.contentChunks == ReadingStatistics.Frames())
            #expect((all.planning, all.reading, all.decompressing, all.searching) == (0, 0, 0, 0))

            let some = ReadingMeter()
            let filter = "~c 404"
            let found = try read(path, filter, jobs: jobs, some)
            let part = some.statistics
            #expect(part.blocksSkipped > 0 && part.blocksRead > 0 && found > 0)
            #expect(part.blocksRead + part.blocksSkipped == all.blocksRead)
            #expect(part.contentSize == all.contentSize)
            #expect(part.bytesRead < all.bytesRead)
            var estimate = QueryEstimate()
            let hasIndex = try estimate.add(ArchiveInput(path: path), where: try FlowFilter(filter))
            #expect(hasIndex)
            #expect((estimate.allBlocks, estimate.allFlows, estimate.allContent) == (all.blocksRead, 400, all.contentSize))
            #expect((estimate.blocks, estimate.flows) == (part.blocksRead, part.records))
        }
    }

    @Test("Content that a filter needs is counted as it is decompressed, and times are measured by the clock that is given")
    func content() throws {
        try withArchive { path in
            let ticks = Ticks()
            let meter = ReadingMeter(clock: { ticks.next() })
            let found = try read(path, "~b nothing-like-this", jobs: 1, meter)
            #expect(found == 0)
            let read = meter.statistics
            #expect(read.contentChunks.bytes == read.contentSize && read.contentSize > 0)
            #expect(UInt64(read.detailFrames.count) == read.blocksRead)
            // With one tick for each reading of the clock: a frame takes one to be read, and one to be decompressed.
            #expect(read.decompressing == Int64(read.recordFrames.count + read.detailFrames.count + read.contentChunks.count))
            #expect(read.planning > 0 && read.reading > 0 && read.searching > 0)
        }
    }

    @Test("A reading that is ended has what was found before, and no damage", arguments: [1, 3])
    func ended(jobs: Int) throws {
        try withArchive { path in
            let reader = ArchiveReader(
                try ArchiveInput(path: path), where: EveryFlow(), jobs: jobs, delivery: .counted)
            var blocks = 0
            reader.beforeBlock = {
                blocks += 1
                return blocks <= 5
            }
            let reading = try readAll(reader)
            #expect(reading == Reading())
            #expect(reader.isStopped)
            #expect(reader.counted > 0 && reader.counted < 400)
        }
    }
}
