// The time that sessions are told.

import FlowModel
import Glibc

/// Anchored to the wall clock once and monotonic from then on, so that differences are durations.
package struct RecorderClock: Sendable {
    private let offset: Int64

    package init() {
        offset = Self.read(CLOCK_REALTIME) - Self.read(CLOCK_MONOTONIC)
    }

    package var now: Timestamp { Timestamp(nanoseconds: offset + Self.read(CLOCK_MONOTONIC)) }

    /// clock_gettime(2); it cannot fail for these two clocks.
    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
