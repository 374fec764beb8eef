// What can go wrong with a flow file: errors that end the work, and damage that is reported and skipped.

import FlowModel

/// The work with a file cannot continue.
package struct ArchiveError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        /// The operating system reported an error: its errno.
        case system(Int32)
        /// Bytes that the system accepted may not be on the disk: the errno of fsync(2) or close(2). The system may have dropped them, and
        /// a second call would not report it, so nothing is repeated.
        case uncertain(Int32)
        /// The file does not begin like a flow file.
        case notAFlowFile
        /// The file needs a later version of this program.
        case version(UInt16)
        /// Content of a flow is damaged or missing.
        case damagedContent
        /// The file is encrypted, and cannot be decrypted or written with the keys that were given.
        case encrypted
    }

    package var kind: Kind
    /// One sentence: what, where, what to do.
    package var description: String
    /// With ``Kind/damagedContent``: the block of the content.
    package var damage: ArchiveDamage?
    /// With ``Kind/damagedContent``: the piece, when a cursor fetched it.
    package var damagedPiece: DamagedPiece?

    package init(_ kind: Kind, _ description: String, damage: ArchiveDamage? = nil) {
        self.kind = kind
        self.description = description
        self.damage = damage
    }
}

extension ArchiveError: ContentError {}

/// A part of a file that could not be read.
package struct ArchiveDamage: Sendable, Equatable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        /// The file ends within a block: the recorder was killed, or the file is still being written. Everything before is there.
        case tornTail
        /// Bytes that are not a frame of a flow file, or a frame with a wrong checksum.
        case damaged
        /// Blocks are missing, according to the sequence numbers.
        case missing(blocks: UInt64)
        /// The content of this many flows, in a block whose heads can be read.
        case content(flows: Int)
        /// A record that is not valid, in a block with a right checksum.
        case record
        /// Encrypted chunks that are not those that were written. Offset and length are those of their plaintext.
        case refused
        /// An encrypted file without its last chunk. The offset is the end of the plaintext that was read.
        case unfinished
    }

    package var kind: Kind
    /// Offset in bytes from the start of the input, and the number of bytes that were skipped.
    package var offset: UInt64
    package var length: UInt64
    /// The block, its records and times according to its header, when that could be read.
    package var block: UInt64?
    package var records: UInt32?
    package var times: ClosedRange<Timestamp>?

    package init(_ kind: Kind, offset: UInt64, length: UInt64) {
        self.kind = kind
        self.offset = offset
        self.length = length
    }

    /// A block that cannot be read.
    init(block header: BlockHeader, offset: UInt64) {
        self.init(.damaged, offset: offset, length: UInt64(header.frameLength + header.bodyLength))
        block = header.sequence
        records = header.records
        times = header.times
    }

    package var description: String {
        let what =
            switch kind {
            case .tornTail: "the file ends in the middle of a block at offset \(offset); the last \(length) bytes are not used"
            case .damaged: "damaged at offset \(offset): \(length) bytes were skipped"
            case .missing(let blocks): "\(blocks) \(blocks == 1 ? "block is" : "blocks are") missing before offset \(offset)"
            case .content(let flows):
                "content of \(flows == 1 ? "1 flow" : "\(flows) flows") cannot be read: the block at offset \(offset) is damaged"
            case .record: "a record that is not valid was skipped, in the block at offset \(offset)"
            case .refused:
                "the encryption shows that \(length) bytes at offset \(offset) were changed; they are not used"
            case .unfinished:
                "the encrypted file has no end: its recorder was killed, or it was cut or changed there; "
                    + "\(length > 0 ? "its last \(length) bytes are not used" : "everything before is used")"
            }
        let lost = records.map { ", with up to \($0) records of block \(block ?? 0)" } ?? ""
        return what + lost
    }
}
