// Orders of a list by facts that the index has. ``SortedTexts`` has those by other texts.

import FlowTable

/// The column that a list is sorted by, and the direction.
package struct FlowOrder: Sendable, Equatable {
    /// Columns that a list can be sorted by.
    package enum Key: String, Sendable, CaseIterable {
        case started, ended, kind, state, method, status, host, port, client
        case duration = "duration_us"
        case timeToFirstByte = "ttfb_us"
        case requestBytes = "req_bytes"
        case responseBytes = "resp_bytes"
        case size, path, url

        /// The column of a text that the index does not have.
        var text: FlowColumn? {
            switch self {
            case .path: .path
            case .url: .url
            default: nil
            }
        }
    }

    package var key: Key
    package var isDescending: Bool

    package init(_ key: Key, isDescending: Bool = false) {
        self.key = key
        self.isDescending = isDescending
    }

    /// The values by which flows are ordered.
    func values(_ facts: FactsTable, in index: FlowIndex) -> FlowValues {
        let texts: InternedTexts? =
            switch key {
            case .host: index.state.withLock { $0.hosts }
            case .client: index.state.withLock { $0.clients }
            default: nil
            }
        return FlowValues(order: self, facts: facts, ranks: texts?.ranks ?? [])
    }
}

/// The values of flows in an order by facts.
struct FlowValues {
    fileprivate let order: FlowOrder
    fileprivate let facts: FactsTable
    /// Of hosts or clients, by their numbers.
    fileprivate let ranks: [UInt32]

    /// Flows in the order. Equal ones stay in the order of the recordings; those without a value come last.
    func sorted(_ ordinals: [UInt32]) -> [UInt32] {
        var keys: [(value: UInt64, ordinal: UInt32)] = []
        keys.reserveCapacity(ordinals.count)
        for ordinal in ordinals { keys.append((value(of: ordinal), ordinal)) }
        keys.sort { $0.value != $1.value ? $0.value < $1.value : $0.ordinal < $1.ordinal }
        return keys.map(\.ordinal)
    }

    func isBefore(_ first: UInt32, _ second: UInt32) -> Bool {
        let (one, other) = (value(of: first), value(of: second))
        return one != other ? one < other : first < second
    }

    /// Ascending in the order.
    private func value(of ordinal: UInt32) -> UInt64 {
        value(of: facts[Int(ordinal)]).map { order.isDescending ? ~$0 &- 1 : $0 } ?? .max
    }

    /// A number that orders flows as the key does, below `.max - 1`; nil without a value.
    private func value(of facts: FlowFacts) -> UInt64? {
        switch order.key {
        case .started: UInt64(clamping: facts.started)
        case .ended: facts.duration >= 0 ? UInt64(clamping: facts.end) : nil
        case .duration: facts.duration >= 0 ? UInt64(facts.duration) : nil
        case .timeToFirstByte: facts.timeToFirstByte.map { UInt64($0) }
        case .requestBytes: facts.requestSize >= 0 ? UInt64(facts.requestSize) : nil
        case .responseBytes: facts.responseSize >= 0 ? UInt64(facts.responseSize) : nil
        case .size: UInt64(facts.size)
        case .status: facts.status > 0 ? UInt64(facts.status) : nil
        case .port: facts.port > 0 ? UInt64(facts.port) : nil
        case .kind: UInt64(facts.kind.rawValue)
        case .state: UInt64(facts.state.rawValue)
        // Others come after those that are known.
        case .method: facts.method > 0 ? UInt64(facts.method) : 255
        case .host: UInt64(ranks[Int(facts.host)])
        case .client: UInt64(ranks[Int(facts.client)])
        case .path, .url: nil
        }
    }
}
