// Percentiles of many numbers in little memory, with a known relative error, from parts that were counted on different threads.
// DDSketch: Masson, Rim, Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", VLDB 2019.

import Glibc

/// Counts positive numbers in bins whose limits grow by a constant factor. A quantile is the middle of the bin that holds it.
package struct QuantileSketch: Sendable, Equatable {
    /// The largest difference between a quantile and the number at its rank, relative to that number.
    package static var relativeError: Double { 0.01 }
    private static let factor = (1 + relativeError) / (1 - relativeError)
    private static let bins = 1 / log2(factor)

    /// Numbers below 1, which share a bin: 0, and negative ones.
    private var zeros: UInt64 = 0
    /// The bin of the first element of `counts`. Numbers up to 2^63 need 2,184 bins at most.
    private var first = 0
    private var counts: [UInt64] = []
    package private(set) var count: UInt64 = 0

    package init() {}

    package mutating func add(_ number: Int64) {
        count &+= 1
        guard number > 0 else {
            zeros &+= 1
            return
        }
        // Bin i holds the numbers above factor^(i-1) up to factor^i.
        let bin = Int((log2(Double(number)) * Self.bins).rounded(.up))
        makeRoom(for: bin...bin)
        counts[bin &- first] &+= 1
    }

    /// Adds the numbers of another sketch.
    package mutating func merge(_ other: QuantileSketch) {
        count &+= other.count
        zeros &+= other.zeros
        guard !other.counts.isEmpty else { return }
        makeRoom(for: other.first...other.first + other.counts.count - 1)
        for (offset, count) in other.counts.enumerated() { counts[other.first - first + offset] &+= count }
    }

    private mutating func makeRoom(for bins: ClosedRange<Int>) {
        if counts.isEmpty {
            first = bins.lowerBound
            counts = Array(repeating: 0, count: bins.count)
        }
        if bins.lowerBound < first {
            counts.insert(contentsOf: repeatElement(0, count: first - bins.lowerBound), at: 0)
            first = bins.lowerBound
        }
        let missing = bins.upperBound - (first + counts.count - 1)
        if missing > 0 { counts.append(contentsOf: repeatElement(0, count: missing)) }
    }

    /// The number below or at which a share of all numbers lies: that of rank ⌈share × count⌉.
    /// - Parameter share: from 0 to 1; 0 is the smallest number.
    /// - Returns: nil without numbers.
    package func quantile(_ share: Double) -> Double? {
        guard count > 0 else { return nil }
        let rank = max(1, min(count, UInt64((share * Double(count)).rounded(.up))))
        guard rank > zeros else { return 0 }
        var passed = zeros
        for (offset, count) in counts.enumerated() {
            passed += count
            if passed >= rank { return 2 * pow(Self.factor, Double(first + offset)) / (Self.factor + 1) }
        }
        return nil
    }

    /// The numbers in bins, from the smallest bin: each bin's limits and count.
    package var histogram: [(above: Double, upTo: Double, count: UInt64)] {
        counts.enumerated().compactMap { offset, count in
            guard count > 0 else { return nil }
            let limit = pow(Self.factor, Double(first + offset))
            return (limit / Self.factor, limit, count)
        }
    }

    /// Numbers that are 0 or negative.
    package var zeroCount: UInt64 { zeros }
}
