// Flows that are copied from one file to another as they are stored.

import FlowArchive
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// Copies what a reader returns.
/// - Returns: the copy, and the number of flows that were copied as they are stored.
private func copy(
    _ reader: ArchiveReader, options: ArchiveOptions = ArchiveOptions(), flushEvery: Int = .max
) throws -> (bytes: ByteBuffer, stored: Int) {
    let storage = ScriptedStorage()
    let writer = try ArchiveWriter(storage: storage, options: options, now: Timestamp(nanoseconds: 77))
    var (stored, count) = (0, 0)
    func take(_ item: ArchiveItem) throws {
        count += 1
        switch item {
        case .flow(let flow): try flow.forEachEvent { try writer.append($0) }
        case .stored(let flow):
            stored += 1
            try writer.append(flow)
        case .damage, .record: break
        }
        if count % flushEvery == 0 { try writer.flush() }
    }
    while let item = try reader.next() { try take(item) }
    try reader.finish().forEach(take)
    try writer.close()
    return (storage.bytes, stored)
}

/// Recordings of every shape: flows that interleave, have parts in several blocks, do not end, are discarded, have notes, replies of the
/// recorder and bytes that could not be read.
private struct Recordings {
    private var random: SeededGenerator
    private var samples: SampleFlows

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
        samples = SampleFlows(seed: seed + 1000)
    }

    /// A file of one to three segments.
    mutating func next() throws -> ByteBuffer {
        var file = ByteBuffer()
        for segment in 1...Int64.random(in: 1...3, using: &random) { file.writeImmutableBuffer(try self.segment(segment)) }
        return file
    }

    private mutating func segment(_ created: Int64) throws -> ByteBuffer {
        var options = ArchiveOptions()
        options.blockTarget = [2_000, 20_000, 512 * 1024].randomElement(using: &random)!
        let storage = ScriptedStorage()
        let writer = try ArchiveWriter(storage: storage, options: options, now: Timestamp(nanoseconds: created))
        let flushes = [0.0, 0.01, 0.2].randomElement(using: &random)!
        var flows = (0..<Int.random(in: 0...25, using: &random)).map { _ in flow()[...] }
        let isMixed = Bool.random(using: &random)
        var discarded: FlowID?
        while !flows.isEmpty {
            let index = isMixed ? Int.random(in: 0..<flows.count, using: &random) : 0
            let event = flows[index].removeFirst()
            if flows[index].isEmpty { flows.remove(at: index) }
            try writer.append(event)
            if Double.random(in: 0..<1, using: &random) < flushes { try writer.flush() }
            if discarded == nil, Int.random(in: 0..<40, using: &random) == 0 {
                discarded = event.flow
                writer.discard(event.flow)
            }
        }
        if Bool.random(using: &random) { try writer.close() } else { try writer.flush() }
        return storage.bytes
    }

    private mutating func flow() -> [FlowEvent] {
        let body = Int.random(in: 0..<6, using: &random) == 0 ? Int.random(in: 0...400_000, using: &random) : nil
        var events = samples.next(isWhole: Int.random(in: 0..<8, using: &random) > 0, bodyBytes: body)
        let (flow, at) = (events[0].flow, events[events.count - 1].at)
        func insert(_ what: FlowEvent.What) { events.insert(FlowEvent(flow: flow, at: at, what: what), at: events.count - 1) }
        guard events.count > 3, Int.random(in: 0..<3, using: &random) == 0 else { return events }
        insert(.note(FlowNote(side: [nil, .client, .server].randomElement(using: &random)!, "odd, but it passed")))
        insert(.malformed(from: .server, ByteBuffer(string: "\u{0}\u{1}")))
        let head = ResponseHead(parsing: ByteBuffer(string: "HTTP/1.1 502 Bad Gateway\r\n\r\n"), version: .http1_1)
        insert(.localReply(LocalReply(head: head, content: ByteBuffer(string: "sorry"))))
        return events
    }
}

