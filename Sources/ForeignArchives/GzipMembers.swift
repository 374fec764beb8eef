// The members of a gzip file (RFC 1952), decoded from bytes that arrive in pieces. Formats that have each record in a member of its own lose
// no other record when one member is damaged.

import ContentCoding
import HTTPSemantics
import NIOCore

/// The first bytes of a gzip file.
package let gzipMagic: [UInt8] = [0x1F, 0x8B, 0x08]

/// The members of a gzip file.
struct GzipMembers {
    enum Step {
        /// Bytes were decoded, or skipped.
        case more
        case needsMore
        case damage(String)
    }

    var input = ByteBuffer() {
        didSet { if input.readerIndex > 1 << 20 { input.discardReadBytes() } }
    }
    /// The offset of the current member in the file.
    private(set) var start: UInt64 = 0
    private var offset: UInt64 = 0
    private var isInMember = false
    private var isSearching = false
    /// The bytes of the current member that were used: after damage the next member is searched for among them.
    private var used = ByteBuffer()
    /// Damaged members since the last whole one.
    private var damaged = 0
    private let reader = GzipMemberReader()

    /// Bytes of a member that are searched again, and how often without a whole member between: a file may be made to do harm.
    private static let maximumUsed = 4 << 20
    private static let maximumSearches = 16

    /// No bytes are left.
    var isEmpty: Bool { input.readableBytes == 0 }
    var isBetweenMembers: Bool { !isInMember }

    mutating func decode(into plain: inout ByteBuffer, maximum: Int, isOver: Bool) -> Step {
        if !isInMember {
            guard input.readableBytes >= 3 || isOver && input.readableBytes > 0 else { return .needsMore }
            guard input.readableBytesView.starts(with: gzipMagic) else { return skip(isOver) }
            (isInMember, start, isSearching) = (true, offset, false)
            used.clear()
            reader.reset()
        }
        let before = input
        let step = reader.read(&input, into: &plain, maximum: maximum)
        let count = before.readableBytes - input.readableBytes
        offset += UInt64(count)
        if used.readableBytes <= Self.maximumUsed { used.writeImmutableBuffer(before.slice(ByteRange(0, count))) }
        switch step {
        case .needsMore:
            guard isOver, input.readableBytes == 0 else { return count == 0 ? .needsMore : .more }
            searchAgain()
            return .damage("the file ends in the middle of the gzip member at offset \(start)")
        case .full: return .more
        case .ended:
            (isInMember, damaged) = (false, 0)
            return .more
        case .failed(let reason):
            searchAgain()
            return .damage("damaged in the gzip member at offset \(start) (\(reason)); reading continues with the next member")
        }
    }

    /// A torn member may have been followed by others, which were decoded as a part of it.
    private mutating func searchAgain() {
        (isInMember, isSearching) = (false, true)
        damaged += 1
        guard used.readableBytes > 1, used.readableBytes <= Self.maximumUsed, damaged <= Self.maximumSearches else { return }
        var rest = used.slice(ByteRange(1, used.readableBytes))
        rest.writeImmutableBuffer(input)
        input = rest
        offset = start + 1
    }

    /// Skips bytes that are not a member.
    private mutating func skip(_ isOver: Bool) -> Step {
        let wasSearching = isSearching
        isSearching = true
        let first = offset
        let (found, isFound) = input.offset(of: gzipMagic)
        let i = isOver && !isFound ? input.readableBytes : found
        input.moveReaderIndex(forwardBy: i)
        offset += UInt64(i)
        if wasSearching { return i > 0 ? .more : .needsMore }
        return .damage("damaged at offset \(first): no gzip member begins there; reading continues with the next one")
    }
}
