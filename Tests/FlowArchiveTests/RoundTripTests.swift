import FlowArchive
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// Writes events to a file in memory.
func archive(_ events: [FlowEvent], options: ArchiveOptions = ArchiveOptions(), flushEvery: Int = .max, closes: Bool = true) throws
    -> ByteBuffer
{
    let storage = ScriptedStorage()
    let writer = try ArchiveWriter(storage: storage, options: options, now: Timestamp(nanoseconds: 1))
    for (index, event) in events.enumerated() {
        try writer.append(event)
        if index % flushEvery == flushEvery - 1 { try writer.flush() }
    }
    if closes { try writer.close() } else { try writer.flush() }
    return storage.bytes
}

/// Everything that a reader says of a file, flows as text.
func readAll(path: String) throws -> (flows: [String], damage: [ArchiveDamage]) {
    try collect(try ArchiveReader(path: path))
}

func readAll(_ bytes: ByteBuffer, in directory: String) throws -> (flows: [String], damage: [ArchiveDamage]) {
    let path = directory + "/read.mflow"
    try Data(bytes.readableBytesView).write(to: URL(fileURLWithPath: path))
    return try readAll(path: path)
}

func collect(_ reader: ArchiveReader) throws -> (flows: [String], damage: [ArchiveDamage]) {
    var flows: [String] = []
    var damage: [ArchiveDamage] = []
    func take(_ item: ArchiveItem) {
        switch item {
        case .flow(let flow): flows.append((try? describe(flow)) ?? "\(flow.id): its content is damaged")
        case .damage(let found): damage.append(found)
        }
    }
    while let item = try reader.next() { take(item) }
    try reader.finish().forEach(take)
    return (flows, damage)
}

@Suite("A flow file")
struct RoundTripTests {
    @Test("Flows of every kind come back as they were recorded", arguments: [1, 2, 3] as [UInt64])
    func everyKind(seed: UInt64) throws {
        var samples = SampleFlows(seed: seed)
        let events = (0..<400).flatMap { _ in samples.next() }
        let expected = try assemble(events).map(describe)
        try withTemporaryDirectory { directory in
            let result = try readAll(try archive(events), in: directory)
            #expect(result.flows == expected)
            #expect(result.damage == [])
        }
    }

    @Test("Flows that interleave and go on over many blocks come back whole", arguments: [1, 5, 50])
    func interleaved(flushEvery: Int) throws {
        var samples = SampleFlows(seed: 9)
        var running = (0..<40).map { _ in samples.next(bodyBytes: 30_000)[...] }
        var events: [FlowEvent] = []
        var generator = SeededGenerator(seed: 4)
        while !running.isEmpty {
            let index = Int.random(in: 0..<running.count, using: &generator)
            events.append(running[index].removeFirst())
            if running[index].isEmpty { running.remove(at: index) }
        }
        let expected = try assemble(events).map(describe)
        try withTemporaryDirectory { directory in
            let result = try readAll(try archive(events, flushEvery: flushEvery), in: directory)
            #expect(result.flows == expected)
            #expect(result.damage == [])
        }
    }

    @Test("A flow that never ended comes back incomplete, with all that came")
    func openFlows() throws {
        var samples = SampleFlows(seed: 11)
        let events =
            samples.next() + samples.next(isWhole: false, bodyBytes: 50_000) + samples.next() + samples.next(isWhole: false)
        let expected = try assemble(events).map(describe)
        try withTemporaryDirectory { directory in
            let result = try readAll(try archive(events, flushEvery: 4, closes: false), in: directory)
            #expect(result.flows == expected)
        }
    }

    @Test("From a pipe the same flows come as from a file")
    func pipe() throws {
        var samples = SampleFlows(seed: 12)
        let long = samples.next(bodyBytes: 900_000)
        let events = long.dropLast(5) + (0..<200).flatMap { _ in samples.next() } + long.suffix(5)
        let bytes = try archive(Array(events), flushEvery: 40)
        let expected = try assemble(Array(events)).map(describe)
        let pipe = Pipe()
        let writing = Thread {
            pipe.fileHandleForWriting.write(Data(bytes.readableBytesView))
            try? pipe.fileHandleForWriting.close()
        }
        writing.start()
        let result = try collect(ArchiveReader(descriptor: pipe.fileHandleForReading.fileDescriptor, name: "a pipe"))
        #expect(result.flows == expected)
        #expect(result.damage == [])
    }

