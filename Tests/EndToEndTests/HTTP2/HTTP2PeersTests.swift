// Real peers of HTTP/2 through the recorder, with TLS and without: what they get is what they get without it, and what was recorded is
// what they did.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("Peers of HTTP/2")
struct HTTP2PeersTests {
    enum Transport: String, CaseIterable, CustomTestStringConvertible, Sendable {
        case cleartext = "without TLS"
        case tls = "over TLS"
        var testDescription: String { rawValue }
    }

    /// An nginx with some files, and a recorder in front of it.
    private func withNginx(
        _ transport: Transport,
        _ body: (_ directory: String, _ direct: String, _ through: String, _ recorder: Recorder) throws -> Void
    ) throws {
        try withTemporaryDirectory { directory in
            let nginx = try Nginx(in: directory, http2: true)
            try "{\"hello\":\"world\"}\n".write(toFile: directory + "/www/a.json", atomically: true, encoding: .utf8)
            try (0..<100_000).map { "\($0)\n" }.joined().write(toFile: directory + "/www/large", atomically: true, encoding: .utf8)
            let (mode, port) =
                transport == .tls ? ("https://localhost:\(nginx.https)", nginx.https) : ("h2c://127.0.0.1:\(nginx.h2c)", nginx.h2c)
            let recorder = try Recorder(
                ["--mode", "reverse:" + mode, "--keep-host-header", "--ca-file", nginx.authority], in: directory)
            recorder.program.collectErrors()
            let scheme = transport == .tls ? "https://localhost:" : "http://127.0.0.1:"
            // Both authorities, so that the same arguments do directly and through the recorder.
            _ = try run("bash", ["-c", "cat origin-ca.pem conf/mitm-ca-cert.pem > both.pem"], in: directory)
            try body(directory, scheme + "\(port)", scheme + "\(recorder.port)", recorder)
        }
    }

    private static let curlRequests: [[String]] = [
        ["/a.json"], ["-I", "/a.json"], ["/large"], ["/missing"], ["/redirect"], ["/empty"], ["-d", "a=b", "/length"],
        ["-r", "1000-1999", "/large"], ["-H", "X-Long: " + String(repeating: "x", count: 4000), "/a.json"],
        ["-H", "TE: trailers", "-H", "Cookie: a=1; b=2", "/a.json"], ["-X", "M-SEARCH", "/length"],
    ]

    @Test("curl gets what it gets directly", arguments: Transport.allCases)
    func curl(_ transport: Transport) throws {
        try withNginx(transport) { directory, direct, through, recorder in
            for arguments in Self.curlRequests {
                func ask(_ base: String) throws -> String {
                    let options = [
                        "-sS", "-i", "--max-time", "20", "--cacert", "both.pem", "-H", "Host: origin.example", "-w",
                        "%{http_version}",
                        transport == .tls ? "--http2" : "--http2-prior-knowledge",
                    ]
                    let result = try run(
                        "curl", options + arguments.dropLast() + [base + arguments[arguments.count - 1]], in: directory)
                    #expect(result.errors == "")
                    return result.output.split(separator: "\r\n", omittingEmptySubsequences: false).filter {
                        !$0.hasPrefix("date: ")
                    }
                    .joined(separator: "\n")
                }
                let (expected, actual) = (try ask(direct), try ask(through))
                #expect(actual == expected)
                #expect(actual.hasPrefix("HTTP/2 "))
            }
            #expect(recorder.stop() == 0)
            let flows = try recorder.flows()
            #expect(flows.count == Self.curlRequests.count)
            for flow in flows {
                #expect(flow["request.version"] == "HTTP/2")
                #expect(flow["response.version"] == "HTTP/2")
                #expect(flow["request.stream_id"] == "1")
                #expect(flow["state"] == "complete")
            }
        }
    }

    @Test("curl over TLS through a forward proxy speaks HTTP/2 where the server does")
    func forwardProxy() throws {
        try withTemporaryDirectory { directory in
            let nginx = try Nginx(in: directory, http2: true)
            try "mine".write(toFile: directory + "/www/a.txt", atomically: true, encoding: .utf8)
            let recorder = try Recorder(["--ca-file", nginx.authority], in: directory)
            let options = ["--http2", "-w", " %{http_version} ", "-o", "-"]
            let url = "https://localhost:\(nginx.https)/a.txt"
            let two = try recorder.curl(options + [url, url])
            #expect(two.output == "mine 2 mine 2 ")
            let one = try recorder.curl(["--http1.1", "-w", " %{http_version}", url])
            #expect(one.output == "mine 1.1")
            recorder.stop()
            let flows = try recorder.flows().filter { $0["request.method"] == "GET" }
            #expect(flows.map { $0["request.version"] } == ["HTTP/2", "HTTP/2", "HTTP/1.1"])
            #expect(flows.map { $0["request.stream_id"] }.prefix(2) == ["1", "3"])
            #expect(flows.map { $0["client.tls.alpn"] } == ["h2", "h2", "http/1.1"])
        }
    }

