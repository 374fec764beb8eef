// Conversations and streams whose servers are played, in every way in which a client may begin one. No test of these opens a connection.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import TLSEngine
import Testing
import WebSocketCodec

@testable import ProxyCore

private let mask = MaskingKey(0x0102_0304)

private func frame(_ opcode: WebSocketOpcode, _ payload: ByteBuffer) -> ByteBuffer {
    WebSocketFrameEncoder.frame(opcode, payload, maskingKey: mask)
}

private func frame(_ opcode: WebSocketOpcode, _ text: String) -> ByteBuffer { frame(opcode, ByteBuffer(string: text)) }

@Suite("A played WebSocket conversation")
struct PlayedWebSocketTests {
    private static let upgrade =
        "GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    private static let switching =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    private static let connect = HTTP2Fields([
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat"), (":authority", "a.example"),
        ("sec-websocket-version", "13"),
    ])
    private static let conversation: [ScriptLine] = [
        .head(switching), .piece("welcome", .text), .receive(1), .piece("answer", .binary), .receive(1), .close("bye"), .receive(1),
        .complete,
    ]

    @Test("Over HTTP/1: messages in turns, a ping is answered at once, both say goodbye")
    func overHTTP1() throws {
        let responder = ScriptedResponder(Self.conversation)
        let play = try Playbook("origin", strategy: .lazy, responder: responder)
        play.client(sends: Self.upgrade)
        #expect(responder.asked == ["GET http://a.example:80 /chat accept s3pPLMBiTxaQ9kYGzzhZRbK+xOo="])
        let head = Self.switching + "\r\n\r\n"
        var sent = play.takeSent(.client)
        #expect(sent.readString(length: head.utf8.count) == head)
        #expect(frameNames(sent, from: .server) == "text welcome")
        play.deliver(.received(.client, frame(.text, "ask")))
        #expect(frameNames(play.takeSent(.client), from: .server) == "binary answer")
        play.deliver(.received(.client, frame(.ping, "there?")))
        // The ping is something that was said, for this script: a recording skips it.
        #expect(frameNames(play.takeSent(.client), from: .server) == "pong there?, close")
        let lines = play.deliver(.received(.client, frame(.close, ScriptLine.closing("bye"))))
        #expect(lines.contains("finish client"))
        #expect(
            play.flows == [
                "http complete GET http://a.example:80 /chat | 101 <text welcome >text ask <binary answer >ping there? <pong there? <close 1000 >close 1000"
            ])
    }

    @Test("A client that closes where the recording continues otherwise gets its answer", arguments: [1, 2])
    func closeFrame(version: Int) throws {
        let head = version == 1 ? Self.switching : ":status: 200"
        let responder = ScriptedResponder([.head(head), .receive(9)])
        let play = try Playbook("origin", strategy: .lazy, responder: responder)
        let close = frame(.close, ScriptLine.closing("bye"))
        if version == 1 {
            play.client(sends: Self.upgrade)
            play.skipSent(.client)
            let lines = play.deliver(.received(.client, close))
            #expect(frameNames(play.takeSent(.client), from: .server) == "close")
            #expect(lines.contains("finish client"))
        } else {
            let client = FramePeer(.client, on: .client, of: play)
            client.exchange()
            let stream = try #require(client.frames.sendRequest(Self.connect, endsStream: false, isTunnel: true))
            client.exchange()
            client.frames.sendData(close, on: stream)
            client.exchange()
            #expect(client.takeReceived() == ["200", "close", "end"])
            client.frames.sendEnd(trailers: nil, on: stream)
            client.exchange()
        }
        #expect(play.flows.map { $0.hasPrefix("http complete") && $0.hasSuffix(">close 1000 <close 1000") } == [true])
    }

    @Test("Over HTTP/2: extended CONNECT, data sent before the answer is received")
    func overHTTP2() throws {
        let responder = ScriptedResponder([
            .wait(30), .head(":status: 200\r\nserver: s"), .piece("welcome", .text), .receive(1),
            .piece("answer", .text), .close("bye"),
            .receive(1), .complete,
        ])
        let play = try Playbook("origin", strategy: .lazy, responder: responder)
        let client = FramePeer(.client, on: .client, of: play)
        client.exchange()
        #expect(client.frames.peerEnablesConnectProtocol)
        let stream = try #require(client.frames.sendRequest(Self.connect, endsStream: false, isTunnel: true))
        client.frames.sendData(frame(.text, "early"), on: stream)
        client.exchange()
        #expect(responder.asked == ["CONNECT http://a.example:80 /chat extended"])
        #expect(client.takeReceived() == [])
        play.fire(.replay)
        #expect(client.takeReceived() == ["200 server=s", "text welcome, text answer, close"])
        client.frames.sendData(frame(.close, ScriptLine.closing("bye")), on: stream)
        client.frames.sendEnd(trailers: nil, on: stream)
        client.exchange()
        #expect(client.takeReceived() == ["end"])
        #expect(
            play.flows == [
                "http complete CONNECT http://a.example:80 /chat | 200 >text early <text welcome <text answer <close 1000 >close 1000"
            ])
    }
}

