// Times a piece of work and prints the result.

/// The measured work failed, so the figure would not be valid.
struct InvalidMeasurement: Error {
    var message: String
}

struct Results {
    private static let rounds = 7
    /// About the duration of a round: long compared with the clock's resolution and one interruption.
    private static let roundLength = Duration.milliseconds(150)

    private let clock = ContinuousClock()

    /// The median of the seconds that a piece of work takes. One run before that warms up and determines the number of runs in a round.
    func seconds(_ work: () throws -> Void) rethrows -> Double {
        let once = try clock.measure(work)
        let repetitions = max(1, Int(Self.roundLength / once))
        var figures: [Double] = []
        for _ in 0..<Self.rounds {
            let time = try clock.measure { for _ in 0..<repetitions { try work() } }
            figures.append(time / .seconds(1) / Double(repetitions))
        }
        return figures.sorted()[Self.rounds / 2]
    }

    /// Prints one figure.
    /// - Parameters:
    ///   - value: units per second.
    ///   - unit: without its "/s".
    mutating func add(_ name: String, _ value: Double, _ unit: String) {
        let (shown, prefix) =
            value >= 1e9 ? (value / 1e9, "G") : value >= 1e6 ? (value / 1e6, "M") : value >= 1e3 ? (value / 1e3, "k") : (value, "")
        let digits = shown >= 100 ? 0 : shown >= 10 ? 1 : 2
        print("\(padded(name, 28)) \(padded(fixed(shown, digits), 8)) \(prefix)\(unit == "B" ? "" : " ")\(unit)/s")
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.utf8.count))
    }

    private func fixed(_ value: Double, _ digits: Int) -> String {
        let scale = digits == 0 ? 1 : digits == 1 ? 10 : 100
        let whole = Int((value * Double(scale)).rounded())
        guard digits > 0 else { return "\(whole)" }
        let rest = "\(whole % scale)"
        return "\(whole / scale).\(String(repeating: "0", count: digits - rest.utf8.count))\(rest)"
    }
}

/// Throws when the work did not have the expected result.
func check(_ condition: Bool, _ message: @autoclosure () -> String) throws(InvalidMeasurement) {
    if !condition { throw InvalidMeasurement(message: message()) }
}
