// Windows, settings and the number of streams, as the recorder keeps to them and makes its clients keep to them (RFC 9113 §5 and §6).

import Synchronization
import TestSupport
import Testing

@Suite("HTTP/2 windows and settings to the client")
struct HTTP2FlowTests {
    private func withClient(
        settings: KeyValuePairs<UInt16, UInt32> = [:], origin answer: @escaping HTTP2Origin.Answer = HTTP2Origin.ok,
        _ body: (HTTP2Endpoint) throws -> Void
    ) throws {
        let origin = try HTTP2Origin(atEnd: answer)
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in
            let client = try HTTP2Endpoint.client(port: recorder.port, settings: settings)
            try body(client)
            #expect(client.faults == [])
        }
    }

    @Test("SETTINGS come first, each is acknowledged once, and PING comes back as it was")
    func acknowledgements() throws {
        try withClient { client in
            client.send(.settings([HTTP2Setting.headerTableSize: 0]), .settings([0xABCD: 1]), .ping([8, 7, 6, 5, 4, 3, 2, 1]))
            let done = client.wait { client.settingsAcknowledgements == 3 && client.pongs.count == 1 }
            #expect(done)
            #expect(client.pongs == [[8, 7, 6, 5, 4, 3, 2, 1]])
            #expect(client.settings?[HTTP2Setting.enablePush] ?? 0 == 0)
            let status = client.get(on: 1)
            #expect(status == 200)
            #expect(client.settingsAcknowledgements == 3)
        }
    }

    @Test("What each side says in SETTINGS is recorded, later settings and unknown ones as well")
    func recordedSettings() throws {
        let origin = try HTTP2Origin(settings: [HTTP2Setting.maximumConcurrentStreams: 50, 0xBEEF: 7])
        try withTemporaryDirectory { directory in
            let recorder = try Recorder(["--mode", "reverse:h2c://127.0.0.1:\(origin.port)"], in: directory)
            recorder.program.collectErrors()
            let client = try HTTP2Endpoint.client(port: recorder.port, settings: [HTTP2Setting.headerTableSize: 0, 0xABCD: 1])
            let first = client.get(on: 1)
            client.send(.settings([HTTP2Setting.initialWindowSize: 70000]))
            let second = client.get(on: 3)
            #expect([first, second] == [200, 200])
            #expect(recorder.stop() == 0)
            let flows = try recorder.flows()
            let said = flows.map { flow in
                ["client", "server"].map { side in
                    (0..<flow.count("\(side).settings")).map { index in
                        let path = "\(side).settings.\(index)"
                        return "\(flow[path + ".name"] ?? flow[path + ".id"] ?? "") \(flow[path + ".value"] ?? "")"
                    }
                }
            }
            let server = ["MAX_CONCURRENT_STREAMS 50", "48879 7"]
            #expect(
                said == [
                    [["HEADER_TABLE_SIZE 0", "43981 1"], server],
                    [["HEADER_TABLE_SIZE 0", "43981 1", "INITIAL_WINDOW_SIZE 70000"], server],
                ])
            let text = try run("mitm-dump", ["--detail", "3", "capture.mflow"], in: directory).output
            #expect(text.contains("\n        SETTINGS HEADER_TABLE_SIZE=0 0xabcd=1\n"))
            #expect(text.contains("\n        SETTINGS MAX_CONCURRENT_STREAMS=50 0xbeef=7\n"))
        }
    }

    @Test("PING of either side asks the other side as well, so that it keeps the whole way alive")
    func keepAlive() throws {
        let answer: HTTP2Origin.Answer = { endpoint, stream in
            if endpoint.streams[stream]?.path == "/ping" { endpoint.send(.ping()) }
            endpoint.send(.headers(stream, [":status": "200", "x-pings": "\(endpoint.pings)"]))
        }
        try withClient(origin: answer) { client in
            let first = client.get(on: 1)
            #expect(first == 200)
            #expect(client.streams[1]?["x-pings"] == "0")
            client.send(.ping())
            let answered = client.wait { client.pongs.count == 1 }
            #expect(answered)
            let second = client.get(on: 3)
            #expect(second == 200)
            #expect(client.streams[3]?["x-pings"] == "1")
            #expect(client.pings == 0)
            client.send(.get(5, "/ping"))
            let asked = client.wait { client.pings == 1 }
            #expect(asked)
        }
    }

    @Test("A response keeps to a window of one octet, and continues with each update")
    func narrowWindow() throws {
        try withClient(settings: [HTTP2Setting.initialWindowSize: 1]) { client in
            client.returnsWindows = false
            client.send(.get(1, "/size/5"))
            for expected in 1...5 {
                let came = client.wait { client.streams[1]?.body.size == expected }
                #expect(came)
                client.send(.windowUpdate(1, 1))
            }
            let ended = client.wait { client.streams[1]?.ended == true }
            #expect(ended)
            #expect(client.streams[1]?.pieces.filter { $0 > 0 } == [1, 1, 1, 1, 1])
        }
    }

    @Test("Of several values of a setting in one frame the last counts")
    func severalValues() throws {
        try withClient(settings: [HTTP2Setting.initialWindowSize: 100, HTTP2Setting.initialWindowSize: 1]) { client in
            client.returnsWindows = false
            client.send(.get(1, "/size/5"))
            let came = client.wait { client.streams[1]?.body.size == 1 }
            #expect(came)
            client.send(.windowUpdate(1, 4))
            let ended = client.wait { client.streams[1]?.ended == true }
            #expect(ended)
            #expect(client.streams[1]?.pieces.first == 1)
        }
    }

    @Test("A window of none holds the content back, not the head, and no other stream")
    func closedWindow() throws {
        try withClient(settings: [HTTP2Setting.initialWindowSize: 0]) { client in
            client.returnsWindows = false
            client.send(.get(1, "/size/100"), .get(3, "/size/100"))
            let heads = client.wait { client.streams[1]?.status == 200 && client.streams[3]?.status == 200 }
            #expect(heads)
            client.send(.windowUpdate(3, 100))
            let other = client.wait { client.streams[3]?.ended == true }
            #expect(other)
            #expect(client.streams[1]?.body.size == 0)
            client.send(.windowUpdate(1, 100))
            let first = client.wait { client.streams[1]?.ended == true }
            #expect(first)
        }
    }

    @Test("SETTINGS in the middle of a response change its window, below zero too")
    func windowBelowZero() throws {
        try withClient(settings: [HTTP2Setting.initialWindowSize: 10]) { client in
            client.returnsWindows = false
            client.send(.get(1, "/size/20"))
            let ten = client.wait { client.streams[1]?.body.size == 10 }
            #expect(ten)
            client.send(.settings([HTTP2Setting.initialWindowSize: 3]), .windowUpdate(1, 7), .ping())
            // The window is at 3 - 10 + 7 = 0: what is read behind PING's answer cannot be content.
            let answered = client.wait { client.pongs.count == 1 && client.settingsAcknowledgements == 2 }
            #expect(answered)
            #expect(client.streams[1]?.body.size == 10)
            client.send(.windowUpdate(1, 1))
            let one = client.wait { client.streams[1]?.body.size == 11 }
            #expect(one)
            client.send(.settings([HTTP2Setting.initialWindowSize: 1000]))
            let all = client.wait { client.streams[1]?.ended == true }
            #expect(all)
            #expect(client.streams[1]?.body.size == 20)
        }
    }

    @Test("The connection's window holds back all streams")
    func connectionWindow() throws {
        try withClient(settings: [HTTP2Setting.initialWindowSize: 1 << 20]) { client in
            client.returnsWindows = false
            client.send(.get(1, "/size/100000"))
            let full = client.wait { client.streams[1]?.body.size == 65535 }
            #expect(full)
            client.send(.get(3))
            let head = client.wait { client.streams[3]?.status == 200 }
            #expect(head)
            #expect(client.streams[3]?.body.size == 0)
            client.send(.windowUpdate(0, 100_000))
            let all = client.wait { client.streams[1]?.ended == true && client.streams[3]?.ended == true }
            #expect(all)
        }
    }

    @Test("DATA keep to the client's largest frame, which may be larger than usual")
    func frameSize() throws {
        try withClient(settings: [HTTP2Setting.maximumFrameSize: 16384, HTTP2Setting.initialWindowSize: 1 << 20]) { client in
            client.send(.windowUpdate(0, 1 << 20), .get(1, "/size/200000"))
            let all = client.wait { client.streams[1]?.ended == true }
            #expect(all)
            #expect(client.streams[1]?.body.size == 200_000)
            #expect(client.streams[1]?.pieces.max() ?? 0 <= 16384)
        }
    }

    @Test("A table of none in the client's settings is kept to")
    func tableSize() throws {
        let answer: HTTP2Origin.Answer = { endpoint, stream in
            endpoint.send(.headers(stream, [":status": "200", "x-repeated": "one and the same"]))
        }
        try withClient(settings: [HTTP2Setting.headerTableSize: 0], origin: answer) { client in
            for stream: UInt32 in [1, 3, 5] {
                let status = client.get(on: stream)
                #expect(status == 200)
                #expect(client.streams[stream]?["x-repeated"] == "one and the same")
            }
        }
    }

    @Test("More content than the window lets through is a flow-control error")
    func windowExceeded() throws {
        try withClient(origin: { _, _ in }) { client in
            let settled = client.wait { client.settings != nil && client.settingsAcknowledgements == 1 }
            #expect(settled)
            client.send(.post(1))
            // What the stream may take, and what the connection may; whichever is smaller is exceeded by far.
            let stream = Int(client.settings?[HTTP2Setting.initialWindowSize] ?? 65535)
            let connection = 65535 + Int(client.streams[0]?.windowUpdates.reduce(0, +) ?? 0)
            var left = min(stream, connection) + 64 * 16384
            guard left < 64 << 20 else { return }
            client.send(.post(3))
            while left > 0, !client.isClosed, client.streams[1]?.reset == nil, client.goAway == nil {
                // All of it is sent faster than windows are given back: nothing is read meanwhile.
                client.connection.send(
                    bytes: (0..<64).flatMap { _ in HTTP2Frame.data(1, [UInt8](repeating: 0, count: 16384)).bytes })
                left -= 64 * 16384
            }
            let verdict = client.verdict(on: 1)
            #expect(Set<HTTP2Verdict>.either(.flowControlError).contains(verdict), "\(verdict)")
        }
    }

    @Test("More streams than are allowed are refused; those within are answered")
    func concurrency() throws {
        try withClient { client in
            let settled = client.wait { client.settings != nil }
            #expect(settled)
            let allowed = try #require(client.settings?[HTTP2Setting.maximumConcurrentStreams])
            guard allowed <= 1000 else { return }
            let ids = (0..<allowed + 1).map { $0 * 2 + 1 }
            client.send(ids.map { .post($0) })
            let last = ids[ids.count - 1]
            let refused = client.wait(.seconds(5)) { client.streams[last]?.reset != nil || client.goAway != nil }
            #expect(refused)
            #expect(client.goAway == nil)
            #expect(client.streams[last]?.reset == .refusedStream)
            client.send(ids.dropLast().map { .data($0, "x", end: true) })
            let answered = client.wait(.seconds(5)) { ids.dropLast().allSatisfy { client.streams[$0]?.ended == true } }
            #expect(answered)
        }
    }

    @Test("Fields beyond the limit are refused, and the next request is answered")
    func largeSection() throws {
        try withClient { client in
            // One frame of which the table makes 320 KiB, which is above the limit of 256 KiB.
            let block = HPACK.request() + HPACK.block(["x-kept": String(repeating: "x", count: 4000)], indexing: .incremental)
            client.send(.headers(1, block: block + (0..<80).flatMap { _ in HPACK.indexed(62) }))
            let over = client.wait { client.streams[1]?.isOver == true || client.goAway != nil || client.isClosed }
            #expect(over)
            // A choice: 431 or a reset; an error of the connection would hit others.
            #expect(client.streams[1]?.reset != nil || [431, 400].contains(client.streams[1]?.status))
            let next = client.get(on: 3)
            #expect(next == 200)
        }
    }

    @Test("A thousand streams are open at the same time on one connection, and all are answered")
    func thousandStreams() throws {
        let origin = try HTTP2Origin(settings: [HTTP2Setting.maximumConcurrentStreams: 1000]) { endpoint, stream in
            let all = endpoint.opened
            guard all.count == 1000, stream == all.last else { return }
            endpoint.send(all.flatMap { [.headers($0, [":status": "200"], end: false), .data($0, "\($0)", end: true)] })
        }
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in
            let client = try HTTP2Endpoint.client(port: recorder.port)
            let streams = (0..<1000).map { UInt32($0 * 2 + 1) }
            client.send(streams.map { .get($0) })
            client.wait(.seconds(20)) { streams.allSatisfy { client.streams[$0]?.ended == true } }
            // They are forwarded in the order in which they came, so their numbers are the same on either side.
            #expect(streams.map { client.streams[$0]?.body.text } == streams.map { "\($0)" })
            #expect(origin.connections == 1)
        }
    }

    @Test("One slow stream among a hundred slows none of the others")
    func oneSlowStream() throws {
        try withClient { client in
            client.returnsWindows = false
            let streams = (0..<100).map { UInt32($0 * 2 + 1) }
            client.send(.windowUpdate(0, 1 << 30))
            client.send(streams.map { .get($0, $0 == 1 ? "/size/120000" : "/size/60000") })
            let others = client.wait(.seconds(20)) { streams.dropFirst().allSatisfy { client.streams[$0]?.ended == true } }
            #expect(others)
            #expect(client.streams[1]?.body.size == 65_535)
            client.send(.windowUpdate(1, 200_000))
            let slow = client.wait(.seconds(5)) { client.streams[1]?.ended == true }
            #expect(slow)
        }
    }

    @Test("GOAWAY in the middle of fifty streams: those beyond its last are asked for again on a new connection, the others finish")
    func goAwayInTheMiddle() throws {
        let seen = Mutex<Set<String>>([])
        let origin = try HTTP2Origin { endpoint, stream in
            let path = endpoint.streams[stream]?.path ?? ""
            let (isNew, count) = seen.withLock { ($0.insert(path).inserted, $0.count) }
            guard isNew else { return HTTP2Origin.ok(endpoint, stream) }
            guard count == 50 else { return }
            let all = endpoint.opened
            endpoint.send(.goAway(last: all[24]))
            for stream in all.prefix(25) { HTTP2Origin.ok(endpoint, stream) }
        }
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in
            let client = try HTTP2Endpoint.client(port: recorder.port)
            let streams = (0..<50).map { UInt32($0 * 2 + 1) }
            client.send(streams.map { .get($0, "/\($0)") })
            let all = client.wait(.seconds(5)) { streams.allSatisfy { client.streams[$0]?.ended == true } }
            #expect(all)
            #expect(streams.map { client.streams[$0]?.status } == [Int?](repeating: 200, count: 50))
            #expect(origin.connections == 2)
        }
    }
}
