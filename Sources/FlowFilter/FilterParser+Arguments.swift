// What follows the name of an operator: a regular expression, a status, a quantity, a name in brackets.

import JSONQuery
import Protobuf

extension FilterParser {
    /// Reads the argument of an operator, from the end of its name.
    /// - Parameter start: where the operator begins.
    mutating func operation(_ row: FilterOperator, _ start: Int) throws(FilterSyntaxError) -> FilterExpression {
        // A name must end here: ~cfoo would be parsed as ~c and foo.
        if !row.operand.takesParameter { try expectEnd(of: row.name) }
        if row.operand.needsArgument { try expectArgument(row, start) }
        switch row.operand {
        case .property(let property):
            return try term(row, .property(property))
        case .text(let text, let syntax):
            return try term(row, .text(text, try compile(try pattern(), syntax)))
        case .url:
            return try term(row, try url())
        case .status:
            return try term(row, .status(try status()))
        case .number(let number, let unit):
            return try term(row, .number(number, try quantity(unit)))
        case .choice(let choice):
            let (value, word) = try self.choice(row, choice)
            return try term(row, .choice(value, word))
        case .interim:
            let code = try parameter()
            guard let range = StatusRange(code.text) else {
                throw error("'\(code.text)' is not a status code; write ~informational[103] or ~informational[1xx]", at: code.start)
            }
            try expectEnd(of: "\(row.name)[\(code.text)]")
            return try term(row, .interim(range))
        case .named(let named):
            let parameter = try parameter()
            let name = ParameterName(parameter)
            guard !name.text.isEmpty else { throw error("the brackets are empty; write \(named.noun)", at: parameter.start - 1) }
            return try term(row, .named(named, name, try value(of: row.name + name.canonical)))
        case .json(let side):
            let path = try path()
            let value = try value(of: "\(row.name)[\(path)]")
            return try term(row, .json(FlowJSON(path, from: side), value, JSONValueTest(value)))
        case .time(let bound):
            return try term(row, .time(bound, try time(bound)))
        case .view:
            let (name, begin) = try wordOrQuoted()
            return try view(name, at: begin)
        case .protobufField:
            return try term(row, .protobufField(try protobufField(row)))
        case .grpcStatus:
            let begin = position
            let word = takeWord()
            guard let test = GRPCStatusTest(word) else {
                throw error("'\(word)' is not a status of gRPC; write UNAVAILABLE, 14, >0 or 1-5", at: begin)
            }
            return try term(row, .grpcStatus(test))
        case .secret:
            return try term(row, .secret(try secret(row)))
        }
    }

    /// Reads the name of a rule, or none: the end, a closing parenthesis, a connective or another operator follows then.
    private mutating func secret(_ row: FilterOperator) throws(FilterSyntaxError) -> SecretTest {
        skipSpace()
        let begin = position
        var rule: String?
        if position < text.count, !")(|&~!".contains(text[position]), !["and", "or", "not"].contains(where: { begins(with: $0) }) {
            rule = try wordOrQuoted().text
        }
        guard
            let test = SecretTest(
                rule: rule, in: environment.secretRules, acceptsAny: environment.acceptsAnySecretRule)
        else {
            let names = (environment.secretRules ?? .builtIn).names
            let hint = nearestWord(to: rule ?? "", in: names).map { "did you mean '\($0)'?" }
            throw error(
                "there is no rule '\(rule ?? "")' for secrets; \(hint ?? "write & before another term, and see --list-rules")",
                at: begin)
        }
        return test
    }

    private mutating func protobufField(_ row: FilterOperator) throws(FilterSyntaxError) -> ProtobufFieldTest {
        let parameter = try parameter()
        let text = ParameterName(parameter).text
        guard let path = ProtobufPath(text) else {
            throw error(
                "'\(text)' is not a field; write numbers or names with dots between them: 1.2, user.name", at: parameter.start)
        }
        let value = try value(of: "\(row.name)[\(text)]")
        return ProtobufFieldTest(text: text, path: path, value: value, schema: environment.schema)
    }

