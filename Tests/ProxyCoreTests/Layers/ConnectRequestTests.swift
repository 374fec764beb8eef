// The client's stack without a session: requests for a tunnel, their answers in three forms, and the first bytes after them.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import Testing

@testable import ProxyCore

@Suite("A request for a tunnel")
struct ConnectRequestTests {
    /// A stack whose client is connected, and what it asks for.
    private final class Stage {
        let context: SessionContext
        let stack: ClientStack

        init(_ mode: String = "regular") throws {
            context = try SessionContext.forTests(mode)
            stack = ClientStack(context)
            _ = lines {
                $0.start(peer: Endpoint(host: "10.0.0.1", port: 5000), local: Endpoint(host: "127.0.0.1", port: 8080))
            }
        }

        /// The commands that follow from one event.
        func lines(_ event: (ClientStack) -> Void) -> [String] {
            var output = ProxyOutput()
            context.begin(at: Timestamp(nanoseconds: 1_700_000_000_000_000_000), &output)
            event(stack)
            stack.settle()
            context.end(&output)
            return Playbook.joined(output.commands)
        }

        func client(sends bytes: ByteBuffer) -> [String] { lines { $0.handle(.received(.client, bytes)) } }

        func client(sends text: String) -> [String] { client(sends: ByteBuffer(string: text)) }

        func opened() -> [String] {
            let endpoint = Endpoint(host: "192.0.2.1", port: 443)
            return lines { $0.handle(.opened(ConnectionHandle(1), peer: endpoint, local: endpoint)) }
        }

        func failed(_ reason: String) -> [String] { lines { $0.handle(.openFailed(ConnectionHandle(1), reason: reason)) } }
    }

    private static let connect = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
    private static let socks = ByteBuffer(bytes: [5, 1, 0, 5, 1, 0, 3, 9] + Array("a.example".utf8) + [1, 0xBB])

    @Test("CONNECT of HTTP/1 is answered when its server is connected; bytes that came before are the server's")
    func http1() throws {
        let stage = try Stage()
        #expect(stage.client(sends: Self.connect + "SSH-2.0-x\r\n") == ["open upstream 1: a.example:443"])
        #expect(
            stage.opened() == [
                "send client: HTTP/1.1 200 Connection established\r\n\r\n", "send upstream 1: SSH-2.0-x\r\n",
            ])
    }

    @Test("CONNECT of HTTP/1 whose server cannot be reached is answered with the reason, and the client is closed")
    func http1Fails() throws {
        let stage = try Stage()
        _ = stage.client(sends: Self.connect)
        let lines = stage.failed("connection refused")
        #expect(lines.first?.hasPrefix("send client: HTTP/1.1 502 Bad Gateway\r\n") == true)
        #expect(lines.first?.hasSuffix("mitm: cannot connect to a.example:443: connection refused\n") == true)
        #expect(lines.dropFirst() == ["close upstream 1", "finish client"])
    }

    @Test("A SOCKS client gets the reply that fits")
    func socks() throws {
        let stage = try Stage("socks5")
        #expect(stage.client(sends: Self.socks) == ["send client: \u{5}\0", "open upstream 1: a.example:443"])
        #expect(stage.opened() == ["send client: \(String(buffer: SOCKS5.answer(.succeeded)))"])
        for (reason, reply) in [
            ("connection refused", SOCKS5.Reply.connectionRefused), ("no such host", .hostUnreachable), ("odd", .generalFailure),
        ] {
            let stage = try Stage("socks5")
            _ = stage.client(sends: Self.socks)
            #expect(
                stage.failed(reason)
                    == ["send client: \(String(buffer: SOCKS5.answer(reply)))", "close upstream 1", "finish client"])
        }
    }

    @Test("CONNECT on a stream is answered on the stream")
    func stream() throws {
        let stage = try Stage()
        let frames = HTTP2Connection(.client)
        func exchange(_ more: [String] = []) -> [String] {
            var lines: [String] = []
            while let bytes = frames.takeOutput() { lines += stage.client(sends: bytes) }
            return lines.filter { !$0.hasPrefix("send client") }
        }
        let fields = HTTP2Fields([(":method", "CONNECT"), (":authority", "a.example:443")])
        let stream = try #require(frames.sendRequest(fields, endsStream: false, isTunnel: true))
        #expect(exchange() == ["open upstream 1: a.example:443"])
        #expect(stage.opened().map { String($0.prefix(11)) } == ["send client"])
        frames.sendData(ByteBuffer(string: "SSH-2.0-x\r\n"), on: stream)
        #expect(exchange() == ["send upstream 1: SSH-2.0-x\r\n"])
    }

    @Test("A target without a port, and CONNECT where the route is known, are refused")
    func refused() throws {
        let bare = try Stage().client(sends: "CONNECT a.example HTTP/1.1\r\nHost: a.example\r\n\r\n")
        #expect(bare.first?.hasPrefix("send client: HTTP/1.1 400 Bad Request\r\n") == true)
        let reverse = try Stage("reverse:http://b.example").client(sends: Self.connect)
        #expect(reverse.first?.hasPrefix("send client: HTTP/1.1 400 Bad Request\r\n") == true)
    }
}
