// The VALUE of an operator: what a text or a number of a flow is compared with. Operators whose VALUE may be left out use it; the parser reads
// it (FilterParser+Value.swift).

import NIOCore

/// What the texts of a flow are compared with.
enum ValueTest: Sendable {
    /// No VALUE: there is a text.
    case exists
    /// A regular expression.
    case matches(Pattern)
    /// `=text`: byte for byte. `number` is the text as a number, for values that are numbers, as in JSON; nil when it is not a number.
    case equals(ByteBuffer, number: Double?)
    /// `>100`, `<=2.5`: the text is a number in this range. A text that is not a number is in none.
    case within(NumberRange)

    /// `=text`.
    init(exactly text: String) {
        let bytes = ByteBuffer(string: text)
        self = .equals(bytes, number: Double(decimal: bytes))
    }

    /// Whether a text that exists passes.
    /// - Throws: a match that takes too many steps.
    func accepts(_ text: ByteBuffer) throws -> Bool {
        switch self {
        case .exists: true
        case .matches(let pattern): try pattern.matches(text)
        case .equals(let expected, _): text == expected
        case .within(let range): Double(decimal: text).map { range.contains($0) } ?? false
        }
    }

    /// As it is written after the operator, in a form that the parser reads as the same; empty for ``exists``.
    var canonical: String {
        switch self {
        case .exists: ""
        case .matches(let pattern): quoted(pattern.text)
        case .equals(let text, _): "=" + quoted(String(buffer: text))
        case .within(let range): range.text
        }
    }
}

/// A range of numbers.
struct NumberRange: Sendable, Equatable {
    var lowest = -Double.infinity
    var includesLowest = true
    var highest = Double.infinity
    var includesHighest = true
    let text: String

    /// `>n`, `>=n`, `<n`, `<=n`, `n-m` with n at most m; nil for anything else. Numbers are decimal, with a sign and an exponent where needed.
    init?(_ text: String) {
        self.text = text
        func number(_ digits: Substring) -> Double? { Double(decimal: ByteBuffer(substring: digits)) }
        if text.hasPrefix(">=") {
            guard let bound = number(text.dropFirst(2)) else { return nil }
            lowest = bound
        } else if text.hasPrefix(">") {
            guard let bound = number(text.dropFirst()) else { return nil }
            (lowest, includesLowest) = (bound, false)
        } else if text.hasPrefix("<=") {
            guard let bound = number(text.dropFirst(2)) else { return nil }
            highest = bound
        } else if text.hasPrefix("<") {
            guard let bound = number(text.dropFirst()) else { return nil }
            (highest, includesHighest) = (bound, false)
        } else {
            let pairs = text.indices.dropFirst().filter { text[$0] == "-" }.compactMap { dash -> (Double, Double)? in
                guard let from = number(text[..<dash]), let to = number(text[text.index(after: dash)...]), from <= to else {
                    return nil
                }
                return (from, to)
            }
            guard let pair = pairs.first else { return nil }
            (lowest, highest) = pair
        }
    }

    func contains(_ number: Double) -> Bool {
        (includesLowest ? number >= lowest : number > lowest) && (includesHighest ? number <= highest : number < highest)
    }
}

extension Double {
    /// A decimal number as JSON writes it (RFC 8259 §6), also with a plus or leading zeros; nil for any other text. White space around it is
    /// not a part of it.
    init?(decimal text: ByteBuffer) {
        var bytes = String(buffer: text).utf8[...]
        while let first = bytes.first, first == 0x20 || first == 0x09 { bytes.removeFirst() }
        while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
        // Swift's parser also takes hexadecimal numbers, `inf` and `nan`.
        guard bytes.contains(where: { $0 &- 0x30 < 10 }),
            bytes.allSatisfy({ $0 &- 0x30 < 10 || [0x2B, 0x2D, 0x2E, 0x45, 0x65].contains($0) }),
            let number = Double(Substring(bytes))
        else { return nil }
        self = number
    }
}

/// A text in quotes, which the parser reads as the same text.
func quoted(_ text: String) -> String {
    "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
}
