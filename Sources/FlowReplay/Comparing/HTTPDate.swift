// Dates of HTTP (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`, and of cookies, which have hyphens in practice. Other
// time zones are not accepted.

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
        seconds = Self.daysSince1970(year, Int64(month) + 1, day) * 86400 + hour * 3600 + minute * 60 + second
    }

    /// The proleptic Gregorian calendar, counted in eras of 400 years that begin in March.
    private static func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The text for HTTP; nil for a year without four digits.
    var text: String? {
        let day = (seconds >= 0 ? seconds : seconds - 86399) / 86400
        let time = seconds - day * 86400
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
        let name = Self.months[Int(month < 10 ? month + 2 : month - 10)]
        let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
        guard (1000...9999).contains(year) else { return nil }
        let weekday = Self.days[Int((day % 7 + 7) % 7)]
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return
            "\(weekday), \(two(dayOfMonth)) \(name) \(year) \(two(time / 3600)):\(two(time / 60 % 60)):\(two(time % 60)) GMT"
    }
}
