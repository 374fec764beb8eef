// Finds the records of a WARC file (WARC 0.17 to 1.1), plain or in gzip, in bytes that arrive in pieces. Nothing is trusted: after damage
// the next record is searched for, in a plain file by its first line, in gzip at the beginning of the next member.

import ContentCoding
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

    package static let gzipMagic: [UInt8] = [0x1F, 0x8B, 0x08]
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
    /// The file begins with a record.
    package private(set) var hasRecords = false

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
        hasRecords = true
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

/// The members of a gzip file.
private struct GzipMembers {
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
            guard input.readableBytesView.starts(with: WARCReader.gzipMagic) else { return skip(isOver) }
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
        let (found, isFound) = input.offset(of: WARCReader.gzipMagic)
        let i = isOver && !isFound ? input.readableBytes : found
        input.moveReaderIndex(forwardBy: i)
        offset += UInt64(i)
        if wasSearching { return i > 0 ? .more : .needsMore }
        return .damage("damaged at offset \(first): no gzip member begins there; reading continues with the next one")
    }
}

extension ByteBuffer {
    /// The offset of the first occurrence of a pattern, or the number of bytes at which none can begin.
    fileprivate func offset(of pattern: [UInt8]) -> (offset: Int, isFound: Bool) {
        let bytes = readableBytesUInt8Span
        var i = 0
        while i + pattern.count <= bytes.count {
            if bytes[i] == pattern[0] {
                var length = 1
                while length < pattern.count, bytes[i + length] == pattern[length] { length += 1 }
                if length == pattern.count { return (i, true) }
            }
            i += 1
        }
        return (i, false)
    }

    /// The number of bytes of a head: through the empty line that ends it; nil if that is not there.
    /// - Parameter start: bytes before which no end is.
    func endOfHead(after start: Int = 0) -> Int? {
        let bytes = readableBytesUInt8Span
        var i = start
        while i < bytes.count {
            if bytes[i] == 0x0A {
                if i + 1 < bytes.count, bytes[i + 1] == 0x0A { return i + 2 }
                if i + 2 < bytes.count, bytes[i + 1] == 0x0D, bytes[i + 2] == 0x0A { return i + 3 }
            }
            i += 1
        }
        return nil
    }
}
