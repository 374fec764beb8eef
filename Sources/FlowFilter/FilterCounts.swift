// Counts what each term of a filter did, for --explain. A filter that does not count has none of this.

import FlowModel
import Synchronization

/// What the evaluation of a filter has cost, and which of its terms decided.
package struct FilterExplanation: Sendable, Equatable {
    /// A term, in the order of evaluation.
    package struct Term: Sendable, Equatable {
        /// Operator and argument.
        package var text: String
        package var access: TermAccess
        /// Summaries of blocks tell that no flow of a block matches it.
        package var skipsBlocks: Bool
        /// Flows that it was evaluated for, and those that it matched.
        package var evaluated: UInt64
        package var matched: UInt64

        package init(text: String, access: TermAccess, skipsBlocks: Bool, evaluated: UInt64, matched: UInt64) {
            (self.text, self.access, self.skipsBlocks) = (text, access, skipsBlocks)
            (self.evaluated, self.matched) = (evaluated, matched)
        }
    }

    /// Blocks that were skipped because no flow of them matches a part of the expression.
    package struct Skipped: Sendable, Equatable {
        package var text: String
        package var blocks: UInt64

        package init(text: String, blocks: UInt64) { (self.text, self.blocks) = (text, blocks) }
    }

    /// The expression in the order of its evaluation.
    package var expression: String
    package var terms: [Term]
    /// The most first.
    package var skipped: [Skipped] = []
    /// Flows that were tested, and those that matched.
    package var flows: UInt64 = 0
    package var matched: UInt64 = 0
    /// Flows for which more than their records was read, and those of them for which content was.
    package var neededMore: UInt64 = 0
    package var neededContent: UInt64 = 0
    /// Bodies that could not be decoded, and were searched as they were sent.
    package var undecodedBodies: UInt64 = 0
    /// Why no flow matched; nil if one did, or none was tested.
    package var emptiedBy: Emptied?

    /// The part of the expression that none of the flows that were tested for it matched.
    package struct Emptied: Sendable, Equatable {
        package var text: String
        package var tested: UInt64

        package init(text: String, tested: UInt64) { (self.text, self.tested) = (text, tested) }
    }

    package init(expression: String, terms: [Term]) { (self.expression, self.terms) = (expression, terms) }
}

/// Evaluates an expression and counts. Threads that evaluate at the same time have objects of their own, whose counts are added to those of
/// their parent at the end.
final class FilterCounts: Sendable {
    /// Counts the bodies that could not be decoded while a term is evaluated; nil when nothing counts.
    @TaskLocal static var undecodedBodies: UndecodedBodies?

    final class UndecodedBodies: Sendable {
        private let count = Atomic<UInt64>(0)
        func add() { count.add(1, ordering: .relaxed) }
        var value: UInt64 { count.load(ordering: .relaxed) }
    }

    private let expression: CountedExpression
    private let parent: FilterCounts?
    private let totals: Mutex<FilterTotals>

    convenience init(_ expression: FilterExpression) {
        var number = 0
        let counted = CountedExpression(expression, &number)
        self.init(counted, terms: number, parent: nil)
    }

    private init(_ expression: CountedExpression, terms: Int, parent: FilterCounts?) {
        self.expression = expression
        self.parent = parent
        totals = Mutex(FilterTotals(terms: terms))
    }

    deinit {
        guard let parent else { return }
        let own = totals.withLock { $0 }
        parent.totals.withLock { $0.add(own) }
    }

    /// Counts for one thread.
    func child() -> FilterCounts { FilterCounts(expression, terms: totals.withLock { $0.terms.count }, parent: self) }

    func matches(_ flow: some FlowAttributes) throws -> Bool {
        try totals.withLock { try $0.matches(flow, expression) }
    }

    func noteSkipped(by text: String) { totals.withLock { $0.skipped[text, default: 0] += 1 } }

    var current: FilterTotals { totals.withLock { $0 } }
}

/// The counts of one thread, or of all.
struct FilterTotals: Sendable {
    var terms: [(evaluated: UInt64, matched: UInt64)]
    var skipped: [String: UInt64] = [:]
    var flows: UInt64 = 0
    var matched: UInt64 = 0
    var neededMore: UInt64 = 0
    var neededContent: UInt64 = 0
    var undecodedBodies: UInt64 = 0
    /// What the current flow needed so far, and the terms that were evaluated for it.
    private var reached = TermAccess.record
    private var visited: [(term: Int, isMatch: Bool)] = []

    init(terms: Int) { self.terms = Array(repeating: (0, 0), count: terms) }

    mutating func add(_ other: FilterTotals) {
        for index in terms.indices {
            terms[index].evaluated += other.terms[index].evaluated
            terms[index].matched += other.terms[index].matched
        }
        skipped.merge(other.skipped, uniquingKeysWith: +)
        flows += other.flows
        matched += other.matched
        neededMore += other.neededMore
        neededContent += other.neededContent
        undecodedBodies += other.undecodedBodies
    }

