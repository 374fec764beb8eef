// The items of a record, read back: what each one reports of its flow.

import FlowModel
import HTTPSemantics
import NIOCore

/// The kind and size of a piece. Its content follows that of the piece before it.
package struct PiecePlace {
    package var kind: FlowPiece.Kind
    package var from: Side
    package var continues: Bool
    package var size: UInt64
    package var wireSize: UInt64
    package var frames: UInt32
    /// Of a piece that continues: it was received as it is, so its size on the wire is the sum of its places. Otherwise each place has the
    /// size of the whole.
    package var isPlain: Bool
    /// A message of which not all is stored.
    package var cut: Shared<ContentCut>?

    package init(_ bytes: ByteBuffer) throws(MalformedRecord) {
        var reader = RecordReader(bytes)
        let head = try reader.byte()
        guard let kind = FlowPiece.Kind(rawValue: head >> 4), let from = Side(rawValue: head & 1) else { throw MalformedRecord() }
        self.kind = kind
        self.from = from
        continues = head & PieceFlag.continues != 0
        size = try reader.varint()
        isPlain = head & PieceFlag.hasWireSize == 0
        wireSize = isPlain ? size : try reader.varint()
        frames = isPlain ? 1 : UInt32(clamping: try reader.varint())
        if head & PieceFlag.isCut != 0 { cut = Shared(try ContentCut(&reader)) }
    }

    /// Bytes that the item adds to what its side sent, without compression; as ``FlowPiece/size`` of a whole piece.
    /// - Parameter isContinuing: the item before it is of the same piece.
    package func sentSize(isContinuing: Bool) -> UInt64 {
        if let cut { return isContinuing ? 0 : cut.value.size }
        if kind == .data, !isPlain { return isContinuing ? 0 : wireSize }
        return size
    }
}

extension ContentCut {
    fileprivate init(_ reader: inout RecordReader) throws(MalformedRecord) {
        self.init(size: try reader.varint(), sha256: try reader.slice(UInt64(try reader.byte())))
    }
}

/// What a part that continues a flow from the segment before reports of the parts there: the first of its items.
package struct ContinuedFlow {
    package var started: Timestamp
    package var pieces: UInt64
    package var wireSizeFromClient: UInt64
    package var wireSizeFromServer: UInt64

    /// - Returns: nil when the items do not begin with one, as those of other parts.
    package init?(_ items: ByteBuffer, from started: Timestamp) throws(MalformedRecord) {
        guard items.getInteger(at: items.readerIndex, as: UInt8.self) == ItemTag.continued else { return nil }
        var reader = ItemReader(items, from: started)
        guard let item = try reader.next() else { return nil }
        self.started = item.at
        var content = RecordReader(item.content)
        pieces = try content.varint()
        wireSizeFromClient = try content.varint()
        wireSizeFromServer = try content.varint()
    }
}

/// Goes through the items of a part.
@usableFromInline package struct ItemReader: Sendable {
    @usableFromInline var reader: RecordReader
    @usableFromInline var time: Timestamp

    @inlinable package init(_ items: ByteBuffer, from started: Timestamp) {
        reader = RecordReader(items)
        time = started
    }

    @inlinable package mutating func next() throws(MalformedRecord) -> (tag: UInt8, at: Timestamp, content: ByteBuffer)? {
        guard !reader.isAtEnd else { return nil }
        let tag = try reader.byte()
        time = time.advanced(byNanoseconds: try reader.zigzag())
        return (tag, time, try reader.sized())
    }

    /// The same with only the first byte of the content.
    @inlinable package mutating func nextStart() throws(MalformedRecord) -> (tag: UInt8, at: Timestamp, first: UInt8?)? {
        guard !reader.isAtEnd else { return nil }
        let tag = try reader.byte()
        time = time.advanced(byNanoseconds: try reader.zigzag())
        let count = try reader.varint()
        let first = count > 0 ? reader.bytes.byte(at: 0) : nil
        try reader.skip(count)
        return (tag, time, first)
    }
}

