// Pseudo-random numbers from a seed.

import NIOCore

/// SplitMix64.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

extension RandomNumberGenerator {
    mutating func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &self) }

    /// True with the given probability, in thousandths.
    mutating func chance(_ perMille: Int) -> Bool { number(0..<1000) < perMille }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[number(0..<elements.count)] }

    /// Incompressible bytes.
    mutating func bytes(_ count: Int) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.reserveCapacity(count + 8)
        while bytes.readableBytes < count { bytes.writeInteger(next()) }
        return bytes.getSlice(at: 0, length: count)!
    }

    /// The given number of hexadecimal digits, at most 16.
    mutating func hexadecimal(_ digits: Int) -> String {
        let text = String(next(), radix: 16)
        return String((String(repeating: "0", count: 16 - text.utf8.count) + text).suffix(digits))
    }

    /// A UUID of version 4.
    mutating func uuid() -> String {
        "\(hexadecimal(8))-\(hexadecimal(4))-4\(hexadecimal(3))-a\(hexadecimal(3))-\(hexadecimal(12))"
    }

    /// A token of letters and digits, 11 from each random number.
    mutating func token(_ words: Int) -> String {
        (0..<words).map { _ in String(next(), radix: 36, uppercase: number(0..<2) == 0) }.joined()
    }
}

/// Zipf's law: the first choice comes twice as often as the second, three times as often as the third.
struct Zipf {
    private let sums: [Double]

    init(_ count: Int) {
        var sum = 0.0
        sums = (1...count).map { rank in
            sum += 1 / Double(rank)
            return sum
        }
    }

    func pick(_ random: inout SplitMix64) -> Int {
        let place = Double.random(in: 0..<sums[sums.count - 1], using: &random)
        return sums.partitioningIndex { $0 > place }
    }
}

extension Array {
    /// The first index at which a condition holds; it holds at all later ones.
    fileprivate func partitioningIndex(_ holds: (Element) -> Bool) -> Int {
        var (low, high) = (0, count - 1)
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
