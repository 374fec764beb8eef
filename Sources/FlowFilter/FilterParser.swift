// Parses the filter language.
//
//     expression := or+                      juxtaposition is "and"; binds looser than '|'
//     or         := and ('|' and)*           also '||', 'or'
//     and        := unary ('&' unary)*       also '&&', 'and'
//     unary      := '!' unary | 'not' unary | '(' expression ')' | operator | regex
//     operator   := '~' name [argument]
//     regex      := "…" | '…' | a run of characters without white space, parentheses and quotes

import FlowModel

/// An expression that is not valid.
package struct FilterSyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
    package var message: String
    /// Characters from the expression's start.
    package var offset: Int
    package var expression: String

    /// Message, expression and a caret under the spot: three lines.
    package var rendered: String {
        "\(message)\n  \(expression)\n  \(String(repeating: " ", count: offset))^"
    }
    package var description: String { rendered }
}

struct FilterParser {
    private let text: [Character]
    private let isCaseSensitive: Bool
    private var position = 0
    private var depth = 0

    /// Levels of negations and parentheses.
    private static let maximumDepth = 100

    init(_ expression: String, caseSensitive: Bool) {
        text = Array(expression)
        isCaseSensitive = caseSensitive
    }

    mutating func parse() throws(FilterSyntaxError) -> FilterExpression {
        skipSpace()
        guard position < text.count else { throw error("the filter is empty; ~all matches every flow") }
        let expression = try sequence()
        guard position == text.count else { throw error("this parenthesis closes nothing") }
        return expression
    }

    private func error(_ message: String, at offset: Int? = nil) -> FilterSyntaxError {
        FilterSyntaxError(message: message, offset: offset ?? position, expression: String(text))
    }

    private mutating func skipSpace() {
        while position < text.count, text[position].isWhitespace { position += 1 }
    }

    // MARK: Grammar

    private mutating func sequence() throws(FilterSyntaxError) -> FilterExpression {
        var parts = [try or()]
        skipSpace()
        while position < text.count, text[position] != ")" {
            parts.append(try or())
            skipSpace()
        }
        return parts.count == 1 ? parts[0] : .and(parts)
    }

    private mutating func or() throws(FilterSyntaxError) -> FilterExpression {
        var parts = [try and()]
        while take(symbol: "|", word: "or") { parts.append(try and()) }
        return parts.count == 1 ? parts[0] : .or(parts)
    }

    private mutating func and() throws(FilterSyntaxError) -> FilterExpression {
        var parts = [try unary()]
        while take(symbol: "&", word: "and") { parts.append(try unary()) }
        return parts.count == 1 ? parts[0] : .and(parts)
    }

    private mutating func unary() throws(FilterSyntaxError) -> FilterExpression {
        skipSpace()
        guard position < text.count else { throw error("the expression ends too early") }
        // Parsing, sorting, evaluating and freeing recurse as deep as the tree. Only a negation and a parenthesis make it deeper.
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else {
            throw error("the expression is nested too deeply; the limit is \(Self.maximumDepth) levels")
        }
        if text[position] == "!" {
            position += 1
            return .not(try unary())
        }
        if take(word: "not") { return .not(try unary()) }
        switch text[position] {
        case "(": return try parenthesised()
        case ")": throw error("an operand is missing before the parenthesis")
        case "|", "&": throw error("an operand is missing before '\(text[position])'")
        case "~": return try operation()
        default:
            for word in ["and", "or"] where take(word: word) {
                position -= word.count
                throw error("an operand is missing before '\(word)'")
            }
            return try url(FilterOperator.url)
        }
    }

    private mutating func parenthesised() throws(FilterSyntaxError) -> FilterExpression {
        let start = position
        position += 1
        skipSpace()
        guard position < text.count, text[position] != ")" else { throw error("the parentheses are empty", at: start) }
        let inner = try sequence()
        guard position < text.count else { throw error("this parenthesis is not closed", at: start) }
        position += 1
        return inner
    }

    private mutating func operation() throws(FilterSyntaxError) -> FilterExpression {
        let start = position
        position += 1
        while position < text.count, text[position].isASCII, text[position].isLetter || text[position].isNumber { position += 1 }
        var name = String(text[start..<position])
        if FilterOperator.named(name) == nil {
            // Digits are a part of few names: in ~c404 they are an operand without its space.
            name = "~" + text[(start + 1)..<position].prefix(while: \.isLetter)
            position = start + name.count
        }
        guard let row = FilterOperator.named(name) else {
            throw error("there is no operator \(name); --help-filter lists them", at: start)
        }
        // A name must end here: ~cfoo would be parsed as ~c and foo.
        if position < text.count, !text[position].isWhitespace, !"()&|!~".contains(text[position]) {
            throw error("a space is missing after \(name)")
        }
        switch row.operand {
        case .property(let property): return .term(FilterTerm(row: row, comparison: .property(property)))
        case .text(let text, let syntax):
            try expectArgument(row, start)
            let pattern = try compile(try pattern(), syntax)
            return .term(FilterTerm(row: row, comparison: .text(text, pattern)))
        case .url:
            try expectArgument(row, start)
            return try url(row)
        case .status:
            try expectArgument(row, start)
            return .term(FilterTerm(row: row, comparison: .status(try status())))
        case .number(let number, let unit):
            try expectArgument(row, start)
            return .term(FilterTerm(row: row, comparison: .number(number, try quantity(unit))))
        }
    }

