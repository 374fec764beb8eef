// The event log: its levels, its formats, its file.

import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import ProxyCore
import ProxyToolSupport
import ProxyTransport
import Synchronization
import TestSupport
import Testing
import ToolSupport

@Suite("The event log")
struct EventLogTests {
    /// The lines that a tool with these arguments writes.
    private func lines(_ arguments: [String], hints: TLSHints? = nil, _ body: (EventLog) -> Void) throws -> [String] {
        let lines = Mutex<[String]>([])
        let log = try EventLog(
            LogArguments.parse(arguments), of: "mitm-test",
            clock: RecorderClock(startingAt: Timestamp(nanoseconds: 1_700_000_000_000_000_000)), hints: hints
        ) { line in lines.withLock { $0.append(line) } }
        body(log)
        return lines.withLock { $0 }
    }

    private func everyLevel(_ log: EventLog) {
        log.log(.debug, "a", "debug")
        log.log(.info, "b", "info")
        log.log(.notice, "c", "notice")
        log.log(.warning, "d", "warning")
        log.log(.error, "e", "error")
    }

    @Test(
        "-q leaves errors, -v adds the rest; warnings and errors are marked",
        arguments: [
            ([], ["notice", "warning: warning", "error: error"]), (["-q"], ["error: error"]),
            (["-v"], ["debug", "info", "notice", "warning: warning", "error: error"]),
        ])
    func levels(arguments: [String], expected: [String]) throws {
        let lines = try lines(arguments, everyLevel)
        // The time of day, then the message.
        #expect(lines.allSatisfy { $0.wholeMatch(of: /[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3} .*\n/) != nil }, "\(lines)")
        #expect(lines.map { String($0.dropFirst(13).dropLast()) } == expected)
    }

    @Test("Control characters of a peer do not reach the terminal")
    func hostile() throws {
        let lines = try lines([]) { $0.log(.notice, "a", "a\u{1b}[2Jb\nc") }
        #expect(lines.map { $0.dropFirst(13) } == ["a\\x1b[2Jb\\nc\n"])
    }

    @Test("In JSON each line is an object with the facts")
    func json() throws {
        let lines = try lines(["--log-format", "json"]) { log in
            log.log(
                LogLine(
                    .warning, "refused", "a \"b\"\n", client: Endpoint(host: "::1", port: 5), server: Endpoint(host: "s", port: 6)))
        }
        let line = try #require(lines.first)
        let pattern = #/\{"time":"2023-11-14T22:13:2[0-9]\.[0-9]{9}Z",(.*)\n/#
        #expect(
            line.wholeMatch(of: pattern).map { String($0.1) }
                == #""level":"warning","tool":"mitm-test","event":"refused","client":"[::1]:5","server":"s:6","message":"a \"b\"\n"}"#
        )
    }

    @Test("A flow's line has its facts; advice follows once")
    func flows() throws {
        let client = ClientConnection(
            id: ConnectionID(high: 1, low: 1), peer: Endpoint(host: "10.0.0.1", port: 5000),
            local: Endpoint(host: "10.0.0.2", port: 80),
            opened: Timestamp(nanoseconds: 0), mode: "regular")
        let opening = FlowOpening(
            kind: .tls, client: Shared(client), target: FlowTarget(scheme: "tls", host: "a.example", port: 443), stream: StreamID(0)
        )
        var flow = Flow(id: FlowID(high: 1, low: 2), opening: opening, started: Timestamp(nanoseconds: 0))
        flow.state = .failed
        flow.ended = Timestamp(nanoseconds: 1_500_000)
        flow.error = FlowError(
            side: .client, message: "the client does not trust the certificate for a.example", at: Timestamp(nanoseconds: 0))
        let arguments = ["--log-format", "json"]
        let lines = try lines(arguments, hints: TLSHints(authority: "/c/ca.pem", isServedByName: false)) { log in
            log.log(flow)
            log.log(flow)
        }
        let objects = try lines.map { try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:] }
        #expect(objects.map { $0["event"] as? String } == ["flow", "hint", "flow"])
        let first = objects[0].filter { $0.key != "time" && $0.key != "message" }.mapValues { "\($0)" }
        #expect(
            first == [
                "level": "warning", "tool": "mitm-test", "event": "flow", "client": "10.0.0.1:5000", "flow": flow.id.description,
                "kind": "tls", "state": "failed", "size_from_client": "0", "size_from_server": "0", "duration_ms": "1.5",
                "error": "the client does not trust the certificate for a.example",
            ])
        #expect(objects[1]["message"] as? String == "clients must trust the certificate authority in /c/ca.pem")
    }

    @Test("A log file is appended to; after it was moved away, opening it again begins a new one")
    func file() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/log"
            let log = try EventLog(
                LogArguments.parse(["--log-file", path]), of: "mitm-test", clock: RecorderClock(),
                write: { _ in Issue.record("nothing goes to stderr") })
            log.log(.notice, "a", "first")
            try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
            log.log(.notice, "a", "second")
            log.reopen()
            log.log(.notice, "a", "third")
            func messages(_ path: String) throws -> [String] {
                try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { String($0.dropFirst(13)) }
            }
            #expect(try messages(path + ".1") == ["first", "second"])
            #expect(try messages(path) == ["third"])
            #expect(throws: ToolError.self) {
                try EventLog(LogArguments.parse(["--log-file", directory]), of: "mitm-test", clock: RecorderClock())
            }
        }
    }
}
