// Real clients and their servers are recorded; then the servers are gone, and the same clients get the same from mitm-serve.

import Foundation
import Glibc
import TestSupport
import Testing

/// A Python peer, and the ports that it listens on.
private func peer(_ arguments: [String], in directory: String) throws -> (program: RunningProgram, ports: [Int]) {
    let program = try RunningProgram(python, arguments, in: directory)
    let line = try #require(program.errorLine(containing: "listening on "))
    program.collectErrors()
    return (program, line.split(separator: " ").compactMap { Int($0) })
}

private func end(_ program: RunningProgram) {
    // Threads of tests block the other signals, and their children inherit that.
    program.send(SIGKILL)
    _ = program.waitForEnd()
}

private func makeCertificate(in directory: String) throws {
    let made = try run(
        "openssl",
        [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out",
            "cert.pem", "-days", "2",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ], in: directory)
    guard made.status == 0 else { throw TestFailure("no certificate: \(made.errors)") }
}

@Suite("Clients of servers that are gone")
struct ServePeersTests {
    enum Transport: String, CaseIterable, CustomTestStringConvertible, Sendable {
        case http1 = "over HTTP/1"
        case h2c = "over HTTP/2 without TLS"
        case tls = "over TLS, with HTTP/2"
        var testDescription: String { rawValue }

        var curl: String {
            switch self {
            case .http1: "--http1.1"
            case .h2c: "--http2-prior-knowledge"
            case .tls: "--http2"
            }
        }
    }

    private static let requests: [[String]] = [
        ["/a.json"], ["-I", "/a.json"], ["/large"], ["/missing"], ["/redirect"], ["/empty"], ["-d", "a=b", "/length"],
        ["-r", "1000-1999", "/large"],
        ["--compressed", "/a.json?x"], ["-T", "www/large", "/length"], ["-X", "M-SEARCH", "/length"],
        ["/a.json", "--next", "/a.json"],
    ]

    /// The answer that curl gets to each request: head, body, version.
    private static func ask(_ base: String, _ transport: Transport, in directory: String) throws -> [String] {
        // curl 7.88 does not reuse a connection of prior knowledge with any server.
        try requests.filter { transport != .h2c || !$0.contains("--next") }.map { arguments in
            let options = [
                "-sS", "-i", "--max-time", "20", "--cacert", "conf/mitm-ca-cert.pem", "-H", "Host: origin.example", "-w",
                "%{http_version} %{num_connects}",
                transport.curl,
            ]
            var arguments = arguments
            if let next = arguments.firstIndex(of: "--next") {
                arguments.replaceSubrange(next...(next + 1), with: [base + arguments[next + 1]])
            }
            let paths = arguments.map { $0.hasPrefix("/") ? base + $0 : $0 }
            let result = try run("curl", options + paths, in: directory)
            return "\(result.status) \(result.output)"
        }
    }

    @Test("curl gets the same head and body from the recording as from nginx", arguments: Transport.allCases)
    func curl(_ transport: Transport) throws {
        try withTemporaryDirectory { directory in
            var expected: [String] = []
            do {
                let nginx = try Nginx(in: directory, http2: true)
                try "{\"hello\":\"world\"}\n".write(toFile: directory + "/www/a.json", atomically: true, encoding: .utf8)
                try (0..<100_000).map { "\($0)\n" }.joined().write(
                    toFile: directory + "/www/large", atomically: true, encoding: .utf8)
                let mode =
                    switch transport {
                    case .http1: "http://127.0.0.1:\(nginx.http)"
                    case .h2c: "h2c://127.0.0.1:\(nginx.h2c)"
                    case .tls: "https://localhost:\(nginx.https)"
                    }
                let recorder = try Recorder(
                    ["--mode", "reverse:" + mode, "--keep-host-header", "--ca-file", nginx.authority], in: directory)
                recorder.program.collectErrors()
                expected = try Self.ask(
                    (transport == .tls ? "https://localhost:" : "http://127.0.0.1:") + "\(recorder.port)", transport, in: directory)
                #expect(recorder.stop() == 0)
            }
            // In origin mode by whatever name; as a reverse proxy by the server's.
            let host = transport == .tls ? "--ignore=host" : "--order=sequence"
            let replayer = try Replayer(["--no-refresh", host], in: directory)
            let actual = try Self.ask(
                (transport == .tls ? "https://localhost:" : "http://127.0.0.1:") + "\(replayer.port)", transport, in: directory)
            #expect(actual == expected)
            let failed = actual.filter { !$0.hasPrefix("0 HTTP/") }
            #expect(failed == [])
            #expect(replayer.stop().last?.hasSuffix(" 0 missed, 0 streams, 0 faults") == true)
        }
    }

