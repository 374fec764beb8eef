// Files of every version that was ever written stay in Fixtures/archives, and every later reader reads them. They are written again by running
// these tests with MITM_WRITE_FIXTURES=1, which is done once for each version.

import FlowArchive
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// One file: its name, its bytes, and the flows that a reader finds in it.
struct Golden: CustomTestStringConvertible, Sendable {
    var name: String
    var make: @Sendable () throws -> (bytes: ByteBuffer, flows: [String])
    var damage: Int
    var testDescription: String { name }

    init(_ name: String, damage: Int = 0, _ make: @escaping @Sendable () throws -> (bytes: ByteBuffer, flows: [String])) {
        self.name = name
        self.damage = damage
        self.make = make
    }

    private static func whole(
        _ seed: UInt64, _ kinds: [Int], created: Int64 = 1, flushEvery: Int = 8, bodyBytes: Int? = nil
    ) throws -> (bytes: ByteBuffer, flows: [String]) {
        var samples = SampleFlows(seed: seed)
        let events = kinds.flatMap { samples.next(bodyBytes: bodyBytes, kind: $0) }
        return (try archive(events, created: created, flushEvery: flushEvery), try assemble(events).map(describe))
    }

    static let all: [Golden] = [
        Golden("http") { try whole(101, [0, 1, 2, 4, 5, 0, 1, 2, 4, 5], flushEvery: 30) },
        Golden("long-bodies") { try whole(102, [0, 0], flushEvery: 3, bodyBytes: 60_000) },
        Golden("websocket") { try whole(103, [3, 3]) },
        Golden("tcp") { try whole(104, [6, 6, 6, 6]) },
        Golden("tls-failure") { try whole(105, [7]) },
        Golden("passthrough") {
            var samples = SampleFlows(seed: 112)
            var events = samples.next(kind: 7)
            var ending = FlowEnding(state: .complete, closedBy: .server)
            ending.passthrough = PassthroughSizes(fromClient: 517, fromServer: 1 << 33)
            events[events.count - 1].what = .ended(ending)
            guard case .opened(var opening) = events[0].what else { return (ByteBuffer(), []) }
            opening.kind = .tcp
            events[0].what = .opened(opening)
            return (try archive(events), try assemble(events).map(describe))
        },
        Golden("http2-settings") {
            var samples = SampleFlows(seed: 113)
            var events = samples.next(kind: 0)
            let (known, unknown) = (PeerSetting(id: 3, value: 100), PeerSetting(id: 0xABCD, value: .max))
            for index in events.indices {
                switch events[index].what {
                case .opened(var opening):
                    var client = opening.client.value
                    client.settings = [known, unknown, known]
                    opening.client = Shared(client)
                    events[index].what = .opened(opening)
                case .server(let shared):
                    var server = shared.value
                    server.settings = []
                    events[index].what = .server(Shared(server))
                default: break
                }
            }
            return (try archive(events), try assemble(events).map(describe))
        },
        Golden("notes-and-replies") {
            var samples = SampleFlows(seed: 114)
            var events = samples.next(kind: 0) + samples.next(kind: 5)
            let ended = events.indices.filter { if case .ended = events[$0].what { true } else { false } }
            for (index, version) in zip(ended.reversed(), [HTTPVersion.http1_1, .http2]) {
                let line = version == .http2 ? ":status: 502" : "HTTP/1.1 502 Bad Gateway"
                let head = ByteBuffer(string: "\(line)\r\ncontent-type: text/plain\r\n\r\n")
                let reply = LocalReply(
                    head: ResponseHead(parsing: head, version: version), content: ByteBuffer(string: "mitm: it cannot be read\n"))
                let whats: [FlowEvent.What] = [
                    .note(FlowNote(side: .server, "Content-Length was removed")), .note(FlowNote(side: nil, "\u{e9}")),
                    .note(FlowNote(side: .client, "")), .malformed(from: .server, ByteBuffer(bytes: [0x48, 0, 0xFF, 0x0D])),
                    .malformed(from: .client, ByteBuffer()), .localReply(reply),
                ]
                events.insert(
                    contentsOf: whats.map { FlowEvent(flow: events[index].flow, at: events[index].at, what: $0) }, at: index)
            }
            return (try archive(events, flushEvery: 9), try assemble(events).map(describe))
        },
        Golden("listed-hosts") { try whole(115, [0, 6, 7, 0]) },
        Golden("bounds") { try whole(116, [0, 1, 3, 6, 4, 7, 2, 5]) },
        Golden("redacted") {
            let first = try RedactedFlows.archive(rules: ["header:authorization", "json:$..password"], created: 1)
            let second = try RedactedFlows.archive(rules: ["secrets=hash"], created: 2)
            return (first.bytes.followed(by: second.bytes), first.flows + second.flows)
        },
        Golden("cut-content") {
            var samples = SampleFlows(seed: 117)
            let events = [0, 3, 6].flatMap { cutting(samples.next(bodyBytes: 5000, kind: $0)) }
            return (try archive(events, flushEvery: 5), try assemble(events).map(describe))
        },
        Golden("every-kind") { try whole(106, [0, 1, 2, 3, 4, 5, 6, 7]) },
        Golden("open-flows") {
            var samples = SampleFlows(seed: 107)
            let events = samples.next() + samples.next(isWhole: false, bodyBytes: 20_000) + samples.next(isWhole: false, kind: 6)
            return (try archive(events, flushEvery: 5, closes: false), try assemble(events).map(describe))
        },
        Golden("concatenated") {
            let (first, second) = (try whole(108, [0, 6]), try whole(109, [3, 7], created: 2))
            var bytes = first.bytes
            bytes.writeImmutableBuffer(second.bytes)
            return (bytes, first.flows + second.flows)
        },
        Golden("continued") {
            let recording = try RotatedFiles(seed: 117, kinds: [3, 6, 0, 4, 3], files: 3)
            return (recording.joined, try recording.flows.map(describe))
        },
        Golden("torn", damage: 1) {
            var samples = SampleFlows(seed: 110)
            let events = (0..<3).flatMap { _ in samples.next(kind: 0) }
            let whole = try archive(events, closes: false)
            let longer = try archive(events + samples.next(kind: 0), closes: false)
            var bytes = whole
            // The beginning of a block that never came to its end.
            bytes.writeImmutableBuffer(longer.getSlice(at: 32, length: 400)!)
            return (bytes, try assemble(events).map(describe))
        },
        Golden("damaged", damage: 2) {
            var samples = SampleFlows(seed: 111)
            let flows = (0..<3).map { _ in samples.next(kind: 5) }
            let storage = ScriptedStorage()
            let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 1))
            var ends: [Int] = []
            for events in flows {
                try writer.append(contentsOf: events)
                try writer.flush()
                ends.append(storage.bytes.readableBytes)
            }
            try writer.close()
            var bytes = storage.bytes
            for offset in 0..<40 { bytes.setInteger(UInt8(0x55), at: ends[0] + 20 + offset) }
            return (bytes, try assemble(flows[0] + flows[2]).map(describe))
        },
    ]
}

