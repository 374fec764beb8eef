// The argument of ~time, ~since and ~until: moments as people write them, and ranges of them. The time of a flow is its start.

import FlowModel

/// What the argument of an operator is to the start of a flow.
enum TimeBound {
    /// `~time`: a range.
    case range
    /// `~since`: the earliest start.
    case earliest
    /// `~until`: the first start that is too late.
    case end
}

/// A range of moments in nanoseconds since 1970, including both ends.
struct TimeRange: Sendable, Equatable {
    var earliest = Int64.min
    var latest = Int64.max

    func contains(_ time: Timestamp) -> Bool { time.nanoseconds >= earliest && time.nanoseconds <= latest }

    /// False only when no moment of the other range is in this one.
    func overlaps(_ times: ClosedRange<Timestamp>) -> Bool {
        times.lowerBound.nanoseconds <= latest && times.upperBound.nanoseconds >= earliest
    }

    /// As an argument that is read as the same range, whenever and wherever it is read.
    func text(_ bound: TimeBound) -> String {
        func moment(_ nanoseconds: Int64) -> String { rfc3339(Timestamp(nanoseconds: nanoseconds)) }
        switch bound {
        case .earliest: return moment(earliest)
        case .end: return moment(latest + 1)
        case .range:
            if earliest == .min { return "<=" + moment(latest) }
            if latest == .max { return ">=" + moment(earliest) }
            return moment(earliest) + "-" + moment(latest)
        }
    }
}

/// Reads moments: whole or in part (RFC 3339), the time of a day, or relative to now.
struct TimeReader {
    /// What a message recommends.
    static let forms = "write 2026-01-31, 2026-01-31T08:00, 08:00, today, yesterday or -15m"

    /// nil for a reader without a clock, to which only dates are times.
    let now: Timestamp?
    /// Seconds to add to UTC at a number of seconds since 1970.
    let utcOffset: @Sendable (Int64) -> Int64

    private static let second: Int64 = 1_000_000_000

    init(_ environment: FilterEnvironment) {
        now = environment.now
        utcOffset = environment.utcOffset
    }

    /// The time that a text names, from its first nanosecond to its last: `2026-01-31` is a day, `08:00` a minute of today, `-15m` one
    /// nanosecond. Without an offset it is a time of the local zone.
    /// - Returns: nil when the text is not a time, and when the time is beyond the years 1678 to 2261.
    func time(_ text: String) -> TimeRange? {
        if let now, let time = time(text, now) { return time }
        var scanner = TimeScanner(text)
        return date(&scanner)
    }

    /// A time that depends on now.
    private func time(_ text: String, _ now: Timestamp) -> TimeRange? {
        let second = now.nanoseconds.flooredQuotientAndRemainder(Self.second).0
        let today = (second + utcOffset(second)).flooredQuotientAndRemainder(86_400).0
        switch text.lowercased() {
        case "now": return instant(now.nanoseconds)
        case "today": return days(from: today, 1)
        case "yesterday": return days(from: today - 1, 1)
        default: break
        }
        if text.hasPrefix("-"), let last = text.last, last.isLetter {
            return QuantityRange.quantity(text.dropFirst(), .duration).map { instant(now.nanoseconds - $0) }
        }
        var scanner = TimeScanner(text)
        guard let clock = scanner.clock(firstDigits: 1...2), scanner.isAtEnd else { return nil }
        return local(today, clock)
    }

    /// `2026`, `2026-01`, `2026-01-31`, and a time of that day after `T` or a space.
    private func date(_ scanner: inout TimeScanner) -> TimeRange? {
        guard let year = scanner.number(digits: 4), (1678...2261).contains(year) else { return nil }
        if scanner.isAtEnd { return span(CivilDate(year: year, month: 1, day: 1), CivilDate(year: year + 1, month: 1, day: 1)) }
        guard scanner.take("-"), let month = scanner.number(digits: 2), (1...12).contains(month) else { return nil }
        if scanner.isAtEnd {
            return span(CivilDate(year: year, month: month, day: 1), CivilDate(year: year, month: month + 1, day: 1))
        }
        guard scanner.take("-"), let day = scanner.number(digits: 2) else { return nil }
        let date = CivilDate(year: year, month: month, day: day)
        guard date.isValid else { return nil }
        if scanner.isAtEnd { return days(from: date.daysSince1970, 1) }
        guard scanner.take("T") || scanner.take("t") || scanner.take(" "), let clock = scanner.clock(firstDigits: 2...2) else {
            return nil
        }
        if scanner.isAtEnd { return local(date.daysSince1970, clock) }
        // 08:00-09:00 is a range, so an offset needs seconds before it, as in RFC 3339.
        guard let offset = scanner.offset(afterSeconds: clock.hasSeconds), scanner.isAtEnd else { return nil }
        return interval(date.daysSince1970 * 86_400 + clock.second - offset, clock)
    }

    private func instant(_ nanoseconds: Int64) -> TimeRange { TimeRange(earliest: nanoseconds, latest: nanoseconds) }

    private func span(_ first: CivilDate, _ next: CivilDate) -> TimeRange {
        days(from: first.daysSince1970, next.daysSince1970 - first.daysSince1970)
    }

    /// Whole days of the local zone.
    private func days(from day: Int64, _ count: Int64) -> TimeRange {
        TimeRange(
            earliest: utc(ofLocal: day * 86_400) * Self.second, latest: utc(ofLocal: (day + count) * 86_400) * Self.second - 1)
    }

    private func local(_ day: Int64, _ clock: TimeScanner.Clock) -> TimeRange {
        interval(utc(ofLocal: day * 86_400 + clock.second), clock)
    }

    private func interval(_ second: Int64, _ clock: TimeScanner.Clock) -> TimeRange {
        let first = second * Self.second + clock.nanosecond
        return TimeRange(earliest: first, latest: first + clock.length - 1)
    }

