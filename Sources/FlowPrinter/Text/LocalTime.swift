// Moments as a user's clock shows them.

import FlowModel
import Glibc
import NIOCore
import Synchronization

/// The system's time zone (TZ, /etc/localtime).
package final class LocalTime: Sendable {
    package static let shared = LocalTime()

    /// The difference to UTC in one minute. Flows come in the order of time, so few minutes are looked up.
    private struct Known {
        var minute = Int64.min
        var offset: Int64 = 0
    }

    private let known = Mutex(Known())
    private let lookUp: @Sendable (Int64) -> Int64

    private convenience init() {
        tzset()
        self.init { minute in
            var moment = time_t(minute)
            var fields = unsafe tm()
            return unsafe localtime_r(&moment, &fields) == nil ? 0 : Int64(fields.tm_gmtoff)
        }
    }

    /// - Parameter lookUp: seconds to add to UTC, at a number of seconds since 1970.
    package init(lookUp: @escaping @Sendable (Int64) -> Int64) { self.lookUp = lookUp }

    /// Seconds to add to UTC at a moment.
    private func offset(at second: Int64) -> Int64 {
        let minute = second.flooredQuotientAndRemainder(60).0
        return known.withLock { known in
            if known.minute != minute { known = Known(minute: minute, offset: lookUp(minute * 60)) }
            return known.offset
        }
    }

    /// Appends the time of day with milliseconds: `08:28:22.411`.
    package func write(clock time: Timestamp, into out: inout ByteBuffer) {
        let (second, nanoseconds) = time.nanoseconds.flooredQuotientAndRemainder(1_000_000_000)
        let milliseconds = nanoseconds / 1_000_000
        let ofDay = (second + offset(at: second)).flooredQuotientAndRemainder(86_400).1
        out.writeTwoDigits(ofDay / 3600)
        out.writeInteger(UInt8(ascii: ":"))
        out.writeTwoDigits(ofDay / 60 % 60)
        out.writeInteger(UInt8(ascii: ":"))
        out.writeTwoDigits(ofDay % 60)
        out.writeInteger(UInt8(ascii: "."))
        out.writeInteger(UInt8(ascii: "0") + UInt8(milliseconds / 100))
        out.writeTwoDigits(milliseconds % 100)
    }

    /// Appends date, time and the difference to UTC (RFC 3339): `2026-11-27T08:28:22.411+01:00`.
    package func write(full time: Timestamp, into out: inout ByteBuffer) {
        let second = time.nanoseconds.flooredQuotientAndRemainder(1_000_000_000).0
        let offset = offset(at: second)
        let day = rfc3339(Timestamp(nanoseconds: (second + offset) * 1_000_000_000)).prefix { $0 != "T" }
        out.writeString("\(day)T")
        write(clock: time, into: &out)
        out.writeInteger(UInt8(ascii: offset < 0 ? "-" : "+"))
        out.writeTwoDigits(abs(offset) / 3600)
        out.writeInteger(UInt8(ascii: ":"))
        out.writeTwoDigits(abs(offset) / 60 % 60)
    }
}

extension ByteBuffer {
    fileprivate mutating func writeTwoDigits(_ value: Int64) {
        writeInteger(UInt8(ascii: "0") + UInt8(value / 10))
        writeInteger(UInt8(ascii: "0") + UInt8(value % 10))
    }
}
