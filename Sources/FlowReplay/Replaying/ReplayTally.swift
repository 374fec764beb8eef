// The result of a replay: counts, how late requests were, and how long responses took compared with the recorded ones.

import FlowModel

/// Counts of a replay.
package struct ReplayTally: Sendable, Equatable {
    package private(set) var sent = 0
    package private(set) var ended = 0
    /// There was no response, or the request could not be sent.
    package var failed = 0
    /// Flows that were in progress when the replay was stopped.
    package var cut = 0
    /// Flows whose recorded response could not be read.
    package var notCompared = 0
    package private(set) var same = 0
    package private(set) var different = 0
    /// Nanoseconds after the scheduled time.
    package private(set) var maximumLateness: Int64 = 0
    package private(set) var totalLateness: Int64 = 0
    /// Nanoseconds from a request's head to the last byte of its response, of flows that have both.
    private var latencies: [Int64] = []
    private var recordedLatencies: [Int64] = []

    package init() {}

    /// A flow has begun.
    /// - Parameter lateness: nanoseconds after its scheduled time.
    package mutating func sent(lateness: Int64) {
        sent += 1
        maximumLateness = max(maximumLateness, lateness)
        totalLateness += lateness
    }

    /// A flow has ended.
    /// - Parameter isDifferent: nil if it was not compared.
    package mutating func count(_ new: Flow, recorded: Flow, isDifferent: Bool?) {
        ended += 1
        if new.hasNoAnswer, !recorded.hasNoAnswer || isDifferent == nil {
            failed += 1
        } else if isDifferent == true {
            different += 1
        }
        if isDifferent == false { same += 1 }
        guard let now = new.latency else { return }
        latencies.append(now)
        if let was = recorded.latency { recordedLatencies.append(was) }
    }

    /// Lines for the user.
    /// - Parameters:
    ///   - leftOut: flows that are not sent, by reason; `unsent`: those that were not sent because the replay was stopped.
    package func summary(compares: Bool, leftOut: [String: Int], unsent: Int) -> [String] {
        let omitted = leftOut.values.reduce(0, +)
        var parts = ["\(sent) sent"]
        if compares { parts += ["\(same) the same", "\(different) different"] }
        if notCompared > 0 { parts.append("\(notCompared) not compared") }
        if failed > 0 || compares { parts.append("\(failed) failed") }
        if omitted > 0 || compares { parts.append("\(omitted) left out") }
        if unsent > 0 { parts.append("\(unsent) not sent because the replay was stopped") }
        if cut > 0 { parts.append("\(cut) cut by it") }
        var lines = [parts.joined(separator: ", ")]
        for (reason, count) in leftOut.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            lines.append("\(count) left out: \(reason)")
        }
        if maximumLateness >= 1_000_000 {
            lines.append(
                "behind schedule: \(Self.milliseconds(maximumLateness)) at most, \(Self.milliseconds(totalLateness)) in total"
            )
        }
        if !latencies.isEmpty {
            lines.append("time to the last byte: \(Self.percentiles(latencies)); recorded: \(Self.percentiles(recordedLatencies))")
        }
        return lines
    }

    private static func percentiles(_ values: [Int64]) -> String {
        guard !values.isEmpty else { return "unknown" }
        let sorted = values.sorted()
        return [50, 90, 99].map { percent in
            // The smallest value that this percentage of the values does not exceed.
            let rank = (sorted.count * percent + 99) / 100
            return "p\(percent) \(milliseconds(sorted[max(0, rank - 1)]))"
        }.joined(separator: " ")
    }

    /// `0.4 ms`, `12 ms`, `3.25 s`.
    package static func milliseconds(_ nanoseconds: Int64) -> String {
        if nanoseconds >= 1_000_000_000 {
            let hundredths = nanoseconds / 10_000_000
            return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) s"
        }
        if nanoseconds >= 10_000_000 { return "\(nanoseconds / 1_000_000) ms" }
        return "\(nanoseconds / 1_000_000).\(nanoseconds / 100_000 % 10) ms"
    }
}

extension Flow {
    /// The exchange failed, or ended without a response.
    fileprivate var hasNoAnswer: Bool { state == .failed || (kind == .http && response == nil) }

    fileprivate var latency: Int64? {
        guard kind == .http, !isWebSocket, let request, let ended = response?.ended else { return nil }
        return ended - request.started
    }
}
