// What redaction did, in the file: the rules of its segments and the facts of its flows.

import FlowArchive
import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

extension ByteBuffer {
    func followed(by other: ByteBuffer) -> ByteBuffer {
        var joined = self
        joined.writeImmutableBuffer(other)
        return joined
    }
}

/// Flows as redaction leaves them.
enum RedactedFlows {
    static func events(seed: UInt64) -> [FlowEvent] {
        let client = Shared(
            ClientConnection(
                id: FlowID(high: 9, low: seed), peer: Endpoint(host: "192.0.2.1", port: 5000),
                local: Endpoint(host: "192.0.2.2", port: 8080), opened: FlowBuilder.start, mode: "regular"))
        func builder(_ number: UInt64) -> FlowBuilder { FlowBuilder(id: FlowID(high: seed, low: number), client: client) }
        let body = ByteBuffer(string: #"{"password":"\#u{ab}redacted\#u{bb}"}"#)
        let decoded = FlowRedaction(
            changes: [FlowRedaction.Change(rule: "json:$..password", place: .requestBody)], decoded: [.client])
        let heads = FlowRedaction(changes: [FlowRedaction.Change(rule: "header:authorization", place: .request, count: 2)])
        let omission = FlowRedaction.Omission(rule: "json:$..password", place: .responseBody, reason: .unparsed)
        let changed = builder(1)
            .request(
                "POST /a HTTP/1.1\r\nHost: a\r\nAuthorization: \u{ab}redacted\u{bb}\r\nContent-Encoding: gzip\r\n\r\n",
                isWhole: false
            )
            .event(.redacted(decoded), at: 1)
            .event(.piece(FlowPiece(from: .client, content: body, wireSize: 33)), at: 1).event(.finished(.client), at: 2)
            .response("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", isWhole: false, at: 3)
            .event(.piece(FlowPiece(from: .server, content: ByteBuffer(), wireSize: 5000)), at: 4).event(.finished(.server), at: 5)
            .event(.redacted(FlowRedaction(changes: heads.changes, omissions: [omission])), at: 6).ended(at: 6)
        let plain = builder(2).request("GET /b HTTP/1.1\r\nHost: b\r\n\r\n").response("HTTP/1.1 204 No Content\r\n\r\n").ended()
        // Its redaction is known, its end is not.
        let open = builder(3).request("GET /c HTTP/1.1\r\nHost: c\r\n\r\n").event(.redacted(heads))
        return changed.events + plain.events + open.events
    }

    static func archive(
        rules: [String], created: Int64, flushEvery: Int = .max, blockTarget: Int = 512 * 1024
    ) throws -> (bytes: ByteBuffer, flows: [String]) {
        var options = ArchiveOptions()
        (options.redactionRules, options.blockTarget) = (rules, blockTarget)
        let events = events(seed: UInt64(created))
        let bytes = try FlowArchiveTests.archive(events, created: created, options: options, flushEvery: flushEvery)
        return (bytes, try assemble(events).map(describe))
    }
}

@Suite("Redaction in a flow file")
struct RedactionTests {
    private func read(_ bytes: ByteBuffer, where predicate: some FlowPredicate = EveryFlow()) throws -> (
        rules: [String], flows: [Flow]
    ) {
        try withTemporaryDirectory { directory in
            try write(bytes, to: directory + "/a.mflow")
            let reader = try ArchiveReader(path: directory + "/a.mflow", where: predicate)
            var flows: [Flow] = []
            while let item = try reader.next() { if case .flow(let flow) = item { flows.append(flow) } }
            for item in try reader.finish() { if case .flow(let flow) = item { flows.append(flow) } }
            return (reader.redactionRules, flows)
        }
    }

    @Test("Facts of flows and rules of segments come back, however the file is divided", arguments: [1, 3, .max])
    func roundTrip(flushEvery: Int) throws {
        let rules = ["header:authorization", "json:$..password"]
        let made = try RedactedFlows.archive(rules: rules, created: 1, flushEvery: flushEvery)
        let found = try read(made.bytes)
        #expect(try found.flows.map(describe) == made.flows)
        #expect(found.rules == rules)
        let request = try #require(found.flows[0].request)
        #expect(request.size == 33 && request.storedSize == 27 && request.isComplete && request.storedCodings.isEmpty)
        let response = try #require(found.flows[0].response)
        #expect(response.size == 5000 && response.storedSize == 0 && !response.isComplete)
        #expect(found.flows.map { $0.redaction != nil } == [true, false, true])
        #expect(found.flows.map(\.tags) == [["redacted"], [], []])
    }

