// WebSocket between a client of one version of HTTP and a server of the other: the handshake in both directions, frames, ends, resets.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import Testing
import WebSocketCodec

@testable import ProxyCore

private let mask = MaskingKey(0x0102_0304)
private let hello = WebSocketFrameEncoder.frame(.text, ByteBuffer(string: "hello"), maskingKey: mask)
private let answer = WebSocketFrameEncoder.frame(.text, ByteBuffer(string: "hi"))
private let broken = WebSocketFrameEncoder.frame(.text, ByteBuffer(string: "x"), reserved: .rsv1, maskingKey: mask)
private let clientClose = WebSocketFrameEncoder.close(WebSocketClose(code: 1000, reason: ""), maskingKey: mask)
private let serverClose = WebSocketFrameEncoder.close(WebSocketClose(code: 1000, reason: ""))
private let server = ConnectionHandle(1)

@Suite("WebSocket from HTTP/2 to HTTP/1")
struct WebSocketToHTTP1Tests {
    private static let connect: [(String, String)] = [
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/chat"), (":authority", "example.org"),
        ("sec-websocket-version", "13"), ("sec-websocket-protocol", "a, b"), ("origin", "https://example.org"), ("cookie", "x=1"),
        ("cookie", "y=2"),
    ]
    private static func key(in request: String) -> String {
        let line = request.split(separator: "\r\n").first { $0.hasPrefix("Sec-WebSocket-Key: ") }
        return String(line?.dropFirst(19) ?? "")
    }

    /// A client whose request has reached the server.
    /// - Parameter closes: the connection to the server is not used.
    private func begin(
        _ fields: [(String, String)] = connect, closes: Bool = false
    ) throws -> (play: Playbook, client: FramePeer, stream: StreamID, request: String) {
        let play = try Playbook("reverse:http://example.org:81", keepsHostHeader: true)
        let client = FramePeer(.client, on: .client, of: play)
        client.exchange()
        #expect(client.frames.peerEnablesConnectProtocol)
        let stream = try #require(client.frames.sendRequest(HTTP2Fields(fields), endsStream: false, isTunnel: true))
        #expect(client.exchange() == ["open upstream 1: example.org:81"])
        #expect(play.serverOpens().filter { !$0.hasPrefix("send ") } == (closes ? ["close upstream 1"] : []))
        return (play, client, stream, String(buffer: play.takeSent(server)))
    }

    /// A conversation that stands.
    private func open() throws -> (play: Playbook, client: FramePeer, stream: StreamID) {
        let (play, client, stream, request) = try begin()
        play.server(sends: Self.accepting(request))
        #expect(client.takeReceived() == ["200 sec-websocket-protocol=a server=s"])
        return (play, client, stream)
    }

    private static func accepting(_ request: String, extra: String = "") -> String {
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + WebSocketHandshake.accept(for: key(in: request)) + "\r\nSec-WebSocket-Protocol: a\r\nServer: s\r\n\(extra)\r\n"
    }

    private func flow(_ rest: String) -> [String] { ["http " + rest] }

    @Test("Extended CONNECT becomes a GET with Upgrade and a key of its own, with the client's fields")
    func handshake() throws {
        let (_, _, _, request) = try begin()
        let key = Self.key(in: request)
        #expect(
            request == "GET /chat HTTP/1.1\r\nHost: example.org\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: a, b\r\n"
                + "origin: https://example.org\r\nCookie: x=1; y=2\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + "Sec-WebSocket-Key: \(key)\r\n\r\n")
        #expect(key.count == 24)
        #expect(key.hasSuffix("=="))
        let play = try begin()
        play.play.server(sends: "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        _ = try #require(
            play.client.frames.sendRequest(
                HTTP2Fields(Self.connect.filter { $0.0 != "sec-websocket-version" }), endsStream: false, isTunnel: true))
        play.client.exchange()
        let second = String(buffer: play.play.takeSent(server))
        #expect(second.contains("\r\nSec-WebSocket-Version: 13\r\n"))
        #expect(Self.key(in: second) != key)
    }

