// What reading costs: counts that are added for each block or frame, never for each flow, so that counting is free. Times are taken only when
// the caller gives a clock.

import Synchronization

/// What was read of inputs, and what it took. Sums of several inputs.
package struct ReadingStatistics: Sendable, Equatable {
    /// Frames of one kind that were decompressed: their number, their bytes in the file and after decompression.
    package struct Frames: Sendable, Equatable {
        package var count = 0
        package var stored: UInt64 = 0
        package var bytes: UInt64 = 0

        package init(count: Int = 0, stored: UInt64 = 0, bytes: UInt64 = 0) {
            (self.count, self.stored, self.bytes) = (count, stored, bytes)
        }

        mutating func note(stored: Int, bytes: Int) {
            count += 1
            self.stored += UInt64(stored)
            self.bytes += UInt64(bytes)
        }
    }

    /// Blocks that were searched, and those that were skipped because no flow of them can match.
    package var blocksRead: UInt64 = 0
    package var blocksSkipped: UInt64 = 0
    /// Bytes of the skipped blocks in the file.
    package var bytesSkipped: UInt64 = 0
    /// Bytes of the headers of the blocks that were searched.
    package var headerBytes: UInt64 = 0
    /// Flows, and parts of flows, in the blocks that were searched.
    package var records: UInt64 = 0
    /// Bytes of content, before compression, in all blocks, skipped ones too.
    package var contentSize: UInt64 = 0
    /// Frames that were decompressed: the records of blocks, the details of their flows (heads, trailers, notes), and chunks of content.
    package var recordFrames = Frames()
    package var detailFrames = Frames()
    package var contentChunks = Frames()
    /// Nanoseconds, summed over threads: 0 without a clock. Of ``searching`` reading and decompressing are no part.
    package var planning: Int64 = 0
    package var reading: Int64 = 0
    package var decompressing: Int64 = 0
    package var searching: Int64 = 0

    package init() {}

    /// Bytes of the file that were used.
    package var bytesRead: UInt64 { headerBytes + recordFrames.stored + detailFrames.stored + contentChunks.stored }
}

/// Gathers the statistics of readers. Shared by the threads that search.
package final class ReadingMeter: Sendable {
    private let totals = Mutex(ReadingStatistics())
    private let clock: (@Sendable () -> Int64)?

    /// - Parameter clock: nanoseconds that only increase; nil measures no times.
    package init(clock: (@Sendable () -> Int64)? = nil) { self.clock = clock }

    package var statistics: ReadingStatistics { totals.withLock { $0 } }
    var isTimed: Bool { clock != nil }
    /// 0 without a clock.
    var now: Int64 { clock?() ?? 0 }

    /// A flow of another program's file was read.
    package func noteForeignFlow() { add { $0.records += 1 } }

    func add(_ body: (inout ReadingStatistics) -> Void) { totals.withLock { body(&$0) } }
}
