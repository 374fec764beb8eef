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

    /// The flows in this order. Equal ones stay in the order of the recordings; those without a value come last.
    /// - Parameter found: nil for all flows.
    func sorted(_ found: OrdinalSet?, _ state: FlowIndex.State) -> [UInt32] {
        let ranks: [UInt32] =
            switch key {
            case .host: state.hosts.ranks
            case .client: state.clients.ranks
            default: []
            }
        var keys: [(value: UInt64, ordinal: UInt32)] = []
        let facts = state.facts
        func add(_ ordinal: Int, _ facts: FlowFacts) {
            keys.append((value(of: facts, ranks).map { isDescending ? ~$0 &- 1 : $0 } ?? .max, UInt32(ordinal)))
        }
        if let found {
            keys.reserveCapacity(found.count)
            found.forEach { if $0 < facts.count { add($0, facts[$0]) } }
        } else {
            keys.reserveCapacity(facts.count)
            facts.forEach(0..<facts.count, add)
        }
        keys.sort { $0.value != $1.value ? $0.value < $1.value : $0.ordinal < $1.ordinal }
        return keys.map(\.ordinal)
    }

    /// A number that orders flows as the key does, below `.max - 1`; nil without a value.
    private func value(of facts: FlowFacts, _ ranks: [UInt32]) -> UInt64? {
        switch key {
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
