// Ranges of a file: whatever its shape, and wherever it is divided, their readers return each flow once, and report each damage once.

import FlowArchive
import FlowFilter
import FlowModel
import Foundation
import NIOCore
import TestSupport
import Testing

@Suite struct RangeTests {
    private let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../Fixtures/archives/v1")

    /// Ranges that are all of a file, some of them without a block.
    private func ranges(of size: Int, _ random: inout SeededGenerator) -> [ArchiveRange] {
        var places = (0..<Int.random(in: 0...8, using: &random)).map { _ in UInt64.random(in: 0...UInt64(size), using: &random) }
        places = ([0] + places.sorted() + [Bool.random(using: &random) ? UInt64(size) : .max])
        return zip(places, places.dropFirst()).map { ArchiveRange(offset: $0, end: $1) }
    }

    private func read(
        _ path: String, in ranges: [ArchiveRange?], where predicate: some FlowPredicate, jobs: Int
    ) throws -> Reading {
        var sum = Reading()
        for range in ranges {
            let part = try readAll(ArchiveReader(try ArchiveInput(path: path), where: predicate, jobs: jobs, range: range))
            sum.flows += part.flows
            sum.damage += part.damage
        }
        return sum
    }

    private func check(_ path: String, _ random: inout SeededGenerator, _ where: Comment) throws {
        let size = try Data(contentsOf: URL(fileURLWithPath: path)).count
        for expression in ["~all", "~c 200", "~m GET & ~http"] {
            let filter = try FlowFilter(expression)
            let whole = try read(path, in: [nil], where: filter, jobs: 1)
            let ranges = ranges(of: size, &random)
            let jobs = Bool.random(using: &random) ? 1 : 3
            let parts = try read(path, in: ranges, where: filter, jobs: jobs)
            #expect(parts.flows == whole.flows, "\(`where`), \(expression), \(ranges)")
            #expect(Set(parts.damage.map { "\($0)" }) == Set(whole.damage.map { "\($0)" }), "\(`where`), \(expression), \(ranges)")
        }
    }

    @Test("Ranges of random files return each flow once", arguments: 0..<4)
    func random(seed: UInt64) throws {
        try withTemporaryDirectory { directory in
            var random = SeededGenerator(seed: seed)
            var recordings = Recordings(seed: seed)
            for round in 0..<4 {
                let bytes = try recordings.next()
                let path = directory + "/a.mflow"
                try write(bytes, to: path)
                try check(path, &random, "seed \(seed), file \(round)")
                // The same with a torn end.
                try write(bytes.getSlice(at: 0, length: Int.random(in: 0...bytes.readableBytes, using: &random))!, to: path)
                try check(path, &random, "seed \(seed), torn file \(round)")
            }
        }
    }

    @Test("Ranges of files of every kind return each flow once")
    func everyFixture() throws {
        var random = SeededGenerator(seed: 5)
        for file in try FileManager.default.contentsOfDirectory(at: fixtures, includingPropertiesForKeys: nil) {
            for _ in 0..<2 { try check(file.path, &random, "\(file.lastPathComponent)") }
        }
    }

