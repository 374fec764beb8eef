// A client that sends what costs it little and the recorder much: the connection ends, memory stays flat, and another client is served
// all the while.

import Foundation
import Synchronization
import TestSupport
import Testing

struct HTTP2Flood: CustomTestStringConvertible, Sendable {
    /// RFC 9113 §10.5.
    static let ends: Set<HTTP2Verdict> = .connection(.enhanceYourCalm)

    var name: String
    var settings: KeyValuePairs<UInt16, UInt32> = [:]
    /// What comes before.
    var start: [HTTP2Frame] = []
    var rounds: Int
    /// What is sent in each round.
    var round: @Sendable (Int) -> [UInt8]
    var allowed = ends
    var testDescription: String { name }

    private static func repeated(_ frame: HTTP2Frame, _ count: Int) -> @Sendable (Int) -> [UInt8] {
        let bytes = (0..<count).flatMap { _ in frame.bytes }
        return { _ in bytes }
    }

    static let all: [HTTP2Flood] = [
        HTTP2Flood(name: "Ten thousand streams opened and reset", rounds: 100) { round in
            (0..<100).flatMap { number in
                let stream = UInt32(round * 100 + number) * 2 + 1
                return HTTP2Frame.get(stream, "/never").bytes + HTTP2Frame.reset(stream).bytes
            }
        },
        HTTP2Flood(name: "Ten thousand streams opened and made to be reset", rounds: 100) { round in
            (0..<100).flatMap { number in
                let stream = UInt32(round * 100 + number) * 2 + 1
                return HTTP2Frame.post(stream, "/never", ["content-length": "6"]).bytes
                    + HTTP2Frame.data(stream, [1], end: true).bytes
            }
        },
        HTTP2Flood(
            name: "SETTINGS", rounds: 200,
            round: repeated(.settings([HTTP2Setting.initialWindowSize: 65535]), 1000)),
        HTTP2Flood(name: "Empty SETTINGS", rounds: 200, round: repeated(.settings(), 1000)),
        HTTP2Flood(name: "PING", rounds: 200, round: repeated(.ping(), 1000)),
        HTTP2Flood(name: "Empty DATA", start: [.post(1)], rounds: 200, round: repeated(.data(1), 1000)),
        HTTP2Flood(
            name: "DATA of padding only", start: [.post(1)], rounds: 200, round: repeated(.data(1, padding: 0), 1000),
            // The padding length takes one octet of the window each, so that the window may end it first.
            allowed: ends | .either(.flowControlError) | .ignored),
        HTTP2Flood(
            name: "Endless CONTINUATION", start: [.headers(1, block: HPACK.request(), endHeaders: false)], rounds: 4096,
            round: repeated(.continuation(1, block: HPACK.block(["x": String(repeating: "x", count: 16000)]), endHeaders: false), 1)
        ),
        HTTP2Flood(
            name: "Endless CONTINUATION of one octet", start: [.headers(1, block: HPACK.request(), endHeaders: false)], rounds: 200,
            round: repeated(.continuation(1, block: [0x82], endHeaders: false), 1000)),
        HTTP2Flood(
            name: "Endless empty CONTINUATION", start: [.headers(1, block: HPACK.request(), endHeaders: false)], rounds: 200,
            round: repeated(.continuation(1, block: [], endHeaders: false), 1000)),
        HTTP2Flood(
            name: "A table entry of 4 KB that is named thousands of times", rounds: 16,
            round: { round in
                let first = HPACK.literal(Array("x".utf8), [UInt8](repeating: 0x78, count: 4000), indexing: .incremental)
                return HTTP2Frame.headers(
                    UInt32(round * 2 + 1), block: HPACK.request() + first + [UInt8](repeating: 0xBE, count: 12000)
                ).bytes
            },
            // A choice: the stream may fail before the connection does.
            allowed: ends | .connection(.compressionError) | [.answered(431), .answered(400)]
                | .stream(.enhanceYourCalm, .protocolError, .internalError, .refusedStream, .cancel)),
        // Each costs as little to take as to send; a choice of the recorder whether to end it.
        HTTP2Flood(
            name: "WINDOW_UPDATE", start: [.post(1)], rounds: 200, round: repeated(.windowUpdate(1, 1), 1000),
            allowed: ends | .ignored),
        HTTP2Flood(
            name: "PRIORITY", rounds: 200,
            round: { round in
                (0..<1000).flatMap { HTTP2Frame.priority(UInt32((round * 1000 + $0) * 2 + 1), dependency: 0).bytes }
            }, allowed: ends | .ignored),
        HTTP2Flood(name: "Unknown frames", rounds: 200, round: repeated(HTTP2Frame(type: 0x77), 1000), allowed: ends | .ignored),
        HTTP2Flood(
            name: "Windows of one octet", settings: [HTTP2Setting.initialWindowSize: 1],
            start: (0..<50).map { .get(UInt32($0 * 2 + 1), "/size/1000") }, rounds: 200,
            round: { _ in (0..<50).flatMap { HTTP2Frame.windowUpdate(UInt32($0 * 2 + 1), 1).bytes } }, allowed: ends | .ignored),
    ]
}

