// Programs that the recorder starts, each with its own way to find a proxy and certificates: all are recorded without another step.

import Foundation
import TestSupport
import Testing

@Suite("Clients that the recorder starts")
struct ClientTests {
    /// An nginx with a Git repository and a Python package.
    private func withOrigin(_ body: (_ directory: String, _ nginx: Nginx) throws -> Void) throws {
        try withTemporaryDirectory { directory in
            let nginx = try Nginx(in: directory)
            try "hello\n".write(toFile: directory + "/www/a.txt", atomically: true, encoding: .utf8)
            try body(directory, nginx)
        }
    }

    private static let gitRepository = """
        export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
        git init -q work && cd work && echo x > file && git add file && git commit -qm one && git clone -q --bare . ../www/r.git
        git -C ../www/r.git update-server-info
        """

    private static let wheel = """
        import zipfile
        with zipfile.ZipFile("www/foo-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("foo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: foo\\nVersion: 1.0\\n")
            wheel.writestr("foo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
            wheel.writestr("foo-1.0.dist-info/RECORD", "")
        """

    @Test(
        "A client is recorded over HTTPS with no other step",
        arguments: [
            ("curl", ["curl", "-sS", "ORIGIN/a.txt"], "hello\n", "/a.txt"),
            ("wget", ["wget", "-q", "-O", "-", "ORIGIN/a.txt"], "hello\n", "/a.txt"),
            ("git", ["git", "clone", "-q", "ORIGIN/r.git", "clone"], "", "/r.git/info/refs"),
            (
                "pip",
                [
                    python, "-m", "pip", "-q", "--disable-pip-version-check", "download", "--no-deps",
                    "ORIGIN/foo-1.0-py3-none-any.whl",
                ],
                "", "/foo-1.0-py3-none-any.whl"
            ),
            (
                "urllib", ["python3", "-c", "import urllib.request as r; print(r.urlopen('ORIGIN/a.txt').status)"], "200\n",
                "/a.txt"
            ),
            ("httpx", [python, "-c", "import httpx; print(httpx.get('ORIGIN/a.txt').status_code)"], "200\n", "/a.txt"),
        ] as [(String, [String], String, String)])
    func client(name: String, command: [String], output: String, path: String) throws {
        try withOrigin { directory, nginx in
            if name == "git" { _ = try run("sh", ["-ec", Self.gitRepository], in: directory) }
            if name == "pip" { _ = try run("python3", ["-c", Self.wheel], in: directory) }
            let command = command.map { $0.replacing("ORIGIN", with: "https://localhost:\(nginx.https)") }
            let options = ["-w", "capture.mflow", "--ca-file", nginx.authority]
            let result = try launch(command, options: options, in: directory)
            #expect(result == ProgramResult(status: 0, output: output, errors: ""))
            let urls = try recordedURLs(in: directory)
            #expect(urls.first?.hasPrefix("complete https://localhost:\(nginx.https)\(path)") == true, "\(urls)")
        }
    }

    @Test("grpcio is recorded over TLS with no other step")
    func grpc() throws {
        try withTemporaryDirectory { directory in
            try Nginx.makeCertificates(in: directory)
            let server = try RunningProgram(
                python, [peerScript("grpc_peer.py"), "server", "server.pem", "server.key"], in: directory)
            guard let line = server.errorLine(containing: "listening"),
                let port = line.split(separator: " ").last.flatMap({ Int($0) })
            else { throw TestFailure("the server did not start: \(server.errors)") }
            server.collectErrors()
            defer { server.send(SIGKILL) }
            let script = """
                import grpc
                channel = grpc.secure_channel("localhost:\(port)", grpc.ssl_channel_credentials())
                print(channel.unary_unary("/test.Bytes/Unary")(b"abc", timeout=20))
                """
            let result = try launch(
                [python, "-c", script], options: ["-w", "capture.mflow", "--ca-file", "origin-ca.pem"], in: directory)
            #expect(result == ProgramResult(status: 0, output: "b'cba'\n", errors: ""))
            #expect(try recordedURLs(in: directory) == ["complete https://localhost:\(port)/test.Bytes/Unary"])
        }
    }

    private func recordedURLs(in directory: String) throws -> [String] {
        let output = try run("mitm-dump", ["--format", "json", "capture.mflow"], in: directory).output
        return try JSONObject.lines(output).map { "\($0["state"] ?? "") \($0["request.url"] ?? "")" }
    }

