// mitm-replay sends recordings to the same server, and to one that answers differently.

import Foundation
import TestSupport
import Testing

@Suite("Replays")
struct ReplayTests {
    /// nginx with pages, and a recording of curl's way through them by HTTP/1 and HTTP/2.
    private func withRecording(_ body: (String, Nginx) throws -> Void) throws {
        try withTemporaryDirectory { directory in
            let nginx = try Nginx(in: directory, http2: true)
            for (name, text) in [("a.json", #"{"items":[{"price":12}],"at":1}"#), ("b", "one\ntwo\n")] {
                try text.write(toFile: directory + "/www/" + name, atomically: true, encoding: .utf8)
            }
            let recorder = try Recorder(["--ca-file", nginx.authority], in: directory)
            recorder.program.collectErrors()
            let plain = "http://127.0.0.1:\(nginx.http)"
            let secure = "https://localhost:\(nginx.https)"
            _ = try recorder.curl(["\(plain)/a.json", "\(plain)/b", "\(plain)/empty"])
            _ = try recorder.curl(["-I", "\(plain)/a.json"])
            _ = try recorder.curl(["--data-binary", "hello", "\(plain)/length"])
            _ = try recorder.curl([
                "--http2", "--parallel", "\(secure)/a.json", "\(secure)/b", "\(secure)/missing", "\(secure)/redirect",
            ])
            #expect(recorder.stop() == 0)
            try body(directory, nginx)
        }
    }

    private func replay(_ arguments: [String], in directory: String) throws -> ProgramResult {
        try run("mitm-replay", arguments + ["--confdir", directory + "/conf"], in: directory)
    }

    private static let ok = response("ok")

    /// The line of the counts on stderr.
    private func counts(_ result: ProgramResult) -> String? {
        eventLog(result.errors).first { $0.contains(" sent") }
    }

    @Test(
        "The same server answers the same, by HTTP/1 and HTTP/2; the differences of a changed one are reported, with status 1")
    func diff() throws {
        try withRecording { directory, nginx in
            let arguments = [
                "--allow-target", "localhost", "--allow-target", "127.0.0.1:\(nginx.http)", "--ca-file", nginx.authority, "--diff",
                "capture.mflow",
            ]
            let same = try replay(arguments + ["-w", "again.mflow"], in: directory)
            #expect(same.output == "")
            #expect(same.status == 0)
            #expect(counts(same) == "9 sent, 9 the same, 0 different, 0 failed, 0 left out")
            let again = try JSONObject.lines(try run("mitm-dump", ["--format", "json", "again.mflow"], in: directory).output)
            let versions = Set(again.map { "\($0["request.version"] ?? "") \($0["server.tls.alpn"] ?? "-") \($0["state"] ?? "")" })
            #expect(again.count == 9 && versions == ["HTTP/1.1 - complete", "HTTP/2 h2 complete"])

            // The same length and age, so that only the content differs.
            try #"{"items":[{"price":13}],"at":2}"#.write(toFile: directory + "/www/a.json", atomically: false, encoding: .utf8)
            let ignored = ["--ignore", "header:last-modified", "--ignore", "header:etag"]
            let changed = try replay(arguments + ignored + ["-q", "--timing", "max"], in: directory)
            #expect(changed.status == 1)
            let secure = "GET https://localhost:\(nginx.https)/a.json"
            let plain = "GET http://127.0.0.1:\(nginx.http)/a.json"
            let lines = changed.output.split(separator: "\n").map(String.init)
            #expect(Set(lines) == [secure, plain, "  body: $.at: 1 → 2", "  body: $.items[0].price: 12 → 13"])
            let narrowed = try replay(arguments + ignored + ["-q", "--ignore", "json:$.at", "--timing", "max"], in: directory)
            #expect(
                Set(narrowed.output.split(separator: "\n").dropFirst().map(String.init)).contains(
                    "  body: $.items[0].price: 12 → 13"))
        }
    }

