// The conditions of filters (RFC 9535 section 2.3.5) and their evaluation on trees.

/// A `logical-expr`.
indirect enum JSONPathCondition: Sendable {
    case or([JSONPathCondition])
    case and([JSONPathCondition])
    case not(JSONPathCondition)
    /// At least one value is selected.
    case exists(JSONPathQuery)
    case compare(JSONPathOperand, JSONPathComparison, JSONPathOperand)
    /// `match` and `search`; the expression is compiled when it is a literal.
    case matches(JSONPathOperand, JSONPathOperand, isWhole: Bool, IRegexp?)

    /// - Parameters:
    ///   - current: the value of `@`.
    ///   - root: the value of `$`.
    func holds(_ current: JSONTree, _ root: JSONTree) -> Bool {
        switch self {
        case .or(let conditions): conditions.contains { $0.holds(current, root) }
        case .and(let conditions): conditions.allSatisfy { $0.holds(current, root) }
        case .not(let condition): !condition.holds(current, root)
        case .exists(let query): query.first(current, root) != nil
        case .compare(let a, let comparison, let b): comparison.holds(a.value(current, root), b.value(current, root))
        case .matches(let text, let pattern, let isWhole, let compiled):
            Self.matches(text.value(current, root), pattern.value(current, root), isWhole, compiled)
        }
    }

    /// Values that are not strings, and strings that are not I-Regexps, do not match (RFC 9535 section 2.4.6).
    private static func matches(_ text: JSONTree?, _ pattern: JSONTree?, _ isWhole: Bool, _ compiled: IRegexp?) -> Bool {
        guard case .string(let text) = text, case .string(let pattern) = pattern else { return false }
        return (compiled ?? IRegexp(pattern, isWhole: isWhole, isReused: false))?.matches(text) ?? false
    }

    /// Whether `$` occurs in it.
    var usesRoot: Bool {
        switch self {
        case .or(let conditions), .and(let conditions): conditions.contains(where: \.usesRoot)
        case .not(let condition): condition.usesRoot
        case .exists(let query): query.usesRoot
        case .compare(let a, _, let b), .matches(let a, let b, _, _): a.usesRoot || b.usesRoot
        }
    }
}

/// An expression that is a value or nothing (`ValueType`, RFC 9535 section 2.4.1).
indirect enum JSONPathOperand: Sendable {
    case literal(JSONTree)
    /// A singular query.
    case query(JSONPathQuery)
    case length(JSONPathOperand)
    case count(JSONPathQuery)
    case value(JSONPathQuery)

    func value(_ current: JSONTree, _ root: JSONTree) -> JSONTree? {
        switch self {
        case .literal(let value): return value
        case .query(let query): return query.first(current, root)
        case .length(let operand):
            switch operand.value(current, root) {
            case .string(let text): return .number(String(text.count))
            case .array(let elements): return .number(String(elements.count))
            case .object(let members): return .number(String(members.count))
            default: return nil
            }
        case .count(let query):
            var count = 0
            query.forEach(current, root) { _ in
                count += 1
                return true
            }
            return .number(String(count))
        case .value(let query):
            var values: [JSONTree] = []
            query.forEach(current, root) { value in
                values.append(value)
                return values.count < 2
            }
            return values.count == 1 ? values[0] : nil
        }
    }

    var usesRoot: Bool {
        switch self {
        case .literal: false
        case .query(let query), .count(let query), .value(let query): query.usesRoot
        case .length(let operand): operand.usesRoot
        }
    }
}

/// A query in a filter, from `@` or `$`.
struct JSONPathQuery: Sendable {
    var isAbsolute: Bool
    var segments: [Segment]

    var isSingular: Bool { segments.allSatisfy(\.isSingular) }
    var usesRoot: Bool {
        isAbsolute
            || segments.contains { segment in
                segment.selectors.contains { if case .filter(let condition) = $0 { condition.usesRoot } else { false } }
            }
    }

    func first(_ current: JSONTree, _ root: JSONTree) -> JSONTree? {
        var first: JSONTree?
        forEach(current, root) { value in
            first = value
            return false
        }
        return first
    }

    /// - Parameter body: returns false to stop.
    func forEach(_ current: JSONTree, _ root: JSONTree, _ body: (JSONTree) -> Bool) {
        var evaluation = JSONPathEvaluation(segments, root: root)
        _ = evaluation.select(from: isAbsolute ? root : current) { value, _ in body(value) }
    }
}

/// A comparison of values (RFC 9535 section 2.3.5.2.2). nil is Nothing.
package enum JSONPathComparison: Sendable {
    case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual

    func holds(_ a: JSONTree?, _ b: JSONTree?) -> Bool {
        switch self {
        case .equal: Self.areEqual(a, b)
        case .notEqual: !Self.areEqual(a, b)
        case .less: Self.isLess(a, b)
        case .lessOrEqual: Self.isLess(a, b) || Self.areEqual(a, b)
        case .greater: Self.isLess(b, a)
        case .greaterOrEqual: Self.isLess(b, a) || Self.areEqual(a, b)
        }
    }

    private static func areEqual(_ a: JSONTree?, _ b: JSONTree?) -> Bool {
        switch (a, b) {
        case (nil, nil): true
        case (let a?, let b?): a.hasSameValue(as: b)
        default: false
        }
    }

    private static func isLess(_ a: JSONTree?, _ b: JSONTree?) -> Bool {
        switch (a, b) {
        case (.number(let a), .number(let b)):
            if let a = JSONNumber(a), let b = JSONNumber(b) { a < b } else { false }
        case (.string(let a), .string(let b)): a < b
        default: false
        }
    }
}

extension JSONTree {
    /// Compares numbers by value and objects without regard to the order of their members. `==` compares the text of numbers.
    package func hasSameValue(as other: JSONTree) -> Bool {
        switch (self, other) {
        case (.null, .null): return true
        case (.bool(let a), .bool(let b)): return a == b
        case (.string(let a), .string(let b)): return a == b
        case (.number(let a), .number(let b)): return a == b || JSONNumber(a) == JSONNumber(b)
        // Loops, since a closure would need more of the stack for each level.
        case (.array(let a), .array(let b)):
            guard a.count == b.count else { return false }
            for index in 0..<a.count where !a[index].hasSameValue(as: b[index]) { return false }
            return true
        case (.object(let a), .object(let b)):
            guard a.count == b.count else { return false }
            let named = Dictionary(b.map { ($0.name, $0.value) }) { first, _ in first }
            for member in a {
                guard let other = named[member.name], member.value.hasSameValue(as: other) else { return false }
            }
            return true
        default: return false
        }
    }
}

extension JSONString {
    /// Characters of Unicode: bytes that do not continue one.
    var count: Int { bytes.readableBytesView.reduce(0) { $1 & 0xC0 == 0x80 ? $0 : $0 + 1 } }
}
