// Ways in which bytes may arrive: a codec must give the same result for all of them.

import NIOCore

/// The same bytes as they may be delivered: whole, byte by byte, and in two parts cut at every offset.
package func deliveries(of bytes: ByteBuffer) -> [[ByteBuffer]] {
    let count = bytes.readableBytes
    func part(_ from: Int, _ to: Int) -> ByteBuffer { bytes.getSlice(at: bytes.readerIndex + from, length: to - from)! }
    return [[bytes], (0..<count).map { part($0, $0 + 1) }] + (1..<max(1, count)).map { [part(0, $0), part($0, count)] }
}