@Suite("A flow that is copied as it is stored")
struct CopyTests {
    @Test("The copy has the flows of the original, from a file and from a pipe, with one job and with several", arguments: 0..<20)
    func random(seed: UInt64) throws {
        var recordings = Recordings(seed: seed)
        let original = try recordings.next()
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(original, to: path)
            let expected = try readAll(path: path)
            #expect(expected.damage == [])
            var options = ArchiveOptions()
            options.blockTarget = seed % 2 == 0 ? 8_000 : 512 * 1024
            for jobs in [1, 3] {
                let reader = ArchiveReader(try ArchiveInput(path: path), jobs: jobs, delivery: .stored)
                let (bytes, _) = try copy(reader, options: options, flushEvery: seed % 3 == 0 ? 5 : .max)
                let copied = try readAll(bytes, in: directory)
                #expect(copied.damage == [])
                expectSameFlows(copied, expected)
                expectSameFlows(try readFromPipe(bytes), expected)
            }
            let fromPipe = try copyFromPipe(original)
            expectSameFlows(try readAll(fromPipe, in: directory), expected)
        }
    }

    /// Flows without an end are written when the copy ends; the others keep their order.
    private func expectSameFlows(_ copied: Reading, _ expected: Reading) {
        func ended(_ reading: Reading) -> [String] { reading.flows.filter { !$0.contains(" incomplete ") } }
        let (all, wanted) = (copied.flows.sorted(), expected.flows.sorted())
        #expect(all == wanted)
        let (inOrder, wantedOrder) = (ended(copied), ended(expected))
        #expect(inOrder == wantedOrder)
    }

    private func copyFromPipe(_ bytes: ByteBuffer) throws -> ByteBuffer {
        try throughPipe(bytes) { descriptor in
            try copy(ArchiveReader(ArchiveInput(descriptor: descriptor, name: "a pipe"), delivery: .stored)).bytes
        }
    }

    @Test("Every flow that is whole in its block is copied, and connections and certificates are written once")
    func connections() throws {
        var samples = SampleFlows(seed: 5)
        let events = (0..<300).flatMap { _ in samples.next() }
        var options = ArchiveOptions()
        options.blockTarget = 10_000
        let original = try archive(events, options: options)
        options.blockTarget = 8 << 20
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(original, to: path)
            let reader = ArchiveReader(try ArchiveInput(path: path), delivery: .stored)
            let (bytes, stored) = try copy(reader, options: options)
            #expect(reader.blocksRead > 20)
            #expect(stored == 300)
            try write(bytes, to: directory + "/b.mflow")
            var structure = try ArchiveStructure(path: directory + "/b.mflow", verifies: true)
            var blocks: [ArchiveStructureLine] = []
            while let line = try structure.next() { if line.kind == .block { blocks.append(line) } }
            #expect(structure.damage.isEmpty)
            // Four clients, four servers, and two certificates of each of two servers.
            #expect(blocks.map(\.records) == [312])
            let (copied, expected) = (try readAll(bytes, in: directory), try readAll(original, in: directory))
            #expect(copied == expected)
        }
    }

    @Test("Files of every earlier writer are copied")
    func golden() throws {
        let fixtures = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Fixtures/archives/v1")
        let names = try FileManager.default.contentsOfDirectory(atPath: fixtures.path).filter { $0.hasSuffix(".mflow") }
        #expect(names.count > 3)
        try withTemporaryDirectory { directory in
            for name in names {
                let path = fixtures.appending(path: name).path
                let (bytes, _) = try copy(ArchiveReader(try ArchiveInput(path: path), delivery: .stored))
                expectSameFlows(try readAll(bytes, in: directory), try readAll(path: path))
            }
        }
    }

    @Test("Blocks of a copy are skipped as those of the original are")
    func summary() throws {
        var samples = SampleFlows(seed: 6, certificates: 0)
        let flows = (0..<60).map { _ in samples.next() }
        let events = flows.sorted { assemble($0)[0].target.host < assemble($1)[0].target.host }.flatMap { $0 }
        var options = ArchiveOptions()
        options.blockTarget = 10_000
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(try archive(events, options: options), to: path)
            let (bytes, _) = try copy(ArchiveReader(try ArchiveInput(path: path), delivery: .stored), options: options)
            try write(bytes, to: directory + "/b.mflow")
            for status in [0, 200, 301, 404, 500] {
                let asked = try readAll(path: directory + "/b.mflow", where: StatusIs(status: status))
                let expected = try readAll(path: path, where: StatusIs(status: status))
                #expect(asked == expected)
            }
            for host in 0..<4 {
                let isHost = HostIs(host: ByteBuffer(string: "host\(host).example"))
                let reader = try ArchiveReader(path: directory + "/b.mflow", where: isHost)
                let (asked, expected) = (try readAll(reader), try readAll(path: path, where: isHost))
                #expect(asked == expected)
                #expect(reader.blocksSkipped > 0)
            }
        }
    }

    @Test("A flow with damaged content is written as an incomplete flow, as when it is made first")
    func damaged() throws {
        var samples = SampleFlows(seed: 8, certificates: 0)
        let events = samples.next(bodyBytes: 40_000) + samples.next(bodyBytes: 10)
        var options = ArchiveOptions()
        options.blockTarget = 8 << 20
        var bytes = try archive(events, options: options, closes: false)
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            let offset = bytes.writerIndex - 30
            bytes.setInteger(bytes.getInteger(at: offset, as: UInt8.self)! ^ 1, at: offset)
            try write(bytes, to: path)
            let storing = try copy(ArchiveReader(try ArchiveInput(path: path), delivery: .stored))
            let making = try copy(ArchiveReader(try ArchiveInput(path: path), delivery: .flows))
            #expect(storing.stored == 2)
            #expect(making.stored == 0)
            let flows = try readAll(storing.bytes, in: directory)
            let expected = try readAll(making.bytes, in: directory)
            #expect(flows == expected)
            #expect(flows.flows.allSatisfy { $0.contains(" incomplete ") })
        }
    }
}