    /// A second of the local zone. One that the clocks show twice is the first of the two; one that they skip is as much after the change
    /// as it would have been without it.
    private func utc(ofLocal second: Int64) -> Int64 {
        let (before, after) = (utcOffset(second - 86_400), utcOffset(second + 86_400))
        if utcOffset(second - before) == before { return second - before }
        return utcOffset(second - after) == after ? second - after : second - before
    }

    // MARK: Ranges

    /// Why a text is not a range of times.
    enum Failure: Error {
        case notATime
        /// ~since and ~until take a time alone.
        case isRange
        /// It can be read in two ways.
        case ambiguous
        /// The end is before the beginning.
        case reversed

        func sentence(_ text: String) -> String {
            switch self {
            case .notATime: "'\(text)' is not a time; \(TimeReader.forms)"
            case .isRange: "'\(text)' is not one time; ~time takes ranges and comparisons"
            case .ambiguous: "'\(text)' can be read in two ways; write the date of both times, and seconds before an offset"
            case .reversed: "'\(text)' ends before it begins"
            }
        }
    }

    /// The range that an operator bounds by a text.
    func range(_ text: String, _ bound: TimeBound) throws(Failure) -> TimeRange {
        guard bound != .range else { return try range(text) }
        if let time = time(text) {
            return bound == .earliest ? TimeRange(earliest: time.earliest) : TimeRange(latest: time.earliest - 1)
        }
        _ = try range(text)
        throw .isRange
    }

    /// `T`, `>T`, `>=T`, `<T`, `<=T`, `T-T`. A range includes the whole times at its ends.
    private func range(_ text: String) throws(Failure) -> TimeRange {
        if let operation = [">=", "<=", ">", "<", "="].first(where: { text.hasPrefix($0) }) {
            guard let time = time(String(text.dropFirst(operation.count))) else { throw .notATime }
            switch operation {
            case ">=": return TimeRange(earliest: time.earliest)
            case "<=": return TimeRange(latest: time.latest)
            case ">": return TimeRange(earliest: time.latest + 1)
            case "<": return TimeRange(latest: time.earliest - 1)
            default: return time
            }
        }
        if let time = time(text) { return time }
        let pairs = text.indices.filter { text[$0] == "-" }.compactMap { dash -> (from: String, to: String)? in
            let (from, to) = (String(text[..<dash]), String(text[text.index(after: dash)...]))
            return time(from) != nil && time(to) != nil ? (from, to) : nil
        }
        guard let pair = pairs.first, let from = time(pair.from), let to = time(pair.to) else { throw .notATime }
        // 2026-01-31T08:00-09:00 could end on that day or today, and could have an offset.
        let endsWithClock = pair.to.contains(":") && !pair.to.contains { "Tt ".contains($0) }
        if pairs.count > 1 || (endsWithClock && pair.from.contains { "Tt ".contains($0) && pair.from.contains(":") }) {
            throw .ambiguous
        }
        guard from.earliest <= to.latest else { throw .reversed }
        return TimeRange(earliest: from.earliest, latest: to.latest)
    }
}

/// The first moment of a time, as ~since takes it.
/// - Returns: nil when the text is not a time.
package func moment(_ text: String, _ environment: FilterEnvironment) -> Timestamp? {
    TimeReader(environment).time(text).map { Timestamp(nanoseconds: $0.earliest) }
}

/// Takes the parts of a time from a text.
private struct TimeScanner {
    /// A time of a day.
    struct Clock {
        /// Of the day.
        var second: Int64
        var nanosecond: Int64 = 0
        /// Nanoseconds that the text covers: a minute, a second, or a part of one.
        var length: Int64
        var hasSeconds: Bool
    }

    private var rest: Substring

    init(_ text: String) { rest = text[...] }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ sign: Character) -> Bool {
        guard rest.first == sign else { return false }
        rest.removeFirst()
        return true
    }

    mutating func number(digits: Int) -> Int64? { number(digits...digits) }

    private mutating func number(_ digits: ClosedRange<Int>) -> Int64? {
        let found = rest.prefix { $0.isASCII && $0.isNumber }.prefix(digits.upperBound)
        guard found.count >= digits.lowerBound, let number = Int64(found) else { return nil }
        rest = rest.dropFirst(found.count)
        return number
    }

    /// `08:00`, `08:00:30`, `08:00:30.25`. 24:00 does not exist; a leap second does (RFC 3339 §5.6).
    mutating func clock(firstDigits: ClosedRange<Int>) -> Clock? {
        guard let hour = number(firstDigits), hour < 24, take(":"), let minute = number(digits: 2), minute < 60 else { return nil }
        var clock = Clock(second: hour * 3600 + minute * 60, length: 60_000_000_000, hasSeconds: false)
        guard take(":") else { return clock }
        guard let second = number(digits: 2), second <= 60 else { return nil }
        clock.second += second
        clock.length = 1_000_000_000
        clock.hasSeconds = true
        guard take(".") else { return clock }
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        guard (1...9).contains(digits.count), let fraction = Int64(digits) else { return nil }
        rest = rest.dropFirst(digits.count)
        for _ in digits { clock.length /= 10 }
        clock.nanosecond = fraction * clock.length
        return clock
    }

    /// `Z`, or after seconds `+01:00`, in seconds.
    mutating func offset(afterSeconds: Bool) -> Int64? {
        if take("Z") || take("z") { return 0 }
        guard afterSeconds else { return nil }
        let sign: Int64
        if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
        guard let hours = number(digits: 2), hours < 24, take(":"), let minutes = number(digits: 2), minutes < 60 else {
            return nil
        }
        return sign * (hours * 3600 + minutes * 60)
    }
}
