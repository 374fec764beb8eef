// Questions that are put to records in place, and blocks that are passed over: the answers must be those of reading everything.

import FlowArchive
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import Synchronization
import TestSupport
import Testing

/// Flows with one of some statuses, and what groups of flows it was asked about.
struct StatusIs: FlowPredicate {
    var status: Int
    func matches(_ flow: some FlowAttributes) -> Bool { flow.status == status }
    func mayMatch(_ group: some BlockSummary) -> Bool { group.mayContain(status: status) }
}

struct HostIs: FlowPredicate {
    var host: ByteBuffer
    func matches(_ flow: some FlowAttributes) -> Bool { flow.targetHost == host }
    func mayMatch(_ group: some BlockSummary) -> Bool { group.hosts?.contains(host) ?? true }
}

private struct MethodIs: FlowPredicate {
    var method: ByteBuffer
    func matches(_ flow: some FlowAttributes) -> Bool { flow.method == method }
    func mayMatch(_ group: some BlockSummary) -> Bool { group.methodNames?.contains(method) ?? true }
}

private struct KindIs: FlowPredicate {
    var kind: FlowKind
    func matches(_ flow: some FlowAttributes) -> Bool { flow.kind == kind }
    func mayMatch(_ group: some BlockSummary) -> Bool { group.mayContain(kind) }
}

private struct StartsBehind: FlowPredicate {
    var time: Timestamp
    func matches(_ flow: some FlowAttributes) -> Bool { flow.started >= time }
    func mayMatch(_ group: some BlockSummary) -> Bool { group.times.map { $0.upperBound >= time } ?? false }
}

/// Lets every flow through and writes down the answers to every question.
private final class Interview: FlowPredicate, Sendable {
    let answers = Mutex<[String]>([])

    func matches(_ flow: some FlowAttributes) -> Bool {
        func text(_ bytes: ByteBuffer?) -> String { bytes.map { String(buffer: $0) } ?? "nil" }
        var lines = ["\(flow.id) \(flow.kind) \(flow.state) \(flow.started.nanoseconds) \(flow.ended?.nanoseconds ?? 0)"]
        lines.append("\(flow.isWebSocket) \(flow.isTagged) \(text(flow.errorMessage)) \(text(flow.commentText))")
        lines.append("\(text(flow.clientAddress)) \(text(flow.serverAddress))")
        lines.append("\(text(flow.targetScheme)) \(text(flow.targetHost)) \(flow.targetPort) \(text(flow.displayHost))")
        lines.append("\(text(flow.method)) \(text(flow.requestTarget)) \(text(flow.requestAuthority)) \(text(flow.displayURL))")
        lines.append("\(flow.status) \(flow.requestFields?.description ?? "nil") \(flow.responseFields?.description ?? "nil")")
        lines.append("\(flow.requestVersion?.description ?? "nil") \(flow.stream) \(flow.timeToFirstByteMicroseconds ?? -1)")
        lines.append(
            "\(flow.interimStatuses) \(flow.isPassthrough) \(flow.isTruncated) \(flow.tagTexts.map { text($0) }) \(flow.hasLocalReply)"
        )
        for side in [Side.client, .server] {
            let size = try? flow.contentSize(from: side)
            lines.append("\(size.map { "\($0)" } ?? "nil") \(flow.trailers(from: side)?.description ?? "nil")")
            lines.append("\(ConnectionText.allCases.map { text(flow.connectionText($0, of: side)) })")
        }
        lines.append("\(flow.noteTexts.map { text($0) }) \(text(try? flow.serverCertificateNames))")
        lines.append("\(flow.pieces.count)")
        try? flow.pieces.forEach { at, piece in
            lines.append("\(at.nanoseconds) \(piece.kind) \(piece.from) \(piece.wireSize) \(piece.frames) \(text(piece.content))")
            return true
        }
        answers.withLock { $0.append(lines.joined(separator: "\n")) }
        return true
    }
}

@Suite("A question put to a flow file")
struct QueryTests {
    /// Flows of each host and status in blocks of their own.
    private static func events() -> (events: [FlowEvent], flows: [Flow]) {
        var samples = SampleFlows(seed: 41, certificates: 0)
        let flows = (0..<200).map { _ in samples.next() }
        let sorted = flows.sorted { a, b in
            let (first, second) = (assemble(a)[0], assemble(b)[0])
            return (first.response?.head.status ?? 0, first.target.host) < (second.response?.head.status ?? 0, second.target.host)
        }
        let events = sorted.flatMap { $0 }
        return (events, assemble(events))
    }

    private static func archived(_ events: [FlowEvent], closes: Bool) throws -> ByteBuffer {
        var options = ArchiveOptions()
        options.blockTarget = 12 * 1024
        return try archive(events, options: options, closes: closes)
    }

