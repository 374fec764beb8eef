// Content with what is known of its type, and the choice of the view that shows it.

import HTTPSemantics
import NIOCore

/// Content and what is known of its type.
struct ViewedContent {
    /// Content inside content, such as a part of multipart, has a view of its own up to here; below, it is shown as text or bytes.
    static let maximumDepth = 8

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
    /// Where the content was sent; nil for content inside other content, and for bytes that are no content of a message.
    var origin: ContentOrigin?
    /// The user named the view, or the media type the format. Otherwise the view was chosen by looks, and may be stricter.
    var isExpected = true
    /// How many contents are around this one.
    private(set) var depth = 0

    init(_ bytes: ByteBuffer, type: ByteBuffer? = nil, messageCoding: ByteBuffer? = nil) {
        self.bytes = bytes
        self.type = type
        self.messageCoding = messageCoding
        let parts = (type.map { String(buffer: $0) } ?? "").lowercased().split(separator: ";").map { $0.trimmingSpaces }
        media = parts.first ?? ""
        isLatin1 = parts.dropFirst().contains { $0.hasPrefix("charset=") && ($0.contains("8859-1") || $0.contains("1252")) }
    }

    /// Content inside this content, such as a part or an event.
    func inner(_ bytes: ByteBuffer, type: ByteBuffer? = nil) -> ViewedContent {
        var inner = ViewedContent(bytes, type: type)
        inner.depth = depth + 1
        return inner
    }

    /// Appends the content as a view shows it, each line indented by four spaces.
    /// - Parameters:
    ///   - choice: a view that the user named. If it cannot show the content, a line tells why, and the content is shown as usual.
    ///   - limits: lines and characters after these are left out, and their number is shown.
    func write(into out: inout ByteBuffer, as choice: ContentViewChoice = .automatic, limits: ContentLimits, palette: Palette) {
        CountedLines.append(to: &out, limits, palette) { write(into: &$0, as: choice) }
    }

    /// Writes the content as a view shows it.
    func write(into lines: inout CountedLines, as choice: ContentViewChoice = .automatic) {
        var mismatch: (name: String, reason: String)?
        if let named = choice.view {
            do throws(ContentMismatch) {
                return try named.init(self).show(in: &lines)
            } catch {
                mismatch = (named.name, error.reason)
            }
        }
        let views = depth > Self.maximumDepth ? [BinaryView.self, TextView.self] : contentViews
        for view in views {
            guard let fit = view.fit(self) else { continue }
            var content = self
            content.isExpected = fit == .type
            do throws(ContentMismatch) {
                let shown = try view.init(content)
                if let mismatch { lines.remark("shown as \(view.name), not as \(mismatch.name): \(mismatch.reason)") }
                return shown.show(in: &lines)
            } catch {
                if fit == .type, mismatch == nil { mismatch = (view.name, error.reason) }
            }
        }
    }

    // MARK: Looks

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

/// Where content was sent.
struct ContentOrigin {
    var side: Side
    /// Of the request.
    var method: ByteBuffer?
    /// The request-target.
    var target: ByteBuffer?
    /// The fields of the message whose content it is.
    var fields: FieldSection?
    /// When the pieces of the content were received, in order; nil if that is not known, or does not fit the decoded content.
    var pieces: [ContentPiece]?
    /// A WebSocket message: the subprotocol that the server chose (RFC 6455 section 1.9).
    var subprotocol: ByteBuffer?
}

/// A piece of content, as it was received.
struct ContentPiece {
    /// Where it ends: bytes from the beginning of the content.
    var end: Int
    /// Nanoseconds from the start of the flow.
    var after: Int64
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        var text = self
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return String(text)
    }
}
