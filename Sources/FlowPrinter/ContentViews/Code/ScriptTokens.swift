// JavaScript as tokens (ECMA-262 section 12), far enough to know what is a string, a template, a regular expression or a comment. Whether a
// slash begins a regular expression depends on the grammar; here the token before it decides, which is wrong in rare cases only.

import HTTPSemantics
import NIOCore

/// A token, and where it is.
struct ScriptToken {
    enum Kind {
        case blanks
        case lineEnd
        case lineComment
        case comment
        case string
        case template
        case regex
        /// A name, a keyword or a number.
        case word
        case punctuator
    }

    var kind: Kind
    var range: ByteRange
}

struct ScriptTokens {
    private static let maximumDepth = 1000

    private let content: ByteBuffer
    private var offset = 0
    /// The last token that is not white space or a comment.
    private(set) var previous: ScriptToken?
    /// Open parentheses, brackets and braces; of each whether a slash after its end begins a regular expression.
    private var isRegexAfter: [Bool] = []
    private var isRegexAfterLast = true

    init(_ content: ByteBuffer) { self.content = content }

    /// - Returns: nil at the end.
    /// - Throws: ``ContentMismatch`` where the text is not JavaScript, or is ambiguous.
    mutating func next() throws(ContentMismatch) -> ScriptToken? {
        let content = content
        let span = content.readableBytesUInt8Span
        guard offset < span.count else { return nil }
        let start = offset
        let byte = span[start]
        let kind: ScriptToken.Kind
        switch byte {
        case 0x0A, 0x0D:
            offset += byte == 0x0D && start + 1 < span.count && span[start + 1] == 0x0A ? 2 : 1
            kind = .lineEnd
        case 0x20, 0x09, 0x0B, 0x0C:
            while offset < span.count, [0x20, 0x09, 0x0B, 0x0C].contains(span[offset]) { offset += 1 }
            kind = .blanks
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            offset = try endOfString(start)
            kind = .string
        case UInt8(ascii: "`"):
            offset = try endOfTemplate(start)
            kind = .template
        case UInt8(ascii: "/"):
            kind = try slash(start)
        case _ where byte.isInWord:
            while offset < span.count, span[offset].isInWord { offset += 1 }
            kind = .word
        default:
            offset += 1
            kind = .punctuator
        }
        let token = ScriptToken(kind: kind, range: ByteRange(start, offset))
        switch kind {
        case .blanks, .lineEnd, .lineComment, .comment: break
        default: try take(token, byte)
        }
        return token
    }

    /// The bytes of the next token that is not white space or a comment on this line; empty at the end of the line.
    func peek() -> ByteBuffer {
        var copy = self
        while let token = (try? copy.next()) ?? nil {
            switch token.kind {
            case .blanks: continue
            case .lineEnd: return ByteBuffer()
            default: return content.slice(token.range)
            }
        }
        return ByteBuffer()
    }

    private mutating func take(_ token: ScriptToken, _ byte: UInt8) throws(ContentMismatch) {
        switch (token.kind, byte) {
        case (.punctuator, UInt8(ascii: "(")):
            // `if (a) /b/` and the like.
            let isCondition = previous.map { content.isWord($0, Self.conditions) } ?? false
            isRegexAfter.append(isCondition)
        case (.punctuator, UInt8(ascii: "[")): isRegexAfter.append(false)
        case (.punctuator, UInt8(ascii: "{")): isRegexAfter.append(ScriptBrace(content, previous) == .block)
        case (.punctuator, UInt8(ascii: ")")), (.punctuator, UInt8(ascii: "]")), (.punctuator, UInt8(ascii: "}")):
            guard let last = isRegexAfter.popLast() else { throw mismatch(token, "a bracket that was not opened") }
            isRegexAfterLast = last
        default: break
        }
        guard isRegexAfter.count <= Self.maximumDepth else { throw mismatch(token, "brackets nested too deep") }
        previous = token
    }

    /// - Throws: when brackets are open at the end.
    func checkEnd() throws(ContentMismatch) {
        guard isRegexAfter.isEmpty else { throw ContentMismatch("\(isRegexAfter.count) brackets are not closed") }
    }

    private func mismatch(_ token: ScriptToken, _ reason: String) -> ContentMismatch {
        ContentMismatch("byte \(token.range.start): \(reason)")
    }

    // MARK: Literals

