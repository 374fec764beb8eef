// What is written comes back: every kind of flow, in every way in which it may come to be in the file.

import FlowArchive
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@Suite("A flow file")
struct RoundTripTests {
    /// Flows whose events come in turns.
    private static func interleaved(seed: UInt64, count: Int = 40, bodyBytes: Int = 30_000) -> [FlowEvent] {
        var samples = SampleFlows(seed: seed)
        var running = (0..<count).map { _ in samples.next(bodyBytes: bodyBytes)[...] }
        var events: [FlowEvent] = []
        var generator = SeededGenerator(seed: seed)
        while !running.isEmpty {
            let index = Int.random(in: 0..<running.count, using: &generator)
            events.append(running[index].removeFirst())
            if running[index].isEmpty { running.remove(at: index) }
        }
        return events
    }

    @Test("Flows of every kind come back as they were recorded", arguments: [1, 2, 3] as [UInt64])
    func everyKind(seed: UInt64) throws {
        var samples = SampleFlows(seed: seed)
        let events = (0..<1000).flatMap { _ in samples.next() }
        let expected = try Reading(flows: assemble(events).map(describe))
        try withTemporaryDirectory { directory in
            let result = try readAll(try archive(events), in: directory)
            #expect(result == expected)
        }
    }

    @Test("Flows that interleave and go on over many blocks come back whole", arguments: [1, 5, 50, .max])
    func interleaved(flushEvery: Int) throws {
        let events = Self.interleaved(seed: 9)
        let expected = try Reading(flows: assemble(events).map(describe))
        let bytes = try archive(events, flushEvery: flushEvery)
        try withTemporaryDirectory { directory in
            let fromFile = try readAll(bytes, in: directory)
            let fromPipe = try readFromPipe(bytes)
            #expect(fromFile == expected)
            #expect(fromPipe == expected)
        }
    }

    @Test("Pieces of any size come back as they were", arguments: [0, 1, 65_535, 65_536, 65_537, 262_144, 700_000, 17_000_000])
    func pieceSizes(size: Int) throws {
        var samples = SampleFlows(seed: 3)
        var events = samples.next(bodyBytes: 10)
        var bytes = ByteBuffer(repeating: 7, count: size)
        if size > 0 { bytes.setInteger(UInt8(9), at: size - 1) }
        let message = FlowPiece(kind: .binary, from: .server, content: bytes, wireSize: 5, frames: 3)
        let plain = FlowPiece(kind: .binary, from: .client, content: bytes)
        for piece in [message, plain] {
            events.insert(FlowEvent(flow: events[0].flow, at: events[3].at, what: .piece(piece)), at: events.count - 1)
        }
        let expected = try Reading(flows: assemble(events).map(describe))
        try withTemporaryDirectory { directory in
            let result = try readAll(try archive(events), in: directory)
            #expect(result == expected)
            let reader = try ArchiveReader(path: directory + "/read.mflow")
            guard case .flow(let flow)? = try reader.next() else { throw CancellationError() }
            let flowSizes = try [flow.pieces.wireSize(from: .client), flow.pieces.wireSize(from: .server)]
            let made = try #require(assemble(events).first).pieces
            let expectedSizes = try [made.wireSize(from: .client), made.wireSize(from: .server)]
            #expect(flowSizes == expectedSizes)
        }
    }

    @Test(
        "Compressing hard changes nothing of what is read", arguments: [ArchiveCompression.fast, .high(level: 3), .high(level: 12)])
    func compression(_ compression: ArchiveCompression) throws {
        let events = Self.interleaved(seed: 10, count: 5)
        var options = ArchiveOptions()
        options.compression = compression
        let expected = try Reading(flows: assemble(events).map(describe))
        try withTemporaryDirectory { directory in
            let result = try readAll(try archive(events, options: options), in: directory)
            #expect(result == expected)
        }
    }

    @Test("Content that cannot be compressed is not stored larger than it is")
    func incompressible() throws {
        var generator = SeededGenerator(seed: 5)
        let bytes = ByteBuffer(bytes: (0..<400_000).map { _ in UInt8.random(in: 0...255, using: &generator) })
        var samples = SampleFlows(seed: 6, certificates: 0)
        var events = samples.next(bodyBytes: 0)
        events.insert(
            FlowEvent(flow: events[0].flow, at: events[3].at, what: .piece(FlowPiece(from: .server, content: bytes))),
            at: events.count - 1)
        let size = try archive(events).readableBytes
        #expect((400_000..<402_500).contains(size))
    }

