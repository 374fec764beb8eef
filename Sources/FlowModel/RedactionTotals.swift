// What redaction changed in many flows, for the summary at the end of a tool.

/// Counts by rule, and of what was not stored by reason.
package struct RedactionTotals: Sendable, Equatable {
    /// Values that each rule changed.
    package private(set) var rules: [String: UInt64] = [:]
    private var omissions: [Omitted: UInt64] = [:]

    private struct Omitted: Hashable {
        var isBody: Bool
        var reason: FlowRedaction.Omission.Reason
    }

    package init() {}

    package var isEmpty: Bool { rules.isEmpty && omissions.isEmpty }

    /// Adds the facts of a flow, or of a part of one.
    /// - Parameter known: those of them that were counted before, or that an earlier redaction reports.
    package mutating func count(_ facts: FlowRedaction, beyond known: FlowRedaction? = nil) {
        for change in facts.changes {
            let before = known?.changes.first { $0.rule == change.rule && $0.place == change.place }?.count ?? 0
            if change.count > before { rules[change.rule, default: 0] += change.count - before }
        }
        for omission in facts.omissions {
            let before =
                known?.omissions.first {
                    ($0.rule, $0.place, $0.reason) == (omission.rule, omission.place, omission.reason)
                }?.count ?? 0
            guard omission.count > before else { continue }
            omissions[Omitted(isBody: omission.place != .messages, reason: omission.reason), default: 0] += omission.count - before
        }
    }

    /// `redacted: header:authorization 1,204, json:$..password 33; not stored 2 bodies that could not be parsed`.
    package var summary: String {
        guard !isEmpty else { return "redacted: nothing" }
        let changed = rules.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) \(Self.grouped($0.value))" }
        let missing = omissions.sorted { ($0.key.reason.rawValue, $1.value) < ($1.key.reason.rawValue, $0.value) }.map {
            let (one, many) = $0.key.isBody ? ("body", "bodies") : ("message", "messages")
            return "\(Self.grouped($0.value)) \($0.value == 1 ? one : many) \($0.key.reason.explanation)"
        }
        let parts = [changed.joined(separator: ", "), missing.isEmpty ? "" : "not stored " + missing.joined(separator: ", ")]
        return "redacted: " + parts.filter { !$0.isEmpty }.joined(separator: "; ")
    }

    /// `1,204`.
    private static func grouped(_ number: UInt64) -> String {
        let digits = Array(String(number))
        return String(
            digits.indices.reversed().reduce(into: [Character]()) { text, index in
                if index < digits.count - 1, (digits.count - 1 - index) % 3 == 0 { text.append(",") }
                text.append(digits[index])
            }.reversed())
    }
}
