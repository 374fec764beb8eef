// Times as text, in UTC with nanoseconds (RFC 3339).

import FlowModel
import HTTPSemantics

package func rfc3339(_ time: Timestamp) -> String {
    let text = ByteWriter(capacity: 32)
    text.append(rfc3339: time)
    return unsafe String(decoding: text.bytes, as: UTF8.self)
}

extension ByteWriter {
    /// `2026-11-23T10:20:30.123456789Z`.
    func append(rfc3339 time: Timestamp) {
        let (seconds, nanoseconds) = time.nanoseconds.flooredQuotientAndRemainder(1_000_000_000)
        let (days, second) = seconds.flooredQuotientAndRemainder(86_400)
        // Civil date from days since 1970-01-01, by eras of 400 years that begin in March.
        let shifted = days + 719_468
        let (era, dayOfEra) = shifted.flooredQuotientAndRemainder(146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        // 64-bit nanoseconds reach from the year 1677 to 2262.
        append(decimal: UInt64(yearOfEra + era * 400 + (month <= 2 ? 1 : 0)), width: 4)
        part(0x2D, month)
        part(0x2D, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
        part(0x54, second / 3600)
        part(0x3A, second / 60 % 60)
        part(0x3A, second % 60)
        append(UInt8(0x2E))
        append(decimal: UInt64(nanoseconds), width: 9)
        append(UInt8(0x5A))
    }

    private func part(_ separator: UInt8, _ value: Int64) {
        append(separator)
        append(decimal: UInt64(value), width: 2)
    }
}

extension Int64 {
    fileprivate func flooredQuotientAndRemainder(_ divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
