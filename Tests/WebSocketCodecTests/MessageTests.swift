import HTTPSemantics
import NIOCore
import TestSupport
import Testing
import WebSocketCodec

/// Frames of one side, and what is heard of them. The names and numbers are those of the Autobahn suite's cases.
struct MessageRow: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var frames: [RawFrame]
    var heard: [String]

    init(_ name: String, _ frames: [RawFrame], _ heard: String...) {
        testDescription = name
        self.frames = frames
        self.heard = heard
    }

    /// From either side, however the bytes arrive, the same is heard.
    func check() {
        for side in [Side.client, .server] {
            for parts in deliveries(of: frames.wire(from: side)) {
                let heard = listen(to: side, parts)
                #expect(
                    heard == self.heard,
                    "from the \(side), in \(parts.count) parts of which the first has \(parts[0].readableBytes) bytes")
            }
        }
    }
}

private let text: UInt8 = 0x81
private let binary: UInt8 = 0x82
private let close: UInt8 = 0x88
private let ping: UInt8 = 0x89
private let pong: UInt8 = 0x8A
/// Without FIN.
private let beginsText: UInt8 = 0x01
private let goesOn: UInt8 = 0x00
private let ends: UInt8 = 0x80

@Suite("Messages are assembled")
struct MessageTests {
    static let framing: [MessageRow] = [
        MessageRow("1.1.1 empty text", [RawFrame(text)], "text <>"),
        MessageRow("1.1 text", [RawFrame(text, "Hello")], "text <Hello>"),
        MessageRow("1.2.1 empty binary", [RawFrame(binary)], "binary <>"),
        MessageRow("2.1 a ping without payload", [RawFrame(ping)], "ping <>"),
        MessageRow("2.2 a ping with text", [RawFrame(ping, "Hello, world!")], "ping <Hello, world!>"),
        MessageRow("2.7 an unsolicited pong", [RawFrame(pong)], "pong <>"),
        MessageRow("2.8 a pong with payload", [RawFrame(pong, "unsolicited")], "pong <unsolicited>"),
        MessageRow("2.9 pong, ping", [RawFrame(pong, "a"), RawFrame(ping, "b")], "pong <a>", "ping <b>"),
        MessageRow("2.10 pings in a row", (0..<4).map { RawFrame(ping, "\($0)") }, "ping <0>", "ping <1>", "ping <2>", "ping <3>"),
        MessageRow("3.2 RSV2 on the second text", [RawFrame(text, "a"), RawFrame(0xA1, "b")], "text <a>", "! reservedBits 1002"),
        MessageRow("3.5 all bits on a binary", [RawFrame(0xF2, [1])], "! reservedBits 1002"),
        MessageRow("3.6 RSV2 and RSV3 on a ping", [RawFrame(0xB9, "x")], "! reservedBits 1002"),
        MessageRow("3.7 all bits on a close", [RawFrame(0xF8)], "! reservedBits 1002"),
        MessageRow("4.1.4 the opcode 6", [RawFrame(text, "a"), RawFrame(0x86, "b"), RawFrame(ping)], "text <a>", "! opcode 1002"),
        MessageRow("4.2.5 the opcode 15", [RawFrame(text, "a"), RawFrame(0x8F)], "text <a>", "! opcode 1002"),
        MessageRow("5.1 a ping in fragments", [RawFrame(0x09, "a"), RawFrame(ends, "b")], "! controlFrame 1002"),
        MessageRow("5.2 a pong in fragments", [RawFrame(0x0A, "a"), RawFrame(ends, "b")], "! controlFrame 1002"),
        MessageRow("5.3 text in fragments", [RawFrame(beginsText, "a"), RawFrame(ends, "b")], "text <ab> of 2 frames"),
        MessageRow(
            "5.6 a ping between fragments", [RawFrame(beginsText, "a"), RawFrame(ping, "p"), RawFrame(ends, "b")], "ping <p>",
            "text <ab> of 2 frames"),
        MessageRow("5.9 a continuation of nothing", [RawFrame(ends, "a"), RawFrame(text, "b")], "! continuation 1002"),
        MessageRow("5.12 the same without FIN", [RawFrame(goesOn, "a"), RawFrame(text, "b")], "! continuation 1002"),
        MessageRow(
            "5.15 a continuation behind a whole message",
            [RawFrame(beginsText, "a"), RawFrame(ends, "b"), RawFrame(goesOn, "c"), RawFrame(text, "d")],
            "text <ab> of 2 frames", "! continuation 1002"),
        MessageRow(
            "5.18 a text inside a text", [RawFrame(beginsText, "a"), RawFrame(text, "b")], "! continuation 1002",
            "incomplete text <a>…"),
        MessageRow(
            "5.19 pings among five fragments",
            [
                RawFrame(beginsText, "1"), RawFrame(goesOn, "2"), RawFrame(ping, "p"), RawFrame(goesOn, "3"), RawFrame(goesOn, "4"),
                RawFrame(ping, "q"), RawFrame(ends, "5"), RawFrame(binary, [6]),
            ], "ping <p>", "ping <q>", "text <12345> of 5 frames", "binary <06>"),
        MessageRow("6.1.2 empty fragments", [RawFrame(beginsText), RawFrame(goesOn), RawFrame(ends)], "text <> of 3 frames"),
        MessageRow(
            "6.1.3 one fragment of three is not empty", [RawFrame(beginsText), RawFrame(goesOn, "a"), RawFrame(ends)],
            "text <a> of 3 frames"),
        MessageRow(
            "a message that is not finished", [RawFrame(0x02, [1, 2]), RawFrame(goesOn, [3])],
            "incomplete binary <010203> of 2 frames…"),
    ]

