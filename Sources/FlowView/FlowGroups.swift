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
package struct FlowGroup: Sendable, Equatable {
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
        let (found, facts) = members
        // Threads that ask for the same groups at once count for themselves.
        var counted = counted.withLock { $0.removeValue(forKey: key) } ?? CountedGroups()
        let groups = counted.update(by: key, found, facts)
        if counted.isSmall { self.counted.withLock { $0[key] = counted } }
        let names = names(of: key)
        let sorted = groups.enumerated().compactMap { number, group in
            guard group.count > 0 else { return nil as FlowGroup? }
            var named = group
            named.value = names(UInt32(number))
            return named
        }.sorted { ($1.count, $0.value) < ($0.count, $1.value) }
        return (Array(sorted.prefix(limit)), sorted.count)
    }
}

/// The groups of a list by a fact. While a recording grows, each flow is counted once, when it has ended.
struct CountedGroups: Sendable {
    private static let maximum = 10_000

    /// Of flows that do not change any more, by the numbers of the fact.
    private var settled: [FlowGroup] = []
    /// Flows of the list that may change.
    private var open: [Int] = []
    /// Flows at the beginning of the list that are in one of the two.
    private var count = 0
    private var changesInside = 0

    /// It is worth the memory.
    var isSmall: Bool { settled.count <= Self.maximum }

    /// Counts the flows that are new or have ended.
    /// - Parameters:
    ///   - found: nil for all flows.
    ///   - facts: of all flows in the list.
    /// - Returns: groups by the numbers of the fact, some without flows.
    mutating func update(by key: GroupKey, _ found: OrdinalSet?, _ facts: FactsTable) -> [FlowGroup] {
        if let found, found.changesInside != changesInside {
            self = CountedGroups()
            changesInside = found.changesInside
        }
        let before = open
        open = []
        for ordinal in before { note(ordinal, facts[ordinal], key) }
        if let found {
            found.forEach(from: count) { note($0, facts[$0], key) }
            count = found.count
        } else {
            facts.forEach(count..<facts.count) { note($0, $1, key) }
            count = facts.count
        }
        guard !open.isEmpty else { return settled }
        var groups = settled
        for ordinal in open { groups.add(facts[ordinal], key) }
        return groups
    }

    private mutating func note(_ ordinal: Int, _ facts: FlowFacts, _ key: GroupKey) {
        if facts.marks.contains(.mayChange) { open.append(ordinal) } else { settled.add(facts, key) }
    }
}

extension [FlowGroup] {
    fileprivate mutating func add(_ facts: FlowFacts, _ key: GroupKey) {
        let number = Int(key.number(of: facts))
        if number >= count { append(contentsOf: repeatElement(FlowGroup(value: ""), count: number + 1 - count)) }
        self[number].add(facts)
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
