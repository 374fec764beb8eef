// A flow that is whole in its block. A writer copies its record, items and content, without parsing heads and encoding them again.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

/// A flow where it is stored. Valid for one thread, like the reader that returned it.
package struct StoredFlow {
    private let view: RecordView
    private let block: DecodedBlock
    /// The flow's items.
    let details: ByteBuffer

    /// - Returns: nil when the flow has to be made and written as events: its record has something that this version does not know how to
    ///   move, is not valid, or is too large for a block that holds more already.
    /// - Throws: that the details are damaged.
    init?(_ view: RecordView, _ block: DecodedBlock) throws(ArchiveError) {
        let place = view.place
        guard view.isCopyable, Int(place.detailsLength) + Int(place.contentLength) <= RecordLimits.maximumPiece else { return nil }
        details = try block.source.details(at: Int(place.detailsAt), count: Int(place.detailsLength))
        var check = ItemCheck()
        guard check.isValid(details), check.contentSize == UInt64(place.contentLength), check.pieces == view.pieceCount else {
            return nil
        }
        self.view = view
        self.block = block
    }

    /// The flow, made from its record.
    package func flow() throws -> Flow { try PartialFlow.whole(view, block) }

    var started: Timestamp { view.started }
    /// The record as it is stored. Four of its fields refer to other places of the block.
    var record: ByteBuffer { view.record }
    var client: Shared<ClientConnection>? { block.client(view.clientReference) }
    var server: Shared<ServerConnection>? { block.server(view.serverReference) }

    /// - Returns: nil when content is damaged.
    func content() throws(ArchiveError) -> ByteBuffer? {
        let place = view.place
        do throws(ArchiveError) {
            return try block.source.content(at: UInt64(place.contentAt), count: UInt64(place.contentLength))
        } catch {
            guard error.kind == .damagedContent else { throw error }
            return nil
        }
    }
}

/// Checks that a reader accepts the items of a flow, without making anything of them.
struct ItemCheck {
    /// Bytes of the pieces' content, and the number of pieces.
    private(set) var contentSize: UInt64 = 0
    private(set) var pieces = 0

    mutating func isValid(_ items: ByteBuffer) -> Bool {
        let bytes = items.readableBytesUInt8Span
        var reader = ByteCursor(0..<bytes.count)
        var hasEnded = false
        var isPieceOpen = false
        while !reader.isAtEnd {
            guard let tag = reader.byte(bytes), reader.varint(bytes) != nil, let length = reader.varint(bytes),
                var content = reader.take(length)
            else {
                return false
            }
            switch tag {
            case ItemTag.piece:
                guard let continues = piece(&content, bytes) else { return false }
                isPieceOpen = continues
            case ItemTag.ended:
                guard Self.isEnding(&content, bytes) else { return false }
                hasEnded = true
            case ItemTag.request, ItemTag.interim, ItemTag.response:
                guard length >= 2 else { return false }
            case ItemTag.trailers, ItemTag.finished, ItemTag.malformed:
                guard let side = content.byte(bytes), Side(rawValue: side) != nil else { return false }
            case ItemTag.note:
                guard let side = content.byte(bytes), side <= 2 else { return false }
            case ItemTag.redacted:
                var reader = RecordReader(items.slice(content.range))
                guard (try? RecordItem.redaction(&reader)) != nil else { return false }
            case ItemTag.cut:
                guard let side = content.byte(bytes), Side(rawValue: side) != nil, content.takeCut(bytes) else { return false }
            case ItemTag.localReply:
                guard content.take(2) != nil, let head = content.uint32(bytes), content.take(UInt64(head)) != nil else {
                    return false
                }
            default:
                // Readers skip the items of a later version.
                break
            }
        }
        return hasEnded && !isPieceOpen
    }

    /// - Returns: whether the piece continues in the next item; nil when it is not valid.
    private mutating func piece(_ content: inout ByteCursor, _ bytes: Span<UInt8>) -> Bool? {
        guard let head = content.byte(bytes), FlowPiece.Kind(rawValue: head >> 4) != nil, let size = content.varint(bytes) else {
            return nil
        }
        if head & PieceFlag.hasWireSize != 0, content.varint(bytes) == nil || content.varint(bytes) == nil { return nil }
        if head & PieceFlag.isCut != 0, !content.takeCut(bytes) { return nil }
        contentSize = contentSize.addingReportingOverflow(size).partialValue
        guard contentSize <= UInt64(UInt32.max), size <= UInt64(UInt32.max) else { return nil }
        let continues = head & PieceFlag.continues != 0
        if !continues { pieces += 1 }
        return continues
    }

    private static func isEnding(_ content: inout ByteCursor, _ bytes: Span<UInt8>) -> Bool {
        guard let state = content.byte(bytes), FlowState(rawValue: state) != nil, let bits = content.byte(bytes) else {
            return false
        }
        if bits & EndedFlag.isPassthrough != 0, content.varint(bytes) == nil || content.varint(bytes) == nil { return false }
        guard content.varint(bytes) != nil, let tags = content.varint(bytes) else { return false }
        for _ in 0..<min(tags, UInt64(RecordLimits.maximumTags) + 1) {
            guard let length = content.varint(bytes), content.take(length) != nil else { return false }
        }
        return tags <= UInt64(RecordLimits.maximumTags)
    }
}

/// A range of bytes that is read from its front. The bytes are passed to each call, which costs no reference count.
private struct ByteCursor {
    private var position: Int
    private let end: Int

    init(_ range: Range<Int>) { (position, end) = (range.lowerBound, range.upperBound) }

    var isAtEnd: Bool { position == end }
    /// What was not read yet, in the bytes.
    var range: ByteRange { ByteRange(position, end) }

    mutating func byte(_ bytes: Span<UInt8>) -> UInt8? {
        guard position < end else { return nil }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func uint32(_ bytes: Span<UInt8>) -> UInt32? {
        var value: UInt32 = 0
        for shift: UInt32 in [0, 8, 16, 24] {
            guard let byte = byte(bytes) else { return nil }
            value |= UInt32(byte) &<< shift
        }
        return value
    }

    /// LEB128, as ``RecordReader/varint()`` reads it.
    mutating func varint(_ bytes: Span<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while let byte = byte(bytes) {
            guard shift < 63 || (shift == 63 && byte <= 1) else { return nil }
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }

    /// Moves over the size and the digest of a cut.
    /// - Returns: false when they are not there.
    mutating func takeCut(_ bytes: Span<UInt8>) -> Bool {
        guard varint(bytes) != nil, let length = byte(bytes) else { return false }
        return take(UInt64(length)) != nil
    }

    /// The next bytes as a range of their own; nil when there are fewer.
    mutating func take(_ count: UInt64) -> ByteCursor? {
        guard count <= UInt64(end - position) else { return nil }
        defer { position += Int(count) }
        return ByteCursor(position..<position + Int(count))
    }
}
