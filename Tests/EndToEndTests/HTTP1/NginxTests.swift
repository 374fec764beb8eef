// curl through the recorder to a real nginx, and what the recording says of it.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("Through the recorder, from curl to nginx")
struct NginxTests {
    @Test("Status, head and body are those of a direct request, and all of it is in the recording")
    func identical() throws {
        try withTemporaryDirectory { directory in
            let nginx = try Nginx(in: directory)
            try "{\"hello\":\"world\"}\n".write(toFile: directory + "/www/a.json", atomically: true, encoding: .utf8)
            let recorder = try Recorder(["--ca-file", nginx.authority], in: directory)
            for path in ["/a.json", "/redirect", "/empty", "/missing"] {
                for url in ["http://127.0.0.1:\(nginx.http)\(path)", "https://localhost:\(nginx.https)\(path)"] {
                    let direct = try run("curl", ["-sS", "-i", "--http1.1", "--cacert", nginx.authority, url])
                    let through = try recorder.curl(["-i", "--http1.1", "--suppress-connect-headers", url])
                    #expect(Self.withoutDate(through.output) == Self.withoutDate(direct.output), "\(url)")
                    #expect(through.status == direct.status)
                }
            }
            #expect(recorder.stop() == 0)
            let flows = try recorder.flows()
            #expect(flows.count == 8)
            let flow = flows[1]
            #expect(flow["request.url"] == "https://localhost:\(nginx.https)/a.json")
            #expect(flow["request.headers"]?.hasPrefix("Host: localhost:\(nginx.https)\nUser-Agent: curl/") == true)
            #expect(flow["response.headers"]?.hasPrefix("Server: nginx") == true)
            #expect(flow["response.body.text"] == "{\"hello\":\"world\"}\n")
            #expect(flow["client.tls.version"] == "TLSv1.3")
            #expect(flow["client.tls.sni"] == "localhost")
            #expect(flow["client.tls.ja4"]?.hasPrefix("t13d") == true)
            #expect(flow["server.tls.verified"] == "1" || flow["server.tls.verified"] == "true")
            #expect(flow["server.address"] == "127.0.0.1:\(nginx.https)")
            #expect(Double(flow["duration_ms"] ?? "") ?? -1 > 0)
            #expect(flow["started"].map { $0 < flow["ended"] ?? "" } == true)
        }
    }

