// The flow file: written into memory, read from a file in the system's cache, filtered, printed as JSON.

import BenchmarkTraffic
import FlowArchive
import FlowFilter
import FlowModel
import FlowPrinter
import Foundation
import NIOCore

func measureArchive(_ results: inout Results) throws {
    let count = 20_000
    var traffic = Traffic(seed: 1)
    let events = (0..<count).map { _ in traffic.next() }
    let bytes = Double(events.joined().reduce(0) { $0 + $1.size })
    let storage = MemoryStorage()
    let writing = try results.seconds {
        storage.bytes.clear()
        let writer = try ArchiveWriter(storage: storage, now: Traffic.start)
        for flow in events { try writer.append(contentsOf: flow) }
        try writer.close()
    }
    results.add("archive encode flows", Double(count) / writing, "flows")
    results.add("archive encode bytes", bytes / writing, "B")

    let path = FileManager.default.temporaryDirectory.appendingPathComponent("mitm-micro-\(UUID().uuidString).mflow").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data(storage.bytes.readableBytesView).write(to: URL(fileURLWithPath: path))
    let reading = try results.seconds {
        let found = try scan(path, EveryFlow())
        try check(found == count, "\(found) of \(count) flows were read")
    }
    results.add("archive decode flows", Double(count) / reading, "flows")
    results.add("archive decode bytes", bytes / reading, "B")

    for (name, expression) in [("~c 500", "~c 500"), ("~b", "~b '\(Traffic.literal)'")] {
        let filter = try FlowFilter(expression)
        let seconds = try results.seconds {
            let found = try scan(path, filter)
            try check(found > 0 && found < count / 20, "\(expression) let \(found) flows through")
        }
        results.add("filter \(name) flows", Double(count) / seconds, "flows")
    }
    try measurePrinting(path, &results)
}

private func measurePrinting(_ path: String, _ results: inout Results) throws {
    let flows = try firstFlows(2000, of: path)
    let printer = FlowJSONPrinter(rawBody: false)
    var out = ByteBuffer()
    let seconds = try results.seconds {
        out.clear()
        for flow in flows { try printer.print(flow, into: &out) }
    }
    results.add("print JSON flows", Double(flows.count) / seconds, "flows")
    results.add("print JSON bytes", Double(out.readableBytes) / seconds, "B")
}

/// The number of flows that match a predicate.
private func scan(_ path: String, _ predicate: some FlowPredicate) throws -> Int {
    let reader = try ArchiveReader(path: path, where: predicate)
    var found = 0
    while let item = try reader.next() {
        guard case .flow = item else { throw InvalidMeasurement(message: "the file is damaged: \(item)") }
        found += 1
    }
    return found
}

private func firstFlows(_ count: Int, of path: String) throws -> [Flow] {
    let reader = try ArchiveReader(path: path)
    var flows: [Flow] = []
    while flows.count < count, case .flow(let flow)? = try reader.next() { flows.append(flow) }
    return flows
}

/// Keeps the bytes of a writer.
private final class MemoryStorage: ArchiveStorage {
    var bytes = ByteBuffer()

    func append(_ bytes: ScatteredBytes) -> Int {
        for buffer in bytes.buffers { self.bytes.writeImmutableBuffer(buffer) }
        return bytes.count
    }
    func sync() {}
    func close() {}
}

extension FlowEvent {
    /// Bytes of heads and content.
    fileprivate var size: Int {
        switch what {
        case .request(let head): head.wire.readableBytes
        case .response(let head): head.wire.readableBytes
        case .piece(let piece): piece.content.readableBytes
        default: 0
        }
    }
}
