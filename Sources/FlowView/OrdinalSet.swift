// Ordinals in ascending order, four bytes each. They come almost in order.

/// A set of ordinals.
struct OrdinalSet: Sendable {
    private var ordinals: [UInt32] = []
    /// Counts the changes that are not only additions at the end.
    private(set) var changesInside = 0

    var count: Int { ordinals.count }
    var last: Int? { ordinals.last.map { Int($0) } }

    func ordinals(_ range: Range<Int>) -> [Int] { ordinals[range.clamped(to: ordinals.indices)].map { Int($0) } }

    /// The number of smaller ordinals, if it is in the set.
    func position(of ordinal: Int) -> Int? {
        let place = place(of: ordinal)
        return place < ordinals.count && ordinals[place] == ordinal ? place : nil
    }

    mutating func insert(_ ordinal: Int) {
        if ordinals.last.map({ $0 < ordinal }) ?? true { return ordinals.append(UInt32(ordinal)) }
        let place = place(of: ordinal)
        guard ordinals[place] != ordinal else { return }
        ordinals.insert(UInt32(ordinal), at: place)
        changesInside += 1
    }

    /// - Parameter others: in any order.
    mutating func insert(contentsOf others: [UInt32]) {
        guard let first = others.min() else { return }
        let isInOrder = ordinals.last.map { $0 < first } ?? true
        ordinals += others
        if !isInOrder { changesInside += 1 }
        guard !isInOrder || zip(others, others.dropFirst()).contains(where: { $0 >= $1 }) else { return }
        ordinals.sort()
        var kept = 0
        for index in ordinals.indices where index == 0 || ordinals[index] != ordinals[kept - 1] {
            ordinals[kept] = ordinals[index]
            kept += 1
        }
        ordinals.removeLast(ordinals.count - kept)
    }

    /// - Returns: false if it was not in the set.
    mutating func remove(_ ordinal: Int) -> Bool {
        guard let place = position(of: ordinal) else { return false }
        ordinals.remove(at: place)
        changesInside += 1
        return true
    }

    /// - Parameter start: the number of smaller ordinals that are left out.
    func forEach(from start: Int = 0, _ body: (Int) -> Void) { for ordinal in ordinals[start...] { body(Int(ordinal)) } }

    private func place(of ordinal: Int) -> Int {
        var (low, high) = (0, ordinals.count)
        while low < high {
            let middle = (low + high) / 2
            if ordinals[middle] < ordinal { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