    @Test("A record in its block answers as the flow that is made of it")
    func inPlace() throws {
        struct Wanted: FlowPredicate {
            func matches(_ flow: some FlowAttributes) throws -> Bool {
                guard let redaction = flow.redaction, redaction.rules.contains("json:$..password") else { return false }
                return try flow.contentSize(from: .client) == 33 && flow.contentSize(from: .server) == 5000
                    && flow.storedCodings(from: .client).isEmpty
            }
        }
        let made = try RedactedFlows.archive(rules: [], created: 1)
        let found = try read(made.bytes, where: Wanted())
        #expect(found.flows.map(\.id.low) == [1])
        #expect(found.rules.isEmpty)
    }

    @Test("A segment without flows names its rules, and a block that has rules is read for a query that no flow of it can match")
    func rulesAlone() throws {
        struct Nothing: FlowPredicate {
            func matches(_ flow: some FlowAttributes) -> Bool { false }
            func mayMatch(_ block: some BlockSummary) -> Bool { false }
        }
        var options = ArchiveOptions()
        options.redactionRules = ["cookie:*", "cookie:*", "pattern:\u{e9}"]
        let empty = try archive([], options: options)
        let made = try RedactedFlows.archive(rules: ["secrets"], created: 2, flushEvery: 1)
        #expect(try read(empty.followed(by: made.bytes), where: Nothing()).rules == ["cookie:*", "pattern:\u{e9}", "secrets"])
    }

    @Test("A copy names the rules of the files that it was copied from, each once")
    func copy() throws {
        let first = try RedactedFlows.archive(rules: ["cookie:*", "secrets"], created: 1)
        let second = try RedactedFlows.archive(rules: ["secrets", "body"], created: 2)
        try withTemporaryDirectory { directory in
            try write(first.bytes.followed(by: second.bytes), to: directory + "/a.mflow")
            let reader = ArchiveReader(try ArchiveInput(path: directory + "/a.mflow"), delivery: .stored)
            let storage = ScriptedStorage()
            let writer = try ArchiveWriter(storage: storage, now: Timestamp(nanoseconds: 3))
            var stored = 0
            func take(_ item: ArchiveItem) throws {
                writer.addRedactionRules(reader.redactionRules)
                if case .stored(let flow) = item {
                    stored += 1
                    try writer.append(flow)
                }
                if case .flow(let flow) = item { try flow.forEachEvent { try writer.append($0) } }
            }
            while let item = try reader.next() { try take(item) }
            try reader.finish().forEach(take)
            try writer.close()
            let found = try read(storage.bytes)
            #expect(found.rules == ["cookie:*", "secrets", "body"])
            // Facts of a copied flow that was put together from events are one item, at its beginning.
            #expect(try Set(found.flows.map(describe)) == Set(first.flows + second.flows))
            #expect(stored == 4)
        }
    }

    @Test("Cut anywhere, every flow that comes back has its facts, and no content without its mark")
    func cut() throws {
        let events = RedactedFlows.events(seed: 1).filter { $0.flow.low == 1 }
        let bytes = try archive(events, flushEvery: 5)
        try withTemporaryDirectory { directory in
            for length in stride(from: 32, to: bytes.readableBytes, by: 3) {
                try write(bytes.getSlice(at: 0, length: length)!, to: directory + "/a.mflow")
                let reader = try ArchiveReader(path: directory + "/a.mflow")
                while try reader.next() != nil {}
                for case .flow(let flow) in try reader.finish() {
                    let request = try #require(flow.request)
                    if request.storedSize > 0, !request.isStoredDecoded {
                        Issue.record("cut at \(length): content without its mark")
                    }
                }
            }
        }
    }

    @Test("The structure of a file shows the rules")
    func structure() throws {
        let made = try RedactedFlows.archive(rules: ["cookie:*", "secrets=hash"], created: 1)
        try withTemporaryDirectory { directory in
            try write(made.bytes, to: directory + "/a.mflow")
            for verifies in [false, true] {
                var structure = try ArchiveStructure(path: directory + "/a.mflow", verifies: verifies)
                var lines: [ArchiveStructureLine] = []
                while let line = try structure.next() { lines.append(line) }
                #expect(lines.compactMap(\.redactionRules) == [["cookie:*", "secrets=hash"]])
                #expect(lines[1].text.contains("redacted by cookie:* secrets=hash"))
                #expect(structure.damage.isEmpty)
            }
        }
    }

    private func parsed(_ bytes: ByteBuffer) -> FlowRedaction? {
        var reader = RecordReader(bytes)
        return try? RecordItem.redaction(&reader)
    }

    @Test("Facts of a later version are passed over; those that are cut short are damage")
    func damaged() throws {
        // A place and a reason that this version does not know.
        let later = ByteBuffer(bytes: [0x83, 2, 77, 1, 1, 0x61, 1, 2, 1, 0x62, 1, 4, 99, 1, 1, 0x63])
        let found = parsed(later)
        #expect(
            found
                == FlowRedaction(
                    changes: [FlowRedaction.Change(rule: "b", place: .request, count: 2)], decoded: [.client, .server]))
        for length in 0..<16 {
            #expect(parsed(later.getSlice(at: 0, length: length)!) == nil)
        }
    }
}
