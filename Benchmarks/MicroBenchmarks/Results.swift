// Times a piece of work and prints what comes of it.

/// What can be measured went wrong: the figure would be of something else.
struct InvalidMeasurement: Error {
    var message: String
}

struct Results {
    private static let rounds = 7
    /// A round takes about as long, so that the clock's grain and one interruption count for little.
    private static let roundLength = Duration.milliseconds(150)

    private let clock = ContinuousClock()

    /// The median of the seconds that a piece of work takes. It is done once before, for warmth and to learn how often a round does it.
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
    ///   - value: so many of the unit a second.
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

/// Stops when what was measured is not what was meant.
func check(_ condition: Bool, _ message: @autoclosure () -> String) throws(InvalidMeasurement) {
    if !condition { throw InvalidMeasurement(message: message()) }
}
