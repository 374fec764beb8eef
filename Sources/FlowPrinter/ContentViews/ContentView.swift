// Content for people: each kind of content has a view that turns it into lines. docs/how-to/content-view.md describes how to add one.

import HTTPSemantics
import NIOCore

/// A way to show content.
protocol ContentView: SendableMetatype {
    /// - Returns: nil if this view does not show such content.
    init?(_ content: ViewedContent)

    /// Writes the content, line by line.
    func write(into lines: inout CountedLines)
}

/// All views. The first one that accepts the content shows it, so views of one format come before ``TextView``, which accepts everything.
private let contentViews: [any ContentView.Type] = [
    ProtobufView.self,
    GRPCView.self,
    ImageView.self,
    BinaryView.self,
    JSONView.self,
    FormView.self,
    TextView.self,
]

/// Content and what is known of its type.
struct ViewedContent {
    /// Decoded content.
    let bytes: ByteBuffer
    /// The value of Content-Type; nil if there is none, or if the content could not be decoded and so has no known type.
    let type: ByteBuffer?
    /// The value of grpc-encoding.
    let messageCoding: ByteBuffer?
    /// The media type in lower case, without parameters; empty if it is not known.
    let media: String
    /// The charset parameter names ISO 8859-1 or Windows-1252.
    let isLatin1: Bool
    /// The colours of the output.
    var palette = Palette(isColoured: false)

    init(_ bytes: ByteBuffer, type: ByteBuffer? = nil, messageCoding: ByteBuffer? = nil) {
        self.bytes = bytes
        self.type = type
        self.messageCoding = messageCoding
        let parts = (type.map { String(buffer: $0) } ?? "").lowercased().split(separator: ";").map { $0.trimmingSpaces }
        media = parts.first ?? ""
        isLatin1 = parts.dropFirst().contains { $0.hasPrefix("charset=") && ($0.contains("8859-1") || $0.contains("1252")) }
    }

    /// Appends the content as the first view shows it that accepts it, each line indented by four spaces.
    /// - Parameter limits: lines and characters after these are left out, and their number is shown.
    func write(into out: inout ByteBuffer, limits: ContentLimits, palette: Palette) {
        var content = self
        content.palette = palette
        guard let view = contentViews.lazy.compactMap({ $0.init(content) }).first else { return }
        var lines = CountedLines(out, limits)
        // One owner at a time, so that nothing is copied.
        out = ByteBuffer()
        view.write(into: &lines)
        let count = lines.count
        out = lines.text
        if count > limits.lines { out.writeString("    (cut: \(count - limits.lines) more lines, --detail 4 shows them)\n") }
    }

    /// UTF-8 text, or text of a single-byte character set that the content type names.
    var isText: Bool { isLatin1 || Self.isText(bytes) }

    /// UTF-8 without control characters that text does not have, judged by its first 8 KiB.
    static func isText(_ bytes: ByteBuffer) -> Bool {
        let head = bytes.slice(ByteRange(0, min(8192, bytes.readableBytes)))
        let span = head.readableBytesUInt8Span
        for i in 0..<span.count
        where span[i] < 0x20 && span[i] != 0x0A && span[i] != 0x0D && span[i] != 0x09 && span[i] != 0x1B && span[i] != 0x0C {
            return false
        }
        // A character may be cut at the end of the checked bytes.
        return (0..<4).contains { String(validating: head.readableBytesView.dropLast($0), as: UTF8.self) != nil }
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        var text = self
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return String(text)
    }
}
