// The character set of content that is text: by a byte order mark, the charset parameter, the declaration in the text, or zero bytes. The order is
// that of browsers (WHATWG Encoding section 4.2, HTML section 13.2.3).

import ContentCoding
import HTTPSemantics
import NIOCore

enum CharacterSet {
    /// Bytes in which a declaration is searched.
    private static let searched = 1024

    /// Text in UTF-8, without a byte order mark.
    /// - Parameters:
    ///   - media: the media type in lower case; empty if it is not known.
    ///   - charset: the value of the parameter; nil without one.
    /// - Returns: nil for bytes that are UTF-8 already, or no text.
    static func decoded(_ bytes: ByteBuffer, media: String, charset: String?) -> ByteBuffer? {
        guard bytes.readableBytes > 0, mayBeText(media) || charset != nil else { return nil }
        let head = bytes.slice(ByteRange(0, min(searched, bytes.readableBytes)))
        if let mark = ByteOrderMark(head) {
            let text = bytes.slice(ByteRange(mark.length, bytes.readableBytes))
            if mark.charset == "utf-8" { return text }
            if isText(text, mark.charset) { return decodeText(text, charset: mark.charset) }
        }
        if let charset {
            return isUTF8(charset) ? nil : decodeText(bytes, charset: charset)
        }
        if let wide = charsetOfZeros(head), media != "", isText(bytes, wide) { return decodeText(bytes, charset: wide) }
        if let declared = declaredCharset(head, media), !isUTF8(declared) { return decodeText(bytes, charset: declared) }
        // What browsers take text for that names no character set, and is not UTF-8.
        guard media.hasPrefix("text/"), !ViewedContent.isText(bytes), isText(bytes, "windows-1252") else { return nil }
        return decodeText(bytes, charset: "windows-1252")
    }

    private static func isUTF8(_ charset: String) -> Bool { ["utf-8", "utf8"].contains(charset.lowercased()) }

    private static func mayBeText(_ media: String) -> Bool {
        media.isEmpty || media.hasPrefix("text/") || media.hasSuffix("json") || media.hasSuffix("xml") || media.hasSuffix("script")
            || media == "application/x-www-form-urlencoded" || media == "application/graphql"
    }

    /// The beginning has no characters that text does not have.
    private static func isText(_ bytes: ByteBuffer, _ charset: String) -> Bool {
        // An even number of bytes, so that no character of UTF-16 or UTF-32 is cut but by a pair of surrogates.
        let head = bytes.slice(ByteRange(0, min(4096, bytes.readableBytes)))
        guard let text = decodeText(head, charset: charset) else { return false }
        let span = text.readableBytesUInt8Span
        for i in 0..<span.count where span[i] < 0x20 && !span[i].isWhitespaceOrLineEnd && span[i] != 0x0C && span[i] != 0x1B {
            return false
        }
        guard charset.hasPrefix("utf") else { return true }
        let replaced = String(buffer: text).unicodeScalars.count { $0 == "\u{FFFD}" }
        return replaced == 0 || replaced == 1 && head.readableBytes < bytes.readableBytes
    }

    /// UTF-16 or UTF-32 without a mark: the first characters are ASCII (RFC 4627 section 3).
    private static func charsetOfZeros(_ head: ByteBuffer) -> String? {
        guard let first: UInt32 = head.getInteger(at: head.readerIndex) else { return nil }
        switch (first >> 24 != 0, first >> 16 & 0xFF != 0, first >> 8 & 0xFF != 0, first & 0xFF != 0) {
        case (true, false, true, false): return "utf-16le"
        case (false, true, false, true): return "utf-16be"
        case (true, false, false, false): return "utf-32le"
        case (false, false, false, true): return "utf-32be"
        default: return nil
        }
    }

    /// The encoding of an XML declaration, or of a meta element of HTML.
    private static func declaredCharset(_ head: ByteBuffer, _ media: String) -> String? {
        let text = String(decoding: head.readableBytesView.map { $0 < 0x80 ? $0 : 0x3F }, as: UTF8.self)
        if let match = text.firstMatch(of: #/^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']/#) {
            return String(match.1)
        }
        guard media == "text/html" || media.isEmpty && text.contains("<html") else { return nil }
        return text.firstMatch(of: #/(?i)<meta[^>]*?charset\s*=\s*["']?\s*([A-Za-z0-9._:-]+)/#).map { String($0.1) }
    }
}

/// The mark at the beginning of text (Unicode section 23.8).
private struct ByteOrderMark {
    let charset: String
    let length: Int

    init?(_ head: ByteBuffer) {
        let marks: [(charset: String, bytes: [UInt8])] = [
            ("utf-32le", [0xFF, 0xFE, 0, 0]), ("utf-32be", [0, 0, 0xFE, 0xFF]), ("utf-8", [0xEF, 0xBB, 0xBF]),
            ("utf-16le", [0xFF, 0xFE]),
            ("utf-16be", [0xFE, 0xFF]),
        ]
        guard let mark = marks.first(where: { head.readableBytesView.starts(with: $0.bytes) }) else { return nil }
        (charset, length) = (mark.charset, mark.bytes.count)
    }
}