    @Test("Hosts that pass unread are verified by the client: with the system's certificates, and with those that the user named")
    func passedThrough() throws {
        try withOrigin { directory, nginx in
            let command = [
                "-q", "-w", "a.mflow", "--confdir", "conf", "--ignore-hosts", "localhost", "--", "curl", "-sS",
                "https://localhost:\(nginx.https)/a.txt",
            ]
            let recorder = toolDirectory + "/mitm-record"
            let unknown = try run("env", ["-u", "SSL_CERT_FILE", recorder] + command, in: directory)
            #expect(unknown.status == 60)
            for variable in ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] {
                let known = try run("env", ["\(variable)=\(nginx.authority)", recorder] + command, in: directory)
                #expect(known == ProgramResult(status: 0, output: "hello\n", errors: ""))
            }
            // A directory of certificates, as OpenSSL has them.
            _ = try run("sh", ["-c", "mkdir certs; cp origin-ca.pem certs/1234.0"], in: directory)
            let known = try run("env", ["SSL_CERT_DIR=\(directory)/certs", recorder] + command, in: directory)
            #expect(known == ProgramResult(status: 0, output: "hello\n", errors: ""))
        }
    }

    @Test("The certificates to trust are the system's and ours, for Java too, and files that are not current are made again")
    func bundle() throws {
        try withTemporaryDirectory { directory in
            func count(_ files: String) throws -> String {
                try run("sh", ["-c", "cat \(files) | grep -c 'BEGIN CERTIFICATE'"], in: directory).output
            }
            #expect(try launch(["true"], options: ["-w", "none"], in: directory).status == 0)
            let expected = try count("/etc/ssl/certs/ca-certificates.crt conf/mitm-ca-cert.pem")
            #expect(try count("conf/mitm-ca-bundle.pem") == expected)
            let store = "openssl pkcs12 -nokeys -passin pass:changeit -in conf/mitm-ca-bundle.p12"
            let java = try run("sh", ["-c", "\(store) | tee java.pem | grep -c '2.16.840.1.113894.746875.1.1'"], in: directory)
            #expect(java.output == expected && java.errors == "")
            #expect(try count("java.pem") == expected)
            let first = try Data(contentsOf: URL(fileURLWithPath: directory + "/conf/mitm-ca-bundle.pem"))
            _ = try run("sh", ["-c", "sed -i 20d conf/mitm-ca-bundle.pem; rm conf/mitm-ca-bundle.p12"], in: directory)
            #expect(try launch(["true"], options: ["-w", "none"], in: directory).status == 0)
            #expect(try Data(contentsOf: URL(fileURLWithPath: directory + "/conf/mitm-ca-bundle.pem")) == first)
            #expect(FileManager.default.fileExists(atPath: directory + "/conf/mitm-ca-bundle.p12"))
        }
    }

    @Test("--environment prints what makes a shell use a recorder that runs")
    func environment() throws {
        try withOrigin { directory, nginx in
            let recorder = try Recorder(["--ca-file", nginx.authority], in: directory)
            let script = """
                mv conf "it's \\$HOME"
                eval "$("$0" --environment -p \(recorder.port) --confdir "it's \\$HOME")"
                curl -sS https://localhost:\(nginx.https)/a.txt && wget -qO - https://localhost:\(nginx.https)/a.txt
                """
            let result = try run("bash", ["-c", script, toolDirectory + "/mitm-record"], in: directory)
            #expect(result == ProgramResult(status: 0, output: "hello\nhello\n", errors: ""))
            #expect(recorder.stop() == 0)
            #expect(
                try recordedURLs(in: directory) == Array(repeating: "complete https://localhost:\(nginx.https)/a.txt", count: 2))
        }
    }

    @Test("The page about launching names each variable that is set, and no other; a command gets the same as a shell")
    func documentation() throws {
        try withTemporaryDirectory { directory in
            let exports = try run("mitm-record", ["--environment", "--confdir", "conf"], in: directory).output
            let names = exports.split(separator: "\n").compactMap { $0.split(separator: "=").first?.split(separator: " ").last }
            let page = try String(contentsOfFile: repository + "/docs/launching.md", encoding: .utf8)
            let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }.compactMap { $0.split(separator: "|").first }
            let documented = rows.flatMap { $0.matches(of: /`(\w+)`/).map(\.1) }
            #expect(Set(names) == Set(documented) && names.count == documented.count)
            let value = #/^(\w+)=.*?(:\d+)?$/#
            let given = try launch(["env"], options: ["-w", "none"], in: directory).output
            let before = try run("env", [], in: directory).output
            let added = Set(given.split(separator: "\n")).subtracting(before.split(separator: "\n"))
            #expect(Set(added.compactMap { $0.firstMatch(of: value)?.1 }) == Set(names))
        }
    }

    @Test("A recorder without a forward proxy sets certificates only; without the recorder's port nothing can be printed")
    func withoutProxy() throws {
        try withTemporaryDirectory { directory in
            let mode = ["--mode", "reverse:http://127.0.0.1:9"]
            let result = try launch(
                ["sh", "-c", "echo ${https_proxy-none} $CURL_CA_BUNDLE"], options: ["-w", "none"] + mode, in: directory)
            #expect(result.output.hasPrefix("none /") && result.output.hasSuffix("/conf/mitm-ca-bundle.pem\n"), "\(result)")
            let errors = try [mode, ["-p", "0"]].map {
                try run("mitm-record", ["--environment", "--confdir", "conf"] + $0, in: directory).errors
            }
            #expect(
                errors == [
                    "mitm-record: --environment is for a forward proxy: --mode regular or upstream\n",
                    "mitm-record: --environment needs the port of a recorder that runs; give it with -p\n",
                ])
        }
    }
}
