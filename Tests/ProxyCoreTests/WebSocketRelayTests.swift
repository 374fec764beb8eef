// What becomes of the frames of a WebSocket conversation, one side at a time.

import FlowModel
import HTTPSemantics
import NIOCore
import Testing
import WebSocketCodec

@testable import ProxyCore

private let key = MaskingKey(0x0102_0304)

/// A frame as one side sends it.
private func frame(
    _ opcode: WebSocketOpcode, _ text: String, from side: Side, isFinal: Bool = true
) -> ByteBuffer {
    WebSocketFrameEncoder.frame(
        opcode, ByteBuffer(string: text), isFinal: isFinal, maskingKey: side == .client ? key : nil)
}

/// A relay, and what it has sent and recorded so far.
private struct Conversation {
    var relay: WebSocketRelay
    var toClient = ByteBuffer()
    var toServer = ByteBuffer()
    var pieces: [FlowPiece] = []
    var notes: [String] = []
    var failure: WebSocketError?
    /// What was refused, by the side that sent it.
    var malformed: [Side: ByteBuffer] = [:]

    init(_ pings: WebSocketPings = .answer) throws {
        relay = try WebSocketRelay(WebSocketAgreement(), pings: pings, keys: IdentityGenerator(seed: 1))
    }

    mutating func receive(_ bytes: ByteBuffer, from side: Side) {
        var actions: [WebSocketRelay.Action] = []
        do throws(WebSocketError) {
            try relay.receive(bytes, from: side, into: &actions)
        } catch {
            failure = error
        }
        for action in actions {
            switch action {
            case .send(let bytes, .client): toClient.writeImmutableBuffer(bytes)
            case .send(let bytes, .server): toServer.writeImmutableBuffer(bytes)
            case .record(let piece): pieces.append(piece)
            case .recordMalformed(let bytes, let side): malformed[side, default: ByteBuffer()].writeImmutableBuffer(bytes)
            case .note(let message, let side): notes.append("\(side): \(message)")
            }
        }
    }

    mutating func tell() {
        var actions: [WebSocketRelay.Action] = []
        relay.sendClose(into: &actions)
        send(actions)
    }

    mutating func giveUp() {
        var actions: [WebSocketRelay.Action] = []
        relay.giveUp(into: &actions)
        send(actions)
    }

    private mutating func send(_ actions: [WebSocketRelay.Action]) {
        for case .send(let bytes, let side) in actions {
            if side == .client { toClient.writeImmutableBuffer(bytes) } else { toServer.writeImmutableBuffer(bytes) }
        }
    }

    /// The frames that a side was sent: opcode and payload.
    static func frames(_ bytes: ByteBuffer, from side: Side) throws -> [String] {
        var decoder = WebSocketFrameDecoder(from: side)
        decoder.receive(bytes)
        var frames: [String] = []
        while let part = try decoder.next() { frames.append("\(part.header.opcode) \(String(buffer: part.payload))") }
        return frames
    }
}

