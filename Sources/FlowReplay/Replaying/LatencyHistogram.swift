// Times of many requests in constant memory: counts in buckets that are at most 0.4 % wide, as in HdrHistogram.

/// A distribution of times in nanoseconds.
package struct LatencyHistogram: Sendable, Equatable {
    /// Buckets of one power of two.
    private static let subBuckets = 256
    private static let subBucketBits = 8

    package private(set) var count: UInt64 = 0
    package private(set) var minimum: Int64 = 0
    package private(set) var maximum: Int64 = 0
    private var sum: Double = 0
    private var buckets: [UInt64] = []

    package init() {}

    /// - Parameter value: negative ones, of a clock that was set back, count as 0.
    package mutating func add(_ value: Int64) {
        let value = max(0, value)
        minimum = count == 0 ? value : min(minimum, value)
        maximum = max(maximum, value)
        count += 1
        sum += Double(value)
        let bucket = Self.bucket(of: value)
        if bucket >= buckets.count { buckets += repeatElement(0, count: bucket + 1 - buckets.count) }
        buckets[bucket] += 1
    }

    package var mean: Int64 { count == 0 ? 0 : Int64(sum / Double(count)) }

    /// The smallest value that this share of the values does not exceed, to the width of a bucket.
    package func percentile(_ percent: Double) -> Int64 {
        let rank = max(1, UInt64((Double(count) * percent / 100).rounded(.up)))
        var seen: UInt64 = 0
        for (bucket, number) in buckets.enumerated() {
            seen += number
            if seen >= rank { return min(maximum, max(minimum, Self.highest(of: bucket))) }
        }
        return maximum
    }

    /// Values below 256 have a bucket each; above that each power of two has 256.
    private static func bucket(of value: Int64) -> Int {
        guard value >= subBuckets else { return Int(value) }
        let shift = Int64.bitWidth - 1 - value.leadingZeroBitCount - subBucketBits
        return (shift + 1) * subBuckets + Int(value >> Int64(shift)) - subBuckets
    }

    /// The highest value of a bucket.
    private static func highest(of bucket: Int) -> Int64 {
        guard bucket >= subBuckets else { return Int64(bucket) }
        let shift = Int64(bucket / subBuckets - 1)
        // The last bucket ends at the largest value: the shift overflows, and the difference wraps back.
        return (Int64(bucket % subBuckets + subBuckets) + 1) << shift &- 1
    }
}
