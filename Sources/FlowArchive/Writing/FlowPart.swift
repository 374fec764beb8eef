// A flow on its way into the file: what was said of it since its last record. Whole flows become one record, flows that go on leave a
// record in each block that they have something in. A record is a prefix of fixed width and text, which answer a filter's questions;
// the items with heads and times stand in the block's details, bodies and messages in its content.

import FlowModel
import HTTPSemantics
import NIOCore

/// The part of a flow that is not in a block yet. Reused for one flow after the other.
final class FlowPart {
    var id = FlowID(high: 0, low: 0)
    /// False between two flows.
    var isOpen = false
    /// Whether something was said that is in no record.
    var isPending = false
    /// Whether it stands in the writer's list of parts to flush.
    var isListed = false
    /// Facts of the connections, which each record refers to.
    var client: Shared<ClientConnection>?
    var server: Shared<ServerConnection>?
    /// Parts that were written before.
    private(set) var number: UInt32 = 0
    /// Content that is not in a block yet: small pieces, copied, and behind them what is left where it was received.
    private let content = ByteWriter(capacity: 4096)
    private var received: [ByteBuffer] = []
    private(set) var contentLength = 0
    let details = ByteWriter(capacity: 2048)
    /// Scheme, host, method, authority, target, error and comment, in this order.
    private let text = ByteWriter(capacity: 256)
    private var textLengths = InlineArray<7, UInt32>(repeating: 0)
    /// Length of scheme and host: where the request's text begins.
    private var textBeforeRequest = 0

    private var flags: UInt8 = 0
    private var kind: UInt8 = 0
    private var state: UInt8 = 0
    private(set) var started: Int64 = 0
    private var last: Int64 = 0
    private var status: UInt16 = 0
    private var method: UInt8 = 0
    private var version: UInt8 = 0
    private var port: UInt16 = 0
    private var stream: UInt32 = 0
    private var requestSize: UInt64 = 0
    private var responseSize: UInt64 = 0
    private var pieces: UInt32 = 0
    private var messages: UInt32 = 0
    private var requestFields = (at: UInt32(0), length: UInt32(0))
    private var responseFields = (at: UInt32(0), length: UInt32(0))

    /// Bytes of memory that wait to be written.
    var pendingBytes: Int { details.count + contentLength }

    /// Whether the end was said since the last record.
    var hasEnded: Bool { flags & FlowPrefix.isLast != 0 }

    /// Begins a flow.
    func open(_ id: FlowID, _ opening: FlowOpening, at: Timestamp) {
        self.id = id
        isOpen = true
        number = 0
        client = opening.client
        server = nil
        kind = opening.kind.rawValue
        stream = opening.stream.value
        port = opening.target.port
        clear(at: at.nanoseconds)
        flags = FlowPrefix.isFirst
        textLengths[FlowPrefix.Text.scheme.rawValue] = UInt32(text.append(utf8: opening.target.scheme))
        textLengths[FlowPrefix.Text.host.rawValue] = UInt32(text.append(utf8: opening.target.host))
        textBeforeRequest = text.count
        isPending = true
    }

    /// Goes on behind a record that was written.
    func goOn() {
        number &+= 1
        clear(at: last)
    }

    /// Lets go of everything, for another flow.
    func end() {
        clear(at: 0)
        isOpen = false
        client = nil
        server = nil
    }

    private func clear(at time: Int64) {
        isPending = false
        flags = 0
        state = FlowState.incomplete.rawValue
        started = time
        last = time
        status = 0
        method = 0
        version = 0
        (requestSize, responseSize, pieces, messages) = (0, 0, 0, 0)
        requestFields = (0, 0)
        responseFields = (0, 0)
        textLengths = InlineArray(repeating: 0)
        textBeforeRequest = 0
        text.clear()
        details.clear()
        content.clear()
        if !received.isEmpty { received.removeAll(keepingCapacity: true) }
        contentLength = 0
    }

    // MARK: Content

    /// From this size on a piece costs less where it is.
    private static let leftInPlace = 4 * 1024

    /// Puts content behind that which the part has.
    func append(content bytes: ByteBuffer) {
        contentLength += bytes.readableBytes
        if received.isEmpty, bytes.readableBytes < Self.leftInPlace { content.append(bytes) } else { received.append(bytes) }
    }

    /// Lends the content, in pieces.
    func withContent(_ body: (UnsafeRawBufferPointer) -> Void) {
        unsafe body(content.bytes)
        for bytes in received { unsafe bytes.withUnsafeReadableBytes { unsafe body($0) } }
    }

    // MARK: Items

    /// Begins an item and notes its time.
    @inline(__always) private func begin(_ tag: UInt8, _ at: Timestamp) {
        touch(at)
        details.append(tag)
        details.appendZigzag(at.nanoseconds &- last)
        last = at.nanoseconds
    }

    /// Notes that something happened.
    func touch(_ at: Timestamp) {
        guard !isPending else { return }
        isPending = true
        started = at.nanoseconds
        last = at.nanoseconds
    }

