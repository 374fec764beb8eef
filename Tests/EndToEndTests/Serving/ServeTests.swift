// mitm-serve and its options: which recording answers, and how misses are answered. The recorder makes each recording.

import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

/// Answers each request with its number.
private struct CountingOrigin {
    private let origin: RawOrigin
    var port: Int { origin.port }

    init() throws {
        let count = Mutex(0)
        origin = try RawOrigin { connection, _ in
            while connection.read(until: "\r\n\r\n") != "" {
                connection.send(response("\(count.withLock { $0 += 1; return $0 })"))
            }
        }
    }
}

@Suite("mitm-serve")
struct ServeTests {
    private static let page = response("page")

    /// The answer to a request whose recordings have all been used.
    private static let exhausted =
        "mitm: no recording answers GET http://127.0.0.1/n: its recordings were served, each once (--once)\n"

    @Test(
        "Recordings of one request answer in the order that is asked for",
        arguments: [
            ([], ["1 200", "2 200", "3 200", "3 200"]),
            (["--order", "cycle"], ["1 200", "2 200", "3 200", "1 200"]),
            (["--order", "last"], ["3 200", "3 200", "3 200", "3 200"]),
            (["--once"], ["1 200", "2 200", "3 200", ServeTests.exhausted + " 404"]),
            (["--once", "--on-miss", "503"], ["1 200", "2 200", "3 200", ServeTests.exhausted + " 503"]),
        ] as [([String], [String])])
    func orders(_ options: [String], _ expected: [String]) throws {
        try withTemporaryDirectory { directory in
            try record(["1", "2", "3"].map { ("/n", response($0)) } + [("/other", response("x"))], in: directory)
            let replayer = try Replayer(options, in: directory)
            #expect(try expected.map { _ in try replayer.ask("/n") } == expected)
            #expect(try replayer.ask("/other") == "x 200")
            _ = replayer.stop()
        }
    }

    @Test("A miss is explained, in the response and in the log")
    func misses() throws {
        try withTemporaryDirectory { directory in
            try record([("/a?x=1", Self.page)], in: directory)
            let replayer = try Replayer([], in: directory)
            let reason =
                "no recording answers GET http://127.0.0.1/a?x=2: the nearest recording is GET http://127.0.0.1:"
            let miss = try replayer.ask("/a?x=2")
            #expect(miss.hasPrefix("mitm: " + reason))
            #expect(miss.hasSuffix("/a?x=1, which differs in the query: asked for 'x=2', recorded 'x=1'\n 404"))
            #expect(replayer.stop().contains { $0.hasPrefix(reason) })
        }
    }

    @Test(
        "Options select the ignored parts of a request, and the answer to a miss",
        arguments: [
            ([], "/a?utm_source=y&x=1", "page 200"),
            (["--on-miss", "close"], "/b", ServeTests.gotNothing),
            (["--ignore", "query:x"], "/a?x=2", "page 200"),
            (["--volatile", "off"], "/a?utm_source=y&x=1", " 404"),
        ] as [([String], String, String)])
    func matching(_ options: [String], _ path: String, _ expected: String) throws {
        try withTemporaryDirectory { directory in
            try record([("/a?x=1", Self.page)], in: directory)
            let replayer = try Replayer(options, in: directory)
            #expect(try replayer.ask(path).split(separator: "\n").last.map(String.init) == expected)
            _ = replayer.stop()
        }
    }

    /// The error when only one of these two options is given.
    private static let belongTogether = "--write and --on-miss record:URL must be given together"

    /// The server closed without an answer (CURLE_GOT_NOTHING).
    private static let gotNothing = "curl 52"
    /// It reset the connection (CURLE_RECV_ERROR).
    private static let wasReset = "curl 56"

