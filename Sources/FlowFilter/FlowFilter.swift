// A filter: an expression of the filter language, ready to be asked of many flows.

import FlowModel

/// Says which flows are meant. Parsed once; may be used by several threads.
package struct FlowFilter: FlowPredicate, Sendable {
    private let expression: FilterExpression

    /// - Parameters:
    ///   - expression: in the language of docs/filter-language.md.
    ///   - caseSensitive: regular expressions regard case.
    /// - Throws: what cannot be meant, and where.
    package init(_ expression: String, caseSensitive: Bool = false) throws(FilterSyntaxError) {
        var parser = FilterParser(expression, caseSensitive: caseSensitive)
        self.expression = try parser.parse().sorted
    }

    /// - Throws: what fetching content throws; a regular expression that takes too many steps.
    package func matches(_ flow: some FlowQuestions) throws -> Bool { try expression.matches(flow) }

    /// Whether a flow of a group may be meant; a no is certain, so a reader need not look at the group.
    package func mayMatch(_ group: some FlowGroupQuestions) -> Bool { expression.mayMatch(group) }

    /// The answer for a flow that goes on; nil when it cannot be said yet.
    /// - Parameter known: what of the flow is final.
    package func decide(_ flow: some FlowQuestions, known: FlowProgress) throws -> Bool? { try expression.decide(flow, known) }

    /// Whether content must be fetched to answer.
    package var needsContent: Bool { expression.cost >= 9 }

    /// A form that is read back as the same filter.
    package var canonical: String { expression.canonical }
}
