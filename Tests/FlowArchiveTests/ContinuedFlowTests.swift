// Flows that are open when a file is sealed and continue in the next one.

import FlowArchive
import FlowFilter
import FlowModel
import FlowRecords
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// Files of a recording, and the flows that were recorded in them.
struct RotatedFiles {
    var files: [ByteBuffer]
    var flows: [Flow]

    /// - Parameters:
    ///   - seed: of the flows.
    ///   - kinds: the kind of each flow; their events come in turns.
    ///   - count: the number of files.
    init(seed: UInt64, kinds: [Int], files count: Int, options: ArchiveOptions = ArchiveOptions(), closesLast: Bool = true) throws {
        var samples = SampleFlows(seed: seed)
        var waiting = kinds.map { samples.next(bodyBytes: 30_000, kind: $0)[...] }
        var events: [FlowEvent] = []
        while waiting.contains(where: { !$0.isEmpty }) {
            for index in waiting.indices { if let event = waiting[index].popFirst() { events.append(event) } }
        }
        flows = assemble(events)
        files = []
        var records: [FlowID: FlowRecord] = [:]
        var buffer = FlowRecordBuffer()
        var before: OpenFlowRecords?
        for number in 0..<count {
            let storage = ScriptedStorage()
            var options = options
            options.file = number
            let writer = try ArchiveWriter(storage: storage, options: options, now: Timestamp(nanoseconds: Int64(number) + 1))
            if let before { writer.continueFlows(before, at: events[events.count * number / count].at) }
            for (index, event) in events[(events.count * number / count)..<(events.count * (number + 1) / count)].enumerated() {
                let record = records[event.flow] ?? FlowRecord(event.flow)
                records[event.flow] = record
                buffer.add(event.what, to: record, at: event.at)
                guard index % 5 == 4 else { continue }
                buffer.finishOpen()
                try writer.append(buffer.take())
                if index % 20 == 19 { try writer.flush() }
            }
            buffer.finishOpen()
            try writer.append(buffer.take())
            before = writer.handOver()
            if number < count - 1 || closesLast { try writer.close() } else { try writer.flush() }
            files.append(storage.bytes)
        }
    }

    var joined: ByteBuffer {
        var bytes = ByteBuffer()
        for file in files { bytes.writeImmutableBuffer(file) }
        return bytes
    }
}

@Suite("A flow that continues in the next file")
struct ContinuedFlowTests {
    private static let kinds = [0, 3, 6, 4, 1, 5, 2, 3, 6]

    @Test("Files that follow each other have the same flows as one file, from a file and from a pipe", arguments: [2, 3, 20])
    func concatenated(count: Int) throws {
        try withTemporaryDirectory { directory in
            let recording = try RotatedFiles(seed: 7, kinds: Self.kinds, files: count)
            let expected = try recording.flows.map(describe)
            let reading = try readAll(recording.joined, in: directory)
            #expect(reading.flows == expected)
            #expect(reading.damage == [])
            #expect(try readFromPipe(recording.joined) == reading)
        }
    }

    @Test("A reader of the next file takes the flows from the reader before")
    func oneAfterTheOther() throws {
        try withTemporaryDirectory { directory in
            let recording = try RotatedFiles(seed: 8, kinds: Self.kinds, files: 4)
            var flows: [Flow] = []
            var before: OpenFlows?
            for (index, bytes) in recording.files.enumerated() {
                let path = "\(directory)/\(index).mflow"
                try write(bytes, to: path)
                let reader = try ArchiveReader(path: path)
                reader.predecessor = { name in
                    guard let flows = before, flows.segment == name else { return .unknown }
                    before = nil
                    return .flows(flows)
                }
                while let item = try reader.next() { if case .flow(let flow) = item { flows.append(flow) } }
                #expect(before == nil)
                for item in try reader.finish(keepsOpen: true) { if case .flow(let flow) = item { flows.append(flow) } }
                before = reader.takeOpenFlows()
            }
            #expect(before == nil)
            #expect(try flows.map(describe) == recording.flows.map(describe))
        }
    }

    @Test("The first file alone has its flows as far as they were recorded")
    func firstAlone() throws {
        let recording = try RotatedFiles(seed: 9, kinds: [3, 3, 6], files: 2)
        let flows = try Self.flows(of: recording.files[0])
        #expect(Set(flows.map(\.id)) == Set(recording.flows.map(\.id)))
        let open = flows.filter { $0.ended == nil }
        #expect(open.count == 2)
        for flow in open {
            let whole = try #require(recording.flows.first { $0.id == flow.id })
            #expect(flow.state == .incomplete && flow.error == nil)
            #expect(flow.request?.head.wire == whole.request?.head.wire)
            #expect(flow.pieces.count < whole.pieces.count)
        }
    }

