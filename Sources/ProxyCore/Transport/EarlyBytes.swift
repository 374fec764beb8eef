// Bytes that came before they could be used, while the other side was being set up or the protocol was not known. They keep the moments at
// which they came, so that a tunnel records them as if it had been there.

import FlowModel
import NIOCore

/// Bytes of one side that came too early.
struct EarlyBytes {
    /// All of it.
    private(set) var bytes = ByteBuffer()
    /// Where each read ends, counted from the first byte that ever came, and when it came.
    private var arrivals: [(end: Int, at: Timestamp)] = []
    private var received = 0

    init() {}

    init(_ bytes: ByteBuffer, at: Timestamp) { append(bytes, at: at) }

    var count: Int { bytes.readableBytes }
    var isEmpty: Bool { bytes.readableBytes == 0 }
    /// When the first byte came that is still there.
    var began: Timestamp? { arrivals.first { $0.end > received - count }?.at }

    mutating func append(_ more: ByteBuffer, at: Timestamp) {
        guard more.readableBytes > 0 else { return }
        if isEmpty {
            bytes = more
            arrivals.removeAll(keepingCapacity: true)
        } else {
            bytes.writeImmutableBuffer(more)
        }
        received += more.readableBytes
        arrivals.append((received, at))
    }

    /// Drops everything before the rest.
    mutating func keep(_ rest: ByteBuffer) { bytes = rest }

    /// Takes everything, as one.
    mutating func take() -> ByteBuffer {
        defer { self = EarlyBytes() }
        return bytes
    }

    /// Takes everything, as it came.
    mutating func takePieces() -> [(bytes: ByteBuffer, at: Timestamp)] {
        var pieces: [(bytes: ByteBuffer, at: Timestamp)] = []
        var taken = received - count
        for (end, at) in arrivals where end > taken {
            pieces.append((bytes.readSlice(length: end - taken) ?? ByteBuffer(), at))
            taken = end
        }
        self = EarlyBytes()
        return pieces
    }
}
