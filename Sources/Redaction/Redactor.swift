// Applies the rules to values. All parts of a flow, and a request that is compared with a recording, get the same answers from here.

import FlowModel
import HTTPSemantics
import NIOCore

/// The rules and the key of the hashes. May be used by several threads.
package struct Redactor: Sendable {
    package let rules: RedactionRules
    private let key: RedactionKey?

    /// - Parameter key: required if the rules hash (``RedactionRules/needsKey``).
    package init(_ rules: RedactionRules, key: RedactionKey?) {
        precondition(!rules.needsKey || key != nil, "rules that hash have a key")
        (self.rules, self.key) = (rules, key)
    }

    /// What a recording names: the rules in canonical form, and the key if they hash.
    package var named: [String] { rules.canonical + (rules.needsKey ? key.map { [$0.name] } ?? [] : []) }

    func method(of rule: Int) -> RedactionMethod { rules.rules[rule].method }

    /// The text that stands for a value that is not removed: a marker, or a JSON Web Token without its values.
    /// - Returns: nil if the value was hidden before.
    func hidden(_ value: ByteBuffer, _ rule: Int) -> ByteBuffer? {
        if RedactionMarker.isMarker(value) { return nil }
        let token = WebToken(value)
        if let token, token.isHidden { return nil }
        let marker = method(of: rule) == .hash ? key?.marker(of: value) ?? RedactionMarker.mask : RedactionMarker.mask
        return token?.hidden(signature: marker) ?? marker
    }
}

/// How often each rule changed something in one place.
struct Tally {
    private(set) var counts: [(rule: Int, count: UInt64)] = []

    var isEmpty: Bool { counts.isEmpty }

    mutating func add(_ rule: Int, _ count: UInt64 = 1) {
        if let index = counts.firstIndex(where: { $0.rule == rule }) {
            counts[index].count += count
        } else {
            // Growing from nothing would copy them twice.
            if counts.isEmpty { counts.reserveCapacity(4) }
            counts.append((rule, count))
        }
    }

    mutating func add(_ other: Tally) { for (rule, count) in other.counts { add(rule, count) } }

    /// Adds the changes to the facts of a flow.
    func report(_ place: FlowRedaction.Place, of rules: RedactionRules, to facts: inout FlowRedaction) {
        for (rule, count) in counts {
            facts.add(FlowRedaction.Change(rule: rules.rules[rule].text, place: place, count: count))
        }
    }
}
