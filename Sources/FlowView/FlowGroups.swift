// Groups of a list by a fact: how many flows each has, how many failed, their bytes and durations.

import FlowModel
import FlowTable
import NIOCore

/// A fact that a list is grouped by.
package enum GroupKey: String, Sendable, CaseIterable {
    case host, client, type, method, status, kind, state
    case statusClass = "status_class"
}

/// A group.
package struct FlowGroup: Sendable {
    package var value: String
    package var count = 0
    package var failures = 0
    package var bytes: Int64 = 0
    /// Of flows that have ended, in microseconds.
    package var durations = QuantileSketch()
}

extension FlowList {
    /// The groups of the list, the largest first.
    /// - Parameter limit: groups after these are left out.
    /// - Returns: the groups, and how many there are.
    package func groups(by key: GroupKey, limit: Int) -> (groups: [FlowGroup], count: Int) {
        var groups: [UInt32: FlowGroup] = [:]
        forEachFacts { _, facts in
            let number = key.number(of: facts)
            groups[number, default: FlowGroup(value: "")].add(facts)
        }
        let names = names(of: key)
        let sorted = groups.map { number, group in
            var named = group
            named.value = names(number)
            return named
        }.sorted { ($1.count, $0.value) < ($0.count, $1.value) }
        return (Array(sorted.prefix(limit)), sorted.count)
    }
}

extension FlowGroup {
    fileprivate mutating func add(_ facts: FlowFacts) {
        count += 1
        if facts.isFailure { failures += 1 }
        bytes &+= facts.size
        if facts.duration >= 0 { durations.add(facts.duration / 1000) }
    }
}

extension GroupKey {
    fileprivate func number(of facts: FlowFacts) -> UInt32 {
        switch self {
        case .host: facts.host
        case .client: facts.client
        case .type: UInt32(facts.type)
        case .method: UInt32(facts.method)
        case .status: UInt32(facts.status)
        case .statusClass: UInt32(facts.status / 100)
        case .kind: UInt32(facts.kind.rawValue)
        case .state: UInt32(facts.state.rawValue)
        }
    }
}

extension FlowList {
    /// The names of the numbers of a key; empty for no value.
    fileprivate func names(of key: GroupKey) -> (UInt32) -> String {
        switch key {
        case .host, .client, .type:
            let texts = self.texts(of: key)
            // Types after very many others have one number.
            return { Int($0) < texts.count ? String(buffer: texts[Int($0)]) : "other" }
        case .method: return { FlowMethods.names[Int($0)] }
        case .status: return { $0 > 0 ? String($0) : "" }
        case .statusClass: return { $0 > 0 ? "\($0)xx" : "" }
        case .kind: return { FlowClass(rawValue: UInt8($0))?.name ?? "" }
        case .state: return { FlowState(rawValue: UInt8($0))?.description ?? "" }
        }
    }
}
