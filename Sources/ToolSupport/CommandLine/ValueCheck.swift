// What the values of options must be. The name of a value, as --help shows it, decides: <size>, <time>, <moment>, <port>, <number>, <rate>.

import FlowFilter
import FlowModel

/// Finds values that the parser would refuse, and says what was expected.
enum ValueCheck {
    /// - Returns: what is wrong with the value, and what to use; nil if it may be right.
    static func problem(_ value: String, of option: OptionTable.Option) -> String? {
        if !option.values.isEmpty {
            guard !option.values.contains(value) else { return nil }
            if let nearest = nearestWord(to: value, in: option.values), option.values.count > 6 {
                return "'\(value)' is not known; did you mean '\(nearest)'?"
            }
            return "'\(value)' is not known; use \(alternatives(option.values))"
        }
        guard let kind = kinds[option.valueName], !kind.isValid(value) else { return nil }
        return value.isEmpty ? "the value is empty; use \(kind.use)" : "'\(value)' is not \(kind.noun); use \(kind.use)"
    }

    private struct Kind {
        let noun: String
        let use: String
        let isValid: @Sendable (String) -> Bool
    }

    private static let kinds: [String: Kind] = [
        "port": Kind(noun: "a port number", use: "0 to 65535") { UInt16($0) != nil },
        "size": Kind(noun: "a size", use: ByteSize.forms) { ByteSize(argument: $0) != nil },
        "time": Kind(noun: "a length of time", use: TimeSpan.forms) { TimeSpan(argument: $0) != nil },
        "moment": Kind(noun: "a time", use: "2026-01-31, 2026-01-31T08:00, 08:00, today, yesterday or -15m") {
            moment($0, FilterEnvironment(now: Timestamp(nanoseconds: 0))) != nil
        },
        "number": Kind(noun: "a number", use: "1 or more, at most \(Int32.max)") { Int32($0).map { $0 >= 1 } ?? false },
        "rate": Kind(noun: "a rate", use: "for example 50/s") { Rate(argument: $0) != nil },
        "speed": Kind(noun: "a speed", use: "recorded, a factor such as 2x, or max") {
            ["recorded", "max", "none"].contains($0)
                || ($0.hasSuffix("x") && Double($0.dropLast()).map { $0 > 0 && $0.isFinite } ?? false)
        },
        "offset:length": Kind(noun: "a range", use: "OFFSET:LENGTH in bytes, or OFFSET: to read to the end") {
            RangeArgument(argument: $0) != nil
        },
        "columns": Kind(noun: "a list of columns", use: "names of columns with commas between them") { !$0.isEmpty },
        "file": Kind(noun: "a file name", use: "the name of a file") { !$0.isEmpty },
        "directory": Kind(noun: "a directory", use: "the name of a directory") { !$0.isEmpty },
    ]

    /// `a, b or c`.
    static func alternatives(_ words: [String]) -> String {
        guard words.count > 1, let last = words.last else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " or " + last
    }
}
