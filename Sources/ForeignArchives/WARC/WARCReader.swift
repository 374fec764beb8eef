// Finds the records of a WARC file (WARC 0.17 to 1.1), plain or in gzip, in bytes that arrive in pieces. Nothing is trusted: after damage
// the next record is searched for, in a plain file by its first line, in gzip at the beginning of the next member.

import HTTPSemantics
import NIOCore

/// Splits a file into records.
package struct WARCReader {
    /// A record, or the reason that there is no record.
    package enum Item: Equatable {
        case record(WARCFields, block: ByteBuffer)
        /// Damage in one sentence with its offset, and what was done.
        case damage(String)
    }

    /// More than any program writes; the largest fields are URLs.
    static let maximumHeader = 256 * 1024
    /// A block is in memory.
    static let maximumBlock = 1 << 30
    /// Bytes that are decoded at a time.
    private static let step = 64 * 1024

    private enum State {
        /// Between records.
        case record
        case block(WARCFields, size: Int, start: UInt64)
        /// After damage, which was reported.
        case searching
    }

    private var state = State.record
    /// Bytes of records, decoded, which are not used yet, and the offset of the first.
    private var plain = ByteBuffer()
    private var plainOffset: UInt64 = 0
    /// Bytes that were found not to begin a record.
    private var searched = 0
    private var gzip: GzipMembers?
    private var isOver = false

    /// - Parameter isCompressed: the file is in gzip.
    package init(isCompressed: Bool) { if isCompressed { gzip = GzipMembers() } }

    /// Appends the next bytes of the file.
    package mutating func receive(_ bytes: ByteBuffer) {
        if gzip == nil { plain.writeImmutableBuffer(bytes) } else { gzip?.input.writeImmutableBuffer(bytes) }
    }

    /// The file ends.
    package mutating func end() { isOver = true }

    /// The next record or damage.
    /// - Returns: nil if more bytes are needed, or at the end.
    package mutating func next() -> Item? {
        while true {
            if let item = parse() { return item }
            guard gzip != nil else { break }
            switch gzip!.decode(into: &plain, maximum: Self.step, isOver: isOver) {
            case .more: continue
            case .needsMore: break
            case .damage(let sentence):
                // What came of the member is not a whole record.
                let wasUsed = plain.readableBytes == 0 && !isInBlock
                (plain, searched, state) = (ByteBuffer(), 0, .record)
                return .damage(sentence + (wasUsed ? "" : ", and a record is lost"))
            }
            break
        }
        return isOver ? finish() : nil
    }

    private var isInBlock: Bool { if case .block = state { true } else { false } }

    // MARK: Records

    private mutating func parse() -> Item? {
        switch state {
        case .record: header()
        case .block(let fields, let size, let start): block(fields, size, start)
        case .searching: search() ? header() : nil
        }
    }

    private mutating func drop(_ count: Int) {
        plain.moveReaderIndex(forwardBy: count)
        plainOffset += UInt64(count)
        searched = 0
        if plain.readerIndex > 1 << 20 { plain.discardReadBytes() }
    }

    private mutating func header() -> Item? {
        drop(plain.readableBytesView.prefix { $0 == 0x0D || $0 == 0x0A }.count)
        guard plain.readableBytes >= 5 else { return nil }
        guard plain.readableBytesView.starts(with: "WARC/".utf8) else {
            return lost("no record begins there")
        }
        guard let end = plain.endOfHead(after: searched) else {
            guard plain.readableBytes <= Self.maximumHeader else { return lost("the fields of a record have no end") }
            searched = max(0, plain.readableBytes - 3)
            return nil
        }
        guard let fields = WARCFields(plain.slice(ByteRange(0, end))), let size = fields.length else {
            return lost("the fields of a record have no type or no valid length")
        }
        let start = plainOffset
        drop(end)
        guard size <= Self.maximumBlock else { return lost("a record of \(size) bytes is too long") }
        state = .block(fields, size: size, start: start)
        return block(fields, size, start)
    }

    private mutating func block(_ fields: WARCFields, _ size: Int, _ start: UInt64) -> Item? {
        // Two line ends show that the length is right.
        let rest = plain.readableBytes - size
        guard rest >= 0 else { return nil }
        let after = plain.slice(ByteRange(size, min(plain.readableBytes, size + 9))).readableBytesView
        let ends = after.prefix { $0 == 0x0D || $0 == 0x0A }.count
        let beginning = after.dropFirst(ends).prefix(5)
        if !after.starts(with: "\r\n\r\n".utf8), !after.starts(with: "\n\n".utf8) {
            // Some programs write fewer line ends. The beginning of the next record, or the end, shows that the length is right.
            let isKnown = isOver && gzip?.isEmpty ?? true || gzip?.isBetweenMembers ?? false
            guard "WARC/".utf8.starts(with: beginning) else { return wrongLength(start) }
            guard beginning.count == 5 || isKnown else { return nil }
            guard ends > 0 || rest == 0 else { return wrongLength(start) }
        }
        let block = plain.slice(ByteRange(0, size))
        drop(size)
        state = .record
        return .record(fields, block: block)
    }

    /// The record may contain the next ones, so they are searched for in its block.
    private mutating func wrongLength(_ start: UInt64) -> Item {
        lost("the length of a record is wrong", at: start)
    }

    private mutating func lost(_ reason: String, at offset: UInt64? = nil) -> Item {
        state = .searching
        let place = gzip.map { "in the gzip member at offset \($0.start)" } ?? "at offset \(offset ?? plainOffset)"
        return .damage("damaged \(place): \(reason); reading continues with the next record")
    }

    /// Finds a line that begins a record.
    private mutating func search() -> Bool {
        let (found, isFound) = plain.offset(of: Array("\nWARC/".utf8))
        // The line end is not part of the record.
        drop(isFound ? found + 1 : found)
        if isFound { state = .record }
        return isFound
    }

    private mutating func finish() -> Item? {
        switch state {
        case .block(_, _, let start):
            // A length that is too long contains the records after it.
            state = .searching
            let place = gzip.map { "in the gzip member at offset \($0.start)" } ?? "at offset \(start)"
            return .damage("the file ends in the middle of a record \(place), which is not used")
        case .record where plain.readableBytes > 0:
            state = .searching
            return .damage("the file ends in the fields of a record at offset \(plainOffset), which is not used")
        case .record, .searching:
            return nil
        }
    }
}
