// A server that sends without end: it gets the right error code, the client gets an error or an end, memory stays flat, others are served
// all the while, and the recording says why.

import Foundation
import TestSupport
import Testing

struct HTTP2ServerFlood: CustomTestStringConvertible, Sendable {
    var name: String
    var rounds = 200
    /// What comes before, on the stream of the request.
    var start: @Sendable (UInt32) -> [HTTP2Frame] = { _ in [] }
    var round: @Sendable (UInt32) -> [HTTP2Frame]
    /// What the server receives.
    var verdict = HTTP2Verdict.connectionError(.enhanceYourCalm)
    /// What the client gets.
    var toClient = HTTP2ClientRule.Answer.badGateway
    var testDescription: String { name }

    private static func repeated(_ frame: HTTP2Frame) -> @Sendable (UInt32) -> [HTTP2Frame] {
        { stream in [HTTP2Frame](repeating: frame.stream == 0 ? frame : frame.with(stream: stream), count: 1000) }
    }

    private static let whole: @Sendable (UInt32) -> [HTTP2Frame] = { [.headers($0, [":status": "200"])] }

    static let all: [HTTP2ServerFlood] = [
        HTTP2ServerFlood(name: "PING", round: repeated(.ping())),
        HTTP2ServerFlood(name: "Acknowledgements of PING", round: repeated(.ping(acknowledges: true))),
        HTTP2ServerFlood(name: "SETTINGS", round: repeated(.settings([HTTP2Setting.initialWindowSize: 65535]))),
        HTTP2ServerFlood(name: "Empty SETTINGS", round: repeated(.settings())),
        HTTP2ServerFlood(
            name: "RST_STREAM", round: repeated(.reset(1)), toClient: .reset(.cancel)),
        HTTP2ServerFlood(name: "GOAWAY", round: repeated(.goAway(last: 1))),
        HTTP2ServerFlood(
            name: "Field sections behind the response", start: whole, round: repeated(.headers(1, ["x": "1"])),
            toClient: .whole("200")),
        HTTP2ServerFlood(
            name: "WINDOW_UPDATE behind the response", start: whole, round: repeated(.windowUpdate(1, 1)), toClient: .whole("200")),
        HTTP2ServerFlood(name: "PRIORITY", round: repeated(.priority(1))),
        HTTP2ServerFlood(name: "Unknown frames", round: repeated(HTTP2Frame(type: 0x77))),
        HTTP2ServerFlood(
            name: "Interim responses", rounds: 20, round: repeated(.headers(1, [":status": "103", "x": "y"], end: false)),
            verdict: .streamError(.enhanceYourCalm)),
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
        HTTP2ServerFlood(
            name: "Empty DATA", start: { [.headers($0, [":status": "200"], end: false)] }, round: repeated(.data(1)), toClient: .cut
        ),
        HTTP2ServerFlood(
            name: "Streams that are not promised",
            round: { _ in
                (1...1000).map { .headers(UInt32($0 * 2), [":status": "200"]) }
            }, verdict: .connectionError(.protocolError)),
    ]
}

@Suite("HTTP/2 floods of a server")
struct HTTP2ServerFloodTests {
    private static let largestMemory = 150 << 20

    @Test("A flood ends with the right code, and is recorded; others are served", arguments: HTTP2ServerFlood.all)
    func flood(_ flood: HTTP2ServerFlood) throws {
        let verdicts = Awaited<HTTP2Verdict>()
        let origin = try HTTP2Origin { endpoint, stream in
            guard endpoint.streams[stream]?.path == "/flood" else { return HTTP2Origin.ok(endpoint, stream) }
            endpoint.acknowledges = false
            endpoint.send(flood.start(stream))
            let bytes = flood.round(stream).flatMap(\.bytes)
            for _ in 0..<flood.rounds where !endpoint.isClosed && endpoint.goAway == nil && endpoint.streams[stream]?.reset == nil {
                endpoint.connection.send(bytes: bytes)
                while !endpoint.isClosed, endpoint.read(before: .now) {}
            }
            // Each flood has a verdict, so the limit passes only when the recorder fails, however loaded the machine is.
            verdicts.put(endpoint.verdictOfClient(on: stream, asked: false, within: .seconds(30)))
        }
        try withTemporaryDirectory { directory in
            let recorder = try Recorder(["--mode", "reverse:h2c://127.0.0.1:\(origin.port)"], in: directory)
            recorder.program.collectErrors()
            let client = try HTTP2Endpoint.client(port: recorder.port)
            client.send(.get(1, "/flood"))
            let other = try HTTP2Endpoint.client(port: recorder.port)
            let status = other.get(on: 1)
            #expect(status == 200)
            client.wait(.seconds(30)) { client.streams[1]?.isOver == true }
            let answer = client.answer(on: 1)
            let isCut = flood.toClient == .cut && Set<HTTP2ClientRule.Answer>.cut.contains(answer)
            #expect(isCut || answer == flood.toClient)
            let verdict = verdicts.take(.seconds(60))
            #expect(verdict == flood.verdict)
            // The client's connection is not affected.
            let next = client.get(on: 3)
            #expect(next == 200)
            #expect(recorder.program.peakMemory < Self.largestMemory)
            #expect(recorder.stop() == 0)
            guard flood.toClient == .badGateway || flood.toClient == .cut else { return }
            let code = flood.verdict == .connectionError(.protocolError) ? "PROTOCOL_ERROR" : "ENHANCE_YOUR_CALM"
            let told = try recorder.flows().compactMap { $0["error.message"] }
            #expect(told.count == 1 && told[0].contains("(\(code))"), "\(told)")
        }
    }
}
