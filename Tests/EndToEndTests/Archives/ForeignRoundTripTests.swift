// Files of other programs through all tools: imported, served, sent again, exported, imported again. Bytes are the same everywhere, or what is lost is
// noted.

import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("Files of other programs from import to export")
struct ForeignRoundTripTests {
    private static let formats: [(name: String, fixtures: [ForeignFixture])] = [
        ("har", HARFixtures.all), ("mitm", MitmproxyFixtures.all),
    ]

    /// Lays all files down and imports each.
    private func withImported(_ format: Int, _ body: (String, [ForeignFixture]) throws -> Void) throws {
        let (name, fixtures) = Self.formats[format]
        try withTemporaryDirectory { directory in
            for (index, fixture) in fixtures.enumerated() {
                try fixture.file.write(to: URL(fileURLWithPath: "\(directory)/\(index).\(name)"))
                let imported = try run("mitm-filter", ["-o", "\(index).mflow", "~all", "\(index).\(name)"], in: directory)
                #expect(imported.status == 0, "\(fixture.name): \(imported.errors)")
                let line =
                    "mitm-filter: \(index).\(name): entries without a time that can be read: 1; each has the time of the entry before it\n"
                #expect(imported.errors == (fixture.name == "untimed" ? line : ""), "\(fixture.name)")
            }
            try body(directory, fixtures)
        }
    }

    private func flow(_ file: String, in directory: String) throws -> JSONObject {
        let printed = try run("mitm-dump", ["--format", "json", "--raw-body", file], in: directory)
        return try #require(try JSONObject.lines(printed.output).first, "\(file): \(printed.errors)")
    }

    @Test("What was changed is noted, and nothing else is", arguments: [0, 1])
    func notes(format: Int) throws {
        try withImported(format) { directory, fixtures in
            for (index, fixture) in fixtures.enumerated() {
                let flow = try flow("\(index).mflow", in: directory)
                let notes = (0..<flow.count("notes")).map { flow["notes.\($0).message"] ?? "" }
                #expect(notes == fixture.notes, "\(fixture.name)")
            }
        }
    }

