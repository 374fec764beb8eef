// What mitm-replay reports: JSON, JUnit, the summary, and its end by a signal or by the clock.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("Reports of mitm-replay")
struct ReplayReportTests {
    private func replay(_ arguments: [String], in directory: String) throws -> ProgramResult {
        try run("mitm-replay", arguments + ["--timing", "max"], in: directory)
    }

    /// Records `/a`, `/b` and a POST, whose answers are JSON, text, and empty.
    private func makeRecording(in directory: String) throws {
        try record([("/a", response(#"{"p":[1,2],"at":"x"}"#)), ("/b", response("one\ntwo\n\u{1}"))], in: directory)
        try record([("/c", response(""))], curl: ["-d", "body"], in: directory)
    }

    private static let changed = [
        ("GET /a", response(#"{"p":[1,3],"at":"y","new":null}"#)),
        ("GET /b", response("one\n<2> & \"3\"\n\u{1}", status: "201 Created")),
    ]

    /// Answers each path; others not at all.
    private func origin(_ answers: [(request: String, answer: String)]) throws -> RawOrigin {
        try RawOrigin { connection, _ in
            let head = connection.read(until: "\r\n\r\n")
            if let answer = answers.first(where: { head.hasPrefix($0.request) })?.answer { connection.send(answer) }
        }
    }

    @Test("With --format json each flow has a line with its differences, and the last line is the summary")
    func json() throws {
        try withTemporaryDirectory { directory in
            try makeRecording(in: directory)
            let origin = try origin(Self.changed)
            let target = ["--target", "http://127.0.0.1:\(origin.port)"]
            let result = try replay(target + ["--diff", "--format", "json", "--safe-methods", "capture.mflow"], in: directory)
            #expect(result.status == 1 && result.errors == "")
            let lines = try JSONObject.lines(result.output)
            let ids = try JSONObject.lines(try run("mitm-dump", ["--format", "json", "capture.mflow"], in: directory).output)
                .compactMap { $0["id"] }
            // By path: the origins have ports of their own.
            let flows = lines.dropLast().sorted { ($0["request.url"] ?? "").suffix(2) < ($1["request.url"] ?? "").suffix(2) }
            #expect(flows.map { $0["result"] } == ["different", "different", "left_out"])
            #expect(flows.map { $0["id"] } == ids)
            #expect(flows.map { $0["request.method"] } == ["GET", "GET", "POST"])
            #expect(flows[2]["reason"] == "the method is not safe (--safe-methods)")
            let paths = flows.map { flow in (0..<flow.count("differences")).map { flow["differences.\($0).path"] ?? "" } }
            #expect(paths == [["$.at", "$.new", "$.p[1]"], ["status", "body:line 2"], []])
            #expect(
                [flows[0]["differences.2.recorded"], flows[0]["differences.2.now"], flows[0]["differences.1.recorded"]] == [
                    "2", "3", nil,
                ])
            #expect([flows[1]["differences.1.recorded"], flows[1]["differences.1.now"]] == ["two", "<2> & \"3\""])
            let summary = try #require(lines.last)
            let counts = ["sent", "same", "different", "failed", "left_out"].map { summary["summary." + $0] }
            #expect(counts == ["2", "0", "2", "0", "1"])
            #expect([summary["summary.statuses.0.status"], summary["summary.statuses.1.count"]] == ["200", "1"])
            #expect(
                ["min", "mean", "p50", "p90", "p95", "p99", "p99.9", "max"].allSatisfy { result.output.contains("\"\($0)\":") })
            // One difference is printed, the others are counted.
            let bounded = try JSONObject.lines(
                try replay(target + ["--diff", "--json", "--max-differences", "1", "-f", "~u a$", "capture.mflow"], in: directory)
                    .output)
            #expect([bounded[0].count("differences"), Int(bounded[0]["more_differences"] ?? "")] == [1, 2])
            // Without --diff nothing is compared.
            let sent = try JSONObject.lines(try replay(target + ["--json", "-f", "~u a$", "capture.mflow"], in: directory).output)
            #expect(sent.compactMap { $0["result"] } == ["sent"])
        }
    }

    @Test("All differences are printed as text, up to a number")
    func text() throws {
        try withTemporaryDirectory { directory in
            try makeRecording(in: directory)
            let origin = try origin(Self.changed)
            let arguments = ["--target", "http://127.0.0.1:\(origin.port)", "--diff", "-q", "-f", "~u a$", "capture.mflow"]
            let all = try replay(arguments, in: directory)
            #expect(
                all.output.split(separator: "\n").dropFirst() == [
                    "  body: $.at: \"x\" → \"y\"", "  body: $.new: none → null", "  body: $.p[1]: 2 → 3",
                ])
            let some = try replay(arguments + ["--max-differences", "2"], in: directory)
            #expect(some.output.split(separator: "\n").dropFirst(3) == ["  + 1 more"])
            let log = eventLog(all.errors)
            #expect(
                log.contains { $0.hasPrefix("took ") && $0.hasSuffix("/s; content: 0 bytes to servers, 31 bytes from servers") },
                "\(log)")
            #expect(log.contains("status: 200: 1"))
            #expect(log.contains { $0.hasPrefix("time to the last byte: min ") && $0.contains(", p99.9 ") })
        }
    }

    @Test("A JUnit report is well-formed, whatever servers send, and has a case for each flow")
    func junit() throws {
        try withTemporaryDirectory { directory in
            try makeRecording(in: directory)
            let origin = try origin(Self.changed)
            let target = ["--target", "http://127.0.0.1:\(origin.port)", "--diff", "--format", "junit"]
            let result = try replay(target + ["capture.mflow"], in: directory)
            #expect(result.status == 1)
            try result.output.write(toFile: directory + "/report.xml", atomically: true, encoding: .utf8)
            let script = """
                import xml.etree.ElementTree as tree
                suite = tree.parse("report.xml").getroot()[0]
                print(suite.tag, *[suite.get(name) for name in ("tests", "failures", "errors", "skipped")])
                for case in sorted(suite, key=lambda case: case.get("name")):
                    print(case.tag, case.get("classname"), case.get("name").split("/")[-1], float(case.get("time")) >= 0, *[(part.tag, part.get("message"), part.text) for part in case])
                """
            let parsed = try run("python3", ["-c", script], in: directory)
            #expect(
                parsed.output.split(separator: "\n") == [
                    "testsuite 3 2 1 0",
                    "testcase 127.0.0.1 a True ('failure', '3 differences', 'body: $.at: \"x\" → \"y\"\\nbody: $.new: none → null\\nbody: $.p[1]: 2 → 3')",
                    "testcase 127.0.0.1 b True ('failure', '2 differences', 'status: 200 → 201\\nbody: line 2: two → <2> & \"3\"')",
                    "testcase 127.0.0.1 c True ('error', '\(failure)', None)",
                ], "\(parsed.errors)\(result.output)")
        }
    }

    private let failure = "the server closed the connection before it answered"

    @Test("Ctrl-C and other signals end a replay with their status, after the summary", arguments: [SIGINT, SIGTERM])
    func signals(_ signal: Int32) throws {
        try withTemporaryDirectory { directory in
            try makeRecording(in: directory)
            let origin = try origin(Self.changed)
            let program = try RunningProgram(
                "mitm-replay",
                ["--target", "http://127.0.0.1:\(origin.port)", "--rate", "1/s", "--repeat", "1000", "capture.mflow"],
                in: directory)
            _ = try #require(program.errorLine(containing: " 200 in "))
            program.send(signal)
            #expect(program.waitForEnd() == 128 + signal)
            let log = eventLog(program.errors)
            #expect(log.contains { $0.contains(" sent") && $0.contains(" not sent because the replay was stopped") }, "\(log)")
            #expect(log.contains { $0.hasPrefix("took ") })
        }
    }

    @Test("--duration sends everything again and again for that time")
    func duration() throws {
        try withTemporaryDirectory { directory in
            try makeRecording(in: directory)
            let origin = try RawOrigin { connection, _ in
                while connection.read(until: "\r\n\r\n") != "" { connection.send(response("ok")) }
            }
            let start = Date()
            let result = try replay(
                ["--target", "http://127.0.0.1:\(origin.port)", "--json", "--duration", "300ms", "-f", "~m GET", "capture.mflow"],
                in: directory)
            #expect(Date().timeIntervalSince(start) >= 0.3 && result.status == 0, "\(result.errors)")
            let summary = try #require(try JSONObject.lines(result.output).last)
            #expect(Int(summary["summary.sent"] ?? "") ?? 0 > 2)
            #expect([summary["summary.failed"], summary["summary.not_sent"]] == ["0", "0"])
            let both = try replay(
                ["--target", "http://127.0.0.1:1", "--duration", "1s", "--repeat", "2", "capture.mflow"], in: directory)
            #expect(both.status == 2 && both.errors.contains("--duration and --repeat contradict each other"))
        }
    }
}