    static let closes: [MessageRow] = [
        MessageRow("7.1.1 behind a message", [RawFrame(text, "a"), RawFrame(close, [3, 232])], "text <a>", "close 1000 <> 2"),
        MessageRow("7.1.2 twice", [RawFrame(close, [3, 232]), RawFrame(close, [3, 232])], "close 1000 <> 2"),
        MessageRow("7.1.3 a ping behind it", [RawFrame(close, [3, 232]), RawFrame(ping)], "close 1000 <> 2"),
        MessageRow("7.1.4 text behind it", [RawFrame(close, [3, 232]), RawFrame(text, "a")], "close 1000 <> 2"),
        MessageRow(
            "7.1.5 inside a message", [RawFrame(beginsText, "a"), RawFrame(close, [3, 232]), RawFrame(ends, "b")],
            "close 1000 <> 2", "incomplete text <a>…"),
        MessageRow("7.3.1 no payload", [RawFrame(close)], "close without a code"),
        MessageRow("7.3.2 half a code", [RawFrame(close, [3])], "! closePayload 1002"),
        MessageRow("7.3.4 a reason", [RawFrame(close, [3, 233] + "bye".utf8)], "close 1001 <bye> 5"),
        MessageRow(
            "7.3.5 the longest reason", [RawFrame(close, [3, 232] + [UInt8](repeating: 0x2A, count: 123))],
            "close 1000 <\(String(repeating: "*", count: 123))> 125"),
        MessageRow(
            "7.3.6 a reason too long", [RawFrame(close, [3, 232] + [UInt8](repeating: 0x2A, count: 124))], "! controlFrame 1002"),
        MessageRow(
            "7.5.1 a reason that is not UTF-8", [RawFrame(close, [3, 232, 0xCE, 0xBA, 0xED, 0xA0, 0x80])], "! notUTF8 1007"),
        MessageRow("a reason that ends within a character", [RawFrame(close, [3, 232, 0xE2, 0x82])], "! notUTF8 1007"),
    ]

    @Test("From either side, however the bytes arrive, the same is heard", arguments: framing + closes)
    func rows(_ row: MessageRow) { row.check() }

    @Test("A close code is one that may be sent")
    func closeCodes() {
        let allowed = Set<UInt16>([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014])
        for code in UInt16.min...UInt16.max {
            let isAllowed = allowed.contains(code) || (3000..<5000).contains(code)
            let payload = ByteBuffer(bytes: [UInt8(code >> 8), UInt8(code & 0xFF)])
            let result = Result { () throws(WebSocketError) in try WebSocketClose(parsing: payload) }
            let expected: Result<WebSocketClose, WebSocketError> =
                isAllowed
                ? .success(WebSocketClose(code: code))
                : .failure(WebSocketError(.closePayload, "a close frame has the code \(code), which must not be sent"))
            if result != expected { Issue.record("\(code): \(result)") }
        }
    }

