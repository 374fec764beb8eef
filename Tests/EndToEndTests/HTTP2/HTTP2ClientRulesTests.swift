// The recorder as an HTTP/2 client: a server that violates a rule gets an error of the right scope, the client gets an answer or an
// end within a second, and what is merely odd passes.

import TestSupport
import Testing

@Suite("HTTP/2 to the server")
struct HTTP2ClientRulesTests {
    @Test("Beginnings", arguments: HTTP2ClientRule.openings)
    func openings(_ rule: HTTP2ClientRule) throws { try check(rule) }

    @Test("Connection errors", arguments: HTTP2ClientRule.connectionFrames)
    func connections(_ rule: HTTP2ClientRule) throws { try check(rule) }

    @Test("Malformed responses", arguments: HTTP2ClientRule.malformedResponses)
    func malformed(_ rule: HTTP2ClientRule) throws { try check(rule) }

    @Test("Ends", arguments: HTTP2ClientRule.ends)
    func ends(_ rule: HTTP2ClientRule) throws { try check(rule) }

    @Test("Odd responses pass", arguments: HTTP2ClientRule.oddResponses)
    func odd(_ rule: HTTP2ClientRule) throws { try check(rule) }

    /// One recorder for all of them, since starting it with TLS costs more than the rules do.
    @Test(
        "Over TLS it is the same",
        arguments: [
            HTTP2ClientRule.openings, HTTP2ClientRule.connectionFrames, HTTP2ClientRule.malformedResponses, HTTP2ClientRule.ends,
            HTTP2ClientRule.oddResponses,
        ])
    func overTLS(_ rules: [HTTP2ClientRule]) throws {
        let origin = try RuledOrigin(rules[0])
        try withBridgedRecorder(origin: origin.port) { port, _ in
            for rule in rules {
                origin.follow(rule)
                try judge(rule, origin, port: port)
            }
        }
    }

