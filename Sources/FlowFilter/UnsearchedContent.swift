// Content that was searched in vain, and of which a recording has only a part: an answer about it is not certain, which the tools report.

import FlowModel
import HTTPSemantics
import NIOCore
import Synchronization

/// Counts bodies and messages in which nothing was found and that are not all stored (`--body-limit`, `--only-metadata`, redaction). The count
/// is of the whole process, by all threads.
package enum UnsearchedContent {
    private static let number = Atomic<Int>(0)

    static func add() { number.add(1, ordering: .relaxed) }

    package static var count: Int { number.load(ordering: .relaxed) }

    /// For the end of a search; nil when all content that was searched is stored.
    package static var sentence: String? {
        switch count {
        case 0: nil
        case 1: "1 body or message was searched only as far as it is stored; ~truncated and ~redacted find such flows"
        case let count:
            "\(count) bodies or messages were searched only as far as they are stored; ~truncated and ~redacted find such flows"
        }
    }
}

extension FlowAttributes {
    /// Counts a body in which nothing was found, if it is not all stored.
    /// - Parameters:
    ///   - stored: what was fetched of it.
    ///   - maximum: the most that was fetched.
    /// - Throws: what fetching the items of a flow throws.
    package func noteSearched(_ stored: ByteBuffer, from side: Side, maximum: Int) throws {
        guard stored.readableBytes < maximum, try contentSize(from: side) ?? 0 > UInt64(stored.readableBytes) else { return }
        // Without its content codings a body has another size.
        guard !isStoredDecoded(side) || isTruncated else { return }
        UnsearchedContent.add()
    }
}