@Suite("A WebSocket conversation")
struct WebSocketRelayTests {
    @Test("Messages pass as the bytes they came in, and are recorded whole")
    func messages() throws {
        var talk = try Conversation()
        let parts = [
            frame(.text, "fr", from: .client, isFinal: false), frame(.continuation, "ag", from: .client),
            frame(.binary, "b", from: .client),
        ]
        var sent = ByteBuffer()
        for part in parts {
            sent.writeImmutableBuffer(part)
            for byte in part.readableBytesView { talk.receive(ByteBuffer(bytes: [byte]), from: .client) }
        }
        #expect(talk.toServer == sent)
        #expect(talk.toClient == ByteBuffer())
        #expect(
            talk.pieces == [
                FlowPiece(kind: .text, from: .client, content: ByteBuffer(string: "frag"), frames: 2),
                FlowPiece(kind: .binary, from: .client, content: ByteBuffer(string: "b")),
            ])
    }

    @Test("A ping is answered at once with its payload; the other side gets one without", arguments: [Side.client, .server])
    func pingAnswered(side: Side) throws {
        var talk = try Conversation()
        talk.receive(frame(.ping, "here?", from: side), from: side)
        let toSender = side == .client ? talk.toClient : talk.toServer
        let toOther = side == .client ? talk.toServer : talk.toClient
        #expect(try Conversation.frames(toSender, from: side.opposite) == ["pong here?"])
        #expect(try Conversation.frames(toOther, from: side) == ["ping "])
        #expect(talk.pieces == [FlowPiece(kind: .ping, from: side, content: ByteBuffer(string: "here?"))])
    }

    @Test("A pong goes no further, and is recorded")
    func pongAbsorbed() throws {
        var talk = try Conversation()
        talk.receive(frame(.pong, "unasked", from: .server), from: .server)
        #expect(talk.toClient == ByteBuffer())
        #expect(talk.pieces == [FlowPiece(kind: .pong, from: .server, content: ByteBuffer(string: "unasked"))])
    }

    @Test("Relayed pings and pongs pass from end to end")
    func pingsRelayed() throws {
        var talk = try Conversation(.relay)
        let ping = frame(.ping, "p", from: .client)
        let pong = frame(.pong, "p", from: .server)
        talk.receive(ping, from: .client)
        talk.receive(pong, from: .server)
        #expect(talk.toServer == ping)
        #expect(talk.toClient == pong)
    }

    @Test("A frame of ours waits for the end of the one that is passing")
    func ownFramesWait() throws {
        var talk = try Conversation()
        var long = frame(.text, "0123456789", from: .server)
        let rest = long.getSlice(at: 5, length: long.readableBytes - 5)!
        long = long.readSlice(length: 5)!
        talk.receive(long, from: .server)
        talk.receive(frame(.ping, "", from: .client), from: .client)
        #expect(talk.toClient == long)
        talk.receive(rest, from: .server)
        #expect(
            try Conversation.frames(talk.toClient, from: .server) == ["text 0123456789", "pong "])
    }

    /// A session in which a conversation over HTTP/1 has been opened.
    private func openedConversation(_ pings: WebSocketPings = .answer) throws -> Playbook {
        let play = try Playbook(pings: pings)
        play.skip {
            play.client(
                sends: "GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            play.serverOpens()
            play.server(
                sends: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
        }
        return play
    }

    @Test(
        "A client's ping puts nothing in the server's mouth, not in the middle of its frame either",
        arguments: WebSocketPings.allCases)
    func pingWithinFrame(pings: WebSocketPings) throws {
        let play = try openedConversation(pings)
        let long = frame(.text, "0123456789", from: .server)
        let ping = frame(.ping, "here?", from: .client)
        play.deliver(.received(ConnectionHandle(1), long.getSlice(at: 0, length: 5)!))
        play.deliver(.received(.client, ping))
        play.deliver(.received(ConnectionHandle(1), long.getSlice(at: 5, length: long.readableBytes - 5)!))
        let answer = pings == .answer ? ["pong here?"] : []
        #expect(try Conversation.frames(play.takeSent(.client), from: .server) == ["text 0123456789"] + answer)
        let sent = play.takeSent(ConnectionHandle(1))
        #expect(try Conversation.frames(sent, from: .client) == [pings == .answer ? "ping " : "ping here?"])
        let record = "http incomplete GET http://a:80 http://a/ | 101 >ping here? <text 0123456789"
        #expect(play.flows == [record])
    }

    @Test("What has come of a message is recorded when the conversation breaks off within it")
    func brokenOff() throws {
        let play = try openedConversation()
        let begun = frame(.text, "fragm", from: .client, isFinal: false)
        let cut = frame(.text, "0123456789", from: .server).getSlice(at: 0, length: 5)!
        #expect(play.deliver(.received(.client, begun)) == ["send upstream 1: \(String(buffer: begun))"])
        #expect(play.deliver(.received(ConnectionHandle(1), cut)) == ["send client: \(String(buffer: cut))"])
        #expect(play.deliver(.closed(ConnectionHandle(1), error: nil, isReset: true)) == ["abort upstream 1", "abort client"])
        let messages = ">text fragm <text 012 ! server: the server reset the connection"
        #expect(play.flows == ["http incomplete GET http://a:80 http://a/ | 101 \(messages)"])
    }

    @Test("A conversation that its server broke ends in its time after the client has ended, whatever the server still sends")
    func brokenAfterClientEnded() throws {
        let play = try openedConversation()
        #expect(play.deliver(.halfClosed(.client)) == ["finish upstream 1"])
        play.deliver(.received(ConnectionHandle(1), ByteBuffer(bytes: [0xC1, 0])))
        play.deliver(.received(ConnectionHandle(1), frame(.text, "more", from: .server)))
        #expect(play.fire(.tunnel).allSatisfy { $0.hasPrefix("send client") })
        #expect(play.fire(.tunnel) == ["close upstream 1", "finish client", "close client"])
        #expect(play.wholeFlows.first?.ended != nil)
        #expect(play.flows.first?.contains(" ! server: ") == true)
    }

    @Test("A broken conversation waits for close frames, and then for its client to close: each for a time of its own")
    func twoDeadlines() throws {
        let play = try openedConversation()
        play.deliver(.received(ConnectionHandle(1), ByteBuffer(bytes: [0xC1, 0])))
        func waits() -> [String] {
            [Deadline.Kind.tunnel, .linger].compactMap { timer in
                play.timers[timer].map { "\(timer) \(($0 - play.now) / 1_000_000) ms" }
            }
        }
        #expect(waits() == ["tunnel 100 ms"])
        play.fire(.tunnel)
        #expect(frameNames(play.takeSent(.client), from: .server) == "close")
        #expect(waits() == ["tunnel 2000 ms"])
        #expect(play.fire(.tunnel).filter { !$0.hasPrefix("send ") } == ["close upstream 1", "finish client"])
        #expect(frameNames(play.takeSent(ConnectionHandle(1)), from: .client) == "close")
        #expect(waits() == ["linger 2000 ms"])
        #expect(play.fire(.linger) == ["close client"])
        #expect(waits() == [])
    }

    @Test("Of many pings that wait the newest are answered")
    func manyPings() throws {
        var talk = try Conversation()
        var long = frame(.text, "0123456789", from: .server)
        let rest = long.getSlice(at: 5, length: long.readableBytes - 5)!
        talk.receive(long.readSlice(length: 5)!, from: .server)
        for number in 0..<1000 { talk.receive(frame(.ping, "\(number)", from: .client), from: .client) }
        talk.receive(rest, from: .server)
        #expect(
            try Conversation.frames(talk.toClient, from: .server) == ["text 0123456789"] + (900..<1000).map { "pong \($0)" })
    }

    @Test("Who pings and does not read the answers is not read either, when there are many")
    func unreadAnswers() throws {
        let play = try openedConversation()
        let ping = frame(.ping, String(repeating: "?", count: 100), from: .client)
        #expect(play.deliver(.writable(.client, false)) == ["pause upstream 1"])
        var count = 0
        while count < 10_000, !play.deliver(.received(.client, ping)).contains("pause client") { count += 1 }
        #expect((2000..<3000).contains(count))
        #expect(play.deliver(.writable(.client, true)) == ["read client", "read upstream 1"])
    }

    @Test("Close frames pass with code and reason, and end the conversation when both have")
    func closing() throws {
        var talk = try Conversation()
        let bye = WebSocketFrameEncoder.close(WebSocketClose(code: 1000, reason: "bye"), maskingKey: key)
        talk.receive(bye, from: .client)
        #expect(!talk.relay.isClosed)
        #expect(talk.toServer == bye)
        let answer = WebSocketFrameEncoder.close(WebSocketClose(code: 1000, reason: "bye"))
        talk.receive(answer, from: .server)
        #expect(talk.relay.isClosed)
        #expect(talk.toClient == answer)
        #expect(talk.pieces.map(\.kind) == [.close, .close])
    }

    @Test(
        "What breaks the protocol is answered with its code on both sides",
        arguments: [
            (WebSocketFrameEncoder.frame(.text, ByteBuffer(bytes: [0xFF]), maskingKey: key), UInt16(1007)),
            (WebSocketFrameEncoder.frame(.text, ByteBuffer(string: "x"), reserved: .rsv1, maskingKey: key), 1002),
            (WebSocketFrameEncoder.frame(.close, ByteBuffer(bytes: [3]), maskingKey: key), 1002),
        ] as [(ByteBuffer, UInt16)])
    func failures(bytes: ByteBuffer, code: UInt16) throws {
        var talk = try Conversation()
        talk.receive(WebSocketFrameEncoder.frame(.text, ByteBuffer(string: "before"), maskingKey: key), from: .client)
        talk.toServer.clear()
        talk.receive(bytes, from: .client)
        #expect(talk.failure?.closeCode == code)
        #expect(talk.malformed == [.client: bytes])
        #expect(talk.toClient.readableBytes == 0 && !talk.relay.isClosed)
        talk.giveUp()
        #expect(try closeCode(talk.toServer, from: .client) == code)
        #expect(try closeCode(talk.toClient, from: .server) == code)
        #expect(talk.relay.isClosed)
    }

    @Test("Frames whose mask is not as it should be can be read: they pass as they came, and that is noted once")
    func masks() throws {
        for side in [Side.client, .server] {
            var talk = try Conversation()
            var wire = ByteBuffer()
            for text in ["one", "two"] {
                wire.writeImmutableBuffer(
                    WebSocketFrameEncoder.frame(.text, ByteBuffer(string: text), maskingKey: side == .server ? key : nil))
            }
            wire.writeImmutableBuffer(frame(.text, "three", from: side))
            talk.receive(wire, from: side)
            #expect(talk.failure == nil)
            #expect((side == .client ? talk.toServer : talk.toClient) == wire)
            #expect(talk.pieces.map { String(buffer: $0.content) } == ["one", "two", "three"])
            let message = side == .client ? "client: the client does not mask" : "server: the server masks"
            #expect(talk.notes == ["\(message) its WebSocket frames"])
        }
    }

    @Test("A server that is played judges the masks, as the end of a conversation must")
    func strictMasks() throws {
        var relay = try WebSocketRelay(WebSocketAgreement(), pings: .answer, keys: IdentityGenerator(seed: 1), isStrict: true)
        var actions: [WebSocketRelay.Action] = []
        #expect(throws: WebSocketError(.masking, "a frame of the client is not masked")) {
            try relay.receive(WebSocketFrameEncoder.frame(.text, ByteBuffer(string: "x")), from: .client, into: &actions)
        }
    }

    @Test("A side that breaks the protocol still gets what the other one has on its way, and then its goodbye")
    func lateAnswers() throws {
        var talk = try Conversation()
        talk.receive(WebSocketFrameEncoder.frame(.text, ByteBuffer(string: "x"), reserved: .rsv1, maskingKey: key), from: .client)
        talk.receive(frame(.text, "an answer", from: .server), from: .server)
        talk.tell()
        let close = WebSocketFrameEncoder.close(WebSocketClose(code: 1002, reason: ""))
        talk.receive(close, from: .server)
        talk.giveUp()
        #expect(try Conversation.frames(talk.toClient, from: .server) == ["text an answer", "close \u{3}\u{FFFD}"])
        #expect(talk.relay.isClosed)
    }

    private func closeCode(_ bytes: ByteBuffer, from side: Side) throws -> UInt16? {
        var decoder = WebSocketFrameDecoder(from: side)
        decoder.receive(bytes)
        var last: WebSocketFramePart?
        while let part = try decoder.next() { last = part }
        let close = try #require(last)
        #expect(close.header.opcode == .close)
        return close.payload.getInteger(at: close.payload.readerIndex, as: UInt16.self)
    }
}