    @Test("Python's httpx gets the same answers over HTTP/2, to many concurrent requests too", arguments: [false, true])
    func httpx(_ isTLS: Bool) throws {
        try withTemporaryDirectory { directory in
            func ask(_ port: Int) throws -> [String] {
                let base = isTLS ? "https://localhost:\(port)" : "http://127.0.0.1:\(port)"
                let authority = isTLS ? [directory + "/conf/mitm-ca-cert.pem"] : []
                let result = try run(python, [peerScript("httpx_client.py"), base] + authority, in: directory)
                #expect(result.status == 0, "\(result.errors)")
                return result.output.split(separator: "\n").map(String.init)
            }
            var expected: [String] = []
            do {
                let nginx = try Nginx(in: directory, http2: true)
                try "{\"hello\":\"world\"}\n".write(toFile: directory + "/www/a.json", atomically: true, encoding: .utf8)
                try (0..<100_000).map { "\($0)\n" }.joined().write(
                    toFile: directory + "/www/large", atomically: true, encoding: .utf8)
                let mode = isTLS ? "https://localhost:\(nginx.https)" : "h2c://127.0.0.1:\(nginx.h2c)"
                let recorder = try Recorder(
                    ["--mode", "reverse:" + mode, "--keep-host-header", "--ca-file", nginx.authority], in: directory)
                recorder.program.collectErrors()
                expected = try ask(recorder.port)
                #expect(expected.count == 59 && recorder.stop() == 0)
            }
            let replayer = try Replayer(["--no-refresh", "--ignore", "host"], in: directory)
            let actual = try ask(replayer.port)
            #expect(actual == expected)
            #expect(replayer.stop().last == "59 requests answered, 0 missed, 0 streams, 0 faults")
        }
    }

    @Test("A large response reaches a client with a large window, and one behind a proxy, completely")
    func large() throws {
        try withTemporaryDirectory { directory in
            let size = 24 << 20
            let head = "HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n"
            try record(
                [("/large", head + String(repeating: "0123456789abcdef", count: size / 16))], curl: ["-o", "recorded"],
                in: directory)
            let replayer = try Replayer(["--mode", "origin@127.0.0.1:0", "-v"], in: directory)
            for version in ["--http1.1", "--http2-prior-knowledge"] {
                let result = try replayer.curl([version, "-o", "served", "-w", "%{size_download}", replayer.url + "/large"])
                #expect(result == ProgramResult(status: 0, output: "\(size)", errors: ""), "\(version)")
                #expect(try run("cmp", ["recorded", "served"], in: directory).status == 0)
            }
            let nghttp = try run("nghttp", ["-n", "-s", "-w", "25", "-W", "25", replayer.url + "/large"], in: directory)
            #expect(nghttp.output.contains(" 200 "))
            // Debug builds and the sanitisers of tests included: bodies are not laid up.
            #expect(replayer.program.peakMemory < 100 << 20)
            _ = replayer.stop()
        }
    }

    /// The recorded server, with a client of HTTP/1, and the later client.
    @Test(
        "WebSocket clients of either HTTP version get the same messages, from a recording of either version",
        arguments: [
            ("websocket_peer.py", "websocket_peer.py"), ("websocket_peer.py", "websocket_h2_peer.py"),
            ("websocket_h2_peer.py", "websocket_peer.py"),
            ("websocket_h2_peer.py", "websocket_h2_peer.py"),
        ])
    func webSocket(_ recorded: String, _ asking: String) throws {
        try withTemporaryDirectory { directory in
            let server = try peer([peerScript(recorded), "server"], in: directory)
            let port = try #require(server.ports.first)
            let mode = recorded == "websocket_peer.py" ? "http" : "h2c"
            let recorder = try Recorder(["--mode", "reverse:\(mode)://127.0.0.1:\(port)"], in: directory)
            recorder.program.collectErrors()
            func talk(_ client: String, _ port: Int) throws -> String {
                let target = client == "websocket_peer.py" ? "ws://127.0.0.1:\(port)/" : "\(port)"
                let result = try run(python, [peerScript(client), "client", target], in: directory)
                #expect(result.errors == "")
                return result.output
            }
            let expected = try talk("websocket_peer.py", recorder.port)
            #expect(expected.contains("deflate 1000 bye"))
            #expect(recorder.stop() == 0)
            end(server.program)
            let replayer = try Replayer([], in: directory)
            let actual = try talk(asking, replayer.port)
            #expect(actual == expected)
            let log = replayer.stop()
            #expect(log.filter { $0.contains("where the recording has") } == [])
        }
    }