    mutating func matches(_ flow: some FlowAttributes, _ expression: CountedExpression) throws -> Bool {
        reached = .record
        visited.removeAll(keepingCapacity: true)
        // A flow that it is too early to answer for is evaluated again.
        let isMatch = try evaluate(expression, flow)
        flows += 1
        if isMatch { matched += 1 }
        if reached > .record { neededMore += 1 }
        if reached == .content { neededContent += 1 }
        for (term, isMatch) in visited {
            terms[term].evaluated += 1
            if isMatch { terms[term].matched += 1 }
        }
        return isMatch
    }

    private mutating func evaluate(_ expression: CountedExpression, _ flow: some FlowAttributes) throws -> Bool {
        switch expression {
        case .term(let term, let number):
            let access = term.access
            if access > reached { reached = access }
            let isMatch = try access == .content ? content(term, flow) : term.matches(flow)
            visited.append((number, isMatch))
            return isMatch
        case .not(let expression): return try !evaluate(expression, flow)
        case .and(let expressions):
            for expression in expressions where try !evaluate(expression, flow) { return false }
            return true
        case .or(let expressions):
            for expression in expressions where try evaluate(expression, flow) { return true }
            return false
        }
    }

    private mutating func content(_ term: FilterTerm, _ flow: some FlowAttributes) throws -> Bool {
        let bodies = FilterCounts.UndecodedBodies()
        defer { undecodedBodies += bodies.value }
        return try FilterCounts.$undecodedBodies.withValue(bodies) { try term.matches(flow) }
    }
}

/// An expression whose terms are numbered in the order of their evaluation.
indirect enum CountedExpression: Sendable {
    case term(FilterTerm, Int)
    case not(CountedExpression)
    case and([CountedExpression])
    case or([CountedExpression])

    init(_ expression: FilterExpression, _ number: inout Int) {
        switch expression {
        case .term(let term):
            self = .term(term, number)
            number += 1
        case .not(let expression): self = .not(CountedExpression(expression, &number))
        case .and(let expressions): self = .and(expressions.map { CountedExpression($0, &number) })
        case .or(let expressions): self = .or(expressions.map { CountedExpression($0, &number) })
        }
    }
}

extension FilterExpression {
    /// The smallest part of the expression that no flow of the block matches; nil when there may be such a flow.
    func exclusion(of block: some BlockSummary) -> String? {
        switch self {
        case .term(let term): return term.mayMatch(block) ? nil : canonical
        case .not: return nil
        case .and(let expressions):
            for expression in expressions { if let part = expression.exclusion(of: block) { return part } }
            return nil
        case .or: return mayMatch(block) ? nil : canonical
        }
    }

    /// The terms, in the order of their evaluation, and whether each stands outside of negations.
    var terms: [(term: FilterTerm, isPlain: Bool)] {
        switch self {
        case .term(let term): [(term, true)]
        case .not(let expression): expression.terms.map { ($0.term, false) }
        case .and(let expressions), .or(let expressions): expressions.flatMap(\.terms)
        }
    }

    /// Flows that this expression was evaluated for and those that it matched, by the counts of its terms.
    /// - Parameter number: of its first term; of the term after it on return.
    private func outcome(_ totals: FilterTotals, _ number: inout Int) -> (evaluated: UInt64, matched: UInt64) {
        switch self {
        case .term:
            defer { number += 1 }
            return totals.terms[number]
        case .not(let expression):
            let inner = expression.outcome(totals, &number)
            return (inner.evaluated, inner.evaluated - inner.matched)
        case .and(let expressions):
            // Each flow is tested for the first part, and one that matches is the last part's.
            let parts = expressions.map { $0.outcome(totals, &number) }
            return (parts.first?.evaluated ?? 0, parts.last?.matched ?? 0)
        case .or(let expressions):
            let parts = expressions.map { $0.outcome(totals, &number) }
            return (parts.first?.evaluated ?? 0, parts.reduce(0) { $0 + $1.matched })
        }
    }

    /// The smallest part of the expression because of which no flow matched.
    func emptied(_ totals: FilterTotals) -> FilterExplanation.Emptied? {
        var number = 0
        return emptied(totals, &number)
    }

    private func emptied(_ totals: FilterTotals, _ number: inout Int) -> FilterExplanation.Emptied? {
        let start = number
        let outcome = outcome(totals, &number)
        guard outcome.evaluated > 0, outcome.matched == 0 else { return nil }
        guard case .and(let expressions) = self else {
            return FilterExplanation.Emptied(text: canonical, tested: outcome.evaluated)
        }
        var place = start
        for expression in expressions {
            if let part = expression.emptied(totals, &place) { return part }
        }
        return FilterExplanation.Emptied(text: canonical, tested: outcome.evaluated)
    }
}