    @Test("A record answers every question as the flow itself does")
    func answers() throws {
        let (events, flows) = Self.events()
        let expected = Interview()
        flows.forEach { _ = expected.matches($0) }
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(try Self.archived(events, closes: true), to: path)
            let interview = Interview()
            _ = try readAll(try ArchiveReader(path: path, where: interview))
            let (asked, wanted) = (interview.answers.withLock { $0 }, expected.answers.withLock { $0 })
            #expect(asked == wanted)
        }
    }

    @Test("Passing over blocks, with an index and without, changes no answer", arguments: [true, false])
    func skipping(isClosed: Bool) throws {
        let (events, flows) = Self.events()
        let bytes = try Self.archived(events, closes: isClosed)
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(bytes, to: path)
            func check(_ predicate: some FlowPredicate, skips: Bool) throws {
                let expected = try Reading(flows: flows.filter { try predicate.matches($0) }.map(describe))
                let reader = try ArchiveReader(path: path, where: predicate)
                let reading = try readAll(reader)
                #expect(reading == expected)
                #expect(!expected.flows.isEmpty)
                #expect(reader.blocksSkipped > 0 || !skips)
                let inPipe = try readFromPipe(bytes, where: predicate)
                #expect(inPipe == expected)
                let byThreads = try readAll(path: path, where: predicate)
                #expect(byThreads == expected)
            }
            for status in [0, 200, 301, 404, 500] { try check(StatusIs(status: status), skips: true) }
            for host in 0..<4 { try check(HostIs(host: ByteBuffer(string: "host\(host).example")), skips: true) }
            for method in ["GET", "POST", "BREW"] { try check(MethodIs(method: ByteBuffer(string: method)), skips: false) }
            for kind in FlowKind.allCases { try check(KindIs(kind: kind), skips: kind != .http) }
            try check(StartsBehind(time: flows[flows.count / 2].started), skips: false)
        }
    }

    @Test("Flows that are only counted are as many as those that are made", arguments: [1, 3])
    func counting(jobs: Int) throws {
        var (events, _) = Self.events()
        var samples = SampleFlows(seed: 43, certificates: 0)
        let open = Array(samples.next().dropLast())
        // One that goes on over blocks, and does not end.
        events.insert(contentsOf: open[..<2], at: 0)
        events += open[2...]
        let bytes = try Self.archived(events, closes: true)
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(bytes, to: path)
            func check(_ predicate: some FlowPredicate) throws {
                let expected = try readAll(try ArchiveReader(path: path, where: predicate)).flows.count
                let reader = ArchiveReader(try ArchiveInput(path: path), where: predicate, jobs: jobs, delivery: .counted)
                let reading = try readAll(reader)
                #expect(reading.flows.count + reader.counted == expected)
                #expect(reading.damage.isEmpty)
                #expect(reading.flows.count < expected || expected <= 1)
            }
            try check(Interview())
            for status in [0, 200, 404] { try check(StatusIs(status: status)) }
        }
    }

    @Test("What is not in the file is found out without decompressing a block")
    func nothing() throws {
        let (events, _) = Self.events()
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(try Self.archived(events, closes: true), to: path)
            let reader = try ArchiveReader(path: path, where: StatusIs(status: 418))
            let reading = try readAll(reader)
            #expect(reading == Reading())
            #expect(reader.blocksRead == 0)
        }
    }

    @Test("Content that a predicate asks for and that is damaged is told once, and the other flows are found")
    func damagedContent() throws {
        struct AsksForContent: FlowPredicate {
            func matches(_ flow: some FlowAttributes) throws -> Bool {
                try flow.pieces.forEach { _, piece in piece.content.readableBytes >= 0 }
                return true
            }
        }
        var samples = SampleFlows(seed: 42, certificates: 0)
        let events = (0..<3).flatMap { _ in samples.next(bodyBytes: 200_000) } + samples.next(bodyBytes: 10)
        var bytes = try archive(events, flushEvery: events.count - 8)
        try withTemporaryDirectory { directory in
            let path = directory + "/a.mflow"
            try write(bytes, to: path)
            var structure = try ArchiveStructure(path: path, verifies: false)
            var first: ArchiveStructureLine?
            while let line = try structure.next(), first == nil { if line.kind == .block { first = line } }
            let block = try #require(first)
            // The end of the block is the end of its last content chunk.
            let offset = Int(block.offset + block.length) - 40
            bytes.setInteger(bytes.getInteger(at: offset, as: UInt8.self)! ^ 1, at: offset)
            try write(bytes, to: path)
            let reading = try readAll(path: path, where: AsksForContent())
            #expect(reading.damage.map(\.block) == [block.sequence])
            #expect(!reading.flows.isEmpty)
        }
    }
}
