// What the tests speak in: frames as a peer may send them, right or wrong, and a listener that renders what is heard, one word for each
// event.

import HTTPSemantics
import NIOCore
import WebSocketCodec

/// A frame by the letter of RFC 6455 §5.2, made without the codec's help.
struct RawFrame: Sendable {
    static let key: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]

    /// FIN, RSV1 to RSV3 and opcode.
    var first: UInt8
    var payload: [UInt8]

    init(_ first: UInt8, _ payload: [UInt8] = []) {
        self.first = first
        self.payload = payload
    }

    init(_ first: UInt8, _ text: String) { self.init(first, Array(text.utf8)) }

    func bytes(from side: Side) -> [UInt8] {
        var bytes = [first]
        let mask: UInt8 = side == .client ? 0x80 : 0
        if payload.count < 126 {
            bytes.append(UInt8(payload.count) | mask)
        } else if payload.count < 65536 {
            bytes += [126 | mask, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        } else {
            bytes += [127 | mask] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
        }
        guard side == .client else { return bytes + payload }
        return bytes + Self.key + payload.enumerated().map { $1 ^ Self.key[$0 % 4] }
    }
}

extension [RawFrame] {
    func wire(from side: Side) -> ByteBuffer { ByteBuffer(bytes: flatMap { $0.bytes(from: side) }) }
}

/// The bytes of a hexadecimal text, in which spaces do not count.
func hex(_ text: String) -> ByteBuffer {
    let digits = text.filter { $0 != " " }.map { UInt8($0.hexDigitValue!) }
    return ByteBuffer(bytes: stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
}

func hex(_ bytes: ByteBuffer) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.readableBytesView.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

/// Bytes in hexadecimal, or how many there are.
func summary(_ bytes: ByteBuffer) -> String { bytes.readableBytes > 1000 ? "\(bytes.readableBytes) bytes" : hex(bytes) }

/// The same bytes in parts of one size.
func chopped(_ bytes: ByteBuffer, _ size: Int) -> [ByteBuffer] {
    var rest = bytes
    var parts: [ByteBuffer] = []
    while let part = rest.readSlice(length: min(size, rest.readableBytes)), part.readableBytes > 0 { parts.append(part) }
    return parts
}

/// Frames as they are decoded, parts of one frame joined, and all bytes that were reported or left.
func decodeFrames(
    from side: Side, _ parts: [ByteBuffer], allowing: ReservedBits = []
) -> (frames: [String], payloads: [ByteBuffer], wire: ByteBuffer) {
    var decoder = WebSocketFrameDecoder(from: side, allowing: allowing)
    var frames: [String] = []
    var payloads: [ByteBuffer] = []
    var wire = ByteBuffer()
    var isFailed = false
    for bytes in parts {
        decoder.receive(bytes)
        guard !isFailed else { continue }
        do throws(WebSocketError) {
            while let part = try decoder.next() {
                wire.writeImmutableBuffer(part.wire)
                if part.isFirst { payloads.append(ByteBuffer()) }
                payloads[payloads.count - 1].writeImmutableBuffer(part.payload)
                guard part.isLast else { continue }
                let header = part.header
                let bits = header.reserved.isEmpty ? "" : " \(header.reserved)"
                frames.append("\(header.opcode)\(header.isFinal ? "" : "…")\(bits) \(summary(payloads[payloads.count - 1]))")
            }
        } catch {
            frames.append("! \(error.kind) \(error.closeCode)")
            isFailed = true
        }
    }
    wire.writeImmutableBuffer(decoder.takeRest())
    return (frames, payloads, wire)
}

/// What is heard of one side, until something is wrong.
func listen(
    to side: Side, _ parts: [ByteBuffer], compression: PerMessageDeflate.Direction? = nil,
    limits: WebSocketLimits = WebSocketLimits()
) -> [String] {
    var heard: [String] = []
    do throws(WebSocketError) {
        var decoder = WebSocketFrameDecoder(from: side, allowing: compression == nil ? [] : .rsv1)
        var assembler = try WebSocketMessageAssembler(compression: compression, limits: limits)
        do throws(WebSocketError) {
            for bytes in parts {
                decoder.receive(bytes)
                while let part = try decoder.next() {
                    assembler.receive(part)
                    while let event = try assembler.next() { heard.append(word(event)) }
                }
            }
        } catch {
            heard.append("! \(error.kind) \(error.closeCode)")
        }
        if let message = assembler.takeIncomplete() { heard.append("incomplete " + word(.message(message))) }
    } catch {
        heard.append("! \(error)")
    }
    return heard
}

private func word(_ event: WebSocketEvent) -> String {
    func text(_ bytes: ByteBuffer) -> String {
        bytes.readableBytes > 200 ? "\(bytes.readableBytes) bytes" : String(buffer: bytes)
    }
    switch event {
    case .ping(let payload): return "ping <\(text(payload))>"
    case .pong(let payload): return "pong <\(text(payload))>"
    case .close(let close, let payload):
        return "close " + (close.code.map { "\($0) <\(close.reason)> \(payload.readableBytes)" } ?? "without a code")
    case .message(let message):
        var word = message.kind == .text ? "text <\(text(message.content))>" : "binary <\(summary(message.content))>"
        if message.frames != 1 { word += " of \(message.frames) frames" }
        if message.isCompressed { word += " from \(message.wireSize) bytes" }
        if message.offset > 0 { word += " at \(message.offset)" }
        return message.isLast ? word : word + "…"
    }
}