    @Test("A client that offers HTTP/2 over TLS gets what the server chose")
    func mirrored() throws {
        try withTemporaryDirectory { directory in
            let nginx = try Nginx(in: directory, http2: false)
            try "mine".write(toFile: directory + "/www/a.txt", atomically: true, encoding: .utf8)
            let recorder = try Recorder(["--ca-file", nginx.authority], in: directory)
            let result = try recorder.curl(["--http2", "-w", " %{http_version}", "https://localhost:\(nginx.https)/a.txt"])
            #expect(result.output == "mine 1.1")
        }
    }

    @Test("With --no-http2 both sides speak HTTP/1.1, whatever they offer")
    func withoutHTTP2() throws {
        try withTemporaryDirectory { directory in
            let nginx = try Nginx(in: directory, http2: true)
            try "{}".write(toFile: directory + "/www/a.json", atomically: true, encoding: .utf8)
            let recorder = try Recorder(["--ca-file", nginx.authority, "--no-http2"], in: directory)
            recorder.program.collectErrors()
            let result = try recorder.curl([
                "--http2", "-o", "/dev/null", "-w", "%{http_code} %{http_version}", "https://localhost:\(nginx.https)/a.json",
            ])
            #expect(result == ProgramResult(status: 0, output: "200 1.1", errors: ""))
            #expect(recorder.stop() == 0)
            let flow = try #require(try recorder.flows().first)
            #expect([flow["request.version"], flow["response.version"]] == ["HTTP/1.1", "HTTP/1.1"])
        }
    }

    @Test("A client that would like to upgrade to HTTP/2 without TLS is answered, in either version")
    func upgrade() throws {
        try withNginx(.cleartext) { directory, _, through, recorder in
            let result = try run(
                "curl", ["-sS", "--http2", "--max-time", "20", through + "/a.json", through + "/empty"], in: directory)
            #expect(result.output == "{\"hello\":\"world\"}\n")
            #expect(result.errors == "")
            #expect(recorder.stop() == 0)
        }
    }

    @Test("nghttp upgrades to HTTP/2 without TLS where the server does, and gets a large response")
    func upgrades() throws {
        let origin = try RawOrigin { connection, _ in
            _ = connection.read(until: "\r\n\r\n")
            connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
            let endpoint = HTTP2Endpoint(connection, .server)
            endpoint.send(.settings(), .headers(1, [":status": "200"], end: false))
            endpoint.send([UInt8](repeating: 0x78, count: 1_000_000), on: 1)
            while !endpoint.isClosed, endpoint.read(before: .now + .seconds(10)) {}
        }
        try withTemporaryDirectory { directory in
            let recorder = try Recorder(["--mode", "reverse:http://127.0.0.1:\(origin.port)"], in: directory)
            recorder.program.collectErrors()
            // curl does not take much behind the 101.
            let result = try run("nghttp", ["-u", "http://127.0.0.1:\(recorder.port)/large"])
            #expect(result.status == 0)
            #expect(result.output.utf8.count == 1_000_000)
            #expect(recorder.stop() == 0)
            let flow = try #require(try recorder.flows().first)
            #expect([flow["state"], flow["response.version"], flow["response.body.size"]] == ["complete", "HTTP/2", "1000000"])
        }
    }

    @Test("nghttp gets what it gets directly, with many requests at once", arguments: Transport.allCases)
    func nghttp(_ transport: Transport) throws {
        try withNginx(transport) { directory, direct, through, recorder in
            func ask(_ base: String) throws -> String {
                // nghttp has no way to name an authority; -y lets it be.
                let many = try run("nghttp", ["-y", "-m", "40", base + "/a.json"], in: directory)
                let large = try run("nghttp", ["-y", base + "/large"], in: directory)
                #expect(many.status == 0 && large.status == 0)
                return many.output + large.output
            }
            let (expected, actual) = (try ask(direct), try ask(through))
            #expect(actual == expected)
            #expect(recorder.stop() == 0)
            let flows = try recorder.flows()
            #expect(flows.count == 41)
            #expect(Set(flows.map { $0["state"] }) == ["complete"])
            #expect(Set(flows.map { $0["request.stream_id"] }).count == 40)
        }
    }

