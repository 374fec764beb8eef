// The results of a replay on stdout: differences as text, one JSON object for each flow, or a JUnit report.

import ArgumentParser
import FlowModel
import FlowPrinter
import FlowReplay
import Foundation
import NIOCore
import Synchronization
import ToolSupport

/// What is printed on stdout.
enum ReportFormat: String, CaseIterable, ExpressibleByArgument {
    case text
    /// One object for each flow, and a summary.
    case json
    case junit
}

/// The result of one flow.
struct FlowReport {
    /// Of the recorded flow; nil if that cannot be read.
    var id: FlowID?
    /// `GET http://a/`, and its parts.
    var request: String
    var method: String?
    var url: String
    var host: String
    var result: ReplayResult
    var status: Int?
    /// Nanoseconds until the end of the answer.
    var duration: Int64?
    /// Why it failed or was left out.
    var reason: String?
    var differences: FlowDifferences?
}

/// The end of a report.
struct ReplaySummary {
    var tally: ReplayTally
    var leftOut: [String: Int]
    var unsent: Int
    /// Nanoseconds.
    var elapsed: Int64
    var started: Timestamp
}

/// Prints results. Used from several threads.
final class ResultReport: Sendable {
    private struct State: ~Copyable {
        var sink = OutputSink()
        var junit: JUnitReport?
        var error: (any Error)?
    }

    let format: ReportFormat
    private let state: Mutex<State>

    init(_ format: ReportFormat) throws {
        self.format = format
        var first = State()
        if format == .junit { first.junit = try JUnitReport() }
        state = Mutex(first)
    }

    /// Adds the result of a flow. An error of writing is thrown at the end.
    func add(_ flow: FlowReport) {
        attempt { state in
            switch format {
            case .text:
                guard let differences = flow.differences, !differences.isEmpty else { return }
                ProgressLine.clear()
                try state.sink.write { out in
                    out.writeString(flow.request + "\n")
                    for line in differences.lines { out.writeString("  \(line)\n") }
                }
            case .json:
                ProgressLine.clear()
                try state.sink.write { flow.write(into: &$0) }
            case .junit: try state.junit?.add(flow)
            }
        }
    }

    /// Writes what was gathered.
    func flush() { attempt { try $0.sink.flush() } }

    private func attempt(_ body: (inout State) throws -> Void) {
        state.withLock { state in
            guard state.error == nil else { return }
            do { try body(&state) } catch { state.error = error }
        }
    }

    /// Ends the report.
    /// - Throws: if something could not be written.
    func finish(_ summary: ReplaySummary) throws {
        attempt { state in
            switch format {
            case .text: break
            case .json: try state.sink.write { summary.write(into: &$0) }
            case .junit: try state.junit?.finish(summary, into: &state.sink)
            }
            try state.sink.flush()
        }
        if let error = state.withLock({ $0.error }), !(error is ReaderGone) { throw error }
    }
}

// MARK: JSON

extension FlowReport {
    func write(into bytes: inout ByteBuffer) {
        var writer = JSONWriter()
        writer.beginObject()
        if let id {
            writer.key("id")
            writer.string("\(id)")
        }
        writer.key("request")
        writer.beginObject()
        if let method {
            writer.key("method")
            writer.string(method)
        }
        writer.key("url")
        writer.string(url)
        writer.endObject()
        writer.key("result")
        writer.string(result.rawValue)
        if let status {
            writer.key("status")
            writer.number(status)
        }
        if let duration {
            writer.key("ms")
            writer.milliseconds(duration)
        }
        if let reason {
            writer.key("reason")
            writer.string(reason)
        }
        if let differences, !differences.isEmpty { differences.writeMembers(into: &writer) }
        writer.endObject()
        writer.write(into: &bytes)
        bytes.writeString("\n")
    }
}

extension ReplaySummary {
    func write(into bytes: inout ByteBuffer) {
        var writer = JSONWriter()
        func counts(_ name: StaticString, _ values: [(name: String, count: Int)], _ member: StaticString) {
            guard !values.isEmpty else { return }
            writer.key(name)
            writer.beginArray()
            for (value, count) in values {
                writer.beginObject()
                writer.key(member)
                if let number = Int(value) { writer.number(number) } else { writer.string(value) }
                writer.key("count")
                writer.number(count)
                writer.endObject()
            }
            writer.endArray()
        }
        func latencies(_ name: StaticString, _ values: LatencyHistogram) {
            guard values.count > 0 else { return }
            writer.key(name)
            writer.beginObject()
            let figures: [(StaticString, Int64)] =
                [("min", values.minimum), ("mean", values.mean)]
                + ReplayTally.percentiles.map { ($0.name, values.percentile($0.percent)) } + [("max", values.maximum)]
            for (name, value) in figures {
                writer.key(name)
                writer.milliseconds(value)
            }
            writer.endObject()
        }
        writer.beginObject()
        writer.key("summary")
        writer.beginObject()
        let numbers: [(StaticString, Int)] = [
            ("sent", tally.sent), ("same", tally.same), ("different", tally.different), ("failed", tally.failed),
            ("left_out", leftOut.values.reduce(0, +)), ("not_compared", tally.notCompared), ("not_sent", unsent),
            ("cut", tally.cut),
        ]
        for (name, number) in numbers {
            writer.key(name)
            writer.number(number)
        }
        writer.key("duration_ms")
        writer.milliseconds(elapsed)
        writer.key("requests_per_second")
        writer.decimal(Self.decimal(tally.perSecond(elapsed)))
        writer.key("bytes_to_servers")
        writer.number(tally.bytesSent)
        writer.key("bytes_from_servers")
        writer.number(tally.bytesReceived)
        counts("statuses", tally.statuses.sorted { $0.key < $1.key }.map { ("\($0.key)", $0.value) }, "status")
        counts("errors", tally.errors.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, "message")
        counts("left_out_reasons", leftOut.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }, "reason")
        latencies("latency_ms", tally.latencies)
        latencies("recorded_latency_ms", tally.recordedLatencies)
        writer.key("late_ms")
        writer.beginObject()
        writer.key("max")
        writer.milliseconds(tally.maximumLateness)
        writer.key("total")
        writer.milliseconds(tally.totalLateness)
        writer.endObject()
        writer.endObject()
        writer.endObject()
        writer.write(into: &bytes)
        bytes.writeString("\n")
    }

    /// With one place after the point.
    private static func decimal(_ value: Double) -> String {
        let tenths = Int64((min(value, 1e15) * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
