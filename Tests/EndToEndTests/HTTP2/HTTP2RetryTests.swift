// Requests that a server reports as unprocessed (RFC 9113 §8.7): they are sent again on a new connection, content and all, or refused.

import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("HTTP/2 requests that a server did not process")
struct HTTP2RetryTests {
    /// What came of a request on each of its ways.
    private struct Seen: Equatable {
        var connection: Int
        var method: String?
        var body: HTTP2Body
        var trailer: String?
    }

    /// A server whose first connection takes nothing, and says so when a request is whole.
    private final class Reluctant: Sendable {
        let seen = Mutex<[Seen]>([])
        let refusal: @Sendable (HTTP2Endpoint, UInt32) -> Void

        init(_ refusal: @escaping @Sendable (HTTP2Endpoint, UInt32) -> Void) { self.refusal = refusal }

        func origin() throws -> HTTP2Origin {
            let connections = Counter()
            return try HTTP2Origin { endpoint in
                connections.increment()
                let connection = connections.value
                endpoint.send(.settings())
                HTTP2Origin.serve(endpoint) { endpoint, stream in
                    let request = endpoint.streams[stream]
                    self.seen.withLock {
                        $0.append(
                            Seen(
                                connection: connection, method: request?[":method"], body: request?.body ?? HTTP2Body(),
                                trailer: request?["x-sum"]))
                    }
                    connection == 1 ? self.refusal(endpoint, stream) : HTTP2Origin.ok(endpoint, stream)
                }
            }
        }
    }

    private static let goAway: @Sendable (HTTP2Endpoint, UInt32) -> Void = { endpoint, _ in endpoint.send(.goAway(last: 0)) }

    @Test(
        "Beyond the last stream of a GOAWAY a POST is sent again whole, content and trailers",
        arguments: [0, 1, 65_535, 200_000, 262_144])
    func post(size: Int) throws {
        let server = Reluctant(Self.goAway)
        let origin = try server.origin()
        let content = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try withTemporaryDirectory { directory in
            let recorder = try Recorder(["--mode", "reverse:h2c://127.0.0.1:\(origin.port)"], in: directory)
            recorder.program.collectErrors()
            let client = try HTTP2Endpoint.client(port: recorder.port)
            client.send(.post(1))
            client.send(content, on: 1, end: false)
            client.send(.headers(1, ["x-sum": "9"]))
            let over = client.wait(.seconds(5)) { client.streams[1]?.isOver == true }
            #expect(over)
            #expect(client.streams[1]?.status == 200)
            let whole = { Seen(connection: $0, method: "POST", body: HTTP2Body(content), trailer: "9") }
            #expect(server.seen.withLock { $0 } == [whole(1), whole(2)])
            #expect(client.faults == [])
            #expect(recorder.stop() == 0)
            // Said twice and recorded once.
            let flows = try recorder.flows()
            #expect(flows.map { $0["request.body.size"] ?? "0" } == ["\(size)"])
            #expect(flows.map { $0["response.status"] } == ["200"])
        }
    }

