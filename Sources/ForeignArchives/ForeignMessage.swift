// A message of another program's file, and the one place that corrects its framing. Other programs keep the received fields, but
// remove the transfer coding, and often the content coding, from the content. If such a message was sent unchanged, it would end in
// the wrong place. RFC 9112 section 6, RFC 9110 section 8.6, RFC 9113 section 8.2.2.

import ContentCoding
import FlowModel
import HTTPSemantics
import NIOCore

/// Fields and content of a request or response, before they become part of a flow.
struct ForeignMessage {
    enum Content: Equatable {
        case whole(ByteBuffer)
        /// The message ended early, or was stored only in part.
        case cut(ByteBuffer)
        /// The content was not stored.
        case missing

        var bytes: ByteBuffer {
            switch self {
            case .whole(let bytes), .cut(let bytes): bytes
            case .missing: ByteBuffer()
            }
        }
    }

    enum Role {
        case request
        case response(status: Int, method: ByteBuffer)
    }

    var head = HeadBytes()
    var version: HTTPVersion
    /// The value of `:authority` if the file has it among the fields.
    var authority: ByteBuffer?
    var content = Content.whole(ByteBuffer())
    var trailers: FieldSection?
    /// The changes that were made, one sentence each.
    var notes: [String] = []

    init(version: HTTPVersion) { self.version = version }

    /// The values of all fields with a name.
    /// - Parameter name: in lower case.
    func values(_ name: StaticString) -> [ByteBuffer] { head.fields.filter { $0.name.isName(name) }.map(\.value) }

    /// The number in Content-Length; nil unless there is exactly one line with a valid number.
    var announcedLength: UInt64? {
        let values = values("content-length")
        return values.count == 1 ? values[0].length : nil
    }

    var hasTransferCoding: Bool { head.fields.contains { $0.name.isName("transfer-encoding") } }

    /// Removes the content codings from the fields, because the file has decoded content.
    mutating func removeContentCodings() {
        let values = values("content-encoding")
        let codings = values.flatMap { $0.listElements() }
        let size = content.bytes.readableBytes
        guard size > 0, !codings.isEmpty, codings.allSatisfy({ ContentCoding(String(buffer: $0)) != nil }) else { return }
        // Some programs keep the bytes as they were sent.
        if announcedLength == UInt64(size) {
            let decoded = decodeContent(content.bytes, codings: codings, maximum: Self.maximumProbe)
            if decoded.outcome == .complete || decoded.outcome == .limited { return }
        }
        head.fields.removeAll { $0.name.isName("content-encoding") }
        for value in values { notes.append(FlowNote.decoded(coding: value.latin1)) }
    }

    /// Enough to determine whether content is encoded.
    private static let maximumProbe = 1 << 20

    // MARK: Framing

    /// Gives the message the framing that fits its content. Each changed or removed field is noted with its old value.
    mutating func fit(_ role: Role) {
        switch role {
        case .request:
            fitFraming(endsWithConnection: false)
        case .response(101, _):
            break
        case .response(let status, let method):
            // RFC 9110 section 6.4.1: these have no content.
            let isHead = method == ByteBuffer(string: "HEAD")
            let isTunnel = method == ByteBuffer(string: "CONNECT") && (200..<300).contains(status)
            if isHead || isTunnel || (100..<200).contains(status) || status == 204 || status == 304 {
                dropContent(status: status, isHead: isHead)
                fitEmptyFraming(describes: isHead || status == 304)
            } else {
                fitFraming(endsWithConnection: true)
            }
        }
    }

    private mutating func dropContent(status: Int, isHead: Bool) {
        let size = content.bytes.readableBytes
        if size > 0 {
            notes.append(
                "the file has content of \(size) bytes, and a response \(isHead ? "to HEAD" : "with status \(status)") has none")
        }
        if case .cut = content { content = .cut(ByteBuffer()) } else { content = .whole(ByteBuffer()) }
    }

    /// Fits the framing of a response without content.
    /// - Parameter describes: its fields may contain the length that the content would have.
    private mutating func fitEmptyFraming(describes: Bool) {
        let length = announcedLength
        let isFit = !hasTransferCoding && (values("content-length").isEmpty || length != nil && (describes || length == 0))
        let isChunked = describes && hasOneChunkedLine && values("content-length").isEmpty && version == .http1_1
        guard !isFit, !isChunked else { return }
        replaceFraming(with: describes && !hasTransferCoding ? length.map { (false, "\($0)") } : nil)
    }

