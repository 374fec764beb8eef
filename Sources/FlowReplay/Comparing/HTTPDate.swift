// Dates of HTTP (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`, and of cookies, which have hyphens in practice. Other
// time zones are not accepted.

import FlowModel

/// A moment in whole seconds since 1970.
struct HTTPDate: Equatable {
    var seconds: Int64

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]

    init(seconds: Int64) { self.seconds = seconds }

    /// - Returns: nil for any other form.
    init?(_ text: String) {
        let words = text.split { $0 == " " || $0 == "-" || $0 == ":" }
        guard words.count == 8, words[7] == "GMT", words[0].hasSuffix(","), let day = Int64(words[1]),
            let month = Self.months.firstIndex(of: String(words[2])), var year = Int64(words[3]), let hour = Int64(words[4]),
            let minute = Int64(words[5]), let second = Int64(words[6]), (1...31).contains(day), (0..<24).contains(hour),
            (0..<60).contains(minute), (0...60).contains(second), (0...9999).contains(year)
        else { return nil }
        if words[3].count == 2 { year += year < 70 ? 2000 : 1900 }
        seconds =
            CivilDate(year: year, month: Int64(month) + 1, day: day).daysSince1970 * 86400 + hour * 3600 + minute * 60 + second
    }

    /// The text for HTTP; nil for a year without four digits.
    var text: String? {
        let (day, time) = seconds.flooredQuotientAndRemainder(86400)
        let date = CivilDate(daysSince1970: day)
        guard (1000...9999).contains(date.year) else { return nil }
        let weekday = Self.days[Int((day % 7 + 7) % 7)]
        let name = Self.months[Int(date.month) - 1]
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return
            "\(weekday), \(two(date.day)) \(name) \(date.year) \(two(time / 3600)):\(two(time / 60 % 60)):\(two(time % 60)) GMT"
    }
}
