// Content with what is known of its type, and the choice of the view that shows it.

import HTTPSemantics
import NIOCore
import Protobuf

/// Content and what is known of its type.
struct ViewedContent {
    /// Content inside content, such as a part of multipart, has a view of its own up to here; below, it is shown as text or bytes.
    static let maximumDepth = 8

    /// Decoded content. Text in another character set is in UTF-8 here.
    let bytes: ByteBuffer
    /// Decoded content, text as it was sent.
    let original: ByteBuffer
    /// The value of Content-Type; nil without that field, or if the content could not be decoded and so has no known type.
    let type: ByteBuffer?
    /// The coding of single messages: the value of grpc-encoding, or of connect-content-encoding.
    let messageCoding: ByteBuffer?
    /// The media type in lower case, without parameters; empty if it is not known.
    let media: String
    /// Where the content was sent; nil for content inside other content, and for bytes that are no content of a message.
    var origin: ContentOrigin?
    /// The types of protobuf messages.
    var schema = ProtobufSchema.builtIn
    /// The user named the view, or the media type the format. Otherwise the view was chosen by looks, and may be stricter.
    var isExpected = true
    /// How many contents are around this one.
    private(set) var depth = 0

    init(_ bytes: ByteBuffer, type: ByteBuffer? = nil, messageCoding: ByteBuffer? = nil) {
        original = bytes
        self.type = type
        self.messageCoding = messageCoding
        let parts = (type.map { String(buffer: $0) } ?? "").lowercased().split(separator: ";").map { $0.trimmingSpaces }
        media = parts.first ?? ""
        let charset = parts.dropFirst().first { $0.hasPrefix("charset=") }.map {
            $0.dropFirst(8).filter { $0 != "\"" && $0 != "'" }
        }
        self.bytes = CharacterSet.decoded(bytes, media: media, charset: charset) ?? bytes
    }

    /// Content inside this content, such as a part or an event.
    func inner(_ bytes: ByteBuffer, type: ByteBuffer? = nil) -> ViewedContent {
        var inner = ViewedContent(bytes, type: type)
        inner.schema = schema
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

    /// It is text, in a character set that is known.
    var isText: Bool { Self.isText(bytes) }

    /// UTF-8 without control characters that text does not have, judged by its first 8 KiB.
    static func isText(_ bytes: ByteBuffer) -> Bool {
        let head = bytes.slice(ByteRange(0, min(8192, bytes.readableBytes)))
        let span = head.readableBytesUInt8Span
        for i in 0..<span.count
        where span[i] < 0x20 && span[i] != 0x0A && span[i] != 0x0D && span[i] != 0x09 && span[i] != 0x1B && span[i] != 0x0C {
            return false
        }
        let text = head.readableBytesView
        return String(validating: text.dropLast(text.cutCharacterLength), as: UTF8.self) != nil
    }
}

extension ByteBufferView {
    /// The number of bytes at the end that begin a character of UTF-8 without ending it.
    fileprivate var cutCharacterLength: Int {
        for (count, byte) in suffix(3).reversed().enumerated() where byte & 0xC0 != 0x80 {
            let length = byte >= 0xF0 && byte < 0xF5 ? 4 : byte >= 0xE0 && byte < 0xF0 ? 3 : byte >= 0xC2 && byte < 0xE0 ? 2 : 1
            return count + 1 < length ? count + 1 : 0
        }
        return 0
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