    /// - Parameter endsWithConnection: without a length the content ends when the connection closes.
    private mutating func fitFraming(endsWithConnection: Bool) {
        let lengths = values("content-length")
        let size = UInt64(content.bytes.readableBytes)
        let isWhole = if case .whole = content { true } else { false }
        let hasChunks = version == .http1_1
        let needsChunks = hasChunks && trailers != nil
        if hasTransferCoding {
            if hasChunks, hasOneChunkedLine, lengths.isEmpty { return }
        } else if lengths.isEmpty {
            // HTTP/2 marks the end itself. Cut content is visible only with a length or chunks.
            let isOpen = endsWithConnection ? isWhole : isWhole && size == 0
            if !needsChunks, version.major >= 2 || isOpen { return }
        } else if let length = announcedLength, !needsChunks, isWhole ? length == size : length > size {
            return
        }
        let keepsChunks = hasChunks && (needsChunks || !isWhole || isChunkedLast)
        if keepsChunks {
            replaceFraming(with: (true, "chunked"))
        } else if isWhole, version.major < 2 || !lengths.isEmpty {
            replaceFraming(with: (false, "\(size)"))
        } else {
            replaceFraming(with: nil)
        }
    }

    private var hasOneChunkedLine: Bool {
        let values = values("transfer-encoding")
        return values.count == 1 && values[0].isName("chunked")
    }

    private var isChunkedLast: Bool { values("transfer-encoding").last?.listElements().last?.isName("chunked") ?? false }

    /// Removes all fields of framing, and inserts one, or none, at the position of the first.
    private mutating func replaceFraming(with field: (isCoding: Bool, value: String)?) {
        func isFraming(_ field: (name: ByteBuffer, value: ByteBuffer)) -> Bool {
            field.name.isName("content-length") || field.name.isName("transfer-encoding")
        }
        let old = head.fields.filter(isFraming)
        for field in old { notes.append(FlowNote.changed(field: field.name.latin1, value: field.value.latin1)) }
        let place = head.fields.firstIndex(where: isFraming) ?? head.fields.count
        head.fields.removeAll(where: isFraming)
        guard let field else { return }
        let name: StaticString = field.isCoding ? "transfer-encoding" : "content-length"
        let written = old.first { $0.name.isName(name) }?.name
        let usual = field.isCoding ? "Transfer-Encoding" : "Content-Length"
        head.fields.insert(
            (written ?? ByteBuffer(string: version.major >= 2 ? usual.lowercased() : usual), ByteBuffer(string: field.value)),
            at: place)
        if old.isEmpty { notes.append("\(usual): \(field.value) was added: the file has no length") }
    }

    /// Appends the notes, the content and the end to a flow.
    func finish(_ side: Side, at: Timestamp, into flow: inout FlowAssembler) {
        for note in notes { flow.receive(.note(FlowNote(side: side, note)), at: at) }
        let bytes = content.bytes
        if bytes.readableBytes > 0 { flow.receive(.piece(FlowPiece(from: side, content: bytes)), at: at) }
        guard case .whole = content else { return }
        if let trailers { flow.receive(.trailers(from: side, trailers), at: at) }
        flow.receive(.finished(side), at: at)
    }
}

extension ByteBuffer {
    /// Whether these bytes are a name, in any case.
    func isName(_ name: StaticString) -> Bool { equalsIgnoringCase(ByteRange(0, readableBytes), name) }

    /// The text in UTF-8, or in ISO-8859-1 if it is not valid UTF-8.
    var latin1: String {
        String(validating: readableBytesView, as: UTF8.self)
            ?? String(String.UnicodeScalarView(readableBytesView.map { Unicode.Scalar($0) }))
    }

    /// A length of RFC 9110 section 8.6 in its usual form: digits without leading zeros.
    fileprivate var length: UInt64? {
        guard let first = readableBytesView.first, readableBytesView.allSatisfy({ $0 &- 0x30 < 10 }),
            first != 0x30 || readableBytes == 1
        else { return nil }
        return UInt64(String(buffer: self))
    }
}