    @Test("A concatenation of files is a file")
    func concatenation() throws {
        var samples = SampleFlows(seed: 13)
        let first = (0..<20).flatMap { _ in samples.next() }
        let second = (0..<20).flatMap { _ in samples.next() }
        var both = try archive(first)
        both.writeImmutableBuffer(try archive(second))
        let expected = try (assemble(first) + assemble(second)).map(describe)
        try withTemporaryDirectory { directory in
            let result = try readAll(both, in: directory)
            #expect(result.flows == expected)
            #expect(result.damage == [])
        }
    }

    @Test("lz4 accepts the file and decompresses it", .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/lz4")))
    func lz4() throws {
        var samples = SampleFlows(seed: 14)
        let events = (0..<300).flatMap { _ in samples.next() }
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try Data(try archive(events, flushEvery: 100).readableBytesView).write(to: URL(fileURLWithPath: path))
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/lz4")
            process.arguments = ["-t", "-q", path]
            process.standardInput = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
        }
    }

    @Test("A flow that was discarded is not seen")
    func discarded() throws {
        var samples = SampleFlows(seed: 15)
        let kept = samples.next()
        let dropped = samples.next(isWhole: false, bodyBytes: 1000)
        let storage = ScriptedStorage()
        let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 1))
        try writer.append(contentsOf: dropped)
        try writer.flush()
        try writer.append(contentsOf: kept)
        try writer.discard(dropped[0].flow)
        try writer.close()
        let expected = try assemble(kept).map(describe)
        try withTemporaryDirectory { directory in
            let flows = try readAll(storage.bytes, in: directory).flows
            #expect(flows == expected)
        }
    }
}

/// Says what is wrong with what was read of a file that was cut; nothing when all is as it must be.
private func judge(_ result: (flows: [String], damage: [ArchiveDamage]), against flows: [String]) -> String {
    var whole: [String] = []
    for flow in result.flows {
        if flows.contains(flow) {
            whole.append(flow)
        } else if !flow.contains(" incomplete ") {
            return "a flow that was never recorded: \(flow)"
        }
    }
    if whole != Array(flows.prefix(whole.count)) { return "flows are missing before others" }
    for damage in result.damage where damage.kind != .tornTail { return "\(damage)" }
    return result.damage.count > 1 ? "the tail is told twice" : ""
}

/// Flows that are neither the recorded ones nor said to be damaged or cut.
private func strangers(_ result: (flows: [String], damage: [ArchiveDamage]), against flows: [String]) -> [String] {
    var strangers: [String] = []
    for flow in result.flows
    where !flows.contains(flow) && !flow.contains(" incomplete ") && !flow.hasSuffix("is damaged")
        && !flow.contains("a certificate was lost")
    {
        strangers.append(flow)
    }
    return strangers
}

/// Whether damage was told, as such or at a flow's content.
private func tells(_ result: (flows: [String], damage: [ArchiveDamage])) -> Bool {
    for flow in result.flows where flow.hasSuffix("is damaged") { return true }
    return !result.damage.isEmpty
}

@Suite("A damaged flow file")
struct DamageTests {
    private static func small() throws -> (bytes: ByteBuffer, flows: [String]) {
        var samples = SampleFlows(seed: 21)
        let events = (0..<6).flatMap { _ in samples.next() }
        return (try archive(events, flushEvery: 9), try assemble(events).map(describe))
    }

    @Test("Cut at any byte, every whole block comes back and the tail is told, not thrown")
    func cut() throws {
        let (bytes, flows) = try Self.small()
        try withTemporaryDirectory { directory in
            for length in stride(from: 0, to: bytes.readableBytes, by: 7) {
                let result = try readAll(bytes.getSlice(at: 0, length: length)!, in: directory)
                let verdict = judge(result, against: flows)
                #expect(verdict == "", "cut at \(length)")
            }
            let all = try readAll(bytes, in: directory).flows
            #expect(all == flows)
        }
    }