    /// After a name, or a parameter in brackets, there is white space, a sign, or the end.
    private func expectEnd(of name: String) throws(FilterSyntaxError) {
        if position < text.count, !text[position].isWhitespace, !"()&|!~".contains(text[position]) {
            throw error("a space is missing after \(name)")
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

    private mutating func choice(
        _ row: FilterOperator, _ choice: FlowChoice
    ) throws(FilterSyntaxError) -> (FlowChoice.Value, String) {
        let begin = position
        let word = takeWord()
        guard let value = choice.value(word) else {
            throw error("'\(word)' is not a version here; write \(choice.words.listed)", at: begin)
        }
        // The second word would be a regular expression for URLs.
        if position < text.count, text[position] == "|",
            let other = choice.words.first(where: { text[(position + 1)...].starts(with: Array($0)) })
        {
            throw error("'|' does not join words; write (\(row.name) \(word) | \(row.name) \(other))")
        }
        return (value, word)
    }

    private mutating func quantity(_ unit: QuantityRange.Unit) throws(FilterSyntaxError) -> QuantityRange {
        let begin = position
        let word = takeWord()
        guard let range = QuantityRange(word, in: unit) else { throw error("'\(word)' is not \(unit.expectation)", at: begin) }
        return range
    }

    private mutating func time(_ bound: TimeBound) throws(FilterSyntaxError) -> TimeRange {
        let (word, begin) = try wordOrQuoted()
        do throws(TimeReader.Failure) {
            return try TimeReader(environment).range(word, bound)
        } catch {
            throw self.error(error.sentence(word), at: begin)
        }
    }

    private mutating func wordOrQuoted() throws(FilterSyntaxError) -> (text: String, start: Int) {
        if text[position] == "\"" || text[position] == "'" { return try pattern() }
        let begin = position
        return (takeWord(), begin)
    }

    private mutating func takeWord() -> String {
        let begin = position
        while position < text.count, !text[position].isWhitespace, !"()&|!~".contains(text[position]) { position += 1 }
        return String(text[begin..<position])
    }

    // MARK: Brackets

    /// Reads a parameter, from its opening bracket to the closing one. Brackets within it are in pairs; those in quotes do not count, as in
    /// `~json[$.items[?@.a=="]"].price]`. In quotes a backslash belongs to the character after it.
    mutating func parameter() throws(FilterSyntaxError) -> FilterParameter {
        let opening = position
        var quote: (sign: Character, at: Int)?
        var open = 0
        while position < text.count {
            let next = text[position]
            if let begun = quote {
                if next == "\\" { position += 1 } else if next == begun.sign { quote = nil }
            } else if next == "\"" || next == "'" {
                quote = (next, position)
            } else if next == "[" {
                open += 1
            } else if next == "]" {
                open -= 1
                if open == 0 { break }
            }
            position += 1
        }
        if let quote { throw error("this quote is not closed", at: quote.at) }
        guard position < text.count else { throw error("this bracket is not closed", at: opening) }
        let parameter = FilterParameter(text: String(text[(opening + 1)..<position]), start: opening + 1)
        position += 1
        return parameter
    }

    /// Reads a JSON path in brackets.
    private mutating func path() throws(FilterSyntaxError) -> JSONPath {
        let parameter = try parameter()
        let rest = parameter.text.drop(while: \.isWhitespace)
        let written = rest.prefix(rest.count - rest.reversed().prefix(while: \.isWhitespace).count)
        do {
            return try JSONPath(String(written))
        } catch {
            throw self.error(
                "the path is not valid JSONPath: \(error.message)",
                at: parameter.start + parameter.text.count - rest.count + error.offset)
        }
    }

    // MARK: VALUE

    /// Reads the VALUE after a parameter. The next word or quoted text is the VALUE. Without one, there is the end, a closing parenthesis, a
    /// connective, or another operator. Anything else is an error, since it could be meant as a VALUE and as a term of its own.
    /// - Parameter operation: the operator with its brackets, for errors.
    mutating func value(of operation: String) throws(FilterSyntaxError) -> ValueTest {
        try expectEnd(of: operation)
        skipSpace()
        guard position < text.count, !")|&~".contains(text[position]), !begins(with: "and"), !begins(with: "or") else {
            return .exists
        }
        if text[position] == "(" {
            throw error("a parenthesis after \(operation) is not a VALUE; quote a regular expression, or write & before a group")
        }
        if text[position] == "!" || begins(with: "not") {
            guard isOperatorNegated() else {
                throw error("this could be a VALUE of \(operation) or a term; quote a regular expression, or write & before a term")
            }
            return .exists
        }
        let test = try writtenValue()
        try expectEndOfValue(operation)
        return test
    }

    /// `!~` or `not ~`, after which no VALUE can be meant.
    private func isOperatorNegated() -> Bool {
        let rest = text[position...].drop { $0 == "!" || $0.isWhitespace }
        return rest.first == "~" || (begins(with: "not") && text[(position + 3)...].first { !$0.isWhitespace } == "~")
    }

    private mutating func writtenValue() throws(FilterSyntaxError) -> ValueTest {
        let begin = position
        switch text[position] {
        case "\"", "'":
            return .matches(try compile(try pattern(), .plain))
        case "=":
            position += 1
            guard position < text.count, !text[position].isWhitespace, !"()".contains(text[position]) else {
                throw error("a text is missing after =; write =text without a space, or =\"\" for an empty one", at: begin)
            }
            return ValueTest(exactly: try pattern().text)
        default:
            let word = try pattern()
            if let range = NumberRange(word.text) {
                // 555-1234 may be a text to search for.
                guard word.text.hasPrefix(">") || word.text.hasPrefix("<") else {
                    throw error(
                        "'\(word.text)' could be a range or a text; quote a text, and write a range as >=n with <=n", at: begin)
                }
                return .within(range)
            }
            if word.text.hasPrefix(">") || word.text.hasPrefix("<") {
                throw error("'\(word.text)' is not a comparison with a number; write >10 or <=2.5, or quote a text", at: begin)
            }
            return .matches(try compile(word, .plain))
        }
    }

    /// Another word would be a term of its own, which is hardly meant: the VALUE has a space and no quotes.
    private mutating func expectEndOfValue(_ operation: String) throws(FilterSyntaxError) {
        guard position < text.count else { return }
        guard text[position].isWhitespace || ")&|!~".contains(text[position]) else {
            throw error("the VALUE of \(operation) ends here; quote one that has quotes or parentheses")
        }
        skipSpace()
        guard position < text.count, !"()&|!~".contains(text[position]),
            !["and", "or", "not"].contains(where: { begins(with: $0) })
        else {
            return
        }
        throw error("this is not a part of the VALUE of \(operation); quote a VALUE with spaces, or write & before a term")
    }

    // MARK: Regular expressions

    /// A regular expression for URLs.
    mutating func url() throws(FilterSyntaxError) -> FilterTerm.Comparison {
        let written = try pattern()
        let url = try compile(written, .plain)
        let host = hostOfURLs(matching: written.text).flatMap { try? Pattern($0, options(.plain)) }
        return .url(url, host: host)
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
                position += 1
            }
            pattern.append(text[position])
            position += 1
        }
        guard position < text.count else { throw error("this quote is not closed", at: start) }
        position += 1
        return (pattern, start + 1)
    }
}