    private static func withoutDate(_ text: String) -> String {
        text.split(separator: "\r\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("Date: ") }.joined(separator: "\n")
    }

    @Test(
        "Coded bodies are printed decoded",
        arguments: [("gzip", ["gzip", "-c"]), ("br", ["brotli", "-c"]), ("zstd", ["zstd", "-c", "-q"])])
    func coded(coding: String, program: [String]) throws {
        try withTemporaryDirectory { directory in
            let text = String(repeating: "decoded, as people read it. ", count: 30)
            try text.write(toFile: directory + "/plain", atomically: true, encoding: .utf8)
            _ = try run(
                "bash",
                [
                    "-c",
                    "\(program.joined(separator: " ")) < plain > coded && python3 -c \"import sys;d=open('coded','rb').read();sys.stdout.buffer.write(b'HTTP/1.1 200 OK\\r\\nContent-Encoding: \(coding)\\r\\nContent-Length: %d\\r\\n\\r\\n'%len(d)+d)\" > answer",
                ], in: directory)
            let answer = [UInt8](try Data(contentsOf: URL(fileURLWithPath: directory + "/answer")))
            let origin = try RawOrigin { connection, _ in
                _ = connection.read(until: "\r\n\r\n")
                connection.send(bytes: answer)
            }
            let recorder = try Recorder([], in: directory)
            #expect(try recorder.curl(["--compressed", "-o", "/dev/null", "http://127.0.0.1:\(origin.port)/"]).errors == "")
            recorder.stop()
            let flow = try #require(try recorder.flows().first)
            #expect(flow["response.body.text"] == text)
            #expect(try run("mitm-dump", ["--detail", "4", "capture.mflow"], in: directory).output.contains(text))
            #expect(try run("mitm-filter", ["--count", "~bs 'decoded, as'", "capture.mflow"], in: directory).output == "1\n")
        }
    }

    @Test("A large body passes with the recorder's memory flat, and comes back whole")
    func largeBody() throws {
        try withTemporaryDirectory { directory in
            let nginx = try Nginx(in: directory)
            _ = try run("bash", ["-c", "head -c 268435456 /dev/zero > www/large"], in: directory)
            let recorder = try Recorder(["--ca-file", nginx.authority], in: directory)
            let through = try recorder.curl(["-o", "/dev/null", "-w", "%{size_download}", "https://localhost:\(nginx.https)/large"])
            #expect(through.output == "268435456")
            #expect(recorder.program.peakMemory < 64 << 20)
            recorder.stop()
            let flow = try run("mitm-dump", ["--detail", "1", "capture.mflow"], in: directory)
            #expect(flow.output.contains("<< 200 OK text/plain 256.0 MiB"))
        }
    }

    @Test(
        "A killed recorder leaves what it had seen: finished flows whole, the open one as far as it came; a recorder can append to the file"
    )
    func killed() throws {
        try withTemporaryDirectory { directory in
            let progress = DispatchSemaphore(value: 0)
            let origin = try RawOrigin { connection, _ in
                let request = connection.read(until: "\r\n\r\n")
                if request.hasPrefix("GET /open ") {
                    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + String(repeating: "x", count: 5000))
                    progress.wait()
                } else {
                    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                }
            }
            let recorder = try Recorder(["--flush-interval", "50ms"], in: directory)
            let open = try RawConnection(port: recorder.port)
            open.send("GET http://127.0.0.1:\(origin.port)/open HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(open.read(until: "xxx").contains("200 OK"))
            for _ in 0..<50 {
                #expect(try recorder.curl(["http://127.0.0.1:\(origin.port)/"]).output == "ok")
            }
            // What is in the file is what a reader sees of it while it grows.
            while try run("mitm-filter", ["--count", "~all", "capture.mflow"], in: directory).output != "51\n" {}
            recorder.program.send(SIGKILL)
            #expect(recorder.program.waitForEnd() == 128 + SIGKILL)
            progress.signal()
            let flows = try recorder.flows()
            #expect(flows.filter { $0["state"] == "complete" && $0["response.body.text"] == "ok" }.count == 50)
            let cut = try #require(flows.last)
            #expect(cut["state"] == "incomplete")
            #expect(cut["response.body.text"] == String(repeating: "x", count: 5000))

            // Torn in the middle of its last block.
            _ = try run("bash", ["-c", "head -c -20 capture.mflow > torn.mflow"], in: directory)
            let verified = try run("mitm-dump", ["--verify", "torn.mflow"], in: directory)
            #expect(verified.status == 3)
            #expect(verified.errors.contains("the file ends in the middle of a block"))
            let before = try run("mitm-filter", ["--count", "~s", "torn.mflow"], in: directory)
            #expect(before.status == 3)
            let again = try Recorder([], in: directory, file: "torn.mflow")
            #expect(try again.curl(["http://127.0.0.1:\(origin.port)/"]).output == "ok")
            again.stop()
            #expect(try run("mitm-dump", ["--verify", "torn.mflow"], in: directory).status == 0)
            let after = try run("mitm-filter", ["--count", "~s", "torn.mflow"], in: directory).output
            #expect(Int(after.dropLast()) == Int(before.output.dropLast()).map { $0 + 1 })
            #expect(try run("lz4", ["-t", "-q", "torn.mflow"], in: directory).status == 0)
        }
    }

    @Test("Files are joined, cut and damaged; pipelines continue")
    func pipelines() throws {
        try withTemporaryDirectory { directory in
            let origin = try RawOrigin { connection, _ in
                while connection.read(until: "\r\n\r\n").contains("\r\n\r\n") {
                    connection.send(
                        "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n"
                            + (0..<3000).map { String(($0 * 7919 + 13) % 10) }.joined())
                }
            }
            for file in ["a.mflow", "b.mflow"] {
                let recorder = try Recorder(
                    ["--mode", "reverse:http://127.0.0.1:\(origin.port)", "--flush-interval", "20ms"], in: directory, file: file)
                for _ in 0..<10 {
                    let client = try RawConnection(port: recorder.port)
                    for number in 0..<30 {
                        client.send("GET /\(number)\(UUID().uuidString)\(UUID().uuidString) HTTP/1.1\r\nHost: a\r\n\r\n")
                        var received = 0
                        while received < 3000, let more = client.read() { received += more.utf8.count }
                    }
                }
                #expect(recorder.stop() == 0)
                #expect(try run("lz4", ["-t", "-q", file], in: directory).status == 0)
            }
            let joined = "cat a.mflow b.mflow | \(toolDirectory)/mitm-filter '~c 200' | \(toolDirectory)/mitm-dump | wc -l"
            #expect(try run("bash", ["-c", joined], in: directory).output == "600\n")
            let size = (try FileManager.default.attributesOfItem(atPath: directory + "/a.mflow")[.size] as? Int) ?? 0
            let cut = try run("bash", ["-c", "head -c \(size / 2) a.mflow | \(toolDirectory)/mitm-dump"], in: directory)
            #expect(cut.status == 3)
            #expect(cut.output.split(separator: "\n").count > 50)
            #expect(cut.errors.contains("ends in the middle of a block"))
            _ = try run(
                "bash",
                [
                    "-c",
                    "cp a.mflow damaged.mflow && head -c 100 /dev/urandom | dd of=damaged.mflow bs=1 seek=\(size / 2) conv=notrunc status=none",
                ], in: directory)
            let damaged = try run("mitm-dump", ["--detail", "3", "damaged.mflow"], in: directory)
            #expect(damaged.status == 3)
            #expect(damaged.errors.contains("damaged"))
            #expect(damaged.output.components(separatedBy: " << 200 OK").count > 150)
        }
    }

    @Test("What goes wrong before there is an exchange is a flow with the reason and whose fault it was")
    func failures() throws {
        try withTemporaryDirectory { directory in
            let nginx = try Nginx(in: directory)
            let garbage = try RawOrigin(answering: [("\r\n\r\n", "220 this is no HTTP\r\n\r\n")])
            let closed = try Nginx.freePort()
            // The origin's authority is not given, so its certificate is not trusted.
            let recorder = try Recorder([], in: directory)
            let untrusted = try recorder.curl(["-o", "/dev/null", "-w", "%{http_code}", "https://localhost:\(nginx.https)/"])
            #expect(untrusted.output == "502")
            #expect(
                try recorder.curl(["-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:\(garbage.port)/"]).output == "502")
            #expect(try recorder.curl(["-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:\(closed)/"]).output == "502")
            #expect(try recorder.curl(["-o", "/dev/null", "-w", "%{http_code}", "http://no-such-host.invalid/"]).output == "502")
            #expect(
                try recorder.curl(["-o", "/dev/null", "-w", "%{http_connect}", "https://127.0.0.1:\(closed)/"]).output == "502")
            let distrusting = try run(
                "curl",
                ["-sS", "--max-time", "20", "-x", "http://127.0.0.1:\(recorder.port)", "https://localhost:\(nginx.https)/"],
                in: directory)
            #expect(distrusting.status == 60)
            let loop = try recorder.curl(["-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:\(recorder.port)/x"])
            #expect(loop.output == "502")
            recorder.stop()
            let told = try recorder.flows().map {
                "\($0["kind"] ?? "") \($0["state"] ?? "") \($0["error.side"] ?? ""): \($0["error.message"] ?? "")"
            }
            #expect(told.count == 7)
            #expect(told[0].hasPrefix("http failed server: TLS with localhost:\(nginx.https) failed: certificate verify failed: "))
            #expect(told[1] == "http failed server: the server does not answer in HTTP/1")
            #expect(told[2] == "http failed server: cannot connect to 127.0.0.1:\(closed): connection refused")
            #expect(told[3].hasPrefix("http failed server: cannot connect to no-such-host.invalid:80: "))
            #expect(told[4] == "http failed server: cannot connect to 127.0.0.1:\(closed): connection refused")
            #expect(told[5].hasPrefix("tls failed client: the client does not trust the certificate for localhost"))
            #expect(told[6].contains("is the recorder itself"))
        }
    }

    @Test("http://mitm.it hands out the authority that the recorder uses")
    func onboarding() throws {
        try withTemporaryDirectory { directory in
            let recorder = try Recorder([], in: directory)
            let handedOut = try recorder.curl(["http://mitm.it/cert/pem"]).output
            recorder.stop()
            #expect(handedOut == (try String(contentsOfFile: recorder.authority, encoding: .utf8)))
            let mode = try FileManager.default.attributesOfItem(atPath: directory + "/conf/mitm-ca.pem")[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }
}
