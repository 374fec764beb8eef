// A time that comes again and again, for loops that wait for signals too.

/// Fires each time an interval has passed, however often it is asked meanwhile.
package struct IntervalTimer {
    private let interval: Duration
    private var next: ContinuousClock.Instant

    /// - Parameter seconds: above 0; the first time is so long after this call.
    package init(seconds: Double, from start: ContinuousClock.Instant = .now) {
        interval = .seconds(seconds)
        next = start + interval
    }

    /// Seconds until it fires; 0 if it is due.
    package var secondsLeft: Double { max((next - .now) / .seconds(1), 0) }

    /// - Returns: whether it was due. Times that were missed fire once.
    package mutating func fires(at now: ContinuousClock.Instant = .now) -> Bool {
        guard now >= next else { return false }
        next += interval * max(((now - next) / interval).rounded(.down) + 1, 1)
        return true
    }
}
