// The record of one flow while it is filled: the items and the content as the file has them, and the facts of the record's prefix, which
// answer a filter's terms. A session fills the record where things happen; the recording's thread gets it as one object and copies it into
// a block. A flow that outlasts its record continues in another one.

import FlowModel
import Glibc
import HTTPSemantics
import NIOCore

/// One record of a flow: what happened since the record before it.
///
/// `@unchecked Sendable`: it is filled on one thread and handed over to another one, which only reads it, after the last change. That thread
/// may hand it back when it has no other owner, to be filled again.
package final class FlowRecord: @unchecked Sendable {
    /// A run of bytes in the items.
    struct Run {
        var at: UInt32 = 0
        var length: UInt32 = 0
    }

    /// The fixed fields of the record.
    struct Prefix {
        var flags: UInt8 = 0
        var kind: UInt8 = 0
        var state = FlowState.incomplete.rawValue
        var method: UInt8 = 0
        var version: UInt8 = 0
        var status: UInt16 = 0
        var port: UInt16 = 0
        var stream: UInt32 = 0
        /// Records of the flow before this one.
        var number: UInt32 = 0
        var started: Int64 = 0
        var last: Int64 = 0
        var requestSize: UInt64 = 0
        var responseSize: UInt64 = 0
        var pieces: UInt32 = 0
        var messages: UInt32 = 0
        var requestFields = Run()
        var responseFields = Run()
        var methodText = Run()
        var authority = Run()
        var target = Run()
        /// Of the first record.
        var scheme = ""
        var host = ""
        var error: String?
        var comment: String?
        /// When the request's head, its end and the response's head were received.
        var requestStarted: Int64?
        var requestEnded: Int64?
        var responseStarted: Int64?
        /// Bytes of the pieces on the wire. Not in the file.
        var wireSizeFromClient: UInt64 = 0
        var wireSizeFromServer: UInt64 = 0
        /// The first piece is the rest of one that the record before this one began.
        var continuesPiece = false
        /// Items other than pieces have been recorded. Not in the file.
        var hasFacts = false
        /// The same at the beginning of this record.
        var beginsInPiece = false
        /// Redaction changed the flow, in this record or in one before it. Not in the file.
        var isRedacted = false
        /// What this record has of the facts of redaction. Not in the file as such: the items have it.
        var redaction: FlowRedaction?
    }

    package private(set) var id: FlowID
    /// Facts of the connections.
    package private(set) var client: Shared<ClientConnection>?
    package private(set) var server: Shared<ServerConnection>?
    private(set) var prefix = Prefix()
    package let items: ByteWriter
    private(set) var content = RecordContent()
    /// What the records before this one have; nil unless a writer keeps it.
    package private(set) var history: FlowHistory?
    /// Changes the events of the flow before they get here; nil for none, and after the end.
    package var stage: (any FlowEventStage)?
    /// Whether something happened since the record before this one.
    private(set) var isPending = false
    /// Its place among the open records of a ``FlowRecordBuffer``, and the order in which it got there.
    var place = 0
    var order = 0

    /// Items of a short exchange, and of most.
    private static let usualCapacity = 1024
    private static let keptCapacity = 8 * 1024

    package init(_ id: FlowID) {
        self.id = id
        items = ByteWriter(capacity: Self.usualCapacity)
    }

    package var contentLength: Int { content.count }
    /// Bytes that wait to be written.
    package var size: Int { items.count + content.count }
    /// Bytes of memory that the record occupies, roughly.
    package var footprint: Int { size + 512 }
    package var isFirst: Bool { prefix.flags & FlowPrefix.isFirst != 0 }
    package var hasEnded: Bool { prefix.flags & FlowPrefix.isLast != 0 }
    package var hasRequest: Bool { prefix.flags & FlowPrefix.hasRequest != 0 }
    package var number: UInt32 { prefix.number }
    /// The times of its first and last event.
    package var started: Timestamp { Timestamp(nanoseconds: prefix.started) }
    package var last: Timestamp { Timestamp(nanoseconds: prefix.last) }
    package var kind: FlowKind { FlowKind(rawValue: prefix.kind) ?? .tcp }
    package var state: FlowState { FlowState(rawValue: prefix.state) ?? .incomplete }
    package var status: UInt16 { prefix.status }
    /// A ``MethodCode``.
    package var method: UInt8 { prefix.method }
    package var wireSizeFromClient: UInt64 { prefix.wireSizeFromClient }
    package var wireSizeFromServer: UInt64 { prefix.wireSizeFromServer }
    package var errorMessage: String? { prefix.error }
    /// The facts of redaction that this record has.
    package var redaction: FlowRedaction? { prefix.redaction }

    /// Lends the content, in chunks.
    package func withContent(_ body: (UnsafeRawBufferPointer) -> Void) { unsafe content.forEach(body) }

    // MARK: One record after another

    /// Takes what was recorded so far as a record of its own. The flow continues in this one.
    func takePart() -> FlowRecord {
        let part = FlowRecord(id)
        part.items.exchange(with: items)
        part.client = client
        part.server = server
        part.prefix = prefix
        swap(&part.content, &content)
        part.isPending = true
        beginNext()
        return part
    }

    /// A record, empty so far, that follows a record which was written.
    package init(following part: FlowRecord, history: FlowHistory? = nil) {
        id = part.id
        items = ByteWriter(capacity: 64)
        client = part.client
        server = part.server
        prefix = part.prefix
        self.history = history
        beginNext()
    }

    /// The record that begins the rest of a flow in another file: it repeats what the file before has, without the content. It has the
    /// number of the record that follows it.
    /// - Parameters:
    ///   - next: the record that would follow those that were written, with its history.
    ///   - at: when the other file begins.
    package init(continuing next: FlowRecord, _ history: FlowHistory, at: Timestamp) {
        id = next.id
        items = ByteWriter(capacity: Self.usualCapacity)
        client = next.client
        server = next.server
        prefix.kind = next.prefix.kind
        prefix.port = next.prefix.port
        prefix.stream = next.prefix.stream
        prefix.number = next.prefix.number
        prefix.scheme = history.target.scheme
        prefix.host = history.target.host
        touch(at)
        begin(ItemTag.continued, history.started)
        let lengthAt = items.count
        items.append(UInt8(0))
        items.appendVarint(history.pieces)
        items.appendVarint(history.wireSizeFromClient)
        items.appendVarint(history.wireSizeFromServer)
        // At most 30 bytes, so the length is one byte.
        items.set(UInt8(items.count - lengthAt - 1), at: lengthAt)
        for fact in history.facts {
            let what = try? RecordItem.event(fact.tag, fact.content, fact.at, error: nil, comment: nil)
            if let what { receive(what, at: fact.at) }
        }
        prefix.last = at.nanoseconds
    }

    /// Appends an event that is no piece, and neither the first nor the last of its flow.
    func receive(_ what: FlowEvent.What, at: Timestamp) {
        switch what {
        case .request(let head): request(head, at: at)
        case .interim(let head): response(ItemTag.interim, head, at: at)
        case .response(let head): response(ItemTag.response, head, at: at)
        case .trailers(let side, let fields): trailers(side, fields, at: at)
        case .finished(let side): finished(side, at: at)
        case .note(let message): note(message, at: at)
        case .malformed(let side, let bytes): malformed(side, bytes, at: at)
        case .localReply(let reply): localReply(reply, at: at)
        case .redacted(let redaction): redacted(redaction, at: at)
        case .cut(let side, let facts): cut(side, facts, at: at)
        case .opened, .server, .client, .piece, .ended: preconditionFailure("the caller handles it")
        }
    }

    private func beginNext() {
        isPending = false
        var next = Prefix()
        next.kind = prefix.kind
        next.port = prefix.port
        next.stream = prefix.stream
        next.number = prefix.number &+ 1
        next.started = prefix.last
        next.last = prefix.last
        next.continuesPiece = prefix.continuesPiece
        next.beginsInPiece = prefix.continuesPiece
        next.isRedacted = prefix.isRedacted
        prefix = next
    }

    /// Storage that is not worth keeping for another flow.
    package var isLarge: Bool { items.capacity > Self.keptCapacity }

    /// Begins another flow with the storage of this one, which was written.
    package func reuse(for id: FlowID) {
        clear()
        self.id = id
    }

    /// Begins another flow with this record, which is empty.
    func begin(_ id: FlowID) { self.id = id }

    /// Forgets the flow, which was written.
    package func clear() {
        client = nil
        server = nil
        history = nil
        stage = nil
        prefix = Prefix()
        items.clear()
        content = RecordContent()
        isPending = false
    }

    // MARK: Items

    /// Notes that something happened.
    @inline(__always) func touch(_ at: Timestamp) {
        guard !isPending else { return }
        isPending = true
        prefix.started = at.nanoseconds
        prefix.last = at.nanoseconds
    }

    /// Begins an item and notes its time.
    @inline(__always) private func begin(_ tag: UInt8, _ at: Timestamp) {
        touch(at)
        if tag != ItemTag.piece { prefix.hasFacts = true }
        items.append(tag)
        items.appendZigzag(at.nanoseconds &- prefix.last)
        prefix.last = at.nanoseconds
    }

    func opened(_ opening: FlowOpening, at: Timestamp) {
        touch(at)
        client = opening.client
        prefix.flags = FlowPrefix.isFirst
        prefix.kind = opening.kind.rawValue
        prefix.stream = opening.stream.value
        prefix.port = opening.target.port
        prefix.scheme = opening.target.scheme
        prefix.host = opening.target.host
    }

    func connected(_ server: Shared<ServerConnection>, at: Timestamp) {
        touch(at)
        self.server = server
    }

    func identified(_ client: Shared<ClientConnection>, at: Timestamp) {
        touch(at)
        self.client = client
    }

    func request(_ head: RequestHead, at: Timestamp) {
        let start = begin(ItemTag.request, head.wire, head.version, at)
        prefix.requestFields = fieldLines(head.fields.wire.readableBytes, head.version, at: start)
        prefix.flags |= FlowPrefix.hasRequest
        (prefix.requestStarted, prefix.requestEnded) = (at.nanoseconds, nil)
        prefix.version = head.version.major &<< 4 | head.version.minor & 15
        prefix.method = MethodCode.code(head.wire, head.methodRange)
        prefix.methodText = prefix.method == 0 ? run(head.methodRange, at: start) : Run()
        prefix.target = run(head.targetRange, at: start)
        if head.version.major >= 2 {
            prefix.authority = run(head.authorityRange, at: start)
        } else if let index = head.fields.line("host") {
            prefix.authority = run(head.fields.lines[index].value, at: Int(prefix.requestFields.at))
        } else {
            prefix.authority = Run()
        }
    }

    /// - Parameter tag: interim or response.
    func response(_ tag: UInt8, _ head: ResponseHead, at: Timestamp) {
        let start = begin(tag, head.wire, head.version, at)
        guard tag == ItemTag.response else { return }
        prefix.status = UInt16(clamping: head.status)
        prefix.responseStarted = at.nanoseconds
        prefix.responseFields = fieldLines(head.fields.wire.readableBytes, head.version, at: start)
    }

    /// Appends a head.
    /// - Returns: its offset in the items.
    @inline(__always) private func begin(_ tag: UInt8, _ head: ByteBuffer, _ version: HTTPVersion, _ at: Timestamp) -> Int {
        begin(tag, at)
        items.appendVarint(UInt64(min(head.readableBytes, RecordLimits.maximumHead)) + 2)
        items.append(version.major)
        items.append(version.minor)
        let start = items.count
        append(head)
        return start
    }

    /// Appends as much of the bytes as an item may hold.
    @inline(__always) private func append(_ bytes: ByteBuffer) {
        unsafe bytes.withUnsafeReadableBytes { bytes in
            let length = min(bytes.count, RecordLimits.maximumHead)
            unsafe items.append(UnsafeRawBufferPointer(rebasing: bytes[..<length]))
        }
    }

    /// Where a range of a head that begins at an offset and ends the items is in the items.
    private func run(_ range: ByteRange, at start: Int) -> Run {
        let end = min(start + Int(range.end), items.count)
        let begin = start + Int(range.start)
        return begin < end ? Run(at: UInt32(begin), length: UInt32(end - begin)) : Run()
    }

    /// Where the field lines are in a head that begins at an offset and ends the items: after the start-line for HTTP/1; for HTTP/2 after
    /// the pseudo-fields, where the field lines and the empty line are the end of the head.
    private func fieldLines(_ length: Int, _ version: HTTPVersion, at start: Int) -> Run {
        let count = items.count - start
        var offset = 0
        if version.major >= 2 {
            offset = max(0, count - 2 - length)
        } else {
            let bytes = unsafe UnsafeRawBufferPointer(rebasing: items.bytes[start...])
            // RFC 9112 section 2.2: empty lines may precede a request-line.
            while unsafe offset < count && (bytes[offset] == 0x0D || bytes[offset] == 0x0A) { offset += 1 }
            if let base = bytes.baseAddress, offset < count,
                let end = unsafe memchr(base + offset, 0x0A, count - offset)
            {
                offset = unsafe UnsafeRawPointer(end) - base + 1
            } else {
                offset = count
            }
        }
        return Run(at: UInt32(start + offset), length: UInt32(count - offset))
    }

    /// Appends a piece.
    /// - Parameters:
    ///   - bytes: its content, or a part of it.
    ///   - continues: the rest follows in the next item.
    func piece(_ piece: FlowPiece, _ bytes: ByteBuffer, continues: Bool, at: Timestamp) {
        let size = bytes.readableBytes
        begin(ItemTag.piece, at)
        let isPlain = piece.wireSize == UInt64(piece.content.readableBytes) && piece.frames == 1
        let lengthAt = items.count
        items.append(UInt8(0))
        items.append(
            piece.kind.rawValue &<< 4 | (piece.cut == nil ? 0 : PieceFlag.isCut) | (continues ? PieceFlag.continues : 0)
                | (isPlain ? 0 : PieceFlag.hasWireSize) | piece.from.rawValue)
        items.appendVarint(UInt64(size))
        if !isPlain {
            items.appendVarint(piece.wireSize)
            items.appendVarint(UInt64(piece.frames))
        }
        if let cut = piece.cut?.value { append(cut) }
        // At most 69 bytes, so the length is one byte.
        items.set(UInt8(items.count - lengthAt - 1), at: lengthAt)
        if !continues { prefix.pieces &+= 1 }
        if piece.kind != .data {
            if !continues { prefix.messages &+= 1 }
            prefix.flags |= FlowPrefix.isWebSocket
        } else {
            // A piece that was changed has its size on the wire once, however often it is divided.
            let sent = isPlain ? UInt64(size) : prefix.continuesPiece ? 0 : piece.wireSize
            if piece.from == .client { prefix.requestSize &+= sent } else { prefix.responseSize &+= sent }
        }
        if !prefix.continuesPiece {
            if piece.from == .client {
                prefix.wireSizeFromClient &+= piece.wireSize
            } else {
                prefix.wireSizeFromServer &+= piece.wireSize
            }
        }
        prefix.continuesPiece = continues
        content.append(bytes)
    }

    func trailers(_ side: Side, _ fields: FieldSection, at: Timestamp) {
        begin(ItemTag.trailers, at)
        items.appendVarint(UInt64(min(fields.wire.readableBytes, RecordLimits.maximumHead)) + 1)
        items.append(side.rawValue)
        append(fields.wire)
    }

    func finished(_ side: Side, at: Timestamp) {
        begin(ItemTag.finished, at)
        items.append(UInt8(1))
        items.append(side.rawValue)
        if side == .client { prefix.requestEnded = at.nanoseconds }
    }

    func note(_ note: FlowNote, at: Timestamp) {
        begin(ItemTag.note, at)
        let message = note.message.limited
        items.appendVarint(UInt64(message.utf8.count) + 1)
        items.append(note.side.map { $0.rawValue + 1 } ?? 0)
        items.append(utf8: message)
    }

    func cut(_ side: Side, _ cut: ContentCut, at: Timestamp) {
        begin(ItemTag.cut, at)
        let lengthAt = items.count
        items.append(UInt8(0))
        items.append(side.rawValue)
        append(cut)
        // At most 44 bytes, so the length is one byte.
        items.set(UInt8(items.count - lengthAt - 1), at: lengthAt)
    }

    /// Appends size and digest.
    private func append(_ cut: ContentCut) {
        items.appendVarint(cut.size)
        items.append(UInt8(cut.sha256.readableBytes))
        append(cut.sha256)
    }

    func malformed(_ side: Side, _ bytes: ByteBuffer, at: Timestamp) {
        begin(ItemTag.malformed, at)
        items.appendVarint(UInt64(min(bytes.readableBytes, RecordLimits.maximumHead)) + 1)
        items.append(side.rawValue)
        append(bytes)
    }

    func localReply(_ reply: LocalReply, at: Timestamp) {
        begin(ItemTag.localReply, at)
        let head = min(reply.head.wire.readableBytes, RecordLimits.maximumHead)
        let content = min(reply.content.readableBytes, RecordLimits.maximumHead)
        items.appendVarint(UInt64(6 + head + content))
        items.append(reply.head.version.major)
        items.append(reply.head.version.minor)
        items.append(UInt32(head))
        append(reply.head.wire)
        append(reply.content)
        prefix.status = UInt16(clamping: reply.head.status)
        prefix.flags |= FlowPrefix.hasLocalReply
    }

    /// Appends the facts of redaction (docs/flow-file-format.md, item 11).
    func redacted(_ redaction: FlowRedaction, at: Timestamp) {
        prefix.isRedacted = true
        if prefix.redaction == nil { prefix.redaction = redaction } else { prefix.redaction?.merge(redaction) }
        let content = ByteWriter(capacity: 256)
        content.append(UInt8((redaction.isRequestDecoded ? 1 : 0) | (redaction.isResponseDecoded ? 2 : 0)))
        let changes = redaction.changes.prefix(RecordLimits.maximumRedactions)
        content.appendVarint(UInt64(changes.count))
        for change in changes {
            content.append(change.place.rawValue)
            content.appendVarint(change.count)
            content.appendText(change.rule.limited(to: RecordLimits.maximumRule))
        }
        let omissions = redaction.omissions.prefix(RecordLimits.maximumRedactions)
        content.appendVarint(UInt64(omissions.count))
        for omission in omissions {
            content.append(omission.place.rawValue)
            content.append(omission.reason.rawValue)
            content.appendVarint(omission.count)
            content.appendText(omission.rule.limited(to: RecordLimits.maximumRule))
        }
        begin(ItemTag.redacted, at)
        items.appendVarint(UInt64(content.count))
        unsafe items.append(content.bytes)
    }

    func ended(_ flowEnding: FlowEnding, at: Timestamp) {
        let ending = prefix.isRedacted ? flowEnding.ofRedacted : flowEnding
        begin(ItemTag.ended, at)
        // Tags are few; the length is set afterwards and has the fixed width of a varint of four bytes.
        let lengthAt = items.count
        items.append(UInt32(0))
        var bits: UInt8 = ending.isReset ? EndedFlag.isReset : 0
        if let side = ending.closedBy { bits |= EndedFlag.hasCloser | (side == .server ? EndedFlag.closedByServer : 0) }
        if ending.passthrough != nil { bits |= EndedFlag.isPassthrough }
        if let side = ending.error?.side { bits |= EndedFlag.hasBlame | (side == .server ? EndedFlag.blamesServer : 0) }
        items.append(ending.state.rawValue)
        items.append(bits)
        if let sizes = ending.passthrough {
            items.appendVarint(sizes.fromClient)
            items.appendVarint(sizes.fromServer)
        }
        items.appendZigzag((ending.error?.at ?? at).nanoseconds &- at.nanoseconds)
        let tags = ending.tags.prefix(RecordLimits.maximumTags)
        items.appendVarint(UInt64(tags.count))
        for tag in tags { items.appendText(tag.limited) }
        if !tags.isEmpty { prefix.flags |= FlowPrefix.isTagged }
        let length = UInt32(items.count - lengthAt - 4)
        items.set(
            length & 0x7F | (length &<< 1 & 0x7F00) | (length &<< 2 & 0x7F_0000) | (length &<< 3 & 0x7F00_0000) | 0x80_8080,
            at: lengthAt)
        prefix.state = ending.state.rawValue
        if let error = ending.error {
            prefix.flags |= FlowPrefix.hasError
            prefix.error = error.message.limited
        }
        if let comment = ending.comment {
            prefix.flags |= FlowPrefix.hasComment
            prefix.comment = comment.limited
        }
        prefix.flags |= FlowPrefix.isLast
    }

    // MARK: In the file

    /// Appends the record's prefix and texts to the records of a block.
    /// - Parameters:
    ///   - client, server: offsets of the connections' records, plus one.
    ///   - itemsAt, contentAt: where the items and the content will be in the block.
    package func write(client: UInt32, server: UInt32, itemsAt: Int, contentAt: Int, into records: ByteWriter) {
        let start = records.appendZeros(FlowPrefix.size)
        func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) { records.set(value, at: start &+ offset) }
        func putLength(_ length: UInt32, of text: FlowPrefix.Text) { put(length, at: FlowPrefix.textLengths + 4 * text.rawValue) }
        put(RecordType.flow, at: FlowPrefix.type)
        put(prefix.flags, at: FlowPrefix.flags)
        put(prefix.kind, at: FlowPrefix.kind)
        put(prefix.state, at: FlowPrefix.state)
        put(id.high, at: FlowPrefix.idHigh)
        put(id.low, at: FlowPrefix.idLow)
        put(prefix.started, at: FlowPrefix.started)
        put(prefix.last, at: FlowPrefix.ended)
        put(prefix.status, at: FlowPrefix.status)
        put(prefix.method, at: FlowPrefix.method)
        put(prefix.version, at: FlowPrefix.version)
        put(prefix.port, at: FlowPrefix.port)
        put(UInt16(FlowPrefix.size), at: FlowPrefix.textAt)
        put(prefix.number, at: FlowPrefix.part)
        put(client, at: FlowPrefix.client)
        put(server, at: FlowPrefix.server)
        put(prefix.stream, at: FlowPrefix.stream)
        put(UInt32(itemsAt), at: FlowPrefix.detailsAt)
        put(UInt32(items.count), at: FlowPrefix.detailsLength)
        put(UInt32(contentAt), at: FlowPrefix.contentAt)
        put(UInt32(content.count), at: FlowPrefix.contentLength)
        put(prefix.requestSize, at: FlowPrefix.requestSize)
        put(prefix.responseSize, at: FlowPrefix.responseSize)
        put(prefix.pieces, at: FlowPrefix.pieces)
        put(prefix.messages, at: FlowPrefix.messages)
        putLength(UInt32(prefix.scheme.utf8.count), of: .scheme)
        putLength(UInt32(prefix.host.utf8.count), of: .host)
        putLength(prefix.methodText.length, of: .method)
        putLength(prefix.authority.length, of: .authority)
        putLength(prefix.target.length, of: .target)
        putLength(UInt32(prefix.error?.utf8.count ?? 0), of: .error)
        putLength(UInt32(prefix.comment?.utf8.count ?? 0), of: .comment)
        put(prefix.requestFields.at, at: FlowPrefix.requestFieldsAt)
        put(prefix.requestFields.length, at: FlowPrefix.requestFieldsLength)
        put(prefix.responseFields.at, at: FlowPrefix.responseFieldsAt)
        put(prefix.responseFields.length, at: FlowPrefix.responseFieldsLength)
        if let response = prefix.responseStarted, let request = prefix.requestStarted {
            let begin = prefix.requestEnded.map { min($0, response) } ?? request
            put(TimeToFirstByte.code(nanoseconds: response &- begin), at: FlowPrefix.timeToFirstByte)
        }
        records.append(utf8: prefix.scheme)
        records.append(utf8: prefix.host)
        unsafe records.append(text(prefix.methodText))
        unsafe records.append(text(prefix.authority))
        unsafe records.append(text(prefix.target))
        if let error = prefix.error { records.append(utf8: error) }
        if let comment = prefix.comment { records.append(utf8: comment) }
        records.set(UInt32(records.count - start), at: start)
    }

    private func text(_ run: Run) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: items.bytes[Int(run.at)..<Int(run.at + run.length)])
    }
}

extension String {
    /// What a record may hold of it.
    fileprivate var limited: String { limited(to: RecordLimits.maximumText) }

    fileprivate func limited(to maximum: Int) -> String {
        utf8.count <= maximum ? self : String(decoding: utf8.prefix(maximum), as: UTF8.self)
    }
}
