// The rhythm in which mitm-serve answers. Load makes a program late and never early. So these tests check that nothing comes before its time, and that
// pauses which no test could wait for are shortened or left out when --timing says so.

import Foundation
import TestSupport
import Testing

@Suite("The rhythm of mitm-serve")
struct ServeTimingTests {
    /// Clocks of two processes may differ by less than this, in milliseconds.
    private static let tolerance = 1.0

    /// Whether nothing came before its time.
    private func isNeverEarly(_ arrivals: [Double], _ times: [Double]) -> Bool {
        arrivals.count == times.count && zip(arrivals, times).allSatisfy { $0 >= $1 - Self.tolerance }
    }

    /// When a client sees each event of a stream, in milliseconds since its request.
    private func eventArrivals(_ replayer: Replayer, count: Int) throws -> [Double] {
        let client = try RawConnection(port: replayer.port)
        let start = ContinuousClock.now
        client.send("GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        var arrivals: [Double] = []
        var text = ""
        while arrivals.count < count, case .bytes(let bytes) = client.receive(before: start + .seconds(60)) {
            text += String(decoding: bytes, as: UTF8.self)
            let seen = text.components(separatedBy: "data: ").count - 1
            while arrivals.count < seen { arrivals.append((ContinuousClock.now - start) / .milliseconds(1)) }
        }
        return arrivals
    }

    /// When the server of a recording sent each piece, in milliseconds since the end of the request, by the independent reader.
    private func recordedTimes(in directory: String) throws -> [Double] {
        let script = """
            import sys; sys.path.insert(0, sys.argv[1]); import mitm_flows
            for flow in mitm_flows.open(sys.argv[2]):
                print(*[(piece.at - flow.request.ended) / 1e6 for piece in flow.pieces if piece.side == "server"])
            """
        let result = try run("python3", ["-c", script, repository + "/python/src", "capture.mflow"], in: directory)
        return result.output.split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
    }

    @Test("The events of a recorded stream keep their distances, or twice these", arguments: [("recorded", 1.0), ("0.5x", 2.0)])
    func stream(_ timing: String, _ factor: Double) throws {
        try withTemporaryDirectory { directory in
            let origin = try RawOrigin { connection, _ in
                _ = connection.read(until: "\r\n\r\n")
                connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 0\n\n")
                for pause in [50, 300, 80, 150] {
                    // The client sends nothing meanwhile.
                    _ = connection.receive(before: .now + .milliseconds(pause))
                    connection.send("data: \(pause)\n\n")
                }
            }
            let recorder = try Recorder(["--mode", "reverse:http://127.0.0.1:\(origin.port)"], in: directory)
            recorder.program.collectErrors()
            _ = try run("curl", ["-sS", "http://127.0.0.1:\(recorder.port)/events"])
            #expect(recorder.stop() == 0)
            let recorded = try recordedTimes(in: directory)
            #expect(recorded.count == 5 && recorded.last ?? 0 >= 580)
            let replayer = try Replayer(["--timing", timing], in: directory)
            let arrivals = try eventArrivals(replayer, count: recorded.count)
            #expect(isNeverEarly(arrivals, recorded.map { $0 * factor }), "\(arrivals), recorded \(recorded)")
            _ = replayer.stop()
        }
    }

    /// A HAR file of a response, and of a WebSocket dialogue, in which the server pauses before all that it sends.
    private static func recording(pause seconds: Double) -> String {
        let start = 1_760_000_000.0
        func entry(_ path: String, _ fields: String, _ response: String, wait: Double, _ more: String = "") -> String {
            """
            {"startedDateTime":"2025-10-09T08:53:20Z","time":1,
            "request":{"method":"GET","url":"http://127.0.0.1\(path)","httpVersion":"HTTP/1.1","headers":[\(fields)]},
            "response":{"httpVersion":"HTTP/1.1",\(response)},"timings":{"send":0,"wait":\(wait * 1000),"receive":0}\(more)}
            """
        }
        func message(_ type: String, _ text: String, _ pauses: Double) -> String {
            #"{"type":"\#(type)","time":\#(start + seconds * pauses),"opcode":1,"data":"\#(text)"}"#
        }
        let messages = [
            message("send", "one", 0), message("receive", "a", 1), message("send", "two", 1), message("receive", "b", 2),
            message("receive", "c", 3),
        ]
        let upgrade = #"{"name":"Upgrade","value":"websocket"},{"name":"Connection","value":"Upgrade"}"#
        let entries = [
            entry(
                "/events", "", #""status":200,"statusText":"OK","headers":[],"content":{"text":"data: 0\n\n"}"#, wait: seconds),
            entry(
                "/", upgrade, #""status":101,"statusText":"Switching Protocols","headers":[\#(upgrade)]"#, wait: 0,
                #","_resourceType":"websocket","_webSocketMessages":[\#(messages.joined(separator: ","))]"#),
        ]
        return #"{"log":{"version":"1.2","entries":[\#(entries.joined(separator: ","))]}}"#
    }

    /// With a pause of ten minutes a test can only pass if the pause is shortened.
    @Test(
        "Pauses are as long as recorded, scaled, one of fixed length for each answer, or left out",
        arguments: [
            ("recorded", 0.2, 200, 400), ("0.5x", 0.1, 200, 400), ("3000x", 600, 200, 400), ("200ms", 600, 200, 200),
            ("0.2", 600, 200, 200), ("none", 600, 0, 0),
        ] as [(String, Double, Double, Double)])
    func pauses(_ timing: String, _ recorded: Double, _ milliseconds: Double, _ second: Double) throws {
        try withTemporaryDirectory { directory in
            try Self.recording(pause: recorded).write(toFile: directory + "/capture.har", atomically: true, encoding: .utf8)
            let replayer = try Replayer(["--timing", timing], in: directory, file: "capture.har")
            let response = try eventArrivals(replayer, count: 1)
            #expect(isNeverEarly(response, [milliseconds]), "\(response)")
            let script = peerScript("websocket_rhythm.py")
            let client = try run(python, [script, "ws://127.0.0.1:\(replayer.port)/", "one=1", "two=2"], in: directory)
            let lines = client.output.split(separator: "\n").map { $0.split(separator: " ") }
            #expect(lines.map { $0.first } == ["a", "b", "c"], "\(client.errors)")
            let arrivals = lines.compactMap { $0.last.flatMap { Double($0) } }
            // Counted from the client's last message, which has two answers.
            #expect(isNeverEarly(arrivals, [milliseconds, milliseconds, second]), "\(arrivals)")
            _ = replayer.stop()
        }
    }
}
