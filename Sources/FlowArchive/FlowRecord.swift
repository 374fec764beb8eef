// The record of a flow, or of the part of it that one block holds: a prefix of fixed width that answers the questions of a filter at fixed
// offsets, then the flow's events as items, in order. The prefix repeats what stands in the items.

import FlowModel
import HTTPSemantics
import NIOCore

/// Offsets in the prefix, from the record's first byte. Positions of variable parts are counted from there too; 0 is "not there".
enum FlowPrefix {
    static let length = 0  // u32: bytes of the record
    static let type = 4  // u8
    static let flags = 5  // u8
    static let kind = 6  // u8
    static let state = 7  // u8
    static let idHigh = 8  // u64
    static let idLow = 16  // u64
    static let started = 24  // i64: time of the part's first event
    static let ended = 32  // i64: time of its last event
    static let status = 40  // u16
    static let method = 42  // u8: MethodCode
    static let version = 43  // u8: major version of the request
    static let port = 44  // u16: of the target
    static let part = 46  // u16: parts of the flow before this one, modulo 65536
    static let client = 48  // u32: position of the client's record in the metadata, plus one
    static let server = 52  // u32
    static let request = 56  // u32, u32: position and length of the request's head
    static let methodRange = 64  // u32, u32: in the head, as the two below
    static let targetRange = 72
    static let authorityRange = 80
    static let requestFields = 88  // u32: where the field lines begin in the head
    static let responseFields = 92  // u32
    static let response = 96  // u32, u32
    static let scheme = 104  // u32, u32
    static let host = 112  // u32, u32
    static let error = 120  // u32, u32
    static let comment = 128  // u32, u32
    static let requestSize = 136  // u64: bytes of content
    static let responseSize = 144  // u64
    static let size = 152  // bytes of the prefix: where the items begin

    static let isFirst: UInt8 = 1
    static let isLast: UInt8 = 2
    static let isWebSocket: UInt8 = 4
    static let hasError: UInt8 = 8
    static let isTagged: UInt8 = 16
}

/// Tags of the items behind the prefix. An item is tag, zigzag nanoseconds since the item before it, length, content.
enum ItemTag {
    static let opened: UInt8 = 1
    static let server: UInt8 = 2
    static let client: UInt8 = 3
    static let request: UInt8 = 4
    static let interim: UInt8 = 5
    static let response: UInt8 = 6
    static let piece: UInt8 = 7
    static let trailers: UInt8 = 8
    static let finished: UInt8 = 9
    static let ended: UInt8 = 10
}

/// A flow's part as it grows: what will become one record. A class, since it is changed in place for each event.
final class FlowPart {
    private(set) var items = ByteBuffer()
    private(set) var prefix = Prefix()
    private var lastTime: Timestamp
    private(set) var isFirst = true
    /// Parts of the flow that were written before.
    private var number: UInt16 = 0

    /// The prefix's fields that are known while the flow goes on.
    struct Prefix {
        var flags: UInt8 = 0
        var kind: UInt8 = 0
        var state: UInt8 = FlowState.incomplete.rawValue
        var started: Int64
        var ended: Int64
        var status: UInt16 = 0
        var method: UInt8 = 0
        var version: UInt8 = 0
        var port: UInt16 = 0
        var client: UInt32 = 0
        var server: UInt32 = 0
        var request = (position: UInt32(0), length: UInt32(0))
        var methodRange = ByteRange.empty
        var targetRange = ByteRange.empty
        var authorityRange = ByteRange.empty
        var requestFields: UInt32 = 0
        var responseFields: UInt32 = 0
        var response = (position: UInt32(0), length: UInt32(0))
        var scheme = (position: UInt32(0), length: UInt32(0))
        var host = (position: UInt32(0), length: UInt32(0))
        var error = (position: UInt32(0), length: UInt32(0))
        var comment = (position: UInt32(0), length: UInt32(0))
        var requestSize: UInt64 = 0
        var responseSize: UInt64 = 0

        init(at time: Timestamp = Timestamp(nanoseconds: 0)) {
            started = time.nanoseconds
            ended = time.nanoseconds
        }
    }

    init(at time: Timestamp) {
        lastTime = time
        prefix = Prefix(at: time)
    }

    /// The target's host, when this part holds it.
    var host: String {
        guard prefix.host.length > 0 else { return "" }
        return String(buffer: items.slice(Int(prefix.host.position) - FlowPrefix.size, Int(prefix.host.length)))
    }

    var isEmpty: Bool { items.readableBytes == 0 }

