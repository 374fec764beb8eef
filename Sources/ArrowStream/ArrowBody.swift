// The body of a batch: its buffers, one after the other, each compressed on its own as an LZ4 frame.

private import CLZ4
import HTTPSemantics

/// The buffers of a batch, and their description.
struct ArrowBody {
    /// Buffers below this are stored as they are: a frame would hardly be smaller.
    private static let leastCompressed = 64

    let bytes = ByteWriter(capacity: 64 * 1024)
    private var nodes: [(Int64, Int64)] = []
    /// Offsets in the body, and lengths without padding.
    private var buffers: [(Int64, Int64)] = []

    /// - Parameter node: the number of values and of nulls.
    mutating func add(node: (Int64, Int64)) { nodes.append(node) }

    mutating func addEmpty() { buffers.append((Int64(bytes.count), 0)) }

    /// Adds a buffer: its size as 64 bits and an LZ4 frame, or -1 and its bytes where a frame is not smaller (Message.fbs, BUFFER).
    mutating func add(_ buffer: ByteWriter) {
        guard buffer.count > 0 else { return addEmpty() }
        let start = bytes.count
        bytes.append(Int64(buffer.count))
        let isCompressed = unsafe buffer.count >= Self.leastCompressed && compress(buffer.bytes)
        if !isCompressed {
            bytes.set(Int64(-1), at: start)
            bytes.append(buffer)
        }
        buffers.append((Int64(start), Int64(bytes.count - start)))
        while bytes.count % 8 != 0 { bytes.append(UInt8(0)) }
    }

    /// - Returns: false, with nothing appended, when a frame is not smaller.
    private func compress(_ content: UnsafeRawBufferPointer) -> Bool {
        var preferences = LZ4F_preferences_t()
        preferences.frameInfo.contentSize = UInt64(content.count)
        preferences.frameInfo.blockSizeID = LZ4F_max4MB
        preferences.frameInfo.blockMode = LZ4F_blockIndependent
        let room = unsafe LZ4F_compressFrameBound(content.count, &preferences)
        let start = bytes.count
        let written = unsafe bytes.append(room: room) { target in
            let size = unsafe LZ4F_compressFrame(target.baseAddress, room, content.baseAddress, content.count, &preferences)
            return LZ4F_isError(size) == 0 ? size : 0
        }
        guard written > 0, written < content.count else {
            bytes.truncate(to: start)
            return false
        }
        return true
    }

    /// The table `RecordBatch`.
    /// - Parameter count: rows.
    func table(count: Int) -> FlatTable {
        FlatTable([
            (0, .long(Int64(count))), (1, .pairs(nodes)), (2, .pairs(buffers)),
            // CompressionType.LZ4_FRAME, BodyCompressionMethod.BUFFER: the defaults.
            (3, .table(FlatTable())),
        ])
    }
}
