// Whether a file is a flow file that was sealed, and when it was begun, without reading its blocks.

import AgeFormat
import FlowModel
import NIOCore

/// Reads the two ends of a file.
package enum SealedSegments {
    /// When the first segment of a sealed flow file was begun.
    /// - Returns: nil for anything else: no flow file, one that a recorder writes or has left without a footer.
    package static func begun(_ path: String) -> Timestamp? {
        guard let input = try? ArchiveInput(path: path, keys: nil), input.canBeReadAgain, let file = input.file,
            !file.isBeingWritten
        else { return nil }
        let beginning = try? file.read(at: 0, count: AgeHeader.maximumLength)
        if let beginning, beginning.readableBytesView.starts(with: AgeHeader.firstLine) { return begun(encrypted: file, beginning) }
        guard let size = try? input.remaining(), (try? ArchiveIndex.footer(endingAt: size, in: input)) ?? nil != nil,
            let head = try? file.read(at: 0, count: ArchiveFormat.frameHeader + ArchiveFormat.segmentPayload),
            let (magic, length) = head.getMultipleIntegers(at: head.readerIndex, endianness: .little, as: (UInt32, UInt32).self),
            magic == ArchiveFormat.segmentMagic, Int(length) <= ArchiveFormat.maximumSegmentPayload,
            let payload = try? file.read(at: UInt64(ArchiveFormat.frameHeader), count: Int(length))
        else { return nil }
        return SegmentHeader(payload: payload)?.created
    }

    /// The footer of an encrypted file is not readable without a key. A recorder that is killed leaves whole chunks, and the last chunk of
    /// a sealed file is hardly ever a whole one.
    private static func begun(encrypted file: ArchiveFile, _ beginning: ByteBuffer) -> Timestamp? {
        guard let header = (try? AgeHeader(beginning)) ?? nil, let label = header.label(ArchiveEncryption.label),
            label.count == 1, let nanoseconds = Int64(label[0]), let size = try? file.storedSize()
        else { return nil }
        let start = UInt64(header.length + AgePayload.nonceSize)
        guard size > start, (size - start) % UInt64(AgePayload.sealedSize) != 0 else { return nil }
        return Timestamp(nanoseconds: nanoseconds)
    }
}
