// Secrets in real traffic: recorded, found where they are, and not shown.

import Foundation
import TestSupport
import Testing

@Suite("Secrets")
struct SecretTests {
    /// A token of GitHub, and others like it.
    private static let tokens = (0..<6).map { index in
        "ghp_" + String("\(index)aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3".prefix(36))
    }

    /// Talks to an origin of its own through the recorder: in a head, a coded body, JSON, multipart, a WebSocket and a TCP stream there is a
    /// token each. Arguments: the recorder's port, and the tokens.
    private static let conversation = """
        import base64, gzip, hashlib, http.server, json, socket, socketserver, sys, threading, urllib.request
        port, (head, coded, posted, part, message, line) = int(sys.argv[1]), sys.argv[2:]
        class Origin(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                key = self.headers.get("Sec-WebSocket-Key")
                if key:
                    accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
                    self.wfile.write(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
                        b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\\r\\n\\r\\n")
                    text = json.dumps({"key": message}).encode()
                    self.wfile.write(bytes([0x81, len(text)]) + text + bytes([0x88, 2, 3, 232]))
                    self.rfile.read(8)
                    return
                body = gzip.compress(json.dumps({"key": coded}).encode())
                self.send_response(200)
                self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(204)
                self.end_headers()
            def log_message(self, *arguments): pass
        class Lines(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.recv(1000)
                self.request.sendall(b"ok\\n")
        def serve(server):
            threading.Thread(target=server.serve_forever, daemon=True).start()
            return server.server_address[1]
        web = serve(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin))
        lines = serve(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Lines))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": "http://127.0.0.1:%d" % port}))
        def send(path, body=None, **fields):
            fields = {name.replace("_", "-"): value for name, value in fields.items()}
            opener.open(urllib.request.Request("http://127.0.0.1:%d%s" % (web, path), body, fields)).read()
        send("/head", X_Key=head)
        send("/json", json.dumps({"a": {"b": posted}}).encode(), Content_Type="application/json")
        send("/form", ("--b\\r\\nContent-Disposition: form-data; name=k\\r\\n\\r\\n%s\\r\\n--b--\\r\\n" % part).encode(),
            Content_Type="multipart/form-data; boundary=b")
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET http://127.0.0.1:%d/ws HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
                b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n" % (web, web))
            got = b""
            while b"\\x03\\xe8" not in got: got += client.recv(4096)
            client.sendall(bytes([0x88, 0x82, 0, 0, 0, 0, 3, 232]))
            while client.recv(4096): pass
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\n\\r\\n" % (lines, lines))
            while b"\\r\\n\\r\\n" not in client.recv(4096): pass
            client.sendall(b"\\x00PASS %s\\n" % line.encode())
            while client.recv(4096) != b"ok\\n": pass
        """

    @Test("They are found in heads, coded bodies, JSON, multipart, WebSocket and TCP, and findings show nothing of them")
    func recorded() throws {
        try withTemporaryDirectory { directory in
            let recorder = try Recorder([], in: directory)
            recorder.program.collectErrors()
            let talk = try run(python, ["-c", Self.conversation, "\(recorder.port)"] + Self.tokens, in: directory)
            #expect(talk.errors == "")
            #expect(recorder.stop() == 0)
            func filter(_ arguments: String...) throws -> ProgramResult {
                try run("mitm-filter", arguments + ["capture.mflow"], in: directory)
            }
            let found = try filter("--findings", "~secret")
            #expect(found.status == 0)
            let findings = try found.output.split(separator: "\n").map { line in
                try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            }
            let places = findings.map { finding in
                ["rule", "where", "field", "length", "preview"].map { finding[$0].map { "\($0)" } ?? "-" }.joined(separator: " ")
            }
            #expect(
                places.sorted() == [
                    "github-token request.body - 40 ghp_…(36)", "github-token request.body - 40 ghp_…(36)",
                    "github-token request.headers X-Key 40 ghp_…(36)", "github-token response.body - 40 ghp_…(36)",
                    "github-token tcp.messages[0] - 40 ghp_…(36)", "github-token websocket.messages[0] - 40 ghp_…(36)",
                ])
            for token in Self.tokens { #expect(!found.output.contains(token.dropFirst(4).prefix(8))) }
            #expect(try filter("--count", "~secret github-token").output == "5\n")
            #expect(try filter("-q", "~secret").status == 0)
            #expect(try filter("-q", "~secret jwt").status == 1)
            let left = try filter("--findings", "--redact", "secrets", "--confdir", "conf", "~all")
            #expect([left.output, "\(left.status)"] == ["", "1"])
            let other = try filter("--findings", "~secret jwt | ~secret 'aws-*'")
            #expect([other.output, "\(other.status)"] == ["", "1"])
        }
    }

    @Test("Rules of a file take the place of the built-in ones; a mistake in it is an error with its line")
    func rules() throws {
        try withTemporaryDirectory { directory in
            let http = repository + "/Fixtures/archives/v1/http.mflow"
            let rules = "rules:\n- {id: own, description: a host, regex: '(?i)host: (\\S+)', keywords: ['host:']}\n"
            try rules.write(toFile: directory + "/own.yaml", atomically: true, encoding: .utf8)
            let found = try run("mitm-filter", ["--rules", "own.yaml", "--findings", "~secret own", http], in: directory)
            #expect(found.status == 0 && found.output.contains("\"rule\":\"own\",\"where\":\"request.headers\",\"field\":\"Host\""))
            let printed = try run("mitm-dump", ["--rules", "own.yaml", "-f", "~secret own", http], in: directory)
            #expect(printed.status == 0 && printed.output != "")
            #expect(try run("mitm-filter", ["--rules", "own.yaml", "--list-rules"], in: directory).output == "own  a host\n")
            try (rules + "- {id: bad, regex: '('}\n").write(toFile: directory + "/own.yaml", atomically: true, encoding: .utf8)
            let mistake = try run("mitm-filter", ["--rules", "own.yaml", "~secret", http], in: directory)
            #expect(mistake.status == 2)
            #expect(mistake.errors == "mitm-filter: own.yaml:3: the regex of bad is not valid: missing closing parenthesis\n")
            let unknown = try run("mitm-filter", ["~secret github-tokn", http], in: directory)
            #expect(unknown.status == 2 && unknown.errors.contains("did you mean 'github-token'?"))
        }
    }
}
