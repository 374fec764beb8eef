// Aligns two JSON arrays, so that an added or removed element is one difference and not one for each element after it.

import JSONQuery

/// The differences of two arrays: elements of both at the same place that differ, and elements of one of them.
struct ArrayAlignment {
    /// More comparisons than this are not made; then elements are compared by their positions.
    private static let maximumComparisons = 65_536

    struct Element {
        var position: Int
        var value: JSONTree
    }

    /// In the order of the arrays. One of the two can be missing.
    private(set) var pairs: [(recorded: Element?, now: Element?)] = []
    let counts: (recorded: Int, now: Int)

    init(_ recorded: [JSONTree], _ now: [JSONTree]) {
        counts = (recorded.count, now.count)
        var start = 0
        var (end, newEnd) = (recorded.count, now.count)
        while start < end, start < newEnd, recorded[start] == now[start] { start += 1 }
        while end > start, newEnd > start, recorded[end - 1] == now[newEnd - 1] { (end, newEnd) = (end - 1, newEnd - 1) }
        // Gaps between the elements that are equal in both.
        var (i, j) = (start, start)
        for (x, y) in Self.common(recorded[start..<end], now[start..<newEnd]) + [(end, newEnd)] {
            let paired = min(x - i, y - j)
            for offset in 0..<max(x - i, y - j) {
                pairs.append(
                    (
                        recorded: offset < paired || x - i > paired
                            ? Element(position: i + offset, value: recorded[i + offset]) : nil,
                        now: offset < paired || y - j > paired ? Element(position: j + offset, value: now[j + offset]) : nil
                    ))
            }
            (i, j) = (x + 1, y + 1)
        }
    }

    /// The positions of a longest common subsequence.
    private static func common(_ a: ArraySlice<JSONTree>, _ b: ArraySlice<JSONTree>) -> [(Int, Int)] {
        guard !a.isEmpty, !b.isEmpty, a.count * b.count <= maximumComparisons else { return [] }
        let width = b.count + 1
        var areEqual = [Bool](repeating: false, count: (a.count + 1) * width)
        // The length for the rest from each pair of positions.
        var lengths = [Int](repeating: 0, count: (a.count + 1) * width)
        for i in (0..<a.count).reversed() {
            for j in (0..<b.count).reversed() {
                let at = i * width + j
                areEqual[at] = a[a.startIndex + i] == b[b.startIndex + j]
                lengths[at] = areEqual[at] ? lengths[at + width + 1] + 1 : max(lengths[at + 1], lengths[at + width])
            }
        }
        var (i, j) = (0, 0)
        var found: [(Int, Int)] = []
        while i < a.count, j < b.count {
            let at = i * width + j
            if areEqual[at] {
                found.append((a.startIndex + i, b.startIndex + j))
                (i, j) = (i + 1, j + 1)
            } else if lengths[at + width] >= lengths[at + 1] {
                i += 1
            } else {
                j += 1
            }
        }
        return found
    }
}
