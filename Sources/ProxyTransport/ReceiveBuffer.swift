// The memory that sockets are read into. An event loop reads all its sockets into one large buffer: a small read is copied out into
// memory of its own size, a large one takes the buffer away and the loop makes a new one if another owner still holds it at the next read.
// So an idle connection holds no buffer, a large transfer is read 64 KiB at a time from the start, and a record of a kilobyte does
// not keep 64 KiB alive.

import NIOCore

/// The one receive buffer of an event loop.
///
/// `@unchecked Sendable`: a channel's options must be Sendable, and the allocator below is one; both are used on one event loop only.
final class ReceiveBuffer: @unchecked Sendable {
    /// The most bytes of one read. Four TLS records; more does not make a read cheaper.
    static let capacityBytes = 64 * 1024
    /// Reads up to this size are copied: a quarter of the buffer, so at most four times the bytes of a read are kept alive.
    private static let copiedBytes = 16 * 1024

    private var spare = ByteBuffer()

    /// Lends the buffer for one read. A new one is made if the last one is still in use.
    func take(allocator: ByteBufferAllocator) -> ByteBuffer {
        guard spare.capacity >= Self.capacityBytes else { return allocator.buffer(capacity: Self.capacityBytes) }
        var buffer = ByteBuffer()
        swap(&buffer, &spare)
        buffer.clear()
        return buffer
    }

    /// Takes the buffer back after a read, and returns the bytes as a value that may be kept.
    func detach(_ received: ByteBuffer) -> ByteBuffer {
        // A channel's first, small buffer stays with the channel.
        if received.capacity >= Self.capacityBytes { spare = received }
        return received.readableBytes <= Self.copiedBytes ? ByteBuffer(buffer: received) : received
    }
}

/// Lends the loop's buffer to a channel for each read.
struct LoopReceiveAllocator: RecvByteBufferAllocator {
    let shared: ReceiveBuffer
    private var hasRead = false

    init(shared: ReceiveBuffer) { self.shared = shared }

    /// SwiftNIO keeps the first buffer that it gets for as long as the channel lives, so that one is small.
    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        hasRead ? shared.take(allocator: allocator) : allocator.buffer(capacity: 2048)
    }

    /// The answer "may grow" makes SwiftNIO ask for a buffer at each read instead of keeping one.
    mutating func record(actualReadBytes: Int) -> Bool {
        hasRead = true
        return true
    }
}

extension ByteBuffer {
    /// The slice that consists of two neighbouring slices of this buffer; nil if they are not that.
    func slice(joining first: ByteBuffer, _ second: ByteBuffer) -> ByteBuffer? {
        unsafe withUnsafeReadableBytesWithStorageManagement { whole, storage in
            unsafe first.withUnsafeReadableBytesWithStorageManagement { head, ofHead in
                unsafe second.withUnsafeReadableBytesWithStorageManagement { tail, ofTail in
                    guard unsafe storage.toOpaque() == ofHead.toOpaque(), unsafe storage.toOpaque() == ofTail.toOpaque(),
                        let start = whole.baseAddress, let from = head.baseAddress, let next = tail.baseAddress,
                        unsafe from + head.count == next
                    else { return nil }
                    let offset = unsafe from - start
                    guard offset >= 0, offset + head.count + tail.count <= whole.count else { return nil }
                    return getSlice(at: readerIndex + offset, length: head.count + tail.count)
                }
            }
        }
    }
}