/// The events of a flow of which only the first bytes of content are stored, three of each piece.
private func cutting(_ events: [FlowEvent]) -> [FlowEvent] {
    let digest = ByteBuffer(bytes: 0..<32)
    return events.flatMap { event -> [FlowEvent] in
        var event = event
        switch event.what {
        case .piece(var piece):
            if piece.kind != .data {
                piece.cut = Shared(ContentCut(size: UInt64(piece.content.readableBytes), sha256: digest))
            }
            piece.content = piece.content.getSlice(at: piece.content.readerIndex, length: min(3, piece.content.readableBytes))!
            event.what = .piece(piece)
            return [event]
        case .ended:
            let cuts = [
                FlowEvent.What.cut(from: .client, ContentCut(size: 1 << 33, sha256: digest)),
                .cut(from: .server, ContentCut(size: 300, sha256: ByteBuffer())),
            ]
            return cuts.map { FlowEvent(flow: event.flow, at: event.at, what: $0) } + [event]
        default:
            return [event]
        }
    }
}

@Suite("Files of earlier versions")
struct GoldenTests {
    @Test("A file of version 1 says today what it said then", arguments: Golden.all)
    func golden(_ golden: Golden) throws {
        let path = root.appendingPathComponent("Fixtures/archives/v1/\(golden.name).mflow").path
        let (bytes, flows) = try golden.make()
        if ProcessInfo.processInfo.environment["MITM_WRITE_FIXTURES"] != nil {
            try FileManager.default.createDirectory(
                at: root.appendingPathComponent("Fixtures/archives/v1"), withIntermediateDirectories: true)
            try Data(bytes.readableBytesView).write(to: URL(fileURLWithPath: path))
        }
        let result = try readAll(path: path)
        let read = result.flows.filter { !$0.contains("a certificate was lost") || golden.damage == 0 }
        #expect(read == flows)
        #expect(result.damage.count == golden.damage)
    }

