// A filter: an expression of the filter language, parsed once and evaluated on many flows.

import FlowModel

/// Selects flows. May be used by several threads.
package struct FlowFilter: FlowPredicate, Sendable {
    private let expression: FilterExpression

    /// - Parameters:
    ///   - expression: in the language of docs/filter-language.md.
    ///   - caseSensitive: regular expressions distinguish case.
    ///   - environment: what the expression can refer to; without it, neither now nor views.
    /// - Throws: why the expression is not valid, and where.
    package init(
        _ expression: String, caseSensitive: Bool = false, environment: FilterEnvironment = FilterEnvironment()
    ) throws(FilterSyntaxError) {
        var parser = FilterParser(expression, caseSensitive: caseSensitive, environment: environment)
        self.expression = try parser.parse().sorted
    }

    private init(_ expression: FilterExpression) { self.expression = expression.sorted }

    /// Matches the flows that this filter does not match.
    package var inverted: FlowFilter { FlowFilter(.not(expression)) }

    /// Matches the flows that both filters match.
    package func and(_ other: FlowFilter) -> FlowFilter { FlowFilter(.and([expression, other.expression])) }

    /// - Throws: what fetching content throws; a regular expression that takes too many steps.
    package func matches(_ flow: some FlowAttributes) throws -> Bool { try expression.matches(flow) }

    /// False only when no flow of a block matches, so a reader skips the block.
    package func mayMatch(_ block: some BlockSummary) -> Bool { expression.mayMatch(block) }

    /// The answer for a flow that is being recorded; nil while it is not final.
    /// - Parameter known: the parts of the flow that are final.
    package func decide(_ flow: some FlowAttributes, known: FlowProgress) throws -> Bool? { try expression.decide(flow, known) }

    /// Whether content must be fetched to answer.
    package var needsContent: Bool { expression.cost >= 9 }

    /// A form that parses to the same filter.
    package var canonical: String { expression.canonical }
}
