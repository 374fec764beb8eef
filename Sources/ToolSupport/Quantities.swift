// Sizes and durations as arguments.

import ArgumentParser

/// A number of bytes: `512`, `64k`, `10m`, `2g`, in powers of 1024.
package struct ByteSize: ExpressibleByArgument, Sendable, Equatable {
    package var bytes: UInt64

    package init?(argument: String) {
        let units: [(String, UInt64)] = [("k", 1 << 10), ("m", 1 << 20), ("g", 1 << 30), ("t", 1 << 40)]
        var digits = argument.lowercased()
        var factor: UInt64 = 1
        for (suffix, value) in units where digits.hasSuffix(suffix) {
            digits.removeLast()
            factor = value
        }
        guard let number = UInt64(digits), number.multipliedReportingOverflow(by: factor).overflow == false else { return nil }
        bytes = number * factor
    }
}

/// A length of time: `250ms`, `1s`, `5m`, `2h`, `1d`; a bare number is seconds.
package struct TimeSpan: ExpressibleByArgument, Sendable, Equatable {
    package var nanoseconds: Int64

    package init(seconds: Int64) { nanoseconds = seconds * 1_000_000_000 }

    package init?(argument: String) {
        let units: [(String, Int64)] = [
            ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000), ("d", 86_400_000_000_000),
        ]
        let unit = units.first { argument.hasSuffix($0.0) }
        let digits = argument.dropLast(unit?.0.count ?? 0)
        guard let number = Double(digits), number >= 0, number.isFinite, number * Double(unit?.1 ?? 1_000_000_000) < 9e18 else {
            return nil
        }
        nanoseconds = Int64(number * Double(unit?.1 ?? 1_000_000_000))
    }

    package var seconds: Double { Double(nanoseconds) / 1e9 }
}
