// The progress of a replay and the time that is left, as one line for a terminal.

import FlowModel

/// Numbers of a progress line, and the line.
package struct ReplayProgress: Sendable, Equatable {
    /// Flows.
    package var done: UInt64
    /// 0: unknown; the replay ends by the clock.
    package var total: UInt64
    /// Nanoseconds since it began.
    package var elapsed: Int64
    /// The duration of the schedule in nanoseconds; nil if nothing waits for the clock.
    package var scheduled: Int64?

    package init(done: UInt64, total: UInt64, elapsed: Int64, scheduled: Int64? = nil) {
        (self.done, self.total, self.elapsed, self.scheduled) = (done, total, elapsed, scheduled)
    }

    /// Nanoseconds that are left: by the schedule, and after its end by the rate so far. nil if unknown.
    package var left: Int64? {
        guard done < total || total == 0 else { return 0 }
        if let scheduled, scheduled > elapsed { return scheduled - elapsed }
        guard done > 0, elapsed > 0, total > 0 else { return nil }
        return ReplayTiming.nanoseconds(Double(elapsed) / Double(done) * Double(total - done))
    }

    private func perSecond(_ count: UInt64) -> String {
        elapsed > 0 ? "\(groupedDigits(UInt64(Double(count) * 1e9 / Double(elapsed))))/s" : "0/s"
    }

    private var leftInWords: String { left.map { ", \(roundedDuration($0)) left" } ?? "" }

    /// `12,000 of 108,000 sent, 2,000/s, 48 s left`.
    package func sending(failed: Int) -> String {
        groupedDigits(done) + (total > 0 ? " of \(groupedDigits(total))" : "") + " sent, \(perSecond(done))\(leftInWords)"
            + (failed > 0 ? ", \(failed) failed" : "")
    }
}

extension ReplayPlan {
    /// The duration of one round by a schedule, in nanoseconds, if servers are as fast as the recorded ones; nil if nothing waits
    /// for the clock.
    package func duration(_ schedule: ReplaySchedule) -> Int64? {
        guard flowCount > 0 else { return 0 }
        let first = times(of: 0).started
        guard let last = schedule.offset(of: flowCount - 1, recorded: times(of: flowCount - 1).started - first) else { return nil }
        guard case .recorded(let timing) = schedule else { return last }
        let ends = (0..<connectionCount).compactMap { times(ofConnection: $0).ended }
        return max(last, ends.max().map { timing.pause(max(0, $0 - first)) } ?? 0)
    }
}
