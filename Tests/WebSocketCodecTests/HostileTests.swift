import HTTPSemantics
import NIOCore
import TestSupport
import Testing
import WebSocketCodec

@Suite("Broken bytes")
struct HostileTests {
    /// A conversation with everything in it.
    private static func conversation(from side: Side, _ compression: PerMessageDeflate.Direction) throws -> ByteBuffer {
        let deflater = try MessageDeflater(compression)
        let key = side == .client ? MaskingKey(0x1234_5678) : nil
        let text = ByteBuffer(string: String(repeating: "héllo €, ", count: 20))
        var wire = WebSocketFrameEncoder.message(.text, text, fragmentSize: 50) { key }
        wire.writeImmutableBuffer(try WebSocketFrameEncoder.control(.ping, ByteBuffer(string: "ping"), maskingKey: key))
        wire.writeImmutableBuffer(WebSocketFrameEncoder.message(.text, text, deflater: deflater) { key })
        wire.writeImmutableBuffer(WebSocketFrameEncoder.message(.binary, text, deflater: deflater, fragmentSize: 9) { key })
        wire.writeImmutableBuffer(WebSocketFrameEncoder.message(.binary, ByteBuffer(repeating: 7, count: 300)) { key })
        wire.writeImmutableBuffer(WebSocketFrameEncoder.close(WebSocketClose(code: 1001, reason: "bye"), maskingKey: key))
        return wire
    }

    @Test("Nothing traps, and how the bytes arrive makes no difference", arguments: 0..<8 as Range<UInt64>)
    func mutations(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let side = seed % 2 == 0 ? Side.client : .server
        let compression = PerMessageDeflate.Direction(takesOverContext: seed % 4 < 2, windowBits: seed % 3 == 0 ? 9 : 15)
        let good = try Self.conversation(from: side, compression)
        var limits = WebSocketLimits()
        limits.maximumPieceSize = 64
        limits.maximumMessageSize = 10_000
        #expect(listen(to: side, [good], compression: compression, limits: limits).last == "close 1001 <bye> 5")
        for _ in 0..<400 {
            var bytes = Array(good.readableBytesView)
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let at = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                case 1: bytes[at] = UInt8.random(in: 0...255, using: &generator)
                case 2: bytes.remove(at: at)
                default: bytes.insert(UInt8.random(in: 0...255, using: &generator), at: at)
                }
            }
            let wire = ByteBuffer(bytes: bytes)
            let whole = listen(to: side, [wire], compression: compression, limits: limits)
            let chop = Int.random(in: 1...40, using: &generator)
            let frames = decodeFrames(from: side, chopped(wire, chop), allowing: .rsv1)
            #expect(frames.frames == decodeFrames(from: side, [wire], allowing: .rsv1).frames)
            #expect(frames.wire == wire)
            let parts = listen(to: side, chopped(wire, chop), compression: compression, limits: limits)
            #expect(Self.verdict(parts) == Self.verdict(whole), "seed \(seed), parts of \(chop) bytes, \(hex(wire))")
        }
    }

    /// What does not depend on where a part ends: messages and pieces that are complete, and the close code of what is wrong. Content that
    /// is neither DEFLATE data nor UTF-8 is found out by whichever comes first.
    private static func verdict(_ heard: [String]) -> [String] {
        heard.filter { !$0.hasPrefix("incomplete") && !$0.hasSuffix("…") }.map { word in
            if word.hasPrefix("!") { return "! " + word.suffix(4) }
            return word.contains(" frames") || word.contains(" from ") ? String(word.prefix { $0 != ">" }) : word
        }
    }

    @Test("Any bytes at all are taken", arguments: 0..<4 as Range<UInt64>)
    func noise(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let count = Int.random(in: 0...60, using: &generator)
            let wire = ByteBuffer(bytes: (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
            for side in [Side.client, .server] {
                let frames = decodeFrames(from: side, [wire], allowing: .rsv1)
                #expect(frames.frames == decodeFrames(from: side, chopped(wire, 1), allowing: .rsv1).frames)
                #expect(frames.wire == wire)
            }
            let payload = [RawFrame(0xC2, Array(wire.readableBytesView))].wire(from: .server)
            _ = listen(to: .server, [payload], compression: PerMessageDeflate.Direction())
            if let list = try? WebSocketExtension(parsing: wire) { #expect(!list.name.isEmpty) }
        }
    }

    @Test("Blocks with BFINAL in a row cost no more than others")
    func finalBlocks() {
        // 03 00: a block of the fixed code that holds nothing but its end, with BFINAL.
        let payload = (0...200_000).map { $0 % 2 == 0 && $0 < 200_000 ? 0x03 : 0x00 } as [UInt8]
        let wire = [RawFrame(0xC2, payload)].wire(from: .server)
        #expect(listen(to: .server, [wire], compression: PerMessageDeflate.Direction()) == ["binary <> from 200001 bytes"])
    }

    @Test("Empty fragments in a row cost no memory")
    func emptyFragments() throws {
        var assembler = try WebSocketMessageAssembler(compression: nil)
        var decoder = WebSocketFrameDecoder(from: .server)
        decoder.receive(([RawFrame(0x02)] + Array(repeating: RawFrame(0x00), count: 10_000)).wire(from: .server))
        while let part = try decoder.next() {
            assembler.receive(part)
            let event = try assembler.next()
            #expect(event == nil)
        }
        #expect(assembler.takeIncomplete() == WebSocketMessage(.binary, ByteBuffer(), isLast: false, frames: 10_001))
    }
}