    @Test("9: large messages in fragments of every size", arguments: [64, 256, 1024, 4096, 65536], [Side.client, .server])
    func largeMessages(_ fragment: Int, _ side: Side) {
        let content = Array(repeating: Array("0123456789äöü€😀".utf8), count: 6000).flatMap { $0 }
        let count = content.count
        var frames = stride(from: 0, to: count, by: fragment).map { start in
            RawFrame(goesOn, Array(content[start..<min(start + fragment, count)]))
        }
        frames[0].first = beginsText
        frames[frames.count - 1].first |= ends
        let wire = frames.wire(from: side)
        let expected = "text <\(count) bytes>" + (frames.count == 1 ? "" : " of \(frames.count) frames")
        for chop in [wire.readableBytes, 997, 64] { #expect(listen(to: side, chopped(wire, chop)) == [expected]) }
    }
}

@Suite("Text is UTF-8")
struct TextTests {
    static let valid = [
        "", "Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\u{80}", "\u{7FF}", "\u{800}", "\u{FFFF}", "\u{10000}", "\u{10FFFF}", "\u{D7FF}",
        "\u{E000}",
        "\u{FFFD}", "\u{FFFE}", "\0", "0123456789abcdef€", "😀😀😀",
    ]

    /// What is not UTF-8, and how many bytes of it could still begin a text.
    static let invalid: [(bytes: String, valid: Int)] = [
        ("80", 0),
        ("bf", 0),
        ("808080", 0),
        ("c0", 0),
        ("c1bf", 0),
        ("c080", 0),
        ("c2", 1),
        ("c220", 1),
        ("c2c2", 1),
        ("df", 1),
        ("e0", 1),
        ("e080", 1),
        ("e09fbf", 1),
        ("e0a0", 2),
        ("e0a020", 2),
        ("ed", 1),
        ("eda080", 1),
        ("edbfbf", 1),
        ("edada180", 1),
        ("eda081edb080", 1),
        ("ef", 1),
        ("efbf", 2),
        ("efbfc0", 2),
        ("f0", 1),
        ("f08fbfbf", 1),
        ("f09080", 3),
        ("f0908020", 3),
        ("f48fbf", 3),
        ("f4908080", 1),
        ("f4", 1),
        ("f5", 0),
        ("f8", 0),
        ("f888808080", 0),
        ("fc", 0),
        ("fe", 0),
        ("ff", 0),
        ("fefeffff", 0),
        // Autobahn 6.3.1 and 6.4.1
        ("cebae1bdb9cf83cebcceb5eda080656469746564", 12),
        ("cebae1bdb9cf83cebcceb5f4908080656469746564", 12),
    ]

    @Test("Valid text is heard, in one frame and in fragments cut anywhere", arguments: valid)
    func validText(_ content: String) {
        let bytes = Array(content.utf8)
        #expect(listen(to: .server, [[RawFrame(text, bytes)].wire(from: .server)]) == ["text <\(content)>"])
        for cut in 0...bytes.count {
            let frames = [RawFrame(beginsText, Array(bytes[..<cut])), RawFrame(ends, Array(bytes[cut...]))]
            #expect(listen(to: .server, [frames.wire(from: .server)]) == ["text <\(content)> of 2 frames"])
        }
        MessageRow(content, [RawFrame(text, bytes), RawFrame(ping)], "text <\(content)>", "ping <>").check()
    }

    @Test("What is not UTF-8 is an error as soon as it is certain, alone and behind ASCII", arguments: invalid)
    func invalidText(_ row: (bytes: String, valid: Int)) throws {
        for ascii in [0, 1, 7, 8, 9, 17] {
            let bytes = [UInt8](repeating: 0x61, count: ascii) + Array(hex(row.bytes).readableBytesView)
            // The frame promises more than comes, so only what cannot be is an error.
            let wire = [RawFrame(text, bytes + [UInt8](repeating: 0x61, count: 100))].wire(from: .client)
            var decoder = WebSocketFrameDecoder(from: .client)
            var assembler = try WebSocketMessageAssembler(compression: nil)
            decoder.receive(wire.getSlice(at: 0, length: wire.readableBytes - bytes.count - 100)!)
            var accepted = 0
            let expected = WebSocketError(.notUTF8, closeCode: 1007, "a text message is not UTF-8")
            #expect(throws: expected) {
                for byte in chopped(wire.getSlice(at: wire.readableBytes - bytes.count - 100, length: bytes.count + 1)!, 1) {
                    decoder.receive(byte)
                    while let part = try decoder.next() { assembler.receive(part) }
                    #expect(try assembler.next() == nil)
                    accepted += 1
                }
            }
            #expect(accepted == ascii + row.valid)
            // What came is not lost, and the error lasts.
            let incomplete = assembler.takeIncomplete()
            #expect(incomplete?.content == ByteBuffer(bytes: (bytes + [0x61]).prefix(accepted + 1)))
            #expect(throws: expected) { try assembler.next() }
        }
    }

