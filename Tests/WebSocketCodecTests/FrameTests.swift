import HTTPSemantics
import NIOCore
import TestSupport
import Testing
import WebSocketCodec

/// Bytes, who sends them, and the frames that they are.
struct FrameRow: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var side: Side
    var bytes: String
    var frames: [String]
    var allowing: ReservedBits

    init(_ name: String, _ side: Side, _ bytes: String, allowing: ReservedBits = [], _ frames: String...) {
        testDescription = name
        self.side = side
        self.bytes = bytes
        self.frames = frames
        self.allowing = allowing
    }
}

@Suite("Frames are decoded")
struct FrameDecodingTests {
    static let examples: [FrameRow] = [
        FrameRow("RFC 6455 §5.7: unmasked text", .server, "81 05 48656c6c6f", "text 48656c6c6f"),
        FrameRow("RFC 6455 §5.7: masked text", .client, "81 85 37fa213d 7f9f4d5158", "text 48656c6c6f"),
        FrameRow("RFC 6455 §5.7: fragments", .server, "01 03 48656c 80 02 6c6f", "text… 48656c", "continuation 6c6f"),
        FrameRow("RFC 6455 §5.7: ping", .server, "89 05 48656c6c6f", "ping 48656c6c6f"),
        FrameRow("RFC 6455 §5.7: masked pong", .client, "8a 85 37fa213d 7f9f4d5158", "pong 48656c6c6f"),
        FrameRow(
            "RFC 6455 §5.7: 256 bytes", .server, "82 7e 0100" + String(repeating: "00", count: 256),
            "binary " + String(repeating: "00", count: 256)),
        FrameRow("no payload", .server, "81 00", "text "),
        FrameRow("no payload, masked", .client, "82 80 01020304", "binary "),
        FrameRow("data after a close frame is left", .server, "88 00 81 05 4865", "close "),
        FrameRow(
            "a ping between fragments", .server, "02 01 61 89 01 62 80 01 63", "binary… 61", "ping 62", "continuation 63"),
        FrameRow(
            "RSV1 where an extension gives it a meaning", .server, "c1 01 61 01 01 62 80 01 63", allowing: .rsv1, "text RSV1 61",
            "text… 62", "continuation 63"),
        FrameRow("126 bytes, of which one has come", .server, "82 7e 007e 00"),
    ]

    static let faults: [FrameRow] = [
        FrameRow("a client that does not mask", .client, "81 05 48656c6c6f", "! masking 1002"),
        FrameRow("a server that masks", .server, "81 85 37fa213d 7f9f4d5158", "! masking 1002"),
        FrameRow("RSV1", .server, "c1 01 61", "! reservedBits 1002"),
        FrameRow("RSV2", .server, "a1 01 61", "! reservedBits 1002"),
        FrameRow("RSV3", .server, "91 01 61", "! reservedBits 1002"),
        FrameRow("RSV2 beside RSV1 that is allowed", .server, "e1 01 61", allowing: .rsv1, "! reservedBits 1002"),
        FrameRow("RSV1 on a control frame", .server, "c9 00", allowing: .rsv1, "! reservedBits 1002"),
        FrameRow("RSV1 on a continuation", .server, "41 01 61 c0 01 62", allowing: .rsv1, "text… RSV1 61", "! reservedBits 1002"),
        FrameRow("126 for 125 bytes", .server, "82 7e 007d", "! length 1002"),
        FrameRow("127 for 65535 bytes", .server, "82 7f 000000000000ffff", "! length 1002"),
        FrameRow("127 for nothing", .client, "82 ff 0000000000000000", "! length 1002"),
        FrameRow("a length with its highest bit set", .server, "82 7f 8000000000000001", "! length 1002"),
        FrameRow("a ping of 126 bytes", .server, "89 7e 007e", "! controlFrame 1002"),
        FrameRow("a ping with a length of eight bytes", .client, "89 ff 0000000000010000", "! controlFrame 1002"),
        FrameRow("a fragmented close", .server, "08 00", "! controlFrame 1002"),
        FrameRow("a continuation of nothing", .server, "80 00", "! continuation 1002"),
        FrameRow("a message inside a message", .server, "01 01 61 82 01 62", "text… 61", "! continuation 1002"),
    ]

    @Test("However the bytes arrive, the same frames come, and their bytes as they were", arguments: examples + faults)
    func rows(_ row: FrameRow) {
        let bytes = hex(row.bytes)
        for parts in deliveries(of: bytes) {
            let result = decodeFrames(from: row.side, parts, allowing: row.allowing)
            #expect(result.frames == row.frames, "in \(parts.count) parts of which the first has \(parts[0].readableBytes) bytes")
            #expect(result.wire == bytes)
        }
    }