    @Test("With any byte flipped, damage is told or the flows are equal; no flow is ever another one")
    func flipped() throws {
        let (bytes, flows) = try Self.small()
        try withTemporaryDirectory { directory in
            for offset in stride(from: 0, to: bytes.readableBytes, by: 5) {
                var damaged = bytes
                damaged.setInteger(damaged.getInteger(at: offset, as: UInt8.self)! ^ 0x41, at: offset)
                do {
                    let result = try readAll(damaged, in: directory)
                    let foreign = strangers(result, against: flows)
                    let isTold = result.flows == flows || tells(result)
                    #expect(foreign == [], "byte \(offset)")
                    #expect(isTold, "byte \(offset)")
                } catch let error as ArchiveError {
                    #expect(offset < 32, "byte \(offset): \(error)")
                }
            }
        }
    }

    @Test("A hundred bytes overwritten in the middle lose one block; the rest comes back")
    func overwritten() throws {
        var samples = SampleFlows(seed: 22)
        let events = (0..<400).flatMap { _ in samples.next() }
        var bytes = try archive(events, flushEvery: 200)
        for offset in 0..<100 { bytes.setInteger(UInt8(0xAA), at: bytes.readableBytes / 2 + offset) }
        let flows = try assemble(events).map(describe)
        try withTemporaryDirectory { directory in
            let result = try readAll(bytes, in: directory)
            let isTold = tells(result)
            #expect(isTold)
            #expect(result.flows.count > flows.count * 3 / 4)
        }
    }

    @Test("A storage that fails at any call and takes the bytes at the next one loses nothing", arguments: [0, 10])
    func failingStorage(shortWrite: Int) throws {
        var samples = SampleFlows(seed: 23)
        let events = (0..<30).flatMap { _ in samples.next() }
        let flows = try assemble(events).map(describe)
        try withTemporaryDirectory { directory in
            for call in 2...8 {
                let storage = ScriptedStorage()
                storage.failingCall = call
                let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 1))
                for (index, event) in events.enumerated() {
                    try writer.append(event)
                    if index % 40 == 39 { try? writer.flush() }
                }
                do { try writer.close() } catch { try writer.close() }
                let read = try readAll(storage.bytes, in: directory).flows
                #expect(read == flows, "call \(call)")
            }
        }
    }

    @Test("A file that is no flow file is refused and stays as it was")
    func notAFlowFile() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/notes.txt"
            try "these are notes, not flows".write(toFile: path, atomically: true, encoding: .utf8)
            #expect(throws: ArchiveError.self) { try POSIXStorage.open(path: path, truncates: false) }
            #expect(throws: ArchiveError.self) { try readAll(path: path) }
            let content = try String(contentsOfFile: path, encoding: .utf8)
            #expect(content == "these are notes, not flows")
        }
    }

    @Test("Going on with a torn file keeps what was whole and adds the new flows")
    func append() throws {
        var samples = SampleFlows(seed: 24)
        let first = (0..<20).flatMap { _ in samples.next() }
        let second = (0..<20).flatMap { _ in samples.next() }
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            var bytes = try archive(first, closes: false)
            bytes.writeImmutableBuffer(bytes.getSlice(at: 32, length: 300)!)
            try Data(bytes.readableBytesView).write(to: URL(fileURLWithPath: path))
            let storage = try POSIXStorage.open(path: path, truncates: false)
            #expect(storage.cutTail == 300)
            let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 2))
            try writer.append(contentsOf: second)
            try writer.close()
            let result = try readAll(path: path)
            let expected = try (assemble(first) + assemble(second)).map(describe)
            #expect(result.flows == expected)
            #expect(result.damage == [])
        }
    }

    @Test("Random damage of every kind never traps a reader and always ends")
    func mutations() throws {
        let (bytes, _) = try Self.small()
        var generator = SeededGenerator(seed: 25)
        try withTemporaryDirectory { directory in
            for _ in 0..<400 {
                var damaged = bytes
                for _ in 0..<Int.random(in: 1...20, using: &generator) {
                    let offset = Int.random(in: 0..<damaged.readableBytes, using: &generator)
                    damaged.setInteger(UInt8.random(in: 0...255, using: &generator), at: offset)
                }
                _ = try? readAll(damaged, in: directory)
            }
        }
    }
}
