// CONNECT on streams of a client of HTTP/2 to the recorder as its forward proxy (RFC 9113 §8.5): each stream is a connection of its own, in
// which everything is as behind CONNECT of HTTP/1.

import Foundation
import TestSupport
import Testing

@Suite("CONNECT over HTTP/2")
struct HTTP2ConnectTests {
    private static func connect(_ stream: UInt32, _ authority: String, _ more: KeyValuePairs<String, String> = [:]) -> HTTP2Frame {
        .headers(stream, block: HPACK.block([":method": "CONNECT", ":authority": authority]) + HPACK.block(more), end: false)
    }

    /// A recorder that is a forward proxy, and its client.
    private func withProxy(
        _ arguments: [String] = [], _ body: (HTTP2Endpoint, Recorder) throws -> Void
    ) throws -> [JSONObject] {
        try withTemporaryDirectory { directory in
            let recorder = try Recorder(arguments, in: directory)
            recorder.program.collectErrors()
            let client = try HTTP2Endpoint.client(port: recorder.port)
            try body(client, recorder)
            #expect(client.faults == [])
            #expect(recorder.stop() == 0)
            return try recorder.flows()
        }
    }

    private func text(_ client: HTTP2Endpoint, on stream: UInt32) -> String { client.streams[stream]?.body.text ?? "" }

    @Test("Requests on several streams at once are recorded with their own target, one after the other on each")
    func requests() throws {
        let origin = try RawOrigin { connection, _ in
            while true {
                let head = connection.read(until: "\r\n\r\n")
                guard let path = head.split(separator: " ").dropFirst().first else { return }
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(path.count)\r\n\r\n\(path)")
            }
        }
        let target = "127.0.0.1:\(origin.port)"
        let flows = try withProxy { client, _ in
            client.send(Self.connect(1, target), Self.connect(3, target))
            let open = client.wait { client.streams[1]?.status == 200 && client.streams[3]?.status == 200 }
            #expect(open)
            for path in ["/a", "/bb"] {
                for stream: UInt32 in [1, 3] {
                    client.send(.data(stream, "GET \(path)\(stream) HTTP/1.1\r\nHost: \(target)\r\n\r\n"))
                    let came = client.wait { text(client, on: stream).hasSuffix("\r\n\r\n\(path)\(stream)") }
                    #expect(came, "\(path) on stream \(stream)")
                }
            }
            client.send(.data(1, end: true), .data(3, end: true))
            let ended = client.wait { client.streams[1]?.ended == true && client.streams[3]?.ended == true }
            #expect(ended)
        }
        let told = flows.map { "\($0["request.url"] ?? "") \($0["response.body.text"] ?? "") \($0["state"] ?? "")" }
        let expected = ["/a1", "/a3", "/bb1", "/bb3"].map { "http://\(target)\($0) \($0) complete" }
        #expect(told == expected)
    }

