// A client that has several servers at a time, or one after the other: what concerns one server reaches that one.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import TLSEngine
import Testing
import WebSocketCodec

@testable import ProxyCore

@Suite("A client of several servers")
struct SeveralServersTests {
    private static let upgrade =
        "GET http://b.example/ HTTP/1.1\r\nHost: b.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    private static let switching =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

    private static func get(_ authority: String, _ more: (String, String)...) -> HTTP2Fields {
        HTTP2Fields([(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", "/")] + more)
    }

    @Test("What the second server sends in the same packet as its 101 is part of the conversation")
    func behindSwitch() throws {
        let play = try Playbook()
        play.skip {
            play.client(sends: "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n")
            play.serverOpens()
            play.server(sends: "HTTP/1.1 204 No Content\r\n\r\n")
        }
        #expect(play.client(sends: Self.upgrade) == ["close upstream 1", "open upstream 2: b.example:80"])
        // The first connection is there until its end has been reported.
        play.skip { play.serverOpens(2) }
        let message = WebSocketFrameEncoder.frame(.text, ByteBuffer(string: "welcome"))
        var bytes = ByteBuffer(string: Self.switching)
        bytes.writeImmutableBuffer(message)
        #expect(play.deliver(.received(ConnectionHandle(2), bytes)) == ["send client: \(Self.switching)\(String(buffer: message))"])
        #expect(play.flows.last == "http incomplete GET http://b.example:80 http://b.example/ | 101 <text welcome")
    }

    @Test("The same for the second server of a client of HTTP/2")
    func behindSwitchOfStream() throws {
        let play = try Playbook()
        let client = FramePeer(.client, on: .client, of: play)
        client.exchange()
        for (number, authority) in [(UInt32(1), "a.example"), (2, "b.example")] {
            let connect = [
                (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/"), (":authority", authority),
                ("sec-websocket-version", "13"),
            ]
            _ = try #require(client.frames.sendRequest(HTTP2Fields(connect), endsStream: false, isTunnel: true))
            #expect(client.exchange() == ["open upstream \(number): \(authority):80"])
            play.serverOpens(number)
        }
        play.skipSent(ConnectionHandle(1))
        let request = String(buffer: play.takeSent(ConnectionHandle(2)))
        let key = try #require(request.split(separator: "\r\n").first { $0.hasPrefix("Sec-WebSocket-Key: ") }?.dropFirst(19))
        var bytes = ByteBuffer(
            string: Self.switching.replacing("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", with: WebSocketHandshake.accept(for: String(key))))
        bytes.writeImmutableBuffer(WebSocketFrameEncoder.frame(.text, ByteBuffer(string: "welcome")))
        play.deliver(.received(ConnectionHandle(2), bytes))
        #expect(client.takeReceived() == ["200", "text welcome"])
        #expect(
            play.flows == [
                "http incomplete CONNECT http://a.example:80 /",
                "http incomplete CONNECT http://b.example:80 / | 101 <text welcome",
            ])
    }

    @Test("The flow of a stream that is refused does not name the server of another stream")
    func refused() throws {
        let play = try Playbook()
        let client = FramePeer(.client, on: .client, of: play)
        _ = client.frames.sendRequest(Self.get("a.example"), endsStream: true)
        #expect(client.exchange() == ["open upstream 1: a.example:80"])
        play.skip { play.serverOpens(1) }
        _ = client.frames.sendRequest(Self.get("b.example", ("connection", "close")), endsStream: true)
        #expect(client.exchange() == [])
        #expect(client.takeReceived() == ["reset PROTOCOL_ERROR"])
        #expect(play.wholeFlows.map { $0.server?.value.target } == [Endpoint(host: "a.example", port: 80), nil])
        #expect(play.wholeFlows.map(\.state) == [.incomplete, .failed])
    }

    @Test("Certificates for two tunnels on one connection are asked for at once, and each answer reaches its own")
    func certificates() throws {
        let play = try Playbook(strategy: .lazy)
        let client = FramePeer(.client, on: .client, of: play)
        var options = TLSClientOptions()
        options.verifies = false
        let names = ["a.example", "b.example"]
        let context = try TLSClientContext(options)
        let peers = try names.map {
            try TLSConnection(client: context, serverName: $0, alpnOffers: [], sessionKey: $0)
        }
        var streams: [StreamID] = []
        for (name, peer) in zip(names, peers) {
            let fields = HTTP2Fields([(":method", "CONNECT"), (":authority", "\(name):443")])
            let stream = try #require(client.frames.sendRequest(fields, endsStream: false, isTunnel: true))
            #expect(client.exchange() == [])
            _ = try peer.handshake()
            client.frames.sendData(try #require(peer.takeCiphertext()), on: stream)
            #expect(client.exchange() == ["forge \(name)"])
            streams.append(stream)
        }
        #expect(client.takeReceived() == ["200", "200"])
        // The second one is made first.
        for index in [1, 0] {
            let leaf = try Playbook.authority.issue(LeafRequest(serverName: names[index]), now: 1_700_000_000)
            play.certified(leaf, at: index)
            client.receive()
            peers[index].receive(client.takeContent(on: streams[index]))
            #expect(try peers[index].handshake())
            #expect(client.takeContent(on: streams[1 - index]) == ByteBuffer())
        }
    }
}
