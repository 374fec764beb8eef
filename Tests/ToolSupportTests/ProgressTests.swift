// The line of progress, and the explanation of a query.

import FlowArchive
import FlowFilter
import NIOCore
import Testing

@testable import ToolSupport

@Suite("The progress of reading")
struct ProgressTests {
    @Test("It has the bytes, the time that is left, the flows and the rate; without a size nothing is left")
    func parts() {
        let second: Int64 = 1_000_000_000
        let half = ReadingState(bytes: 3 << 20, size: 9 << 20, flows: 12_345, elapsed: 2 * second)
        #expect(half.parts("searching") == ["searching: 3.0 MiB of 9.0 MiB", "4 s left", "12,345 flows", "1.5 MiB/s"])
        let pipe = ReadingState(bytes: 3 << 20, size: nil, flows: 7, elapsed: second)
        #expect(pipe.parts("reading") == ["reading: 3.0 MiB", "7 flows", "3.0 MiB/s"])
        // The first percent is too coarse.
        let begun = ReadingState(bytes: 1000, size: 1_000_000, flows: 0, elapsed: second)
        #expect(begun.parts("reading") == ["reading: 1000 B of 976.6 KiB", "1000 B/s"])
        // A file that grows while it is read.
        #expect(ReadingState(bytes: 20, size: 10, flows: 1, elapsed: second).left == 0)
        #expect(ReadingState(bytes: 0, size: 0, flows: 0, elapsed: 0).parts("reading") == ["reading: 0 B of 0 B"])
    }

    @Test("What does not fit in the line is left out from its end; the first part is cut")
    func width() {
        let parts = ["reading: 1 B of 2 B", "4 s left", "12 flows"]
        #expect(ProgressLine.fitted(parts, columns: 80) == "reading: 1 B of 2 B, 4 s left, 12 flows")
        #expect(ProgressLine.fitted(parts, columns: 29) == "reading: 1 B of 2 B, 4 s left")
        #expect(ProgressLine.fitted(parts, columns: 28) == "reading: 1 B of 2 B")
        #expect(ProgressLine.fitted(parts, columns: 7) == "reading")
        #expect(ProgressLine.fitted(parts, columns: -1) == "")
    }
}

@Suite("The explanation of a query")
struct QueryExplanationTests {
    /// Of two terms and content, in three inputs.
    private func explanation(matched: Int) -> QueryExplanation {
        var filter = FilterExplanation(
            expression: "(~c 500 & ~b \"x\")",
            terms: [
                FilterExplanation.Term(text: "~c 500", access: .record, skipsBlocks: true, evaluated: 2000, matched: 3),
                FilterExplanation.Term(
                    text: "~b \"x\"", access: .content, skipsBlocks: false, evaluated: 3, matched: UInt64(matched)),
            ])
        filter.skipped = [FilterExplanation.Skipped(text: "~c 500", blocks: 9)]
        (filter.flows, filter.matched, filter.neededMore, filter.neededContent) = (2000, UInt64(matched), 3, 3)
        filter.undecodedBodies = 1
        if matched == 0 { filter.emptiedBy = FilterExplanation.Emptied(text: "~b \"x\"", tested: 3) }
        var reading = ReadingStatistics()
        (reading.blocksRead, reading.blocksSkipped, reading.headerBytes, reading.contentSize) = (1, 9, 100, 10 << 20)
        reading.recordFrames = ReadingStatistics.Frames(count: 1, stored: 924, bytes: 5000)
        reading.contentChunks = ReadingStatistics.Frames(count: 2, stored: 2048, bytes: 1 << 20)
        (reading.planning, reading.reading, reading.decompressing, reading.searching) = (1_000_000, 20_500_000, 2_000_000, 250_000)
        var estimate = QueryEstimate()
        (estimate.allBlocks, estimate.blocks, estimate.allFlows, estimate.flows) = (10, 1, 20_000, 2000)
        (estimate.allContent, estimate.content) = (10 << 20, 2 << 20)
        return QueryExplanation(
            filter: filter, reading: reading, estimate: estimate, inputs: 3, size: 1 << 20, matched: matched, threads: 2,
            prepared: 500_000, elapsed: 25_000_000)
    }

    @Test("As text it has a line for each fact, with its estimate before it")
    func text() {
        #expect(
            explanation(matched: 2).text == """
                filter    (~c 500 & ~b "x")
                order     1. ~c 500: summaries of blocks, then records; matched 3 of 2,000 flows
                          2. ~b "x": content; matched 2 of 3 flows
                estimate  1 of 10 blocks, with 2,000 of 20,000 flows and 2.0 MiB of 10.0 MiB of content
                blocks    10 in 3 inputs: 1 read, 9 skipped by ~c 500
                bytes     3.0 KiB of 1.0 MiB read
                flows     2,000 tested, 3 needed more than their records, 2 matched
                content   1.0 MiB of 10.0 MiB decompressed for 3 flows; 1 body could not be decoded, searched as sent
                time      25.0 ms with 2 threads: plan 1.5 ms, read 20.5 ms, decompress 2.0 ms, search 250 µs

                """)
    }

    @Test("An empty answer names what emptied it: the expression, summaries, damage, a signal, the input")
    func empty() {
        var empty = explanation(matched: 0)
        #expect(empty.emptiedBy == #"none of 3 flows matches ~b "x"; 9 blocks have no flow for ~c 500, by their summaries"#)
        (empty.isDamaged, empty.isInterrupted) = (true, true)
        #expect(
            empty.emptiedBy?.hasSuffix("; damaged parts of the input could not be searched; the search was interrupted") == true)
        #expect(explanation(matched: 1).emptiedBy == nil)
        var none = explanation(matched: 0)
        none.filter = FilterExplanation(expression: "~all", terms: [])
        none.reading = ReadingStatistics()
        #expect(none.emptiedBy == "the input has no flows")
        none.filter.skipped = [FilterExplanation.Skipped(text: "~c 1", blocks: 4)]
        none.reading.blocksSkipped = 4
        #expect(none.emptiedBy == "all 4 blocks have no flow for ~c 1, by their summaries")
    }

    @Test("As JSON it is one object on a line")
    func json() {
        var bytes = ByteBuffer()
        explanation(matched: 0).write(into: &bytes)
        #expect(
            String(buffer: bytes) == #"""
                {"filter":"(~c 500 & ~b \"x\")","order":[{"term":"~c 500","summaries":true,"reads":"record","tested":2000,"matched":3},{"term":"~b \"x\"","summaries":false,"reads":"content","tested":3,"matched":0}],"estimate":{"blocks":1,"flows":2000,"content_bytes":2097152,"all_flows":20000},"inputs":3,"blocks":{"all":10,"read":1,"skipped":9,"skipped_by":[{"term":"~c 500","blocks":9}]},"bytes":{"all":1048576,"read":3072},"flows":{"tested":2000,"needed_more":3,"matched":0},"content":{"flows":3,"decompressed_bytes":1048576,"all_bytes":10485760,"undecoded_bodies":1},"threads":2,"time_ms":{"elapsed":25,"plan":1.5,"read":20.5,"decompress":2,"search":0.25},"damaged":false,"interrupted":false,"empty_because":"none of 3 flows matches ~b \"x\"; 9 blocks have no flow for ~c 500, by their summaries"}

                """#)
    }
}
