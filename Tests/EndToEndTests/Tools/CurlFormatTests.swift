// The commands of --format curl, run by shells: what they send through the recorder equals what was recorded.

import Foundation
import TestSupport
import Testing

@Suite("Commands of curl")
struct CurlFormatTests {
    @Test("Both shells send 200 hostile requests again as they were recorded")
    func hostileRequests() throws {
        try withTemporaryDirectory { directory in
            let origin = try RawOrigin { connection, _ in HostileRequest.answer(connection) }
            let requests = HostileRequest.all(port: origin.port)
            try Self.record(in: directory, "original.mflow") { recorder, socks in
                for request in requests { try request.send(recorder.port, socks) }
            }
            let recorded = try SentRequest.all("original.mflow", in: directory)
            try #require(recorded.count == requests.count)
            try FileManager.default.createDirectory(atPath: directory + "/bodies", withIntermediateDirectories: true)
            for group in ["socks", "proxy"] {
                let dump = try run(
                    "mitm-dump",
                    ["--format", "curl", "--bodies", "bodies", "-o", group + ".sh", "original.mflow", "~hq ^X-Group:.\(group)$"],
                    in: directory)
                #expect(dump == ProgramResult(status: 0, output: "", errors: ""))
            }
            let text = try Data(contentsOf: URL(filePath: directory + "/socks.sh"))
            // What a terminal shows: text and line ends, in UTF-8.
            #expect(String(validating: text, as: UTF8.self) != nil && !text.contains { $0 < 0x20 && $0 != 0x0A || $0 == 0x7F })
            for shell in ["dash", "bash"] {
                try Self.record(in: directory, shell + ".mflow") { recorder, socks in
                    for (script, proxy) in [
                        ("socks.sh", "ALL_PROXY=socks5h://127.0.0.1:\(socks)"),
                        ("proxy.sh", "http_proxy=http://127.0.0.1:\(recorder.port)"),
                    ] {
                        let result = try run("env", ["-u", "no_proxy", "-u", "NO_PROXY", proxy, shell, script], in: directory)
                        #expect(result.status == 0 && !result.errors.contains("curl:"), "\(result.errors.suffix(500))")
                    }
                }
                let sent = try SentRequest.all(shell + ".mflow", in: directory)
                #expect(sent.count == recorded.count)
                for (was, sent) in zip(recorded, sent) where was != sent {
                    Issue.record("\(shell): \(was)\nwas sent as\n\(sent)")
                    break
                }
            }
            #expect(!FileManager.default.fileExists(atPath: directory + "/owned"))
        }
    }

    @Test("Requests of HTTP/2 are sent again over TLS, by a command within a command")
    func http2() throws {
        try withTemporaryDirectory { directory in
            let origin = try Nginx(in: directory, http2: true)
            let script = """
                import sys, json
                entry = lambda method, path, headers, data: {"startedDateTime": "2026-01-01T00:00:00Z", "time": 1, "timings": {"send": 0, "wait": 1, "receive": 0},
                    "request": {"method": method, "url": "https://localhost:\(origin.https)/length" + path, "httpVersion": "h2", "headers": [{"name": n, "value": v} for n, v in headers],
                    **({"postData": {"mimeType": "text/plain", "text": data}} if data else {})}, "response": {"status": 0}}
                entries = [entry("GET", "/a?b=%20", [("x-case", "1"), ("user-agent", "it's"), ("x-empty", ""), ("cookie", "a=1"), ("cookie", "b=2")], ""),
                    entry("PUT", "/p", [("x-case", "2"), ("accept", "*/*"), ("x-shell", "$(touch owned)`touch owned`")], "@file 'quoted' é\\n"),
                    entry("POST", "/q", [("x-case", "3"), ("content-type", "text/plain"), ("content-length", "3")], "a\\u0000b")]
                json.dump({"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": entries}}, open("x.har", "w"))
                """
            try #require(try run("python3", ["-c", script], in: directory).status == 0)
            try Self.record(in: directory, "again.mflow") { recorder, _ in
                let path = "PATH=" + toolDirectory + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")
                let result = try run(
                    "env",
                    [
                        path, "https_proxy=http://127.0.0.1:\(recorder.port)", "CURL_CA_BUNDLE=" + recorder.authority, "sh", "-c",
                        #"sh -c "$(mitm-dump --format curl x.har)""#,
                    ], in: directory)
                #expect(result.status == 0 && result.output == "GET PUT 18POST 3", "\(result.errors)")
            }
            #expect(try SentRequest.all("x.har", in: directory) == SentRequest.all("again.mflow", in: directory))
            #expect(!FileManager.default.fileExists(atPath: directory + "/owned"))
        }
    }

