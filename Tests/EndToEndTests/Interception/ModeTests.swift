// The modes of the recorder with a real client: curl through SOCKS, through chains of proxies, and with hosts that are not read.

import Foundation
import TestSupport
import Testing

@Suite("Modes")
struct ModeTests {
    /// nginx with a page of JSON, and what trusts both its certificate and those of recorders in this directory.
    private func withPages(_ body: (String, Nginx) throws -> Void) throws {
        try withTemporaryDirectory { directory in
            try FileManager.default.createDirectory(atPath: directory + "/www", withIntermediateDirectories: true)
            try #"{"a":1}"#.write(toFile: directory + "/www/a.json", atomically: true, encoding: .utf8)
            let nginx = try Nginx(in: directory)
            try body(directory, nginx)
        }
    }

    private func start(_ arguments: [String], in directory: String, file: String = "capture.mflow") throws -> Recorder {
        let recorder = try Recorder(arguments + ["--ca-file", "origin-ca.pem"], in: directory, file: file)
        recorder.program.collectErrors()
        return recorder
    }

    /// The status that curl gets, or its own exit status as a negative number.
    private func curl(_ arguments: [String], trusting authority: String, in directory: String) throws -> Int {
        let result = try run(
            "curl", ["-s", "--max-time", "20", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", authority] + arguments,
            in: directory)
        return result.status == 0 ? Int(result.output) ?? 0 : -Int(result.status)
    }

    @Test("SOCKS 5 takes addresses and names, plain and in TLS; a server that refuses is reported as such")
    func socks() throws {
        try withPages { directory, nginx in
            let recorder = try start(["--mode", "socks5"], in: directory)
            let proxy = "127.0.0.1:\(recorder.port)"
            func ask(_ arguments: [String]) throws -> Int { try curl(arguments, trusting: recorder.authority, in: directory) }
            #expect(try ask(["--socks5", proxy, "http://127.0.0.1:\(nginx.http)/a.json"]) == 200)
            #expect(try ask(["--socks5-hostname", proxy, "https://localhost:\(nginx.https)/a.json"]) == 200)
            // 97: CURLE_PROXY.
            #expect(try ask(["--socks5", proxy, "http://127.0.0.1:1/"]) == -97)
            #expect(recorder.stop() == 0)
            let flows = try recorder.flows()
            #expect(flows.map { $0["state"] } == ["complete", "complete", "failed"])
            #expect(flows.map { $0["response.body.text"] } == [#"{"a":1}"#, #"{"a":1}"#, nil])
            #expect(flows.map { $0["server.host"] } == ["127.0.0.1", "localhost", "127.0.0.1"])
        }
    }

    @Test("Who is asked for a name and a password gets through with the right ones only", arguments: ["regular", "socks5"])
    func credentials(mode: String) throws {
        try withPages { directory, nginx in
            // The hash of "secret" as mkpasswd -m sha512crypt makes it.
            let hash = try run("openssl", ["passwd", "-6", "secret"], in: directory).output
            try ("user:" + hash).write(toFile: directory + "/users", atomically: true, encoding: .utf8)
            let recorder = try start(["--mode", mode, "--proxyauth", "@\(directory)/users"], in: directory)
            let scheme = mode == "regular" ? "http" : "socks5"
            func ask(_ user: String) throws -> Int {
                try curl(
                    ["-x", "\(scheme)://\(user)127.0.0.1:\(recorder.port)", "http://127.0.0.1:\(nginx.http)/a.json"],
                    trusting: recorder.authority, in: directory)
            }
            let refused = mode == "regular" ? 407 : -97
            #expect(try [ask(""), ask("user:wrong@"), ask("user:secret@")] == [refused, refused, 200])
            #expect(recorder.stop() == 0)
            #expect(try recorder.flows().map { $0["state"] } == ["failed", "failed", "complete"])
            // What was for the proxy does not reach the server.
            #expect(try recorder.flows().last?["response.status"] == "200")
        }
    }

    @Test("Servers are reached through another proxy, with credentials", arguments: ["http", "socks5"])
    func upstream(kind: String) throws {
        try withPages { directory, nginx in
            let far = try start(
                ["--mode", kind == "http" ? "regular" : "socks5", "--proxyauth", "u:p"], in: directory, file: "far.mflow")
            let near = try start(["--mode", "upstream:\(kind)://u:p@127.0.0.1:\(far.port)", "--insecure"], in: directory)
            for target in ["http://127.0.0.1:\(nginx.http)/a.json", "https://localhost:\(nginx.https)/a.json"] {
                #expect(try curl(["-x", "http://127.0.0.1:\(near.port)", target], trusting: near.authority, in: directory) == 200)
            }
            #expect(near.stop() == 0)
            #expect(far.stop() == 0)
            #expect(try near.flows().map { $0["response.body.text"] } == [#"{"a":1}"#, #"{"a":1}"#])
            #expect(try near.flows("far.mflow").map { $0["response.body.text"] } == [#"{"a":1}"#, #"{"a":1}"#])
        }
    }

    @Test("An upstream proxy of another kind gets our credentials; its answer to missing and to wrong ones is reported")
    func tinyproxy() throws {
        try withPages { directory, nginx in
            let port = try Nginx.freePort()
            let settings = "Port \(port)\nListen 127.0.0.1\nTimeout 60\nLogLevel Info\nBasicAuth user secret\n"
            try settings.write(toFile: directory + "/tinyproxy.conf", atomically: true, encoding: .utf8)
            // It closes what it inherited, which Foundation takes for its end, so a shell stands between, which it does not outlive.
            let far = try RunningProgram(
                "bash", ["-c", "setpriv --pdeathsig KILL stdbuf -oL tinyproxy -d -c tinyproxy.conf >&2 & wait"], in: directory)
            try #require(far.errorLine(containing: "Accepting connections") != nil)
            far.collectErrors()
            let pages = ["http://127.0.0.1:\(nginx.http)/a.json", "https://localhost:\(nginx.https)/a.json"]
            func statuses(_ login: String, file: String) throws -> (got: [Int], flows: [JSONObject]) {
                let near = try start(
                    ["--mode", "upstream:http://\(login)127.0.0.1:\(port)"], in: directory, file: file)
                let got = try pages.map {
                    try curl(["-x", "http://127.0.0.1:\(near.port)", $0], trusting: near.authority, in: directory)
                }
                #expect(near.stop() == 0)
                return (got, try near.flows(file))
            }
            let right = try statuses("user:secret@", file: "right.mflow")
            #expect(right.got == [200, 200])
            #expect(right.flows.map { $0["response.body.text"] } == [#"{"a":1}"#, #"{"a":1}"#])
            // tinyproxy answers wrong credentials with 401. 56: CURLE_RECV_ERROR, that CONNECT was refused.
            for (login, status) in [("", "407 Proxy Authentication Required"), ("user:wrong@", "401 Unauthorized")] {
                let refused = try statuses(login, file: "refused\(status.prefix(3)).mflow")
                #expect(refused.got == [Int(status.prefix(3)), -56])
                #expect(
                    refused.flows.map { $0["error.message"] } == [nil, "the upstream proxy answered CONNECT with \(status)"])
            }
            // On SIGTERM it waits for connections that have nothing more to say.
            far.send(SIGKILL)
            _ = far.waitForEnd()
        }
    }