    @Test("What is neither TLS nor HTTP is a TCP flow, half-close and all")
    func bytes() throws {
        let origin = try RawOrigin { connection, origin in
            connection.send("220 hello\r\n")
            origin.note(connection.readToEnd())
            connection.send("221 bye\r\n")
        }
        let flows = try withProxy { client, _ in
            client.send(Self.connect(1, "127.0.0.1:\(origin.port)"))
            let greeted = client.wait { text(client, on: 1) == "220 hello\r\n" }
            #expect(greeted)
            client.send(.data(1, "QUIT\r\n", end: true))
            let ended = client.wait { client.streams[1]?.ended == true }
            #expect(ended)
            #expect(text(client, on: 1) == "220 hello\r\n221 bye\r\n")
        }
        #expect(origin.log == "QUIT\r\n")
        #expect(flows.map { $0["kind"] } == ["tcp"])
        #expect(flows.map { $0["state"] } == ["complete"])
        #expect(
            (0..<3).map { "\(flows[0]["tcp.messages.\($0).from"] ?? "") \(flows[0]["tcp.messages.\($0).text"] ?? "")" } == [
                "server 220 hello\r\n", "client QUIT\r\n", "server 221 bye\r\n",
            ])
    }

    @Test("An unreachable server is a 502 and a flow, an invalid target a 400, and the connection persists")
    func refusals() throws {
        let origin = try HTTP2Origin()
        let closed = try Nginx.freePort()
        let flows = try withProxy { client, _ in
            client.send(
                Self.connect(1, "127.0.0.1:\(closed)"), Self.connect(3, "nowhere"), Self.connect(5, "127.0.0.1:\(origin.port)"))
            let answered = client.wait { [1, 3, 5].allSatisfy { client.streams[$0]?.status != nil } }
            #expect(answered)
            #expect([1, 3, 5].map { client.streams[$0]?.status } == [502, 400, 200])
            let over = client.wait { client.streams[1]?.ended == true && client.streams[3]?.ended == true }
            #expect(over)
        }
        let told = flows.filter { $0["kind"] == "http" }.map {
            "\($0["request.method"] ?? "") \($0["request.url"] ?? "") \($0["request.stream_id"] ?? "") \($0["error.message"] ?? "")"
        }
        #expect(
            Set(told) == [
                "CONNECT 127.0.0.1:\(closed) 1 cannot connect to 127.0.0.1:\(closed): connection refused",
                "CONNECT nowhere 3 the target of CONNECT is not host:port",
            ])
    }

    @Test("The proxy's password is asked for on the stream, and not again within")
    func credentials() throws {
        let origin = try RawOrigin(answering: [("\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")])
        let target = "127.0.0.1:\(origin.port)"
        _ = try withProxy(["--proxyauth", "user:word"]) { client, _ in
            client.send(Self.connect(1, target))
            let asked = client.wait { client.streams[1]?.status == 407 }
            #expect(asked)
            let basic = "Basic " + Data("user:word".utf8).base64EncodedString()
            client.send(
                Self.connect(3, target, ["proxy-authorization": basic]), .data(3, "GET / HTTP/1.1\r\nHost: \(target)\r\n\r\n"))
            let came = client.wait { text(client, on: 3).hasSuffix("ok") }
            #expect(came)
        }
    }

    @Test("A reset goes through in either direction, and concerns no other stream")
    func resets() throws {
        let origin = try RawOrigin { connection, origin in
            connection.send("hello")
            origin.note(connection.read(until: "!"))
            connection.resetOnClose()
        }
        let target = "127.0.0.1:\(origin.port)"
        let flows = try withProxy { client, _ in
            client.send(Self.connect(1, target), Self.connect(3, target))
            let greeted = client.wait { text(client, on: 1) == "hello" && text(client, on: 3) == "hello" }
            #expect(greeted)
            client.send(.reset(1, .cancel))
            client.send(.data(3, "go!"))
            let reset = client.wait { client.streams[3]?.reset != nil }
            #expect(reset)
            // RFC 9113 §8.5: CONNECT_ERROR.
            #expect(client.streams[3]?.reset == HTTP2Code(rawValue: 10))
            #expect(client.streams[1]?.reset == nil)
        }
        #expect(origin.log == "go!")
        let closers = flows.map { "\($0["tcp.closed_by"] ?? "") \($0["tcp.how"] ?? "")" }
        #expect(Set(closers) == ["client reset", "server reset"])
    }

    @Test("A client that takes nothing holds up its own stream alone; what waits is not kept in memory")
    func backPressure() throws {
        let size = 200 << 20
        let piece = [UInt8](repeating: 0x61, count: 1 << 20)
        let origin = try RawOrigin { connection, _ in
            connection.send("begin")
            for _ in 0..<size >> 20 { connection.send(bytes: piece) }
        }
        let other = try RawOrigin(answering: [("?", "answer")])
        _ = try withProxy(["--tcp", "."]) { client, recorder in
            client.returnsWindows = false
            client.send(.windowUpdate(0, 1 << 30), Self.connect(1, "127.0.0.1:\(origin.port)"))
            let full = client.wait(.seconds(5)) { client.streams[1]?.body.size == 65_535 }
            #expect(full)
            client.send(Self.connect(3, "127.0.0.1:\(other.port)"), .data(3, "?"))
            let answered = client.wait { text(client, on: 3) == "answer" }
            #expect(answered)
            #expect(recorder.program.peakMemory < 150 << 20)
            client.send(.windowUpdate(1, 1 << 30))
            let all = client.wait(.seconds(30)) { client.streams[1]?.ended == true }
            #expect(all)
            #expect(client.streams[1]?.body.size == size + 5)
        }
    }

    @Test("Content comes back whole, both ways at once")
    func echo() throws {
        let origin = try RawOrigin { connection, _ in
            while case .bytes(let bytes) = connection.receive(before: .now + .seconds(10)) { connection.send(bytes: bytes) }
        }
        let content = (0..<3 << 20).map { UInt8(truncatingIfNeeded: $0 &* 13 ^ $0 >> 11) }
        _ = try withProxy(["--tcp", "."]) { client, _ in
            client.send(Self.connect(1, "127.0.0.1:\(origin.port)"))
            let isSent = client.send(content, on: 1)
            #expect(isSent)
            let all = client.wait(.seconds(10)) { client.streams[1]?.ended == true }
            #expect(all)
            #expect(client.streams[1]?.body == HTTP2Body(content))
        }
    }

    @Test("A tunnel that is open when the recorder is stopped is incomplete")
    func stop() throws {
        let origin = try RawOrigin { connection, _ in
            connection.send("hello")
            _ = connection.readToEnd()
        }
        let flows = try withProxy { client, _ in
            client.send(Self.connect(1, "127.0.0.1:\(origin.port)"))
            let greeted = client.wait { text(client, on: 1) == "hello" }
            #expect(greeted)
        }
        #expect(flows.map { $0["state"] } == ["incomplete"])
        #expect(flows.map { $0["error.message"] } == ["the recorder was stopped"])
    }

    @Test("curl behind nghttpx speaks TLS inside, with HTTP/2 or HTTP/1, and is intercepted", arguments: ["--http2", "--http1.1"])
    func interception(version: String) throws {
        try withTemporaryDirectory { directory in
            let nginx = try Nginx(in: directory, http2: true)
            for name in ["one", "two"] { try name.write(toFile: directory + "/www/" + name, atomically: true, encoding: .utf8) }
            let recorder = try Recorder(["--ca-file", nginx.authority], in: directory)
            recorder.program.collectErrors()
            let port = try Nginx.freePort()
            let proxy = try RunningProgram(
                "nghttpx",
                [
                    "--conf=/dev/null", "--frontend=127.0.0.1,\(port);no-tls", "--backend=127.0.0.1,\(recorder.port);;proto=h2",
                    "--http2-proxy", "--no-ocsp", "--single-process", "--log-level=NOTICE",
                ], in: directory)
            #expect(proxy.errorLine(containing: "Listening on 127.0.0.1:\(port)") != nil)
            proxy.collectErrors()
            let base = "https://localhost:\(nginx.https)"
            let result = try run(
                "curl",
                [
                    "-sS", "--max-time", "20", version, "-x", "http://127.0.0.1:\(port)", "--cacert", recorder.authority,
                    base + "/one", base + "/two",
                ], in: directory)
            proxy.send(SIGTERM)
            _ = proxy.waitForEnd()
            #expect(result == ProgramResult(status: 0, output: "onetwo", errors: ""))
            #expect(recorder.stop() == 0)
            let flows = try recorder.flows()
            let spoken = version == "--http2" ? "HTTP/2" : "HTTP/1.1"
            #expect(
                flows.map { "\($0["request.url"] ?? "") \($0["request.version"] ?? "") \($0["response.body.text"] ?? "")" } == [
                    "\(base)/one \(spoken) one", "\(base)/two \(spoken) two",
                ])
            #expect(flows.map { $0["client.tls.sni"] } == ["localhost", "localhost"])
        }
    }
}