    @Test("gRPC calls have the same results", arguments: [false, true])
    func grpc(_ isTLS: Bool) throws {
        try withTemporaryDirectory { directory in
            try makeCertificate(in: directory)
            let server = try peer([peerScript("grpc_peer.py"), "server", "cert.pem", "key.pem"], in: directory)
            let port = try #require(isTLS ? server.ports.last : server.ports.first)
            let mode = isTLS ? "https://localhost:\(port)" : "h2c://127.0.0.1:\(port)"
            let recorder = try Recorder(["--mode", "reverse:" + mode, "--ca-file", "cert.pem"], in: directory)
            recorder.program.collectErrors()
            func ask(_ port: Int) throws -> [String] {
                let target = (isTLS ? "localhost:" : "127.0.0.1:") + "\(port)"
                let result = try run(
                    python,
                    [peerScript("grpc_peer.py"), "repeatable", target] + (isTLS ? [directory + "/conf/mitm-ca-cert.pem"] : []),
                    in: directory)
                #expect(result.status == 0, "\(result.errors)")
                return result.output.split(separator: "\n").map(String.init)
            }
            let expected = try ask(recorder.port)
            #expect(expected.count == 110)
            #expect(recorder.stop() == 0)
            end(server.program)
            let replayer = try Replayer([], in: directory)
            let actual = try ask(replayer.port)
            #expect(actual == expected)
            #expect(replayer.stop().filter { $0.contains("differ") || $0.contains("no recording") } == [])
        }
    }

    @Test("redis-cli gets the same answers")
    func redis() throws {
        try withTemporaryDirectory { directory in
            let port = try Nginx.freePort()
            let server = try RunningProgram(
                "bash", ["-c", "exec redis-server --bind 127.0.0.1 --port \(port) --save '' --appendonly no >&2"], in: directory)
            try #require(server.errorLine(containing: "Ready to accept connections") != nil)
            server.collectErrors()
            let recorder = try Recorder(["--mode", "reverse:tcp://127.0.0.1:\(port)"], in: directory)
            recorder.program.collectErrors()
            func ask(_ port: Int, _ commands: String) throws -> String {
                let result = try run("redis-cli", ["-h", "127.0.0.1", "-p", "\(port)"], input: Data(commands.utf8), in: directory)
                #expect(result.status == 0)
                return result.output
            }
            let large = String(repeating: "0123456789", count: 30_000)
            let sessions = [
                "FLUSHALL\nSET greeting hello\nGET greeting\nSET large \(large)\nGET large\nNOSUCH\n",
                "INCR count\nINCR count\nKEYS *\n",
            ]
            let expected = try sessions.map { try ask(recorder.port, $0) }
            #expect(recorder.stop() == 0)
            end(server)
            // Both begin with the same question, so they are asked in the order of the recording.
            for modes in [["--mode", "tcp"], ["--mode", "reverse:tcp://127.0.0.1:\(port)"]] {
                let replayer = try Replayer(modes, in: directory)
                let actual = try sessions.map { try ask(replayer.port, $0) }
                #expect(actual == expected)
                #expect(replayer.stop().filter { $0.contains("differ") } == [])
            }
        }
    }

