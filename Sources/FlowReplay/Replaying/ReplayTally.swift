// The result of a replay: counts, sizes, how late requests were, and how long responses took compared with the recorded ones.

import FlowModel
import HTTPSemantics

/// The result of one flow.
package enum ReplayResult: String, Sendable {
    /// It was not compared.
    case sent
    case same
    case different
    /// There was no response, or the request could not be sent.
    case failed
    /// The recorded response could not be read.
    case notCompared = "not_compared"
    /// It cannot be sent again, or must not.
    case leftOut = "left_out"
}

/// Counts of a replay.
package struct ReplayTally: Sendable, Equatable {
    /// Kinds of errors that are counted apart. Messages of servers may hold anything.
    private static let maximumErrors = 100

    package private(set) var sent = 0
    package private(set) var ended = 0
    package private(set) var failed = 0
    /// Flows that were in progress when the replay was stopped.
    package var cut = 0
    /// Flows whose recorded response could not be read.
    package private(set) var notCompared = 0
    package private(set) var same = 0
    package private(set) var different = 0
    /// Nanoseconds after the scheduled time.
    package private(set) var maximumLateness: Int64 = 0
    package private(set) var totalLateness: Int64 = 0
    /// Bytes of content.
    package private(set) var bytesSent: UInt64 = 0
    package private(set) var bytesReceived: UInt64 = 0
    /// Responses by their status, and flows without one by the error.
    package private(set) var statuses: [Int: Int] = [:]
    package private(set) var errors: [String: Int] = [:]
    /// From a request's head to the last byte of its response, of flows that have both.
    package private(set) var latencies = LatencyHistogram()
    /// The same flows in the recording.
    package private(set) var recordedLatencies = LatencyHistogram()

    package init() {}

    /// A flow has begun.
    /// - Parameter lateness: nanoseconds after its scheduled time.
    package mutating func sent(lateness: Int64) {
        sent += 1
        maximumLateness = max(maximumLateness, lateness)
        totalLateness += lateness
    }

    /// A flow could not be sent.
    package mutating func failedToSend(_ message: String) {
        failed += 1
        count(error: message)
    }

    /// A flow has ended.
    /// - Parameters:
    ///   - isDifferent: nil if it was not compared.
    ///   - isReadable: the recorded response could be read.
    @discardableResult
    package mutating func count(_ new: Flow, recorded: Flow, isDifferent: Bool?, isReadable: Bool = true) -> ReplayResult {
        ended += 1
        bytesSent += new.contentSize(from: .client)
        bytesReceived += new.contentSize(from: .server)
        if let status = new.response?.head.status { statuses[status, default: 0] += 1 }
        if new.hasNoAnswer { count(error: new.error?.message ?? "there was no answer") }
        if let now = new.latency {
            latencies.add(now)
            if let was = recorded.latency { recordedLatencies.add(was) }
        }
        if new.hasNoAnswer, !recorded.hasNoAnswer || isDifferent == nil {
            failed += 1
            return .failed
        }
        guard isReadable else {
            notCompared += 1
            return .notCompared
        }
        guard let isDifferent else { return .sent }
        if isDifferent { different += 1 } else { same += 1 }
        return isDifferent ? .different : .same
    }

    private mutating func count(error message: String) {
        let kind = errors.count < Self.maximumErrors || errors[message] != nil ? message : "other errors"
        errors[kind, default: 0] += 1
    }

    /// Lines for the user.
    /// - Parameters:
    ///   - leftOut: flows that are not sent, by reason; `unsent`: those that were not sent because the replay was stopped.
    ///   - elapsed: nanoseconds that it took; nil leaves out what depends on it.
    package func summary(compares: Bool, leftOut: [String: Int], unsent: Int, elapsed: Int64? = nil) -> [String] {
        let omitted = leftOut.values.reduce(0, +)
        var parts = ["\(sent) sent"]
        if compares { parts += ["\(same) the same", "\(different) different"] }
        if notCompared > 0 { parts.append("\(notCompared) not compared") }
        if failed > 0 || compares { parts.append("\(failed) failed") }
        if omitted > 0 || compares { parts.append("\(omitted) left out") }
        if unsent > 0 { parts.append("\(unsent) not sent because the replay was stopped") }
        if cut > 0 { parts.append("\(cut) cut by it") }
        var lines = [parts.joined(separator: ", ")]
        for (reason, count) in Self.byCount(leftOut) { lines.append("\(count) left out: \(reason)") }
        if let elapsed, ended > 0 {
            lines.append(
                "took \(Self.milliseconds(elapsed)), \(Self.decimal(perSecond(elapsed))) requests/s; content: \(bytesSent) bytes to servers, \(bytesReceived) bytes from servers"
            )
        }
        if !statuses.isEmpty {
            lines.append("status: " + statuses.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", "))
        }
        for (message, count) in Self.byCount(errors).prefix(10) {
            lines.append("\(count) failed: \(FlowComparison.visible(message))")
        }
        if maximumLateness >= 1_000_000 {
            lines.append(
                "behind schedule: \(Self.milliseconds(maximumLateness)) at most, \(Self.milliseconds(totalLateness)) in total"
            )
        }
        if latencies.count > 0 {
            lines.append("time to the last byte: \(Self.figures(latencies))")
            if recordedLatencies.count > 0 { lines.append("in the recording:      \(Self.figures(recordedLatencies))") }
        }
        return lines
    }

    private static func byCount(_ counts: [String: Int]) -> [(key: String, value: Int)] {
        counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    }

    /// Flows that ended in a second.
    package func perSecond(_ elapsed: Int64) -> Double { elapsed > 0 ? Double(ended) * 1e9 / Double(elapsed) : 0 }

    /// The percentiles of a summary, and their names.
    package static let percentiles: [(percent: Double, name: StaticString)] = [
        (50, "p50"), (90, "p90"), (95, "p95"), (99, "p99"), (99.9, "p99.9"),
    ]

    private static func figures(_ values: LatencyHistogram) -> String {
        let middle = percentiles.map { "\($0.name) \(milliseconds(values.percentile($0.percent)))" }
        return
            (["min \(milliseconds(values.minimum))", "mean \(milliseconds(values.mean))"] + middle + [
                "max \(milliseconds(values.maximum))"
            ]).joined(separator: ", ")
    }

    /// `0.4`, `199.8`, `12345`.
    private static func decimal(_ value: Double) -> String {
        if value >= 1000 { return "\(Int64(min(value, 1e18)))" }
        let tenths = Int64((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
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

    /// Bytes of content, of messages, or of a stream.
    fileprivate func contentSize(from side: Side) -> UInt64 {
        if kind == .tcp || isWebSocket { return (try? pieces.wireSize(from: side)) ?? 0 }
        return (side == .client ? request?.size : response?.size) ?? 0
    }

    fileprivate var latency: Int64? {
        guard kind == .http, !isWebSocket, let request, let ended = response?.ended else { return nil }
        return ended - request.started
    }
}