    @Test("A request whose content is too much to keep is refused, and the client may say it again")
    func tooMuch() throws {
        let server = Reluctant(Self.goAway)
        let origin = try server.origin()
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in
            let client = try HTTP2Endpoint.client(port: recorder.port)
            client.send(.post(1))
            client.send([UInt8](repeating: 1, count: 262_145), on: 1)
            client.wait(.seconds(5)) { client.streams[1]?.isOver == true }
            #expect(client.streams[1]?.reset == .refusedStream)
            let next = client.get(on: 3)
            #expect(next == 200)
        }
    }

    @Test("A request that is not complete yet continues after the content that was sent again, and its window is opened once")
    func inTheMiddle() throws {
        let connections = Counter()
        let got = Mutex(HTTP2Body())
        let origin = try HTTP2Origin { endpoint in
            connections.increment()
            let isFirst = connections.value == 1
            endpoint.send(.settings())
            HTTP2Origin.serve(
                endpoint,
                atHead: { endpoint, stream in
                    if isFirst {
                        endpoint.wait { endpoint.streams[stream]?.body.size == 60_000 }
                        return endpoint.send(.goAway(last: 0))
                    }
                    // Tells the client that the request is on its way again.
                    endpoint.send(.headers(stream, [":status": "103"], end: false))
                },
                atEnd: { endpoint, stream in
                    got.withLock { $0 = endpoint.streams[stream]?.body ?? HTTP2Body() }
                    HTTP2Origin.ok(endpoint, stream)
                })
        }
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in
            let client = try HTTP2Endpoint.client(port: recorder.port)
            let content = (0..<160_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            client.send(.post(1))
            client.send(Array(content[..<60_000]), on: 1, end: false)
            let isAsked = client.wait { client.streams[1]?.status == 103 }
            #expect(isAsked)
            client.send(Array(content[60_000...]), on: 1)
            client.wait(.seconds(5)) { client.streams[1]?.isOver == true }
            #expect(client.streams[1]?.status == 200)
            #expect(got.withLock { $0 } == HTTP2Body(content))
            // The window for data that was sent twice is opened once.
            #expect(client.streams[1]?.windowUpdates.reduce(0, +) ?? 0 <= 160_000 + 65_535)
            #expect(connections.value == 2)
        }
    }

    @Test("For a client of HTTP/1 a POST is sent again as well, refused by GOAWAY or on its stream", arguments: [true, false])
    func fromHTTP1(isGoAway: Bool) throws {
        let server = Reluctant { endpoint, stream in
            if isGoAway { return endpoint.send(.goAway(last: 0)) }
            endpoint.send(.reset(stream, .refusedStream), .goAway(last: stream))
        }
        let origin = try server.origin()
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in
            let client = try RawConnection(port: recorder.port)
            client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 9\r\n\r\n")
            let answer = client.read(until: "ok")
            #expect(answer.hasPrefix("HTTP/1.1 200 "))
            let whole = { Seen(connection: $0, method: "POST", body: HTTP2Body(Array("hello".utf8)), trailer: "9") }
            #expect(server.seen.withLock { $0 } == [whole(1), whole(2)])
        }
    }

    @Test(
        "A server that goes away with an error is not asked again, and its code and text are in the error; without one it is, once",
        arguments: [(HTTP2Code.enhanceYourCalm, 1), (.noError, 2)], [true, false])
    func goesAwayAlways(reason: (code: HTTP2Code, connections: Int), isHTTP1: Bool) throws {
        let connections = Counter()
        let origin = try HTTP2Origin { endpoint in
            connections.increment()
            endpoint.send(.settings())
            HTTP2Origin.serve(endpoint) { endpoint, _ in
                endpoint.send(.goAway(last: 0, reason.code, debug: "too_many_pings"))
            }
        }
        try withTemporaryDirectory { directory in
            let recorder = try Recorder(["--mode", "reverse:h2c://127.0.0.1:\(origin.port)"], in: directory)
            recorder.program.collectErrors()
            if isHTTP1 {
                let answer = try run("curl", ["-sS", "-w", "%{http_code}", "http://127.0.0.1:\(recorder.port)/"]).output
                #expect(answer.hasSuffix("503"))
            } else {
                let client = try HTTP2Endpoint.client(port: recorder.port)
                client.send(.get(1))
                client.wait(.seconds(5)) { client.streams[1]?.isOver == true }
                #expect(client.streams[1]?.reset == .refusedStream)
            }
            #expect(recorder.stop() == 0)
            let flows = try recorder.flows()
            let name = reason.code == .noError ? "NO_ERROR" : "ENHANCE_YOUR_CALM"
            #expect(
                flows.map { $0["error.message"] } == [
                    "the server refused the stream unprocessed (GOAWAY with \(name), \"too_many_pings\")"
                ])
            #expect(connections.value == reason.connections)
        }
    }

    @Test("A request that a server took before it went away with an error fails with the server's code and text")
    func goesAwayInTheMiddle() throws {
        let origin = try HTTP2Origin { endpoint in
            endpoint.send(.settings())
            HTTP2Origin.serve(endpoint) { endpoint, stream in
                endpoint.send(.goAway(last: stream, .enhanceYourCalm, debug: "calm"))
                endpoint.connection.finish()
            }
        }
        try withTemporaryDirectory { directory in
            let recorder = try Recorder(["--mode", "reverse:h2c://127.0.0.1:\(origin.port)"], in: directory)
            let answer = try run("curl", ["-sS", "-w", "%{http_code}", "http://127.0.0.1:\(recorder.port)/"]).output
            #expect(answer.hasSuffix("502"))
            #expect(recorder.stop() == 0)
            #expect(
                try recorder.flows().map { $0["error.message"] } == [
                    "the server closed the connection after GOAWAY with ENHANCE_YOUR_CALM, \"calm\", before it answered"
                ])
        }
    }
}