    private mutating func expectArgument(_ row: FilterOperator, _ start: Int) throws(FilterSyntaxError) {
        skipSpace()
        guard position < text.count, text[position] != ")", text[position] != "(" else {
            throw error("\(row.name) needs an argument after it", at: start)
        }
    }

    private mutating func status() throws(FilterSyntaxError) -> StatusRange {
        let begin = position
        let word = takeWord()
        guard let range = StatusRange(word) else {
            throw error("'\(word)' is not a status code; write 404, 4xx, 200-299, >=500 or <300", at: begin)
        }
        return range
    }

    private mutating func quantity(_ unit: QuantityRange.Unit) throws(FilterSyntaxError) -> QuantityRange {
        let begin = position
        let word = takeWord()
        guard let range = QuantityRange(word, in: unit) else {
            switch unit {
            case .one: throw error("'\(word)' is not a number; write 3, 2-5, >=3 or <10", at: begin)
            case .time:
                throw error(
                    "'\(word)' is not a time; write >250ms, <=2s or 1s-2s; a number without a unit is seconds", at: begin)
            }
        }
        return range
    }

    private mutating func takeWord() -> String {
        let begin = position
        while position < text.count, !text[position].isWhitespace, !"()&|!~".contains(text[position]) { position += 1 }
        return String(text[begin..<position])
    }

    // MARK: Regular expressions

    private mutating func url(_ row: FilterOperator) throws(FilterSyntaxError) -> FilterExpression {
        let written = try pattern()
        let url = try compile(written, .plain)
        let host = hostOfURLs(matching: written.text).flatMap { try? Pattern($0, options(.plain)) }
        return .term(FilterTerm(row: row, comparison: .url(url, host: host)))
    }

    private func options(_ syntax: PatternSyntax) -> Pattern.Options {
        Pattern.Options(isCaseSensitive: isCaseSensitive, isMultiline: syntax == .lines, dotMatchesAll: syntax == .content)
    }

    private func compile(_ pattern: (text: String, start: Int), _ syntax: PatternSyntax) throws(FilterSyntaxError) -> Pattern {
        do throws(PatternError) {
            return try Pattern(pattern.text, options(syntax))
        } catch {
            throw self.error(
                "the regular expression is not valid: \(error.message)",
                at: min(pattern.start + error.offset, max(0, text.count - 1)))
        }
    }

    /// A regular expression, quoted or not, and the position of its first character.
    private mutating func pattern() throws(FilterSyntaxError) -> (text: String, start: Int) {
        let quote = text[position]
        guard quote == "\"" || quote == "'" else {
            let start = position
            while position < text.count, !text[position].isWhitespace, !"()'\"".contains(text[position]) { position += 1 }
            return (String(text[start..<position]), start)
        }
        let start = position
        position += 1
        var pattern = ""
        while position < text.count, text[position] != quote {
            // A backslash stays in the regular expression unless a quote or a backslash follows it.
            if text[position] == "\\", position + 1 < text.count, text[position + 1] == quote || text[position + 1] == "\\" {
                if text[position + 1] == "\\" { pattern.append("\\") }
                position += 1
                pattern.append(text[position] == "\\" ? "" : String(text[position]))
            } else {
                pattern.append(text[position])
            }
            position += 1
        }
        guard position < text.count else { throw error("this quote is not closed", at: start) }
        position += 1
        return (pattern, start + 1)
    }

    // MARK: Connectives

    /// Takes `|` or `||` or the word.
    private mutating func take(symbol: Character, word: String) -> Bool {
        skipSpace()
        if position < text.count, text[position] == symbol {
            position += 1
            if position < text.count, text[position] == symbol { position += 1 }
            return true
        }
        return take(word: word)
    }

    /// Takes a whole word.
    private mutating func take(word: String) -> Bool {
        let end = position + word.count
        guard end <= text.count, String(text[position..<end]) == word,
            end == text.count || text[end].isWhitespace || text[end] == "(" || text[end] == "!"
        else { return false }
        position = end
        return true
    }
}
