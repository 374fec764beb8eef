// A filter: an expression of the filter language, parsed once and evaluated on many flows.

import FlowModel

/// Selects flows. May be used by several threads.
package struct FlowFilter: FlowPredicate, Sendable {
    private let expression: FilterExpression
    /// nil: nothing is counted.
    private let counts: FilterCounts?

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
        counts = nil
    }

    private init(_ expression: FilterExpression, _ counts: FilterCounts?) {
        self.expression = expression
        self.counts = counts
    }

    private init(_ expression: FilterExpression) { self.init(expression.sorted, nil) }

    /// Matches the flows that this filter does not match.
    package var inverted: FlowFilter { FlowFilter(.not(expression)) }

    /// Matches the flows that both filters match.
    package func and(_ other: FlowFilter) -> FlowFilter { FlowFilter(.and([expression, other.expression])) }

    /// - Throws: what fetching content throws; a regular expression that takes too many steps.
    package func matches(_ flow: some FlowAttributes) throws -> Bool {
        guard let counts else { return try expression.matches(flow) }
        return try counts.matches(flow)
    }

    /// False only when no flow of a block matches, so a reader skips the block.
    package func mayMatch(_ block: some BlockSummary) -> Bool {
        guard let counts else { return expression.mayMatch(block) }
        guard let part = expression.exclusion(of: block) else { return true }
        counts.noteSkipped(by: part)
        return false
    }

    package func forBlock() -> FlowFilter { counts.map { FlowFilter(expression, $0.child()) } ?? self }

    // MARK: Explaining

    /// The same filter, which counts what it does.
    package func counting() -> FlowFilter { FlowFilter(expression, FilterCounts(expression)) }

    /// The same filter without counts.
    package var notCounting: FlowFilter { FlowFilter(expression, nil) }

    /// How a filter that counts is evaluated, and what it did so far.
    /// - Parameter empty: the summary of a block without flows. A term that such a block excludes is answered by summaries.
    package func explanation(empty: some BlockSummary) -> FilterExplanation {
        let totals = counts?.current
        let terms = expression.terms.enumerated().map { number, found in
            FilterExplanation.Term(
                text: found.term.canonical, access: found.term.access, skipsBlocks: found.isPlain && !found.term.mayMatch(empty),
                evaluated: totals?.terms[number].evaluated ?? 0, matched: totals?.terms[number].matched ?? 0)
        }
        var explanation = FilterExplanation(expression: canonical, terms: terms)
        guard let totals else { return explanation }
        explanation.skipped = totals.skipped.map { FilterExplanation.Skipped(text: $0.key, blocks: $0.value) }
            .sorted { ($1.blocks, $0.text) < ($0.blocks, $1.text) }
        (explanation.flows, explanation.matched) = (totals.flows, totals.matched)
        (explanation.neededMore, explanation.neededContent) = (totals.neededMore, totals.neededContent)
        explanation.undecodedBodies = totals.undecodedBodies
        explanation.emptiedBy = expression.emptied(totals)
        return explanation
    }

    /// The answer for a flow that is being recorded; nil while it is not final.
    /// - Parameter known: the parts of the flow that are final.
    package func decide(_ flow: some FlowAttributes, known: FlowProgress) throws -> Bool? { try expression.decide(flow, known) }

    /// The first term that neither the opening nor the heads of a flow answer; nil if they answer all.
    package var termBeyondHeads: String? {
        expression.terms.first { !$0.term.row.availability.isOfHeads }?.term.canonical
    }

    /// Whether content must be fetched to answer.
    package var needsContent: Bool { expression.cost >= 9 }

    /// The names of protobuf fields in it: only types that are known have them.
    package var fieldNames: [String] {
        expression.terms.flatMap { term -> [String] in
            if case .protobufField(let test) = term.term.comparison { test.path.names } else { [] }
        }
    }

    /// The rules that `~secret` names outside of negations; empty for every rule.
    package var secretRuleNames: [String] {
        let names = expression.terms.compactMap { term -> String?? in
            if term.isPlain, case .secret(let test) = term.term.comparison { .some(test.rule) } else { nil }
        }
        return names.contains(nil) ? [] : names.compactMap { $0 }
    }

    /// A form that parses to the same filter.
    package var canonical: String { expression.canonical }
}
