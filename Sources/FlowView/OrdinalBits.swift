// A bit for each ordinal.

/// Ordinals that were met.
struct OrdinalBits {
    private var words: [UInt64] = []

    /// Nothing was ever in it.
    var isEmpty: Bool { words.isEmpty }

    /// - Returns: false if it was there already.
    mutating func insert(_ ordinal: Int) -> Bool {
        let word = ordinal >> 6
        if word >= words.count { words.append(contentsOf: repeatElement(0, count: word + 1 - words.count)) }
        let bit: UInt64 = 1 << UInt64(ordinal & 63)
        defer { words[word] |= bit }
        return words[word] & bit == 0
    }

    mutating func remove(_ ordinal: Int) { if contains(ordinal) { words[ordinal >> 6] &= ~(1 << UInt64(ordinal & 63)) } }

    func contains(_ ordinal: Int) -> Bool {
        let word = ordinal >> 6
        return word < words.count && words[word] & (1 << UInt64(ordinal & 63)) != 0
    }
}