@Suite("A played stream")
struct PlayedStreamTests {
    private static let echo: [ScriptLine] = [.receive(1), .piece("PONG"), .receive(1), .piece("BYE"), .complete]
    private static let greeting: [ScriptLine] = [.piece("220 here"), .receive(1), .piece("250 fine"), .clientEnds, .complete]

    @Test("A client that speaks first is answered, and the end is the recording's")
    func clientFirst() throws {
        let responder = ScriptedResponder(stream: Self.echo)
        let play = try Playbook("tcp", strategy: .lazy, responder: responder)
        #expect(play.client(sends: "PING") == ["send client: PONG"])
        #expect(play.client(sends: "QUIT") == ["send client: BYE", "finish client"])
        #expect(responder.asked == ["stream tcp://:0"])
        #expect(play.flows == ["tcp complete >PING <PONG >QUIT <BYE"])
    }

    @Test(
        "A server that speaks first does so at once: directly, behind CONNECT, behind SOCKS",
        arguments: ["tcp", "regular", "socks5", "reverse:tcp://a.example:25"])
    func serverFirst(mode: String) throws {
        let responder = ScriptedResponder(stream: Self.greeting, speaksFirst: true)
        let play = try Playbook(mode, strategy: .lazy, responder: responder)
        switch mode {
        case "regular":
            #expect(
                play.client(sends: "CONNECT a.example:25 HTTP/1.1\r\nHost: a.example:25\r\n\r\n") == [
                    "send client: HTTP/1.1 200 Connection established\r\n\r\n220 here"
                ])
        case "socks5":
            play.deliver(.received(.client, ByteBuffer(bytes: [5, 1, 0])))
            let asking = ByteBuffer(bytes: [5, 1, 0, 3, 9] + Array("a.example".utf8) + [0, 25])
            play.skipSent(.client)
            play.deliver(.received(.client, asking))
            #expect(String(buffer: play.takeSent(.client)).hasSuffix("220 here"))
        default:
            #expect(String(buffer: play.takeSent(.client)) == "220 here")
        }
        #expect(play.client(sends: "EHLO") == ["send client: 250 fine"])
        #expect(play.deliver(.halfClosed(.client)).first == "finish client")
        #expect(play.flows == ["tcp complete <220 here >EHLO <250 fine"])
    }

    @Test("Where no stream was recorded the client gets a reset")
    func none() throws {
        let play = try Playbook("tcp", strategy: .lazy, responder: ScriptedResponder())
        #expect(play.client(sends: "PING") == ["abort client"])
        #expect(play.flows == ["tcp failed >PING ! recorder: no recording holds a TCP stream"])
    }

    @Test("Pauses and much data: as the client takes it")
    func backPressure() throws {
        let piece = String(repeating: "x", count: 64 * 1024)
        let play = try Playbook(
            "tcp", strategy: .lazy,
            responder: ScriptedResponder(
                stream: [.receive(1), .wait(20)] + Array(repeating: .piece(piece), count: 32) + [.complete]))
        let start = play.now
        #expect(play.client(sends: "go") == [])
        #expect(play.timers[.replay].map { ($0 - start) / 1_000_000 } == 21)
        play.fire(.replay)
        var sent = play.takeSent(.client).readableBytes
        #expect(sent < 600_000)
        play.deliver(.writable(.client, false))
        sent += play.takeSent(.client).readableBytes
        play.fire(.replay)
        #expect(play.takeSent(.client).readableBytes == 0)
        play.deliver(.writable(.client, true))
        var end: [String] = []
        for _ in 0..<20 where play.timers[.replay] != nil { end += play.fire(.replay).filter { !$0.hasPrefix("send client") } }
        #expect(end == ["finish client"])
        sent += play.takeSent(.client).readableBytes
        #expect(sent == 2 << 20)
    }
}

