// Content that is damaged in the file, in flows of which the heads can be read: it is marked wherever the flow is shown, and never taken for
// empty content.

import FlowArchive
import FlowModel
import FlowPrinter
import ForeignArchives
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

private let start = Timestamp(nanoseconds: 1_700_000_000_000_000_000)

private func events(_ number: UInt64, _ answer: String, _ pieces: [FlowPiece], ends: Bool = true) -> [FlowEvent] {
    var flow = FlowBuilder(id: FlowID(high: 7, low: number))
        .request("POST /\(number) HTTP/1.1\r\nHost: a\r\n\r\n", isWhole: false)
    for piece in pieces where piece.from == .client && piece.kind == .data { flow = flow.event(.piece(piece)) }
    flow = flow.event(.finished(.client)).response(answer, isWhole: false)
    for piece in pieces where piece.from == .server || piece.kind != .data { flow = flow.event(.piece(piece)) }
    if ends { flow = flow.event(.finished(.server)).ended() }
    return flow.events
}

private let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"

/// Changes the byte at this distance from the end of the first block.
private func damage(_ bytes: inout ByteBuffer, beforeEnd distance: UInt64, in directory: String) throws {
    try write(bytes, to: directory + "/whole.mflow")
    var structure = try ArchiveStructure(path: directory + "/whole.mflow", verifies: false)
    while let line = try structure.next() {
        guard line.kind == .block else { continue }
        let offset = Int(line.offset + line.length - distance)
        bytes.setInteger(bytes.getInteger(at: offset, as: UInt8.self)! ^ 1, at: offset)
        return
    }
}

private func printed(_ body: (inout ByteBuffer) throws -> Void) rethrows -> String {
    var out = ByteBuffer()
    try body(&out)
    return String(buffer: out)
}

