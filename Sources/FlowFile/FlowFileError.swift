// Errors, and damage that a reader skips.

internal import FlowArchive
internal import FlowModel

/// Why a file cannot be read or written, or content cannot be fetched.
public struct FlowFileError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What went wrong.
    public enum Kind: Sendable, Hashable {
        /// The operating system refused: its errno.
        case system(Int32)
        /// The file does not begin as a flow file does.
        case notAFlowFile
        /// The file needs a later version of this library.
        case unsupportedVersion
        /// Content is damaged in the file. Other flows and other content can be read.
        case damagedContent
        /// The file is encrypted, which this library does not read. The program `age` decrypts it.
        case encrypted
        /// Content does not match its content coding, or the coding is unknown.
        case undecodableContent
        /// Another reason, such as a regular expression that takes too many steps.
        case other
    }

    /// What went wrong, for a program.
    public let kind: Kind
    /// One sentence: what failed, where, and what to do.
    public let description: String

    init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    init(_ error: any Error) {
        switch error {
        case let error as FlowFileError: self = error
        case let error as ArchiveError where error.kind == .encrypted:
            self.init(.encrypted, "the file is encrypted; decrypt it first, with age -d")
        case let error as ArchiveError: self.init(Kind(error.kind), error.description)
        default: self.init(.other, "\(error)")
        }
    }
}

extension FlowFileError.Kind {
    init(_ kind: ArchiveError.Kind) {
        switch kind {
        case .system(let number), .uncertain(let number): self = .system(number)
        case .notAFlowFile: self = .notAFlowFile
        case .version: self = .unsupportedVersion
        case .damagedContent: self = .damagedContent
        case .encrypted: self = .encrypted
        }
    }
}

/// A part of a file that could not be read. The reader continues after it.
public struct Damage: Sendable, Hashable, CustomStringConvertible {
    /// What is damaged.
    public enum Kind: Sendable, Hashable {
        /// The file ends within a block: the recorder was killed, or the file is being written. Everything before the end is there.
        case tornTail
        /// Bytes that are not a block, or a block whose checksum is wrong.
        case damagedBlock
        /// Blocks are not in the file.
        case missingBlocks(UInt64)
        /// Content of this many flows. Their heads can be read.
        case damagedContent(flows: Int)
        /// A record that cannot be read, in a block whose checksum is right.
        case damagedRecord
    }

    /// What is damaged.
    public let kind: Kind
    /// Bytes from the beginning of the file.
    public let offset: UInt64
    /// The number of skipped bytes.
    public let length: UInt64
    /// One sentence.
    public let description: String

    init(_ damage: ArchiveDamage) {
        kind =
            switch damage.kind {
            case .tornTail: .tornTail
            case .damaged: .damagedBlock
            case .missing(let blocks): .missingBlocks(blocks)
            case .content(let flows): .damagedContent(flows: flows)
            case .record: .damagedRecord
            case .refused: .damagedBlock
            case .unfinished: .tornTail
            }
        offset = damage.offset
        length = damage.length
        description = damage.description
    }
}