    @Test("Frames pass as they came in DATA, and the conversation is recorded")
    func conversation() throws {
        let (play, client, stream) = try open()
        client.frames.sendData(hello, on: stream)
        client.exchange()
        #expect(play.takeSent(server) == hello)
        play.deliver(.received(server, answer))
        #expect(client.takeReceived() == ["text hi"])
        client.frames.sendData(clientClose, on: stream)
        client.frames.sendEnd(trailers: nil, on: stream)
        #expect(client.exchange() == ["send upstream 1: \(String(buffer: clientClose))", "finish upstream 1"])
        play.deliver(.received(server, serverClose))
        #expect(play.deliver(.halfClosed(server)).filter { !$0.hasPrefix("send") } == ["close upstream 1"])
        #expect(client.takeReceived() == ["close", "end"])
        #expect(
            play.flows
                == flow("complete CONNECT http://example.org:81 /chat | 101 >text hello <text hi >close 1000 <close 1000"))
    }

    @Test("What the client says before the server has accepted waits, and what the server says behind its head follows")
    func early() throws {
        let (play, client, stream, request) = try begin()
        client.frames.sendData(hello, on: stream)
        client.exchange()
        #expect(play.takeSent(server).readableBytes == 0)
        var bytes = ByteBuffer(string: Self.accepting(request))
        bytes.writeImmutableBuffer(answer)
        play.deliver(.received(server, bytes))
        #expect(play.takeSent(server) == hello)
        #expect(client.takeReceived() == ["200 sec-websocket-protocol=a server=s", "text hi"])
    }

    @Test("A refusal is an ordinary response, and ends the stream")
    func refused() throws {
        let (play, client, stream, _) = try begin()
        client.frames.sendData(hello, on: stream)
        client.exchange()
        play.server(sends: "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        #expect(client.takeReceived() == ["403 content-length=2", "no", "end", "reset NO_ERROR"])
        #expect(play.takeSent(server).readableBytes == 0)
        #expect(play.flows == flow("complete CONNECT http://example.org:81 /chat | 403 <no>"))
    }

    @Test(
        "An answer that would open what the server did not open is a 502",
        arguments: [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200",
                "the server answered the WebSocket handshake with 200, and did not switch protocols"
            ),
            (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
                "101",
                "Sec-WebSocket-Accept in the response does not belong to the key of the request"
            ),
        ] as [(String, String, String)])
    func notOpened(response: String, status: String, message: String) throws {
        let (play, client, _, _) = try begin()
        #expect(play.server(sends: response).first == "close upstream 1")
        #expect(client.takeReceived().first?.hasPrefix("502 ") == true)
        #expect(play.flows == flow("failed CONNECT http://example.org:81 /chat | \(status) ! server: \(message)"))
    }

    @Test("A server that closes without a close frame ends the stream; the end of the client's side then ends both")
    func closedByServer() throws {
        let (play, client, stream) = try open()
        play.deliver(.halfClosed(server))
        #expect(client.takeReceived() == ["end"])
        client.frames.sendEnd(trailers: nil, on: stream)
        #expect(client.exchange() == ["finish upstream 1", "close upstream 1"])
        #expect(
            play.flows
                == flow(
                    "incomplete CONNECT http://example.org:81 /chat | 101 ! server: the streams ended without the close frames of both sides (1006)"
                ))
    }

    @Test("A reset of either side is a reset on the other")
    func resets() throws {
        let (play, client, stream) = try open()
        client.frames.reset(stream, .cancel)
        #expect(client.exchange() == ["abort upstream 1"])
        #expect(
            play.flows
                == flow("incomplete CONNECT http://example.org:81 /chat | 101 ! client: the client reset the stream with CANCEL"))
        let (other, peer, _) = try open()
        #expect(other.deliver(.closed(server, error: nil, isReset: true)).first == "close upstream 1")
        #expect(peer.takeReceived() == ["reset CANCEL"])
        #expect(
            other.flows
                == flow(
                    "incomplete CONNECT http://example.org:81 /chat | 101 ! server: the server reset the connection in the middle of the conversation"
                ))
    }

    @Test("Behind the close frames of both sides it does not matter how the connections go", arguments: [true, false])
    func goneAfterClose(clientGoes: Bool) throws {
        let (play, client, stream) = try open()
        client.frames.sendData(clientClose, on: stream)
        #expect(client.exchange() == ["send upstream 1: \(String(buffer: clientClose))"])
        play.deliver(.received(server, serverClose))
        if clientGoes {
            client.frames.reset(stream, .cancel)
            #expect(client.exchange() == ["close upstream 1"])
        } else {
            #expect(play.deliver(.closed(server, error: nil, isReset: true)).first == "close upstream 1")
            #expect(client.takeReceived().prefix(2) == ["close", "end"])
        }
        #expect(play.flows == flow("complete CONNECT http://example.org:81 /chat | 101 >close 1000 <close 1000"))
    }

    @Test("A client that closes its connection ends its conversations")
    func clientCloses() throws {
        let (play, _, _) = try open()
        #expect(play.deliver(.halfClosed(.client)).contains("close upstream 1"))
        #expect(
            play.flows
                == flow("incomplete CONNECT http://example.org:81 /chat | 101 ! client: the client closed the connection"))
    }

    @Test("What breaks the protocol is answered on both sides with the same code")
    func violation() throws {
        let (play, client, stream) = try open()
        client.frames.sendData(broken, on: stream)
        #expect(client.exchange().suffix(2) == ["finish upstream 1", "close upstream 1"])
        #expect(frameNames(play.takeSent(server), from: .client) == "close")
        #expect(client.takeReceived().prefix(2) == ["close", "end"])
    }

    @Test("An extension that is not known lets the bytes pass")
    func unknownExtension() throws {
        let (play, client, stream, request) = try begin(Self.connect + [("sec-websocket-extensions", "x-odd")])
        play.server(sends: Self.accepting(request, extra: "Sec-WebSocket-Extensions: x-odd\r\n"))
        client.frames.sendData(ByteBuffer(string: "bytes"), on: stream)
        client.exchange()
        #expect(String(buffer: play.takeSent(server)) == "bytes")
        play.server(sends: "more")
        #expect(client.takeReceived().last == "more")
        #expect(play.flows == flow("incomplete CONNECT http://example.org:81 /chat <bytes> | 101 <more>"))
    }

    @Test("Extended CONNECT for anything else is not passed on to HTTP/1")
    func otherProtocol() throws {
        let fields = Self.connect.map { $0.0 == ":protocol" ? (":protocol", "connect-udp") : $0 }
        let (play, client, _, request) = try begin(fields, closes: true)
        #expect(request == "")
        #expect(client.takeReceived().first?.hasPrefix("501 ") == true)
        #expect(
            play.flows
                == flow(
                    "failed CONNECT http://example.org:81 /chat ! client: the server speaks HTTP/1, where extended CONNECT is possible for WebSocket only"
                ))
    }

    @Test("A server that pings and does not read the answers is stopped itself, and not that of another conversation")
    func pingingServer() throws {
        let (play, client, _) = try open()
        let other = try #require(client.frames.sendRequest(HTTP2Fields(Self.connect), endsStream: false, isTunnel: true))
        #expect(other.value == 3)
        #expect(client.exchange() == ["open upstream 2: example.org:81"])
        let second = ConnectionHandle(2)
        play.deliver(
            .opened(second, peer: Endpoint(host: "192.0.2.1", port: 81), local: Endpoint(host: "192.0.2.9", port: 40001)))
        play.server(2, sends: Self.accepting(String(buffer: play.takeSent(second))))
        play.deliver(.writable(second, false))
        let ping = WebSocketFrameEncoder.frame(.ping, ByteBuffer(string: String(repeating: "p", count: 125)))
        var pings = ByteBuffer()
        for _ in 0..<1000 { pings.writeImmutableBuffer(ping) }
        var lines: [String] = []
        for _ in 0..<3 { lines += play.deliver(.received(second, pings)).filter { !$0.hasPrefix("send ") } }
        #expect(lines == ["pause upstream 2"])
        #expect(client.takeReceived().first == "200 sec-websocket-protocol=a server=s")
        #expect(play.deliver(.writable(second, true)).filter { !$0.hasPrefix("send ") } == ["read upstream 2"])
    }

    @Test("Pings and pongs stand in the event log with their payload")
    func pingsInTheLog() throws {
        let (play, client, stream) = try open()
        client.frames.sendData(
            WebSocketFrameEncoder.frame(.ping, ByteBuffer(string: "a\u{1}b\\"), maskingKey: mask), on: stream)
        // What follows a ping is the matter of the relay's tests.
        play.skip { client.exchange() }
        play.deliver(.received(server, WebSocketFrameEncoder.frame(.pong, ByteBuffer(string: "alive"))))
        #expect(
            play.log == [
                "websocket 10.0.0.1:5000 -> example.org:81 PING 4 B: a\\x01b\\x5c",
                "websocket 10.0.0.1:5000 <- example.org:81 PONG 5 B: alive",
            ])
    }

    @Test("A server that does not read stops the client by its window, and no sooner opens it than it reads")
    func backPressure() throws {
        let (play, client, stream) = try open()
        play.deliver(.writable(server, false))
        let large = WebSocketFrameEncoder.frame(.binary, ByteBuffer(repeating: 1, count: 200_000), maskingKey: mask)
        client.frames.sendData(large, on: stream)
        client.exchange()
        #expect(play.takeSent(server).readableBytes == 65_535)
        play.deliver(.writable(server, true))
        client.exchange()
        #expect(play.takeSent(server).readableBytes == large.readableBytes - 65_535)
    }
}

