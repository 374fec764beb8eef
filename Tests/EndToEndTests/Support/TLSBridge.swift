// HAProxy as the TLS of peers that have none: what a test says in the clear reaches the recorder over TLS with HTTP/2 agreed on, and what the
// recorder says over TLS reaches an origin in the clear. Bytes pass as they come.

import Foundation
import Glibc
import TestSupport

final class TLSBridge {
    /// Where the bridge listens.
    let port: Int
    private let program: RunningProgram

    /// Takes TLS with a certificate for `localhost`, `cert.pem` and `both.pem` in the directory, and forwards to a plain port.
    static func toOrigin(_ port: Int, in directory: String) throws -> TLSBridge {
        let script = """
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
              -addext subjectAltName=DNS:localhost && cat cert.pem key.pem > both.pem
            """
        let made = try run("bash", ["-c", script], in: directory)
        guard made.status == 0 else { throw TestFailure("no certificate: \(made.errors)") }
        return try TLSBridge("ssl crt \(directory)/both.pem alpn h2", "127.0.0.1:\(port)", directory + "/to-origin.cfg")
    }

    /// Takes plain bytes and forwards to a port with TLS.
    static func toRecorder(_ port: Int, in directory: String) throws -> TLSBridge {
        try TLSBridge(
            "", "127.0.0.1:\(port) ssl alpn h2 verify none sni str(localhost)", directory + "/to-recorder.cfg")
    }

    private init(_ bind: String, _ server: String, _ file: String) throws {
        port = try Nginx.freePort()
        let configuration = """
            defaults
              mode tcp
              timeout connect 10s
              timeout client 60s
              timeout server 60s
            listen bridge
              bind 127.0.0.1:\(port) \(bind)
              server there \(server)

            """
        try configuration.write(toFile: file, atomically: true, encoding: .utf8)
        program = try RunningProgram("haproxy", ["-W", "-db", "-f", file])
        guard program.errorLine(containing: "Loading success") != nil else {
            _ = program.waitForEnd()
            throw TestFailure("haproxy did not start: \(program.errors)")
        }
        program.collectErrors()
    }

    deinit {
        program.send(SIGTERM)
        _ = program.waitForEnd()
    }
}

/// A recorder between two bridges: clients and the origin speak in the clear, the recorder speaks TLS with both.
func withBridgedRecorder(origin: Int, _ body: (_ port: Int, _ recorder: Recorder) throws -> Void) throws {
    try withTemporaryDirectory { directory in
        let there = try TLSBridge.toOrigin(origin, in: directory)
        let recorder = try Recorder(
            ["--mode", "reverse:https://localhost:\(there.port)", "--keep-host-header", "--ca-file", "cert.pem"], in: directory)
        recorder.program.collectErrors()
        let here = try TLSBridge.toRecorder(recorder.port, in: directory)
        try body(here.port, recorder)
        let status = recorder.stop()
        guard status == 0 else { throw TestFailure("the recorder ended with \(status): \(recorder.program.errors.suffix(2000))") }
    }
}