    @Test("The next file alone has the facts of a flow and the content of its time; what came before is counted")
    func nextAlone() throws {
        let recording = try RotatedFiles(seed: 10, kinds: [3, 0, 3], files: 2)
        let flows = try Self.flows(of: recording.files[1])
        let before = try Self.flows(of: recording.files[0])
        #expect(flows.count == 3)
        for flow in flows {
            let whole = try #require(recording.flows.first { $0.id == flow.id })
            let first = try #require(before.first { $0.id == flow.id })
            let (client, server) = (try first.pieces.wireSize(from: .client), try first.pieces.wireSize(from: .server))
            #expect(flow.state == .incomplete)
            #expect(
                flow.error?.message
                    == "the beginning of this flow is in an earlier file of the recording (\(client) bytes from the client, \(server) from the server)"
            )
            #expect("\(flow.target)" == "\(whole.target)")
            #expect(flow.started == whole.started && flow.ended == whole.ended)
            #expect(flow.client?.value.id == whole.client?.value.id)
            #expect(flow.server?.value.id == whole.server?.value.id)
            #expect(flow.request?.head.wire == whole.request?.head.wire)
            #expect(flow.response?.head.wire == whole.response?.head.wire)
            #expect(flow.pieces.count == whole.pieces.count - first.pieces.count)
        }
    }

    private static func flows(of bytes: ByteBuffer) throws -> [Flow] {
        let reader = ArchiveReader(ArchiveInput(bytes: bytes))
        var flows: [Flow] = []
        while let item = try reader.next() { if case .flow(let flow) = item { flows.append(flow) } }
        for item in try reader.finish() { if case .flow(let flow) = item { flows.append(flow) } }
        return flows
    }

    @Test(
        "A filter finds in the files what it finds when every block is read",
        arguments: ["~c 200", "~c 500", "~d host1", "~m POST", "~websocket", "~tcp", "~http & !~websocket", "~bs a", "~e"])
    func planned(expression: String) throws {
        try withTemporaryDirectory { directory in
            var options = ArchiveOptions()
            options.blockTarget = 20_000
            let kinds = (0..<40).map { [0, 1, 2, 3, 4, 5, 6, 7][$0 % 8] }
            let recording = try RotatedFiles(seed: 13, kinds: kinds, files: 5, options: options)
            let filter = try FlowFilter(expression)
            let expected = try Self.flows(of: recording.joined).filter { try filter.matches($0) }.map(describe)
            try write(recording.joined, to: directory + "/a.mflow")
            #expect(try readAll(path: directory + "/a.mflow", where: filter).flows == expected)
        }
    }

    @Test("A file that does not continue the one before it ends the flows of that one")
    func unrelated() throws {
        try withTemporaryDirectory { directory in
            let first = try RotatedFiles(seed: 11, kinds: [3, 6], files: 3)
            var bytes = first.files[0]
            bytes.writeImmutableBuffer(first.files[2])
            let reading = try readAll(bytes, in: directory)
            let alone = try readAll(first.files[0], in: directory).flows + readAll(first.files[2], in: directory).flows
            #expect(reading.flows == alone)
        }
    }

    @Test("The files can be cut after any block: every flow is there once, and none is another one")
    func cut() throws {
        try withTemporaryDirectory { directory in
            let recording = try RotatedFiles(seed: 12, kinds: [3, 6, 0, 0], files: 3, closesLast: false)
            let expected = Set(recording.flows.map(\.id))
            let bytes = recording.joined
            var length = bytes.readableBytes
            while length > 0 {
                let reader = ArchiveReader(ArchiveInput(bytes: bytes.getSlice(at: 0, length: length)!))
                var ids: [FlowID] = []
                while let item = try reader.next() { if case .flow(let flow) = item { ids.append(flow.id) } }
                for item in try reader.finish() { if case .flow(let flow) = item { ids.append(flow.id) } }
                #expect(Set(ids).count == ids.count)
                #expect(Set(ids).isSubset(of: expected))
                length -= 997
            }
        }
    }

    @Test("The summary of a file has as many flows as a reader returns")
    func summary() throws {
        let recording = try RotatedFiles(seed: 14, kinds: [3, 6, 0, 0, 3, 6], files: 3, closesLast: false)
        for bytes in recording.files + [recording.joined] {
            for verifies in [false, true] {
                var structure = try ArchiveStructure(ArchiveInput(bytes: bytes), verifies: verifies, counts: true)
                while try structure.next() != nil {}
                let summary = structure.summary
                #expect(summary.flows == UInt64(try Self.flows(of: bytes).count))
                #expect(summary.bytes == UInt64(bytes.readableBytes) && summary.times != nil)
                #expect(summary.isSealed == (bytes == recording.files[0] || bytes == recording.files[1]))
            }
        }
    }
}