    func request(_ head: RequestHead, at: Timestamp) {
        begin(ItemTag.request, at)
        let wire = head.wire.limited
        details.appendVarint(UInt64(wire.readableBytes) + 2)
        details.append(head.version.major)
        details.append(head.version.minor)
        requestFields = Self.fields(head.fields, in: wire, version: head.version, at: details.count)
        details.append(wire)
        flags |= FlowPrefix.hasRequest
        version = head.version.major &<< 4 | head.version.minor & 15
        text.truncate(to: textBeforeRequest)
        method = MethodCode.code(head.wire, head.methodRange)
        note(.method, wire, method == 0 ? head.methodRange : .empty)
        if head.version.major >= 2 { note(.authority, wire, head.authorityRange) } else { noteHost(head.fields) }
        note(.target, wire, head.targetRange)
    }

    /// Notes a text that is a range of a head.
    private func note(_ which: FlowPrefix.Text, _ head: ByteBuffer, _ range: ByteRange) {
        let end = min(Int(range.end), head.readableBytes)
        guard Int(range.start) < end else {
            textLengths[which.rawValue] = 0
            return
        }
        unsafe head.withUnsafeReadableBytes { unsafe text.append(UnsafeRawBufferPointer(rebasing: $0[Int(range.start)..<end])) }
        textLengths[which.rawValue] = UInt32(end - Int(range.start))
    }

    private func noteHost(_ fields: FieldSection) {
        textLengths[FlowPrefix.Text.authority.rawValue] = 0
        if let index = fields.line("host") { note(.authority, fields.wire, fields.lines[index].value) }
    }

    /// - Parameter tag: interim or response.
    func response(_ tag: UInt8, _ head: ResponseHead, at: Timestamp) {
        begin(tag, at)
        let wire = head.wire.limited
        details.appendVarint(UInt64(wire.readableBytes) + 2)
        details.append(head.version.major)
        details.append(head.version.minor)
        if tag == ItemTag.response {
            status = UInt16(clamping: head.status)
            responseFields = Self.fields(head.fields, in: wire, version: head.version, at: details.count)
        }
        details.append(wire)
    }

    /// Where the field lines stand in a head that begins at an offset: behind the start-line for HTTP/1; for HTTP/2 behind the
    /// pseudo-fields, where the fields and the empty line are what the head ends with.
    private static func fields(
        _ fields: FieldSection, in head: ByteBuffer, version: HTTPVersion, at offset: Int
    ) -> (at: UInt32, length: UInt32) {
        let bytes = head.readableBytesUInt8Span
        var start = 0
        if version.major >= 2 {
            start = max(0, bytes.count - 2 - fields.wire.readableBytes)
        } else {
            // RFC 9112 §2.2: empty lines may stand before a request-line.
            while start < bytes.count, bytes[start] == 0x0D || bytes[start] == 0x0A { start += 1 }
            while start < bytes.count, bytes[start] != 0x0A { start += 1 }
            start = min(start + 1, bytes.count)
        }
        return (UInt32(offset + start), UInt32(bytes.count - start))
    }

    /// Notes a piece. Its content is the caller's to put behind what the part has already.
    /// - Parameters:
    ///   - size: bytes of it that are meant here.
    ///   - continues: the rest follows in the next item.
    func piece(_ piece: FlowPiece, size: Int, continues: Bool, at: Timestamp) {
        begin(ItemTag.piece, at)
        let isPlain = piece.wireSize == UInt64(piece.content.readableBytes) && piece.frames == 1
        let lengthAt = details.count
        details.append(UInt8(0))
        details.append(piece.kind.rawValue &<< 4 | (continues ? 4 : 0) | (isPlain ? 0 : 2) | piece.from.rawValue)
        details.appendVarint(UInt64(size))
        if !isPlain {
            details.appendVarint(piece.wireSize)
            details.appendVarint(UInt64(piece.frames))
        }
        // At most 26 bytes, so that the length is one.
        details.set(UInt8(details.count - lengthAt - 1), at: lengthAt)
        if !continues { pieces &+= 1 }
        if piece.kind != .data {
            if !continues { messages &+= 1 }
            flags |= FlowPrefix.isWebSocket
        } else if piece.from == .client {
            requestSize &+= UInt64(size)
        } else {
            responseSize &+= UInt64(size)
        }
    }

    func trailers(_ side: Side, _ fields: FieldSection, at: Timestamp) {
        begin(ItemTag.trailers, at)
        let wire = fields.wire.limited
        details.appendVarint(UInt64(wire.readableBytes) + 1)
        details.append(side.rawValue)
        details.append(wire)
    }

    func finished(_ side: Side, at: Timestamp) {
        begin(ItemTag.finished, at)
        details.append(UInt8(1))
        details.append(side.rawValue)
    }

    func note(_ note: FlowNote, at: Timestamp) {
        begin(ItemTag.note, at)
        let message = note.message.limited
        details.appendVarint(UInt64(message.utf8.count) + 1)
        details.append(note.side.map { $0.rawValue + 1 } ?? 0)
        details.append(utf8: message)
    }