    @Test("A client that names this machine is answered for any host by the body too, though this machine was recorded itself")
    func anyHost() throws {
        try withTemporaryDirectory { directory in
            func record(_ host: [String], _ body: String) throws {
                try EndToEndTests.record([("/o", response(body))], curl: host + ["-d", body], in: directory)
            }
            try record(["-H", "Host: localhost:9000"], "one")
            try record([], "two")
            try record(["-H", "Host: a.example"], "three")
            let replayer = try Replayer([], in: directory)
            let local = replayer.url.replacing("127.0.0.1", with: "localhost")
            for body in ["one", "two", "three"] {
                #expect(try replayer.ask("/o", ["-d", body]) == "\(body) 200")
                #expect(try replayer.curl(["-d", body, local + "/o"]).output == body)
            }
            let miss = try replayer.ask("/o", ["-d", "four"])
            #expect(miss.contains("which differs in the body, ") && !miss.contains("the host: "))
            let named = try replayer.ask("/o", ["-d", "one", "-H", "Host: a.example"])
            #expect(named.contains("/o, which differs in the body, ") && named.contains("is POST http://a.example:"))
            _ = replayer.stop()
        }
    }

    @Test("A miss goes to the server of --on-miss forward:URL")
    func forwarding() throws {
        try withTemporaryDirectory { directory in
            try record([("/a", Self.page)], in: directory)
            let origin = try RawOrigin(answering: [("body-end", response("from the server"))])
            let replayer = try Replayer(["--on-miss", "forward:http://127.0.0.1:\(origin.port)"], in: directory)
            #expect(try replayer.ask("/a") == "page 200")
            #expect(try replayer.ask("/b", ["-d", "body-end"]) == "from the server 200")
            _ = replayer.stop()
            #expect(origin.log.components(separatedBy: "Host: 127.0.0.1:\(origin.port)\r\n").count == 2)
        }
    }

    @Test("With --on-miss record:URL the answer is recorded too, and served the next time")
    func recording() throws {
        try withTemporaryDirectory { directory in
            try record([("/a", Self.page)], in: directory)
            let origin = try RawOrigin(answering: [("body-end", response("from the server"))])
            let url = "http://127.0.0.1:\(origin.port)"
            let recording = try Replayer(["--on-miss", "record:\(url)", "-w", "more.mflow"], in: directory)
            #expect(try recording.ask("/a") == "page 200")
            #expect(try recording.ask("/c", ["-d", "body-end"]) == "from the server 200")
            _ = recording.stop()
            let flows = try JSONObject.lines(try run("mitm-dump", ["--format", "json", "more.mflow"], in: directory).output)
            #expect(flows.map { $0["request.path"] } == ["/c"])
            #expect(flows.map { $0["request.body.text"] } == ["body-end"])
            #expect(flows.map { $0["response.body.text"] } == ["from the server"])
            let both = try Replayer(["capture.mflow"], in: directory, file: "more.mflow")
            #expect(try both.ask("/c", ["-d", "body-end"]) == "from the server 200")
            #expect(try both.ask("/a") == "page 200")
            _ = both.stop()
        }
    }

    @Test(
        "Faults come as often as asked",
        arguments: [
            ("100%:503", "mitm: a fault, as --fault asks for\n 503", "0 requests answered, 0 missed, 0 streams, 1 faults"),
            ("100%:close", ServeTests.gotNothing, "0 requests answered, 0 missed, 0 streams, 1 faults"),
            ("100%:reset", ServeTests.wasReset, "0 requests answered, 0 missed, 0 streams, 1 faults"),
            ("0%:503", "page 200", "1 requests answered, 0 missed, 0 streams, 0 faults"),
        ])
    func faults(_ fault: String, _ answer: String, _ counts: String) throws {
        try withTemporaryDirectory { directory in
            try record([("/a", Self.page)], in: directory)
            let replayer = try Replayer(["--fault", fault], in: directory)
            #expect(try replayer.ask("/a") == answer)
            #expect(replayer.stop().last == counts)
        }
    }

    @Test("Flows that would be served are listed")
    func list() throws {
        try withTemporaryDirectory { directory in
            try record([("/a", Self.page), ("/b", response("x", status: "404 Not Found"))], in: directory)
            let all = try run("mitm-serve", ["--list", "capture.mflow"], in: directory)
            #expect(all.status == 0 && all.errors == "")
            #expect(all.output.split(separator: "\n").count == 2)
            let one = try run("mitm-serve", ["--list", "--filter", "~c 404", "capture.mflow"], in: directory)
            #expect(one.output.contains("/b") && !one.output.contains("/a "))
            #expect(try run("mitm-serve", ["--list", "--filter", "~c 500", "capture.mflow"], in: directory).status == 1)
            let filtered = try Replayer(["--filter", "~c 404"], in: directory)
            #expect(try [filtered.ask("/b"), filtered.ask("/a", ["-o", "/dev/null"])] == ["x 404", " 404"])
            #expect(filtered.stop().first == "serving 1 recorded requests and 0 TCP streams")
        }
    }

