// What mitm-serve tells people and programs: the event log, the journal, the list of recordings, and the file that shows readiness.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("Reports of mitm-serve")
struct ServeLogTests {
    /// The identifiers of the recorded flows.
    private func identifiers(in directory: String, file: String = "capture.mflow") throws -> [String] {
        try JSONObject.lines(try run("mitm-dump", ["--format", "json", file], in: directory).output).compactMap { $0["id"] }
    }

    @Test("The event log has a line for each answer with status, size, duration and recording, and ends with the counts")
    func eventLog() throws {
        try withTemporaryDirectory { directory in
            try record([("/n", response("1"))], in: directory)
            let identifier = try #require(try identifiers(in: directory).first)
            let replayer = try Replayer([], in: directory)
            for path in ["/n", "/n", "/missing"] { _ = try replayer.ask(path) }
            let log = replayer.stop()
            let answers = log.filter { $0.hasPrefix("GET http://127.0.0.1/n -> 200 1 B ") }
            #expect(answers.count == 2)
            #expect(answers.allSatisfy { $0.hasSuffix("s, recording \(identifier) of capture.mflow") }, "\(answers)")
            #expect(log.last == "2 requests answered, 1 missed, 0 streams, 0 faults")
        }
    }

    @Test("A client that leaves before the end is noted")
    func cutAnswer() throws {
        try withTemporaryDirectory { directory in
            try record([("/n", response("1"))], in: directory)
            let replayer = try Replayer(["--timing", "60s"], in: directory)
            #expect(try replayer.ask("/n", ["--max-time", "0.3"]) == "curl 28")
            #expect(
                replayer.stop().contains {
                    $0.hasPrefix("GET http://127.0.0.1/n -> 0 B ") && $0.hasSuffix("(the client left before the end)")
                })
        }
    }

    @Test("The journal has an object for each request: answered, missed, or a fault")
    func journal() throws {
        try withTemporaryDirectory { directory in
            try record([("/n", response("12345")), ("/other", response(""))], in: directory)
            let ids = try identifiers(in: directory)
            for options in [["-q"], ["-q", "--fault", "100%:503"]] {
                let replayer = try Replayer(
                    ["--journal", "journal.jsonl", "--ready-file", "ready"] + options, in: directory, isQuiet: true)
                _ = try replayer.ask("/n")
                _ = try replayer.ask("/nn", ["-d", "x"])
                #expect(replayer.stop() == [])
            }
            let lines = try JSONObject.lines(try String(contentsOfFile: directory + "/journal.jsonl", encoding: .utf8))
            let facts = lines.map { line in
                ["method", "url", "result", "status", "size", "flow", "file", "nearest"].map { line[$0] ?? "-" }
            }
            #expect(
                facts == [
                    ["GET", "http://127.0.0.1/n", "answered", "200", "5", ids[0], "capture.mflow", "-"],
                    ["POST", "http://127.0.0.1/nn", "miss", "404", "-", "-", "-", ids[0]],
                    ["GET", "http://127.0.0.1/n", "fault", "503", "-", "-", "-", "-"],
                    ["POST", "http://127.0.0.1/nn", "fault", "503", "-", "-", "-", "-"],
                ])
            #expect(lines[0]["ms"] != nil && lines[0]["time"]?.hasSuffix("Z") == true)
            #expect(lines[1]["reason"]?.hasPrefix("the nearest recording is GET http://127.0.0.1:") == true)
        }
    }

    @Test("Recordings are listed as JSON, with what a request must have to match")
    func list() throws {
        try withTemporaryDirectory { directory in
            try record([("/a?b=2&a=1&utm_source=x", response("page"))], in: directory)
            try record([("/o", response("", status: "201 Created"))], curl: ["-d", "x=1"], in: directory)
            let ids = try identifiers(in: directory)
            let text = try run("mitm-serve", ["--list", "--json", "--match-header", "Accept", "capture.mflow"], in: directory)
            let lines = try JSONObject.lines(text.output)
            #expect(
                lines.map { [$0["id"], $0["file"], $0["method"], $0["status"], $0["size"]] } == [
                    [ids[0], "capture.mflow", "GET", "200", "4"], [ids[1], "capture.mflow", "POST", "201", "0"],
                ])
            #expect(
                lines.map { [$0["match.method"], $0["match.host"], $0["match.path"], $0["match.query.0"], $0["match.query.1"]] }
                    == [
                        ["GET", "127.0.0.1", "/a", "a=1", "b=2"], ["POST", "127.0.0.1", "/o", nil, nil],
                    ])
            #expect(lines.map { [$0.count("match.query"), $0["match.body"]?.count ?? 0 > 4 ? 1 : 0] } == [[2, 0], [0, 1]])
            #expect(lines.map { $0["match.headers"] } == ["accept: */*", "accept: */*"])
            let ignoring = try run(
                "mitm-serve",
                ["--list", "--format", "json", "--ignore", "host", "--ignore", "query", "--ignore", "body", "capture.mflow"],
                in: directory)
            #expect(
                try JSONObject.lines(ignoring.output).map { [$0["match.host"], $0["match.query.0"], $0["match.body"]] } == [
                    [nil, nil, nil], [nil, nil, nil],
                ])
        }
    }

    @Test(
        "The file of --ready-file has the address of each listener while the tool listens",
        arguments: ["mitm-serve", "mitm-record"])
    func readyFile(_ tool: String) throws {
        try withTemporaryDirectory { directory in
            try record([("/a", response("page"))], in: directory)
            try "stale".write(toFile: directory + "/ready", atomically: true, encoding: .utf8)
            let program = try RunningProgram(
                tool,
                [
                    "-q", "-p", "0", "--confdir", "conf", "--mode", "reverse:http://127.0.0.1:1", "--mode", "regular@*:0",
                    "--ready-file", "ready",
                ]
                    + (tool == "mitm-serve" ? ["capture.mflow"] : ["-w", "none"]), in: directory)
            let addresses = try readyAddresses(program, directory + "/ready")
            let ports = addresses.compactMap { Int($0.split(separator: ":").last ?? "") }
            #expect(addresses == ["127.0.0.1:\(ports.first ?? 0)", "[::]:\(ports.last ?? 0)"])
            for host in ["127.0.0.1", "[::1]"] {
                let result = try run(
                    "curl",
                    [
                        "-sg", "-o", "/dev/null", "-w", "%{http_code}", "-x", "http://\(host):\(ports.last ?? 0)",
                        "http://a.invalid/",
                    ])
                #expect(result.output == (tool == "mitm-serve" ? "404" : "502"))
            }
            program.send(SIGTERM)
            #expect(program.waitForEnd() == 0 && program.errors == "")
            #expect(!FileManager.default.fileExists(atPath: directory + "/ready"))
        }
    }
}

/// Waits for the file that a program writes when it listens.
func readyAddresses(_ program: RunningProgram, _ path: String) throws -> [String] {
    let deadline = Date(timeIntervalSinceNow: 20)
    while Date() < deadline {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        if text.hasSuffix("\n") { return text.split(separator: "\n").map(String.init) }
        sched_yield()
    }
    throw TestFailure("\(path) was not written: \(program.errors)")
}
