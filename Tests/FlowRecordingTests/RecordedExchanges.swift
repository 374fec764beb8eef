// Flows that tests record, and what is in the file afterwards.

import FlowArchive
import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore
import TestSupport

/// When recordings of tests begin.
let start = Timestamp(nanoseconds: 1_700_000_000_000_000_000)

/// The events of one exchange.
func exchange(_ number: UInt64, method: String = "GET", status: Int = 200, bodies: [Int] = [10], at: Timestamp = start)
    -> [FlowEvent]
{
    let id = FlowID(time: at, sequence: 0, random: number)
    var flow = FlowBuilder(id: id, at: at)
        .request("\(method) /\(number) HTTP/1.1\r\nHost: a\r\n\r\n").response("HTTP/1.1 \(status) OK\r\n\r\n", isWhole: false)
    for size in bodies { flow = flow.data(ByteBuffer(repeating: 0x61, count: size), from: .server) }
    let events = flow.event(.finished(.server)).ended().events
    // Each event a nanosecond after the one before it.
    return events.enumerated().map {
        FlowEvent(flow: id, at: at.advanced(byNanoseconds: Int64($0.offset)), what: $0.element.what)
    }
}

/// The records that a session hands over for its events; after each batch also those of open flows.
func handedOver(_ batches: [[FlowEvent]]) -> [[FlowRecord]] {
    var flows: [FlowID: FlowRecord] = [:]
    var buffer = FlowRecordBuffer()
    return batches.map { events in
        for event in events {
            let record = flows[event.flow] ?? FlowRecord(event.flow)
            flows[event.flow] = record
            buffer.add(event.what, to: record, at: event.at)
        }
        buffer.finishOpen()
        return buffer.take()
    }
}

/// The targets of the flows in files that were written one after the other, in order; `open` follows that of a flow without an end, `…` that
/// of one whose beginning is in another file.
func recorded(_ paths: String..., keys: ArchiveKeys = ArchiveKeys()) throws -> [String] { try recorded(paths, keys: keys) }

func recorded(_ paths: [String], keys: ArchiveKeys = ArchiveKeys()) throws -> [String] {
    try items(of: paths, keys: keys).compactMap { item in
        guard case .flow(let flow) = item else { return nil }
        let target = String(buffer: flow.request?.head.target ?? ByteBuffer())
        let isRest = flow.error?.message.contains("in an earlier file") == true
        let end = flow.ended == nil ? " open" : flow.state == .complete || isRest ? "" : " cut"
        return (isRest ? "…" : "") + target + end
    }
}

/// What readers find in files that were written one after the other.
func items(of paths: [String], keys: ArchiveKeys = ArchiveKeys()) throws -> [ArchiveItem] {
    var all: [ArchiveItem] = []
    var before: OpenFlows?
    func endOpen() {
        all += before?.unfinished.map { .flow($0) } ?? []
        before = nil
    }
    for path in paths {
        let reader = ArchiveReader(try ArchiveInput(path: path, keys: keys))
        reader.predecessor = { name in
            guard let flows = before, flows.segment == name else { return .unknown }
            before = nil
            return .flows(flows)
        }
        var found: [ArchiveItem] = []
        while let item = try reader.next() { found.append(item) }
        found += try reader.finish(keepsOpen: true)
        endOpen()
        all += found
        before = reader.takeOpenFlows()
    }
    endOpen()
    return all
}