    /// Runs a recorder with a regular proxy and one of SOCKS.
    private static func record(in directory: String, _ file: String, _ body: (_ recorder: Recorder, _ socks: Int) throws -> Void)
        throws
    {
        let recorder = try Recorder(
            ["--mode", "regular", "--mode", "socks5", "--insecure", "--no-validate-inbound-headers"], in: directory, file: file)
        let line = try #require(recorder.program.errorLine(containing: "(socks5)"))
        let socks = try #require(line.split(separator: " ").compactMap { Int($0.split(separator: ":").last ?? "") }.first)
        recorder.program.collectErrors()
        try body(recorder, socks)
        #expect(recorder.stop() == 0)
    }
}

/// A request whose head and content contain what shells, curl and printf treat specially.
private struct HostileRequest {
    let port: Int
    let isProxied: Bool
    let bytes: [UInt8]

    static func all(port: Int) -> [HostileRequest] {
        var random = SeededGenerator(seed: 7)
        return (0..<200).map { HostileRequest($0, port, &random) }
    }

    private init(_ number: Int, _ port: Int, _ random: inout SeededGenerator) {
        self.port = port
        isProxied = number % 8 == 7
        let body = Self.bodies[number % Self.bodies.count].map { $0(&random) }
        let methods = body == nil ? ["GET", "HEAD", "OPTIONS", "M-SEARCH", "DELETE", "POST"] : ["POST", "PUT", "GET", "REPORT"]
        let method = methods.randomElement(using: &random)!
        var target = Self.targets[number % Self.targets.count]
        if isProxied { target = Array("http://localhost:\(port)".utf8) + target }
        if method == "OPTIONS", !isProxied { target = Array("*".utf8) }
        var head = Array("\(method) ".utf8) + target + Array(" HTTP/1.\(number % 9 == 5 ? 0 : 1)\r\n".utf8)
        if number % 9 != 5 {
            let host = ["localhost:\(port)", "other.example", "LOCALHOST", "a'b"][number % 11 < 8 || isProxied ? 0 : number % 4]
            head += Array("\(number % 10 == 3 ? "host" : "Host"): \(host)\r\n".utf8)
        }
        head += Array("X-Group: \(isProxied ? "proxy" : "socks")\r\nX-Case: \(number)\r\n".utf8)
        for _ in 0..<Int.random(in: 0..<6, using: &random) { head += Self.field(&random) }
        if number % 3 == 0 { head += Array("User-Agent: \(number)\r\naccept:*/*  \r\nAccept: b\r\n".utf8) }
        guard let body else {
            bytes = head + Array("\(number % 5 == 2 ? "Content-Length: 0\r\n" : "")\r\n".utf8)
            return
        }
        if number % 2 == 0 { head += Array("Content-Type: text/\(number)\r\n".utf8) }
        if number % 9 != 5, number % 4 == 1 || body.isEmpty {
            head += Array("Transfer-Encoding: chunked\r\n\r\n".utf8)
            let chunk = body.isEmpty ? [] : Array(String(body.count, radix: 16).utf8) + [0x0D, 0x0A] + body + [0x0D, 0x0A]
            bytes = head + chunk + Array("0\r\n\r\n".utf8)
        } else {
            bytes = head + Array("\(number % 7 == 2 ? "content-length" : "Content-Length"): \(body.count)\r\n\r\n".utf8) + body
        }
    }

    private static let targets: [[UInt8]] =
        [
            "/", "/plain?a=b&c='d'", "/a/../b/./c", "/{x,y}[1-3]", "//double", "/?", "/p?q?", "/%e4%E4%00", "/#fragment", "/a#b?c",
            "/$(touch${IFS}owned)",
            "/`touch${IFS}owned`", "/\"quoted\"\\", "/;&|<>", "/user:pw@host/", "/!!", "/*?[a]", "/~", "/é", "/%", "/-X", "/@file",
            "/a=b,c+d",
        ].map { Array($0.utf8) } + [[0x2F, 0xFF, 0x80, 0x88], [0x2F, 0x81, 0x27, 0xE9]]

    private static let bodies: [(@Sendable (inout SeededGenerator) -> [UInt8])?] = [
        nil, { _ in Array("a=1&b='2'".utf8) }, nil, { _ in Array("@file".utf8) }, { _ in Array("line\n\ttab\r\nline\n\n".utf8) },
        { random in (0..<300).map { _ in UInt8.random(in: 0...255, using: &random) } }, nil,
        { _ in Array("-n --data %s\\n%d $(touch owned)".utf8) },
        { _ in Array("'''\\''\"`touch owned`${HOME}!!".utf8) }, { _ in [] }, { _ in Array(repeating: 0, count: 5) },
        { _ in Array(String(repeating: "é'\n", count: 600).utf8) }, nil,
        { random in (0..<40_000).map { _ in UInt8.random(in: 0...255, using: &random) } },
        { _ in Array(repeating: 0x78, count: 70_000) },
        { _ in Array("--b\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n50%\\x41\r\n--b--\r\n".utf8) },
    ]

