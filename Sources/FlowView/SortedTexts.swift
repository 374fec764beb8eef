// The texts of a column by which a list is sorted. The index does not have them, because they are long: a list that needs them reads them
// once for each of its flows, and has them while it is open.

import FlowTable
import NIOCore

/// Texts of flows, for an order by them. Used by one thread.
struct SortedTexts {
    /// Texts are compared by their first bytes.
    private static let maximumLength = 1024
    private static let shift = 20
    private static let pieceSize = 1 << shift
    private static let partSize = 1 << 17
    private static let recentCount = 1 << 16
    private static let unknown = UInt32.max
    private static let none = UInt32.max - 1

    private let column: FlowColumn
    /// Texts one after the other, in pieces of a fixed size: none is copied when others are added. Two bytes of length come before each.
    private var pieces: [[UInt8]] = []
    /// By ordinal, the piece of the text and where it begins there, or one of the two constants. Flows with the same text share it.
    private var places: [UInt32] = []
    /// Places of texts that were added last, by a hash of the text.
    private var recent = [UInt32](repeating: unknown, count: recentCount)

    init(_ column: FlowColumn) { self.column = column }

    /// Reads the texts of flows that it does not have.
    /// - Parameters:
    ///   - found: nil for all flows.
    ///   - changed: flows whose texts may have changed. The bytes of their former texts stay until the list is closed.
    mutating func read(_ found: OrdinalSet?, count: Int, changed: [Int], from index: FlowIndex, isCancelled: () -> Bool) {
        if count > places.count {
            // A recording that grows does so for a long time.
            if !places.isEmpty { places.reserveCapacity(count + count / 4) }
            places.append(contentsOf: repeatElement(Self.unknown, count: count - places.count))
        }
        for ordinal in changed where ordinal < places.count { places[ordinal] = Self.unknown }
        func isMissing(_ ordinal: Int) -> Bool { ordinal < places.count && places[ordinal] == Self.unknown && !isCancelled() }
        if let found {
            found.forEach { if isMissing($0) { read($0, from: index) } }
        } else {
            for ordinal in 0..<count where isMissing(ordinal) { read(ordinal, from: index) }
        }
    }

    private mutating func read(_ ordinal: Int, from index: FlowIndex) {
        let value = try? index.withAttributes(of: ordinal) { try column.value(of: $0) }
        guard case .text(let text)? = value, let place = add(text) else {
            places[ordinal] = Self.none
            return
        }
        places[ordinal] = place
    }

