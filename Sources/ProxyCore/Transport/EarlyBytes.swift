// Bytes that came before they could be used, while the other side was being set up or the protocol was unknown. They keep their times of
// arrival, so that a tunnel records them correctly.

import FlowModel
import NIOCore

/// Bytes of one side that came too early.
struct EarlyBytes {
    /// All bytes.
    private(set) var bytes = ByteBuffer()
    /// The end of each read, counted from the first byte that ever came, and its time.
    private var arrivals: [(end: Int, at: Timestamp)] = []
    private var received = 0

    init() {}

    init(_ bytes: ByteBuffer, at: Timestamp) { append(bytes, at: at) }

    var count: Int { bytes.readableBytes }
    var isEmpty: Bool { bytes.readableBytes == 0 }
    /// The time of the first remaining byte.
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

    /// Takes everything, joined.
    mutating func take() -> ByteBuffer {
        defer { self = EarlyBytes() }
        return bytes
    }

    /// Takes everything, read by read.
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