@Suite("WebSocket from HTTP/1 to HTTP/2")
struct WebSocketToHTTP2Tests {
    private static let upgrade =
        "GET /chat HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: a, b\r\nOrigin: http://example.org\r\n\r\n"
    private static let switching =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: a\r\n\r\n"
    private static let stream = StreamID(1)

    /// A client whose request has reached the server.
    /// - Returns: also what followed the server's first frames, apart from bytes for it.
    private func begin(
        _ request: String = upgrade, announces: Bool = true
    ) throws -> (play: Playbook, server: FramePeer, turn: Turn) {
        let play = try Playbook("reverse:h2c://example.org:81", keepsHostHeader: true)
        #expect(play.client(sends: request) == ["open upstream 1: example.org:81"])
        play.serverOpens()
        let peer = FramePeer(.server, on: server, of: play, announces: announces)
        peer.receive()
        #expect(peer.takeReceived() == [])
        return (play, peer, peer.exchange())
    }

    private func open() throws -> (play: Playbook, server: FramePeer) {
        let (play, peer, _) = try begin()
        _ = peer.takeReceived()
        peer.frames.sendResponse(
            HTTP2Fields([(":status", "200"), ("sec-websocket-protocol", "a")]), on: Self.stream, endsStream: false)
        #expect(peer.exchange() == ["send client: \(Self.switching)"])
        play.skipSent(.client)
        return (play, peer)
    }