/// What an item that is not a piece reports.
package enum RecordItem {
    /// - Parameters:
    ///   - error, comment: texts of the record.
    /// - Returns: nil for a tag that is not known: a later version wrote it.
    package static func event(
        _ tag: UInt8, _ content: ByteBuffer, _ at: Timestamp, error: ByteBuffer?, comment: ByteBuffer?
    ) throws(MalformedRecord) -> FlowEvent.What? {
        var reader = RecordReader(content)
        switch tag {
        case ItemTag.request:
            let version = HTTPVersion(major: try reader.byte(), minor: try reader.byte())
            return .request(RequestHead(parsing: reader.bytes, version: version))
        case ItemTag.interim, ItemTag.response:
            let version = HTTPVersion(major: try reader.byte(), minor: try reader.byte())
            let head = ResponseHead(parsing: reader.bytes, version: version)
            return tag == ItemTag.interim ? .interim(head) : .response(head)
        case ItemTag.trailers:
            guard let side = Side(rawValue: try reader.byte()) else { throw MalformedRecord() }
            return .trailers(from: side, FieldSection(parsing: reader.bytes))
        case ItemTag.finished:
            guard let side = Side(rawValue: try reader.byte()) else { throw MalformedRecord() }
            return .finished(side)
        case ItemTag.ended:
            return .ended(try ending(&reader, at, error, comment))
        case ItemTag.note:
            let side = try reader.byte()
            return .note(FlowNote(side: side == 0 ? nil : Side(rawValue: side - 1), String(buffer: reader.bytes)))
        case ItemTag.malformed:
            guard let side = Side(rawValue: try reader.byte()) else { throw MalformedRecord() }
            return .malformed(from: side, reader.bytes)
        case ItemTag.localReply:
            let version = HTTPVersion(major: try reader.byte(), minor: try reader.byte())
            let head = ResponseHead(parsing: try reader.slice(UInt64(try reader.number(UInt32.self))), version: version)
            return .localReply(LocalReply(head: head, content: reader.bytes))
        case ItemTag.redacted:
            return .redacted(try redaction(&reader))
        case ItemTag.cut:
            guard let side = Side(rawValue: try reader.byte()) else { throw MalformedRecord() }
            return .cut(from: side, try ContentCut(&reader))
        default:
            return nil
        }
    }

    /// Entries whose place or reason is not known are skipped: a later version wrote them.
    package static func redaction(_ reader: inout RecordReader) throws(MalformedRecord) -> FlowRedaction {
        var redaction = FlowRedaction()
        let bits = try reader.byte()
        (redaction.isRequestDecoded, redaction.isResponseDecoded) = (bits & 1 != 0, bits & 2 != 0)
        for _ in 0..<(try reader.count()) {
            let place = FlowRedaction.Place(rawValue: try reader.byte())
            let count = try reader.varint()
            let rule = try reader.text()
            if let place { redaction.add(FlowRedaction.Change(rule: rule, place: place, count: count)) }
        }
        for _ in 0..<(try reader.count()) {
            let place = FlowRedaction.Place(rawValue: try reader.byte())
            let reason = FlowRedaction.Omission.Reason(rawValue: try reader.byte())
            let count = try reader.varint()
            let rule = try reader.text()
            guard let place, let reason else { continue }
            redaction.add(FlowRedaction.Omission(rule: rule, place: place, reason: reason, count: count))
        }
        return redaction
    }

    private static func ending(
        _ reader: inout RecordReader, _ at: Timestamp, _ error: ByteBuffer?, _ comment: ByteBuffer?
    ) throws(MalformedRecord) -> FlowEnding {
        guard let state = FlowState(rawValue: try reader.byte()) else { throw MalformedRecord() }
        var ending = FlowEnding(state: state)
        let bits = try reader.byte()
        func side(_ isThere: UInt8, _ isServer: UInt8) -> Side? {
            bits & isThere == 0 ? nil : bits & isServer == 0 ? .client : .server
        }
        ending.isReset = bits & EndedFlag.isReset != 0
        ending.closedBy = side(EndedFlag.hasCloser, EndedFlag.closedByServer)
        if bits & EndedFlag.isPassthrough != 0 {
            let fromClient = try reader.varint()
            ending.passthrough = PassthroughSizes(fromClient: fromClient, fromServer: try reader.varint())
        }
        let errorTime = at.advanced(byNanoseconds: try reader.zigzag())
        if let message = error {
            let side = side(EndedFlag.hasBlame, EndedFlag.blamesServer)
            ending.error = FlowError(side: side, message: String(buffer: message), at: errorTime)
        }
        ending.comment = comment.map { String(buffer: $0) }
        for _ in 0..<(try reader.count()) { ending.tags.append(try reader.text()) }
        return ending
    }
}