    @Test("h2load has all of its requests answered", arguments: Transport.allCases)
    func h2load(_ transport: Transport) throws {
        try withNginx(transport) { directory, _, through, recorder in
            let targets = [String](repeating: through + "/a.json", count: 9) + [through + "/large"]
            let result = try run("h2load", ["-n", "1000", "-c", "4", "-m", "16"] + targets, in: directory)
            #expect(result.status == 0)
            #expect(
                result.output.contains(
                    "requests: 1000 total, 1000 started, 1000 done, 1000 succeeded, 0 failed, 0 errored, 0 timeout"))
            #expect(result.output.contains("status codes: 1000 2xx, 0 3xx, 0 4xx, 0 5xx"))
            #expect(recorder.program.peakMemory < 150 << 20)
            #expect(recorder.stop() == 0)
            let count = try run("mitm-filter", ["--count", "~c 200", "capture.mflow"], in: directory)
            #expect(count.output == "1000\n")
        }
    }

    @Test("Python's httpx gets what it gets directly", arguments: Transport.allCases)
    func httpx(_ transport: Transport) throws {
        try withNginx(transport) { directory, direct, through, recorder in
            func ask(_ base: String) throws -> [String] {
                let authority = transport == .tls ? [directory + "/both.pem"] : []
                let result = try run(python, [peerScript("httpx_client.py"), base] + authority, in: directory)
                #expect(result.errors == "")
                return result.output.split(separator: "\n").map(String.init)
            }
            let (expected, actual) = (try ask(direct), try ask(through))
            #expect(actual == expected)
            #expect(actual.count == 59)
            #expect(actual.allSatisfy { $0.contains("\"version\": \"HTTP/2\"") })
            #expect(recorder.stop() == 0)
            #expect(try recorder.flows().filter { $0["state"] == "complete" }.count == 59)
        }
    }

    @Test("gRPC calls of every kind come to what they come to directly", arguments: Transport.allCases)
    func grpc(_ transport: Transport) throws {
        try withTemporaryDirectory { directory in
            _ = try run(
                "openssl",
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out",
                    "cert.pem", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                ], in: directory)
            let server = try RunningProgram(python, [peerScript("grpc_peer.py"), "server", "cert.pem", "key.pem"], in: directory)
            let line = try #require(server.errorLine(containing: "listening on "))
            let ports = line.split(separator: " ").compactMap { Int($0) }
            server.collectErrors()
            let port = try #require(transport == .tls ? ports.last : ports.first)
            let mode = transport == .tls ? "https://localhost:\(port)" : "h2c://127.0.0.1:\(port)"
            let recorder = try Recorder(["--mode", "reverse:" + mode, "--ca-file", "cert.pem"], in: directory)
            recorder.program.collectErrors()
            let host = transport == .tls ? "localhost:" : "127.0.0.1:"
            func ask(_ port: Int, _ authority: String) throws -> [String] {
                let arguments = [peerScript("grpc_peer.py"), "client", host + "\(port)"] + (transport == .tls ? [authority] : [])
                let result = try run(python, arguments, in: directory)
                #expect(result.status == 0, "\(result.errors)")
                return result.output.split(separator: "\n").map(String.init)
            }
            let expected = try ask(port, "cert.pem")
            let actual = try ask(recorder.port, recorder.authority)
            #expect(actual == expected)
            #expect(actual.count == 114)
            #expect(recorder.stop() == 0)
            try expectFlows(of: recorder)
        }
    }

    /// What the recording says of the calls.
    private func expectFlows(of recorder: Recorder) throws {
        let recorded = try recorder.flows()
        func calls(of method: String) -> [JSONObject] { recorded.filter { $0["request.path"] == "/test.Bytes/" + method } }
        #expect(Set(recorded.map { $0["request.version"] }) == ["HTTP/2"])
        #expect(Set(recorded.map { $0["request.stream_id"] }).count == recorded.count)
        let first = try #require(calls(of: "Unary").first)
        #expect(first["request.method"] == "POST")
        #expect(first["response.status"] == "200")
        #expect(first["response.headers"]?.contains("content-type: application/grpc") == true)
        #expect(first["response.trailers"]?.contains("grpc-status: 0") == true)
        #expect(first["response.trailers"]?.contains("x-trailing: end") == true)
        #expect(calls(of: "Unary").filter { $0["state"] == "complete" }.count == 103)
        let status = try #require(calls(of: "Failing").first)
        #expect(status["response.trailers"]?.contains("grpc-status: 9") == true)
        let gzip = try #require(calls(of: "Compressed").first)
        #expect(gzip["request.headers"]?.contains("grpc-encoding: gzip") == true)
        // At its deadline a call is ended by the server or reset by the client, whichever is first; its client has reset the other one.
        #expect(calls(of: "Hanging").count == 2)
        let cancelled = try #require(calls(of: "Hanging").last)
        #expect(cancelled["state"] != "complete")
        #expect(cancelled["error.side"] == "client")
    }
}
