// Times as text, in UTC with nanoseconds (RFC 3339).

import HTTPSemantics

package func rfc3339(_ time: Timestamp) -> String {
    let text = ByteWriter(capacity: 32)
    text.append(rfc3339: time)
    return unsafe String(decoding: text.bytes, as: UTF8.self)
}

extension ByteWriter {
    /// `2026-11-23T10:20:30.123456789Z`.
    package func append(rfc3339 time: Timestamp) {
        let (seconds, nanoseconds) = time.nanoseconds.flooredQuotientAndRemainder(1_000_000_000)
        let (days, second) = seconds.flooredQuotientAndRemainder(86_400)
        let date = CivilDate(daysSince1970: days)
        // 64-bit nanoseconds reach from the year 1677 to 2262.
        append(decimal: UInt64(date.year), width: 4)
        part(0x2D, date.month)
        part(0x2D, date.day)
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