    private func flow(_ state: String, _ rest: String) -> [String] {
        ["http \(state) GET http://example.org:81 /chat | 200\(rest)"]
    }

    @Test("Upgrade becomes extended CONNECT once the server has announced it, and its 200 a 101 with the client's key answered")
    func handshake() throws {
        let (_, peer, _) = try begin()
        #expect(
            peer.takeReceived() == [
                ":method=CONNECT :protocol=websocket :scheme=http :authority=example.org :path=/chat sec-websocket-version=13 "
                    + "sec-websocket-protocol=a, b origin=http://example.org"
            ])
        _ = try open()
    }

    @Test("Frames pass as they came, and the conversation is recorded; END_STREAM and FIN end it")
    func conversation() throws {
        let (play, peer) = try open()
        play.deliver(.received(.client, hello))
        #expect(peer.takeReceived() == ["text hello"])
        peer.frames.sendData(answer, on: Self.stream)
        peer.exchange()
        #expect(play.takeSent(.client) == answer)
        play.deliver(.received(.client, clientClose))
        peer.frames.sendData(serverClose, on: Self.stream)
        peer.frames.sendEnd(trailers: nil, on: Self.stream)
        #expect(peer.exchange() == ["send client: \(String(buffer: serverClose))", "finish client"])
        let last = play.deliver(.halfClosed(.client)).filter { !$0.hasPrefix("send") }
        #expect(last == ["close upstream 1", "close client"])
        #expect(peer.takeReceived().prefix(2) == ["close", "end"])
        #expect(play.flows == flow("complete", " >text hello <text hi >close 1000 <close 1000"))
    }

    @Test("What the client says behind its request waits for the server's consent")
    func early() throws {
        let play = try Playbook("reverse:h2c://example.org:81", keepsHostHeader: true)
        var bytes = ByteBuffer(string: Self.upgrade)
        bytes.writeImmutableBuffer(hello)
        #expect(play.deliver(.received(.client, bytes)) == ["open upstream 1: example.org:81"])
        play.serverOpens()
        let peer = FramePeer(.server, on: server, of: play)
        peer.exchange()
        #expect(peer.takeReceived().count == 1)
        peer.frames.sendResponse(HTTP2Fields([(":status", "200")]), on: Self.stream, endsStream: false)
        #expect(peer.exchange() == ["send client: \(Self.switching.replacing("sec-websocket-protocol: a\r\n", with: ""))"])
        #expect(peer.takeReceived() == ["text hello"])
    }

    @Test("A refusal is an ordinary response, and the connection persists")
    func refused() throws {
        let (play, peer, _) = try begin()
        _ = peer.takeReceived()
        peer.frames.sendResponse(HTTP2Fields([(":status", "403"), ("content-length", "2")]), on: Self.stream, endsStream: false)
        peer.frames.sendData(ByteBuffer(string: "no"), on: Self.stream)
        peer.frames.sendEnd(trailers: nil, on: Self.stream)
        #expect(peer.exchange() == ["send client: HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno"])
        #expect(peer.takeReceived() == ["end"])
        #expect(play.flows == ["http complete GET http://example.org:81 /chat | 403 <no>"])
        play.client(sends: "GET /next HTTP/1.1\r\nHost: example.org\r\n\r\n")
        #expect(peer.takeReceived() == [":method=GET :scheme=http :authority=example.org :path=/next", "end"])
    }

    @Test("A server that does not announce extended CONNECT is not asked: 501, with the reason")
    func notAnnounced() throws {
        let (play, peer, turn) = try begin(announces: false)
        #expect(turn.count == 3 && turn[0] == "close upstream 1" && turn[2] == "finish client", "\(turn)")
        #expect(peer.takeReceived() == ["goaway"])
        let reason = "the server speaks HTTP/2 and does not take extended CONNECT, without which there is no WebSocket (RFC 8441)"
        #expect(play.flows == ["http failed GET http://example.org:81 /chat ! server: \(reason)"])
        #expect(String(buffer: play.takeSent(.client)).hasPrefix("HTTP/1.1 501 Not Implemented\r\n"))
    }

    @Test("A handshake without a proper key cannot be answered: 400")
    func noKey() throws {
        let (play, _, turn) = try begin(Self.upgrade.replacing("dGhlIHNhbXBsZSBub25jZQ==", with: "short"))
        #expect(turn.count == 3 && turn[0] == "close upstream 1" && turn[2] == "finish client", "\(turn)")
        #expect(String(buffer: play.takeSent(.client)).hasPrefix("HTTP/1.1 400 Bad Request\r\n"))
    }

    @Test("A client that ends without a close frame is an END_STREAM, and the server's end then ends both")
    func closedByClient() throws {
        let (play, peer) = try open()
        #expect(play.deliver(.halfClosed(.client)).filter { !$0.hasPrefix("send") } == [])
        #expect(peer.takeReceived() == ["end"])
        peer.frames.sendEnd(trailers: nil, on: Self.stream)
        #expect(peer.exchange() == ["finish client", "close upstream 1", "close client"])
        #expect(
            play.flows
                == flow("incomplete", " ! client: the streams ended without the close frames of both sides (1006)"))
    }

    @Test("A reset of either side is a reset on the other")
    func resets() throws {
        let (play, peer) = try open()
        peer.frames.reset(Self.stream, .cancel)
        #expect(peer.exchange().suffix(1) == ["abort client"])
        #expect(play.flows == flow("incomplete", " ! server: the server reset the stream with CANCEL"))
        let (other, otherPeer) = try open()
        #expect(other.deliver(.closed(.client, error: nil, isReset: true)).suffix(1) == ["close upstream 1"])
        #expect(otherPeer.takeReceived().prefix(1) == ["reset CANCEL"])
        #expect(other.flows == flow("incomplete", " ! client: the client reset the connection"))
    }

    @Test("A connection of the server that goes in the middle is a cut for the client")
    func serverGone() throws {
        let (play, _) = try open()
        #expect(play.deliver(.closed(server, error: nil, isReset: true)).suffix(2) == ["close upstream 1", "abort client"])
        #expect(play.flows == flow("incomplete", " ! server: the server reset the connection in the middle of the conversation"))
    }

    @Test("What breaks the protocol is answered on both sides with the same code")
    func violation() throws {
        let (play, peer) = try open()
        let lines = play.deliver(.received(.client, broken)).filter { !$0.hasPrefix("send ") }
        #expect(lines == ["close upstream 1", "finish client"])
        #expect(frameNames(play.takeSent(.client), from: .server) == "close")
        #expect(peer.takeReceived().prefix(2) == ["close", "end"])
    }

    @Test("A client that does not read stops the server by its window")
    func backPressure() throws {
        let (play, peer) = try open()
        play.deliver(.writable(.client, false))
        let large = WebSocketFrameEncoder.frame(.binary, ByteBuffer(repeating: 1, count: 200_000))
        peer.frames.sendData(large, on: Self.stream)
        peer.exchange()
        #expect(play.takeSent(.client).readableBytes == 65_535)
        play.deliver(.writable(.client, true))
        peer.exchange()
        #expect(play.takeSent(.client).readableBytes == large.readableBytes - 65_535)
    }
}