    @Test(
        "A client gets the content and one framing, by HTTP/1 on one connection and by HTTP/2; what is cut shows as cut",
        arguments: [0, 1], ["--http1.1", "--http2-prior-knowledge"])
    func served(format: Int, version: String) throws {
        try withImported(format) { directory, fixtures in
            let replayer = try Replayer(
                ["--match-body", "none"] + (1..<fixtures.count).map { "\($0).mflow" }, in: directory, file: "0.mflow")
            let asked = fixtures.enumerated().map { index, fixture in
                // A client must know of HEAD; everything else is known by the framing.
                let method = fixture.method == "HEAD" ? ["--head"] : ["-X", fixture.method]
                return [
                    "-s", "--max-time", "30", version, "-w", "%{exitcode} %{http_code}\n", "-o", "\(index).body", "-D",
                    "\(index).head",
                ]
                    + method + ["\(replayer.url)/\(fixture.name)"]
            }
            // By HTTP/1 all on one connection, as far as it goes; curl cannot take up one of HTTP/2 that it began by prior knowledge.
            let runs = version == "--http1.1" ? [Array(asked.joined(separator: ["--next"]))] : asked
            let output = try runs.map { try run("curl", $0, in: directory).output }.joined()
            let lines = output.split(separator: "\n").map(String.init)
            _ = replayer.stop()
            try #require(lines.count == fixtures.count)
            for (index, fixture) in fixtures.enumerated() {
                let told = "\(fixture.name): \(lines[index])"
                let whole = lines[index].hasPrefix("0 ")
                #expect(whole == (fixture.served != nil), "\(told)")
                if whole { #expect(lines[index] == "0 \(fixture.status)", "\(told)") }
                guard let expected = fixture.served else { continue }
                let body = (try? Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(index).body"))) ?? Data()
                if fixture.method != "HEAD" { #expect(Array(body) == expected.asBytes, "\(told)") }
                let head = Self.fields(try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(index).head")))
                let framing = head.filter { $0.hasPrefix("content-length: ") || $0.hasPrefix("transfer-encoding: ") }
                #expect(framing.count <= 1, "\(told): \(framing)")
                guard version == "--http1.1" else { continue }
                for field in fixture.fields { #expect(head.contains(field), "\(told): \(head)") }
            }
        }
    }

    /// The field lines, names in lower case.
    private static func fields(_ head: Data) -> [String] {
        let text = String(String.UnicodeScalarView(head.map { Unicode.Scalar($0) }))
        return text.split(separator: "\r\n").dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return parts[0].lowercased() + ":" + (parts.count > 1 ? parts[1] : "")
        }
    }

    @Test(
        "A server gets each request as one, with its content; those whose content is not in the file are left out, and reported",
        arguments: [0, 1])
    func replayed(format: Int) throws {
        try withImported(format) { directory, fixtures in
            let origin = try ByteOrigin()
            let files = fixtures.indices.map { "\($0).mflow" }
            let result = try run(
                "mitm-replay",
                ["--target", "http://127.0.0.1:\(origin.port)", "--timing", "max", "--confdir", directory + "/conf"] + files,
                in: directory)
            let expected = fixtures.filter { $0.sent != nil }
            let requests = origin.requests
            let told = "\(result.errors)"
            #expect(result.status == 0, "\(told)")
            #expect(result.errors.contains("\(expected.count) sent, \(fixtures.count - expected.count) left out"), "\(told)")
            let starts = requests.map(\.start).sorted()
            #expect(starts == expected.map { "\($0.method) /\($0.name)" }.sorted(), "\(told)")
            for fixture in expected {
                let request = requests.first { $0.start == "\(fixture.method) /\(fixture.name)" }
                #expect(request?.content == fixture.sent?.asBytes, "\(fixture.name)")
                let framing = request?.fields.filter { $0.hasPrefix("content-length:") || $0.hasPrefix("transfer-encoding:") } ?? []
                #expect(framing.count == (fixture.sent == "" ? 0 : 1), "\(fixture.name): \(framing)")
            }
        }
    }

    @Test(
        "Requests of a HAR file that were under way together are again: a server that answers none before it has both answers both")
    func overlapping() throws {
        try withTemporaryDirectory { directory in
            let entries = ["1", "2"].map { name in
                """
                {"startedDateTime":"2026-01-02T03:04:05.\(name)00Z","time":500,"timings":{"send":0,"wait":500,"receive":0},
                "request":{"method":"GET","url":"http://a.example/\(name)","headers":[{"name":"Host","value":"a.example"}]},
                "response":{"status":200,"headers":[],"content":{"size":0,"text":""}}}
                """
            }
            let text = "{\"log\":{\"entries\":[\(entries.joined(separator: ","))]}}"
            try text.write(toFile: directory + "/both.har", atomically: true, encoding: .utf8)
            let arrived = Mutex(0)
            let both = DispatchSemaphore(value: 0)
            let origin = try RawOrigin { connection, _ in
                guard connection.read(until: "\r\n\r\n").hasSuffix("\r\n\r\n") else { return }
                let count = arrived.withLock { count in
                    count += 1
                    return count
                }
                if count == 2 { for _ in 0..<2 { both.signal() } }
                guard both.wait(timeout: .now() + 10) == .success else { return }
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            }
            let arguments = [
                "--target", "http://127.0.0.1:\(origin.port)", "--timing", "max", "--confdir", directory + "/conf", "both.har",
            ]
            let result = try run("mitm-replay", arguments, in: directory)
            #expect(result.status == 0 && result.errors.contains("2 sent\n"), "\(result.errors)")
        }
    }

    @Test(
        "What is exported as HAR or for mitmproxy comes back with the same bytes, and is not changed a second time",
        arguments: [0, 1], ["har", "mitmproxy"])
    func exported(format: Int, to other: String) throws {
        try withImported(format) { directory, fixtures in
            for (index, fixture) in fixtures.enumerated() {
                let out = "\(index).again"
                let exported = try run("mitm-filter", ["--format", other, "-o", out, "~all", "\(index).mflow"], in: directory)
                let report = "mitm-filter: \(other): 1 of 1 flow written; "
                #expect(
                    exported.status == 0 && (exported.errors == "" || exported.errors.hasPrefix(report)),
                    "\(fixture.name): \(exported.errors)")
                let first = try flow("\(index).mflow", in: directory)
                let again = try flow(out, in: directory)
                if other == "har", let coding = first["response.headers"]?.contains("gzip"), coding {
                    // Content stands there decoded, which is noted.
                    #expect(again["response.body.base64"] == Data("hello".utf8).base64EncodedString(), "\(fixture.name)")
                    #expect(
                        again["notes.0.message"] == "the file has content-encoding: gzip, and the content decoded",
                        "\(fixture.name)")
                    continue
                }
                for path in [
                    "id", "request.method", "request.url", "request.path", "request.version", "request.headers",
                    "request.headers_base64",
                    "request.body.base64", "response.status", "response.reason", "response.reason_base64", "response.version",
                    "response.headers",
                    "response.headers_base64", "response.body.base64", "state", "server.host",
                ] {
                    #expect(again[path] == first[path], "\(fixture.name) \(path)")
                }
                // HAR keeps notes; mitmproxy's format has no place for them.
                let notes = other == "har" ? first.count("notes") : 0
                #expect(again.count("notes") == notes, "\(fixture.name)")
            }
        }
    }
}

/// An origin that keeps each request as bytes and answers it with an empty 200.
final class ByteOrigin: Sendable {
    struct Request {
        /// Method and target.
        var start: String
        /// Field lines, in lower case.
        var fields: [String]
        var content: [UInt8]
    }

    private let origin: RawOrigin
    private let received = Received()

    init() throws {
        let received = received
        origin = try RawOrigin { connection, _ in
            var reader = RequestReader(connection: connection)
            while let request = reader.next() {
                received.requests.withLock { $0.append(request) }
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            }
        }
    }

    var port: Int { origin.port }
    var requests: [Request] { received.requests.withLock { $0 } }

    private final class Received: Sendable {
        let requests = Mutex<[Request]>([])
    }

    /// Takes requests out of what comes on a connection.
    private struct RequestReader {
        let connection: RawConnection
        private var bytes: [UInt8] = []

        init(connection: RawConnection) { self.connection = connection }

        /// nil when no whole request comes.
        mutating func next() -> Request? {
            guard let head = take(until: "\r\n\r\n") else { return nil }
            let lines = head.split(separator: "\r\n").map(String.init)
            let words = lines.first?.split(separator: " ").map(String.init) ?? []
            guard words.count == 3 else { return nil }
            let fields = lines.dropFirst().map { $0.lowercased() }
            var content: [UInt8] = []
            if fields.contains("transfer-encoding: chunked") {
                while let size = take(until: "\r\n").flatMap({ Int($0, radix: 16) }), let chunk = take(size), take(2) != nil {
                    content += chunk
                    if size == 0 { break }
                }
            } else if let length = fields.first(where: { $0.hasPrefix("content-length: ") }).flatMap({ Int($0.dropFirst(16)) }) {
                guard let whole = take(length) else { return nil }
                content = whole
            }
            return Request(start: words[0] + " " + words[1], fields: fields, content: content)
        }

        private mutating func receive() -> Bool {
            guard case .bytes(let more) = connection.receive(before: .now + .seconds(10)) else { return false }
            bytes += more
            return true
        }

        private mutating func take(_ count: Int) -> [UInt8]? {
            while bytes.count < count { guard receive() else { return nil } }
            defer { bytes.removeFirst(count) }
            return Array(bytes.prefix(count))
        }

        private mutating func take(until mark: String) -> String? {
            while true {
                if let range = Data(bytes).range(of: Data(mark.utf8)) {
                    defer { bytes.removeFirst(range.upperBound) }
                    return String(String.UnicodeScalarView(bytes[..<range.lowerBound].map { Unicode.Scalar($0) }))
                }
                guard receive() else { return nil }
            }
        }
    }
}
