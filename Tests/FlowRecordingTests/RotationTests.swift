import FlowArchive
import FlowModel
import FlowRecording
import Foundation
import NIOCore
import Synchronization
import TestSupport
import Testing

/// What a recording has to report.
final class Notices: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    func add(_ line: String) { lines.withLock { $0.append(line) } }
}

@Suite("Rotation on request")
struct RotationTests {
    private let later = start.advanced(byNanoseconds: 10_000_000_000)

    private func files(_ pattern: String, _ notices: Notices) throws -> RecordingFiles {
        try RecordingFiles(RecordingFiles.Options(pattern: pattern, notice: { notices.add($0.text) }), now: start)
    }

    private func rename(_ old: String, _ new: String) throws { try FileManager.default.moveItem(atPath: old, toPath: new) }

    @Test("A renamed file is sealed; what is recorded later is in a new file of its old name")
    func renamed() throws {
        try withTemporaryDirectory { directory in
            let notices = Notices()
            var files = try files(directory + "/a.mflow", notices)
            let long = exchange(1)
            let batches = handedOver([
                Array(long.prefix(4)), exchange(2), exchange(3, at: later), Array(long.dropFirst(4)), exchange(4),
                exchange(5, at: later),
            ])
            for batch in batches[..<2] { try files.append(batch) }
            try rename(directory + "/a.mflow", directory + "/b.mflow")
            try files.rotate(now: later)
            for batch in batches[2...] { try files.append(batch) }
            try files.close(now: later)
            #expect(try recorded(directory + "/b.mflow", directory + "/a.mflow") == ["/2", "/3", "/1", "/4", "/5"])
            #expect(try recorded(directory + "/b.mflow") == ["/2", "/1 open"])
            #expect(try recorded(directory + "/a.mflow") == ["/3", "…/1", "/4", "/5"])
            #expect(notices.all == ["recording to \(directory)/a.mflow"])
        }
    }

    @Test("A name that is taken gets a number, and no file that exists is opened")
    func numbered() throws {
        try withTemporaryDirectory { directory in
            let notices = Notices()
            let path = directory + "/a.mflow"
            try "mine".write(toFile: directory + "/a-00001.mflow", atomically: true, encoding: .utf8)
            var files = try files(path, notices)
            let batches = handedOver([exchange(1), exchange(2, at: later), exchange(3, at: later)])
            for batch in batches {
                try files.append(batch)
                try files.rotate(now: later)
            }
            try files.close(now: later)
            #expect(try recorded(path) == ["/1"])
            #expect(try recorded(directory + "/a-00002.mflow") == ["/2"])
            #expect(try recorded(directory + "/a-00003.mflow") == ["/3"])
            #expect(try recorded(directory + "/a-00004.mflow") == [])
            #expect(try String(contentsOfFile: directory + "/a-00001.mflow", encoding: .utf8) == "mine")
            #expect(notices.all == (2...4).map { "recording to \(directory)/a-0000\($0).mflow" })
        }
    }

    @Test("A pattern gives the name of the moment of the request, and later names follow as usual")
    func pattern() throws {
        try withTemporaryDirectory { directory in
            let latest = later.advanced(byNanoseconds: 3_600_000_000_000)
            var files = try files(directory + "/%s.mflow", Notices())
            let batches = handedOver([exchange(1), exchange(2, at: later), exchange(3, at: latest)])
            try files.append(batches[0])
            try files.rotate(now: later)
            for batch in batches[1...] { try files.append(batch) }
            try files.close(now: later)
            #expect(try recorded(directory + "/1700000000.mflow") == ["/1"])
            #expect(try recorded(directory + "/1700000010.mflow") == ["/2"])
            #expect(try recorded(directory + "/1700003610.mflow") == ["/3"])
        }
    }

    @Test("A next file that cannot be opened is reported, and the recording continues")
    func refused() throws {
        try withTemporaryDirectory { directory in
            let notices = Notices()
            let path = directory + "/1700000000/a.mflow"
            try FileManager.default.createDirectory(atPath: directory + "/1700000000", withIntermediateDirectories: false)
            var files = try files(directory + "/%s/a.mflow", notices)
            let batches = handedOver([exchange(1), exchange(2, at: later)])
            try files.append(batches[0])
            try files.rotate(now: later)
            try files.append(batches[1])
            try files.close(now: later)
            #expect(try recorded(path) == ["/1", "/2"])
            #expect(
                notices.all == [
                    "cannot write \(directory)/1700000010/a.mflow: no such file or directory; recording continues in \(path)"
                ])
        }
    }

    @Test(
        "The file that is written loses its name: reported once, also if it happens at the end", arguments: [[10, 11, 12, 13], []])
    func nameLost(flushes: [Int64]) throws {
        try withTemporaryDirectory { directory in
            let notices = Notices()
            let path = directory + "/a.mflow"
            var files = try files(path, notices)
            try files.append(handedOver([exchange(1)])[0])
            try FileManager.default.removeItem(atPath: path)
            for second in flushes { _ = try files.flushWhenDue(now: start.advanced(byNanoseconds: second * 1_000_000_000)) }
            try files.close(now: later)
            #expect(notices.all == ["\(path) was renamed or removed; its flows are still written to the file that had this name"])
        }
    }

    @Test("Nothing is lost or doubled when files are rotated while flows are recorded")
    func underLoad() throws {
        try withTemporaryDirectory { directory in
            let clock = Mutex(start)
            let files = try files(directory + "/a.mflow", Notices())
            let recorder = FlowRecorder(
                files: files, options: RecordingOptions(notice: { _ in }, now: { clock.withLock { $0 } }))
            let rotations = 20
            for round in 1...rotations {
                let now = start.advanced(byNanoseconds: Int64(round) * 1_000_000)
                clock.withLock { $0 = now }
                let flows = (0..<50).map { exchange(UInt64(round * 100 + $0), at: now) }
                // The last events of each flow come with the next flow's first ones.
                var parts: [[FlowEvent]] = []
                for (index, flow) in flows.enumerated() {
                    parts.append((index > 0 ? Array(flows[index - 1].suffix(2)) : []) + flow.dropLast(2))
                }
                parts.append(Array(flows[49].suffix(2)))
                for (index, batch) in handedOver(parts).enumerated() {
                    recorder.queue.submit(batch)
                    if index == 25 {
                        try rename(directory + "/a.mflow", directory + "/\(round).mflow")
                        recorder.rotate()
                        while !FileManager.default.fileExists(atPath: directory + "/a.mflow") { sched_yield() }
                    }
                }
            }
            recorder.finish()
            let names = (1...rotations).map { "/\($0).mflow" } + ["/a.mflow"]
            let found = try recorded(names.map { directory + $0 })
            let expected = (1...rotations).flatMap { round in (0..<50).map { "/\(round * 100 + $0)" } }
            #expect(found.sorted() == expected.sorted())
        }
    }
}
