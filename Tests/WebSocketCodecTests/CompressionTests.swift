import HTTPSemantics
import NIOCore
import TestSupport
import Testing
import WebSocketCodec

/// All ways in which one side may compress.
private let directions = [true, false].flatMap { takesOver in
    (8...15).map { PerMessageDeflate.Direction(takesOverContext: takesOver, windowBits: $0) }
}

/// Made content of several kinds: text of words, the same bytes again and again, bytes that cannot be compressed, nothing.
private let samples: [ByteBuffer] = {
    var generator = SeededGenerator(seed: 7692)
    let words = ["frame", "mask", "opcode", "{\"id\":", "12345", "}", ",", " ", "é", "data", "\n"]
    return [16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072].flatMap { size -> [ByteBuffer] in
        var text = ByteBuffer()
        while text.readableBytes < size { text.writeString(words.randomElement(using: &generator)!) }
        return [text, ByteBuffer(bytes: (0..<size / 4).map { _ in UInt8.random(in: 0...255, using: &generator) })]
    } + [
        ByteBuffer(repeating: 0x2A, count: 100_000), ByteBuffer(), ByteBuffer(), ByteBuffer(string: "Hello"),
        ByteBuffer(string: "Hello"),
    ]
}()

/// Content of each binary message that is heard, or what is wrong.
private func contents(
    _ parts: [ByteBuffer], _ compression: PerMessageDeflate.Direction, from side: Side = .server
) throws(WebSocketError) -> [ByteBuffer] {
    var decoder = WebSocketFrameDecoder(from: side, allowing: .rsv1)
    var assembler = try WebSocketMessageAssembler(compression: compression)
    var contents: [ByteBuffer] = []
    for bytes in parts {
        decoder.receive(bytes)
        while let part = try decoder.next() {
            assembler.receive(part)
            while let event = try assembler.next() { if case .message(let message) = event { contents.append(message.content) } }
        }
    }
    return contents
}

struct CompressionRow: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var wire: String
    var heard: [String]
    var compression: PerMessageDeflate.Direction

    init(_ name: String, _ wire: String, takesOverContext: Bool = true, bits: Int = 15, _ heard: String...) {
        testDescription = name
        self.wire = wire
        self.heard = heard
        self.compression = PerMessageDeflate.Direction(takesOverContext: takesOverContext, windowBits: bits)
    }
}

