// Tags, text and comments of HTML and XML, read tolerantly: every byte belongs to one token, and nothing is an error. The rules are those of
// the WHATWG's tokenizer (HTML section 13.2.5) as far as they decide where a token ends, and those of XML 1.0 for CDATA and instructions.

import HTTPSemantics
import NIOCore

/// A run of bytes with one meaning.
struct MarkupToken {
    enum Kind: UInt8 {
        case text
        case open
        /// `<name/>`, and elements of HTML that never have content.
        case empty
        case close
        case comment
        /// `<!DOCTYPE …>`, `<?…?>`.
        case declaration
        /// CDATA, the content of script and the like, and what comes after the last token that is read.
        case verbatim
    }

    var kind: Kind
    /// Offsets in the content, and the length of the name, which begins after `<` or `</`.
    var start: Int32
    var end: Int32
    var nameLength: UInt16 = 0
    /// Of the name, without regard to case in HTML: most names that differ have different ones.
    var nameHash: UInt32 = 0
    /// Of an opening tag: the index of its closing tag, or of the first token that is no longer in the element.
    var partner: Int32 = -1
    var hasCloseTag = false
    /// Of an opening tag: it has text besides white space, and elements that begin lines.
    var hasText = false
    var hasBlocks = false
    /// The tag stands within a line of text.
    var isInline = false

    init(_ kind: Kind, _ start: Int, _ end: Int, nameLength: Int = 0) {
        self.kind = kind
        self.start = Int32(truncatingIfNeeded: start)
        self.end = Int32(truncatingIfNeeded: end)
        self.nameLength = UInt16(clamping: nameLength)
    }
}

/// Reads tokens.
struct MarkupTokens {
    /// Content after this number of tokens is one more token, which is shown as it is.
    static let maximum = 1 << 18
    /// A longer tag is text.
    private static let maximumTag = 64 * 1024

    private let content: ByteBuffer
    private let isHTML: Bool
    private var tokens: [MarkupToken] = []
    /// Bytes that may still be searched in vain for the end of a tag. Content without such ends must not take long.
    private var patience: Int

    private init(_ content: ByteBuffer, isHTML: Bool) {
        self.content = content
        self.isHTML = isHTML
        patience = 4 * content.readableBytes + Self.maximumTag
    }

    /// - Parameter content: less than 2 GiB.
    static func read(_ content: ByteBuffer, isHTML: Bool) -> [MarkupToken] {
        var reader = MarkupTokens(content, isHTML: isHTML)
        reader.readAll()
        return reader.tokens
    }

    private mutating func readAll() {
        let count = content.readableBytes
        var i = 0
        while i < count {
            guard tokens.count < Self.maximum, patience > 0 else {
                tokens.append(MarkupToken(.verbatim, i, count))
                return
            }
            let token = token(at: i)
            i = Int(token.end)
            // A `<` that begins no tag is part of the text around it.
            if token.kind == .text, tokens.last?.kind == .text {
                tokens[tokens.count - 1].end = token.end
            } else {
                tokens.append(token)
            }
            if isHTML, token.kind == .open, let end = endOfRawText(after: token) {
                if end > i { tokens.append(MarkupToken(.verbatim, i, end)) }
                i = end
            }
        }
    }

    private mutating func token(at start: Int) -> MarkupToken {
        let content = content
        let span = content.readableBytesUInt8Span
        guard span[start] == UInt8(ascii: "<"), start + 1 < span.count else {
            return MarkupToken(.text, start, content.index(of: UInt8(ascii: "<"), from: start + 1))
        }
        let second = span[start + 1]
        if second == UInt8(ascii: "!") {
            if content.has("<!--", at: start) { return MarkupToken(.comment, start, content.end(of: "-->", from: start + 4)) }
            if content.has("<![CDATA[", at: start) { return MarkupToken(.verbatim, start, content.end(of: "]]>", from: start + 9)) }
            return MarkupToken(.declaration, start, endOfDeclaration(start))
        }
        if second == UInt8(ascii: "?") {
            return MarkupToken(.declaration, start, isHTML ? content.end(of: ">", from: start) : content.end(of: "?>", from: start))
        }
        let isClose = second == UInt8(ascii: "/")
        let name = start + (isClose ? 2 : 1)
        guard name < span.count, span[name].beginsName, let end = endOfTag(from: name) else {
            return MarkupToken(.text, start, start + 1)
        }
        var nameEnd = name
        while nameEnd < end, span[nameEnd].isInName { nameEnd += 1 }
        var kind: MarkupToken.Kind = isClose ? .close : .open
        if !isClose, span[end - 2] == UInt8(ascii: "/") { kind = .empty }
        if !isClose, isHTML, HTMLNames.void.contains(content.lowercasedName(name, nameEnd)) { kind = .empty }
        var token = MarkupToken(kind, start, end, nameLength: nameEnd - name)
        for i in name..<nameEnd { token.nameHash = token.nameHash &* 31 &+ UInt32(isHTML ? span[i].lowercased : span[i]) }
        return token
    }

