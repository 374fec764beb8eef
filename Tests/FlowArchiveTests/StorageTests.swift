// What becomes of a recording when its storage fails, the power goes, or the recorder is killed.

import FlowArchive
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

private let childVariable = "FLOW_ARCHIVE_CHILD_WRITES_TO"

/// The events of flow after flow, for ever the same from one seed.
private func events(_ count: Int, seed: UInt64) -> [FlowEvent] {
    var samples = SampleFlows(seed: seed)
    return (0..<count).flatMap { _ in samples.next() }
}

@Suite("The storage of a flow file")
struct StorageTests {
    /// Calls of append that a recording of these events makes.
    private static let calls = 2...20

    @Test("One that fails at any call, however often, and takes the bytes later loses nothing", arguments: calls, [1, 3])
    func failing(call: Int, times: Int) throws {
        let events = events(30, seed: 23)
        let storage = ScriptedStorage()
        storage.failingCalls = call..<call + times
        let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 1))
        var failures = 0
        func attempt(_ work: () throws -> Void) {
            do { try work() } catch { failures += 1 }
        }
        for start in stride(from: 0, to: events.count, by: 10) {
            attempt { try writer.append(contentsOf: Array(events[start..<min(start + 10, events.count)])) }
            attempt { try writer.flush() }
        }
        while !storage.isClosed { attempt { try writer.close() } }
        #expect(failures == times)
        #expect(storage.bytes == (try archive(events, flushEvery: 10)))
    }

    @Test("One that takes a part of the bytes at any call gets the rest, and nothing twice", arguments: calls, [1, 8, 100])
    func short(call: Int, bytes: Int) throws {
        let events = events(30, seed: 23)
        let storage = ScriptedStorage()
        storage.shortCall = (call, bytes)
        storage.failingCalls = call + 1..<call + 2
        let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 1))
        for (index, event) in events.enumerated() {
            try? writer.append(event)
            if index % 10 == 9 { try? writer.flush() }
        }
        while !storage.isClosed { try? writer.close() }
        let expected = try Reading(flows: assemble(events).map(describe))
        try withTemporaryDirectory { directory in
            let reading = try readAll(storage.bytes, in: directory)
            #expect(reading == expected)
        }
    }

    @Test(
        "With every flush synced, what was flushed survives a loss of power at any moment",
        arguments: [ArchiveSync.interval, .always])
    func powerLoss(sync: ArchiveSync) throws {
        let events = events(12, seed: 24)
        var options = ArchiveOptions()
        options.sync = sync
        try withTemporaryDirectory { directory in
            let storage = ScriptedStorage()
            let writer = try ArchiveWriter(storage: storage, options: options, now: Timestamp(nanoseconds: 1))
            for end in 1...events.count {
                try writer.append(contentsOf: [events[end - 1]])
                if sync == .interval { try writer.flush() }
                let expected = try Reading(flows: assemble(Array(events[..<end])).map(describe))
                let reading = try readAll(storage.survivors, in: directory)
                #expect(reading == expected, "after event \(end)")
            }
        }
    }

    @Test("A file is made for its owner alone and is not given to a second recorder")
    func ownership() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            let storage = try POSIXStorage.open(path: path, truncates: false)
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            #expect(throws: ArchiveError.self) { try POSIXStorage.open(path: path, truncates: true) }
            try storage.close()
        }
    }

    @Test("Appends of every size, from wherever the file ends, follow each other", arguments: [0, 1, 4095, 4096, 5000])
    func appends(begun: Int) throws {
        var generator = SeededGenerator(seed: 91)
        let noise = ByteBuffer(bytes: (0..<(1 << 16)).map { _ in UInt8.random(in: 0...255, using: &generator) })
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            let storage = try POSIXStorage.open(path: path, truncates: true)
            var expected = ByteBuffer()
            for size in [begun, 20, 200_000, 128 * 1024, 1, 128 * 1024 - 1, 3 << 20, 4096, 300_001] where size > 0 {
                var piece = ByteBuffer()
                while piece.readableBytes < size {
                    let rest = min(size - piece.readableBytes, Int.random(in: 1...noise.readableBytes, using: &generator))
                    piece.writeImmutableBuffer(noise.getSlice(at: 0, length: rest)!)
                }
                expected.writeImmutableBuffer(piece)
                while piece.readableBytes > 0 { piece.moveReaderIndex(forwardBy: try storage.append(piece)) }
                // A reader sees at once what was appended.
                let seen = ByteBuffer(bytes: try Data(contentsOf: URL(fileURLWithPath: path)))
                #expect(seen == expected)
            }
            try storage.close()
        }
    }

    @Test(
        "A file that is no flow file is refused and stays as it was", arguments: ["these are notes, not flows", "x", "P*M\u{18}X"])
    func notAFlowFile(content: String) throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/notes.txt"
            try content.write(toFile: path, atomically: true, encoding: .utf8)
            for work in [
                { _ = try POSIXStorage.open(path: path, truncates: false) },
                { _ = try POSIXStorage.open(path: path, truncates: true) },
                { _ = try POSIXStorage.replacing(path: path) }, { _ = try readAll(path: path) },
            ] {
                let error = #expect(throws: ArchiveError.self) { try work() }
                #expect(error?.kind == .notAFlowFile)
                #expect(error?.description.contains(path) == true)
            }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == content)
        }
    }

    @Test("A file that needs a later version is refused with both versions named")
    func laterVersion() throws {
        try withTemporaryDirectory { directory in
            var bytes = try archive([])
            var header = bytes.getSlice(at: 8, length: 20)!
            header.setInteger(UInt16(7), at: 8, endianness: .little)
            bytes.setInteger(UInt16(7), at: 16, endianness: .little)
            bytes.setInteger(referenceXXHash32(header), at: 28, endianness: .little)
            let path = directory + "/later.mflow"
            try write(bytes, to: path)
            let error = #expect(throws: ArchiveError.self) { try readAll(path: path) }
            #expect(error?.kind == .version(7))
            #expect(throws: ArchiveError.self) { try POSIXStorage.open(path: path, truncates: false) }
        }
    }

    @Test("Appending to a file that was cut anywhere keeps the whole blocks and adds the new flows")
    func goingOn() throws {
        let first = events(6, seed: 25)
        let second = events(5, seed: 26)
        let bytes = try archive(first, flushEvery: 9)
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            for length in Array(stride(from: 0, to: bytes.readableBytes, by: 97)) + [bytes.readableBytes] {
                let cut = bytes.getSlice(at: 0, length: length)!
                try write(cut, to: path)
                var expected = try readAll(path: path)
                let tail = expected.damage.first?.length ?? 0
                let storage = try POSIXStorage.open(path: path, truncates: false)
                #expect(storage.cutTail == tail, "cut at \(length)")
                let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 2))
                try writer.append(contentsOf: second)
                try writer.close()
                expected.damage = []
                expected.flows += try assemble(second).map(describe)
                let reading = try readAll(path: path)
                #expect(reading == expected, "cut at \(length)")
                let isKept = try Data(contentsOf: URL(fileURLWithPath: path)).starts(
                    with: cut.readableBytesView.dropLast(Int(tail)))
                #expect(isKept, "bytes were rewritten")
            }
        }
    }

    @Test("Truncating empties the file")
    func truncating() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(try archive(events(5, seed: 1)), to: path)
            let writer = try ArchiveWriter(
                storage: try POSIXStorage.open(path: path, truncates: true), now: Timestamp(nanoseconds: 1))
            try writer.close()
            #expect(try readAll(path: path) == Reading())
        }
    }

    @Test("A recorder that is killed under load loses nothing that was flushed")
    func killed() throws {
        var generator = SeededGenerator(seed: 31)
        try withTemporaryDirectory { directory in
            for round in 0..<8 {
                let path = directory + "/killed-\(round).mflow"
                let child = Process()
                child.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
                child.arguments = ["--testing-library", "swift-testing", "--filter", "ChildWriter"]
                child.environment = ProcessInfo.processInfo.environment.merging([childVariable: path]) { $1 }
                let output = Pipe()
                child.standardOutput = output
                child.standardError = FileHandle.nullDevice
                try child.run()
                // The child says after each flush how many flows it had flushed, and is killed in the midst of what comes then.
                var flushed = 0
                var text = ""
                let wanted = Int.random(in: 20...400, using: &generator)
                while flushed < wanted {
                    let data = output.fileHandleForReading.availableData
                    try #require(!data.isEmpty, "the child ended by itself: \(text)")
                    text += String(decoding: data, as: UTF8.self)
                    for line in text.split(separator: "\n").dropLast() where line.hasPrefix("flushed ") {
                        flushed = Int(line.dropFirst(8)) ?? flushed
                    }
                }
                kill(child.processIdentifier, SIGKILL)
                child.waitUntilExit()
                #expect(child.terminationReason == .uncaughtSignal)
                let reading = try readAll(path: path)
                let expected = try assemble(events(reading.flows.count + 1, seed: 32)).map(describe)
                let whole = reading.flows.filter { !$0.contains(" incomplete ") }
                #expect(whole.count >= flushed)
                #expect(whole == Array(expected.prefix(whole.count)))
                #expect(reading.flows.count - whole.count <= 1)
                #expect(reading.damage.allSatisfy { $0.kind == .tornTail })
            }
        }
    }
}

