// Files of mitmproxy and HAR files through the tools as a user runs them.

import Foundation
import TestSupport
import Testing

private let foreign = repository + "/Fixtures/foreign"

/// mitmdump, where there is one: named by MITMDUMP, in the environment of the benchmarks, or on the PATH.
private let mitmdump: String? = {
    let variables: [String: String] = ProcessInfo.processInfo.environment
    let path = (variables["PATH"] ?? "").split(separator: ":").map { "\($0)/mitmdump" }
    let candidates: [String] = [variables["MITMDUMP"] ?? "", foreign + "/../../.build-bench/venv/bin/mitmdump"] + path
    return candidates.first { FileManager.default.isExecutableFile(atPath: $0) }
}()

@Suite("Files of other programs")
struct ForeignFileTests {
    @Test("mitm-dump prints mitmproxy's flows, and says in one sentence what it left out")
    func dump() throws {
        let result = try run("mitm-dump", ["--time", "none", foreign + "/newest.mitm"])
        #expect(
            result.output.split(separator: "\n").map(String.init) == [
                "GET http://address:22/path << 200 OK 7 B 3.00 s [marked]",
                "GET https://example.org/path HTTP/2 << 200 7 B 3.00 s",
                "GET http://address:22/path << error: error",
                "GET http://address:22/path << 200 OK 0 B (incomplete) 3.00 s",
                "GET http://example.com/ws << 101 WebSocket >> 2 messages 22 B << 1 message 7 B, close 1000 by the server 5.00 s",
                "TLS address:22 >> 1 message 5 B << 1 message 7 B 5.00 s",
            ])
        #expect(
            result.errors
                == "mitm-dump: \(foreign)/newest.mitm: left out, since a recording has no place for them: 1 dns, 1 udp flows\n")
        #expect(result.status == 0)
    }

    @Test("A filter chooses among flows of other programs, from files and from a pipe", arguments: ["newest.mitm", "chromium.har"])
    func filter(file: String) throws {
        let data = try Data(contentsOf: URL(fileURLWithPath: foreign + "/" + file))
        let named = try run("mitm-filter", ["--count", "~websocket", foreign + "/" + file])
        let piped = try run("mitm-filter", ["--count", "~websocket", "-"], input: data)
        #expect(named.output == "1\n")
        #expect(piped.output == named.output)
        let json = try run("mitm-filter", ["--json", "~m GET", foreign + "/" + file])
        let pipedJSON = try run("mitm-filter", ["--json", "~m GET"], input: data)
        #expect(pipedJSON.output == json.output)
        #expect(json.output.contains("\"GET\""))
    }

    @Test("mitm-serve would serve what is in them", arguments: [("newest.mitm", 6), ("chromium.har", 5)])
    func served(file: String, count: Int) throws {
        let listed = try run("mitm-serve", ["--list", foreign + "/" + file])
        let printed = try run("mitm-dump", ["--detail", "1", foreign + "/" + file])
        #expect(listed.output == printed.output)
        #expect(listed.output.split(separator: "\n").count == count)
    }

    @Test("A torn file gives the flows before the tear, its offset, and status 3")
    func torn() throws {
        try withTemporaryDirectory { directory in
            let whole = try Data(contentsOf: URL(fileURLWithPath: foreign + "/version-7.mitm"))
            let first = try #require(whole.firstIndex(of: UInt8(ascii: ":")))
            let length = try #require(Int(String(decoding: whole[..<first], as: UTF8.self))) + first + 2
            try whole.prefix(length + 100).write(to: URL(fileURLWithPath: directory + "/torn.mitm"))
            let torn = try run("mitm-dump", ["--time", "none", "torn.mitm"], in: directory)
            #expect(torn.status == 3)
            #expect(torn.output.hasPrefix("192.0.2.1 GET https://example.org/a?b=c << 200 Fine text/plain 5 B 750.0 ms\n"))
            #expect(
                torn.errors
                    == "mitm-dump: torn.mitm: the file ends in the middle of a record at offset \(length); the bytes from there on are not used\n"
            )
            var damaged = whole
            damaged.replaceSubrange(length..<length + 4, with: Data("abcd".utf8))
            try damaged.write(to: URL(fileURLWithPath: directory + "/damaged.mitm"))
            let result = try run("mitm-filter", ["--count", "~all", "damaged.mitm"], in: directory)
            #expect(result.status == 3)
            #expect(result.output == "1\n")
            #expect(result.errors.contains("damaged at offset \(length)"))
        }
    }

    @Test("A length of gigabytes takes no memory before its bytes come")
    func announced() throws {
        let data = Data("2000000000:4:type;".utf8)
        let result = try run("bash", ["-c", "ulimit -v 1500000; exec \(toolDirectory)/mitm-dump"], input: data)
        #expect(
            result
                == ProgramResult(
                    status: 3, output: "",
                    errors:
                        "mitm-dump: standard input: the file ends in the middle of a record at offset 0; the bytes from there on are not used\n"
                ))
    }

    @Test(
        "What cannot be read is refused in one sentence",
        arguments: [
            ("version-0.10.mitm", "is of mitmproxy's flow format 0.10.1, which is too old; the oldest that can be read is 0.11"),
            (
                "version-22.mitm",
                "is of mitmproxy's flow format 22; the newest that can be read is 21: use a later version of this program"
            ),
            ("make.py", "is not a flow file: it does not begin as one"),
        ])
    func refused(file: String, sentence: String) throws {
        let result = try run("mitm-dump", [foreign + "/" + file])
        #expect(result == ProgramResult(status: 2, output: "", errors: "mitm-dump: \(foreign)/\(file) \(sentence)\n"))
    }

    @Test("What mitm-filter writes for others mitm-dump reads back", arguments: ["mflow", "mitmproxy", "har"])
    func roundTrip(format: String) throws {
        try withTemporaryDirectory { directory in
            let arguments = ["--format", format, "-o", "out", "~q | ~s", foreign + "/newest.mitm"]
            let written = try run("mitm-filter", arguments, in: directory)
            #expect(written.status == 0)
            let original = try JSONObject.lines(try run("mitm-filter", ["--json", "~q | ~s", foreign + "/newest.mitm"]).output)
            let back = try JSONObject.lines(try run("mitm-dump", ["--format", "json", "out"], in: directory).output)
            for path in [
                "id", "request.url", "request.version", "request.headers", "response.status", "response.headers",
                "response.body.text",
                "websocket.messages.0.at", "websocket.messages.0.base64", "websocket.close.code", "error.message", "comment",
            ] {
                #expect(back.map { $0[path] } == original.map { $0[path] }, "\(path)")
            }
            #expect(back.count == 5)
        }
    }

    @Test(
        "mitmdump loads what mitm-filter writes", .enabled(if: mitmdump != nil),
        arguments: ["every-kind", "http", "tcp", "websocket"])
    func loaded(recording: String) throws {
        let program = try #require(mitmdump)
        try withTemporaryDirectory { directory in
            let path = foreign + "/../archives/v1/\(recording).mflow"
            for (format, expression) in [("mitmproxy", "~q | ~s | ~tcp"), ("har", "~s")] {
                let count = try run("mitm-filter", ["--count", expression, path])
                try run("mitm-filter", ["--format", format, "-o", "out.\(format)", expression, path], in: directory)
                let arguments = ["--set", "confdir=\(directory)", "-q", "-nr", "out.\(format)", "-w", "again.mitm"]
                let loaded = try run(program, arguments, in: directory)
                #expect(loaded.status == 0, "\(loaded.output)")
                guard count.status == 0 else { continue }
                // It writes a flow with a response and an error twice, with the same identifier, and those with neither not at all.
                let again = try JSONObject.lines(try run("mitm-dump", ["--format", "json", "again.mitm"], in: directory).output)
                #expect(!again.isEmpty, "\(format)")
            }
        }
    }
}