    @Test("Text that ends within a character is an error at its end", arguments: ["c2", "e0a0", "f09080", "61e282"])
    func truncatedText(_ bytes: String) {
        let payload = Array(hex(bytes).readableBytesView)
        for frames in [[RawFrame(text, payload)], [RawFrame(beginsText, payload), RawFrame(ends)]] {
            #expect(listen(to: .server, [frames.wire(from: .server)]).first == "! notUTF8 1007")
        }
    }

    @Test("Binary content may be anything, a ping's too")
    func binaryContent() {
        MessageRow(
            "", [RawFrame(binary, [0xC0, 0x80, 0xFF]), RawFrame(0x02, [0xFF]), RawFrame(ping), RawFrame(ends, [0xFE])],
            "binary <c080ff>", "ping <>", "binary <fffe> of 2 frames"
        ).check()
    }
}

@Suite("Long messages come in pieces")
struct PieceTests {
    private static func limits(piece: Int, message: UInt64 = .max) -> WebSocketLimits {
        var limits = WebSocketLimits()
        limits.maximumPieceSize = piece
        limits.maximumMessageSize = message
        return limits
    }

    @Test("A message that just fits is one piece; a longer one is cut")
    func cuts() {
        let rows: [(String, [String])] = [
            ("12345678", ["text <12345678>"]),
            ("123456789", ["text <12345678>…", "text <9> of 0 frames at 8"]),
            ("1234567890abcdef", ["text <12345678>…", "text <90abcdef> of 0 frames at 8"]),
            ("1234567890abcdefg", ["text <12345678>…", "text <90abcdef> of 0 frames at 8…", "text <g> of 0 frames at 16"]),
            ("1234567é", ["text <1234567>…", "text <é> of 0 frames at 7"]),
            ("12345😀6", ["text <12345>…", "text <😀6> of 0 frames at 5"]),
            ("1234😀", ["text <1234😀>"]),
            ("1234😀5", ["text <1234😀>…", "text <5> of 0 frames at 8"]),
        ]
        for (content, heard) in rows {
            let wire = [RawFrame(text, content)].wire(from: .client)
            for parts in deliveries(of: wire) {
                #expect(listen(to: .client, parts, limits: Self.limits(piece: 8)) == heard)
            }
        }
    }

    @Test("Sizes and frames of the pieces add up")
    func totals() throws {
        var assembler = try WebSocketMessageAssembler(compression: nil, limits: Self.limits(piece: 4))
        var pieces: [WebSocketMessage] = []
        var decoder = WebSocketFrameDecoder(from: .server)
        decoder.receive(
            [RawFrame(0x02, [1, 2, 3]), RawFrame(goesOn, [4, 5, 6, 7, 8, 9]), RawFrame(ends, [10])].wire(from: .server))
        while let part = try decoder.next() {
            assembler.receive(part)
            while let event = try assembler.next() { if case .message(let piece) = event { pieces.append(piece) } }
        }
        #expect(
            pieces == [
                WebSocketMessage(.binary, hex("01020304"), isLast: false, wireSize: 9, frames: 2),
                WebSocketMessage(.binary, hex("05060708"), offset: 4, isLast: false, wireSize: 0, frames: 0),
                WebSocketMessage(.binary, hex("090a"), offset: 8, wireSize: 1, frames: 1),
            ])
    }

    @Test("A message that is too big is an error, and what came of it is not lost")
    func tooBig() {
        let wire = [RawFrame(binary, [1, 2, 3, 4]), RawFrame(binary, [1, 2, 3, 4, 5])].wire(from: .server)
        for parts in [[wire], chopped(wire, 1)] {
            #expect(
                listen(to: .server, parts, limits: Self.limits(piece: 8, message: 4)) == [
                    "binary <01020304>", "! tooBig 1009", "incomplete binary <0102030405>…",
                ])
        }
    }
}