    func malformed(_ side: Side, _ bytes: ByteBuffer, at: Timestamp) {
        begin(ItemTag.malformed, at)
        let bytes = bytes.limited
        details.appendVarint(UInt64(bytes.readableBytes) + 1)
        details.append(side.rawValue)
        details.append(bytes)
    }

    func localReply(_ reply: LocalReply, at: Timestamp) {
        begin(ItemTag.localReply, at)
        let head = reply.head.wire.limited
        let content = reply.content.limited
        details.appendVarint(UInt64(6 + head.readableBytes + content.readableBytes))
        details.append(reply.head.version.major)
        details.append(reply.head.version.minor)
        details.append(UInt32(head.readableBytes))
        details.append(head)
        details.append(content)
        status = UInt16(clamping: reply.head.status)
        flags |= FlowPrefix.hasLocalReply
    }

    func ended(_ ending: FlowEnding, at: Timestamp) {
        begin(ItemTag.ended, at)
        // Tags are few; the length has a fixed width of four bytes' varint so that it can be set behind.
        let lengthAt = details.count
        details.append(UInt32(0))
        var bits: UInt8 = ending.isReset ? EndedFlag.isReset : 0
        if let side = ending.closedBy { bits |= EndedFlag.hasCloser | (side == .server ? EndedFlag.closedByServer : 0) }
        if ending.passthrough != nil { bits |= EndedFlag.isPassthrough }
        if let side = ending.error?.side { bits |= EndedFlag.hasBlame | (side == .server ? EndedFlag.blamesServer : 0) }
        details.append(ending.state.rawValue)
        details.append(bits)
        if let sizes = ending.passthrough {
            details.appendVarint(sizes.fromClient)
            details.appendVarint(sizes.fromServer)
        }
        details.appendZigzag((ending.error?.at ?? at).nanoseconds &- at.nanoseconds)
        let tags = ending.tags.prefix(ArchiveFormat.maximumTags)
        details.appendVarint(UInt64(tags.count))
        for tag in tags { details.appendText(tag.limited) }
        if !tags.isEmpty { flags |= FlowPrefix.isTagged }
        let length = UInt32(details.count - lengthAt - 4)
        details.set(
            length & 0x7F | (length &<< 1 & 0x7F00) | (length &<< 2 & 0x7F_0000) | (length &<< 3 & 0x7F00_0000) | 0x80_8080,
            at: lengthAt)
        state = ending.state.rawValue
        if let error = ending.error {
            flags |= FlowPrefix.hasError
            textLengths[FlowPrefix.Text.error.rawValue] = UInt32(text.append(utf8: error.message.limited))
        }
        if let comment = ending.comment {
            flags |= FlowPrefix.hasComment
            textLengths[FlowPrefix.Text.comment.rawValue] = UInt32(text.append(utf8: comment.limited))
        }
        flags |= FlowPrefix.isLast
    }

    // MARK: The record

    /// Appends the record, and notes in the block's header what it holds.
    /// - Parameters:
    ///   - client, server: offsets of the connections' records, plus one.
    ///   - detailsAt, contentAt: where the part's items and content will stand in the block.
    ///   - contentLength: bytes of the part's content.
    func write(
        client: UInt32, server: UInt32, detailsAt: Int, contentAt: Int, contentLength: Int, into records: ByteWriter,
        _ header: inout BlockHeader
    ) {
        let start = records.count
        records.reserve(FlowPrefix.size + text.count)
        records.append(UInt32(FlowPrefix.size + text.count))
        records.append(RecordType.flow)
        records.append(flags)
        records.append(kind)
        records.append(state)
        records.append(id.high)
        records.append(id.low)
        records.append(started)
        records.append(last)
        records.append(status)
        records.append(method)
        records.append(version)
        records.append(port)
        records.append(UInt16(FlowPrefix.size))
        records.append(number)
        records.append(client)
        records.append(server)
        records.append(stream)
        records.append(UInt32(detailsAt))
        records.append(UInt32(details.count))
        records.append(UInt32(contentAt))
        records.append(UInt32(contentLength))
        records.append(requestSize)
        records.append(responseSize)
        records.append(pieces)
        records.append(messages)
        for index in 0..<7 { records.append(textLengths[index]) }
        records.append(requestFields.at)
        records.append(requestFields.length)
        records.append(responseFields.at)
        records.append(responseFields.length)
        records.append(UInt32(0))
        records.append(text)
        unsafe header.note(flow: UnsafeRawBufferPointer(rebasing: records.bytes[start...]))
    }
}

extension ByteBuffer {
    /// What a record may hold of it.
    fileprivate var limited: ByteBuffer { readableBytes <= ArchiveFormat.maximumHead ? self : slice(0, ArchiveFormat.maximumHead) }
}

extension String {
    /// What a record may hold of it.
    fileprivate var limited: String {
        utf8.count <= ArchiveFormat.maximumText ? self : String(decoding: utf8.prefix(ArchiveFormat.maximumText), as: UTF8.self)
    }
}