    @Test(
        "Another target gets everything; without leave nothing is sent; a server that is not there is status 2")
    func targets() throws {
        try withRecording { directory, nginx in
            let other = try replay(
                ["--target", "h2c://127.0.0.1:\(nginx.h2c)", "--diff", "--filter", "~u b$", "--timing", "max", "capture.mflow"],
                in: directory)
            #expect(other.status == 0)
            #expect(counts(other) == "2 sent, 2 the same, 0 different, 0 failed, 0 left out")
            let refused = try replay(["--allow-target", "localhost", "capture.mflow"], in: directory)
            #expect(refused.status == 2)
            #expect(
                refused.errors
                    == "mitm-replay: nothing was sent: the recording goes to 127.0.0.1:\(nginx.http), which may not be contacted; give another server with --target URL, or allow the recorded servers with --allow-target PATTERN\n"
            )
            let nothing = try replay(
                ["--target", "http://127.0.0.1:1", "--filter", "~u nothing", "--diff", "capture.mflow"], in: directory)
            #expect(nothing.status == 1 && nothing.output == "")
            #expect(eventLog(nothing.errors) == ["0 sent, 0 the same, 0 different, 0 failed, 0 left out"])
            let careful = try replay(
                ["--target", "http://127.0.0.1:1", "--safe-methods", "--timing", "max", "capture.mflow"], in: directory)
            #expect(careful.status == 2)
            #expect(counts(careful) == "8 sent, 8 failed, 1 left out")
            #expect(careful.errors.contains("1 left out: the method is not safe (--safe-methods)"))
        }
    }

    @Test("mitm-serve answers as recorded: the recorded client, sent to the recorded server, finds no difference")
    func served() throws {
        try withRecording { directory, _ in
            let server = try RunningProgram(
                "mitm-serve", ["--mode", "origin@127.0.0.1:0", "--confdir", directory + "/conf", "capture.mflow"], in: directory)
            let line = try #require(server.errorLine(containing: "listening on "))
            server.collectErrors()
            let port = try #require(line.split(separator: " ").compactMap { Int($0.split(separator: ":").last ?? "") }.first)
            let result = try replay(
                [
                    "--target", "https://localhost:\(port)", "--ca-file", directory + "/conf/mitm-ca-cert.pem", "--diff",
                    "--timing",
                    "max", "capture.mflow",
                ], in: directory)
            #expect(result.output == "")
            #expect(counts(result) == "9 sent, 9 the same, 0 different, 0 failed, 0 left out")
            server.send(SIGTERM)
            #expect(server.waitForEnd() == 0)
        }
    }

    @Test(
        "A terminal shows progress below the output; a long schedule is announced first",
        .enabled(if: hasTerminals, "there are no pseudo-terminals here: /dev/pts is not mounted"))
    func progress() throws {
        try withRecording { directory, nginx in
            let tool = toolDirectory + "/mitm-replay"
            let arguments = "--target h2c://127.0.0.1:\(nginx.h2c) --rate 3/s capture.mflow --confdir conf"
            // script gives it a terminal.
            let shown = try run("script", ["-qec", "\(tool) \(arguments)", "/dev/null"], in: directory)
            #expect(shown.status == 0)
            let lines = shown.output.split(whereSeparator: { $0 == "\r" || $0 == "\n" || $0 == "\r\n" }).map(String.init)
            #expect(lines.first.map(eventLog) == ["9 flows, which take 2 s at this rate"])
            #expect(lines.contains { $0.hasPrefix("5 of 9 sent, ") && $0.hasSuffix(" left\u{1B}[K") }, "\(lines)")
            #expect(lines.contains { $0.hasSuffix(" 9 sent") }, "\(lines)")
            // Anything else gets lines only.
            let piped = try replay(["--target", "h2c://127.0.0.1:\(nginx.h2c)", "--rate", "3/s", "capture.mflow"], in: directory)
            #expect(!piped.errors.contains("\r") && !piped.errors.contains("\u{1B}"))
            let log = eventLog(piped.errors)
            #expect(log.first == "9 flows, which take 2 s at this rate" && log.dropFirst().first?.hasPrefix("GET ") == true)
        }
    }

    @Test("Content of an imported request that looks like a request stays content, whatever framing the file has")
    func importedFraming() throws {
        let content = "DELETE /x HTTP/1.1\r\nHost: a.example\r\n\r\n"
        let framings: [[String: String]] = [
            [:], ["Transfer-Encoding": "identity"], ["Content-Length": "0"], ["Content-Length": "6,219"],
        ]
        for fields in framings {
            try withTemporaryDirectory { directory in
                let headers = [["name": "Host", "value": "a.example"]] + fields.map { ["name": $0.key, "value": $0.value] }
                let request: [String: Any] = [
                    "method": "GET", "url": "http://a.example/a", "httpVersion": "HTTP/1.1", "headers": headers,
                    "postData": ["mimeType": "text/plain", "text": content],
                ]
                let response: [String: Any] = [
                    "status": 200, "statusText": "OK", "httpVersion": "HTTP/1.1", "headers": [[String: String]](),
                    "content": ["size": 0, "mimeType": ""],
                ]
                let entry: [String: Any] = [
                    "startedDateTime": "2024-01-01T00:00:00.000Z", "time": 1, "request": request, "response": response,
                ]
                let file = try JSONSerialization.data(withJSONObject: ["log": ["version": "1.2", "entries": [entry]]])
                try file.write(to: URL(fileURLWithPath: directory + "/in.har"))
                let origin = try RawOrigin(answering: [(content, Self.ok), ("GET", Self.ok)])
                let result = try replay(
                    ["--target", "http://127.0.0.1:\(origin.port)", "--safe-methods", "--timing", "max", "in.har"], in: directory)
                #expect(counts(result) == "1 sent")
                let parts = origin.log.components(separatedBy: "\r\n\r\n")
                #expect(parts.count == 3 && parts[0].hasPrefix("GET /a HTTP/1.1\r\n"))
                let framing = parts[0].components(separatedBy: "\r\n").filter {
                    $0.lowercased().hasPrefix("content-length:") || $0.lowercased().hasPrefix("transfer-encoding:")
                }
                #expect(framing.map { $0.lowercased() } == ["content-length: \(content.utf8.count)"], "\(fields)")
            }
        }
    }

    @Test("WebSocket and TCP conversations are held again")
    func conversations() throws {
        try withTemporaryDirectory { directory in
            let script = peerScript("websocket_peer.py")
            let server = try RunningProgram(python, [script, "server"], in: directory)
            let line = try #require(server.errorLine(containing: "listening on "))
            server.collectErrors()
            let port = try #require(line.split(separator: " ").compactMap { Int($0) }.first)
            for mode in ["http", "tcp"] {
                let recorder = try Recorder(
                    ["--mode", "reverse:\(mode)://127.0.0.1:\(port)", "--websocket-ping", "relay"], in: directory,
                    file: mode + ".mflow")
                recorder.program.collectErrors()
                _ = try run(python, [script, "client", "ws://127.0.0.1:\(recorder.port)/"], in: directory)
                #expect(recorder.stop() == 0)
            }
            let messages = try replay(
                ["--target", "http://127.0.0.1:\(port)", "--diff", "--timing", "max", "http.mflow"], in: directory)
            #expect(messages.output == "")
            #expect(counts(messages) == "3 sent, 3 the same, 0 different, 0 failed, 0 left out")
            // The bytes of a conversation are the same when its key is, but for the time of the answer, which does not change their number.
            let bytes = try replay(
                ["--target", "tcp://127.0.0.1:\(port)", "--diff", "--timing", "max", "tcp.mflow"], in: directory)
            let differences = bytes.output.split(separator: "\n").filter {
                $0.hasPrefix("  ") && !$0.contains("Date: ") && !$0.contains(" (of ")
            }
            #expect(differences == [])
            #expect(bytes.errors.contains("3 sent"))
            server.send(SIGKILL)
            _ = server.waitForEnd()
        }
    }
}
