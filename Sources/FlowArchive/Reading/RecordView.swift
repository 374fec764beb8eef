// A flow's record in its block: reads attributes at fixed offsets, without making a Flow and without allocating. One view serves all records
// of a block, one after the other.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

/// A flow's record in place. Its attributes are those of the part of the flow that the record holds.
package struct RecordView: FlowAttributes {
    private let block: DecodedBlock
    /// Those of the block, here so that a number is read without a reference count.
    private let records: ByteBuffer
    /// Offset of the record in the records.
    private(set) var start = 0
    private var length = 0

    init(_ block: DecodedBlock) {
        self.block = block
        records = block.records
    }

    /// Moves to a record, which lies inside the records.
    /// - Returns: false when the record is not valid: shorter than its prefix or its texts, or with numbers that have no meaning.
    mutating func move(to entry: RecordWalk.Entry) -> Bool {
        (start, length) = (Int(entry.start), Int(entry.length))
        let bytes = records.readableBytesSpan
        guard length >= FlowPrefix.size, start <= bytes.byteCount - length else { return false }
        var end = Int(Self.number(bytes, start + FlowPrefix.textAt, UInt16.self))
        guard end >= FlowPrefix.size else { return false }
        let lengths = start + FlowPrefix.textLengths
        for index in 0..<7 { end += Int(Self.number(bytes, lengths + 4 * index, UInt32.self)) }
        return end <= length && FlowKind(rawValue: Self.number(bytes, start + FlowPrefix.kind, UInt8.self)) != nil
            && FlowState(rawValue: Self.number(bytes, start + FlowPrefix.state, UInt8.self)) != nil
            && MethodCode.isValid(Self.number(bytes, start + FlowPrefix.method, UInt8.self))
    }

    /// A number that is known to lie in the bytes.
    @inline(__always)
    private static func number<T: FixedWidthInteger & BitwiseCopyable>(_ bytes: RawSpan, _ offset: Int, _ type: T.Type) -> T {
        // SAFETY: any bytes are an integer, and the caller has checked the bounds.
        unsafe T(littleEndian: bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: T.self))
    }

    /// A number of the prefix. Read only after a successful ``move(to:)``, which has checked that the record has a prefix.
    @inline(__always)
    private func number<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: T.Type = T.self) -> T {
        let bytes = records.readableBytesSpan
        // SAFETY: any bytes are an integer, and the span checks its bounds.
        return unsafe T(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: start &+ offset, as: T.self))
    }

    private func text(_ which: FlowPrefix.Text) -> ByteBuffer {
        var at = Int(number(FlowPrefix.textAt, UInt16.self))
        for index in 0..<which.rawValue { at += Int(number(FlowPrefix.textLengths + 4 * index, UInt32.self)) }
        return records.slice(start + at, Int(number(FlowPrefix.textLengths + 4 * which.rawValue, UInt32.self)))
    }

    /// Where a text of the prefix is in the records. ``move(to:)`` has checked that it lies in the record.
    private func placeInRecords(of text: FlowPrefix.Text) -> Range<Int> {
        var at = start &+ Int(number(FlowPrefix.textAt, UInt16.self))
        for index in 0..<text.rawValue { at &+= Int(number(FlowPrefix.textLengths &+ 4 &* index, UInt32.self)) }
        return at..<at &+ Int(number(FlowPrefix.textLengths &+ 4 &* text.rawValue, UInt32.self))
    }

    /// Lends a text of the prefix, which may be empty.
    private func lend(_ text: FlowPrefix.Text, _ body: (UnsafeRawBufferPointer) -> Void) {
        let place = placeInRecords(of: text)
        unsafe records.withUnsafeReadableBytes { unsafe body(UnsafeRawBufferPointer(rebasing: $0[place])) }
    }

    package func withText(_ text: FlowText, _ body: (UnsafeRawBufferPointer) -> Void) {
        switch text {
        case .scheme: unsafe lend(.scheme, body)
        case .host: unsafe withDisplayHost(body)
        case .method:
            guard has(FlowPrefix.hasRequest) else { return }
            let code = Int(number(FlowPrefix.method, UInt8.self))
            guard code > 0 else { return unsafe lend(.method, body) }
            unsafe MethodCode.methods[code].withUnsafeReadableBytes { unsafe body($0) }
        case .target: if has(FlowPrefix.hasRequest) { unsafe lend(.target, body) }
        case .error: if has(FlowPrefix.hasError) { unsafe lend(.error, body) }
        case .contentType(let side): unsafe withContentType(of: side, body)
        case .connection(let text, let side):
            unsafe connectionText(text, of: side)?.withUnsafeReadableBytes { unsafe body($0) }
        }
    }

    private func withDisplayHost(_ body: (UnsafeRawBufferPointer) -> Void) {
        // The closure captures places instead of the view: a copy of it for each flow would cost more than the text.
        let (hostPlace, authorityPlace) = (placeInRecords(of: .host), placeInRecords(of: .authority))
        unsafe records.withUnsafeReadableBytes { all in
            let host = unsafe UnsafeRawBufferPointer(rebasing: all[hostPlace])
            guard unsafe host.isEmpty || host.isAddress else { return unsafe body(host) }
            let authority = unsafe UnsafeRawBufferPointer(rebasing: all[authorityPlace])
            let name = unsafe UnsafeRawBufferPointer(rebasing: authority[authority.hostWithoutPort])
            if unsafe name.isEmpty || name.isAddress { unsafe body(host) } else { unsafe body(name) }
        }
    }

    private func withContentType(of side: Side, _ body: (UnsafeRawBufferPointer) -> Void) {
        let isRequest = side == .client
        guard !isRequest || has(FlowPrefix.hasRequest) else { return }
        let at = Int(number(isRequest ? FlowPrefix.requestFieldsAt : FlowPrefix.responseFieldsAt, UInt32.self))
        let count = Int(number(isRequest ? FlowPrefix.requestFieldsLength : FlowPrefix.responseFieldsLength, UInt32.self))
        let (from, size) = (Int(number(FlowPrefix.detailsAt, UInt32.self)), Int(number(FlowPrefix.detailsLength, UInt32.self)))
        guard at > 0, size > 0, let details = block.details else { return }
        var isUnclear = false
        unsafe details.withUnsafeReadableBytes { all in
            guard from + size <= all.count, at + count <= size else {
                isUnclear = true
                return
            }
            let head = unsafe UnsafeRawBufferPointer(rebasing: all[from + at..<from + at + count])
            switch unsafe head.firstField("content-type") {
            case .value(let place): unsafe body(UnsafeRawBufferPointer(rebasing: head[place]))
            case .none: break
            case .unclear: isUnclear = true
            }
        }
        guard isUnclear, let value = (isRequest ? requestFields : responseFields)?.first("content-type") else { return }
        unsafe value.withUnsafeReadableBytes { unsafe body($0) }
    }

    package var id: FlowID { FlowID(high: number(FlowPrefix.idHigh), low: number(FlowPrefix.idLow)) }
    package var kind: FlowKind { FlowKind(rawValue: number(FlowPrefix.kind)) ?? .tcp }
    package var state: FlowState { FlowState(rawValue: number(FlowPrefix.state)) ?? .incomplete }
    package var started: Timestamp { Timestamp(nanoseconds: number(FlowPrefix.started)) }
    package var ended: Timestamp? { has(FlowPrefix.isLast) ? last : nil }
    package var isWebSocket: Bool { has(FlowPrefix.isWebSocket) }
    package var errorMessage: ByteBuffer? { has(FlowPrefix.hasError) ? text(.error) : nil }
    package func connectionText(_ text: ConnectionText, of side: Side) -> ByteBuffer? {
        block.connectionText(text, of: side, side == .client ? clientReference : serverReference)
    }
    package var serverCertificateNames: ByteBuffer? { get throws { try block.serverCertificateNames(serverReference) } }
    package var targetScheme: ByteBuffer { text(.scheme) }
    package var targetHost: ByteBuffer { text(.host) }
    package var targetPort: UInt16 { number(FlowPrefix.port) }
    package var method: ByteBuffer? {
        guard has(FlowPrefix.hasRequest) else { return nil }
        let code = Int(number(FlowPrefix.method, UInt8.self))
        return code > 0 ? MethodCode.methods[code] : text(.method)
    }
    package var requestTarget: ByteBuffer? { has(FlowPrefix.hasRequest) ? text(.target) : nil }
    package var requestAuthority: ByteBuffer? {
        guard number(FlowPrefix.version, UInt8.self) >= 0x20 else { return nil }
        let authority = text(.authority)
        return authority.readableBytes > 0 ? authority : nil
    }
    package var displayHost: ByteBuffer {
        let target = text(.host)
        return target.readableBytes > 0 && !target.isAddress ? target : target.named(by: text(.authority))
    }
    package var status: Int { Int(number(FlowPrefix.status, UInt16.self)) }
    package var requestVersion: HTTPVersion? {
        guard has(FlowPrefix.hasRequest) else { return nil }
        let version = number(FlowPrefix.version, UInt8.self)
        return HTTPVersion(major: version &>> 4, minor: version & 15)
    }
    package var stream: StreamID { StreamID(number(FlowPrefix.stream)) }
    package var requestFields: FieldSection? {
        has(FlowPrefix.hasRequest) ? fields(FlowPrefix.requestFieldsAt, FlowPrefix.requestFieldsLength) : nil
    }
    package var responseFields: FieldSection? { fields(FlowPrefix.responseFieldsAt, FlowPrefix.responseFieldsLength) }
    package var commentText: ByteBuffer? { has(FlowPrefix.hasComment) ? text(.comment) : nil }
    package var isTagged: Bool { has(FlowPrefix.isTagged) }
    package var hasLocalReply: Bool { has(FlowPrefix.hasLocalReply) }
    package var pieces: any FlowPieces { ArchivePieces(parts: [place], count: Int(number(FlowPrefix.pieces, UInt32.self))) }

    /// Damaged details have no fields; making the flow reports the damage.
    private func fields(_ atOffset: Int, _ lengthOffset: Int) -> FieldSection? {
        let at = Int(number(atOffset, UInt32.self))
        let place = place
        guard at > 0, let items = try? block.source.details(at: Int(place.detailsAt), count: Int(place.detailsLength)) else {
            return nil
        }
        return FieldSection(parsing: items.slice(at, Int(number(lengthOffset, UInt32.self))))
    }

    /// Bytes of the data of each side in the record.
    package var requestContentSize: UInt64 { number(FlowPrefix.requestSize) }
    var responseContentSize: UInt64 { number(FlowPrefix.responseSize) }
    /// As ``TimeToFirstByte`` codes it.
    var timeToFirstByteCode: UInt32 { number(FlowPrefix.timeToFirstByte) }
    var hasRequest: Bool { has(FlowPrefix.hasRequest) }
    var hasResponse: Bool { number(FlowPrefix.responseFieldsAt, UInt32.self) > 0 }
    /// Where its block begins in the file.
    package var blockOffset: UInt64 { block.offset }

    // MARK: What the reader uses

    /// The bytes of the record.
    var record: ByteBuffer { block.records.slice(start, length) }
    /// Whether the record is laid out as this version writes it. A later version may have added fields that refer to other places.
    var isCopyable: Bool {
        var end = FlowPrefix.size
        for index in 0..<7 { end += Int(number(FlowPrefix.textLengths + 4 * index, UInt32.self)) }
        return end == length && number(FlowPrefix.textAt, UInt16.self) == UInt16(FlowPrefix.size)
    }

    private func has(_ flag: UInt8) -> Bool { flags & flag != 0 }
    var flags: UInt8 { number(FlowPrefix.flags) }
    var isWhole: Bool { has(FlowPrefix.isFirst) && has(FlowPrefix.isLast) }
    var isFirst: Bool { has(FlowPrefix.isFirst) }
    var isLast: Bool { has(FlowPrefix.isLast) }
    /// The time of the part's last event.
    var last: Timestamp { Timestamp(nanoseconds: number(FlowPrefix.ended)) }
    var part: UInt32 { number(FlowPrefix.part) }
    var clientReference: UInt32 { number(FlowPrefix.client) }
    var serverReference: UInt32 { number(FlowPrefix.server) }
    var pieceCount: Int { Int(number(FlowPrefix.pieces, UInt32.self)) }
    var place: ArchivePieces.Part {
        ArchivePieces.Part(
            flow: id,
            source: block.source, started: started, detailsAt: number(FlowPrefix.detailsAt),
            detailsLength: number(FlowPrefix.detailsLength), contentAt: number(FlowPrefix.contentAt),
            contentLength: number(FlowPrefix.contentLength))
    }
}
