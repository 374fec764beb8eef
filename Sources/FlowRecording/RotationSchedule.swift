// When a recording continues in another file by itself: at a size, or at a time of the clock.

import FlowModel
import Glibc

/// Limits of one file.
package struct RotationLimits: Sendable {
    /// Bytes after which the next file is begun.
    package var size: UInt64?
    /// Nanoseconds between two files. They are begun at whole multiples of it, in local time.
    package var interval: Int64?

    package init() {}

    /// Smaller blocks for small files, so that a file is not much larger than its limit.
    var blockTarget: Int? { size.map { Int(clamping: max(Self.minimumBlock, $0 / 8)) } }
    private static let minimumBlock: UInt64 = 4096

    /// The next whole multiple of the interval after a moment, in local time.
    package static func boundary(after now: Timestamp, interval: Int64) -> Timestamp {
        let local = now.nanoseconds + offset(at: now)
        let next = (local / interval + (local < 0 && local % interval != 0 ? 0 : 1)) * interval
        // The clock may have been put forward or back by then.
        let guess = Timestamp(nanoseconds: next - offset(at: now))
        let exact = Timestamp(nanoseconds: next - offset(at: guess))
        return exact > now ? exact : guess
    }

    /// Nanoseconds from UTC to local time.
    private static func offset(at now: Timestamp) -> Int64 {
        var seconds = time_t(now.nanoseconds / 1_000_000_000)
        var parts = unsafe tm()
        unsafe localtime_r(&seconds, &parts)
        return Int64(unsafe parts.tm_gmtoff) * 1_000_000_000
    }
}
