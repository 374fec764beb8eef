// A server that sends without end: the client gets an error or an end, memory stays flat, and other requests are answered.

import Foundation
import TestSupport
import Testing

struct HTTP2ServerFlood: CustomTestStringConvertible, Sendable {
    var name: String
    var rounds = 200
    /// What comes before, on the stream of the request.
    var start: @Sendable (UInt32) -> [HTTP2Frame] = { _ in [] }
    var round: @Sendable (UInt32) -> [HTTP2Frame]
    /// Whether the recorder may take all of it; then the response behind it is to arrive.
    var mayPass = false
    var testDescription: String { name }

    private static func repeated(_ frame: HTTP2Frame) -> @Sendable (UInt32) -> [HTTP2Frame] {
        { stream in [HTTP2Frame](repeating: frame.stream == 0 ? frame : frame.with(stream: stream), count: 1000) }
    }

    static let all: [HTTP2ServerFlood] = [
        HTTP2ServerFlood(name: "PING", round: repeated(.ping())),
        HTTP2ServerFlood(name: "SETTINGS", round: repeated(.settings([HTTP2Setting.initialWindowSize: 65535]))),
        // Interim responses cost their client as much as their server; a choice of the recorder whether to end it.
        HTTP2ServerFlood(
            name: "Interim responses", rounds: 20, round: repeated(.headers(1, [":status": "103", "x": "y"], end: false)),
            mayPass: true),
        HTTP2ServerFlood(
            name: "Endless CONTINUATION", rounds: 4096, start: { [.headers($0, block: [0x88], endHeaders: false)] },
            round: { [.continuation($0, block: HPACK.block(["x": String(repeating: "x", count: 16000)]), endHeaders: false)] }),
        HTTP2ServerFlood(
            name: "Endless empty CONTINUATION", start: { [.headers($0, block: [0x88], endHeaders: false)] },
            round: repeated(.continuation(1, block: [], endHeaders: false))),
        HTTP2ServerFlood(
            name: "A table entry of 4 KB that is named thousands of times", rounds: 1,
            round: { stream in
                let first = HPACK.literal(Array("x".utf8), [UInt8](repeating: 0x78, count: 4000), indexing: .incremental)
                return [.headers(stream, block: [0x88] + first + [UInt8](repeating: 0xBE, count: 12000))]
            }),
        HTTP2ServerFlood(name: "Empty DATA", start: { [.headers($0, [":status": "200"], end: false)] }, round: repeated(.data(1))),
        HTTP2ServerFlood(name: "Unknown frames", round: repeated(HTTP2Frame(type: 0x77)), mayPass: true),
        HTTP2ServerFlood(
            name: "Streams that are not promised",
            round: { _ in
                (1...1000).map { .headers(UInt32($0 * 2), [":status": "200"]) }
            }),
    ]
}

@Suite("HTTP/2 floods of a server")
struct HTTP2ServerFloodTests {
    private static let largestMemory = 150 << 20

    @Test("A flood ends, and others are served", arguments: HTTP2ServerFlood.all)
    func flood(_ flood: HTTP2ServerFlood) throws {
        let origin = try HTTP2Origin { endpoint, stream in
            guard endpoint.streams[stream]?.path == "/flood" else { return HTTP2Origin.ok(endpoint, stream) }
            endpoint.acknowledges = false
            endpoint.send(flood.start(stream))
            let bytes = flood.round(stream).flatMap(\.bytes)
            for _ in 0..<flood.rounds where !endpoint.isClosed && endpoint.goAway == nil && endpoint.streams[stream]?.reset == nil {
                endpoint.connection.send(bytes: bytes)
                while !endpoint.isClosed, endpoint.read(before: .now) {}
            }
            if flood.mayPass { endpoint.send(.headers(stream, [":status": "200"])) }
        }
        try withRecorder("h2c://127.0.0.1:\(origin.port)") { recorder in
            let client = try HTTP2Endpoint.client(port: recorder.port)
            client.send(.get(1, "/flood"))
            let other = try HTTP2Endpoint.client(port: recorder.port)
            let status = other.get(on: 1)
            #expect(status == 200)
            client.wait(.seconds(10)) { client.streams[1]?.isOver == true }
            let stream = try #require(client.streams[1])
            #expect(stream.isOver)
            // 502 when nothing had come; a reset when the response had begun.
            let failed = stream.status == 502 || stream.reset != nil
            #expect(failed || flood.mayPass && stream.status == 200)
            let memory = recorder.program.peakMemory
            #expect(memory < Self.largestMemory)
        }
    }
}
