// Flows for tests of views, and files of them.

import Dispatch
import FlowArchive
import FlowFilter
import FlowModel
import FlowView
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

enum ViewedFlows {
    static func id(_ number: Int) -> FlowID { FlowID(high: 0x0192_0000_0000_7000, low: UInt64(number)) }

    /// Flows of every kind, with events that interleave, so that some have parts in several blocks.
    /// - Parameter seed: another seed gives other flows.
    static func random(_ count: Int, seed: UInt64) -> [FlowBuilder] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { number in
            let start = FlowBuilder.start.advanced(byNanoseconds: Int64(number) * 3_000_000)
            let host = ["a.example", "b.example", "10.0.0.7"].randomElement(using: &generator)!
            let peer = Endpoint(host: "10.0.0.\(Int.random(in: 1...4, using: &generator))", port: UInt16(2000 + number))
            let client = Shared(
                ClientConnection(
                    id: ConnectionID(high: 7, low: UInt64(number)), peer: peer, local: Endpoint(host: "10.0.0.1", port: 8080),
                    opened: start, mode: "regular"))
            let took = Int64.random(in: 1...400, using: &generator)
            if number % 11 == 10 {
                let target = FlowTarget(scheme: "tcp", host: host, port: 5432)
                return FlowBuilder(.tcp, id: id(number), at: start, client: client, target: target)
                    .data(ByteBuffer(string: "ping \(number)"), from: .client).data(
                        ByteBuffer(string: "pong"), from: .server, at: 1
                    )
                    .ended(at: took)
            }
            let target = FlowTarget(scheme: "http", host: host, port: 80)
            if number % 13 == 12 {
                let error = FlowError(side: .server, message: "connection refused", at: start)
                return FlowBuilder(id: id(number), at: start, client: client, target: target)
                    .request("GET /refused HTTP/1.1\r\nHost: \(host)\r\n\r\n")
                    .ended(FlowEnding(state: .failed, error: error), at: took)
            }
            let method = ["GET", "POST", "PURGE"].randomElement(using: &generator)!
            let status = [200, 201, 304, 404, 500].randomElement(using: &generator)!
            let size = Int.random(in: 0...3000, using: &generator)
            return FlowBuilder(id: id(number), at: start, client: client, target: target)
                .request("\(method) /item/\(number)?q=1 HTTP/1.1\r\nHost: \(host)\r\n\r\n")
                .response(
                    "HTTP/1.1 \(status) X\r\nContent-Type: text/plain\r\n\r\n",
                    content: ByteBuffer(repeating: UInt8(97 + number % 26), count: size), at: took / 2
                )
                .ended(at: took)
        }
    }

    /// The events of flows in the order of their times.
    static func events(_ flows: [FlowBuilder]) -> [FlowEvent] {
        let all = flows.flatMap(\.events).enumerated()
        return all.sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
    }
}

/// A flow file that a test writes, also while it is read.
final class WrittenFile {
    let path: String
    private let writer: ArchiveWriter

    init(_ path: String, blockTarget: Int = 16 * 1024) throws {
        self.path = path
        var options = ArchiveOptions()
        options.blockTarget = blockTarget
        writer = try ArchiveWriter(
            storage: try POSIXStorage.open(path: path, truncates: true), options: options, now: Timestamp(nanoseconds: 1))
    }

    func write(_ events: [FlowEvent]) throws {
        for event in events { try writer.append(event) }
        try writer.flush()
    }

    func close() throws { try writer.close() }

    static func closed(_ path: String, _ flows: [FlowBuilder]) throws {
        let file = try WrittenFile(path)
        try file.write(ViewedFlows.events(flows))
        try file.close()
    }
}

/// A list, and what waits for it: another thread fills it.
struct FilledList {
    let list: FlowList
    private let changed: DispatchSemaphore

    init(of index: FlowIndex, where filter: FlowFilter?, within base: FlowList? = nil, order: FlowOrder? = nil) {
        let changed = DispatchSemaphore(value: 0)
        self.changed = changed
        list = FlowList(of: index, where: filter, within: base, order: order) { changed.signal() }
    }

    /// Waits until all flows of the index were tested.
    func finished(_ flows: Int) -> FlowList {
        while !list.status.isDone || list.status.scanned < flows { changed.wait() }
        return list
    }

    /// The list when it is complete.
    static func make(
        of index: FlowIndex, where filter: FlowFilter?, within base: FlowList? = nil, order: FlowOrder? = nil
    ) -> FlowList {
        FilledList(of: index, where: filter, within: base, order: order).finished(index.count)
    }
}

extension FlowList {
    /// The identifiers of the flows, in the order of the list.
    func ids(in index: FlowIndex) throws -> [FlowID] {
        try ordinals(0..<Int.max / 2).map { ordinal in try #require(try index.flow(ordinal)?.id) }
    }
}
