// How long a recorded pause is in a replay.

/// The rhythm of a replay.
package enum ReplayTiming: Sendable, Equatable {
    /// No pauses.
    case none
    /// As recorded, faster by this factor.
    case scaled(Double)
    /// The same pause before each event, in nanoseconds.
    case fixed(Int64)

    package static let recorded = ReplayTiming.scaled(1)

    /// About seventy years, so that a time stamp can hold the moment.
    private static let maximumPause = 0x1p61

    /// - Parameter text: `none` or `max`; `recorded`; a speed as `2x` or `0.5x`; a pause as `50ms`, `1s`, `200us`.
    package init?(_ text: String) {
        switch text {
        case "none", "max":
            self = .none
        case "recorded":
            self = .recorded
        default:
            if text.hasSuffix("x"), let speed = Double(text.dropLast()), speed > 0, speed.isFinite {
                self = .scaled(speed)
                return
            }
            let units: [(String, Double)] = [("us", 1e3), ("ms", 1e6), ("s", 1e9)]
            guard let (unit, factor) = units.first(where: { text.hasSuffix($0.0) }), let value = Double(text.dropLast(unit.count)),
                value >= 0, value * factor < 1e18
            else { return nil }
            self = .fixed(Int64(value * factor))
        }
    }

    /// The pause in the replay for a recorded one; both in nanoseconds, never negative.
    package func pause(_ recorded: Int64) -> Int64 {
        switch self {
        case .none: 0
        case .scaled(let speed): Self.nanoseconds(Double(recorded) / speed)
        case .fixed(let pause): pause
        }
    }

    /// A pause, limited to the longest that a time stamp can hold.
    static func nanoseconds(_ pause: Double) -> Int64 { Int64(min(max(0, pause), maximumPause)) }
}