    @Test(
        "What can be compressed and what cannot stand in any order, and only the one is stored as it is",
        arguments: ["r", "rt", "tr", "rrt", "rtrt", "trrrt", "ttrrttrr"], [2_000, 60_000, 262_144])
    func mixed(order: String, pieceSize: Int) throws {
        var generator = SeededGenerator(seed: 5)
        var samples = SampleFlows(seed: 6, certificates: 0)
        var events = samples.next(bodyBytes: 0)
        let text = ByteBuffer(string: String(repeating: "all work and no play", count: 30_000))
        var stored = 0
        for (index, kind) in order.enumerated() {
            var random = ByteBuffer()
            for _ in 0..<75_000 { random.writeInteger(generator.next()) }
            var content = kind == "t" ? text : random
            if kind == "r" { stored += content.readableBytes }
            while let bytes = content.readSlice(length: min(pieceSize, max(1, content.readableBytes))) {
                let piece = FlowPiece(from: .server, content: bytes)
                let at = events[events.count - 2].at.advanced(byNanoseconds: Int64(index))
                events.insert(FlowEvent(flow: events[0].flow, at: at, what: .piece(piece)), at: events.count - 1)
            }
        }
        let expected = try Reading(flows: assemble(events).map(describe))
        let written = try archive(events)
        // Of each text one content chunk may go unnoticed behind what is random.
        let limit = stored + order.count { $0 == "t" } * 262_144 + 20_000
        try withTemporaryDirectory { directory in
            let result = try readAll(written, in: directory)
            #expect(result == expected)
            #expect(written.readableBytes < limit)
        }
    }

    @Test("A flow that never ended comes back incomplete, with all that came")
    func openFlows() throws {
        var samples = SampleFlows(seed: 11)
        let open = samples.next(isWhole: false, bodyBytes: 50_000)
        let events = samples.next() + open + samples.next() + samples.next(isWhole: false)
        let expected = try Reading(flows: assemble(events).map(describe))
        try withTemporaryDirectory { directory in
            let result = try readAll(try archive(events, flushEvery: 4, closes: false), in: directory)
            #expect(result == expected)
        }
    }

