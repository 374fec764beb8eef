// Recordings that change while mitm-serve runs.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("Changed recordings")
struct ReloadTests {
    /// Asks until the answer is this one.
    private func awaitAnswer(_ expected: String, to path: String = "/a", _ replayer: Replayer) throws {
        let deadline = Date(timeIntervalSinceNow: 20)
        var answer = ""
        while answer != expected, Date() < deadline { answer = try replayer.ask(path, ["-o", "-"]) }
        #expect(answer == expected)
    }

    private func archive(_ bodies: [String], _ file: String, in directory: String) throws {
        try record(bodies.map { ("/a", response($0)) }, in: directory, file: file)
    }

    private static func har(_ text: String) -> String {
        """
        {"log":{"version":"1.2","entries":[{"startedDateTime":"2025-10-09T08:53:20Z","time":1,
        "request":{"method":"GET","url":"http://127.0.0.1/a","httpVersion":"HTTP/1.1","headers":[]},
        "response":{"status":200,"statusText":"OK","httpVersion":"HTTP/1.1","headers":[],"content":{"text":"\(text)"}}}]}}
        """
    }

    private func move(_ from: String, to: String, in directory: String) throws {
        #expect(unsafe rename(directory + "/" + from, directory + "/" + to) == 0)
    }

    /// Puts another file in the place of one, which stays readable for a program that has it open.
    private func replace(_ path: String, _ text: String) throws {
        try text.write(toFile: path + ".new", atomically: false, encoding: .utf8)
        #expect(unsafe rename(path + ".new", path) == 0)
    }