    /// A line with a name and a value of odd bytes.
    private static func field(_ random: inout SeededGenerator) -> [UInt8] {
        let names = [
            "X-A", "x_b", "X.c", "X!#$%&'*+-.^`|~", "X-A", "Cookie", "Authorization", "Referer", "x-y", "X`touch$IFS`", "Range",
        ]
        let values: [[UInt8]] =
            [
                "", " ", "plain", "@/etc/passwd", "'", "\"", "\\", "$(touch owned)", "`touch owned`", "${HOME}", "!!", "%s%n", "a;",
                ";",
                "é 日本", "\u{202E}abc", "-x", "--data @x", "a\tb", "  spaced  ", "*", "~", "#", "a'b'c", "{}[]",
            ].map { Array($0.utf8) } + [
                [0xFF, 0xFE], (1..<0x20).filter { $0 != 0x0A && $0 != 0x0D } + [0x41, 0x7F], Array(0x80...0xFF), [0xE9],
                [0x81, 0x88],
                Array(repeating: 0x27, count: 100), Array(repeating: 0x61, count: 8000),
            ]
        let value =
            values.randomElement(using: &random)! + (Bool.random(using: &random) ? values.randomElement(using: &random)! : [])
        let separator = [":", ": ", ":  "].randomElement(using: &random)!
        return Array((names.randomElement(using: &random)! + separator).utf8) + value + [0x0D, 0x0A]
    }

    /// Sends the request through the recorder and waits for the end of the answer.
    func send(_ proxy: Int, _ socks: Int) throws {
        let connection = try RawConnection(port: isProxied ? proxy : socks)
        if !isProxied {
            connection.send(bytes: [5, 1, 0])
            _ = connection.read()
            connection.send(bytes: [5, 1, 0, 3, 9] + Array("localhost".utf8) + [UInt8(port >> 8), UInt8(port & 0xFF)])
            _ = connection.read()
        }
        connection.send(bytes: bytes)
        _ = connection.readToEnd()
    }

    /// Reads one request to its end and answers it.
    static func answer(_ connection: RawConnection) {
        var bytes: [UInt8] = []
        while !isWhole(bytes), case .bytes(let more) = connection.receive(before: .now + .seconds(10)) { bytes += more }
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    }

    private static func isWhole(_ bytes: [UInt8]) -> Bool {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return false }
        let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).lowercased()
        let content = bytes[end.upperBound...]
        if head.contains("\r\ntransfer-encoding: chunked") { return content.suffix(5).elementsEqual("0\r\n\r\n".utf8) }
        let length = head.split(separator: "\r\ncontent-length:").dropFirst().first?.split(separator: "\r\n").first
        return content.count >= length.flatMap { Int($0.trimmingCharacters(in: .whitespaces)) } ?? 0
    }
}

/// What of a recorded request has to be equal. The places of Host and Content-Length are curl's own, the case of Host, and the chunks of content.
private struct SentRequest: Equatable, CustomStringConvertible {
    let line: [String]
    let fields: [String]
    let framing: Set<String>
    let content: String

    static func all(_ file: String, in directory: String) throws -> [SentRequest] {
        let lines = try run("mitm-dump", ["--json", "--raw-body", file], in: directory).output.split(separator: "\n")
        let requests = try lines.map { line in
            let flow = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            return try SentRequest(#require(flow["request"] as? [String: Any]))
        }
        return requests.sorted { $0.number < $1.number }
    }

    private init(_ request: [String: Any]) throws {
        line = ["method", "path_base64", "path", "version", "authority"].map { request[$0] as? String ?? "" }
        let pairs = try #require((request["headers_base64"] ?? request["headers"]) as? [[String]])
        let isBase64 = request["headers_base64"] != nil
        func plain(_ text: String) -> String {
            isBase64 ? String(Data(base64Encoded: text)!.map { Character(UnicodeScalar($0)) }) : text
        }
        let all = pairs.map { (name: plain($0[0]), value: plain($0[1])) }
        let own: Set<String> = ["host", "content-length"]
        fields = all.filter { !own.contains($0.name.lowercased()) }.map { $0.name + ": " + $0.value }
        framing = Set(all.filter { own.contains($0.name.lowercased()) }.map { $0.name.lowercased() + ": " + $0.value })
        content = (request["body"] as? [String: Any])?["base64"] as? String ?? ""
    }

    private var number: Int {
        fields.first { $0.lowercased().hasPrefix("x-case: ") }.flatMap { Int($0.dropFirst(8)) } ?? 0
    }

    var description: String { "\(line) \(framing) \(fields) \(content.prefix(200))" }
}