    @Test("A recording that grows is read on")
    func growing() throws {
        try withTemporaryDirectory { directory in
            try record([("/a", response("1"))], in: directory)
            let replayer = try Replayer([], in: directory)
            #expect(try replayer.ask("/a") == "1 200")
            try record([("/a", response("2")), ("/b", response("new"))], in: directory)
            try awaitAnswer("new 200", to: "/b", replayer)
            #expect(try [replayer.ask("/a"), replayer.ask("/a")] == ["2 200", "2 200"])
            _ = replayer.stop()
        }
    }

    @Test("The undamaged part of a file is served, and the damage is reported")
    func damaged() throws {
        try withTemporaryDirectory { directory in
            var generator = SeededGenerator(seed: 3)
            let noise = String(
                (0..<400_000).map { _ in Character(UnicodeScalar(UInt8.random(in: 0x21...0x7E, using: &generator))) })
            for (number, body) in ["body 0", "body 1", noise, String(noise.prefix(20_000)), "body 4"].enumerated() {
                try record([("/\(number)", response(body))], curl: ["-o", "none"], in: directory)
            }
            let url = URL(fileURLWithPath: directory + "/capture.mflow")
            var data = try Data(contentsOf: url)
            // In a block the facts of its flows precede their content. The recorder wrote at least one block in each of its runs.
            let structure = try run("python3", [repository + "/tools/mflow.py", "--structure", "capture.mflow"], in: directory)
                .output
            let blocks = structure.split(separator: "\n").filter { $0.contains(" block ") }
                .compactMap { $0.split(separator: " ").first.flatMap { Int($0) } }
            #expect(blocks.count == 5)
            for offset in 0..<20 {
                data[(blocks[1] + blocks[2]) / 2 + offset] ^= 0x55
                data[blocks[3] - 2000 + offset] ^= 0x55
                data[blocks[4] - 2000 + offset] ^= 0x55
            }
            try data.write(to: url)
            let replayer = try Replayer([], in: directory)
            #expect(try ["/0", "/4"].map { try replayer.ask($0) } == ["body 0 200", "body 4 200"])
            // Damage that is found before the head is sent is a miss, each time; after that the answer is cut.
            #expect(try ["/3", "/3"].map { try replayer.ask($0, ["-o", "/dev/null"]) } == [" 404", " 404"])
            // CURLE_PARTIAL_FILE
            #expect(try replayer.ask("/2", ["-o", "/dev/null"]) == "curl 18")
            #expect(try replayer.ask("/1", ["-o", "/dev/null"]) == " 404")
            let log = replayer.stop(status: 3)
            #expect(log.contains { $0.contains("capture.mflow: ") && $0.contains("cannot be read") }, "\(log)")
            #expect(log.contains { $0.contains("cannot be read; other blocks can; the client sees a cut") }, "\(log)")
        }
    }