    @Test("Every first byte is judged as RFC 6455 §5.2 says", arguments: [Side.client, .server])
    func firstBytes(_ side: Side) {
        for first in UInt8.min...UInt8.max {
            let heard = decodeFrames(from: side, [[RawFrame(first)].wire(from: side)]).frames
            let expected: String
            switch (first & 0x0F, first & 0x70, first & 0x80) {
            case (3...7, _, _), (11...15, _, _): expected = "! opcode 1002"
            case (_, 0x10..., _): expected = "! reservedBits 1002"
            case (8...10, _, 0): expected = "! controlFrame 1002"
            case (0, _, _): expected = "! continuation 1002"
            case (1, _, let fin): expected = fin == 0 ? "text… " : "text "
            case (2, _, let fin): expected = fin == 0 ? "binary… " : "binary "
            case (let opcode, _, _): expected = ["close ", "ping ", "pong "][Int(opcode) - 8]
            }
            #expect(heard == [expected], "first byte \(first)")
        }
    }

    @Test("A payload is reported as it arrives and nothing of it is kept")
    func streaming() throws {
        var decoder = WebSocketFrameDecoder(from: .server)
        decoder.receive(hex("82 7f 0000000000100000 0102"))
        let header = WebSocketFrameHeader(.binary, payloadLength: 1 << 20)
        let first = try decoder.next()
        #expect(
            first == WebSocketFramePart(header: header, payload: hex("0102"), wire: hex("82 7f 0000000000100000 0102")))
        #expect(first?.isLast == false)
        #expect(try decoder.next() == nil)
        decoder.receive(hex("030405"))
        #expect(
            try decoder.next()
                == WebSocketFramePart(header: header, offset: 2, payload: hex("030405"), wire: hex("030405"), isFirst: false))
        #expect(decoder.bufferedBytes == 0)
        #expect(!decoder.isBetweenMessages)
    }

    @Test("A control frame comes whole")
    func wholeControlFrame() throws {
        var decoder = WebSocketFrameDecoder(from: .client)
        decoder.receive(hex("89 82 00000000 61"))
        #expect(try decoder.next() == nil)
        decoder.receive(hex("62"))
        let header = WebSocketFrameHeader(.ping, payloadLength: 2, maskingKey: MaskingKey(0))
        #expect(
            try decoder.next() == WebSocketFramePart(header: header, payload: hex("6162"), wire: hex("89 82 00000000 6162")))
        #expect(decoder.isBetweenMessages)
    }

    @Test("An error is reported again")
    func lastingError() {
        var decoder = WebSocketFrameDecoder(from: .server)
        decoder.receive(hex("83 00 81 00"))
        let expected = WebSocketError(.opcode, "the opcode 3 is reserved")
        for _ in 0..<2 { #expect(throws: expected) { try decoder.next() } }
        #expect(decoder.bufferedBytes == 4)
    }

    @Test("It is known whether a message, a frame, or the conversation is over")
    func ends() throws {
        var decoder = WebSocketFrameDecoder(from: .server)
        #expect(decoder.isBetweenMessages && !decoder.isClosed)
        decoder.receive(hex("01 01 61"))
        _ = try decoder.next()
        #expect(!decoder.isBetweenMessages)
        decoder.receive(hex("80 00 88 00 ff"))
        while try decoder.next() != nil {}
        #expect(decoder.isClosed && decoder.bufferedBytes == 1)
        #expect(decoder.takeRest() == hex("ff"))
        #expect(decoder.isBetweenMessages)
    }

    @Test(
        "Frames of every size come and go", arguments: [0, 1, 125, 126, 127, 128, 65535, 65536, 1 << 20], [Side.client, .server])
    func sizes(_ size: Int, _ side: Side) {
        var generator = SeededGenerator(seed: UInt64(size))
        let payload = (0..<size).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let wire = [RawFrame(0x82, payload)].wire(from: side)
        let key = side == .client ? MaskingKey(0x37FA_213D) : nil
        let encoded = WebSocketFrameEncoder.frame(.binary, ByteBuffer(bytes: payload), maskingKey: key)
        let isSame = encoded == wire
        #expect(isSame)
        for chop in [max(1, wire.readableBytes), 997, 65536] {
            let result = decodeFrames(from: side, chopped(wire, chop))
            let isSame = result.payloads == [ByteBuffer(bytes: payload)] && result.wire == wire
            #expect(isSame, "in parts of \(chop) bytes")
        }
    }
}

@Suite("Masking")
struct MaskingTests {
    static let lengths = Array(0...70) + [1000, 65537]

