// Style sheets with a line for each declaration (CSS Syntax Module Level 3).

import HTTPSemantics
import NIOCore

/// CSS by its media type.
struct StyleView: ContentView {
    static let name = "css"
    static let help = "text/css: a line for each declaration, if it is not laid out already"

    private let content: ByteBuffer

    static func fit(_ content: ViewedContent) -> ContentFit? { content.media == "text/css" ? .type : nil }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        guard content.isText else { throw .notText }
        self.content = content.bytes
    }

    func write(into lines: inout CountedLines) {
        if !StyleLayout.write(content, into: &lines) { lines.write(content) }
    }
}

/// Lines of CSS.
struct StyleLayout {
    private let content: ByteBuffer
    private var line: CodeLine
    private var depth = 0
    private var offset = 0
    /// In the current statement.
    private var hasColon = false
    /// Parentheses before this offset do not close.
    private var unclosedEnd = 0

    /// - Returns: false if the text is laid out already; nothing is written then.
    static func write(_ content: ByteBuffer, into lines: inout CountedLines) -> Bool {
        guard content.readableBytes <= CodeLine.maximumContent, !content.isLaidOut else { return false }
        var layout = StyleLayout(content)
        layout.write(into: &lines)
        return true
    }

    private init(_ content: ByteBuffer) {
        self.content = content
        line = CodeLine(content)
    }

    private mutating func write(into lines: inout CountedLines) {
        let count = content.readableBytes
        while offset < count {
            let start = offset
            let byte = content.readableBytesUInt8Span[start]
            switch byte {
            case UInt8(ascii: "{"):
                hasColon = false
                line.space()
                add(to: start + 1, nil, &lines)
                depth += 1
                skipBlanks()
                // An empty block stays on its line.
                if offset >= count || content.readableBytesUInt8Span[offset] != UInt8(ascii: "}") { line.end(&lines) }
            case UInt8(ascii: "}"):
                if !line.endsWith(UInt8(ascii: "{")) { line.end(&lines) }
                depth = max(0, depth - 1)
                add(to: start + 1, nil, &lines)
                line.end(&lines)
                hasColon = false
            case UInt8(ascii: ";"):
                hasColon = false
                add(to: start + 1, nil, &lines)
                line.end(&lines)
            case 0x0A, 0x0D:
                line.end(&lines)
                offset += 1
            case 0x20, 0x09, 0x0C:
                line.space()
                offset += 1
            default:
                part(byte, start, &lines)
            }
        }
        line.end(&lines)
    }

    private mutating func part(_ byte: UInt8, _ start: Int, _ lines: inout CountedLines) {
        if content.has("/*", at: start) {
            add(to: content.end(of: "*/", from: start + 2), .muted, &lines)
        } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
            add(to: endOfString(start), .string, &lines)
        } else if byte == UInt8(ascii: ":") {
            let isDeclaration = depth > 0 && !hasColon && isBeforeEndOfDeclaration(start)
            hasColon = true
            add(to: start + 1, nil, &lines)
            if isDeclaration { line.space() }
        } else if byte == UInt8(ascii: "(") {
            add(to: endOfParentheses(start), nil, &lines)
        } else {
            add(to: endOfPlain(start), nil, &lines)
        }
    }

    private mutating func add(to end: Int, _ role: Palette.Role?, _ lines: inout CountedLines) {
        line.add(ByteRange(offset, end), role, depth: depth, &lines)
        offset = end
    }

    private mutating func skipBlanks() {
        let content = content
        let span = content.readableBytesUInt8Span
        while offset < span.count, span[offset].isWhitespaceOrLineEnd { offset += 1 }
    }

    // MARK: Parts

    private func endOfPlain(_ start: Int) -> Int {
        let span = content.readableBytesUInt8Span
        var i = start
        while i < span.count, !Self.marks.contains(span[i]), i == start || span[i] != UInt8(ascii: "/") {
            i += span[i] == UInt8(ascii: "\\") ? 2 : 1
        }
        return min(max(i, start + 1), span.count)
    }

    private static let marks = Set("{};:\"'( \t\n\r\u{0C}".utf8)

    /// What follows a colon is the value of a declaration: a selector such as `a:hover` ends in a brace.
    private func isBeforeEndOfDeclaration(_ colon: Int) -> Bool {
        let span = content.readableBytesUInt8Span
        for i in colon..<min(colon + 4096, span.count) {
            if span[i] == UInt8(ascii: "{") { return false }
            if span[i] == UInt8(ascii: ";") || span[i] == UInt8(ascii: "}") { return true }
        }
        return true
    }

    /// A string ends at the end of its line at the latest.
    private func endOfString(_ start: Int) -> Int {
        let span = content.readableBytesUInt8Span
        var i = start + 1
        while i < span.count, span[i] != span[start], span[i] != 0x0A { i += span[i] == UInt8(ascii: "\\") ? 2 : 1 }
        return min(i < span.count && span[i] == span[start] ? i + 1 : i, span.count)
    }

    /// Parentheses hold selectors, or a URL without quotation marks, which may have a semicolon.
    private mutating func endOfParentheses(_ start: Int) -> Int {
        guard start >= unclosedEnd else { return start + 1 }
        let content = content
        let span = content.readableBytesUInt8Span
        var depth = 0
        var i = start
        scan: while i < span.count {
            switch span[i] {
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"):
                depth -= 1
                if depth == 0 { return i + 1 }
            case UInt8(ascii: "\""), UInt8(ascii: "'"): i = endOfString(i) - 1
            case UInt8(ascii: "\\"): i += 1
            // It does not close within the block.
            case UInt8(ascii: "{"), UInt8(ascii: "}"): break scan
            default: break
            }
            i += 1
        }
        unclosedEnd = i
        return start + 1
    }
}
