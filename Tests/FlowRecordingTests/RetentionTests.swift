import FlowArchive
import FlowModel
import FlowRecording
import Foundation
import NIOCore
import TestSupport
import Testing

private let hour: Int64 = 3_600_000_000_000
private let second: Int64 = 1_000_000_000

private func options(_ pattern: String, _ notices: Notices) -> RecordingFiles.Options {
    RecordingFiles.Options(pattern: pattern, notice: { notices.add($0.text) })
}

/// The names in a directory.
private func names(in directory: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
}

@Suite("Rotation by size and time")
struct RotationLimitTests {
    @Test("A file is sealed when it has reached its size, and every flow is there once")
    func size() throws {
        try withTemporaryDirectory { directory in
            var options = options(directory + "/a.mflow", Notices())
            options.rotation.size = 20_000
            var files = try RecordingFiles(options, now: start)
            var batches: [[FlowEvent]] = []
            // The last events of each flow come with the next flow's first ones.
            var left: [FlowEvent] = []
            for number in 1...2000 as ClosedRange<UInt64> {
                let flow = exchange(number, bodies: [Int(number) % 700])
                batches.append(left + flow.dropLast(2))
                left = Array(flow.suffix(2))
            }
            batches.append(left)
            for (index, batch) in handedOver(batches).enumerated() {
                try files.append(batch)
                _ = try files.flushWhenDue(now: start.advanced(byNanoseconds: Int64(index) * second / 10))
            }
            try files.close(now: start)
            let found = try names(in: directory)
            let expected = ["a.mflow"] + (1..<found.count).map { "a-" + String(format: "%05d", $0) + ".mflow" }
            #expect(found.count > 20 && found.sorted() == expected.sorted())
            #expect(try recorded(expected.map { directory + "/" + $0 }) == (1...2000).map { "/\($0)" })
            for name in found {
                let size = try FileManager.default.attributesOfItem(atPath: directory + "/" + name)[.size] as? Int
                #expect(size ?? .max < 26_000)
            }
            let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter {
                (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + $0))?.hasPrefix(directory) == true
            }
            #expect(open == [])
        }
    }

    @Test("Files begin at whole multiples of the interval; an hour without flows has no file")
    func interval() throws {
        try withTemporaryDirectory { directory in
            let notices = Notices()
            var options = options(directory + "/%s.mflow", notices)
            options.pattern = directory + "/a.mflow"
            options.rotation.interval = hour
            // 22:13:20 UTC; zones are whole quarters of an hour away.
            let times = [0, 2000 * second, 3 * hour, 3 * hour + 60 * second].map { start.advanced(byNanoseconds: $0) }
            let batches = handedOver(times.enumerated().map { exchange(UInt64($0.offset + 1), at: $0.element) })
            var files = try RecordingFiles(options, now: start)
            try files.append(batches[0])
            _ = try files.flushWhenDue(now: start.advanced(byNanoseconds: second))
            #expect(files.needsTime)
            try files.append(batches[1])
            // The hour passes without a flow.
            _ = try files.flushWhenDue(now: start.advanced(byNanoseconds: hour))
            #expect(!files.needsTime)
            _ = try files.flushWhenDue(now: start.advanced(byNanoseconds: 2 * hour))
            try files.append(batches[2])
            try files.append(batches[3])
            try files.close(now: times[3])
            #expect(try names(in: directory) == ["a-00002.mflow", "a.mflow"])
            #expect(try recorded(directory + "/a.mflow") == ["/1", "/2"])
            #expect(try recorded(directory + "/a-00002.mflow") == ["/3", "/4"])
        }
    }

    @Test(
        "A boundary is later than the moment, at most an interval away, and whole in local time",
        arguments: [1, 60, 900, 3600, 86400])
    func boundaries(seconds: Int64) {
        for step in 0..<200 as Range<Int64> {
            let now = start.advanced(byNanoseconds: step * 1_234_567 * second + step)
            let next = RotationLimits.boundary(after: now, interval: seconds * second)
            #expect(next > now && next - now <= max(seconds, 3600) * second + seconds * second)
            var (clock, parts) = unsafe (time_t(next.nanoseconds / second), tm())
            unsafe localtime_r(&clock, &parts)
            #expect(next.nanoseconds % second == 0)
            let local = unsafe Int64(parts.tm_hour) * 3600 + Int64(parts.tm_min) * 60 + Int64(parts.tm_sec)
            #expect(local % seconds == 0)
        }
    }

    @Test("A file that another program empties is continued at its beginning; with the copy every flow is there once")
    func copyTruncate() throws {
        try withTemporaryDirectory { directory in
            let notices = Notices()
            let (path, copy) = (directory + "/a.mflow", directory + "/copy.mflow")
            var files = try RecordingFiles(options(path, notices), now: start)
            let long = exchange(1)
            let batches = handedOver([
                Array(long.prefix(4)), exchange(2), exchange(3), Array(long.dropFirst(4)), exchange(4),
            ])
            for batch in batches[..<2] { try files.append(batch) }
            _ = try files.flushWhenDue(now: start.advanced(byNanoseconds: 2 * second))
            try FileManager.default.copyItem(atPath: path, toPath: copy)
            #expect(unsafe truncate(path, 0) == 0)
            for batch in batches[2...] { try files.append(batch) }
            try files.close(now: start)
            #expect(try recorded(copy, path) == ["/2", "/3", "/1", "/4"])
            #expect(try recorded(path) == ["/3", "…/1", "/4"])
            #expect(notices.all.count == 1 && notices.all[0].hasPrefix("\(path) was truncated by another program"))
        }
    }
}

