// The time, for filters that are relative to it.

import FlowModel
import Glibc

extension Timestamp {
    /// The current time (clock_gettime(2)).
    static var now: Timestamp {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}
