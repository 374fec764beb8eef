// Parses filters (RFC 9535 sections 2.3.5 and 2.4) and checks the types of their functions.

extension JSONPathParser {
    /// An operand before its use is known.
    private enum Part {
        case literal(JSONTree)
        case query(JSONPathQuery)
        /// A function with a value.
        case value(JSONPathOperand, name: String)
        /// A function that holds or not.
        case condition(JSONPathCondition, name: String)
    }

    /// `logical-expr`.
    mutating func condition() throws(JSONPathError) -> JSONPathCondition {
        skipSpace()
        var conditions = [try conjunction()]
        while takeConnective("||") { conditions.append(try conjunction()) }
        return conditions.count == 1 ? conditions[0] : .or(conditions)
    }

    private mutating func conjunction() throws(JSONPathError) -> JSONPathCondition {
        var conditions = [try basic()]
        while takeConnective("&&") { conditions.append(try basic()) }
        return conditions.count == 1 ? conditions[0] : .and(conditions)
    }

    /// Takes a connective with the white space around it, or nothing.
    private mutating func takeConnective(_ connective: StaticString) -> Bool {
        var ahead = self
        ahead.skipSpace()
        guard ahead.take(connective) else { return false }
        ahead.skipSpace()
        self = ahead
        return true
    }

    /// `basic-expr`.
    private mutating func basic() throws(JSONPathError) -> JSONPathCondition {
        let start = position
        let isNegated = take("!")
        if isNegated { skipSpace() }
        if take("(") {
            let inner = try nested { (parser) throws(JSONPathError) in try parser.condition() }
            skipSpace()
            guard take(")") else { throw error("a closing parenthesis is missing") }
            return isNegated ? .not(inner) : inner
        }
        let begin = position
        let part = try part()
        if let comparison = takeComparison() {
            guard !isNegated else { throw error("a comparison is negated in parentheses: !(@.a == 1)", at: start) }
            let left = try comparable(part, begin)
            skipSpace()
            let next = position
            return .compare(left, comparison, try comparable(try self.part(), next))
        }
        let test = try test(part, begin)
        return isNegated ? .not(test) : test
    }

    private mutating func takeComparison() -> JSONPathComparison? {
        let back = position
        skipSpace()
        if take("==") { return .equal }
        if take("!=") { return .notEqual }
        if take("<=") { return .lessOrEqual }
        if take(">=") { return .greaterOrEqual }
        if take("<") { return .less }
        if take(">") { return .greater }
        position = back
        return nil
    }

    private func test(_ part: Part, _ start: Int) throws(JSONPathError) -> JSONPathCondition {
        switch part {
        case .query(let query): return .exists(query)
        case .condition(let condition, _): return condition
        case .literal: throw error("a literal is no condition; it is compared with something", at: start)
        case .value(_, let name): throw error("\(name)() is no condition; its value is compared with something", at: start)
        }
    }

    private func comparable(_ part: Part, _ start: Int) throws(JSONPathError) -> JSONPathOperand {
        switch part {
        case .literal(let value): return .literal(value)
        case .value(let operand, _): return operand
        case .query(let query):
            guard query.isSingular else {
                throw error("only a query for a single value can be compared; value(), count() and length() have one", at: start)
            }
            return .query(query)
        case .condition(_, let name): throw error("\(name)() holds or not; it is not compared", at: start)
        }
    }

    private mutating func part() throws(JSONPathError) -> Part {
        let start = position
        switch next {
        case 0x40, 0x24:
            let isAbsolute = next == 0x24
            position += 1
            return .query(JSONPathQuery(isAbsolute: isAbsolute, segments: try segments()))
        case 0x22, 0x27: return .literal(.string(try string()))
        case let byte? where byte == 0x2D || byte &- 0x30 < 10: return .literal(.number(try number()))
        case let byte? where byte &- 0x61 < 26:
            let word = word()
            if next == 0x28 { return try function(word, start) }
            switch word {
            case "true": return .literal(.bool(true))
            case "false": return .literal(.bool(false))
            case "null": return .literal(.null)
            default: throw error("'\(word)' is not a literal; text is written in quotation marks", at: start)
            }
        case nil: throw error("the path ends too early")
        default: throw error("an operand is missing: @, $, a literal or a function")
        }
    }

    // MARK: Functions

    private mutating func function(_ name: String, _ start: Int) throws(JSONPathError) -> Part {
        guard ["length", "count", "match", "search", "value"].contains(name) else {
            throw error("there is no function \(name); there are length, count, match, search and value", at: start)
        }
        position += 1
        let arguments = try nested { (parser) throws(JSONPathError) in try parser.arguments() }
        let wanted = name == "match" || name == "search" ? 2 : 1
        guard arguments.count == wanted else {
            throw error("\(name)() takes \(wanted == 1 ? "one argument" : "two arguments")", at: start)
        }
        let (first, begin) = arguments[0]
        switch name {
        case "length": return .value(.length(try comparable(first, begin)), name: name)
        case "count": return .value(.count(try query(first, begin, name)), name: name)
        case "value": return .value(.value(try query(first, begin, name)), name: name)
        default:
            let pattern = try comparable(arguments[1].part, arguments[1].start)
            var compiled: IRegexp?
            if case .literal(.string(let text)) = pattern { compiled = IRegexp(text, isWhole: name == "match", isReused: true) }
            return .condition(.matches(try comparable(first, begin), pattern, isWhole: name == "match", compiled), name: name)
        }
    }

    private func query(_ part: Part, _ start: Int, _ name: String) throws(JSONPathError) -> JSONPathQuery {
        guard case .query(let query) = part else { throw error("\(name)() takes a query, which begins with @ or $", at: start) }
        return query
    }

    private mutating func arguments() throws(JSONPathError) -> [(part: Part, start: Int)] {
        skipSpace()
        if take(")") { return [] }
        var arguments: [(part: Part, start: Int)] = []
        repeat {
            skipSpace()
            let start = position
            arguments.append((try part(), start))
            skipSpace()
        } while take(",")
        guard take(")") else { throw error("a comma or a closing parenthesis is missing") }
        return arguments
    }
}