@Suite("Compressed messages are inflated")
struct InflationTests {
    static let rows: [CompressionRow] = [
        CompressionRow("RFC 7692 §7.2.3.1: one block", "c1 07 f248cdc9c90700", "text <Hello> from 7 bytes"),
        CompressionRow(
            "RFC 7692 §7.2.3.1: in fragments", "41 03 f248cd 80 04 c9c90700", "text <Hello> of 2 frames from 7 bytes"),
        CompressionRow(
            "RFC 7692 §7.2.3.2: the second message refers to the first", "c1 07 f248cdc9c90700 c1 05 f200110000",
            "text <Hello> from 7 bytes", "text <Hello> from 5 bytes"),
        CompressionRow(
            "RFC 7692 §7.2.3.2: no context is taken over", "c1 07 f248cdc9c90700 c1 07 f248cdc9c90700", takesOverContext: false,
            "text <Hello> from 7 bytes", "text <Hello> from 7 bytes"),
        CompressionRow(
            "a reference to a message that was to be forgotten", "c1 07 f248cdc9c90700 c1 05 f200110000", takesOverContext: false,
            "text <Hello> from 7 bytes", "! compressedData 1007"),
        CompressionRow(
            "RFC 7692 §7.2.3.3: a block that is not compressed", "c1 0b 000500faff48656c6c6f00", "text <Hello> from 11 bytes"),
        CompressionRow("RFC 7692 §7.2.3.4: a block with BFINAL", "c1 08 f348cdc9c9070000", "text <Hello> from 8 bytes"),
        CompressionRow(
            "RFC 7692 §7.2.3.4: the context is taken over past BFINAL", "c1 08 f348cdc9c9070000 c1 05 f200110000",
            "text <Hello> from 8 bytes", "text <Hello> from 5 bytes"),
        CompressionRow(
            "a block with BFINAL without the byte behind it", "c1 07 f348cdc9c90700 c1 05 f200110000", "text <Hello> from 7 bytes",
            "text <Hello> from 5 bytes"),
        CompressionRow(
            "RFC 7692 §7.2.3.5: two blocks in one message", "c1 0d f248050000 00ffff cac9c90700", "text <Hello> from 13 bytes"),
        CompressionRow("RFC 7692 §7.2.3.6: nothing", "c1 01 00", "text <> from 1 bytes"),
        CompressionRow(
            "RFC 7692 §7.2.3.6: an empty last fragment", "41 07 f248cdc9c90700 80 00", "text <Hello> of 2 frames from 7 bytes"),
        CompressionRow(
            "nothing, sent as no bytes", "c1 00 c1 07 f248cdc9c90700", "text <> from 0 bytes", "text <Hello> from 7 bytes"),
        CompressionRow(
            "the tail was left in", "c1 0b f248cdc9c907000000ffff c1 05 f200110000", "text <Hello> from 11 bytes",
            "text <Hello> from 5 bytes"),
        CompressionRow(
            "messages that are not compressed stand between", "c1 07 f248cdc9c90700 81 02 6869 c1 05 f200110000",
            "text <Hello> from 7 bytes", "text <hi>", "text <Hello> from 5 bytes"),
        CompressionRow(
            "a ping stands between fragments", "42 03 f248cd 89 01 70 80 04 c9c90700", "ping <p>",
            "binary <48656c6c6f> of 2 frames from 7 bytes"),
        CompressionRow(
            "a block of a type that does not exist", "c1 01 07", "! compressedData 1007"),
        CompressionRow(
            "a message that ends in the middle of a block", "c1 03 f248cd", "! compressedData 1007"),
        CompressionRow(
            "a stored block whose length is not what its complement says", "c1 06 000500fafe48", "! compressedData 1007"),
        CompressionRow("text that is not UTF-8 once it is inflated", "c1 08 000100feffff00", "! notUTF8 1007"),
    ]

    @Test("However the bytes arrive, the same is heard", arguments: rows)
    func examples(_ row: CompressionRow) {
        let bytes = hex(row.wire)
        for parts in deliveries(of: bytes) {
            // How much had come when something was found to be wrong depends on the parts.
            let heard = listen(to: .server, parts, compression: row.compression).filter { !$0.hasPrefix("incomplete") }
            #expect(heard == row.heard, "in \(parts.count) parts of which the first has \(parts[0].readableBytes) bytes")
        }
    }

    @Test("What came before something is wrong is not lost")
    func incomplete() {
        for (wire, content) in [("c1 03 f248cd", "He"), ("c1 05 f200110000", "H"), ("c1 08 000100feffff00", "\u{FFFD}")] {
            let heard = listen(to: .server, [hex(wire)], compression: PerMessageDeflate.Direction())
            #expect(heard.last?.hasPrefix("incomplete text <\(content)> from") == true, "\(heard)")
        }
    }