/// What the test above runs in a process of its own.
@Suite("ChildWriter", .enabled(if: ProcessInfo.processInfo.environment[childVariable] != nil))
struct ChildWriter {
    @Test("It records without end")
    func write() throws {
        let path = try #require(ProcessInfo.processInfo.environment[childVariable])
        var options = ArchiveOptions()
        options.blockTarget = 16 * 1024
        let storage = try POSIXStorage.open(path: path, truncates: false)
        let writer = try ArchiveWriter(storage: storage, options: options, now: Timestamp(nanoseconds: 1))
        var samples = SampleFlows(seed: 32)
        for count in 1... {
            try writer.append(contentsOf: samples.next())
            if count % 7 == 0 {
                try writer.flush()
                try FileHandle.standardOutput.write(contentsOf: Data("flushed \(count)\n".utf8))
            }
        }
    }
}

/// XXH32 with seed 0 of fewer than 32 bytes, written down from its specification once more.
func referenceXXHash32(_ bytes: ByteBuffer) -> UInt32 {
    let primes: [UInt32] = [2_654_435_761, 2_246_822_519, 3_266_489_917, 668_265_263, 374_761_393]
    func rotate(_ value: UInt32, _ count: UInt32) -> UInt32 { value << count | value >> (32 - count) }
    var bytes = bytes
    let count = UInt32(bytes.readableBytes)
    var lanes = [primes[0] &+ primes[1], primes[1], 0, 0 &- primes[0]]
    var hash = primes[4]
    if count >= 16 {
        while bytes.readableBytes >= 16 {
            for lane in 0..<4 {
                let word = bytes.readInteger(endianness: .little, as: UInt32.self)!
                lanes[lane] = rotate(lanes[lane] &+ word &* primes[1], 13) &* primes[0]
            }
        }
        hash = rotate(lanes[0], 1) &+ rotate(lanes[1], 7) &+ rotate(lanes[2], 12) &+ rotate(lanes[3], 18)
    }
    hash = hash &+ count
    while let word = bytes.readInteger(endianness: .little, as: UInt32.self) {
        hash = rotate(hash &+ word &* primes[2], 17) &* primes[3]
    }
    while let byte = bytes.readInteger(as: UInt8.self) { hash = rotate(hash &+ UInt32(byte) &* primes[4], 11) &* primes[0] }
    hash = (hash ^ hash >> 15) &* primes[1]
    hash = (hash ^ hash >> 13) &* primes[2]
    return hash ^ hash >> 16
}