@Suite("Played servers behind TLS")
struct PlayedTLSTests {
    private static let get = "GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"
    private static let answer: [ScriptLine] = [.head("HTTP/1.1 200 OK\r\nContent-Length: 2"), .piece("hi"), .finished, .complete]
    private static let response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

    @Test(
        "On one port with TLS and without; a proxy's client after CONNECT; no server is contacted",
        arguments: ["origin", "regular", "reverse:https://a.example"])
    func requests(mode: String) throws {
        let responder = ScriptedResponder(Self.answer)
        let play = try Playbook(mode, strategy: .lazy, responder: responder)
        if mode == "regular" {
            #expect(
                play.client(sends: "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n") == [
                    "send client: HTTP/1.1 200 Connection established\r\n\r\n"
                ])
            play.skipSent(.client)
        }
        let client = try TLSClient(play, alpn: ["http/1.1"])
        try client.exchange()
        try client.tls.write(ByteBuffer(string: Self.get))
        #expect(try client.exchange() == Self.response)
        #expect(client.lines == ["forge a.example"])
        #expect(responder.asked == ["GET https://a.example:443 /a"])
        guard mode == "origin" else { return }
        let plain = try Playbook(mode, strategy: .lazy, responder: responder)
        #expect(plain.client(sends: Self.get) == ["send client: \(Self.response)"])
    }

    @Test("A stream in TLS, a server behind TLS that speaks first, and TLS that begins in the middle")
    func streams() throws {
        let direct = try Playbook(
            "tcp", strategy: .lazy, responder: ScriptedResponder(stream: [.receive(1), .piece("PONG"), .receive(1)]))
        let one = try TLSClient(direct, alpn: [])
        try one.exchange()
        try one.tls.write(ByteBuffer(string: "PING"))
        #expect(try one.exchange() == "PONG")
        #expect(direct.flows == ["tcp incomplete >PING <PONG"])

        let responder = ScriptedResponder(
            stream: [.piece("220 here"), .receive(1), .piece("220 go on"), .receive(1), .piece("250 in TLS"), .receive(1)],
            speaksFirst: true
        )
        let middle = try Playbook("tcp", strategy: .lazy, responder: responder)
        #expect(middle.client(sends: "STARTTLS") == ["send client: 220 go on"])
        #expect(String(buffer: middle.takeSent(.client)) == "220 here220 go on")
        let two = try TLSClient(middle, alpn: [])
        try two.exchange()
        try two.tls.write(ByteBuffer(string: "EHLO"))
        #expect(try two.exchange() == "250 in TLS")
        #expect(two.lines == ["forge a.example"])
        #expect(middle.flows == ["tcp incomplete <220 here >STARTTLS <220 go on >EHLO <250 in TLS"])
    }

    @Test("Behind CONNECT and TLS a server that speaks first does not wait for its client")
    func serverFirst() throws {
        let play = try Playbook("regular", strategy: .lazy, responder: SpeaksFirstInTLS())
        play.client(sends: "CONNECT a.example:993 HTTP/1.1\r\nHost: a.example:993\r\n\r\n")
        play.skipSent(.client)
        let client = try TLSClient(play, alpn: [])
        #expect(try client.exchange() == "* OK IMAP")
        #expect(client.lines == ["forge a.example"])
    }
}

/// Its servers speak first in TLS only.
private struct SpeaksFirstInTLS: Responder {
    func answerDuplex(_ request: RecordedRequestQuery, at now: Timestamp) -> (any ServerPlayer)? { nil }
    func answer(_ request: RecordedRequestQuery, at now: Timestamp) -> ResponderAnswer { .refuse(status: 404, "no") }
    func speaksFirst(on target: FlowTarget) -> Bool { target.scheme == "tls" }
    func stream(to target: FlowTarget, at now: Timestamp) -> (any ServerPlayer)? {
        ScriptedServer([.piece("* OK IMAP"), .receive(1)])
    }
    func couldNotRead() {}
}
