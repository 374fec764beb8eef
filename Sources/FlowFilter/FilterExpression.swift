// A parsed expression: a tree of questions, and its evaluation.

import FlowModel
import NIOCore

/// What is known for certain of a flow that goes on.
package struct FlowProgress: Sendable, Equatable {
    private(set) var hasRequest = false
    private(set) var hasRequestContent = false
    private(set) var hasResponse = false
    private(set) var hasResponseContent = false
    private(set) var hasEnded = false

    package init() {}

    /// Notes what an event makes certain.
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

    func covers(_ certainty: Certainty) -> Bool {
        if hasEnded { return true }
        switch certainty {
        case .opening: return true
        case .request: return hasRequest
        case .requestContent: return hasRequestContent
        case .response: return hasResponse
        case .responseContent: return hasResponseContent
        case .end: return false
        }
    }
}

indirect enum FilterExpression: Sendable {
    case question(Leaf)
    case not(FilterExpression)
    case and([FilterExpression])
    case or([FilterExpression])

    /// An operator with its argument.
    struct Leaf: Sendable {
        var name: String
        var question: Question
        var certainty: Certainty
        var cost: Int
        var pattern: Pattern?
        var status: StatusRange?
        var quantity: QuantityRange?
        /// What the host is like of each URL that the pattern of `~u` matches; nil when it can be any.
        var urlHost: Pattern?

        /// More codes than this are not asked for one by one.
        private static let maximumCodes = 100

        func mayMatch(_ group: some FlowGroupQuestions) -> Bool {
            if let status {
                guard status.highest - status.lowest < Self.maximumCodes else { return group.mayHold(.http) }
                return (status.lowest...status.highest).contains { group.mayHold(status: $0) }
            }
            switch question {
            case .none: return false
            case .kind(let kind): return group.mayHold(kind)
            case .host: return group.mayHold(.http) && Self.matches(pattern, anyOf: group.hosts)
            case .method: return group.mayHold(.http) && Self.matches(pattern, anyOf: group.methodNames)
            case .url: return group.mayHold(.http) && Self.matches(urlHost, anyOf: group.hosts)
            case .fields, .contentType, .asset, .hasResponse, .hasNoResponse, .webSocket:
                return group.mayHold(.http)
            case .all, .content, .status, .comment, .destination, .source, .error, .marked, .errorMessage, .id, .incomplete,
                .messages, .duration, .localReply, .note:
                return true
            }
        }

        /// A pattern or texts that are not known match, and a pattern that takes too many steps: the flows tell.
        private static func matches(_ pattern: Pattern?, anyOf texts: [ByteBuffer]?) -> Bool {
            guard let pattern, let texts else { return true }
            return texts.contains { (try? pattern.matches($0)) ?? true }
        }

        func matches(_ flow: some FlowQuestions) throws -> Bool {
            if let status { return status.contains(flow.status) }
            if let quantity { return try question.answer(flow, quantity) }
            if let pattern { return try question.answer(flow, pattern) }
            return question.answer(flow)
        }
    }

    func matches(_ flow: some FlowQuestions) throws -> Bool {
        switch self {
        case .question(let leaf): return try leaf.matches(flow)
        case .not(let expression): return try !expression.matches(flow)
        case .and(let expressions):
            for expression in expressions where try !expression.matches(flow) { return false }
            return true
        case .or(let expressions):
            for expression in expressions where try expression.matches(flow) { return true }
            return false
        }
    }

    /// A no is certain. Of what is negated nothing is said: that no flow has a status does not tell that each has another.
    func mayMatch(_ group: some FlowGroupQuestions) -> Bool {
        switch self {
        case .question(let leaf): leaf.mayMatch(group)
        case .not: true
        case .and(let expressions): expressions.allSatisfy { $0.mayMatch(group) }
        case .or(let expressions): expressions.contains { $0.mayMatch(group) }
        }
    }

    /// Three-valued: nil is "cannot be said yet".
    func decide(_ flow: some FlowQuestions, _ known: FlowProgress) throws -> Bool? {
        switch self {
        case .question(let leaf):
            return known.covers(leaf.certainty) ? try leaf.matches(flow) : nil
        case .not(let expression):
            return try expression.decide(flow, known).map { !$0 }
        case .and(let expressions):
            return try Self.fold(expressions, flow, known, absorbing: false)
        case .or(let expressions):
            return try Self.fold(expressions, flow, known, absorbing: true)
        }
    }

    /// One absorbing answer decides; otherwise one unknown leaves it open.
    private static func fold(
        _ expressions: [FilterExpression], _ flow: some FlowQuestions, _ known: FlowProgress, absorbing: Bool
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
        case .question(let leaf): leaf.cost
        case .not(let expression): expression.cost
        case .and(let expressions), .or(let expressions): expressions.map(\.cost).max() ?? 0
        }
    }

    /// The same with cheap questions before dear ones. The answer does not depend on the order.
    var sorted: FilterExpression {
        switch self {
        case .question: self
        case .not(let expression): .not(expression.sorted)
        case .and(let expressions): .and(expressions.map(\.sorted).stablySorted)
        case .or(let expressions): .or(expressions.map(\.sorted).stablySorted)
        }
    }

    /// A form that is read back as the same tree.
    var canonical: String {
        switch self {
        case .question(let leaf):
            if let status = leaf.status { return "\(leaf.name) \(status.text)" }
            if let quantity = leaf.quantity { return "\(leaf.name) \(quantity.text)" }
            guard let pattern = leaf.pattern else { return leaf.name }
            let escaped = pattern.text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            return "\(leaf.name) \"\(escaped)\""
        case .not(let expression): return "!(\(expression.canonical))"
        case .and(let expressions): return "(" + expressions.map(\.canonical).joined(separator: " & ") + ")"
        case .or(let expressions): return "(" + expressions.map(\.canonical).joined(separator: " | ") + ")"
        }
    }
}

extension [FilterExpression] {
    fileprivate var stablySorted: [FilterExpression] {
        enumerated().sorted { ($0.element.cost, $0.offset) < ($1.element.cost, $1.offset) }.map(\.element)
    }
}
