// The recorder's authority as its clients get it: in the chain of every TLS handshake, and at mitm.it.

import Foundation
import TestSupport
import Testing

@Suite("The authority at its clients")
struct AuthorityTests {
    /// The certificates that a server sends, PEM each.
    private func chain(_ arguments: [String], alpn: String, in directory: String) throws -> [String] {
        let shown = try run(
            "openssl", ["s_client", "-servername", "mitm.it", "-alpn", alpn, "-showcerts"] + arguments, input: Data(), in: directory
        )
        #expect(shown.output.contains("ALPN protocol: \(alpn)\n"))
        let end = "-----END CERTIFICATE-----\n"
        return shown.output.components(separatedBy: "-----BEGIN CERTIFICATE-----\n").dropFirst().map {
            "-----BEGIN CERTIFICATE-----\n" + $0.components(separatedBy: end)[0] + end
        }
    }

    @Test(
        "Every chain ends with the authority's certificate, so that a client can be pinned to its key",
        arguments: ["h2", "http/1.1"])
    func chain(alpn: String) throws {
        try withTemporaryDirectory { directory in
            let recorder = try Recorder([], in: directory)
            recorder.program.collectErrors()
            let recorded = try chain(
                ["-proxy", "127.0.0.1:\(recorder.port)", "-connect", "mitm.it:443"], alpn: alpn, in: directory)
            recorder.stop()
            try record([("/", response("x"))], in: directory)
            let server = try RunningProgram(
                "mitm-serve", ["-p", "0", "--confdir", "conf", "capture.mflow"], in: directory)
            let line = try #require(server.errorLine(containing: "listening on "))
            let port = try #require(line.split(separator: " ").compactMap { Int($0.split(separator: ":").last ?? "") }.first)
            let served = try chain(["-connect", "127.0.0.1:\(port)"], alpn: alpn, in: directory)
            server.send(SIGTERM)
            #expect(server.waitForEnd() == 0)
            let authority = try String(contentsOfFile: recorder.authority, encoding: .utf8)
            #expect(recorded.count == 2 && recorded.last == authority)
            #expect(served.count == 2 && served.last == authority)
        }
    }

    @Test("The page and the files of mitm.it are the same by the proxy's address, its name and TLS, and by SOCKS")
    func page() throws {
        try withTemporaryDirectory { directory in
            let recorder = try Recorder(["--mode", "regular", "--mode", "socks5"], in: directory)
            let line = try #require(recorder.program.errorLine(containing: "(socks5)"))
            let socks = try #require(line.split(separator: " ").compactMap { Int($0.split(separator: ":").last ?? "") }.first)
            recorder.program.collectErrors()
            func get(_ arguments: [String]) throws -> String {
                try run("curl", ["-sS", "--max-time", "30", "--cacert", recorder.authority] + arguments, in: directory).output
            }
            let http = ["-x", "http://127.0.0.1:\(recorder.port)"]
            let page = try get(http + ["http://mitm.it/"])
            let fingerprint = try run("openssl", ["x509", "-in", recorder.authority, "-noout", "-fingerprint", "-sha256"]).output
            let value = try #require(fingerprint.split(separator: "=").last).trimmingCharacters(in: .newlines)
            #expect(page.contains("Its SHA-256 fingerprint is <code>\(value)</code>"))
            for arguments in [
                http + ["https://mitm.it/"], http + ["--http1.1", "https://mitm.it/"], ["http://127.0.0.1:\(recorder.port)/"],
                ["http://127.0.0.1:\(socks)/"], ["-x", "socks5h://127.0.0.1:\(socks)", "https://mitm.it/"],
                ["-x", "socks5h://127.0.0.1:\(socks)", "http://mitm.it/"],
            ] {
                #expect(try get(arguments) == page, "\(arguments)")
            }
            _ = try get(http + ["-OJ", "http://mitm.it/cert/p12", "-OJ", "http://mitm.it/cert/cer"])
            let authority = try String(contentsOfFile: recorder.authority, encoding: .utf8)
            let opened = try run("openssl", ["pkcs12", "-in", "mitm-ca-cert.p12", "-passin", "pass:mitm"], in: directory).output
            #expect(opened.contains(authority) && !opened.contains("PRIVATE KEY"))
            #expect(try run("openssl", ["x509", "-inform", "der", "-in", "mitm-ca-cert.cer"], in: directory).output == authority)
            #expect(recorder.stop() == 0)
            #expect(try recorder.flows().isEmpty)
        }
    }
}
