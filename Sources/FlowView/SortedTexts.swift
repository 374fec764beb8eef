// The texts of a column by which a list is sorted. The index does not have them, because they are long: a list that needs them reads them
// once for each of its flows, and has them while it is open.

import FlowTable
import NIOCore

/// Texts of flows, for an order by them. Used by one thread.
struct SortedTexts {
    /// Texts are compared by their first bytes.
    private static let maximumLength = 1024

    private let column: FlowColumn
    /// All texts, one after the other.
    private var bytes: [UInt8] = []
    /// Flows with a text, and where it ends; each begins where the one before it ends.
    private var entries: [(ordinal: UInt32, end: Int)] = []
    private var without: [UInt32] = []
    private var known = OrdinalBits()

    init(_ column: FlowColumn) { self.column = column }

    /// Reads the texts of flows that it does not have.
    /// - Parameters:
    ///   - found: nil for all flows.
    ///   - changed: flows whose texts may have changed.
    mutating func read(_ found: OrdinalSet?, count: Int, changed: [Int], from index: FlowIndex, isCancelled: () -> Bool) {
        for ordinal in changed where known.contains(ordinal) { forget(ordinal) }
        if let found {
            found.forEach { if !isCancelled(), known.insert($0) { read($0, from: index) } }
        } else {
            for ordinal in 0..<count where !isCancelled() && known.insert(ordinal) { read(ordinal, from: index) }
        }
    }

    private mutating func read(_ ordinal: Int, from index: FlowIndex) {
        let value = try? index.withAttributes(of: ordinal) { try column.value(of: $0) }
        guard case .text(let text)? = value else { return without.append(UInt32(ordinal)) }
        bytes.append(contentsOf: text.readableBytesView.prefix(Self.maximumLength))
        entries.append((UInt32(ordinal), bytes.count))
    }

    /// Its bytes stay until the list is closed.
    private mutating func forget(_ ordinal: Int) {
        known.remove(ordinal)
        without.removeAll { $0 == ordinal }
        guard let place = entries.firstIndex(where: { $0.ordinal == ordinal }) else { return }
        // The text before it must not grow by its bytes.
        entries[place].ordinal = .max
    }

    /// Flows in the order of their texts. Equal ones are in the order of the recordings; those without a text come last.
    /// - Parameter found: flows that are still in the list; nil for all.
    func sorted(_ found: OrdinalSet?, isDescending: Bool) -> [UInt32] {
        var current = OrdinalBits()
        found?.forEach { _ = current.insert($0) }
        func isListed(_ ordinal: UInt32) -> Bool { ordinal != .max && (found == nil || current.contains(Int(ordinal))) }
        let common = commonPrefix
        var keys: [Key] = []
        keys.reserveCapacity(entries.count)
        var start = 0
        for (number, entry) in entries.enumerated() {
            if isListed(entry.ordinal) {
                keys.append(Key(prefix: word(at: start + common, before: entry.end), ordinal: entry.ordinal, entry: UInt32(number)))
            }
            start = entry.end
        }
        keys.sort { first, second in
            if first.prefix != second.prefix { return (first.prefix < second.prefix) != isDescending }
            let order = compare(first.entry, second.entry, after: common + 8)
            return order == 0 ? first.ordinal < second.ordinal : (order < 0) != isDescending
        }
        return keys.map(\.ordinal) + without.filter(isListed).sorted()
    }

    private struct Key {
        /// The eight bytes after the common beginning.
        var prefix: UInt64
        var ordinal: UInt32
        var entry: UInt32
    }

    private func range(_ entry: Int) -> Range<Int> { (entry > 0 ? entries[entry - 1].end : 0)..<entries[entry].end }

    /// The length of the beginning that all texts have: `https://`, and the host of a recording with one.
    private var commonPrefix: Int {
        guard !entries.isEmpty else { return 0 }
        let first = bytes[range(0)]
        var length = first.count
        for entry in entries.indices {
            let text = bytes[range(entry)]
            length = min(length, text.count)
            if !text.prefix(length).elementsEqual(first.prefix(length)) {
                length = zip(text, first).prefix { $0 == $1 }.count
            }
        }
        return length
    }

    private func word(at start: Int, before end: Int) -> UInt64 {
        var word: UInt64 = 0
        for index in start..<start + 8 { word = word << 8 | (index < end ? UInt64(bytes[index]) : 0) }
        return word
    }

    private func compare(_ first: UInt32, _ second: UInt32, after offset: Int) -> Int {
        let (one, other) = (range(Int(first)), range(Int(second)))
        var (place, otherPlace) = (one.lowerBound + offset, other.lowerBound + offset)
        while place < one.upperBound, otherPlace < other.upperBound {
            if bytes[place] != bytes[otherPlace] { return bytes[place] < bytes[otherPlace] ? -1 : 1 }
            place += 1
            otherPlace += 1
        }
        return max(0, one.upperBound - place) - max(0, other.upperBound - otherPlace)
    }
}
