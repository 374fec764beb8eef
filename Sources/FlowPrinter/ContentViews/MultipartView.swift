// Content in parts (RFC 2046 section 5.1; forms of them: RFC 7578).

import ContentFormats
import HTTPSemantics
import NIOCore

/// The parts of multipart content: a line for each, its head, and its content through its own view.
struct MultipartView: ContentView {
    static let name = "multipart"
    static let help = "multipart/…: the parts with their heads, each through its own view, also in one another"

    /// The longest boundary, guessed or given (RFC 2046 allows 70).
    private static let maximumBoundary = 1000

    private let content: ViewedContent
    private let boundary: ByteBuffer
    private let partCount: Int

    static func fit(_ content: ViewedContent) -> ContentFit? { content.media.hasPrefix("multipart/") ? .type : nil }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        self.content = content
        let parameter = content.type.flatMap { FieldParameters($0)["boundary"] }
        guard let boundary = parameter ?? Self.guessed(content.bytes) else {
            throw ContentMismatch("the media type has no boundary, and the content does not begin with one")
        }
        guard boundary.readableBytes > 0, boundary.readableBytes <= Self.maximumBoundary else {
            throw ContentMismatch("the boundary is \(boundary.readableBytes == 0 ? "empty" : "too long")")
        }
        self.boundary = boundary
        var reader = MultipartReader(content.bytes, boundary: boundary)
        var count = 0
        while reader.next() != nil { count += 1 }
        partCount = count
        if count == 0, reader.epilogue == nil { throw ContentMismatch("no line has its boundary") }
    }

    /// The boundary of content that begins with one.
    private static func guessed(_ content: ByteBuffer) -> ByteBuffer? {
        let span = content.readableBytesUInt8Span
        guard span.count > 2, span[0] == 0x2D, span[1] == 0x2D else { return nil }
        var end = 2
        while end < span.count, end <= maximumBoundary, span[end] > 0x20, span[end] < 0x7F { end += 1 }
        guard end > 2, end < span.count, span[end].isWhitespaceOrLineEnd else { return nil }
        return content.slice(ByteRange(2, end))
    }

    var title: String? {
        let media = content.media.hasPrefix("multipart/") ? content.media : "multipart"
        return "\(media), \(partCount) part\(partCount == 1 ? "" : "s")"
    }

    func write(into lines: inout CountedLines) {
        var reader = MultipartReader(content.bytes, boundary: boundary)
        var number = 0
        while !lines.isFull, let part = reader.next() {
            if number == 0 { surroundings("before the first part", reader.preamble, &lines) }
            number += 1
            let size = readableSize(UInt64(part.content.readableBytes))
            lines.line(0) { $0.writeString("part \(number), \(size)") }
            lines.indented { write(part, &$0) }
            if part.isUnended { lines.remark("no boundary ends the part") }
        }
        if number == 0 { surroundings("before the end", reader.preamble, &lines) }
        surroundings("after the last part", reader.epilogue ?? ByteBuffer(), &lines)
        if number > 0, reader.epilogue == nil { lines.remark("the last boundary is missing") }
    }

    private func surroundings(_ place: String, _ text: ByteBuffer, _ lines: inout CountedLines) {
        guard text.trimmed().readableBytes > 0 else { return }
        lines.line(0) { $0.writeString("\(place), \(readableSize(UInt64(text.readableBytes)))") }
        lines.indented { content.inner(text).write(into: &$0) }
    }

    private func write(_ part: MultipartReader.Part, _ lines: inout CountedLines) {
        let palette = lines.palette
        for field in part.head.lines {
            if lines.isFull { return }
            lines.line(0) { out in
                let colon = field.readableBytesView.firstIndex(of: UInt8(ascii: ":")).map { $0 - field.readerIndex } ?? 0
                palette.write(.name, into: &out) { $0.writeVisible(field.slice(ByteRange(0, colon))) }
                out.writeVisible(field.slice(ByteRange(colon, field.readableBytes)))
            }
        }
        if part.isHeadUnended { lines.remark("no empty line ends the head") }
        guard part.content.readableBytes > 0 else { return }
        let fields = FieldSection(parsing: part.head)
        var type = fields.first("content-type")
        var shown = part.content
        var remark: String?
        if let coding = fields.first("content-transfer-encoding").map({ String(buffer: $0).lowercased() }) {
            (shown, remark) = Self.decoded(part.content, coding)
            // The media type does not describe bytes that could not be decoded.
            if remark != nil { type = nil }
        }
        lines.indented { content.inner(shown, type: type).write(into: &$0) }
        if let remark { lines.remark(remark) }
    }

    /// RFC 2045 section 6. RFC 7578 section 4.7 deprecates it for forms, and senders still use it.
    private static func decoded(_ content: ByteBuffer, _ coding: String) -> (ByteBuffer, remark: String?) {
        switch coding {
        case "7bit", "8bit", "binary": return (content, nil)
        case "quoted-printable": return (content.quotedPrintableDecoded, nil)
        case "base64":
            if let decoded = Base64.decode(content, ignoresWhitespace: true) { return (decoded, nil) }
            return (content, "it is not valid base64, and is shown as it was sent")
        default: return (content, "its transfer encoding is not known; it is shown as it was sent")
        }
    }
}