    @Test("An upstream proxy that refuses every request is named in the answer and in the recording")
    func upstreamRefuses() throws {
        try withPages { directory, nginx in
            let far = try start(["--mode", "regular", "--proxyauth", "u:p"], in: directory, file: "far.mflow")
            let near = try start(["--mode", "upstream:http://127.0.0.1:\(far.port)"], in: directory)
            let proxy = ["-x", "http://127.0.0.1:\(near.port)"]
            let plain = try curl(proxy + ["http://127.0.0.1:\(nginx.http)/a.json"], trusting: near.authority, in: directory)
            #expect(plain == 407)
            let tunnel = try curl(proxy + ["https://localhost:\(nginx.https)/a.json"], trusting: near.authority, in: directory)
            #expect(tunnel == -56)
            near.stop()
            far.stop()
            #expect(
                try near.flows().last?["error.message"]
                    == "the upstream proxy answered CONNECT with 407 Proxy Authentication Required")
        }
    }

    @Test("Ignored hosts pass unread, with the server's own certificate; TCP hosts are read as bytes")
    func hosts() throws {
        try withPages { directory, nginx in
            let recorder = try start(
                ["--mode", "regular", "--ignore-hosts", "^localhost:", "--tcp", "127[.]0[.]0[.]1:\(nginx.https)$"], in: directory)
            let proxy = ["-x", "http://127.0.0.1:\(recorder.port)"]
            let page = ":\(nginx.https)/a.json"
            let ignored = try curl(proxy + ["https://localhost" + page], trusting: nginx.authority, in: directory)
            let tcp = try curl(proxy + ["https://127.0.0.1" + page], trusting: recorder.authority, in: directory)
            #expect(ignored == 200)
            #expect(tcp == 200)
            #expect(recorder.stop() == 0)
            let flows = try recorder.flows()
            #expect(flows.map { $0["kind"] } == ["tcp", "tcp"])
            let text = try run("mitm-dump", ["--detail", "3", "capture.mflow"], in: directory).output
            #expect(text.contains("passed through"))
            #expect(text.contains("GET /a.json HTTP/1.1"))
            #expect(text.components(separatedBy: #"{"a":1}"#).count == 2)
        }
    }

    /// How a client comes not to accept our certificate: it does not know the authority, or, once TLS stands, finds another key in it.
    enum Rejection: CaseIterable { case authority, key, keyWithoutALPN, keyInTLS12 }

    @Test(
        "A host whose client does not accept our certificate passes unread from the next attempt on", arguments: Rejection.allCases)
    func rejection(_ rejection: Rejection) throws {
        try withPages { directory, nginx in
            let options = ["--mode", "regular", "--passthrough-on-reject", "--ca-file", "origin-ca.pem"]
            let recorder = try Recorder(options, in: directory)
            var arguments = ["-x", "http://127.0.0.1:\(recorder.port)", "https://localhost:\(nginx.https)/a.json"]
            if rejection != .authority {
                let key = "openssl x509 -in server.pem -pubkey -noout | openssl pkey -pubin -outform der"
                let hash = try run("bash", ["-c", key + " | openssl dgst -sha256 -binary | base64"], in: directory).output
                arguments += ["--insecure", "--pinnedpubkey", "sha256//" + hash.trimmingCharacters(in: .newlines)]
            }
            if rejection == .keyWithoutALPN { arguments += ["--no-alpn"] }
            if rejection == .keyInTLS12 { arguments += ["--tls-max", "1.2", "--no-alpn"] }
            // 60: CURLE_PEER_FAILED_VERIFICATION; 90: CURLE_SSL_PINNEDPUBKEYNOTMATCH.
            let refused = rejection == .authority ? -60 : -90
            #expect(try curl(arguments, trusting: nginx.authority, in: directory) == refused)
            // The recorder may learn of it after the client has gone.
            try #require(recorder.program.errorLine(containing: "passes unread from now on") != nil)
            #expect(try curl(arguments, trusting: nginx.authority, in: directory) == 200)
            // curl has ended before the server has closed its side too.
            try #require(recorder.program.errorLine(containing: "passed through") != nil)
            recorder.program.collectErrors()
            #expect(recorder.stop() == 0)
            let flows = try recorder.flows().map { "\($0["kind"] ?? "") \($0["state"] ?? "")" }
            #expect(flows == ["tls failed", "tcp complete"])
        }
    }

    @Test("SIGHUP applies the hosts of the configuration file to new connections")
    func reload() throws {
        try withPages { directory, nginx in
            let recorder = try Recorder(["--mode", "regular", "--ca-file", "origin-ca.pem"], in: directory)
            let arguments = ["-x", "http://127.0.0.1:\(recorder.port)", "https://localhost:\(nginx.https)/a.json"]
            #expect(try curl(arguments, trusting: recorder.authority, in: directory) == 200)
            try "record:\n  ignore_hosts: ['^localhost:']\n".write(
                toFile: directory + "/conf/config.yaml", atomically: true, encoding: .utf8)
            recorder.program.send(SIGHUP)
            _ = try #require(recorder.program.errorLine(containing: "the configuration was read again"))
            recorder.program.collectErrors()
            #expect(try curl(arguments, trusting: nginx.authority, in: directory) == 200)
            #expect(recorder.stop() == 0)
            #expect(try recorder.flows().map { $0["kind"] } == ["http", "tcp"])
        }
    }
}