@Suite("HTTP/2 floods")
struct HTTP2FloodTests {
    private static let largestMemory = 150 << 20

    @Test("A flood ends with the right code, and is recorded; others are served", arguments: HTTP2Flood.all)
    func flood(_ flood: HTTP2Flood) throws {
        let origin = try HTTP2Origin()
        try withTemporaryDirectory { directory in
            let recorder = try Recorder(["--mode", "reverse:h2c://127.0.0.1:\(origin.port)"], in: directory)
            recorder.program.collectErrors()
            let end = try ask(recorder, during: flood)
            #expect(flood.allowed.contains(end), "\(end)")
            #expect(recorder.program.peakMemory < Self.largestMemory)
            #expect(recorder.stop() == 0)
            guard case .connectionError(let code) = end else { return }
            let isTold = try recorder.flows().contains { $0["error.message"]?.contains("(\(code))") == true }
            #expect(isTold)
        }
    }

    /// Sends the flood on one connection, and requests on another until it is over.
    private func ask(_ recorder: Recorder, during flood: HTTP2Flood) throws -> HTTP2Verdict {
        let verdicts = Awaited<HTTP2Verdict>()
        let port = recorder.port
        Thread {
            if let verdict = try? Self.send(flood, to: port) { verdicts.put(verdict) }
        }.start()
        let other = try HTTP2Endpoint.client(port: port)
        var stream: UInt32 = 1
        var verdict: HTTP2Verdict?
        repeat {
            other.send(.get(stream))
            let over = other.wait(.seconds(5)) { other.streams[stream]?.isOver == true }
            #expect(over, "another client waits")
            #expect(other.streams[stream]?.status == 200)
            stream += 2
            verdict = verdicts.take(.zero)
        } while verdict == nil && stream < 100_000 && !other.isClosed
        return try #require(verdict)
    }

    /// Sends all of it, reading what comes meanwhile, or as much of it as is taken.
    private static func send(_ flood: HTTP2Flood, to port: Int) throws -> HTTP2Verdict {
        let attacker = try HTTP2Endpoint.client(port: port, settings: flood.settings)
        attacker.acknowledges = false
        attacker.returnsWindows = false
        attacker.send(flood.start)
        for round in 0..<flood.rounds where !attacker.isClosed && attacker.goAway == nil {
            attacker.connection.send(bytes: flood.round(round))
            while !attacker.isClosed, attacker.read(before: .now) {}
        }
        // What was sent may not have been read yet.
        if flood.allowed == HTTP2Flood.ends { attacker.wait(.seconds(10)) { attacker.goAway != nil } }
        attacker.returnsWindows = true
        return attacker.verdict(on: 1, mayIgnore: flood.allowed.contains(.ignored))
    }
}
