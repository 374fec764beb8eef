// Parses the filter language.
//
//     expression := or+                      juxtaposition is "and"; binds looser than '|'
//     or         := and ('|' and)*           also '||', 'or'
//     and        := unary ('&' unary)*       also '&&', 'and'
//     unary      := '!' unary | 'not' unary | '(' expression ')' | operator | regex
//     operator   := '~' name [argument] | '~' name '[' parameter ']' [value]
//     regex      := "…" | '…' | a run of characters without white space, parentheses and quotes
//
// Arguments are in FilterParser+Arguments.swift.

import FlowModel

/// An expression that is not valid.
package struct FilterSyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
    package var message: String
    /// Characters from the expression's start.
    package var offset: Int
    /// The text with the spot: the whole expression, or that of a view.
    package var expression: String
    /// The message names the view.
    var isInView = false

    /// Message, expression and a caret under the spot: three lines.
    package var rendered: String {
        "\(message)\n  \(expression)\n  \(String(repeating: " ", count: offset))^"
    }
    package var description: String { rendered }
}

struct FilterParser {
    let text: [Character]
    let isCaseSensitive: Bool
    let environment: FilterEnvironment
    var position = 0
    private var depth = 0
    private var terms = 0
    /// The views that this text is a part of, outermost first.
    private var openViews: [String] = []

    /// Levels of negations and parentheses.
    private static let maximumDepth = 100
    /// Views that name views many times grow without bound.
    private static let maximumTerms = 100_000

    init(_ expression: String, caseSensitive: Bool, environment: FilterEnvironment) {
        text = Array(expression)
        isCaseSensitive = caseSensitive
        self.environment = environment
    }

    mutating func parse() throws(FilterSyntaxError) -> FilterExpression {
        skipSpace()
        guard position < text.count else { throw error("the filter is empty; ~all matches every flow") }
        let expression = try sequence()
        guard position == text.count else { throw error("this parenthesis closes nothing") }
        return expression
    }

    func error(_ message: String, at offset: Int? = nil) -> FilterSyntaxError {
        FilterSyntaxError(message: message, offset: offset ?? position, expression: String(text))
    }

    mutating func skipSpace() {
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
            return try term(.url, try url())
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
        var rows = FilterOperator.rows(named: name)
        if rows.isEmpty {
            // Digits are a part of few names: in ~c404 they are an operand without its space.
            name = "~" + text[(start + 1)..<position].prefix(while: \.isLetter)
            position = start + name.count
            rows = FilterOperator.rows(named: name)
        }
        guard let first = rows.first else { throw error(unknownOperator(name), at: start) }
        let hasBrackets = position < text.count && text[position] == "["
        guard let row = rows.first(where: { $0.operand.takesParameter == hasBrackets }) else {
            throw hasBrackets
                ? error("\(name) takes nothing in brackets; write \(name)\(first.operand.form)")
                : error("\(name) needs brackets after it; write \(name)\(first.operand.form)", at: start)
        }
        return try operation(row, start)
    }

    /// A leaf of the tree.
    mutating func term(_ row: FilterOperator, _ comparison: FilterTerm.Comparison) throws(FilterSyntaxError) -> FilterExpression {
        terms += 1
        guard terms <= Self.maximumTerms else { throw error("the expression has more than \(Self.maximumTerms) terms") }
        return .term(FilterTerm(row: row, comparison: comparison))
    }

    /// The expression that a name stands for, in its place.
    /// - Parameters:
    ///   - name: of the view; it begins at `begin`.
    mutating func view(_ name: String, at begin: Int) throws(FilterSyntaxError) -> FilterExpression {
        guard let expression = environment.views[name] else {
            let hint = nearestWord(to: name, in: Array(environment.views.keys)).map { "did you mean '\($0)'?" }
            throw error("there is no view '\(name)'; \(hint ?? "views are named in config.yaml, below 'views:'")", at: begin)
        }
        if let first = openViews.firstIndex(of: name) {
            let circle = (openViews[first...] + [name]).joined(separator: ", which uses ")
            throw error("a view cannot use itself: \(circle)", at: begin)
        }
        var parser = FilterParser(expression, caseSensitive: isCaseSensitive, environment: environment)
        (parser.depth, parser.terms, parser.openViews) = (depth, terms, openViews + [name])
        let parsed: FilterExpression
        do { parsed = try parser.parse() } catch {
            var error = error
            if !error.isInView { error.message = "in the view '\(name)': \(error.message)" }
            error.isInView = true
            throw error
        }
        terms = parser.terms
        return parsed
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
        guard begins(with: word) else { return false }
        position += word.count
        return true
    }

    /// Whether a connective that is a word is next.
    func begins(with word: String) -> Bool {
        let end = position + word.count
        return end <= text.count && String(text[position..<end]) == word
            && (end == text.count || text[end].isWhitespace || text[end] == "(" || text[end] == "!")
    }
}
