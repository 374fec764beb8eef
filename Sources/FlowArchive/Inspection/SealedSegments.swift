// Whether a file is a flow file that was sealed, and when it was begun, without reading its blocks.

import FlowModel
import NIOCore

/// Reads the two ends of a file.
package enum SealedSegments {
    /// When the first segment of a sealed flow file was begun.
    /// - Returns: nil for anything else: no flow file, one that a recorder writes or has left without a footer.
    package static func begun(_ path: String) -> Timestamp? {
        guard let input = try? ArchiveInput(path: path), input.canBeReadAgain, let file = input.file, !file.isBeingWritten,
            let size = try? input.remaining(), (try? ArchiveIndex.footer(endingAt: size, in: input)) ?? nil != nil,
            let head = try? file.read(at: 0, count: ArchiveFormat.frameHeader + ArchiveFormat.segmentPayload),
            let (magic, length) = head.getMultipleIntegers(at: head.readerIndex, endianness: .little, as: (UInt32, UInt32).self),
            magic == ArchiveFormat.segmentMagic, Int(length) <= ArchiveFormat.maximumSegmentPayload,
            let payload = try? file.read(at: UInt64(ArchiveFormat.frameHeader), count: Int(length))
        else { return nil }
        return SegmentHeader(payload: payload)?.created
    }
}
