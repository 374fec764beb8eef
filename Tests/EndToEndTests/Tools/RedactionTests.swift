// Redaction as users of the tools see it: what is hidden is in no output, and the same rules give the same flows before and after.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("Redaction")
struct RedactionTests {
    /// Answers each request with secrets in its head and its body.
    private static let origin = """
        import gzip, http.server, json
        class Origin(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = b'{"password": "cut-secret' if "cut" in self.path else json.dumps({"user": "ada", "password": "body-secret"}).encode()
                if "gzip" in self.path: body = gzip.compress(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                if "gzip" in self.path: self.send_header("Content-Encoding", "gzip")
                self.send_header("Set-Cookie", "sid=cookie-secret; Path=/")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            do_POST = do_GET
            def log_message(self, *arguments): pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
        print(server.server_address[1], flush=True)
        server.serve_forever()
        """

    private static let rules = ["--redact", "default", "--redact", "json:$..password=hash"]
    private static let summary =
        "redacted: cookie:* 3, json:$..password=hash 3, form:password 1, header:authorization 1, query:access_token 1; "
        + "not stored 1 body that could not be parsed"

    /// Records three exchanges.
    /// - Returns: what the recorder reported.
    private func record(_ arguments: [String], as file: String, from port: String, in directory: String) throws -> String {
        let recorder = try Recorder(arguments, in: directory, file: file)
        let base = "http://127.0.0.1:\(port)"
        let requests = [
            [base + "/a?access_token=query-secret", "-H", "Authorization: Bearer head-secret"],
            [base + "/gzip", "-H", "Content-Type: application/json", "-d", #"{"password":"json-secret"}"#],
            [base + "/cut", "-d", "password=form-secret"],
        ]
        for request in requests { #expect(try recorder.curl(request + ["-o", "out"]).status == 0) }
        #expect(recorder.stop() == 0)
        return recorder.program.errors
    }

    /// The flows without what differs from one recording to the next.
    private func flows(_ file: String, _ arguments: [String] = [], in directory: String) throws -> [String] {
        let fields = ["id", "started", "ended", "duration_ms", "client", "server", "ttfb_ms", "authority", "url"]
        let script = """
            import json, sys
            def strip(value):
                if isinstance(value, dict): return {k: strip(v) for k, v in value.items() if k not in \(fields)}
                if isinstance(value, list): return [strip(v) for v in value if not (isinstance(v, list) and v[0] in ("Date", "Host"))]
                return value
            for line in sys.stdin: print(json.dumps(strip(json.loads(line))))
            """
        let dump = try run("mitm-dump", ["--json", "--raw-body", "--confdir", "conf"] + arguments + [file], in: directory)
        return try run("python3", ["-c", script], input: Data(dump.output.utf8), in: directory).output.split(separator: "\n").map(
            String.init)
    }

    @Test("What rules hide is in no file and no output, and the rules give the same flows while recording and afterwards")
    func everywhere() throws {
        try withTemporaryDirectory { directory in
            let server = try RunningProgram("python3", ["-c", Self.origin], in: directory)
            defer {
                server.send(SIGTERM)
                _ = server.waitForEnd()
            }
            let port = try #require(server.outputLine())
            let log = try record(Self.rules, as: "redacted.mflow", from: port, in: directory)
            #expect(log.contains(Self.summary) && !log.contains("secret"), "\(log)")
            _ = try record([], as: "plain.mflow", from: port, in: directory)
            let filtered = try run(
                "mitm-filter", Self.rules + ["--confdir", "conf", "~all", "plain.mflow", "-o", "filtered.mflow"], in: directory)
            #expect(filtered.errors == "mitm-filter: \(Self.summary)\n")
            let expected = try flows("redacted.mflow", in: directory)
            #expect(expected.count == 3)
            #expect(try flows("filtered.mflow", in: directory) == expected)
            #expect(try flows("plain.mflow", Self.rules, in: directory) == expected)
            for file in ["redacted.mflow", "filtered.mflow"] {
                let bytes = try run("lz4", ["-dc", file], in: directory)
                #expect(bytes.status == 0 && bytes.output.contains("«redacted") && !bytes.output.contains("secret"))
                let structure = try run("mitm-dump", ["--structure", file], in: directory).output
                #expect(structure.contains("redacted by default json:$..password=hash"))
            }
            for format in ["text", "json", "har", "curl", "http", "raw", "csv", "mitmproxy"] {
                let result = try run(
                    "mitm-dump", Self.rules + ["--confdir", "conf", "--format", format, "plain.mflow"], in: directory)
                #expect(result.status == 0 && !result.output.isEmpty && !result.output.contains("secret"), "\(format)")
            }
            let page = try String(contentsOfFile: repository + "/docs/redaction.md", encoding: .utf8)
            let example = page.components(separatedBy: "## Sharing a recording")[1].components(separatedBy: "```")[1]
                .replacing("capture.mflow", with: "plain.mflow").replacing("secret-value-that-I-know", with: "body-secret")
            #expect(try run("bash", ["-c", "PATH=\(toolDirectory):$PATH\n" + example], in: directory).output == "3\n0\n")
            let groups = try run(
                "mitm-filter", Self.rules + ["--confdir", "conf", "--group-by", "url", "~all", "plain.mflow"], in: directory)
            #expect(groups.output.contains("redacted") && !groups.output.contains("secret"))
            #expect(
                try run("mitm-filter", ["--count", "~redacted[header:authorization]", "redacted.mflow"], in: directory).output
                    == "1\n")
        }
    }

    @Test("A copy keeps the rules of its sources; a rule that is not valid is an error before anything is written")
    func rules() throws {
        try withTemporaryDirectory { directory in
            let golden = repository + "/Fixtures/archives/v1/redacted.mflow"
            let copy = try run(
                "mitm-filter", ["--redact", "cookie:*", "~all", golden, "-o", "copy.mflow"], in: directory)
            #expect(copy.errors == "mitm-filter: redacted: nothing\n")
            let structure = try run("mitm-dump", ["--structure", "copy.mflow"], in: directory).output
            for rule in ["cookie:*", "header:authorization", "json:$..password", "secrets=hash"] {
                #expect(structure.contains(rule), "\(rule)")
            }
            let wrong = try run(
                "mitm-record", ["-w", "new.mflow", "-p", "0", "--confdir", "conf", "--redact", "cooky:a"], in: directory)
            #expect(wrong.status == 2 && wrong.errors.contains("the redaction rule 'cooky:a' is not valid"))
            #expect(!FileManager.default.fileExists(atPath: directory + "/new.mflow"))
        }
    }
}