    /// Begins the next part, behind one that was written.
    func goOn() {
        items.clear()
        let time = Timestamp(nanoseconds: prefix.ended)
        let kind = prefix.kind
        prefix = Prefix(at: time)
        prefix.kind = kind
        isFirst = false
        number &+= 1
    }

    /// Begins another flow; the items' storage is kept.
    func restart(at time: Timestamp) {
        items.clear()
        prefix = Prefix(at: time)
        lastTime = time
        isFirst = true
        number = 0
    }

    // MARK: Items

    private func begin(_ tag: UInt8, _ at: Timestamp) {
        if items.readableBytes == 0 {
            prefix.started = at.nanoseconds
            lastTime = at
        }
        items.writeInteger(tag)
        items.writeZigzag(at - lastTime)
        lastTime = at
        prefix.ended = at.nanoseconds
    }

    private func position(_ offset: Int = 0) -> UInt32 { UInt32(FlowPrefix.size + items.writerIndex + offset) }

    func opened(_ opening: FlowOpening, client: UInt32, at: Timestamp) {
        begin(ItemTag.opened, at)
        let (scheme, host) = (opening.target.scheme.utf8.count, opening.target.host.utf8.count)
        items.writeVarint(UInt64(11 + varintSize(UInt64(scheme)) + scheme + varintSize(UInt64(host)) + host))
        items.writeMultipleIntegers(
            opening.kind.rawValue, client, opening.stream.value, opening.target.port, endianness: .little)
        items.writeText(opening.target.scheme)
        prefix.scheme = (position(-scheme), UInt32(scheme))
        items.writeText(opening.target.host)
        prefix.host = (position(-host), UInt32(host))
        prefix.kind = opening.kind.rawValue
        prefix.port = opening.target.port
        prefix.client = client
    }

    /// - Parameter record: position of the connection's record in the metadata, plus one.
    func connection(_ tag: UInt8, record: UInt32, at: Timestamp) {
        begin(tag, at)
        items.writeVarint(4)
        items.writeInteger(record, endianness: .little)
        if tag == ItemTag.server { prefix.server = record } else { prefix.client = record }
    }

    func request(_ head: RequestHead, at: Timestamp) {
        begin(ItemTag.request, at)
        items.writeVarint(UInt64(head.wire.readableBytes) + 2)
        items.writeMultipleIntegers(head.version.major, head.version.minor)
        prefix.request = (position(), UInt32(head.wire.readableBytes))
        items.writeImmutableBuffer(head.wire)
        prefix.method = MethodCode.code(head.method)
        prefix.version = head.version.major
        prefix.methodRange = head.methodRange
        prefix.targetRange = head.targetRange
        prefix.authorityRange = head.authorityRange
        prefix.requestFields = Self.offset(of: head.fields.wire, in: head.wire, version: head.version)
    }

    func response(_ tag: UInt8, _ head: ResponseHead, at: Timestamp) {
        begin(tag, at)
        items.writeVarint(UInt64(head.wire.readableBytes) + 2)
        items.writeMultipleIntegers(head.version.major, head.version.minor)
        if tag == ItemTag.response {
            prefix.response = (position(), UInt32(head.wire.readableBytes))
            prefix.status = UInt16(clamping: head.status)
            prefix.responseFields = Self.offset(of: head.fields.wire, in: head.wire, version: head.version)
        }
        items.writeImmutableBuffer(head.wire)
    }

    /// Where the field lines begin in a head: behind its start-line for HTTP/1; for HTTP/2 behind the pseudo-fields, where the fields and
    /// the empty line are what the head ends with.
    private static func offset(of fields: ByteBuffer, in head: ByteBuffer, version: HTTPVersion) -> UInt32 {
        if version.major >= 2 { return UInt32(max(0, head.readableBytes - 2 - fields.readableBytes)) }
        let bytes = head.readableBytesUInt8Span
        var offset = 0
        while offset < bytes.count, bytes[offset] != 0x0A { offset += 1 }
        return UInt32(min(offset + 1, bytes.count))
    }

    /// - Parameter offset: where the content begins in the block's content.
    func piece(_ piece: FlowPiece, size: Int, continues: Bool, offset: UInt64, at: Timestamp) {
        begin(ItemTag.piece, at)
        let isPlain = piece.wireSize == UInt64(piece.content.readableBytes) && piece.frames == 1
        let more = isPlain ? 0 : varintSize(piece.wireSize) + varintSize(UInt64(piece.frames))
        items.writeVarint(UInt64(1 + varintSize(offset) + varintSize(UInt64(size)) + more))
        items.writeInteger(piece.kind.rawValue << 4 | (continues ? 4 : 0) | (isPlain ? 0 : 2) | piece.from.rawValue)
        items.writeVarint(offset)
        items.writeVarint(UInt64(size))
        if !isPlain {
            items.writeVarint(piece.wireSize)
            items.writeVarint(UInt64(piece.frames))
        }
        if piece.kind != .data { prefix.flags |= FlowPrefix.isWebSocket }
        if piece.from == .client { prefix.requestSize += UInt64(size) } else { prefix.responseSize += UInt64(size) }
    }

