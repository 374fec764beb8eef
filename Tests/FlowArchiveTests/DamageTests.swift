// What a reader makes of files that were cut, overwritten, put together from ruins, or made to do harm.

import FlowArchive
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// What is wrong with what was read of a file that was cut; nothing when all is as it must be.
private func judge(_ reading: Reading, against flows: [String]) -> String {
    let whole = reading.flows.filter { flows.contains($0) }
    for flow in reading.flows where !flows.contains(flow) && !flow.contains(" incomplete ") {
        return "a flow that was never recorded: \(flow)"
    }
    if whole != Array(flows.prefix(whole.count)) { return "flows are missing before others" }
    for damage in reading.damage where damage.kind != .tornTail { return "\(damage)" }
    return reading.damage.count > 1 ? "the tail is reported twice" : ""
}

/// Flows that are neither the recorded ones nor said to be damaged or cut.
private func strangers(_ reading: Reading, against flows: [String]) -> [String] {
    reading.flows.filter {
        !flows.contains($0) && !$0.contains(" incomplete ") && !$0.hasSuffix(Reading.damagedContent)
            && !$0.contains("a certificate was lost")
    }
}

/// A few flows, some of which span several blocks.
private func small(seed: UInt64 = 21, created: Int64 = 1, closes: Bool = true) throws -> (bytes: ByteBuffer, flows: [String]) {
    var samples = SampleFlows(seed: seed, certificates: 40)
    let events = (0..<2).flatMap { _ in samples.next(bodyBytes: 150) } + (0..<2).flatMap { _ in samples.next(bodyBytes: 0) }
    return (try archive(events, created: created, flushEvery: 9, closes: closes), try assemble(events).map(describe))
}

@Suite("A damaged flow file")
struct DamageTests {
    @Test("Cut at any byte, every whole block comes back and the tail is reported, not thrown")
    func cut() throws {
        let (bytes, flows) = try small()
        try withTemporaryDirectory { directory in
            var counts: [Int] = []
            for length in 0..<bytes.readableBytes {
                let reading = try readAll(bytes.getSlice(at: 0, length: length)!, in: directory)
                let verdict = judge(reading, against: flows)
                if verdict != "" { Issue.record("cut at \(length): \(verdict)") }
                counts.append(reading.flows.filter { flows.contains($0) }.count)
            }
            // The more is there, the more is read, up to everything.
            #expect(counts == counts.sorted())
            #expect(counts.last == flows.count)
        }
    }

    @Test("Cut at any byte and read from a pipe, the same comes out as from the file")
    func cutPipe() throws {
        let (bytes, _) = try small()
        try withTemporaryDirectory { directory in
            for length in stride(from: 0, to: bytes.readableBytes, by: 41) {
                let part = bytes.getSlice(at: 0, length: length)!
                let fromFile = try readAll(part, in: directory)
                let fromPipe = try readFromPipe(part)
                #expect(fromFile == fromPipe, "cut at \(length)")
            }
        }
    }

    @Test(
        "With any byte flipped, damage is reported or the flows are equal; no flow is ever another one",
        arguments: [0x01, 0xFF] as [UInt8])
    func flipped(mask: UInt8) throws {
        let (bytes, flows) = try small()
        try withTemporaryDirectory { directory in
            let path = directory + "/flipped.mflow"
            for offset in 0..<bytes.readableBytes {
                var damaged = bytes
                damaged.setInteger(damaged.getInteger(at: offset, as: UInt8.self)! ^ mask, at: offset)
                try write(damaged, to: path)
                let reading = try readAll(path: path)
                let foreign = strangers(reading, against: flows)
                if !foreign.isEmpty { Issue.record("byte \(offset): \(foreign)") }
                if reading.flows != flows, !reading.tellsDamage { Issue.record("byte \(offset): nothing is reported") }
                var structure = try ArchiveStructure(path: path, verifies: true)
                while try structure.next() != nil {}
                if structure.damage.isEmpty { Issue.record("byte \(offset): verifying finds nothing") }
            }
        }
    }

