// Rules by the names of what they hide: one lookup for a name, whatever the number of rules, and no allocation.

import NIOCore

/// Finds the rule for a name.
struct NameIndex: Sendable {
    /// Which names are the same.
    enum Comparison {
        /// Without regard to case.
        case caseInsensitive
        /// Letters and digits only, without regard to case: `accessToken`, `access_token` and `Access-Token`.
        case folded
    }

    private struct Slot {
        var hash: UInt64
        /// -1 is empty.
        var rule: Int32
        /// A range of ``NameIndex/bytes``.
        var start: Int32
        var count: Int32
    }

    private let comparison: Comparison
    /// A power of two of them, at least twice as many as names.
    private var slots: [Slot] = []
    private var bytes: [UInt8] = []
    private var count = 0
    private var longest = 0
    /// For the first letter of each name a bit: most names of traffic have none of them.
    private var firsts: UInt64 = 0

    init(_ comparison: Comparison) { self.comparison = comparison }

    var isEmpty: Bool { count == 0 }

    /// Adds a name, or replaces its rule.
    mutating func add(_ name: String, rule: Int) {
        let folded = name.utf8.compactMap { fold($0) }
        guard let first = folded.first else { return }
        if slots.count < 2 * (count + 1) { grow() }
        firsts |= Self.bit(first)
        longest = max(longest, folded.count)
        let slot = Slot(hash: Self.hash(folded), rule: Int32(rule), start: Int32(bytes.count), count: Int32(folded.count))
        var index = Int(truncatingIfNeeded: slot.hash) & (slots.count - 1)
        while slots[index].rule >= 0 {
            if slots[index].hash == slot.hash, bytes[range(slots[index])].elementsEqual(folded) {
                slots[index].rule = Int32(rule)
                return
            }
            index = (index + 1) & (slots.count - 1)
        }
        bytes += folded
        slots[index] = slot
        count += 1
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: Slot(hash: 0, rule: -1, start: 0, count: 0), count: max(8, 2 * old.count))
        for slot in old where slot.rule >= 0 {
            var index = Int(truncatingIfNeeded: slot.hash) & (slots.count - 1)
            while slots[index].rule >= 0 { index = (index + 1) & (slots.count - 1) }
            slots[index] = slot
        }
    }

    private func range(_ slot: Slot) -> Range<Int> { Int(slot.start)..<Int(slot.start + slot.count) }

    /// The rule for a name; nil without one.
    func rule(_ name: Span<UInt8>) -> Int? {
        guard count > 0 else { return nil }
        return switch comparison {
        case .caseInsensitive: rule(name) { Self.lowered($0) }
        case .folded: rule(name) { Self.folded($0) }
        }
    }

    /// - Parameter fold: inlined, so that the loops have no other comparison than theirs.
    @inline(__always) private func rule(_ name: Span<UInt8>, _ fold: (UInt8) -> UInt8?) -> Int? {
        // Most names end here.
        var start = 0
        while start < name.count, fold(name[start]) == nil { start &+= 1 }
        guard start < name.count, let first = fold(name[start]), firsts & Self.bit(first) != 0 else { return nil }
        var hash = Self.seed
        var length = 0
        for index in start..<name.count {
            guard let byte = fold(name[index]) else { continue }
            length &+= 1
            hash = Self.next(hash, byte)
        }
        guard length <= longest else { return nil }
        let (slots, bytes) = (slots.span, bytes.span)
        var index = Int(truncatingIfNeeded: hash) & (slots.count &- 1)
        while slots[index].rule >= 0 {
            let slot = slots[index]
            if slot.hash == hash, Int(slot.count) == length,
                Self.isSame(name, bytes.extracting(range(slot)), fold)
            {
                return Int(slot.rule)
            }
            index = (index &+ 1) & (slots.count &- 1)
        }
        return nil
    }

    /// - Parameter other: folded, and as long as the folded name.
    @inline(__always) private static func isSame(_ name: Span<UInt8>, _ other: Span<UInt8>, _ fold: (UInt8) -> UInt8?) -> Bool {
        var place = 0
        for index in 0..<name.count {
            guard let byte = fold(name[index]) else { continue }
            guard other[place] == byte else { return false }
            place &+= 1
        }
        return true
    }

    /// The byte as it is compared; nil if it does not count.
    private func fold(_ byte: UInt8) -> UInt8? { comparison == .folded ? Self.folded(byte) : Self.lowered(byte) }

    @inline(__always) private static func lowered(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }

    @inline(__always) private static func folded(_ byte: UInt8) -> UInt8? {
        let lower = lowered(byte)
        return lower &- 0x61 < 26 || lower &- 0x30 < 10 || lower >= 0x80 ? lower : nil
    }

    private static func bit(_ first: UInt8) -> UInt64 { 1 &<< UInt64(first & 63) }

    // FNV-1a.
    private static let seed: UInt64 = 0xCBF2_9CE4_8422_2325
    @inline(__always) private static func next(_ hash: UInt64, _ byte: UInt8) -> UInt64 { (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    private static func hash(_ bytes: [UInt8]) -> UInt64 { bytes.reduce(seed) { next($0, $1) } }
}

/// Rules by names: those of sets, which are compared folded, and those that users wrote.
struct RuleNames: Sendable {
    private var ofSets = NameIndex(.folded)
    private var ofUsers = NameIndex(.caseInsensitive)

    var isEmpty: Bool { ofSets.isEmpty && ofUsers.isEmpty }

    mutating func add(_ name: String, rule: Int, isOfSet: Bool) {
        if isOfSet { ofSets.add(name, rule: rule) } else { ofUsers.add(name, rule: rule) }
    }

    /// The rule for a name; that of a user precedes that of a set.
    func rule(_ name: Span<UInt8>) -> Int? { ofUsers.rule(name) ?? ofSets.rule(name) }

    /// The rule for the name of a parameter, which may name a place in a structure: `user[password]`, `user.password`.
    func rule(ofParameter name: Span<UInt8>) -> Int? {
        if let found = rule(name) { return found }
        guard !ofSets.isEmpty, let last = Self.lastKey(of: name) else { return nil }
        return ofSets.rule(name.extracting(last))
    }

    /// The last key of a name with brackets or points; nil if it has neither.
    private static func lastKey(of name: Span<UInt8>) -> Range<Int>? {
        var end = name.count
        // `token[]`
        while end > 0, name[end - 1] == 0x5D || name[end - 1] == 0x5B { end -= 1 }
        var start = end
        while start > 0, name[start - 1] != 0x5B, name[start - 1] != 0x2E { start -= 1 }
        return start < end && (start > 0 || end < name.count) ? start..<end : nil
    }
}