    @Test(
        "Ranges of the files of a rotated recording return each flow once, as reading them one after the other does",
        arguments: 0..<3)
    func rotated(seed: UInt64) throws {
        try withTemporaryDirectory { directory in
            var random = SeededGenerator(seed: seed)
            let recording = try RotatedFiles(
                seed: seed, kinds: [0, 3, 6, 4, 1, 5, 2, 3, 6], files: Int.random(in: 2...6, using: &random), closesLast: seed != 1)
            let paths = recording.files.indices.map { "\(directory)/\($0).mflow" }
            for (path, bytes) in zip(paths, recording.files) { try write(bytes, to: path) }
            func check(_ paths: [String], expected: [String]) throws {
                var flows: [String] = []
                for (index, path) in paths.enumerated() {
                    let size = try Data(contentsOf: URL(fileURLWithPath: path)).count
                    for range in ranges(of: size, &random) {
                        let reader = ArchiveReader(try ArchiveInput(path: path), range: range)
                        RecordedFiles(paths, reading: index).join(reader)
                        let part = try readAll(reader)
                        #expect(part.damage == [])
                        flows += part.flows
                    }
                }
                #expect(flows == expected)
            }
            try check(paths, expected: try recording.flows.map(describe))
            // Without the first file the others have what they know of its flows, each once too.
            let rest = Array(paths.dropFirst())
            try check(
                rest,
                expected: try readAll(
                    ByteBuffer(bytes: rest.flatMap { try Data(contentsOf: URL(fileURLWithPath: $0)) }), in: directory
                ).flows)
        }
    }

    @Test("An encrypted file and a pipe have no ranges, and are refused with what to do")
    func refusal() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow.age"
            try write(ByteBuffer(string: "age-encryption.org/v1\n-> X25519 a\n"), to: path)
            let error = #expect(throws: ArchiveError.self) {
                try ArchiveSplit.splits(of: try ArchiveInput(path: path, keys: nil), size: 1000)
            }
            #expect(
                "\(error!)" == "\(path) is encrypted, so it has no ranges; decrypt it to a file first, or read it as a whole")
        }
        let error = #expect(throws: ArchiveError.self) { try ArchiveInput(descriptor: 0, name: "a pipe").checkRanges() }
        #expect("\(error!)" == "a pipe can only be read front to back; copy it to a file to read a range of it")
    }

    @Test("A flow tells how many parts it has, with or without pieces, and the block of the last one, which is in its range")
    func storedParts() throws {
        try withTemporaryDirectory { directory in
            var recordings = Recordings(seed: 8)
            for _ in 0..<6 {
                let path = directory + "/a.mflow"
                try write(try recordings.next(), to: path)
                for split in try ArchiveSplit.splits(of: try ArchiveInput(path: path), size: 3_000) {
                    let range = ArchiveRange(offset: split.offset, end: split.offset + split.length)
                    let reader = ArchiveReader(try ArchiveInput(path: path), range: range)
                    while let item = try reader.next() {
                        guard case .flow(let flow) = item else { continue }
                        let parts = try #require(flow.storedParts)
                        #expect(parts.count > 0)
                        if flow.ended != nil { #expect((range.offset..<range.end).contains(parts.lastBlock)) }
                    }
                }
            }
        }
    }

    @Test("Splits are all of a file, and have the facts of its headers")
    func splits() throws {
        try withTemporaryDirectory { directory in
            var recordings = Recordings(seed: 3)
            for _ in 0..<6 {
                let bytes = try recordings.next()
                let path = directory + "/a.mflow"
                try write(bytes, to: path)
                let splits = try ArchiveSplit.splits(of: try ArchiveInput(path: path), size: 3_000)
                var end: UInt64 = 0
                for split in splits {
                    #expect(split.offset == end)
                    end += split.length
                }
                #expect(end == UInt64(bytes.readableBytes))
                let one = try ArchiveSplit.splits(of: try ArchiveInput(path: path), size: .max)
                #expect(one.count == 1)
                #expect(splits.reduce(0) { $0 + $1.flows } == one[0].flows)
                #expect(splits.compactMap { $0.times?.lowerBound }.min() == one[0].times?.lowerBound)
                // The headers alone have the same facts as the index.
                try write(bytes.getSlice(at: 0, length: bytes.readableBytes - 1)!, to: path)
                let walked = try ArchiveSplit.splits(of: try ArchiveInput(path: path), size: 3_000)
                #expect(walked.allSatisfy { !$0.isSealed })
                if splits[0].isSealed {
                    #expect(walked.map { [$0.offset, $0.flows] } == splits.map { [$0.offset, $0.flows] })
                }
            }
        }
    }
}
