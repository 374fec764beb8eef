// The clock of a recording: the wall clock is read once, and then only the monotonic clock counts, so times in a
// recording never run backwards and a difference of two is a duration even when the wall clock is set.

import FlowModel
import Glibc
import NIOCore

/// Makes the timestamps of a recording. One reading costs a call of `clock_gettime(2)`, which does not enter the kernel.
package struct RecorderClock: Sendable {
    /// The difference between the monotonic clock and nanoseconds since 1970.
    private let offsetNanoseconds: Int64

    /// Sets the clock to the current wall clock.
    package init() {
        offsetNanoseconds = Self.read(CLOCK_REALTIME) &- Self.read(CLOCK_MONOTONIC)
    }

    /// A clock that shows a given time now.
    package init(startingAt now: Timestamp) {
        offsetNanoseconds = now.nanoseconds &- Self.read(CLOCK_MONOTONIC)
    }

    package func now() -> Timestamp {
        Timestamp(nanoseconds: Self.read(CLOCK_MONOTONIC) &+ offsetNanoseconds)
    }

    /// The same moment for SwiftNIO, whose deadlines count on the monotonic clock.
    func deadline(at time: Timestamp) -> NIODeadline {
        .uptimeNanoseconds(UInt64(max(0, time.nanoseconds &- offsetNanoseconds)))
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        let failed = unsafe clock_gettime(clock, &time)
        precondition(failed == 0, "these two clocks exist on every Linux")
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