    @Test("A HAR file that is edited in place or replaced by rename is read again")
    func foreignFile() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.har"
            try Self.har("999").write(toFile: path, atomically: true, encoding: .utf8)
            let replayer = try Replayer([], in: directory, file: "a.har")
            #expect(try replayer.ask("/a") == "999 200")
            try Self.har("555").write(toFile: path, atomically: false, encoding: .utf8)
            try awaitAnswer("555 200", replayer)
            try Self.har("111").write(toFile: path, atomically: true, encoding: .utf8)
            try awaitAnswer("111 200", replayer)
            #expect(
                replayer.stop().filter { $0 == "the recordings were read again: 1 recorded requests and 0 TCP streams" }.count == 2)
        }
    }

    @Test("A flow file that another one replaces is read again; flows that are appended are not a reason to")
    func flowFile() throws {
        try withTemporaryDirectory { directory in
            try archive(["one"], "capture.mflow", in: directory)
            try archive(["two", "three"], "other.mflow", in: directory)
            let replayer = try Replayer([], in: directory)
            #expect(try replayer.ask("/a") == "one 200")
            try move("other.mflow", to: "capture.mflow", in: directory)
            try awaitAnswer("two 200", replayer)
            #expect(try replayer.ask("/a") == "three 200")
            try archive(["four"], "capture.mflow", in: directory)
            try awaitAnswer("four 200", replayer)
            #expect(replayer.stop().filter { $0.hasPrefix("the recordings were read again") }.count == 1)
        }
    }

    @Test("New files of a directory are added, and removed ones are left out")
    func directory() throws {
        try withTemporaryDirectory { directory in
            try FileManager.default.createDirectory(atPath: directory + "/all", withIntermediateDirectories: false)
            try record([("/a", response("a"))], in: directory, file: "all/1.mflow")
            let replayer = try Replayer([], in: directory, file: "all")
            #expect(try replayer.ask("/a") == "a 200")
            try record([("/b", response("b"))], in: directory, file: "all/2.mflow")
            try awaitAnswer("b 200", to: "/b", replayer)
            #expect(try replayer.ask("/a") == "a 200")
            #expect(unsafe unlink(directory + "/all/1.mflow") == 0)
            let deadline = Date(timeIntervalSinceNow: 20)
            while try replayer.ask("/a", ["-o", "none"]) != " 404", Date() < deadline {}
            #expect(try [replayer.ask("/a", ["-o", "none"]), replayer.ask("/b")] == [" 404", "b 200"])
            #expect(
                replayer.stop().filter { $0 == "the recordings were read again: 1 recorded requests and 0 TCP streams" }.count == 1)
        }
    }

    @Test("Files that cannot be read, or hold nothing, leave the previous recordings in place, with one sentence")
    func unreadable() throws {
        try withTemporaryDirectory { directory in
            try archive(["one"], "capture.mflow", in: directory)
            try archive(["two"], "other.mflow", in: directory)
            let program = try RunningProgram("mitm-serve", ["-p", "0", "--confdir", "conf", "capture.mflow"], in: directory)
            let line = try #require(program.errorLine(containing: "listening on "))
            let port = try #require(line.split(separator: " ").compactMap { Int($0.split(separator: ":").last ?? "") }.first)
            func ask() throws -> String { try run("curl", ["-sS", "--max-time", "20", "http://127.0.0.1:\(port)/a"]).output }
            let path = directory + "/capture.mflow"
            let failures: [(change: () throws -> Void, reason: String)] = [
                ({ try replace(path, "no recording") }, "capture.mflow is not a flow file"),
                ({ try replace(path, "") }, "they contain no request and no stream now"),
                ({ #expect(unsafe unlink(path) == 0) }, "cannot open capture.mflow: no such file or directory"),
            ]
            for (change, reason) in failures {
                try change()
                let line = try #require(program.errorLine(containing: "were not read again: "))
                #expect(line.contains(reason) && line.hasSuffix("; the previous ones are served"), "\(line)")
                let answer = try ask()
                #expect(answer == "one")
            }
            try move("other.mflow", to: "capture.mflow", in: directory)
            _ = try #require(program.errorLine(containing: "the recordings were read again: 1 recorded requests"))
            #expect(try ask() == "two")
            program.send(SIGTERM)
            _ = program.waitForEnd()
            #expect(program.errors.components(separatedBy: "were not read again").count == 4)
        }
    }

    @Test("SIGHUP begins the turns of recordings again; an exchange in progress keeps its recording")
    func hangUp() throws {
        try withTemporaryDirectory { directory in
            try archive(["one", "two"], "capture.mflow", in: directory)
            let program = try RunningProgram(
                "mitm-serve", ["-p", "0", "--confdir", "conf", "--timing", "1s", "-", "capture.mflow"], in: directory,
                takesInput: true)
            // What came by a pipe stays.
            try archive(["piped"], "piped.mflow", in: directory)
            program.write(try Data(contentsOf: URL(fileURLWithPath: directory + "/piped.mflow")))
            let line = try #require(program.errorLine(containing: "listening on "))
            let port = try #require(line.split(separator: " ").compactMap { Int($0.split(separator: ":").last ?? "") }.first)
            let slow = try RawConnection(port: port)
            slow.send("GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            // The answer to this one begins later than that to the first.
            let asked = try RawConnection(port: port)
            asked.send("GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            program.send(SIGHUP)
            _ = try #require(program.errorLine(containing: "the recordings were read again: 3 recorded requests"))
            let third = try RawConnection(port: port)
            third.send("GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            let answers = [slow, asked, third].map { connection in
                let head = connection.read(until: "\r\n\r\n")
                return head.hasPrefix("HTTP/1.1 200") ? "200" : head
            }
            #expect(answers == ["200", "200", "200"])
            program.send(SIGTERM)
            #expect(program.waitForEnd() == 0)
        }
    }

    // MARK: Recorded misses

    @Test("Without another recording the file of --write is served; a directory may be empty")
    func cassette() throws {
        try withTemporaryDirectory { directory in
            try FileManager.default.createDirectory(atPath: directory + "/all", withIntermediateDirectories: false)
            for (files, file) in [([], "new.mflow"), (["all"], "all/new.mflow")] as [([String], String)] {
                let origin = try RawOrigin(answering: [("\r\n\r\n", response("first"))])
                let arguments = ["-p", "0", "--confdir", "conf", "--on-miss", "record:http://127.0.0.1:\(origin.port)", "-w", file]
                var bodies: [String] = []
                for _ in 0..<2 {
                    let program = try RunningProgram("mitm-serve", arguments + files, in: directory)
                    let port = try Replayer.port(of: program)
                    bodies.append(try run("curl", ["-sS", "--max-time", "20", "http://127.0.0.1:\(port)/a"]).output)
                    program.send(SIGTERM)
                    #expect(program.waitForEnd() == 0)
                }
                #expect(bodies == ["first", "first"])
                #expect(origin.log.components(separatedBy: "GET ").count == 2)
            }
            try FileManager.default.createDirectory(atPath: directory + "/none", withIntermediateDirectories: false)
            let refused = try run("mitm-serve", ["-p", "0", "--confdir", "conf", "none"], in: directory)
            #expect(
                refused
                    == ProgramResult(status: 2, output: "", errors: "mitm-serve: there is no .mflow file in the directory none\n"))
        }
    }

    @Test("A proxy sends a miss to where the client sends it, by HTTP and HTTPS", arguments: ["forward", "record"])
    func proxies(_ policy: String) throws {
        try withTemporaryDirectory { directory in
            try record([("/recorded", response("page"))], in: directory)
            let nginx = try Nginx(in: directory, http2: true)
            try "from the server".write(toFile: directory + "/www/b", atomically: true, encoding: .utf8)
            let recording = policy == "record" ? ["-w", "more.mflow"] : []
            let replayer = try Replayer(
                ["--mode", "regular", "--on-miss", policy, "--ca-file", nginx.authority] + recording, in: directory)
            let urls = ["http://127.0.0.1:\(nginx.http)/b", "https://localhost:\(nginx.https)/b"]
            for url in urls {
                let answer = try replayer.curl(["-x", replayer.url, "--cacert", directory + "/conf/mitm-ca-cert.pem", url])
                #expect(answer.output == "from the server")
            }
            #expect(replayer.stop().filter { $0.hasPrefix("no recording answers") && $0.contains(" (sent to http") }.count == 2)
            guard policy == "record" else { return }
            let flows = try JSONObject.lines(try run("mitm-dump", ["--format", "json", "more.mflow"], in: directory).output)
            #expect(flows.compactMap { $0["request.url"] }.filter { $0.hasSuffix("/b") } == urls)
        }
    }
}