    @Test("Each byte meets its byte of the key, at every length and phase", arguments: lengths)
    func phases(_ length: Int) {
        let plain = (0..<length).map { UInt8(truncatingIfNeeded: $0 * 7) }
        let key: [UInt8] = [0x12, 0x34, 0x56, 0x78]
        for offset in 0..<5 {
            let expected = ByteBuffer(bytes: plain.enumerated().map { $1 ^ key[($0 + offset) % 4] })
            let masked = MaskingKey(0x1234_5678).applied(to: ByteBuffer(bytes: plain), offset: UInt64(offset))
            #expect(masked == expected)
            var inPlace = ByteBuffer(bytes: [0xAA] + plain)
            inPlace.moveReaderIndex(forwardBy: 1)
            MaskingKey(0x1234_5678).apply(to: &inPlace, offset: UInt64(offset))
            #expect(inPlace == expected)
        }
    }

    @Test("What others hold is not changed")
    func sharedStorage() {
        let held = ByteBuffer(bytes: [1, 2, 3, 4, 5])
        var other = held
        MaskingKey(0xFFFF_FFFF).apply(to: &other)
        #expect(held == ByteBuffer(bytes: [1, 2, 3, 4, 5]))
        #expect(other == ByteBuffer(bytes: [254, 253, 252, 251, 250]))
    }
}

@Suite("Frames are encoded")
struct FrameEncodingTests {
    @Test("RFC 6455 §5.7: the examples, byte by byte")
    func examples() throws {
        let hello = ByteBuffer(string: "Hello")
        let key = MaskingKey(0x37FA_213D)
        #expect(WebSocketFrameEncoder.frame(.text, hello) == hex("81 05 48656c6c6f"))
        #expect(WebSocketFrameEncoder.frame(.text, hello, maskingKey: key) == hex("81 85 37fa213d 7f9f4d5158"))
        #expect(
            WebSocketFrameEncoder.message(.text, hello, fragmentSize: 3) { nil } == hex("01 03 48656c 80 02 6c6f"))
        #expect(try WebSocketFrameEncoder.control(.ping, hello) == hex("89 05 48656c6c6f"))
        #expect(try WebSocketFrameEncoder.control(.pong, hello, maskingKey: key) == hex("8a 85 37fa213d 7f9f4d5158"))
    }

    @Test("A close frame says why")
    func close() {
        let key = MaskingKey(0x0102_0304)
        #expect(WebSocketFrameEncoder.close(WebSocketClose(code: nil)) == hex("88 00"))
        #expect(WebSocketFrameEncoder.close(WebSocketClose(code: 1000)) == hex("88 02 03e8"))
        #expect(WebSocketFrameEncoder.close(WebSocketClose(code: 1002, reason: "no")) == hex("88 04 03ea 6e6f"))
        #expect(WebSocketFrameEncoder.close(WebSocketClose(code: 1000), maskingKey: key) == hex("88 82 01020304 02ea"))
    }

    @Test("A reason that does not fit is cut between characters")
    func longReason() throws {
        let frame = WebSocketFrameEncoder.close(WebSocketClose(code: 1011, reason: "a" + String(repeating: "é", count: 100)))
        #expect(listen(to: .server, [frame]) == ["close 1011 <a\(String(repeating: "é", count: 61))> 125"])
        let emoji = WebSocketFrameEncoder.close(WebSocketClose(code: 1011, reason: String(repeating: "😀", count: 31)))
        #expect(listen(to: .server, [emoji]) == ["close 1011 <\(String(repeating: "😀", count: 30))> 122"])
    }

    @Test("A control frame that cannot be is refused")
    func longPing() {
        let payload = ByteBuffer(repeating: 0, count: 126)
        #expect(throws: WebSocketError(.controlFrame, "a ping frame of 126 bytes is longer than 125")) {
            try WebSocketFrameEncoder.control(.ping, payload)
        }
    }

    @Test("Each fragment has a key of its own")
    func fragmentKeys() {
        var next: UInt32 = 0
        let frames = WebSocketFrameEncoder.message(.binary, hex("0a0b0c0d0e"), fragmentSize: 2) {
            next += 1
            return MaskingKey(next << 24)
        }
        #expect(frames == hex("02 82 01000000 0b0b 00 82 02000000 0e0d 80 81 03000000 0d"))
    }

    @Test("A header alone begins a frame whose payload is sent in parts")
    func headerAlone() {
        var out = ByteBuffer()
        let header = WebSocketFrameHeader(.binary, payloadLength: 1 << 32, isFinal: false, reserved: [.rsv2, .rsv3])
        WebSocketFrameEncoder.write(header, into: &out)
        #expect(out == hex("32 7f 0000000100000000"))
    }
}
