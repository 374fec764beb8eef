// JavaScript with a line for each statement.

import HTTPSemantics
import NIOCore

/// JavaScript by its media type.
struct ScriptView: ContentView {
    static let name = "javascript"
    static let help = "text/javascript: a line for each statement, if it is not laid out already"

    private let content: ByteBuffer

    static func fit(_ content: ViewedContent) -> ContentFit? {
        content.media.hasSuffix("/javascript") || content.media.hasSuffix("/x-javascript") || content.media.hasSuffix("/ecmascript")
            ? .type : nil
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        guard content.isText else { throw .notText }
        self.content = content.bytes
    }

    func write(into lines: inout CountedLines) {
        if !ScriptLayout.write(content, into: &lines) { lines.write(content) }
    }
}

/// Lines of JavaScript. Line ends of the text stay, because they may end statements; others are added after braces and semicolons.
struct ScriptLayout {
    private struct Bracket {
        var byte: UInt8
        var isObject: Bool
        /// Of the line in which it is.
        var depth: Int
    }

    private let content: ByteBuffer
    private var tokens: ScriptTokens
    private var brackets: [Bracket] = []
    private var line: CodeLine

    /// - Returns: false if the text is laid out already, or is not certainly JavaScript; nothing is written then.
    static func write(_ content: ByteBuffer, into lines: inout CountedLines) -> Bool {
        guard content.readableBytes <= CodeLine.maximumContent, !content.isLaidOut, isReadable(content) else { return false }
        var layout = ScriptLayout(content)
        layout.write(into: &lines)
        return true
    }

    private static func isReadable(_ content: ByteBuffer) -> Bool {
        var tokens = ScriptTokens(content)
        do throws(ContentMismatch) {
            while try tokens.next() != nil {}
            try tokens.checkEnd()
            return true
        } catch {
            return false
        }
    }

    private init(_ content: ByteBuffer) {
        self.content = content
        tokens = ScriptTokens(content)
        line = CodeLine(content)
    }

    private mutating func write(into lines: inout CountedLines) {
        while true {
            let previous = tokens.previous
            // Checked before: the text has no errors.
            guard let token = (try? tokens.next()) ?? nil else { break }
            write(token, previous, &lines)
        }
        line.end(&lines)
    }

    private mutating func write(_ token: ScriptToken, _ previous: ScriptToken?, _ lines: inout CountedLines) {
        switch token.kind {
        case .lineEnd: line.end(&lines)
        case .blanks: line.space()
        case .punctuator: punctuator(token, previous, &lines)
        case .lineComment:
            add(token, &lines)
            line.end(&lines)
        case .comment, .template, .string: add(token, &lines)
        case .word, .regex: add(token, &lines)
        }
    }

    private mutating func add(_ token: ScriptToken, _ lines: inout CountedLines) {
        line.add(token.range, Self.role(token.kind), depth: (brackets.last?.depth ?? -1) + 1, &lines)
    }

    private static func role(_ kind: ScriptToken.Kind) -> Palette.Role? {
        switch kind {
        case .comment, .lineComment: .muted
        case .string, .template, .regex: .string
        default: nil
        }
    }

    private mutating func punctuator(_ token: ScriptToken, _ previous: ScriptToken?, _ lines: inout CountedLines) {
        let byte = content.readableBytesUInt8Span[Int(token.range.start)]
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "("), UInt8(ascii: "["):
            let isBrace = byte == UInt8(ascii: "{")
            let isObject = isBrace && ScriptBrace(content, previous) == .object
            // `a) {` and `else {`, but `=>{`.
            if isBrace, !isObject, !line.endsWith(UInt8(ascii: ">")) { line.space() }
            add(token, &lines)
            brackets.append(Bracket(byte: byte, isObject: isObject, depth: line.depth))
            if isBrace, tokens.peek() != ByteBuffer(string: "}") { line.end(&lines) }
        case UInt8(ascii: "}"), UInt8(ascii: ")"), UInt8(ascii: "]"):
            close(token, byte, &lines)
        case UInt8(ascii: ";"):
            add(token, &lines)
            if brackets.last.map({ $0.byte == UInt8(ascii: "{") }) ?? true, !isComment(tokens.peek()) { line.end(&lines) }
        case UInt8(ascii: ","):
            add(token, &lines)
            if let last = brackets.last, last.isObject, !isComment(tokens.peek()) { line.end(&lines) }
        default:
            add(token, &lines)
        }
    }

    private mutating func close(_ token: ScriptToken, _ byte: UInt8, _ lines: inout CountedLines) {
        guard let bracket = brackets.popLast() else { return add(token, &lines) }
        let isBrace = byte == UInt8(ascii: "}")
        let isEmpty = line.endsWith(UInt8(ascii: "{"))
        if isBrace, !isEmpty { line.end(&lines) }
        line.add(token.range, nil, depth: bracket.depth, &lines)
        guard isBrace, !bracket.isObject else { return }
        let next = tokens.peek()
        let text = String(buffer: next.slice(ByteRange(0, min(8, next.readableBytes))))
        if ["else", "catch", "finally", "while"].contains(text) {
            line.space()
        } else if let first = next.readableBytesView.first, !Self.continuing.contains(first) {
            line.end(&lines)
        }
    }

    /// After these a line continues that a brace has ended.
    private static let continuing = Set(")],;.(?:=&|+*<>!~^%-`/".utf8)

    private func isComment(_ next: ByteBuffer) -> Bool { next.has("//", at: 0) || next.has("/*", at: 0) }
}