    private func endOfString(_ start: Int) throws(ContentMismatch) -> Int {
        let span = content.readableBytesUInt8Span
        var i = start + 1
        while i < span.count, span[i] != span[start] {
            guard span[i] != 0x0A else { break }
            i += span[i] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard i < span.count, span[i] == span[start] else { throw ContentMismatch("byte \(start): a string does not end") }
        return i + 1
    }

    /// Templates hold expressions, which hold templates.
    private func endOfTemplate(_ start: Int) throws(ContentMismatch) -> Int {
        let span = content.readableBytesUInt8Span
        /// For each open expression, the braces that are open in it.
        var braces: [Int] = []
        var isText = true
        var i = start + 1
        while i < span.count {
            let byte = span[i]
            if byte == UInt8(ascii: "\\") {
                i += 2
                continue
            }
            if isText {
                if byte == UInt8(ascii: "`") {
                    if braces.isEmpty { return i + 1 }
                    isText = false
                } else if byte == UInt8(ascii: "$"), i + 1 < span.count, span[i + 1] == UInt8(ascii: "{") {
                    braces.append(0)
                    isText = false
                    i += 1
                }
            } else {
                switch byte {
                case UInt8(ascii: "`"): isText = true
                case UInt8(ascii: "\""), UInt8(ascii: "'"): i = try endOfString(i) - 1
                case UInt8(ascii: "{"): braces[braces.count - 1] += 1
                case UInt8(ascii: "}") where braces.last == 0:
                    braces.removeLast()
                    isText = true
                case UInt8(ascii: "}"): braces[braces.count - 1] -= 1
                default: break
                }
            }
            i += 1
        }
        throw ContentMismatch("byte \(start): a template does not end")
    }

    private mutating func slash(_ start: Int) throws(ContentMismatch) -> ScriptToken.Kind {
        let content = content
        let span = content.readableBytesUInt8Span
        let second = start + 1 < span.count ? span[start + 1] : 0
        if second == UInt8(ascii: "/") {
            offset = content.index(of: 0x0A, from: start)
            return .lineComment
        }
        if second == UInt8(ascii: "*") {
            let end = content.end(of: "*/", from: start + 2)
            guard content.has("*/", at: end - 2), end >= start + 4 else {
                throw ContentMismatch("byte \(start): a comment does not end")
            }
            offset = end
            return .comment
        }
        guard isRegexAllowed else {
            offset += 1
            return .punctuator
        }
        var i = start + 1
        var isClass = false
        while i < span.count, span[i] != 0x0A, isClass || span[i] != UInt8(ascii: "/") {
            if span[i] == UInt8(ascii: "[") { isClass = true }
            if span[i] == UInt8(ascii: "]") { isClass = false }
            i += span[i] == UInt8(ascii: "\\") ? 2 : 1
        }
        guard i < span.count, span[i] != 0x0A else { throw ContentMismatch("byte \(start): a regular expression does not end") }
        i += 1
        while i < span.count, span[i].isInWord { i += 1 }
        offset = i
        return .regex
    }

    private static let conditions: Set<String> = ["if", "while", "for", "with"]
    private static let beforeExpressions: Set<String> = [
        "return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do", "instanceof", "yield", "await",
    ]

    private var isRegexAllowed: Bool {
        guard let previous else { return true }
        switch previous.kind {
        case .word: return content.isWord(previous, Self.beforeExpressions)
        case .string, .template, .regex: return false
        default: break
        }
        switch content.readableBytesUInt8Span[Int(previous.range.start)] {
        case UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"): return isRegexAfterLast
        // `a++ / b`.
        case UInt8(ascii: "+"), UInt8(ascii: "-"): return !content.has("++", at: offset - 2) && !content.has("--", at: offset - 2)
        default: return true
        }
    }
}

/// What a brace begins.
enum ScriptBrace {
    case block
    case object

    /// - Parameter previous: the token before the brace.
    init(_ content: ByteBuffer, _ previous: ScriptToken?) {
        guard let previous else {
            self = .block
            return
        }
        switch previous.kind {
        case .word:
            self =
                content.isWord(
                    previous, ["return", "typeof", "case", "in", "of", "void", "throw", "new", "await", "yield", "default"])
                ? .object : .block
        case .punctuator:
            let byte = content.readableBytesUInt8Span[Int(previous.range.start)]
            let isArrow = byte == UInt8(ascii: ">") && content.has("=>", at: Int(previous.range.start) - 1)
            self = isArrow || Array(");{}]".utf8).contains(byte) ? .block : .object
        default: self = .block
        }
    }
}

extension UInt8 {
    /// Part of a name or a number. Bytes above 127 are letters, mostly.
    fileprivate var isInWord: Bool {
        lowercased &- 0x61 < 26 || self &- 0x30 < 10 || self == 0x5F || self == 0x24 || self == 0x23 || self == 0x40 || self >= 0x80
    }
}

extension ByteBuffer {
    func isWord(_ token: ScriptToken, _ words: Set<String>) -> Bool {
        token.kind == .word && token.range.count <= 16 && words.contains(String(buffer: slice(token.range)))
    }
}
