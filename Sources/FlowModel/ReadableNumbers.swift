// Numbers and durations in messages for people.

/// `1,234,567`.
package func groupedDigits(_ number: some BinaryInteger) -> String {
    var digits = String(number)
    var place = digits.count - 3
    while place > (number < 0 ? 1 : 0) {
        digits.insert(",", at: digits.index(digits.startIndex, offsetBy: place))
        place -= 3
    }
    return digits
}

/// A duration in its two largest units: `850 ms`, `48 s`, `22 min 3 s`, `3 h 5 min`, `2 d 2 h`.
package func roundedDuration(_ nanoseconds: Int64) -> String {
    let seconds = nanoseconds / 1_000_000_000
    if seconds == 0 { return "\(nanoseconds / 1_000_000) ms" }
    if seconds < 60 { return "\(seconds) s" }
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400)
    if minutes < 60 { return "\(minutes) min" + (seconds % 60 > 0 ? " \(seconds % 60) s" : "") }
    if hours < 24 { return "\(hours) h" + (minutes % 60 > 0 ? " \(minutes % 60) min" : "") }
    return "\(days) d" + (hours % 24 > 0 ? " \(hours % 24) h" : "")
}
