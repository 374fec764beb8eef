// A part of a flow file that one of several readers takes. A block belongs to the range in which its header begins; a flow belongs to that of
// the block with its last part, and one without an end to the range with the end of the file. So readers of adjacent ranges return each flow
// once. A reader of a range passes the blocks before it too, and reads those of them that have parts of flows, certificates or the beginning of
// a segment.

import Glibc

/// A range of the bytes of a flow file.
package struct ArchiveRange: Sendable, Hashable {
    package var offset: UInt64
    /// The first byte after it; `UInt64.max` includes what a recorder appends.
    package var end: UInt64

    package init(offset: UInt64, end: UInt64) {
        self.offset = offset
        self.end = end
    }

    func contains(_ place: UInt64) -> Bool { offset <= place && place < end }

    /// Whether it has the end of a file of this size.
    func hasEnd(of size: UInt64) -> Bool { offset < max(size, 1) && size <= end }
}

extension ArchiveInput {
    /// - Throws: when the input cannot be read in ranges.
    package func checkRanges() throws(ArchiveError) {
        guard let file else {
            throw ArchiveError(.system(ESPIPE), "\(path) can only be read front to back; copy it to a file to read a range of it")
        }
        guard try file.isPlain() else {
            throw ArchiveError(
                .notAFlowFile, "\(path) is encrypted, so it has no ranges; decrypt it to a file first, or read it as a whole")
        }
    }
}