    @Test("A mail server that speaks first, and whose TLS begins in the middle, is played to its client")
    func startTLS() throws {
        try withTemporaryDirectory { directory in
            try makeCertificate(in: directory)
            let server = try peer([peerScript("smtp_peer.py"), "server", "cert.pem", "key.pem"], in: directory)
            let port = try #require(server.ports.first)
            let recorder = try Recorder(["--mode", "reverse:tcp://localhost:\(port)", "--ca-file", "cert.pem"], in: directory)
            recorder.program.collectErrors()
            func send(_ port: Int) throws -> ProgramResult {
                try run(
                    python, [peerScript("smtp_peer.py"), "client", "\(port)", directory + "/conf/mitm-ca-cert.pem"], in: directory)
            }
            let sent = ProgramResult(status: 0, output: "sent\n", errors: "")
            #expect(try send(recorder.port) == sent)
            _ = server.program.waitForEnd()
            #expect(recorder.stop() == 0)
            let replayer = try Replayer(["--mode", "tcp"], in: directory)
            #expect(try send(replayer.port) == sent)
            #expect(replayer.stop().last == "0 requests answered, 0 missed, 1 streams, 0 faults")
        }
    }

    @Test("Through a proxy, and as a reverse proxy, hosts are those of the recording")
    func proxies() throws {
        try withTemporaryDirectory { directory in
            try record([("/a", response("page"))], curl: ["-H", "Host: api.example"], in: directory)
            let proxy = try Replayer(["--mode", "regular"], in: directory)
            func ask(_ url: String, _ more: [String] = []) throws -> String {
                try run(
                    "curl",
                    [
                        "-s", "-w", " %{http_code}", "--max-time", "20", "-o", "-", "--cacert", "conf/mitm-ca-cert.pem", "-x",
                        proxy.url,
                    ] + more + [url], in: directory
                ).output
            }
            #expect(try ask("http://api.example/a") == "page 200")
            #expect(try ask("https://api.example/a") == "page 200")
            #expect(try ask("http://other.example/a").hasSuffix(" 404"))
            _ = proxy.stop()
            // Recorded as a reverse proxy of a server with a name, whatever its clients called it.
            let origin = try RawOrigin(answering: [("\r\n\r\n", response("named"))])
            let recorder = try Recorder(["--mode", "reverse:http://localhost:\(origin.port)"], in: directory, file: "named.mflow")
            recorder.program.collectErrors()
            #expect(try run("curl", ["-s", "-H", "Host: alias.example", "http://127.0.0.1:\(recorder.port)/a"]).output == "named")
            #expect(recorder.stop() == 0)
            let reverse = try Replayer(["--mode", "reverse:http://localhost:1"], in: directory, file: "named.mflow")
            #expect(try [reverse.ask("/a"), reverse.ask("/a", ["-H", "Host: another.example"])] == ["named 200", "named 200"])
            _ = reverse.stop()
        }
    }

    @Test("Errors, cuts and resets are given as they were recorded")
    func failures() throws {
        try withTemporaryDirectory { directory in
            let cut = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
            let origins = [
                try RawOrigin(answering: [("\r\n\r\n", cut)]),
                try RawOrigin(answering: [("\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")]),
                try RawOrigin(answering: [("\r\n\r\n", cut)], resets: true), try RawOrigin(answering: [("\r\n\r\n", "")]),
                try RawOrigin(answering: [("\r\n\r\n", response("no", status: "503 Busy"))]),
            ]
            func ask(_ port: Int, _ number: Int) throws -> ProgramResult {
                try run("curl", ["-s", "-i", "--max-time", "20", "http://127.0.0.1:\(port)/\(number)"], in: directory)
            }
            var recorded: [ProgramResult] = []
            for (number, origin) in origins.enumerated() {
                let recorder = try Recorder(["--mode", "reverse:http://127.0.0.1:\(origin.port)"], in: directory)
                recorder.program.collectErrors()
                recorded.append(try ask(recorder.port, number))
                #expect(recorder.stop() == 0)
            }
            let replayer = try Replayer([], in: directory)
            let replayed = try origins.indices.map { try ask(replayer.port, $0) }
            let (statuses, again) = (recorded.map(\.status), replayed.map(\.status))
            // CURLE_PARTIAL_FILE, CURLE_RECV_ERROR. The recorder answers 502 if its server does not answer; a replayed server does not answer either.
            #expect(statuses == [18, 18, 56, 0, 0])
            #expect(again == [18, 18, 56, 52, 0])
            // The bytes before the cut, or the reset, arrive.
            #expect(replayed.prefix(3).map(\.output) == recorded.prefix(3).map(\.output))
            #expect(replayed.prefix(3).allSatisfy { $0.output.hasSuffix("abc") })
            _ = replayer.stop()
        }
    }
}