    /// - Returns: its place; nil when there is no room: its flow comes last.
    private mutating func add(_ text: ByteBuffer) -> UInt32? {
        let bytes = text.readableBytesView.prefix(Self.maximumLength)
        let length = bytes.count
        let slot =
            Int(truncatingIfNeeded: bytes.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 } >> 8) % Self.recentCount
        if recent[slot] != Self.unknown, isText(bytes, at: Int(recent[slot])) { return recent[slot] }
        if (pieces.last?.count ?? Self.pieceSize) + 2 + length > Self.pieceSize {
            guard pieces.count < (1 << (32 - Self.shift)) - 1 else { return nil }
            var piece: [UInt8] = []
            piece.reserveCapacity(Self.pieceSize)
            pieces.append(piece)
        }
        let number = pieces.count - 1
        let place = UInt32(number << Self.shift | pieces[number].count)
        pieces[number].append(UInt8(length >> 8))
        pieces[number].append(UInt8(length & 0xFF))
        pieces[number].append(contentsOf: bytes)
        recent[slot] = place
        return place
    }

    private func isText(_ bytes: ByteBufferView, at place: Int) -> Bool {
        let range = range(at: place)
        guard range.count == bytes.count else { return false }
        let start = range.lowerBound & (Self.pieceSize - 1)
        return pieces[place >> Self.shift][start..<start + range.count].elementsEqual(bytes)
    }

    // MARK: Order

    /// Flows in the order of their texts. Equal ones are in the order of the recordings; those without a text come last.
    func sorted(_ ordinals: [UInt32], isDescending: Bool) -> [UInt32] {
        let common = commonPrefix(ordinals)
        // In parts, which need little memory, and then together.
        var parts: [[UInt32]] = []
        for start in stride(from: 0, to: ordinals.count, by: Self.partSize) {
            let part = ordinals[start..<min(ordinals.count, start + Self.partSize)]
            parts.append(sorted(part, after: common, isDescending: isDescending))
        }
        while parts.count > 1 {
            var merged: [[UInt32]] = []
            for index in stride(from: 0, to: parts.count, by: 2) {
                let other = index + 1 < parts.count ? parts[index + 1] : []
                merged.append(merge(parts[index], other, after: common, isDescending: isDescending))
                parts[index] = []
            }
            parts = merged
        }
        return parts.first ?? []
    }

    private func sorted(_ ordinals: ArraySlice<UInt32>, after common: Int, isDescending: Bool) -> [UInt32] {
        var keys: [(prefix: UInt64, ordinal: UInt32)] = []
        keys.reserveCapacity(ordinals.count)
        for ordinal in ordinals { if hasText(ordinal) { keys.append((word(of: ordinal, after: common), ordinal)) } }
        keys.sort { first, second in
            if first.prefix != second.prefix { return (first.prefix < second.prefix) != isDescending }
            return isBefore(first.ordinal, second.ordinal, after: common + 8, isDescending: isDescending)
        }
        let sorted = keys.map(\.ordinal)
        return sorted.count < ordinals.count ? sorted + ordinals.filter { !hasText($0) } : sorted
    }

    private func merge(_ first: [UInt32], _ second: [UInt32], after common: Int, isDescending: Bool) -> [UInt32] {
        var merged: [UInt32] = []
        merged.reserveCapacity(first.count + second.count)
        var place = 0
        for ordinal in second {
            while place < first.count, isBefore(first[place], ordinal, after: common, isDescending: isDescending) {
                merged.append(first[place])
                place += 1
            }
            merged.append(ordinal)
        }
        merged += first[place...]
        return merged
    }

    /// Whether a flow comes before another.
    /// - Parameter offset: bytes that their texts have in common.
    func isBefore(_ first: UInt32, _ second: UInt32, after offset: Int = 0, isDescending: Bool) -> Bool {
        guard hasText(first), hasText(second) else { return hasText(first) == hasText(second) ? first < second : hasText(first) }
        let order = compare(first, second, after: offset)
        return order == 0 ? first < second : (order < 0) != isDescending
    }

    private func hasText(_ ordinal: UInt32) -> Bool { Int(ordinal) < places.count && places[Int(ordinal)] < Self.none }

    private func byte(_ place: Int) -> UInt8 { pieces[place >> Self.shift][place & (Self.pieceSize - 1)] }

    /// The places of the bytes of a text.
    private func range(_ ordinal: UInt32) -> Range<Int> { range(at: Int(places[Int(ordinal)])) }

    private func range(at place: Int) -> Range<Int> {
        place + 2..<place + 2 + (Int(byte(place)) << 8 | Int(byte(place + 1)))
    }

    /// The length of the beginning that all texts have: `https://`, and the host of a recording with one.
    private func commonPrefix(_ ordinals: [UInt32]) -> Int {
        guard let first = ordinals.first(where: hasText) else { return 0 }
        let start = range(first).lowerBound
        var length = range(first).count
        for ordinal in ordinals where hasText(ordinal) {
            let range = range(ordinal)
            length = min(length, range.count)
            var same = 0
            while same < length, byte(range.lowerBound + same) == byte(start + same) { same += 1 }
            length = same
        }
        return length
    }

    /// The eight bytes after a common beginning.
    private func word(of ordinal: UInt32, after offset: Int) -> UInt64 {
        let range = range(ordinal)
        let start = range.lowerBound + offset
        var word: UInt64 = 0
        for place in start..<start + 8 { word = word << 8 | (place < range.upperBound ? UInt64(byte(place)) : 0) }
        return word
    }

    private func compare(_ first: UInt32, _ second: UInt32, after offset: Int) -> Int {
        guard places[Int(first)] != places[Int(second)] else { return 0 }
        let (one, other) = (range(first), range(second))
        var (place, otherPlace) = (one.lowerBound + offset, other.lowerBound + offset)
        while place < one.upperBound, otherPlace < other.upperBound {
            let (byte, otherByte) = (byte(place), byte(otherPlace))
            if byte != otherByte { return byte < otherByte ? -1 : 1 }
            place += 1
            otherPlace += 1
        }
        return max(0, one.upperBound - place) - max(0, other.upperBound - otherPlace)
    }
}
