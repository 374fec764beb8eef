// A parsed expression: a tree of terms, and its evaluation.

import FlowModel
import NIOCore

/// What is final of a flow that is being recorded.
package struct FlowProgress: Sendable, Equatable {
    private(set) var hasRequest = false
    private(set) var hasRequestContent = false
    private(set) var hasResponse = false
    private(set) var hasResponseContent = false
    private(set) var hasEnded = false

    package init() {}

    /// Notes what an event makes final.
    package mutating func receive(_ event: FlowEvent.What) {
        switch event {
        case .request: hasRequest = true
        case .finished(.client): hasRequestContent = true
        case .response, .localReply: hasResponse = true
        case .finished(.server): hasResponseContent = true
        case .ended: hasEnded = true
        default: break
        }
    }

    func covers(_ availability: Availability) -> Bool {
        if hasEnded { return true }
        switch availability {
        case .opening: return true
        case .request: return hasRequest
        case .requestContent: return hasRequestContent
        case .response: return hasResponse
        case .responseContent: return hasResponseContent
        case .end: return false
        }
    }
}

enum FilterExpression: Sendable {
    case term(FilterTerm)
    indirect case not(FilterExpression)
    case and([FilterExpression])
    case or([FilterExpression])

    func matches(_ flow: some FlowAttributes) throws -> Bool {
        switch self {
        case .term(let term): return try term.matches(flow)
        case .not(let expression): return try !expression.matches(flow)
        case .and(let expressions):
            for expression in expressions where try !expression.matches(flow) { return false }
            return true
        case .or(let expressions):
            for expression in expressions where try expression.matches(flow) { return true }
            return false
        }
    }

    /// False only when no flow of the block matches. A negation is always true: a summary does not tell that every flow matches a term.
    func mayMatch(_ block: some BlockSummary) -> Bool {
        switch self {
        case .term(let term): term.mayMatch(block)
        case .not: true
        case .and(let expressions): expressions.allSatisfy { $0.mayMatch(block) }
        case .or(let expressions): expressions.contains { $0.mayMatch(block) }
        }
    }

    /// The answer when it is final; nil before.
    func decide(_ flow: some FlowAttributes, _ known: FlowProgress) throws -> Bool? {
        switch self {
        case .term(let term):
            return known.covers(term.row.availability) ? try term.matches(flow) : nil
        case .not(let expression):
            return try expression.decide(flow, known).map { !$0 }
        case .and(let expressions):
            return try Self.fold(expressions, flow, known, absorbing: false)
        case .or(let expressions):
            return try Self.fold(expressions, flow, known, absorbing: true)
        }
    }

    /// One absorbing answer decides; otherwise one unknown leaves the result unknown.
    private static func fold(
        _ expressions: [FilterExpression], _ flow: some FlowAttributes, _ known: FlowProgress, absorbing: Bool
    ) throws -> Bool? {
        var answer: Bool? = !absorbing
        for expression in expressions {
            let part = try expression.decide(flow, known)
            if part == absorbing { return absorbing }
            if part == nil { answer = nil }
        }
        return answer
    }

    var cost: Int {
        switch self {
        case .term(let term): term.row.cost
        case .not(let expression): expression.cost
        case .and(let expressions), .or(let expressions): expressions.map(\.cost).max() ?? 0
        }
    }

    /// The same with cheap terms before expensive ones. The answer does not depend on the order.
    var sorted: FilterExpression {
        switch self {
        case .term: self
        case .not(let expression): .not(expression.sorted)
        case .and(let expressions): .and(expressions.map(\.sorted).stablySorted)
        case .or(let expressions): .or(expressions.map(\.sorted).stablySorted)
        }
    }

    /// A form that parses to the same tree.
    var canonical: String {
        switch self {
        case .term(let term): term.canonical
        case .not(let expression): "!(\(expression.canonical))"
        case .and(let expressions): "(" + expressions.map(\.canonical).joined(separator: " & ") + ")"
        case .or(let expressions): "(" + expressions.map(\.canonical).joined(separator: " | ") + ")"
        }
    }
}

extension [FilterExpression] {
    fileprivate var stablySorted: [FilterExpression] {
        enumerated().sorted { ($0.element.cost, $0.offset) < ($1.element.cost, $1.offset) }.map(\.element)
    }
}
