// The content of a record: the buffers in which it was received, as long as that does not keep much more memory than it needs.

import NIOCore

/// Bytes in chunks.
struct RecordContent {
    /// From this size on a chunk is never copied.
    private static let leftInPlace = 4 * 1024
    /// Otherwise it is copied when it is less than this part of its storage, which would be kept alive.
    private static let wastedShare = 4

    // Most records have one chunk, which needs no array.
    private var first = ByteBuffer()
    private var others: [ByteBuffer] = []
    private(set) var count = 0
    /// The last chunk is a copy, to which the next small one is appended.
    private var isLastOwned = false

    mutating func append(_ bytes: ByteBuffer) {
        let size = bytes.readableBytes
        guard size > 0 else { return }
        defer { count += size }
        if size >= Self.leftInPlace || size * Self.wastedShare >= bytes.storageCapacity {
            add(bytes)
            isLastOwned = false
        } else if isLastOwned {
            if others.isEmpty {
                first.writeImmutableBuffer(bytes)
            } else {
                others[others.count - 1].writeImmutableBuffer(bytes)
            }
        } else {
            add(ByteBuffer(buffer: bytes))
            isLastOwned = true
        }
    }

    private mutating func add(_ bytes: ByteBuffer) {
        if count == 0 { first = bytes } else { others.append(bytes) }
    }

    func forEach(_ body: (UnsafeRawBufferPointer) -> Void) {
        unsafe first.withUnsafeReadableBytes { unsafe body($0) }
        for bytes in others { unsafe bytes.withUnsafeReadableBytes { unsafe body($0) } }
    }

    func reader() -> Reader { Reader(chunks: [first] + others) }

    /// Reads the content again, piece by piece. Each piece is in one chunk.
    struct Reader {
        fileprivate let chunks: [ByteBuffer]
        private var index = 0
        private var rest = ByteBuffer()

        fileprivate init(chunks: [ByteBuffer]) {
            self.chunks = chunks
            rest = chunks[0]
        }

        mutating func read(_ size: Int) -> ByteBuffer {
            if rest.readableBytes == 0, size > 0, index + 1 < chunks.count {
                index += 1
                rest = chunks[index]
            }
            return rest.readSlice(length: size) ?? ByteBuffer()
        }
    }
}
