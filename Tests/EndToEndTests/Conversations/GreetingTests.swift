// Servers that speak first as soon as their TLS stands (IMAPS, SMTPS, POP3S, ManageSieve), in every way in which a client reaches them: it
// hears what it hears directly.

import Foundation
import Glibc
import TestSupport
import Testing

private let script = peerScript("greeting_peer.py")

@Suite("A TLS server that speaks first")
struct GreetingTests {
    struct Case: CustomStringConvertible {
        var version: String
        var behaviour: String
        var isPlain: Bool
        var description: String { "TLS \(version), \(behaviour)\(isPlain ? ", STARTTLS" : "")" }
    }

    static let cases = ["1.2", "1.3"].flatMap { version in
        ["goes-on", "closes"].flatMap { behaviour in
            [false, true].map { Case(version: version, behaviour: behaviour, isPlain: $0) }
        }
    }

    @Test("Its greeting, its last words and its end reach the client through each mode", arguments: cases)
    func greeting(_ example: Case) throws {
        try withTemporaryDirectory { directory in
            let arguments = [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out",
                "cert.pem", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
            ]
            try #require(try run("openssl", arguments, in: directory).status == 0)
            let plain = example.isPlain ? ["plain"] : []
            let server = try RunningProgram(
                python, [script, "server", "cert.pem", "key.pem", example.version, example.behaviour] + plain, in: directory)
            let line = try #require(server.errorLine(containing: "listening on "))
            server.collectErrors()
            let port = try #require(line.split(separator: " ").compactMap { Int($0) }.first)
            defer {
                server.send(SIGKILL)
                _ = server.waitForEnd()
            }
            var ways = [
                ("connect", ["--mode", "regular"]), ("connect", ["--mode", "regular", "--tcp", "localhost"]),
                ("socks5", ["--mode", "socks5"]), ("direct", ["--mode", "reverse:tcp://localhost:\(port)"]),
                ("connect", ["--mode", "regular", "--connection-strategy", "lazy"]),
            ]
            if !example.isPlain { ways.append(("direct", ["--mode", "reverse:tls://localhost:\(port)"])) }
            let expected = example.behaviour == "closes" ? "421 busy\n\n" : "* OK IMAP ready\nBYE a LOGOUT\n"
            for (index, (way, mode)) in ways.enumerated() {
                let recorder = try Recorder(mode + ["--ca-file", "cert.pem"], in: directory, file: "\(index).mflow")
                recorder.program.collectErrors()
                let client = [script, "client", "\(recorder.port)", "\(port)", recorder.authority, way] + plain
                #expect(try run(python, client, in: directory) == ProgramResult(status: 0, output: expected, errors: ""), "\(mode)")
                #expect(recorder.stop() == 0)
                let flows = try recorder.flows("\(index).mflow")
                let said = flows.map { flow in
                    (0..<flow.count("tcp.messages")).map { flow["tcp.messages.\($0).text"] ?? "?" }.joined()
                }
                let before = example.isPlain ? "OK before\r\nSTARTTLS\r\nOK begin\r\n" : ""
                let after =
                    example.behaviour == "closes" ? "421 busy\r\n" : "* OK IMAP ready\r\na LOGOUT\r\nBYE a LOGOUT\r\n"
                #expect(said == [before + after], "\(mode)")
                #expect(flows.map { $0["state"] } == ["complete"], "\(mode)")
            }
        }
    }
}