    @Test("A hundred bytes overwritten in the middle lose one block; the rest comes back", arguments: 30...32)
    func overwritten(seed: UInt64) throws {
        var samples = SampleFlows(seed: seed)
        let events = (0..<400).flatMap { _ in samples.next() }
        var options = ArchiveOptions()
        options.blockTarget = 32 * 1024
        var bytes = try archive(events, options: options)
        let flows = try assemble(events).map(describe)
        var generator = SeededGenerator(seed: seed)
        let start = Int.random(in: 1000..<bytes.readableBytes - 8000, using: &generator)
        for offset in 0..<100 { bytes.setInteger(UInt8(0xAA), at: start + offset) }
        try withTemporaryDirectory { directory in
            let reading = try readAll(bytes, in: directory)
            #expect(strangers(reading, against: flows) == [])
            #expect(reading.tellsDamage)
            // At most two blocks of about thirty flows, since the bytes may lie in both.
            #expect(reading.flows.filter { flows.contains($0) }.count > flows.count - 80)
        }
    }

    @Test("A block that is not there shows in the sequence numbers")
    func missingBlock() throws {
        let (bytes, flows) = try small()
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(bytes, to: path)
            var structure = try ArchiveStructure(path: path, verifies: false)
            var blocks: [ArchiveStructureLine] = []
            while let line = try structure.next() { if line.kind == .block { blocks.append(line) } }
            var rest = bytes.getSlice(at: 0, length: Int(blocks[1].offset))!
            let behind = Int(blocks[1].offset + blocks[1].length)
            rest.writeImmutableBuffer(bytes.getSlice(at: behind, length: bytes.readableBytes - behind)!)
            let reading = try readAll(rest, in: directory)
            #expect(reading.damage.map(\.kind) == [.missing(blocks: 1)])
            #expect(reading.damage.first?.offset == blocks[1].offset)
            #expect(strangers(reading, against: flows) == [])
        }
    }

    @Test("A file that was cut anywhere and has another one behind it gives what is whole of both")
    func cutAndConcatenated() throws {
        let (first, firstFlows) = try small()
        let (second, secondFlows) = try small(seed: 22, created: 2)
        try withTemporaryDirectory { directory in
            let lengths = Array(stride(from: 33, to: first.readableBytes, by: 13))
            for length in lengths {
                var both = first.getSlice(at: 0, length: length)!
                both.writeImmutableBuffer(second)
                let reading = try readAll(both, in: directory)
                let fromPipe = try readFromPipe(both)
                #expect(reading == fromPipe, "cut at \(length)")
                #expect(strangers(reading, against: firstFlows + secondFlows) == [], "cut at \(length)")
                #expect(Array(reading.flows.suffix(secondFlows.count)) == secondFlows, "cut at \(length)")
            }
        }
    }

    @Test("Flows of a flow file that was itself recorded are never taken for flows of the recording")
    func nested() throws {
        let (inner, innerFlows) = try small(seed: 23, created: 99)
        var samples = SampleFlows(seed: 24, certificates: 0)
        var events = samples.next(bodyBytes: 0)
        let piece = FlowPiece(from: .server, content: inner)
        events.insert(FlowEvent(flow: events[0].flow, at: events[3].at, what: .piece(piece)), at: events.count - 1)
        let outer = try archive(events + samples.next(), flushEvery: events.count)
        try withTemporaryDirectory { directory in
            for offset in 32..<400 {
                var damaged = outer
                damaged.setInteger(damaged.getInteger(at: offset, as: UInt8.self)! ^ 0x10, at: offset)
                let reading = try readAll(damaged, in: directory)
                #expect(Set(reading.flows).isDisjoint(with: innerFlows), "byte \(offset)")
                #expect(reading.tellsDamage, "byte \(offset)")
            }
        }
    }

    @Test("A file whose beginning is damaged is still read from its first whole block on")
    func damagedBeginning() throws {
        var (bytes, flows) = try small()
        for offset in 0..<20 { bytes.setInteger(UInt8(0), at: offset) }
        try withTemporaryDirectory { directory in
            let reading = try readAll(bytes, in: directory)
            #expect(reading.flows == flows)
            #expect(reading.damage.map(\.kind) == [.damaged])
            #expect(reading.damage.first?.length == 32)
        }
    }

    @Test("Random damage of every kind never traps a reader, always ends, and never makes up a flow")
    func mutations() throws {
        let (bytes, flows) = try small()
        var generator = SeededGenerator(seed: 25)
        try withTemporaryDirectory { directory in
            for round in 0..<600 {
                var damaged = bytes
                for _ in 0..<Int.random(in: 1...20, using: &generator) {
                    let offset = Int.random(in: 0..<damaged.readableBytes, using: &generator)
                    damaged.setInteger(UInt8.random(in: 0...255, using: &generator), at: offset)
                }
                guard let reading = try? readAll(damaged, in: directory) else { continue }
                #expect(strangers(reading, against: flows) == [], "round \(round)")
            }
        }
    }
}
