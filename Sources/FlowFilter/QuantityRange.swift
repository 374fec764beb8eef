// The argument of ~messages and ~duration: a quantity, a range, a comparison.

/// A range of quantities, including both ends.
struct QuantityRange: Equatable, Sendable {
    enum Unit: Sendable {
        case one
        /// Nanoseconds; written with `us`, `ms`, `s`, `m`, `h` or `d`, without a unit as seconds.
        case time
    }

    var lowest: Int64
    var highest: Int64
    var text: String

    /// `3`, `2-5`, `>=3`, `>3`, `<=3`, `<3`, `=3`; nil for anything else.
    init?(_ text: String, in unit: Unit) {
        self.text = text
        func quantity(_ digits: Substring) -> Int64? { Self.quantity(digits, unit) }
        if let dash = text.firstIndex(of: "-"), let from = quantity(text[..<dash]),
            let to = quantity(text[text.index(after: dash)...]), from <= to
        {
            (lowest, highest) = (from, to)
        } else if text.hasPrefix(">="), let least = quantity(text.dropFirst(2)) {
            (lowest, highest) = (least, .max)
        } else if text.hasPrefix("<="), let most = quantity(text.dropFirst(2)) {
            (lowest, highest) = (0, most)
        } else if text.hasPrefix(">"), let bound = quantity(text.dropFirst()) {
            (lowest, highest) = (bound + 1, .max)
        } else if text.hasPrefix("<"), let bound = quantity(text.dropFirst()) {
            (lowest, highest) = (0, bound - 1)
        } else if let exact = quantity(text.hasPrefix("=") ? text.dropFirst() : text[...]) {
            (lowest, highest) = (exact, exact)
        } else {
            return nil
        }
    }

    func contains(_ quantity: Int64) -> Bool { quantity >= lowest && quantity <= highest }

    /// At most a century, so that no sum overflows.
    private static let maximum = 3.2e18

    private static let units: [Substring: Double] = [
        "us": 1e3, "ms": 1e6, "s": 1e9, "": 1e9, "m": 60e9, "h": 3600e9, "d": 86400e9,
    ]

    private static func quantity(_ text: Substring, _ unit: Unit) -> Int64? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard digits.first?.isNumber == true, let number = Double(digits) else { return nil }
        let rest = text[digits.endIndex...]
        let factor: Double
        switch unit {
        case .one:
            guard rest.isEmpty, !digits.contains(".") else { return nil }
            factor = 1
        case .time:
            guard let known = units[rest] else { return nil }
            factor = known
        }
        return number * factor <= maximum ? Int64(number * factor) : nil
    }
}
