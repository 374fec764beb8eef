// What is computed of the flows of a group, and how it is named in --stats.

import FlowFilter

/// A statistic of a group.
package enum GroupStatistic: Sendable, Hashable {
    /// The number of flows.
    case count
    /// The number of flows that have an error or were answered by a status of 500 or more.
    case errors
    case sum(FlowKey)
    case minimum(FlowKey)
    case maximum(FlowKey)
    case average(FlowKey)
    /// The number below or at which a percentage of the values lies, within ``QuantileSketch/relativeError``.
    case percentile(Percentage, FlowKey)

    package struct Percentage: Sendable, Hashable {
        /// As it was written: `99.9`.
        let text: String
        let share: Double
    }

    /// The list unless another one is requested.
    package static let defaults: [GroupStatistic] = [
        .count, .errors, .sum(.column(.responseBytes)), .percentile(Percentage(text: "50", share: 0.5), .column(.duration)),
        .percentile(Percentage(text: "95", share: 0.95), .column(.duration)), .maximum(.column(.duration)),
    ]

    /// - Throws: a sentence about what is wrong, with the nearest name.
    package static func list(_ text: String) throws(TableError) -> [GroupStatistic] {
        var list: [GroupStatistic] = []
        for name in text.splitAtCommas() { list.append(try GroupStatistic(name)) }
        return list
    }

    private static let forms = "count, errors, sum(COLUMN), min(COLUMN), max(COLUMN), avg(COLUMN) and p50(COLUMN)"

    /// - Parameter text: `count`, `errors`, or a function of a column: `sum(resp_bytes)`, `p99.9(duration)`.
    init(_ text: String) throws(TableError) {
        guard let open = text.firstIndex(of: "("), text.last == ")" else {
            switch text {
            case "count": self = .count
            case "errors": self = .errors
            default:
                let nearest = nearestWord(to: text, in: ["count", "errors"]).map { "did you mean '\($0)'?" }
                throw TableError("there is no statistic '\(text)'; \(nearest ?? "use \(Self.forms)")")
            }
            return
        }
        let name = String(text[..<open])
        let key = try FlowKey(String(text[text.index(after: open)...].dropLast()))
        let function = try Self.function(name, of: text)
        let statistic = function(key)
        guard key.kind != .text else {
            throw TableError("'\(text)' needs a column of numbers, and \(key.name) is text; use \(Self.numeric)")
        }
        switch statistic {
        case .minimum, .maximum: break
        default:
            guard key.kind != .time else {
                throw TableError("'\(text)' cannot be computed of times; use min(\(key.name)) or max(\(key.name))")
            }
        }
        self = statistic
    }

    private static let numeric = "duration, ttfb, req_bytes, resp_bytes, size or status"

    private static func function(_ name: String, of text: String) throws(TableError) -> @Sendable (FlowKey) -> GroupStatistic {
        switch name {
        case "sum": return { .sum($0) }
        case "min": return { .minimum($0) }
        case "max": return { .maximum($0) }
        case "avg": return { .average($0) }
        default: break
        }
        let digits = name.dropFirst()
        if name.first == "p", digits.first?.isNumber == true, digits.last?.isNumber == true, let percent = Double(digits),
            (0...100).contains(percent)
        {
            let percentage = Percentage(text: String(digits), share: percent / 100)
            return { .percentile(percentage, $0) }
        }
        let nearest = nearestWord(to: name, in: ["sum", "min", "max", "avg", "p50", "p95", "p99"])
        throw TableError("there is no statistic '\(text)'; \(nearest.map { "did you mean '\($0)(…)'?" } ?? "use \(Self.forms)")")
    }

    /// The column that it is computed of; nil for numbers of flows.
    package var key: FlowKey? {
        switch self {
        case .count, .errors: nil
        case .sum(let key), .minimum(let key), .maximum(let key), .average(let key), .percentile(_, let key): key
        }
    }

    private var function: String {
        switch self {
        case .count: "count"
        case .errors: "errors"
        case .sum: "sum"
        case .minimum: "min"
        case .maximum: "max"
        case .average: "avg"
        case .percentile(let percentage, _): "p\(percentage.text)"
        }
    }

    /// Its name as it is written in --stats, the heading of a table.
    package var heading: String {
        guard let key else { return function }
        let name = key == .column(.duration) ? "duration" : key == .column(.timeToFirstByte) ? "ttfb" : key.name
        return "\(function)(\(name))"
    }

    /// A shorter heading, where the table is too wide: the column of a sum, the function of other statistics of the duration.
    package var shortHeading: String {
        switch self {
        case .sum(let key): key.name
        case _ where key == .column(.duration): function
        default: heading
        }
    }

    /// Its name in JSON and csv, an identifier of SQL: `sum_resp_bytes`, `p99_9_duration_us`.
    package var name: String {
        guard let key else { return function }
        return function.replacing(".", with: "_") + "_" + key.name.replacing(":", with: "_").replacing("-", with: "_")
    }
}