    @Test("Data that inflates to much is reported piece by piece and ends at the limit")
    func bomb() throws {
        let compression = PerMessageDeflate.Direction()
        let content = ByteBuffer(repeating: 0, count: 8 << 20)
        let bomb = WebSocketFrameEncoder.message(.binary, content, deflater: try MessageDeflater(compression)) { nil }
        #expect(bomb.readableBytes < 10_000)
        var limits = WebSocketLimits()
        limits.maximumPieceSize = 1 << 20
        limits.maximumMessageSize = 4 << 20
        var decoder = WebSocketFrameDecoder(from: .server, allowing: .rsv1)
        var assembler = try WebSocketMessageAssembler(compression: compression, limits: limits)
        decoder.receive(bomb)
        assembler.receive(try #require(try decoder.next()))
        for piece in 0..<3 {
            guard case .message(let message) = try assembler.next() else { return #expect(Bool(false), "there is a piece") }
            #expect(message.content.readableBytes == 1 << 20 && message.offset == UInt64(piece) << 20 && !message.isLast)
        }
        #expect(throws: WebSocketError(.tooBig, closeCode: 1009, "a message is larger than 4194304 bytes")) { try assembler.next() }
        let rest = assembler.takeIncomplete()
        #expect(rest?.offset == 3 << 20 && rest?.content.readableBytes == 1 << 20 + 1)
    }

    @Test("Pieces of a compressed message add up to it, whatever the size of a piece", arguments: [4, 5, 100, 1000, 1023])
    func pieces(_ size: Int) throws {
        let content = ByteBuffer(string: String(repeating: "äöü€😀, ", count: 60))
        let compression = PerMessageDeflate.Direction()
        let wire = WebSocketFrameEncoder.message(.text, content, deflater: try MessageDeflater(compression), fragmentSize: 7) {
            nil
        }
        for parts in [[wire], chopped(wire, 1), chopped(wire, 11)] {
            var limits = WebSocketLimits()
            limits.maximumPieceSize = size
            var decoder = WebSocketFrameDecoder(from: .server, allowing: .rsv1)
            var assembler = try WebSocketMessageAssembler(compression: compression, limits: limits)
            var joined = ByteBuffer()
            var lasts: [Bool] = []
            for bytes in parts {
                decoder.receive(bytes)
                while let part = try decoder.next() {
                    assembler.receive(part)
                    while let event = try assembler.next() {
                        guard case .message(let piece) = event else { continue }
                        #expect(piece.offset == UInt64(joined.readableBytes))
                        #expect(piece.content.readableBytes <= size && piece.content.readableBytes > 0)
                        #expect(String(validating: piece.content.readableBytesView, as: UTF8.self) != nil)
                        joined.writeImmutableBuffer(piece.content)
                        lasts.append(piece.isLast)
                    }
                }
            }
            #expect(joined == content)
            #expect(lasts == Array(repeating: false, count: lasts.count - 1) + [true])
        }
    }
}

@Suite("Messages are compressed")
struct DeflationTests {
    @Test("RFC 7692 §7.2.3: the examples, byte by byte")
    func examples() throws {
        let hello = ByteBuffer(string: "Hello")
        let takingOver = try MessageDeflater(PerMessageDeflate.Direction())
        #expect(takingOver.compress(hello) == hex("f248cdc9c90700"))
        #expect(takingOver.compress(hello) == hex("f200110000"))
        for _ in 0..<2 { #expect(takingOver.compress(ByteBuffer()) == hex("00")) }
        let forgetting = try MessageDeflater(PerMessageDeflate.Direction(takesOverContext: false))
        for _ in 0..<2 { #expect(forgetting.compress(hello) == hex("f248cdc9c90700")) }
        let storing = try MessageDeflater(PerMessageDeflate.Direction(), level: 0)
        #expect(storing.compress(hello) == hex("000500faff48656c6c6f00"))
        let frame = WebSocketFrameEncoder.message(.text, hello, deflater: forgetting, fragmentSize: 3) { nil }
        #expect(frame == hex("41 03 f248cd 00 03 c9c907 80 01 00"))
    }

    @Test("What is compressed inflates to what it was, with every parameter, level and fragment size", arguments: directions)
    func roundTrips(_ direction: PerMessageDeflate.Direction) throws {
        for (level, fragmentSize) in [(6, nil), (1, 1000), (9, 64), (0, 65536)] as [(Int, Int?)] {
            let deflater = try MessageDeflater(direction, level: level)
            var key: UInt32 = 0
            var wire = ByteBuffer()
            for content in samples {
                let frames = WebSocketFrameEncoder.message(.binary, content, deflater: deflater, fragmentSize: fragmentSize) {
                    key &+= 0x9E37_79B9
                    return MaskingKey(key)
                }
                wire.writeImmutableBuffer(frames)
            }
            let heard = try contents(chopped(wire, 4096), direction, from: .client)
            let isSame = heard == samples
            #expect(isSame, "level \(level), fragments of \(fragmentSize ?? 0) bytes")
        }
    }

    @Test("With a window of 256 bytes nothing refers further back, with one of 1024 something does")
    func smallestWindow() throws {
        let content = samples[10]
        for (bits, isUnderstood) in [(8, true), (10, false)] {
            let inflater = try MessageInflater(PerMessageDeflate.Direction(windowBits: 8))
            inflater.receive(try MessageDeflater(PerMessageDeflate.Direction(windowBits: bits), level: 9).compress(content))
            inflater.receivedEnd()
            var out = ByteBuffer()
            do throws(WebSocketError) {
                // Byte by byte: within one call zlib looks back into what it has written, whatever the window.
                while try !inflater.inflate(into: &out, maximum: 1) {}
            } catch {
                #expect(error.kind == .compressedData)
            }
            #expect((out == content) == isUnderstood)
        }
    }

    @Test("A receiver with a larger window than agreed on understands as well", arguments: [8, 9, 12])
    func largerWindow(_ bits: Int) throws {
        let deflater = try MessageDeflater(PerMessageDeflate.Direction(windowBits: bits))
        let frames = samples.map { WebSocketFrameEncoder.message(.binary, $0, deflater: deflater) { nil } }
        let isSame = try contents(frames, PerMessageDeflate.Direction(windowBits: 15)) == samples
        #expect(isSame)
    }
}

@Suite("permessage-deflate is negotiated")
struct NegotiationTests {
    private static func parsed(_ text: String) throws(WebSocketError) -> [WebSocketExtension] {
        try WebSocketExtension.all(in: FieldSection([("Sec-WebSocket-Extensions", text)]))
    }

    @Test(
        "A list of extensions is read and written",
        arguments: [
            ("permessage-deflate", "permessage-deflate"),
            ("a;b=c ; d = \"e\" , f", "a; b=c; d=e, f"),
            (
                "permessage-deflate; client_max_window_bits; server_max_window_bits=\"1\\0\"",
                "permessage-deflate; client_max_window_bits; server_max_window_bits=10"
            ),
            (" , a,, b ,", "a, b"),
            ("a; b=\"c\", a; b=d", "a; b=c, a; b=d"),
        ])
    func lists(_ text: String, _ canonical: String) throws {
        #expect(WebSocketExtension.fieldValue(try Self.parsed(text)) == canonical)
    }

    @Test(
        "What is no extension is an error",
        arguments: ["a;", "a b", "a;b=", "a;b=\"\"", "a;b=\"c d\"", "a;b=\"c", "=", ";a", "a;b=c d", "a/b", "a;b=\"c\\"])
    func badLists(_ text: String) {
        let expected = WebSocketError(.handshake, "Sec-WebSocket-Extensions holds \"\(text)\", which is no extension")
        #expect(throws: expected) { try Self.parsed(text) }
    }

    @Test("Extensions of several lines are one list")
    func severalLines() throws {
        let fields = FieldSection([("sec-websocket-extensions", "a, b"), ("X", "y"), ("Sec-WebSocket-Extensions", "c")])
        #expect(
            try WebSocketExtension.all(in: fields) == [WebSocketExtension("a"), WebSocketExtension("b"), WebSocketExtension("c")])
    }

    @Test(
        "Parameters that are not valid decline the offer and fail the response",
        arguments: [
            ("server_no_context_takeover=1", "server_no_context_takeover=1", "has a value"),
            ("client_no_context_takeover=\"x\"", "client_no_context_takeover=x", "has a value"),
            ("server_no_context_takeover; server_no_context_takeover", "server_no_context_takeover", "appears twice"),
            ("client_max_window_bits; client_max_window_bits=8", "client_max_window_bits=8", "appears twice"),
            ("server_max_window_bits", "server_max_window_bits", "is not a number from 8 to 15"),
            ("server_max_window_bits=7", "server_max_window_bits=7", "is not a number from 8 to 15"),
            ("server_max_window_bits=16", "server_max_window_bits=16", "is not a number from 8 to 15"),
            ("server_max_window_bits=08", "server_max_window_bits=08", "is not a number from 8 to 15"),
            (
                "client_max_window_bits=99999999999999999999", "client_max_window_bits=99999999999999999999",
                "is not a number from 8 to 15"
            ),
            ("client_max_window_bits=a", "client_max_window_bits=a", "is not a number from 8 to 15"),
            ("level=9", "level=9", "is not known"),
        ])
    func invalidParameters(_ parameters: String, _ named: String, _ what: String) throws {
        let element = try #require(try Self.parsed("permessage-deflate; " + parameters).first)
        let expected = WebSocketError(.extensionParameters, "the parameter \(named) of permessage-deflate \(what)")
        #expect(throws: expected) { try PerMessageDeflateOffer(element) }
        #expect(throws: expected) { try PerMessageDeflate(response: element) }
        #expect(PerMessageDeflateOffer.all(in: [element]).isEmpty)
        #expect(PerMessageDeflate(accepting: [element]) == nil)
    }

    @Test("The first valid offer is accepted")
    func accepting() throws {
        let offers = try Self.parsed(
            "x-other, permessage-deflate; server_max_window_bits=99, "
                + "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9; server_no_context_takeover, permessage-deflate"
        )
        let accepted = PerMessageDeflate(accepting: offers)
        #expect(
            accepted
                == PerMessageDeflate(
                    client: .init(windowBits: 9), server: .init(takesOverContext: false, windowBits: 10)))
        #expect(
            accepted?.response.description
                == "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=9")
        #expect(PerMessageDeflate(accepting: [WebSocketExtension("x-other")]) == nil)
    }

    @Test("A response says what each side does", arguments: [8, 11, 15], [true, false])
    func responses(_ bits: Int, _ takesOver: Bool) throws {
        for side in [Side.client, .server] {
            var value = PerMessageDeflate()
            if side == .client {
                value.client = .init(takesOverContext: takesOver, windowBits: bits)
            } else {
                value.server = .init(takesOverContext: takesOver, windowBits: bits)
            }
            #expect(try PerMessageDeflate(response: value.response) == value)
            #expect(value[side] == PerMessageDeflate.Direction(takesOverContext: takesOver, windowBits: bits))
            #expect(value[side.opposite] == PerMessageDeflate.Direction())
        }
    }

    @Test(
        "A response answers an offer or does not (RFC 7692 §7.1)",
        arguments: [
            ("", "", true),
            ("", "; server_no_context_takeover; client_no_context_takeover", true),
            ("", "; server_max_window_bits=10", true),
            ("", "; client_max_window_bits=10", false),
            ("; client_max_window_bits", "; client_max_window_bits=10", true),
            ("; client_max_window_bits=9", "; client_max_window_bits=10", true),
            ("; client_max_window_bits=9", "", true),
            ("; server_no_context_takeover", "", false),
            ("; server_no_context_takeover", "; server_no_context_takeover", true),
            ("; client_no_context_takeover", "", true),
            ("; server_max_window_bits=10", "", false),
            ("; server_max_window_bits=10", "; server_max_window_bits=11", false),
            ("; server_max_window_bits=10", "; server_max_window_bits=9", true),
        ])
    func answers(_ offered: String, _ accepted: String, _ isAnswer: Bool) throws {
        let offer = try PerMessageDeflateOffer(try #require(try Self.parsed("permessage-deflate" + offered).first))
        let response = try PerMessageDeflate(response: try #require(try Self.parsed("permessage-deflate" + accepted).first))
        #expect(response.answers(offer) == isAnswer)
    }

    @Test("A response must say how large the client's window is")
    func windowWithoutValue() throws {
        let response = try #require(try Self.parsed("permessage-deflate; client_max_window_bits").first)
        #expect(throws: WebSocketError(.extensionParameters, "the response has client_max_window_bits without a value")) {
            try PerMessageDeflate(response: response)
        }
    }
}