    @Test("The hex dump of the specification is what the writer writes")
    func hexDump() throws {
        let page = try String(contentsOf: root.appendingPathComponent("docs/flow-file-format.md"), encoding: .utf8)
        var dumped: [UInt8] = []
        for line in page.split(separator: "\n") where line.wholeMatch(of: /[0-9a-f]{8}  ([0-9a-f]{2} ?)+ .*/) != nil {
            let columns = line.dropFirst(10).prefix(48)
            dumped += columns.split(separator: " ").compactMap { UInt8($0, radix: 16) }
        }
        let storage = ScriptedStorage()
        let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 1_700_000_000_000_000_000))
        let start = Timestamp(nanoseconds: 1_700_000_000_250_000_000)
        let client = Shared(
            ClientConnection(
                id: FlowID(high: 0x018B_CFE5_68FA_7000, low: 0x8000_0000_0000_0001),
                peer: Endpoint(host: "10.0.0.1", port: 5000), local: Endpoint(host: "10.0.0.2", port: 8080), opened: start,
                mode: "regular"))
        let id = FlowID(high: 0x018B_CFE5_68FA_7000, low: 0x8000_0000_0000_0002)
        let opening = FlowOpening(
            kind: .tcp, client: client, target: FlowTarget(scheme: "tcp", host: "db", port: 5432), stream: StreamID(1))
        let whats: [FlowEvent.What] = [
            .opened(opening), .piece(FlowPiece(from: .client, content: ByteBuffer(string: "ping"))),
            .piece(FlowPiece(from: .server, content: ByteBuffer(string: "pong"))),
            .ended(FlowEnding(state: .complete, closedBy: .client)),
        ]
        for (index, what) in whats.enumerated() {
            try writer.append(FlowEvent(flow: id, at: start.advanced(byNanoseconds: Int64(index) * 1_000_000), what: what))
        }
        try writer.close()
        let written = Array(storage.bytes.readableBytesView)
        if ProcessInfo.processInfo.environment["MITM_WRITE_FIXTURES"] != nil { print(Self.hexDump(written)) }
        #expect(dumped == written)
    }
    /// Lines of sixteen bytes, as the specification shows them.
    private static func hexDump(_ bytes: [UInt8]) -> String {
        func hex(_ value: Int, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: digits - text.count) + text
        }
        return stride(from: 0, to: bytes.count, by: 16).map { start in
            let line = bytes[start..<min(start + 16, bytes.count)]
            let columns = line.map { hex(Int($0), 2) }.joined(separator: " ")
            let text = String(decoding: line.map { (0x20..<0x7F).contains($0) ? $0 : 0x2E }, as: UTF8.self)
            return "DUMP \(hex(start, 8))  \(columns)\(String(repeating: " ", count: 49 - columns.count)) \(text)"
        }.joined(separator: "\n")
    }
}
