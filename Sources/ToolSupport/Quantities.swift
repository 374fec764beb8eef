// Sizes, durations and rates as arguments. One rule for all: a bare number is bytes, or seconds, or requests a second.

import ArgumentParser

/// A number of bytes: `512`, `64k`, `1.5m`, `2g`, in powers of 1024.
package struct ByteSize: ExpressibleByArgument, Sendable, Equatable, CustomStringConvertible {
    /// What a message recommends.
    package static let forms = "for example 64k, 10m or 1.5g; a number without a unit is bytes"

    package var bytes: UInt64

    package init(bytes: UInt64) { self.bytes = bytes }

    package init?(argument: String) {
        guard let (number, unit) = split(argument.lowercased()), let factor = Self.units.first(where: { $0.name == unit })?.factor
        else {
            return nil
        }
        guard let bytes = number.scaled(by: factor), let size = UInt64(exactly: bytes.rounded(.down)) else { return nil }
        self.bytes = size
    }

    private static let units: [(name: Substring, factor: Double)] =
        [("", 1), ("b", 1)]
        + zip(["k", "m", "g", "t"], [10, 20, 30, 40] as [Int]).flatMap { unit, shift in
            ["", "b", "ib"].map { (name: Substring(unit + $0), factor: Double(1 << shift)) }
        }

    package var description: String {
        for (unit, shift) in [("t", 40), ("g", 30), ("m", 20), ("k", 10)] as [(String, UInt64)]
        where bytes > 0 && bytes % (1 << shift) == 0 { return "\(bytes >> shift)\(unit)" }
        return "\(bytes)"
    }
}

/// A length of time: `250ms`, `1s`, `5m`, `2h`, `1d`; a bare number is seconds.
package struct TimeSpan: ExpressibleByArgument, Sendable, Equatable, CustomStringConvertible {
    /// What a message recommends.
    package static let forms = "for example 250ms, 5s, 10m, 1h or 1d; a number without a unit is seconds"

    package var nanoseconds: Int64

    package init(seconds: Int64) { nanoseconds = seconds * 1_000_000_000 }

    package init?(argument: String) {
        guard let (number, unit) = split(argument), let factor = Self.units.first(where: { $0.name == unit })?.factor,
            let nanoseconds = number.scaled(by: factor)
        else { return nil }
        self.nanoseconds = Int64(nanoseconds)
    }

    private static let units: [(name: Substring, factor: Double)] = [
        ("", 1e9), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9), ("d", 86400e9),
    ]

    package var seconds: Double { Double(nanoseconds) / 1e9 }

    package var description: String {
        for (unit, length) in [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)] as [(String, Int64)]
        where nanoseconds > 0 && nanoseconds % (length * 1_000_000_000) == 0 {
            return "\(nanoseconds / (length * 1_000_000_000))\(unit)"
        }
        if nanoseconds == 0 { return "0s" }
        return nanoseconds % 1_000_000 == 0 ? "\(nanoseconds / 1_000_000)ms" : "\(Double(nanoseconds) / 1e6)ms"
    }
}

/// A number of events in a second: `50/s`, `50`.
package struct Rate: ExpressibleByArgument, Sendable, Equatable, CustomStringConvertible {
    package let perSecond: Double

    package init?(argument: String) {
        let digits = argument.hasSuffix("/s") ? argument.dropLast(2) : argument[...]
        guard let (value, unit) = split(String(digits)), unit.isEmpty, value > 0 else { return nil }
        perSecond = value
    }

    package var description: String {
        let text = "\(perSecond)"
        return (text.hasSuffix(".0") ? String(text.dropLast(2)) : text) + "/s"
    }
}

/// A decimal number that is not negative, and what follows it.
private func split(_ text: String) -> (Double, Substring)? {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard digits.first?.isNumber == true, digits.last?.isNumber == true, let number = Double(digits) else { return nil }
    return (number, text[digits.endIndex...])
}

extension Double {
    /// nil when the product does not fit in 63 bits.
    fileprivate func scaled(by factor: Double) -> Double? {
        let product = self * factor
        return product.isFinite && product < 9.2e18 ? product : nil
    }
}