    /// After the `>` of a tag, which may stand in the value of an attribute; nil when it does not end.
    private mutating func endOfTag(from start: Int) -> Int? {
        let content = content
        let span = content.readableBytesUInt8Span
        var i = start
        var isValue = false
        let end = min(span.count, start + Self.maximumTag)
        while i < end {
            let byte = span[i]
            if byte == UInt8(ascii: ">") { return i + 1 }
            if isValue, byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                i += 1
                while i < end, span[i] != byte { i += 1 }
                isValue = false
            } else if byte == UInt8(ascii: "=") {
                isValue = true
            } else if !byte.isWhitespaceOrLineEnd {
                isValue = false
            }
            i += 1
        }
        patience -= end - start
        return nil
    }

    /// A document type may have declarations in brackets.
    private mutating func endOfDeclaration(_ start: Int) -> Int {
        let content = content
        let span = content.readableBytesUInt8Span
        var depth = 0
        let end = min(span.count, start + Self.maximumTag)
        for i in start..<end {
            switch span[i] {
            case UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: ">") where depth <= 0: return i + 1
            default: break
            }
        }
        patience -= end - start
        // Without its end it is one tag, as short as possible.
        return content.end(of: ">", from: start)
    }

    /// Where the content of script, style and the like ends; nil for other elements.
    private func endOfRawText(after tag: MarkupToken) -> Int? {
        let name = content.lowercasedName(Int(tag.start) + 1, Int(tag.start) + 1 + Int(tag.nameLength))
        guard HTMLNames.raw.contains(name) else { return nil }
        let span = content.readableBytesUInt8Span
        var i = Int(tag.end)
        while true {
            i = content.index(of: UInt8(ascii: "<"), from: i)
            guard i + 1 < span.count else { return span.count }
            let end = i + 2 + name.utf8.count
            if span[i + 1] == UInt8(ascii: "/"), end <= span.count, content.lowercasedName(i + 2, end) == name,
                end == span.count || !span[end].isInName
            {
                return i
            }
            i += 1
        }
    }
}

/// Names of HTML that decide how it is laid out.
enum HTMLNames {
    /// Elements without content (HTML section 13.1.2).
    static let void: Set<String> = [
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
    ]
    /// Elements whose content is not markup.
    static let raw: Set<String> = ["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "plaintext"]
    /// Elements whose white space is shown.
    static let preformatted: Set<String> = ["pre", "textarea", "listing", "xmp", "plaintext"]
    /// Elements that stand within a line of text.
    static let inline: Set<String> = [
        "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "br", "button", "cite", "code", "data", "del", "dfn", "em", "font", "i",
        "img",
        "input", "ins", "kbd", "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt",
        "u", "var",
        "wbr",
    ]
    /// For an opening tag: the open elements that it ends (HTML section 13.1.2.4).
    static let ends: [String: Set<String>] = [
        "li": ["li"], "dt": ["dt", "dd"], "dd": ["dt", "dd"], "tr": ["tr", "td", "th"], "td": ["td", "th"], "th": ["td", "th"],
        "tbody": ["thead", "tbody", "tfoot", "tr", "td", "th"], "thead": ["thead", "tbody", "tfoot", "tr", "td", "th"],
        "tfoot": ["thead", "tbody", "tfoot", "tr", "td", "th"], "option": ["option"], "optgroup": ["option", "optgroup"],
        "body": ["head"],
    ]
    /// Opening tags that end a paragraph.
    static let endParagraph: Set<String> = [
        "address", "article", "aside", "blockquote", "center", "details", "dialog", "dir", "div", "dl", "fieldset", "figcaption",
        "figure",
        "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "main", "menu", "nav", "ol", "p", "pre",
        "section",
        "table", "ul",
    ]
}

extension UInt8 {
    fileprivate var beginsName: Bool { lowercased &- 0x61 < 26 || self == 0x5F || self == 0x3A || self >= 0x80 }

    fileprivate var isInName: Bool {
        !isWhitespaceOrLineEnd && self != UInt8(ascii: "/") && self != UInt8(ascii: ">") && self != UInt8(ascii: "=")
            && self != 0x0C
    }
}

extension ByteBuffer {
    /// The offset of a byte at or after an offset; the count of bytes when it does not occur.
    func index(of byte: UInt8, from start: Int) -> Int {
        let span = readableBytesUInt8Span
        var i = start
        while i < span.count, span[i] != byte { i += 1 }
        return Swift.min(i, span.count)
    }

    /// Whether a text stands at an offset.
    func has(_ text: StaticString, at offset: Int) -> Bool {
        equals(ByteRange(offset, offset + text.utf8CodeUnitCount), text)
    }

    /// The offset after the next occurrence of a text; the count of bytes when it does not occur.
    func end(of text: StaticString, from start: Int) -> Int {
        let first = unsafe text.utf8Start[0]
        var i = start
        while true {
            i = index(of: first, from: i)
            guard i + text.utf8CodeUnitCount <= readableBytes else { return readableBytes }
            if has(text, at: i) { return i + text.utf8CodeUnitCount }
            i += 1
        }
    }

    /// A name in lower case; names that are not ASCII or are long are never those of HTML.
    func lowercasedName(_ start: Int, _ end: Int) -> String {
        guard end - start <= 16 else { return "" }
        return String(buffer: slice(ByteRange(start, end))).lowercased()
    }
}