@Suite("Files that are deleted")
struct RetentionTests {
    /// Records one flow in each file.
    private func record(
        _ count: Int, _ options: RecordingFiles.Options, from begin: Timestamp = start, step: Int64 = hour
    ) throws {
        var files = try RecordingFiles(options, now: begin)
        for number in 0..<count {
            let now = begin.advanced(byNanoseconds: Int64(number) * step)
            if number > 0 { try files.rotate(now: now) }
            try files.append(handedOver([exchange(UInt64(number), at: now)])[0])
            _ = try files.flushWhenDue(now: now)
        }
        try files.close(now: begin.advanced(byNanoseconds: Int64(count - 1) * step))
    }

    @Test("The newest files are kept, the current one included; others than those of the pattern stay")
    func files() throws {
        try withTemporaryDirectory { directory in
            let notices = Notices()
            var options = options(directory + "/a-%s.mflow", notices)
            // Sealed flow files, one with a name that the pattern does not make at its time; text; and one that was not sealed.
            try record(3, options, from: start.advanced(byNanoseconds: -10 * hour))
            try FileManager.default.copyItem(atPath: directory + "/a-1699964000.mflow", toPath: directory + "/a-1234567890.mflow")
            try FileManager.default.copyItem(atPath: directory + "/a-1699964000.mflow", toPath: directory + "/a-mine.mflow")
            try "text".write(toFile: directory + "/a-1699964001.mflow", atomically: true, encoding: .utf8)
            let whole = try Data(contentsOf: URL(fileURLWithPath: directory + "/a-1699967600.mflow"))
            try whole.dropLast(10).write(to: URL(fileURLWithPath: directory + "/a-1699967600.mflow"))
            options.retention.files = 3
            try record(5, options)
            #expect(
                try names(in: directory) == [
                    "a-1234567890.mflow", "a-1699964001.mflow", "a-1699967600.mflow", "a-1700007200.mflow", "a-1700010800.mflow",
                    "a-1700014400.mflow", "a-mine.mflow",
                ])
            #expect(
                notices.all.filter { $0.contains("deleted") }
                    == [1_699_964_000, 1_699_971_200, 1_700_000_000, 1_700_003_600].map {
                        "\(directory)/a-\($0).mflow was deleted: --keep-files"
                    })
        }
    }

    @Test("Files are deleted beyond a size of all, and beyond an age")
    func sizeAndAge() throws {
        try withTemporaryDirectory { directory in
            var options = options(directory + "/a.mflow", Notices())
            options.retention.size = 3000
            try record(20, options)
            let sizes = try names(in: directory).map {
                try FileManager.default.attributesOfItem(atPath: directory + "/" + $0)[.size] as? Int ?? 0
            }
            #expect(sizes.count > 1 && sizes.count < 6 && sizes.reduce(0, +) <= 3700)
        }
        try withTemporaryDirectory { directory in
            var options = options(directory + "/a.mflow", Notices())
            options.retention.age = 3 * hour + 1
            try record(20, options)
            #expect(try names(in: directory) == (15...19).map { "a-000\($0).mflow" })
        }
    }

    @Test("A clock that is set back deletes and overwrites nothing")
    func clockSetBack() throws {
        try withTemporaryDirectory { directory in
            var options = options(directory + "/a-%H%M.mflow", Notices())
            options.retention.age = 24 * hour
            try record(3, options)
            let before = try names(in: directory)
            let bytes = try before.map { try Data(contentsOf: URL(fileURLWithPath: directory + "/" + $0)) }
            options.rotation.interval = hour
            try record(3, options, from: start.advanced(byNanoseconds: -48 * hour))
            for (name, was) in zip(before, bytes) {
                #expect(try Data(contentsOf: URL(fileURLWithPath: directory + "/" + name)) == was)
            }
            #expect(try names(in: directory).count == 6)
        }
    }

    @Test("A file in which an open flow began is kept, and those after it")
    func openFlow() throws {
        try withTemporaryDirectory { directory in
            let notices = Notices()
            var options = options(directory + "/a.mflow", notices)
            options.retention.files = 2
            let long = exchange(100)
            let batches = handedOver(
                [exchange(1), Array(long.prefix(4))] + (2...5).map { exchange($0) } + [Array(long.dropFirst(4))])
            var files = try RecordingFiles(options, now: start)
            for batch in batches[..<6] {
                try files.append(batch)
                try files.rotate(now: start)
            }
            #expect(
                try names(in: directory) == (1...6).map { "a-0000\($0).mflow" })
            #expect(
                notices.all.filter { $0.contains("is kept") } == [
                    "\(directory)/a-00001.mflow is kept although --keep-files is exceeded: flows that began in it are open, or the program of --on-sealed has not ended"
                ])
            try files.append(batches[6])
            try files.rotate(now: start)
            try files.close(now: start)
            #expect(try names(in: directory) == ["a-00006.mflow", "a-00007.mflow"])
        }
    }

    @Test("A file that was renamed or replaced is not deleted")
    func renamed() throws {
        try withTemporaryDirectory { directory in
            var options = options(directory + "/a.mflow", Notices())
            options.retention.files = 2
            var files = try RecordingFiles(options, now: start)
            for (number, batch) in handedOver((1...4).map { exchange($0) }).enumerated() {
                try files.append(batch)
                if number == 1 {
                    try FileManager.default.moveItem(atPath: directory + "/a.mflow", toPath: directory + "/mine.mflow")
                    try "mine".write(toFile: directory + "/a.mflow", atomically: false, encoding: .utf8)
                }
                try files.rotate(now: start)
            }
            try files.close(now: start)
            #expect(try names(in: directory) == ["a-00003.mflow", "a-00004.mflow", "a.mflow", "mine.mflow"])
        }
    }

    @Test("A program is run with each sealed file in its order, with the last one too; its failure is reported")
    func onSealed() throws {
        try withTemporaryDirectory { directory in
            let notices = Notices()
            let (log, program) = (directory + "/log", directory + "/program")
            try "#!/bin/sh\necho \"$#:${1##*/}\" >>\(log)\ncase $1 in *-00001.mflow) exit 7;; esac\n".write(
                toFile: program, atomically: false, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: program)
            var options = options(directory + "/a.mflow", notices)
            options.onSealed = program
            options.retention.files = 1
            try record(3, options)
            #expect(try String(contentsOfFile: log, encoding: .utf8) == "1:a.mflow\n1:a-00001.mflow\n1:a-00002.mflow\n")
            #expect(
                notices.all.filter { $0.contains("status") } == [
                    "\(program) \(directory)/a-00001.mflow: it ended with status 7; the file stays"
                ])
        }
        try withTemporaryDirectory { directory in
            let notices = Notices()
            var options = options(directory + "/a.mflow", notices)
            options.onSealed = directory + "/none"
            try record(1, options)
            #expect(
                notices.all == ["\(directory)/none \(directory)/a.mflow: cannot run it: no such file or directory; the file stays"])
        }
    }
}