@Suite("Damaged content")
struct DamagedContentTests {
    private static let whole =
        events(1, answer, [FlowPiece(from: .server, content: ByteBuffer(string: "the answer"))])
        + events(2, answer, [FlowPiece(from: .client, content: ByteBuffer(string: "the question"))])
        + events(3, answer, [])
        + events(
            4, "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            [FlowPiece(kind: .text, from: .client, content: ByteBuffer(string: "hello"))])

    @Test("It is reported once for its block, with the number of flows that were asked for it", arguments: [1, 3])
    func told(jobs: Int) throws {
        struct AsksForContent: FlowPredicate {
            func matches(_ flow: some FlowAttributes) throws -> Bool {
                try flow.pieces.forEach { _, _ in true }
                return true
            }
        }
        try withTemporaryDirectory { directory in
            var bytes = try archive(Self.whole)
            try damage(&bytes, beforeEnd: 6, in: directory)
            try write(bytes, to: directory + "/a.mflow")
            let reader = ArchiveReader(try ArchiveInput(path: directory + "/a.mflow"), jobs: jobs)
            var found: [String] = []
            while let item = try reader.next() {
                switch item {
                case .flow(let flow): _ = try? flow.pieces.content(from: .server)
                case .stored, .record: Issue.record("stored without being wanted")
                case .damage(let damage): found.append("\(damage)")
                }
            }
            #expect(found.count == 1)
            #expect(found.first?.hasPrefix("content of 3 flows cannot be read: the block at offset ") == true)
            let searching = ArchiveReader(
                try ArchiveInput(path: directory + "/a.mflow"), where: AsksForContent(), jobs: jobs)
            let reading = try readAll(searching)
            #expect(reading.damage.map(\.kind) == [.content(flows: 3)])
            #expect(reading.flows.count == 1)
        }
    }

    @Test("It is marked in JSON, text, HAR and mitmproxy's format, and what is not damaged is as it was")
    func rendered() throws {
        try withTemporaryDirectory { directory in
            var bytes = try archive(Self.whole)
            try damage(&bytes, beforeEnd: 6, in: directory)
            try write(bytes, to: directory + "/a.mflow")
            let reader = try ArchiveReader(path: directory + "/a.mflow")
            var flows: [Flow] = []
            while let item = try reader.next() { if case .flow(let flow) = item { flows.append(flow) } }
            let json = try flows.map { flow in try printed { try FlowJSONPrinter(rawBody: false).print(flow, into: &$0) } }
            #expect(json[0].contains(#""body":{"size":10,"stored":10,"complete":false,"damaged":true},"started""#))
            #expect(json[1].contains(#""body":{"size":12,"stored":12,"complete":false,"damaged":true},"started""#))
            #expect(json.map { $0.contains("damaged") } == [true, true, false, true])
            #expect(json[3].contains(#""opcode":"text","size":5,"damaged":true}]"#))
            #expect(json.allSatisfy { !$0.contains(#""text":"#) && !$0.contains(#""base64":"#) })
            let text = try flows.map { flow in
                try printed { try FlowTextPrinter(detail: 3, isColoured: false).print(flow, into: &$0) }
            }
            #expect(text.map { $0.contains("    (damaged: ") } == [true, true, false, true])
            var writer = HARWriter(version: "1")
            var har = ByteBuffer()
            for flow in flows { _ = try writer.write(flow, into: &har) }
            writer.finish(into: &har)
            #expect(String(buffer: har).components(separatedBy: "\"_damaged\":true").count == 4)
            #expect(String(buffer: har).components(separatedBy: "\"_incomplete\":true").count == 3)
            var mitmproxyWriter = MitmproxyWriter()
            let records = try flows.map { flow in try printed { _ = try mitmproxyWriter.write(flow, into: &$0) } }
            #expect(records[0].contains("7:content;0:~"))
            #expect(records[1].contains("7:content;0:~"))
            #expect(!records[2].contains("7:content;0:~"))
        }
    }

    @Test("A copy of the flow is incomplete, has no end of the damaged message, and says why")
    func copied() throws {
        try withTemporaryDirectory { directory in
            var bytes = try archive(Self.whole)
            try damage(&bytes, beforeEnd: 6, in: directory)
            try write(bytes, to: directory + "/a.mflow")
            let reader = try ArchiveReader(path: directory + "/a.mflow")
            var copied: [FlowEvent] = []
            while let item = try reader.next() { if case .flow(let flow) = item { try flow.forEachEvent { copied.append($0) } } }
            let copies = assemble(copied)
            #expect(copies.map(\.state) == [.incomplete, .incomplete, .complete, .incomplete])
            #expect(copies.map { $0.request?.isComplete } == [true, false, true, true])
            #expect(copies.map { $0.response?.isComplete } == [false, true, true, true])
            #expect(copies.map { $0.error != nil } == [true, true, false, true])
        }
    }

    @Test("Messages before and after a damaged one are read", arguments: [true, false])
    func messages(ends: Bool) throws {
        var generator = SeededGenerator(seed: 3)
        let pieces = (0..<12).map { _ in
            let bytes = (0..<100_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
            return FlowPiece(kind: .binary, from: .server, content: ByteBuffer(bytes: bytes))
        }
        try withTemporaryDirectory { directory in
            var bytes = try archive(events(1, "HTTP/1.1 101 Switching Protocols\r\n\r\n", pieces, ends: ends))
            try damage(&bytes, beforeEnd: 20_000, in: directory)
            try write(bytes, to: directory + "/a.mflow")
            let reader = try ArchiveReader(path: directory + "/a.mflow")
            var readable: [Int] = []
            var damaged: [Int] = []
            var index = 0
            func take(_ item: ArchiveItem) throws {
                guard case .flow(let flow) = item else { return }
                try flow.pieces.forEach { _, piece in
                    #expect(piece == pieces[index])
                    readable.append(index)
                    index += 1
                    return true
                } damaged: { piece in
                    #expect(piece == DamagedPiece(at: start, kind: .binary, from: .server, size: 100_000))
                    damaged.append(index)
                    index += 1
                    return true
                }
            }
            var found: [ArchiveDamage] = []
            while let item = try reader.next() {
                try take(item)
                if case .damage(let damage) = item { found.append(damage) }
            }
            for item in try reader.finish() { try take(item) }
            found += reader.takeFoundDamage()
            #expect(index == 12)
            #expect(!damaged.isEmpty)
            #expect(readable.last == 11)
            #expect(found.map(\.kind) == [.content(flows: 1)])
        }
    }
}
