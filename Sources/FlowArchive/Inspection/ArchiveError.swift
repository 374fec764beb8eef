// What can go wrong with a flow file: errors that end the work, and damage that is told and passed over.

import FlowModel

/// The work with a file cannot go on.
package struct ArchiveError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: Sendable, Equatable {
        /// The operating system refused: its errno.
        case system(Int32)
        /// The file does not begin as a flow file does.
        case notAFlowFile
        /// The file asks for a later version of this program.
        case version(UInt16)
        /// Content that a flow refers to is damaged or not there.
        case damagedContent
    }

    package var kind: Kind
    /// One sentence: what, where, what to do.
    package var description: String
    /// With ``Kind/damagedContent``: the block that the content is in.
    package var damage: ArchiveDamage?
    /// With ``Kind/damagedContent``: the piece, when it was asked for by a cursor.
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
        /// Bytes that are no frame of a flow file, or a frame whose checksum is wrong.
        case damaged
        /// Blocks are not there: their sequence numbers were passed over.
        case missing(blocks: UInt64)
        /// The content of so many flows, in a block of which the heads can be read.
        case content(flows: Int)
        /// A record that cannot be understood, in a block whose checksum is right.
        case record
    }

    package var kind: Kind
    /// Offset in bytes from the start of the input, and how many bytes were passed over.
    package var offset: UInt64
    package var length: UInt64
    /// The block, records and times that the block's header told of, when it could be read.
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
            case .damaged: "damaged at offset \(offset): \(length) bytes were passed over"
            case .missing(let blocks): "\(blocks) \(blocks == 1 ? "block is" : "blocks are") missing before offset \(offset)"
            case .content(let flows):
                "content of \(flows == 1 ? "1 flow" : "\(flows) flows") cannot be read: the block at offset \(offset) is damaged"
            case .record: "a record that cannot be understood, in the block at offset \(offset), was passed over"
            }
        let lost = records.map { ", with up to \($0) records of block \(block ?? 0)" } ?? ""
        return what + lost
    }
}
