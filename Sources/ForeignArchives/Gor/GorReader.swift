// Finds the records of a file of GoReplay, plain or in gzip, in bytes that arrive in pieces. Where a message states its length, that ends it
// when a record ends there; otherwise the separating line does. So content may contain the line, and the line may be missing.

import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore

/// Splits a file into records.
package struct GorReader {
    /// A record, or the reason that there is no record.
    package enum Item: Equatable {
        case record(GorRecord)
        /// Damage in one sentence with its offset, and what was done.
        case damage(String)
    }

    /// A record is in memory.
    static let maximumRecord = 1 << 30
    /// Bytes that are decoded at a time.
    private static let step = 64 * 1024

    private var plain = ByteBuffer()
    private var plainOffset: UInt64 = 0
    private var gzip: GzipMembers?
    private var isOver = false
    /// After damage, which was reported.
    private var isSearching = false
    /// The record that begins the bytes.
    private var current: Open?
    /// A record whose damage was reported.
    private var held: GorRecord?
    /// Exchanges whose response has no content, although it may announce some (RFC 9110 section 9.3.2).
    private var headRequests: Set<ByteBuffer> = []

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
        if let record = held {
            held = nil
            return .record(record)
        }
        while true {
            if let item = parse() { return item }
            guard gzip != nil, !isAtEnd else { return nil }
            switch gzip!.decode(into: &plain, maximum: Self.step, isOver: isOver) {
            case .more: continue
            case .needsMore: return nil
            case .damage(let sentence):
                (plain, current, isSearching) = (ByteBuffer(), nil, true)
                return .damage(sentence)
            }
        }
    }

    /// No more bytes follow those in memory.
    private var isAtEnd: Bool { isOver && gzip?.isEmpty ?? true }

    private mutating func drop(_ count: Int) {
        plain.moveReaderIndex(forwardBy: count)
        plainOffset += UInt64(count)
        if plain.readerIndex > 1 << 20 { plain.discardReadBytes() }
    }

    // MARK: Records

    /// A record whose line of facts was read.
    private struct Open {
        var record: GorRecord
        /// The payload begins there.
        let start: Int
        /// Bytes that contain no separating line.
        var searched: Int
        /// What the head says about the end; nil before the head is there.
        var ending: Ending?
    }

    /// Where the head says that a payload ends.
    private enum Ending {
        case at(Int)
        /// The next chunk begins there.
        case chunks(Int)
        /// It does not.
        case unknown
    }

    private mutating func parse() -> Item? {
        if isSearching, !search() { return nil }
        if current == nil, let damage = open() { return damage }
        return current == nil ? nil : payload()
    }

    /// Skips bytes until after a separating line.
    private mutating func search() -> Bool {
        let (found, isFound) = plain.offset(of: GorRecord.separator)
        drop(isFound ? found + GorRecord.separator.count : isAtEnd ? plain.readableBytes : found)
        isSearching = !isFound
        return isFound
    }

    /// Reads a line of facts.
    private mutating func open() -> Item? {
        drop(plain.readableBytesView.prefix { $0 == 0x0D || $0 == 0x0A }.count)
        if plain.readableBytesView.starts(with: GorRecord.separator.dropFirst()) { drop(GorRecord.separator.count - 1) }
        guard plain.readableBytes > 0 else { return nil }
        let line = plain.readableBytesView.prefix(GorRecord.maximumLine).prefix { $0 != 0x0A }
        let isWhole = line.count < min(plain.readableBytes, GorRecord.maximumLine)
        guard isWhole || isAtEnd || line.count == GorRecord.maximumLine else { return nil }
        guard isWhole, let record = GorRecord(line: plain.slice(ByteRange(0, line.count))) else {
            isSearching = true
            let isTorn = isAtEnd && !isWhole && GorRecord.sniff(plain)
            return .damage(
                isTorn
                    ? "the file ends in the middle of a record \(place), which is not used"
                    : "damaged \(place): no record begins there; reading continues after the next line that separates records")
        }
        current = Open(record: record, start: line.count + 1, searched: line.count, ending: nil)
        return nil
    }

    private var place: String { gzip.map { "in the gzip member at offset \($0.start)" } ?? "at offset \(plainOffset)" }

    /// Reads a payload to its end.
    private mutating func payload() -> Item? {
        guard var open = current else { return nil }
        defer { if current != nil { current = open } }
        let rest = plain.slice(ByteRange(open.searched, plain.readableBytes))
        let (found, isFound) = rest.offset(of: GorRecord.separator)
        open.searched += isFound ? found : min(found, rest.readableBytes)
        let separator = isFound ? open.searched : nil
        if open.ending == nil {
            let limit = separator ?? plain.readableBytes
            let payload = plain.slice(ByteRange(open.start, max(open.start, limit)))
            if let end = payload.endOfHead() {
                open.ending = ending(of: open, head: payload.slice(ByteRange(0, end)), at: open.start + end)
            }
        }
        if case .chunks(let at) = open.ending { open.ending = chunks(from: at) }
        switch open.ending {
        case .at(let end) where end - open.start <= Self.maximumRecord:
            // The bytes after it show whether a record ends there.
            guard plain.readableBytes >= end + GorRecord.maximumLine || isAtEnd else { return nil }
            if plain.readableBytes >= end, let next = boundary(at: end) { return finish(&open, end, next) }
        case .chunks where !isAtEnd && plain.readableBytes - open.start <= Self.maximumRecord: return nil
        default: break
        }
        if let separator { return finish(&open, separator, separator + GorRecord.separator.count) }
        guard isAtEnd || plain.readableBytes - open.start > Self.maximumRecord else { return nil }
        return isAtEnd ? torn(&open) : lost("a record of more than \(Self.maximumRecord) bytes is too long")
    }

    private mutating func finish(_ open: inout Open, _ end: Int, _ next: Int) -> Item {
        open.record.payload = plain.slice(ByteRange(open.start, max(open.start, end)))
        current = nil
        remember(open.record)
        drop(next)
        return .record(open.record)
    }

    /// The file ends before the record does; what is there of the message is used.
    private mutating func torn(_ open: inout Open) -> Item {
        let place = place
        // Nothing shows where it ends, and only the separating line is missing, or a part of it.
        let isWhole = if case .unknown = open.ending { true } else { false }
        open.record.isTorn = true
        let item = finish(&open, plain.readableBytes - separatorAtEnd, plain.readableBytes)
        guard case .record(let record) = item, record.payload.endOfHead() != nil else {
            return .damage("the file ends in the middle of a record \(place), which is not used")
        }
        held = record
        return .damage(
            isWhole
                ? "the file ends without the line that ends the record \(place), which is used as far as it is there"
                : "the file ends in the middle of a record \(place), which is used as far as it is there")
    }

    /// The number of bytes at the end that begin a separating line.
    private var separatorAtEnd: Int {
        let end = plain.readableBytesView.suffix(GorRecord.separator.count)
        return (1..<GorRecord.separator.count).reversed().first { end.suffix($0).elementsEqual(GorRecord.separator.prefix($0)) }
            ?? 0
    }

    private mutating func lost(_ reason: String) -> Item {
        let item = Item.damage("damaged \(place): \(reason); reading continues after the next line that separates records")
        (current, isSearching) = (nil, true)
        return item
    }

    /// Responses to HEAD are found by the request with the same identifier.
    private mutating func remember(_ record: GorRecord) {
        if record.kind == .request, record.payload.readableBytesView.starts(with: "HEAD ".utf8) {
            if headRequests.count >= 65_536 { headRequests.removeAll() }
            headRequests.insert(record.id)
        } else if record.kind == .response {
            headRequests.remove(record.id)
        }
    }

    // MARK: Ends

    private func ending(of open: Open, head: ByteBuffer, at end: Int) -> Ending {
        let fields: FieldSection
        if open.record.kind == .request {
            fields = RequestHead(parsing: head, version: .http1_1).fields
        } else {
            let head = ResponseHead(parsing: head, version: .http1_1)
            fields = head.fields
            let hasNone = headRequests.contains(open.record.id) || head.status == 204 || head.status == 304 || head.status < 200
            if hasNone { return .at(end) }
        }
        let framing = DeclaredFraming(fields)
        if framing.codings.contains("chunked") { return .chunks(end) }
        if let length = framing.length {
            let (sum, isTooLong) = end.addingReportingOverflow(Int(clamping: length))
            return isTooLong ? .unknown : .at(sum)
        }
        return open.record.kind == .request ? .at(end) : .unknown
    }

    /// Follows chunks to the last one and its trailers (RFC 9112 section 7.1).
    /// - Returns: unknown if they are not valid.
    private func chunks(from start: Int) -> Ending {
        let bytes = plain.readableBytesUInt8Span
        var at = start
        while true {
            var (size, digits, i) = (0, 0, at)
            while i < bytes.count, let digit = bytes[i].hexDigit {
                guard digits < 15 else { return .unknown }
                (size, digits, i) = (size << 4 | digit, digits + 1, i + 1)
            }
            guard i < bytes.count else { return .chunks(at) }
            guard digits > 0, i - at <= 4096 else { return .unknown }
            while i < bytes.count, bytes[i] != 0x0A { i += 1 }
            guard i < bytes.count else { return .chunks(at) }
            if size == 0 { return trailers(from: i + 1, lastChunk: at) }
            let end = i + 1 + size
            guard end + 2 <= bytes.count else { return .chunks(at) }
            guard bytes[end] == 0x0A || bytes[end] == 0x0D && bytes[end + 1] == 0x0A else { return .unknown }
            at = bytes[end] == 0x0A ? end + 1 : end + 2
        }
    }

    private func trailers(from start: Int, lastChunk: Int) -> Ending {
        let bytes = plain.readableBytesUInt8Span
        var line = start
        while true {
            var i = line
            while i < bytes.count, bytes[i] != 0x0A { i += 1 }
            guard i < bytes.count else { return .chunks(lastChunk) }
            if i == line || i == line + 1 && bytes[line] == 0x0D { return .at(i + 1) }
            line = i + 1
        }
    }

    /// The offset of the next record if one may begin here: after a separating line, where the file ends, or where that line is missing.
    private func boundary(at end: Int) -> Int? {
        let after = plain.slice(ByteRange(end, min(plain.readableBytes, end + GorRecord.maximumLine)))
        let bytes = after.readableBytesView
        if bytes.starts(with: GorRecord.separator) { return end + GorRecord.separator.count }
        if bytes.starts(with: GorRecord.separator.dropFirst()) { return end + GorRecord.separator.count - 1 }
        if isAtEnd, end + bytes.count == plain.readableBytes, GorRecord.separator.starts(with: bytes) { return plain.readableBytes }
        let ends = bytes.prefix { $0 == 0x0A }.prefix(1).count
        let line = bytes.dropFirst(ends).prefix { $0 != 0x0A }
        guard ends + line.count < bytes.count, GorRecord(line: ByteBuffer(bytes: line)) != nil else { return nil }
        return end + ends
    }
}
