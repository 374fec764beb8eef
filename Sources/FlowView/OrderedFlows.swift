// The flows of a list in its order. While a recording grows, new flows are put between those that are in order already: nothing is sorted
// again.

/// Flows in an order. Used by one thread.
struct OrderedFlows {
    private let order: FlowOrder
    /// nil for an order by facts that the index has.
    private var texts: SortedTexts?
    private var ordered: [UInt32] = []
    /// The flows in ``ordered``.
    private var members = OrdinalBits()
    private var lastChange = 0

    init(_ order: FlowOrder) {
        self.order = order
        texts = order.key.text.map { SortedTexts($0) }
    }

    /// Puts the flows of a list in order.
    /// - Parameter found: nil for all flows.
    /// - Returns: the flows. Equal ones stay in the order of the recordings; those without a value come last.
    mutating func update(_ found: OrdinalSet?, in index: FlowIndex, isCancelled: () -> Bool) -> [UInt32] {
        let (facts, changed) = index.facts(changedAfter: &lastChange)
        texts?.read(found, count: facts.count, changed: changed, from: index, isCancelled: isCancelled)
        let stale = Set(changed.filter { members.contains($0) }.map { UInt32($0) })
        for ordinal in stale { members.remove(Int(ordinal)) }
        let (added, total) = take(found, facts.count)
        let values = order.values(facts, in: index)
        if added.count > ordered.count / 4 || ordered.count - stale.count + added.count != total {
            // There is little to keep, or flows are not in the list any more.
            members = OrdinalBits()
            ordered = []
            ordered = sorted(take(found, facts.count).added, values)
        } else if !added.isEmpty || !stale.isEmpty {
            let kept = stale.isEmpty ? ordered : ordered.filter { !stale.contains($0) }
            ordered = kept.merging(sorted(added, values)) { first, second in
                texts?.isBefore(first, second, isDescending: order.isDescending) ?? values.isBefore(first, second)
            }
        }
        return ordered
    }

    private func sorted(_ ordinals: [UInt32], _ values: FlowValues) -> [UInt32] {
        texts?.sorted(ordinals, isDescending: order.isDescending) ?? values.sorted(ordinals)
    }

    /// Makes the flows of a list members.
    /// - Returns: those that were not, and the number of all.
    private mutating func take(_ found: OrdinalSet?, _ count: Int) -> (added: [UInt32], total: Int) {
        var added: [UInt32] = []
        if members.isEmpty { added.reserveCapacity(found?.count ?? count) }
        guard let found else {
            for ordinal in 0..<count where members.insert(ordinal) { added.append(UInt32(ordinal)) }
            return (added, count)
        }
        var total = 0
        found.forEach { ordinal in
            guard ordinal < count else { return }
            total += 1
            if members.insert(ordinal) { added.append(UInt32(ordinal)) }
        }
        return (added, total)
    }
}

extension [UInt32] {
    /// These and others, both in the same order. It costs little more than a copy when the others are few.
    fileprivate func merging(_ others: [UInt32], isBefore: (UInt32, UInt32) -> Bool) -> [UInt32] {
        var merged: [UInt32] = []
        merged.reserveCapacity(count + others.count)
        var start = 0
        for other in others {
            var (low, high) = (start, count)
            while low < high {
                let middle = (low + high) / 2
                if isBefore(self[middle], other) { low = middle + 1 } else { high = middle }
            }
            merged += self[start..<low]
            merged.append(other)
            start = low
        }
        merged += self[start...]
        return merged
    }
}
