// Decodes masked WebSocket frames of a client: small ones as in a chat, large ones as in a download.

import NIOCore
import WebSocketCodec

func measureWebSocket(_ results: inout Results) throws {
    for (name, size, count) in [("64 B", 64, 1000), ("16 KiB", 16_384, 16)] {
        var bytes = ByteBuffer()
        for index in 0..<count {
            let payload = ByteBuffer(repeating: 0x61, count: size)
            bytes.writeImmutableBuffer(
                WebSocketFrameEncoder.frame(.text, payload, maskingKey: MaskingKey(UInt32(index) &* 0x9E37_79B9)))
        }
        let seconds = try results.seconds { try decode(bytes, count, size) }
        results.add("websocket \(name) frames", Double(count) / seconds, "frames")
        results.add("websocket \(name) bytes", Double(bytes.readableBytes) / seconds, "B")
    }
}

private func decode(_ bytes: ByteBuffer, _ count: Int, _ size: Int) throws {
    var decoder = WebSocketFrameDecoder(from: .client)
    decoder.receive(bytes)
    var payload = 0
    while let part = try decoder.next() { payload += part.payload.readableBytes }
    try check(payload == count * size, "\(payload) bytes of payload were decoded")
}