    private func check(_ rule: HTTP2ClientRule) throws {
        let origin = try RuledOrigin(rule)
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in try judge(rule, origin, port: recorder.port) }
    }

    private func judge(_ rule: HTTP2ClientRule, _ origin: RuledOrigin, port: Int) throws {
        let client = try HTTP2Endpoint.client(port: port)
        client.send(rule.request)
        let answer = client.answer(on: 1)
        #expect(rule.toClient.contains(answer), "\(rule.name): \(answer)")
        if rule.answer != nil, rule.toServer.contains(.ignored) || rule.opening == HTTP2Frame.settings().bytes {
            // On the same connection upstream, or on a new one after an error of the connection.
            let next = client.get(on: 3)
            #expect(next == 200, "\(rule.name): the client continues")
        }
        if !rule.toServer.isEmpty {
            let verdict = try #require(origin.verdict(of: rule), "\(rule.name)")
            #expect(rule.toServer.contains(verdict), "\(rule.name): \(verdict)")
        }
        #expect(client.faults == [], "\(rule.name)")
    }

    @Test("A reason phrase in a pseudo-field is recorded, and is not told to the client", arguments: [true, false])
    func recordedReason(isHTTP2: Bool) throws {
        let origin = try HTTP2Origin { endpoint, stream in
            endpoint.send(.headers(stream, [":status": "200", ":reason": "Fine", "y": "1"]))
        }
        try withTemporaryDirectory { directory in
            let recorder = try Recorder(["--mode", "reverse:h2c://127.0.0.1:\(origin.port)"], in: directory)
            recorder.program.collectErrors()
            if isHTTP2 {
                let client = try HTTP2Endpoint.client(port: recorder.port)
                client.send(.get(1))
                let answer = client.answer(on: 1)
                #expect(answer == .whole("200 y: 1"))
            } else {
                let client = try RawConnection(port: recorder.port)
                client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                let answer = client.readToEnd()
                #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(!answer.contains("eason"))
            }
            #expect(recorder.stop() == 0)
            let text = try run("mitm-dump", ["--detail", "2", "capture.mflow"], in: directory).output
            #expect(text.contains("\n    :status: 200\n    :reason: Fine\n    y: 1\n"))
        }
    }

    @Test("DATA beyond the window are a flow-control error")
    func windowExceeded() throws {
        let verdicts = Awaited<HTTP2Verdict>()
        let origin = try HTTP2Origin { endpoint, stream in
            endpoint.wait { endpoint.settings != nil }
            let window = Int(endpoint.settings?[HTTP2Setting.initialWindowSize] ?? 65535)
            let connection = 65535 + Int(endpoint.streams[0]?.windowUpdates.reduce(0, +) ?? 0)
            endpoint.send(.headers(stream, [":status": "200"], end: false))
            var left = min(window, connection) + 1 << 20
            while left > 0, !endpoint.isClosed, endpoint.goAway == nil, endpoint.streams[stream]?.reset == nil {
                // Nothing is read between two of these, so that no window can be given back in between.
                endpoint.connection.send(
                    bytes: (0..<64).flatMap { _ in HTTP2Frame.data(stream, [UInt8](repeating: 0, count: 16384)).bytes })
                left -= 64 * 16384
            }
            verdicts.put(endpoint.verdictOfClient(on: stream))
        }
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in
            // The client takes nothing, so that the recorder cannot give windows back.
            let client = try HTTP2Endpoint.client(port: recorder.port, settings: [HTTP2Setting.initialWindowSize: 0])
            client.send(.get(1))
            let verdict = try #require(verdicts.take(.seconds(5)))
            #expect(Set<HTTP2Verdict>.either(.flowControlError).contains(verdict), "\(verdict)")
        }
    }

    @Test("A server's limit of streams is kept to; requests beyond it wait")
    func concurrency() throws {
        let most = Awaited<Int>()
        let origin = try HTTP2Origin(settings: [HTTP2Setting.maximumConcurrentStreams: 2]) { endpoint, stream in
            if endpoint.streams[stream]?.path == "/first" { return HTTP2Origin.ok(endpoint, stream) }
            // Answers come two by two, when the limit is reached.
            let all = endpoint.opened.filter { endpoint.streams[$0]?.path == "/" }
            guard let position = all.firstIndex(of: stream), position % 2 == 1 else { return }
            most.put(position + 1)
            for stream in all[position - 1...position] {
                endpoint.send(.headers(stream, [":status": "200"], end: false), .data(stream, "ok", end: true))
            }
        }
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in
            let client = try HTTP2Endpoint.client(port: recorder.port)
            // The limit is known once there has been an answer.
            let first = client.get("/first", on: 1)
            #expect(first == 200)
            let streams = (1...10).map { UInt32($0 * 2 + 1) }
            client.send(streams.map { .get($0) })
            let all = client.wait(.seconds(5)) { streams.allSatisfy { client.streams[$0]?.ended == true } }
            #expect(all)
            #expect((0..<5).map { _ in most.take(.seconds(1)) } == [2, 4, 6, 8, 10])
        }
    }

    @Test("A server that takes one stream at a time gets one at a time, from its first request on")
    func singleStream() throws {
        let origin = try HTTP2Origin(
            settings: [HTTP2Setting.maximumConcurrentStreams: 1],
            atHead: { endpoint, stream in
                let open = endpoint.opened.filter { endpoint.streams[$0]?.isOver == false || $0 == stream }
                if open.count > 1 { endpoint.send(.reset(stream, .refusedStream)) }
            })
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in
            let client = try HTTP2Endpoint.client(port: recorder.port)
            let streams = (0..<50).map { UInt32($0 * 2 + 1) }
            client.send(streams.map { .get($0) })
            client.wait(.seconds(10)) { streams.allSatisfy { client.streams[$0]?.isOver == true } }
            #expect(streams.map { client.streams[$0]?.status } == [Int?](repeating: 200, count: 50))
            #expect(origin.connections == 1)
        }
    }

    @Test("A closed window of one stream holds up no other")
    func noHeadOfLineBlocking() throws {
        let origin = try HTTP2Origin()
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in
            let client = try HTTP2Endpoint.client(port: recorder.port, settings: [HTTP2Setting.initialWindowSize: 100])
            client.returnsWindows = false
            client.send(.get(1, "/size/30000"))
            let hundred = client.wait { client.streams[1]?.body.size == 100 }
            #expect(hundred)
            for stream: UInt32 in [3, 5, 7] {
                let status = client.get(on: stream)
                #expect(status == 200)
            }
        }
    }
}
