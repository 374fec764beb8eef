import FlowArchive
import FlowFilter
import FlowModel
import FlowRecording
import Foundation
import NIOCore
import Synchronization
import TestSupport
import Testing

@Suite("A recording")
struct FlowRecordingTests {
    private func record(_ pattern: String, filter: String? = nil, _ batches: [[FlowEvent]]) throws -> (
        totals: RecordingTotals, lines: [String]
    ) {
        let lines = Mutex<[String]>([])
        var options = RecordingOptions(notice: { _ in }, now: { start })
        options.filter = try filter.map { try FlowFilter($0) }
        options.flowEnded = { flow in
            lines.withLock { $0.append("\(flow.displayURL.map { String(buffer: $0) } ?? "") \(flow.state)") }
        }
        let files = try RecordingFiles(RecordingFiles.Options(pattern: pattern, notice: { _ in }), now: start)
        let recorder = FlowRecorder(files: files, options: options)
        for batch in handedOver(batches) { recorder.queue.submit(batch) }
        recorder.finish()
        return (recorder.totals, lines.withLock { $0 })
    }

    @Test("What is handed over is in the file, counted, and told")
    func records() throws {
        try withTemporaryDirectory { directory in
            let result = try record(directory + "/a.mflow", (1...100).map { exchange(UInt64($0)) })
            #expect(try recorded(directory + "/a.mflow") == (1...100).map { "/\($0)" })
            #expect(result.totals.summary == "100 flows (100 complete), 0 B from clients, 1000 B from servers")
            #expect(result.lines.count == 100)
        }
    }

    @Test(
        "A filter limits what is recorded, whenever its answer is certain",
        arguments: [
            ("~m POST", ["/2", "/4"]), ("~c 404", ["/3"]), ("~b aaaa", ["/1", "/2", "/3", "/4"]),
            ("!~m GET & ~c 200", ["/2", "/4"]), ("~b zzz", []),
        ])
    func filtered(expression: String, expected: [String]) throws {
        try withTemporaryDirectory { directory in
            let flows = [
                exchange(1), exchange(2, method: "POST"), exchange(3, status: 404),
                exchange(4, method: "POST", bodies: [600_000, 600_000, 600_000]),
            ]
            _ = try record(directory + "/a.mflow", filter: expression, flows)
            #expect(try recorded(directory + "/a.mflow") == expected)
        }
    }

    @Test("A flow on which the filter fails is recorded, and so are the flows after it", arguments: [[5000], [600_000, 600_000]])
    func filterFails(bodies: [Int]) throws {
        try withTemporaryDirectory { directory in
            let notices = Mutex<[String]>([])
            var options = RecordingOptions(
                notice: { notice in notices.withLock { $0.append(notice.text) } }, now: { start })
            options.filter = try FlowFilter("~m POST & ~b '^(a|a|aa|aaa)+[^a]$'")
            let files = try RecordingFiles(RecordingFiles.Options(pattern: directory + "/a.mflow", notice: { _ in }), now: start)
            let recorder = FlowRecorder(files: files, options: options)
            let flows = [exchange(1), exchange(2, method: "POST", bodies: bodies), exchange(3, method: "POST", bodies: [0])]
            for batch in handedOver(flows) { recorder.queue.submit(batch) }
            recorder.finish()
            #expect(try recorded(directory + "/a.mflow") == ["/2"])
            let found = notices.withLock { $0 }
            #expect(found.count == 1 && found[0].hasPrefix("the filter failed on a flow, which is recorded: "), "\(found)")
        }
    }

    @Test("A name with a time begins a new file when the time comes; a flow that is open continues in it")
    func rotation() throws {
        try withTemporaryDirectory { directory in
            let later = start.advanced(byNanoseconds: 3_600_000_000_000)
            let long = exchange(1)
            _ = try record(
                directory + "/%s.mflow",
                [Array(long.prefix(4)), exchange(2), exchange(3, at: later), Array(long.dropFirst(4)), exchange(4, at: later)])
            let (first, second) = (directory + "/1700000000.mflow", directory + "/1700003600.mflow")
            #expect(try recorded(first, second) == ["/2", "/3", "/1", "/4"])
            #expect(try recorded(first) == ["/2", "/1 open"])
            #expect(try recorded(second) == ["/3", "…/1", "/4"])
        }
    }

    @Test("A flow whose first record comes after the next file has begun is in the next file; the one before is not opened again")
    func lateRecord() throws {
        try withTemporaryDirectory { directory in
            let later = start.advanced(byNanoseconds: 3_600_000_000_000)
            _ = try record(
                directory + "/%s.mflow", [exchange(1), exchange(2, at: later), exchange(3), exchange(4, at: later)])
            #expect(try recorded(directory + "/1700000000.mflow") == ["/1"])
            #expect(try recorded(directory + "/1700003600.mflow") == ["/2", "/3", "/4"])
        }
    }

    @Test("A full queue says so, and calls back when it has drained")
    func backPressure() async throws {
        let queue = RecordQueue()
        for batch in handedOver([exchange(1, bodies: [9 << 20])]) { queue.submit(batch) }
        #expect(queue.isFull)
        await withCheckedContinuation { continuation in
            queue.whenDrained { continuation.resume() }
            let recorder = FlowRecorder(files: nil, options: RecordingOptions(notice: { _ in }, now: { start }), queue: queue)
            recorder.finish()
        }
        #expect(!queue.isFull)
    }

    @Test("Written records are handed back empty, those that have another owner are not")
    func writtenRecords() throws {
        let queue = RecordQueue()
        var records = handedOver([exchange(1), exchange(2)]).flatMap { $0 }
        let kept = records[1]
        let identities = records.map { ObjectIdentifier($0) }
        #expect(queue.submit(consume records).isEmpty)
        records = []
        queue.finished(try #require(queue.take(within: 0)))
        let spare = queue.submit([])
        #expect(spare.map { ObjectIdentifier($0) } == [identities[0]])
        #expect(spare.map(\.size) == [0])
        #expect(kept.size > 0)
    }
}
