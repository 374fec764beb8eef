// A GraphQL document with a line for each field, two spaces for each level. Only white space and commas change, so that the text still means
// the same; comments stay.

import ContentFormats
import HTTPSemantics
import NIOCore

/// Writes the tokens of a document that was checked.
struct GraphQLLayout {
    /// Braces, outside of arguments.
    private var depth = 0
    /// Parentheses, and brackets and braces in them: what is in them stays in one line.
    private var inner = 0
    private var previous: GraphQLToken?
    /// The token before the previous one.
    private var second: GraphQLToken?
    private var isInLine = false

    static func write(_ document: ByteBuffer, into lines: inout CountedLines) {
        var tokens = GraphQLTokens(document)
        var layout = GraphQLLayout()
        while !lines.isFull, let token = try? tokens.next() { layout.write(token, &lines) }
        layout.endLine(&lines)
    }

    private mutating func write(_ token: GraphQLToken, _ lines: inout CountedLines) {
        if token.kind == .comment {
            // A line of its own ends the comment; lines do not matter to the language.
            endLine(&lines)
            beginLine(&lines)
            add(token, .muted, &lines)
            endLine(&lines)
            return
        }
        let mark = token.mark
        let isClosing = mark == UInt8(ascii: "}") && inner == 0
        if isClosing { depth = max(0, depth - 1) }
        if isClosing || beginsLine(token) { endLine(&lines) }
        if isInLine {
            lines.add { $0.writeString(separator(token)) }
        } else {
            if depth == 0, inner == 0, !isClosing, previous?.mark == UInt8(ascii: "}") { lines.line(0) { _ in } }
            beginLine(&lines)
        }
        if token.kind == .blockString {
            block(token, &lines)
        } else {
            add(token, role(token), &lines)
        }
        switch mark {
        case UInt8(ascii: "("), UInt8(ascii: "["): inner += 1
        case UInt8(ascii: ")"), UInt8(ascii: "]"): inner = max(0, inner - 1)
        case UInt8(ascii: "{"):
            if inner > 0 {
                inner += 1
            } else {
                depth += 1
                endLine(&lines)
            }
        case UInt8(ascii: "}"):
            if inner > 0 { inner -= 1 } else { endLine(&lines) }
        default: break
        }
        second = previous
        previous = token
    }

    // MARK: Lines

    /// A field, fragment or definition begins with the token.
    private func beginsLine(_ token: GraphQLToken) -> Bool {
        guard inner == 0, let previous else { return false }
        if token.mark == UInt8(ascii: ".") { return depth > 0 }
        guard depth > 0 else {
            return previous.mark == UInt8(ascii: "}") || previous.kind == .blockString || previous.kind == .string
        }
        guard previous.endsValue || previous.kind == .string || previous.kind == .blockString else { return false }
        switch token.kind {
        case .string, .blockString: return true
        case .name:
            // `... on User`: a condition, not a field.
            if second?.mark == UInt8(ascii: "."), previous.isName("on") { return false }
            return true
        default: return false
        }
    }

    private mutating func beginLine(_ lines: inout CountedLines) {
        lines.beginLine(depth)
        isInLine = true
    }

    private mutating func endLine(_ lines: inout CountedLines) {
        guard isInLine else { return }
        lines.endLine()
        isInLine = false
    }

    /// The text between a token and the previous one in the same line.
    private func separator(_ token: GraphQLToken) -> String {
        guard let previous else { return "" }
        switch token.mark {
        case UInt8(ascii: ":"), UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "!"): return ""
        case UInt8(ascii: "("): return ""
        case UInt8(ascii: "}"): return ""
        case UInt8(ascii: "="), UInt8(ascii: "@"), UInt8(ascii: "|"), UInt8(ascii: "&"): return isOpening(previous) ? "" : " "
        case UInt8(ascii: "{") where inner == 0: return " "
        default: break
        }
        switch previous.mark {
        case UInt8(ascii: ":"), UInt8(ascii: "="), UInt8(ascii: "|"), UInt8(ascii: "&"): return " "
        case UInt8(ascii: "$"), UInt8(ascii: "@"), UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{"): return ""
        case UInt8(ascii: "."): return token.isName("on") || token.mark == UInt8(ascii: "{") ? " " : ""
        default: return inner > 0 ? ", " : " "
        }
    }

    private func isOpening(_ token: GraphQLToken) -> Bool {
        [UInt8(ascii: "("), UInt8(ascii: "["), UInt8(ascii: "{")].contains(token.mark)
    }

    // MARK: Tokens

    private func add(_ token: GraphQLToken, _ role: Palette.Role?, _ lines: inout CountedLines) {
        let palette = lines.palette
        lines.add { out in
            if let role { palette.write(role, into: &out) { $0.writeVisible(token.text) } } else { out.writeVisible(token.text) }
        }
    }

    private func role(_ token: GraphQLToken) -> Palette.Role? {
        switch token.kind {
        case .string, .blockString: return .string
        case .number: return .literal
        case .comment: return .muted
        case .punctuator: return nil
        case .name: break
        }
        // Variables, and the words that begin definitions.
        if previous?.mark == UInt8(ascii: "$") { return .literal }
        return depth == 0 && inner == 0 && GraphQLOperation.Kind(rawValue: String(buffer: token.text)) != nil ? .method : nil
    }

    /// Lines of a block string. All but the first are indented in the same way, which does not change its value.
    private mutating func block(_ token: GraphQLToken, _ lines: inout CountedLines) {
        let palette = lines.palette
        for (number, part) in token.text.lines.enumerated() {
            if number > 0 {
                endLine(&lines)
                beginLine(&lines)
            }
            lines.add { out in palette.write(.string, into: &out) { $0.writeVisible(part, keepsLines: true) } }
        }
    }
}

extension GraphQLToken {
    /// Something before it is complete, so that a name after it begins something new.
    fileprivate var endsValue: Bool {
        switch kind {
        case .name, .number: true
        case .punctuator: [UInt8(ascii: ")"), UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: "!")].contains(mark)
        default: false
        }
    }
}