    @Test("After a flush everything that was said can be read, also of flows that go on")
    func flush() throws {
        let events = Self.interleaved(seed: 12, count: 6, bodyBytes: 100_000)
        let storage = ScriptedStorage()
        let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 1))
        try withTemporaryDirectory { directory in
            for end in stride(from: 10, through: events.count, by: events.count / 6) {
                try writer.append(contentsOf: Array(events[(end == 10 ? 0 : end - events.count / 6)..<end]))
                #expect(writer.unflushedSince != nil)
                try writer.flush()
                #expect(writer.unflushedSince == nil)
                let expected = try Reading(flows: assemble(Array(events[..<end])).map(describe))
                let result = try readAll(storage.bytes, in: directory)
                #expect(result == expected)
            }
        }
    }

    @Test(
        "Blocks that were written are synced with the next flush, which stays due under load",
        arguments: [ArchiveSync.none, .interval])
    func syncsUnderLoad(sync: ArchiveSync) throws {
        var options = ArchiveOptions()
        options.blockTarget = 4096
        options.sync = sync
        let storage = ScriptedStorage()
        let writer = try ArchiveWriter(storage: storage, options: options, now: Timestamp(nanoseconds: 1))
        let content = ByteBuffer(repeating: 7, count: 5000)
        let flow = FlowBuilder(.tcp).data(content, from: .client)
        for event in flow.events { try writer.append(event) }
        // The flow has filled a block, and nothing is left of it.
        #expect(storage.calls > 1)
        #expect(writer.unflushedSince == (sync == .none ? nil : flow.start))
        #expect(storage.synced == 0)
        try writer.flush()
        #expect(writer.unflushedSince == nil)
        #expect(storage.synced == (sync == .none ? 0 : storage.bytes.readableBytes))
    }

    @Test("A reader that has come to the end goes on when the file has grown")
    func following() throws {
        let events = Self.interleaved(seed: 13, count: 10)
        let whole = try archive(events, flushEvery: 20, closes: false)
        let expected = try assemble(events).map(describe)
        try withTemporaryDirectory { directory in
            let path = directory + "/growing.mflow"
            try write(ByteBuffer(), to: path)
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            let reader = try ArchiveReader(path: path)
            var flows: [String] = []
            var rest = whole
            while rest.readableBytes > 0 {
                let some = rest.readSlice(length: min(rest.readableBytes, 1777))!
                try file.write(contentsOf: Data(some.readableBytesView))
                while let item = try reader.next() {
                    guard case .flow(let flow) = item else { return #expect(Bool(false), "\(item)") }
                    flows.append(try describe(flow))
                }
            }
            #expect(flows == expected)
        }
    }

    @Test("What comes of flows that are open is told once, in order, and is what they have at the end")
    func news() throws {
        func texts(_ pieces: some FlowPieces) throws -> [String] {
            var texts: [String] = []
            try pieces.forEach { at, piece in
                texts.append("\(at) \(piece.kind) \(piece.from) \(piece.content.readableBytes) \(piece.content.hashValue)")
                return true
            }
            return texts
        }
        // Content that goes through several blocks is told when it is whole.
        let whole = try archive(Self.interleaved(seed: 15, count: 10, bodyBytes: 200_000), flushEvery: 5)
        try withTemporaryDirectory { directory in
            let path = directory + "/growing.mflow"
            try write(ByteBuffer(), to: path)
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            let reader = try ArchiveReader(path: path)
            var told: [FlowID: [String]] = [:]
            var rest = whole
            var count = 0
            while rest.readableBytes > 0 {
                let some = rest.readSlice(length: min(rest.readableBytes, 1777))!
                try file.write(contentsOf: Data(some.readableBytesView))
                while let item = try reader.next() {
                    guard case .flow(let flow) = item else { return #expect(Bool(false), "\(item)") }
                    let before = told.removeValue(forKey: flow.id) ?? []
                    #expect(try Array(texts(flow.pieces).prefix(before.count)) == before)
                    count += before.count
                }
                for flow in reader.takeNewPieces() {
                    let news = try texts(flow.pieces)
                    #expect(news.count == flow.pieces.count)
                    told[flow.id, default: []] += news
                }
            }
            #expect(told.isEmpty && count > 20)
        }
    }

    @Test("A concatenation of files is a file; flows that were open in one stay incomplete", arguments: [true, false])
    func concatenation(isClosed: Bool) throws {
        var samples = SampleFlows(seed: 14)
        let first = (0..<20).flatMap { _ in samples.next() } + samples.next(isWhole: false, bodyBytes: 9)
        let second = (0..<20).flatMap { _ in samples.next() }
        var both = try archive(first, closes: isClosed)
        both.writeImmutableBuffer(try archive(second, created: 2, closes: isClosed))
        let expected = try Reading(flows: (assemble(first) + assemble(second)).map(describe))
        try withTemporaryDirectory { directory in
            let fromFile = try readAll(both, in: directory)
            let fromPipe = try readFromPipe(both)
            #expect(fromFile == expected)
            #expect(fromPipe == expected)
        }
    }

    @Test(
        "lz4 accepts every file, and decompresses it to records, details and content", .enabled(if: hasLZ4),
        arguments: [7, 100, .max])
    func lz4(flushEvery: Int) throws {
        let events = Self.interleaved(seed: 15)
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(try archive(events, flushEvery: flushEvery), to: path)
            #expect(try run("/usr/bin/lz4", ["-t", "-q", path]).status == 0)
            let output = try run("/usr/bin/lz4", ["-dc", "-q", path])
            var structure = try ArchiveStructure(path: path, verifies: true)
            var expected: UInt64 = 0
            while let line = try structure.next() { expected += line.uncompressed ?? 0 }
            #expect(output.status == 0)
            #expect(UInt64(output.output.count) == expected)
            #expect(structure.damage == [])
        }
    }

    @Test("A flow that was discarded is not seen, whether some of it was written or not", arguments: [true, false])
    func discarded(isWritten: Bool) throws {
        var samples = SampleFlows(seed: 16)
        let kept = samples.next()
        let dropped = samples.next(bodyBytes: 1000)
        let storage = ScriptedStorage()
        let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 1))
        try writer.append(contentsOf: Array(dropped.prefix(4)))
        if isWritten { try writer.flush() }
        try writer.append(contentsOf: kept)
        writer.discard(dropped[0].flow)
        // What is still said of it is passed over.
        try writer.append(contentsOf: Array(dropped.dropFirst(4)))
        #expect(writer.openFlows == 0)
        try writer.close()
        let expected = try Reading(flows: assemble(kept).map(describe))
        try withTemporaryDirectory { directory in
            let result = try readAll(storage.bytes, in: directory)
            #expect(result == expected)
        }
    }

    @Test("A certificate is written once in a segment, and every flow has its chain")
    func certificates() throws {
        var samples = SampleFlows(seed: 17, certificates: 3000)
        let events = (0..<40).flatMap { _ in samples.next() }
        let expected = try Reading(flows: assemble(events).map(describe))
        let often = try archive(events, flushEvery: 20)
        // Random bytes stay as they are when they are compressed, so that a certificate can be found in the file.
        let chains = assemble(events).compactMap { $0.server?.value.tls?.certificates }
        let certificate = try #require(chains.first { !$0.isEmpty }).first!
        let beginning = Data(certificate.readableBytesView.prefix(64))
        let file = Data(often.readableBytesView)
        let first = try #require(file.range(of: beginning))
        #expect(file.range(of: beginning, in: first.upperBound..<file.endIndex) == nil)
        try withTemporaryDirectory { directory in
            let result = try readAll(often, in: directory)
            #expect(result == expected)
        }
    }

    @Test("Flows said again as events and written once more are the same flows")
    func copies() throws {
        var samples = SampleFlows(seed: 18)
        let events = (0..<100).flatMap { _ in samples.next() }
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(try archive(events), to: path)
            let storage = ScriptedStorage()
            let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 1))
            let reader = try ArchiveReader(path: path)
            while let item = try reader.next() {
                guard case .flow(let flow) = item else { return #expect(Bool(false), "\(item)") }
                try flow.forEachEvent { try writer.append($0) }
            }
            try writer.close()
            let expected = try readAll(path: path)
            let result = try readAll(storage.bytes, in: directory)
            #expect(result == expected)
        }
    }
}

let hasLZ4 = FileManager.default.isExecutableFile(atPath: "/usr/bin/lz4")
