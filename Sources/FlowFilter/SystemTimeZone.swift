// The time zone of the system (TZ, /etc/localtime).

import Glibc

private let isZoneRead: Bool = {
    // localtime_r(3) need not do this by itself.
    tzset()
    return true
}()

/// Seconds to add to UTC at a number of seconds since 1970.
func systemOffset(at second: Int64) -> Int64 {
    precondition(isZoneRead)
    var moment = time_t(second)
    var fields = unsafe tm()
    return unsafe localtime_r(&moment, &fields) == nil ? 0 : Int64(fields.tm_gmtoff)
}
