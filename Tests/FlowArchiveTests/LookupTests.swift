// Flows fetched one by one by their places, as an index of recordings does.

import FlowArchive
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import Synchronization
import TestSupport
import Testing

/// Notes the places of flows that a reader skips, and accepts flows without a place.
private final class Places: FlowPredicate, Sendable {
    let found = Mutex<[(id: FlowID, place: FlowPlace)]>([])

    func matches(_ flow: some FlowAttributes) -> Bool {
        guard let view = flow as? RecordView, let place = view.flowPlace else { return true }
        found.withLock { $0.append((view.id, place)) }
        return false
    }
}

@Suite("A flow that is fetched by its place")
struct LookupTests {
    /// A file of flows in several blocks, some of them in parts, and the path of it.
    private static func makeFile(in directory: String, count: Int = 150) throws -> String {
        var samples = SampleFlows(seed: 77, certificates: 0)
        var events: [FlowEvent] = []
        var open: [[FlowEvent]] = []
        for number in 0..<count {
            let flow = samples.next(bodyBytes: number % 40 == 7 ? 90_000 : nil)
            // Every tenth lies across what follows, and so across blocks.
            if number % 10 == 3 {
                events += flow.prefix(3)
                open.append(Array(flow.dropFirst(3)))
            } else {
                events += flow
            }
            if number % 25 == 24 { events += open.removeFirst() }
        }
        let path = directory + "/lookup.mflow"
        try write(try archive(events + open.flatMap { $0 }, flushEvery: 60), to: path)
        return path
    }

    /// What the reader says of each flow, and where those stand that have a place.
    private static func read(_ path: String) throws -> (
        flows: [FlowID: String], places: [(id: FlowID, place: FlowPlace)], kept: Int
    ) {
        var flows: [FlowID: String] = [:]
        let all = try ArchiveReader(path: path)
        while case .flow(let flow)? = try all.next() { flows[flow.id] = try describe(flow) }
        let places = Places()
        let reader = try ArchiveReader(path: path, where: places)
        var kept = 0
        while try reader.next() != nil { kept += 1 }
        return (flows, places.found.withLock { $0 }, kept)
    }

    @Test("It is what the reader gives, in whatever order they are asked for")
    func same() throws {
        try withTemporaryDirectory { directory in
            let path = try Self.makeFile(in: directory)
            let (flows, places, kept) = try Self.read(path)
            #expect(places.count + kept == 150 && kept > 5 && places.count > 100)
            #expect(Set(places.map(\.place.block)).count > 3)
            let lookup = try ArchiveLookup(path: path)
            var generator = SeededGenerator(seed: 5)
            var differing: [FlowID] = []
            for (id, place) in (places + places).shuffled(using: &generator) {
                let found = try describe(try lookup.flow(at: place))
                if found != flows[id] { differing.append(id) }
            }
            #expect(differing == [])
        }
    }

    @Test("A place of another file, or none at all, is an error")
    func wrongPlaces() throws {
        try withTemporaryDirectory { directory in
            let path = try Self.makeFile(in: directory)
            let place = try #require(try Self.read(path).places.last?.place)
            let lookup = try ArchiveLookup(path: path)
            let wrong = [
                FlowPlace(block: 0, record: 0), FlowPlace(block: place.block + 1, record: place.record),
                FlowPlace(block: place.block, record: .max), FlowPlace(block: place.block, record: UInt32(Int32.max)),
                FlowPlace(block: 1 << 40, record: 0),
            ]
            for place in wrong { #expect(throws: (any Error).self) { try lookup.flow(at: place) } }
            #expect(throws: (any Error).self) { try ArchiveLookup(path: directory + "/none.mflow") }
        }
    }

    @Test("Damage is an error, or does not concern the flow")
    func damage() throws {
        try withTemporaryDirectory { directory in
            let path = try Self.makeFile(in: directory, count: 40)
            let (flows, places, _) = try Self.read(path)
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            var generator = SeededGenerator(seed: 9)
            var (errors, differing) = (0, 0)
            for round in 0..<60 {
                var data = whole
                let at = Int.random(in: 0..<data.count, using: &generator)
                data[at] ^= UInt8.random(in: 1...255, using: &generator)
                // A file that ends there, now and then.
                if round % 10 == 9 { data = data.prefix(at) }
                let damaged = directory + "/damaged.mflow"
                try data.write(to: URL(fileURLWithPath: damaged))
                let lookup = try ArchiveLookup(path: damaged)
                for (id, place) in places {
                    do {
                        let found = try describe(try lookup.flow(at: place))
                        if found != flows[id] { differing += 1 }
                    } catch {
                        errors += 1
                    }
                }
            }
            #expect(differing == 0)
            #expect(errors > 50)
        }
    }

    @Test("Piece by piece it is what it is as a whole, in the middle of a message that lies across blocks too")
    func cursor() throws {
        try withTemporaryDirectory { directory in
            let path = try Self.makeFile(in: directory)
            let reader = try ArchiveReader(path: path)
            var counts: [Int] = []
            var differing: [FlowID] = []
            while case .flow(let flow)? = try reader.next() {
                var visited: [String] = []
                try flow.pieces.forEach { at, piece in
                    visited.append("\(at.nanoseconds) \(piece)")
                    return true
                }
                var stepped: [String] = []
                var cursor = flow.pieces.cursor()
                while let (at, piece) = try cursor.next() { stepped.append("\(at.nanoseconds) \(piece)") }
                let behind = try cursor.next()
                if stepped != visited || behind != nil || stepped.count != flow.pieces.count { differing.append(flow.id) }
                counts.append(stepped.count)
            }
            #expect(differing == [])
            #expect(counts.reduce(0, +) > 300 && counts.contains(0))
        }
    }
}
