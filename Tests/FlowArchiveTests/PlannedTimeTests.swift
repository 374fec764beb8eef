// Times on a file whose flows are in order: only the blocks of the time are read.

import FlowArchive
import FlowFilter
import FlowModel
import NIOCore
import TestSupport
import Testing

@Suite("A time put to a sorted file")
struct PlannedTimeTests {
    /// Ten blocks, a minute apart. Each has two flows, which last 5 seconds; the first block begins at 2023-11-14T22:13:20Z.
    private static func archive(closes: Bool) throws -> ByteBuffer {
        let storage = ScriptedStorage()
        let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 1))
        for minute in 0..<10 as Range<Int64> {
            for second in 0..<2 as Range<Int64> {
                let start = FlowBuilder.start.advanced(byNanoseconds: (minute * 60 + second) * 1_000_000_000)
                let flow = FlowBuilder(id: FlowID(high: UInt64(minute), low: UInt64(second + 1)), at: start)
                    .request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").ended(at: 5000)
                try writer.append(contentsOf: flow.events)
            }
            try writer.flush()
        }
        if closes { try writer.close() }
        return storage.bytes
    }

    @Test(
        "Only the blocks that can match are read, with an index and without",
        arguments: [
            ("~since 2023-11-14T22:21:20Z", 4, 2),
            ("~since 2023-11-14T22:22:21Z", 1, 1),
            // A flow that began earlier has not ended.
            ("~since 2023-11-14T22:22:25Z", 0, 1),
            ("~since 2023-11-15", 0, 0),
            ("~until 2023-11-14T22:14:21Z", 3, 2),
            ("~until 2023-11-14T22:13:20Z", 0, 0),
            ("~time 2023-11-14T22:15Z", 2, 1),
            ("~time 2023-11-14T22:15Z-2023-11-14T22:17Z", 6, 3),
            ("~since 2023-11-14T22:15Z & ~until 2023-11-14T22:16Z & ~http", 2, 1),
            ("~time 2023-11-14T22:15Z | ~tcp", 2, 1),
        ], [true, false])
    func blocks(question: (expression: String, flows: Int, blocks: UInt64), isClosed: Bool) throws {
        try withTemporaryDirectory { directory in
            try write(try Self.archive(closes: isClosed), to: directory + "/a.mflow")
            let filter = try FlowFilter(question.expression, environment: FilterEnvironment(utcOffset: { _ in 0 }))
            let reader = try ArchiveReader(path: directory + "/a.mflow", where: filter)
            let reading = try readAll(reader)
            #expect(reading.flows.count == question.flows)
            #expect(reader.blocksRead == question.blocks)
            #expect(reader.blocksRead + reader.blocksSkipped == 10)
        }
    }
}
