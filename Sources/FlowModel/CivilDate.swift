// Days as dates of the proleptic Gregorian calendar, counted in eras of 400 years that begin in March.

/// A date.
package struct CivilDate: Sendable, Equatable {
    package var year: Int64
    /// From 1.
    package var month: Int64
    /// From 1.
    package var day: Int64

    package init(year: Int64, month: Int64, day: Int64) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// - Parameter daysSince1970: days after 1970-01-01, negative before it.
    package init(daysSince1970: Int64) {
        let shifted = daysSince1970 + 719_468
        let (era, dayOfEra) = shifted.flooredQuotientAndRemainder(146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    }

    /// Days after 1970-01-01. A month after the twelfth and a day after the last one of its month count into the next year and month.
    package var daysSince1970: Int64 {
        let (years, months) = (month - 1).flooredQuotientAndRemainder(12)
        let shifted = months < 2 ? year + years - 1 : year + years
        let (era, yearOfEra) = shifted.flooredQuotientAndRemainder(400)
        let dayOfYear = (153 * (months < 2 ? months + 10 : months - 2) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// Whether the calendar has this date.
    package var isValid: Bool { self == CivilDate(daysSince1970: daysSince1970) }
}

extension Int64 {
    /// The quotient rounded down, and the remainder, which is not negative for a positive divisor.
    package func flooredQuotientAndRemainder(_ divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
