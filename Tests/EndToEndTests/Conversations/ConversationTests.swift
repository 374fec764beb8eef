// WebSocket conversations and streams of bytes between real peers: what they get through the recorder is what they get directly, and the
// recording tells it.

import Foundation
import TestSupport
import Testing

/// A peer of Python's, and the port that it says it listens on.
private func peer(_ arguments: [String], in directory: String) throws -> (program: RunningProgram, port: Int) {
    let program = try RunningProgram(python, arguments, in: directory)
    let line = try #require(program.errorLine(containing: "listening on "))
    program.collectErrors()
    return (program, try #require(line.split(separator: " ").compactMap { Int($0) }.first))
}

private func makeCertificate(in directory: String) throws {
    let made = try run(
        "openssl",
        [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out",
            "cert.pem",
            "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ], in: directory)
    guard made.status == 0 else { throw TestFailure("no certificate: \(made.errors)") }
}

@Suite("Conversations")
struct ConversationTests {
    @Test(
        "Python's websockets gets what it gets directly; messages, pings and closes are recorded", arguments: ["answer", "relay"])
    func webSocket(pings: String) throws {
        try withTemporaryDirectory { directory in
            let server = try peer([peerScript("websocket_peer.py"), "server"], in: directory)
            let recorder = try Recorder(
                ["--mode", "reverse:http://127.0.0.1:\(server.port)", "--websocket-ping", pings], in: directory)
            recorder.program.collectErrors()
            func talk(_ port: Int) throws -> String {
                let result = try run(python, [peerScript("websocket_peer.py"), "client", "ws://127.0.0.1:\(port)/"], in: directory)
                #expect(result.errors == "")
                return result.output
            }
            let expected = try talk(server.port)
            let actual = try talk(recorder.port)
            #expect(actual == expected)
            #expect(expected.contains("deflate 1000 bye"))
            #expect(recorder.stop() == 0)
            // Threads of tests block the other signals, and their children inherit that.
            server.program.send(SIGKILL)
            _ = server.program.waitForEnd()
            try expectRecorded(recorder.flows(), pings)
        }
    }

    /// Where HTTP/2 is on one side at least.
    enum Crossing: String, CaseIterable, CustomTestStringConvertible, Sendable {
        case fromHTTP2 = "a client of HTTP/2 and a server of HTTP/1"
        case toHTTP2 = "a client of HTTP/1 and a server of HTTP/2"
        case withinHTTP2 = "a client and a server of HTTP/2"
        var testDescription: String { rawValue }
    }

    @Test("WebSocket over HTTP/2, and between the versions of HTTP, is what it is without us", arguments: Crossing.allCases)
    func webSocketAcrossVersions(_ crossing: Crossing) throws {
        try withTemporaryDirectory { directory in
            let one = peerScript("websocket_peer.py")
            let two = peerScript("websocket_h2_peer.py")
            let server = try peer([crossing == .fromHTTP2 ? one : two, "server"], in: directory)
            let scheme = crossing == .fromHTTP2 ? "http" : "h2c"
            let recorder = try Recorder(["--mode", "reverse:\(scheme)://127.0.0.1:\(server.port)"], in: directory)
            recorder.program.collectErrors()
            func talk(_ port: Int, overHTTP2: Bool) throws -> String {
                let arguments = overHTTP2 ? [two, "client", "\(port)"] : [one, "client", "ws://127.0.0.1:\(port)/"]
                let result = try run(python, arguments, in: directory)
                #expect(result.errors == "")
                return result.output
            }
            let expected = try talk(server.port, overHTTP2: crossing != .fromHTTP2)
            let actual = try talk(recorder.port, overHTTP2: crossing != .toHTTP2)
            #expect(actual == expected)
            #expect(actual.contains("deflate 1000 bye"))
            #expect(recorder.stop() == 0)
            server.program.send(SIGKILL)
            _ = server.program.waitForEnd()
            let flows = try recorder.flows()
            let (method, version) = crossing == .toHTTP2 ? ("GET", "HTTP/1.1") : ("CONNECT", "HTTP/2")
            #expect(Set(flows.map { $0["request.method"] }) == [method])
            #expect(Set(flows.map { $0["request.version"] }) == [version])
            try expectRecorded(flows, "answer", status: crossing == .fromHTTP2 ? "101" : "200")
        }
    }

    private func expectRecorded(_ flows: [JSONObject], _ pings: String, status: String = "101") throws {
        #expect(flows.map { $0["state"] } == ["complete", "complete", "incomplete"])
        for flow in flows.prefix(2) {
            #expect(flow["response.status"] == status)
            #expect(flow["websocket.messages.0.text"] == "héllo")
            #expect(flow["websocket.messages.1.from"] == "server")
            #expect(flow["websocket.messages.2.size"] == "300000")
            #expect(flow["websocket.messages.4.opcode"] == "binary")
            #expect(flow["websocket.messages.8.text"] == "fragmented")
            #expect(flow["websocket.close.code"] == "1000")
            #expect(flow["websocket.close.reason"] == "bye")
            let said = (0..<16).compactMap { number -> String? in
                guard let opcode = flow["websocket.messages.\(number).opcode"] else { return nil }
                return "\(flow["websocket.messages.\(number).from"] ?? "") \(opcode)"
            }
            // Ours answers the client and asks the server, whose answer it keeps to itself.
            #expect(said.filter { $0.hasSuffix("ping") } == ["client ping"])
            #expect(said.contains("server pong"))
        }
    }

    @Test("A conversation can be read while it is still open")
    func webSocketWhileOpen() throws {
        try withTemporaryDirectory { directory in
            let origin = try RawOrigin { connection, _ in
                _ = connection.read(until: "\r\n\r\n")
                connection.send(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
                connection.send(bytes: [0x81, 0x05] + Array("hello".utf8))
                _ = connection.readToEnd()
            }
            let recorder = try Recorder(
                ["--mode", "reverse:http://127.0.0.1:\(origin.port)", "--flush-interval", "50ms"], in: directory)
            recorder.program.collectErrors()
            let client = try RawConnection(port: recorder.port)
            client.send(
                "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            // A reader follows the file.
            let watcher = try RunningProgram(
                "bash", ["-c", "exec \(toolDirectory)/mitm-dump --follow --detail 3 capture.mflow >&2"], in: directory)
            #expect(watcher.errorLine(containing: " text 5 B")?.contains(" << http://x") == true)
            #expect(watcher.errorLine(containing: "hello") == "    hello")
            watcher.send(SIGTERM)
            #expect(watcher.waitForEnd() == 0)
            // And what the pipe of another program brings.
            let piped = try RunningProgram(
                "bash", ["-c", "(cat capture.mflow; read -r _) | \(toolDirectory)/mitm-dump --follow --detail 3 - >&2"],
                in: directory, takesInput: true)
            #expect(piped.errorLine(containing: " text 5 B")?.contains(" << http://x") == true)
            #expect(piped.errorLine(containing: "hello") == "    hello")
            piped.write(Data("\n".utf8))
            // The flow is reported as open when the pipe ends, and its message once.
            #expect(piped.errorLine(containing: "open at the end of the recording") != nil)
            _ = piped.waitForEnd()
            #expect(piped.errors.components(separatedBy: "hello").count == 2, "\(piped.errors)")
            // The recorder is killed with the conversation open: its messages so far are in the file.
            let deadline = Date(timeIntervalSinceNow: 10)
            var flows: [JSONObject] = []
            while flows.first?["websocket.messages.0.text"] == nil, Date() < deadline { flows = try recorder.flows() }
            recorder.program.send(SIGKILL)
            _ = recorder.program.waitForEnd()
            #expect(try recorder.flows().map { $0["websocket.messages.0.text"] } == ["hello"])
        }
    }

    @Test("TLS that begins in the middle of a conversation is intercepted from there")
    func startTLS() throws {
        try withTemporaryDirectory { directory in
            try makeCertificate(in: directory)
            let server = try peer([peerScript("smtp_peer.py"), "server", "cert.pem", "key.pem"], in: directory)
            let recorder = try Recorder(
                ["--mode", "reverse:tcp://localhost:\(server.port)", "--ca-file", "cert.pem"], in: directory)
            recorder.program.collectErrors()
            let result = try run(
                python, [peerScript("smtp_peer.py"), "client", "\(recorder.port)", recorder.authority], in: directory)
            #expect(result == ProgramResult(status: 0, output: "sent\n", errors: ""))
            _ = server.program.waitForEnd()
            #expect(recorder.stop() == 0)
            let flow = try #require(try recorder.flows().first)
            #expect(flow["kind"] == "tcp")
            #expect(flow["client.tls.version"] == "TLSv1.3")
            #expect(flow["server.tls.version"] == "TLSv1.3")
            let text = try run("mitm-dump", ["--detail", "3", "capture.mflow"], in: directory).output
            #expect(text.contains("STARTTLS") && text.contains("a secret in TLS"))
        }
    }
}
