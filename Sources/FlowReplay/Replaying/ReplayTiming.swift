// How long a recorded pause is in a replay.

/// The rhythm of a replay.
package enum ReplayTiming: Sendable, Equatable {
    /// No pauses.
    case none
    /// As recorded, faster by this factor.
    case scaled(Double)
    /// This pause before the first event of each answer, in nanoseconds; the rest of the answer follows at once.
    case fixed(Int64)

    package static let recorded = ReplayTiming.scaled(1)

    /// About seventy years, so that a time stamp can hold the moment.
    private static let maximumPause = 0x1p61

    /// - Parameter text: `none` or `max`; `recorded`; a speed as `2x` or `0.5x`.
    package init?(_ text: String) {
        switch text {
        case "none", "max":
            self = .none
        case "recorded":
            self = .recorded
        default:
            guard text.hasSuffix("x"), let speed = Double(text.dropLast()), speed > 0, speed.isFinite else { return nil }
            self = .scaled(speed)
        }
    }

    /// The pause in the replay for a recorded one; both in nanoseconds, never negative.
    /// - Parameter isFirst: it precedes the first event of an answer.
    package func pause(_ recorded: Int64, isFirst: Bool = true) -> Int64 {
        switch self {
        case .none: 0
        case .scaled(let speed): Self.nanoseconds(Double(recorded) / speed)
        case .fixed(let pause): isFirst ? pause : 0
        }
    }

    /// A pause, limited to the longest that a time stamp can hold.
    static func nanoseconds(_ pause: Double) -> Int64 { Int64(min(max(0, pause), maximumPause)) }
}