@Suite("WebSocket from HTTP/2 to HTTP/2")
struct WebSocketOverHTTP2Tests {
    @Test("What the client says before the server has accepted waits; frames and ends pass", arguments: [true, false])
    func conversation(announces: Bool) throws {
        let play = try Playbook("reverse:h2c://example.org:81", keepsHostHeader: true)
        let client = FramePeer(.client, on: .client, of: play)
        #expect(client.exchange() == ["open upstream 1: example.org:81"])
        let fields = HTTP2Fields([
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat"),
            (":authority", "example.org"),
        ])
        let stream = try #require(client.frames.sendRequest(fields, endsStream: false, isTunnel: true))
        client.frames.sendData(hello, on: stream)
        client.exchange()
        play.serverOpens()
        let peer = FramePeer(.server, on: server, of: play, announces: announces)
        peer.exchange()
        guard announces else {
            #expect(client.takeReceived().first?.hasPrefix("501 ") == true)
            return #expect(peer.takeReceived() == [])
        }
        client.receive()
        #expect(client.frames.peerEnablesConnectProtocol)
        #expect(
            peer.takeReceived() == [":method=CONNECT :protocol=websocket :scheme=http :path=/chat :authority=example.org"])
        peer.frames.sendResponse(HTTP2Fields([(":status", "200")]), on: StreamID(1), endsStream: false)
        peer.exchange()
        #expect(peer.takeReceived() == ["text hello"])
        client.frames.sendData(clientClose, on: stream)
        client.frames.sendEnd(trailers: nil, on: stream)
        client.exchange()
        peer.frames.sendData(serverClose, on: StreamID(1))
        peer.frames.sendEnd(trailers: nil, on: StreamID(1))
        peer.exchange()
        #expect(peer.takeReceived() == ["close", "end"])
        #expect(client.takeReceived() == ["200", "close", "end"])
        #expect(
            play.flows == ["http complete CONNECT http://example.org:81 /chat | 200 >text hello >close 1000 <close 1000"])
    }
}
