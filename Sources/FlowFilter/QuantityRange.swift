// The argument of ~messages and ~duration: a quantity, a range, a comparison. Units are those of the tools' options.

/// A range of quantities, including both ends.
struct QuantityRange: Equatable, Sendable {
    enum Unit: Sendable {
        case one
        /// Bytes; written with `k`, `m`, `g` or `t` (powers of 1024, in upper or lower case, also as `kb` or `KiB`), or without a unit.
        case size
        /// Nanoseconds; written with `us`, `ms`, `s`, `m`, `h` or `d`, without a unit as seconds.
        case duration

        /// In the list of operators.
        var placeholder: String {
            switch self {
            case .one: "N"
            case .size: "SIZE"
            case .duration: "DURATION"
            }
        }

        /// For errors: what the argument is, and how it is written.
        var expectation: String {
            switch self {
            case .one: "a number; write 3, 2-5, >=3 or <10"
            case .size: "a size; write >1m, <=64k or 1k-2m; a number without a unit is bytes"
            case .duration: "a length of time; write >250ms, <=2s or 1s-2s; a number without a unit is seconds"
            }
        }
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

    private static let lengths: [String: Double] = [
        "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "": 1e9, "m": 60e9, "h": 3600e9, "d": 86400e9,
    ]
    private static let sizes: [String: Double] = ["": 1, "k": 0x1p10, "m": 0x1p20, "g": 0x1p30, "t": 0x1p40]

    /// A single quantity; nil for anything else.
    static func quantity(_ text: Substring, _ unit: Unit) -> Int64? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard digits.first?.isNumber == true, let number = Double(digits) else { return nil }
        let rest = String(text[digits.endIndex...])
        let factor: Double
        switch unit {
        case .one:
            guard rest.isEmpty, !digits.contains(".") else { return nil }
            factor = 1
        case .size:
            let lower = rest.lowercased()
            let prefix =
                lower.hasSuffix("ib") && lower.count == 3 ? lower.dropLast(2) : lower.hasSuffix("b") ? lower.dropLast() : lower[...]
            guard let known = sizes[String(prefix)] else { return nil }
            factor = known
        case .duration:
            guard let known = lengths[rest] else { return nil }
            factor = known
        }
        return number * factor <= maximum ? Int64(number * factor) : nil
    }
}