    @Test(
        "Invalid options are rejected in one sentence",
        arguments: [
            (["--timing", "fast"], "--timing fast is not known"),
            (["--timing", "0x"], "--timing 0x is not known"),
            (["--on-miss", "99"], "--on-miss 99 is not known"),
            (["--on-miss", "forward:host"], "write the server as http://host[:port]"),
            (["--on-miss", "forward:http://host/base"], "requests keep their own path"),
            (["--on-miss", "record:http://h"], ServeTests.belongTogether),
            (["-w", "x"], ServeTests.belongTogether),
            (["--on-miss", "forward"], "write forward:URL, or listen as a proxy with --mode"),
            (["--on-miss", "record", "-w", "x"], "write record:URL, or listen as a proxy with --mode"),
            (["--format", "json"], "--format and --json are for --list"),
            (["--list", "--json", "--format", "text"], "contradict each other"),
            (["--journal", "none/j"], "cannot write the journal none/j: no such file or directory"),
            (["--ready-file", "none/r"], "cannot write the file of --ready-file, none/r: no such file or directory"),
            (["--fault", "5:503"], "--fault 5:503 is not known"),
            (["--fault", "5%:soon"], "'soon' is neither a status nor close nor reset"),
            (["--fault", "60%:503", "--fault", "60%:close"], "more than 100 %"),
            (["--ignore", "colour"], "'colour' is not known"),
            (["--ignore", "json:a["], "'a[' is not a JSON path (RFC 9535): this bracket is not closed at character 2"),
            (["--match-body", "xml"], "'xml' is not known"),
            (["--order", "random"], "'random' is not known"),
            (["--filter", "~q ("], "~q ("),
            (["--volatile", "none.txt"], "none.txt"),
            (["--mode", "nothing"], "nothing"),
            (["--certificate", "none.pem"], "none.pem"),
        ] as [([String], String)])
    func badOptions(_ arguments: [String], _ expected: String) throws {
        try withTemporaryDirectory { directory in
            let archive = repository + "/Fixtures/archives/v1"
            let file = try #require(
                try FileManager.default.contentsOfDirectory(atPath: archive).filter { $0.hasSuffix(".mflow") }.sorted().first)
            let result = try run(
                "mitm-serve", ["-p", "0", "--confdir", directory + "/conf"] + arguments + [archive + "/" + file], in: directory)
            #expect(result.status == 2)
            #expect(result.output == "")
            let lines = result.errors.split(separator: "\n")
            let isNamed = lines.contains { $0.hasPrefix("mitm-serve: ") }
            #expect(isNamed && result.errors.contains(expected), "\(result.errors)")
        }
    }

    @Test("A recording with a torn end is served up to there; the tear is reported, with status 3")
    func torn() throws {
        try withTemporaryDirectory { directory in
            let url = URL(fileURLWithPath: directory + "/capture.mflow")
            try record([("/a", Self.page)], in: directory)
            let size = try Data(contentsOf: url).count
            try record([("/b", Self.page)], in: directory)
            try Data(contentsOf: url).prefix(size + 60).write(to: url)
            let replayer = try Replayer([], in: directory)
            #expect(try [replayer.ask("/a"), replayer.ask("/b", ["-o", "/dev/null"])] == ["page 200", " 404"])
            #expect(replayer.stop(status: 3).contains { $0.contains("capture.mflow: the file ends in the middle of a block") })
            try Data(contentsOf: url).prefix(300).write(to: url)
            let none = try run("mitm-serve", ["-p", "0", "capture.mflow"], in: directory)
            #expect(none.status == 2 && none.errors.contains("in the middle of a block"))
        }
    }

    @Test("If there is nothing to serve, or no file, the tool reports it")
    func nothing() throws {
        try withTemporaryDirectory { directory in
            try record([("/a", Self.page)], in: directory)
            let none = try run(
                "mitm-serve", ["-p", "0", "--confdir", "unused", "--filter", "~c 500", "capture.mflow"], in: directory)
            #expect(
                none
                    == ProgramResult(
                        status: 2, output: "",
                        errors: "mitm-serve: there is nothing to serve: the recordings contain no request and no stream\n"))
            let missing = try run("mitm-serve", ["-p", "0", "--confdir", "unused", "none.mflow"], in: directory)
            #expect(missing.status == 2 && missing.errors.hasPrefix("mitm-serve: ") && missing.errors.contains("none.mflow"))
            // A certificate authority is made only for something that can be served.
            #expect(!FileManager.default.fileExists(atPath: directory + "/unused"))
        }
    }

    @Test(
        "A recording that is absent, or empty, is served as recorded misses are added", arguments: ["absent.mflow", "empty.mflow"])
    func absentRecordings(_ file: String) throws {
        try withTemporaryDirectory { directory in
            let origin = try CountingOrigin()
            let record = ["--on-miss", "record:http://127.0.0.1:\(origin.port)"]
            if file == "empty.mflow" { try Data().write(to: URL(fileURLWithPath: directory + "/" + file)) }
            let replayer = try Replayer(record + ["-w", file], in: directory, file: file)
            #expect(try replayer.ask("/a") == "1 200")
            try awaitAnswer("1 200", to: "/a", replayer)
            #expect(replayer.stop().contains("serving 0 recorded requests and 0 TCP streams"))
            // The second time it needs no server.
            let again = try Replayer([], in: directory, file: file)
            #expect(try again.ask("/a") == "1 200")
            _ = again.stop()
            // Another name is a mistake.
            let other = try run(
                "mitm-serve", ["-p", "0", "--confdir", directory + "/conf"] + record + ["-w", file, "other.mflow"], in: directory)
            #expect(other.status == 2 && other.errors.contains("other.mflow"))
        }
    }

    @Test("A recording that has just begun is served while the recorder adds to it")
    func begunRecording() throws {
        try withTemporaryDirectory { directory in
            let origin = try CountingOrigin()
            let recorder = try Recorder(["--mode", "reverse:http://127.0.0.1:\(origin.port)"], in: directory, file: "begun.mflow")
            recorder.program.collectErrors()
            let replayer = try Replayer([], in: directory, file: "begun.mflow")
            #expect(try replayer.ask("/b").hasSuffix(" 404"))
            #expect(try recorder.curl(["http://127.0.0.1:\(recorder.port)/b"]).output == "1")
            try awaitAnswer("1 200", to: "/b", replayer)
            _ = replayer.stop()
            #expect(recorder.stop() == 0)
        }
    }

    /// Asks until the recording has been read as far as this answer.
    private func awaitAnswer(_ expected: String, to path: String, _ replayer: Replayer) throws {
        let deadline = Date(timeIntervalSinceNow: 20)
        var answer = ""
        while answer != expected, Date() < deadline { answer = try replayer.ask(path) }
        #expect(answer == expected)
    }

    // MARK: Offline

    @Test("No server is contacted and no name looked up, whatever clients ask for; unless a miss is to be sent on")
    func offline() throws {
        try withTemporaryDirectory { directory in
            try record([("/a", Self.page)], in: directory)
            let origin = try RawOrigin(answering: [("\r\n\r\n", response("sent on"))])
            var traces: [String] = []
            for miss in ["404", "forward:http://127.0.0.1:\(origin.port)"] {
                let trace = directory + "/trace"
                let program = try RunningProgram(
                    "strace",
                    [
                        "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o", trace, toolDirectory + "/mitm-serve", "-p", "0",
                        "--confdir",
                        directory + "/conf", "--mode", "origin", "--mode", "regular", "--on-miss", miss, "capture.mflow",
                    ], in: directory)
                let line = try #require(program.errorLine(containing: "(origin)"))
                let proxyLine = try #require(program.errorLine(containing: "(regular)"))
                program.collectErrors()
                func port(_ line: String) -> Int {
                    line.split(separator: " ").compactMap { Int($0.split(separator: ":").last ?? "") }.first ?? 0
                }
                let url = "http://127.0.0.1:\(port(line))"
                let proxy = "http://127.0.0.1:\(port(proxyLine))"
                let found = try run(
                    "curl", ["-sS", "--max-time", "30", "-k", url + "/a", url.replacing("http:", with: "https:") + "/a"])
                #expect(found.output == "pagepage")
                _ = try run("curl", ["-s", "--max-time", "30", url + "/missing"])
                if miss == "404" {
                    for target in ["http://server.invalid/a", "https://server.invalid/a"] {
                        _ = try run("curl", ["-s", "-k", "--max-time", "30", "-x", proxy, target])
                    }
                }
                let children = try String(
                    contentsOfFile: "/proc/\(program.processID)/task/\(program.processID)/children", encoding: .utf8)
                kill(try #require(children.split(separator: " ").compactMap { Int32($0) }.first), SIGTERM)
                _ = program.waitForEnd()
                traces.append(try String(contentsOfFile: trace, encoding: .utf8))
            }
            let connections = traces.map {
                $0.split(separator: "\n").filter { $0.contains("connect(") || $0.contains("htons(53)") }.count
            }
            #expect(connections.first == 0)
            #expect(connections.last != 0)
        }
    }
}