    func trailers(_ side: Side, _ fields: FieldSection, at: Timestamp) {
        begin(ItemTag.trailers, at)
        items.writeVarint(UInt64(fields.wire.readableBytes) + 1)
        items.writeInteger(side.rawValue)
        items.writeImmutableBuffer(fields.wire)
    }

    func finished(_ side: Side, at: Timestamp) {
        begin(ItemTag.finished, at)
        items.writeVarint(1)
        items.writeInteger(side.rawValue)
    }

    func ended(_ ending: FlowEnding, at: Timestamp) {
        begin(ItemTag.ended, at)
        if ending.isPlain {
            // State, nobody's close, no reset, not passed through, no error, no comment, no tags.
            items.writeMultipleIntegers(UInt8(9), ending.state.rawValue)
            items.writeRepeatingByte(0, count: 8)
            prefix.state = ending.state.rawValue
            return
        }
        var content = ByteBuffer()
        content.writeMultipleIntegers(
            ending.state.rawValue, ending.closedBy.map { $0.rawValue + 1 } ?? 0, ending.isReset ? UInt8(1) : 0)
        content.writeVarint(ending.passthrough.map { $0.fromClient + 1 } ?? 0)
        content.writeVarint(ending.passthrough?.fromServer ?? 0)
        content.writeInteger(ending.error.map { $0.side.map { $0.rawValue + 2 } ?? 1 } ?? 0)
        content.writeZigzag((ending.error?.at ?? at) - at)
        var errorEnd = 0
        if let error = ending.error {
            content.writeText(error.message)
            errorEnd = content.writerIndex
        }
        content.writeOptionalText(ending.comment)
        let commentEnd = content.writerIndex
        content.writeVarint(UInt64(ending.tags.count))
        ending.tags.forEach { content.writeText($0) }
        let total = content.writerIndex
        items.writeSized(content)
        let base = Int(position()) - total
        prefix.state = ending.state.rawValue
        if let error = ending.error {
            prefix.flags |= FlowPrefix.hasError
            prefix.error = (UInt32(base + errorEnd - error.message.utf8.count), UInt32(error.message.utf8.count))
        }
        if !ending.tags.isEmpty { prefix.flags |= FlowPrefix.isTagged }
        if let comment = ending.comment {
            prefix.comment = (UInt32(base + commentEnd - comment.utf8.count), UInt32(comment.utf8.count))
        }
    }

    // MARK: The record

    func write(_ id: FlowID, isLast: Bool, into out: inout ByteBuffer) {
        let flags = prefix.flags | (isFirst ? FlowPrefix.isFirst : 0) | (isLast ? FlowPrefix.isLast : 0)
        out.reserveCapacity(minimumWritableBytes: FlowPrefix.size + items.readableBytes)
        out.writeMultipleIntegers(
            UInt32(FlowPrefix.size + items.readableBytes), RecordType.flow, flags, prefix.kind, prefix.state, id.high, id.low,
            prefix.started, prefix.ended, endianness: .little)
        out.writeMultipleIntegers(
            prefix.status, prefix.method, prefix.version, prefix.port, number, prefix.client, prefix.server, endianness: .little)
        out.writeMultipleIntegers(
            prefix.request.position, prefix.request.length, prefix.methodRange.start, prefix.methodRange.end,
            prefix.targetRange.start,
            prefix.targetRange.end, prefix.authorityRange.start, prefix.authorityRange.end, endianness: .little)
        out.writeMultipleIntegers(
            prefix.requestFields, prefix.responseFields, prefix.response.position, prefix.response.length, prefix.scheme.position,
            prefix.scheme.length, prefix.host.position, prefix.host.length, endianness: .little)
        out.writeMultipleIntegers(
            prefix.error.position, prefix.error.length, prefix.comment.position, prefix.comment.length, prefix.requestSize,
            prefix.responseSize, endianness: .little)
        out.writeImmutableBuffer(items)
    }
}

extension FlowEnding {
    /// Nothing but a state.
    fileprivate var isPlain: Bool {
        error == nil && closedBy == nil && !isReset && passthrough == nil && comment == nil && tags.isEmpty
    }
}
