// Assembles the new flows from their events, prints a line for each, compares it with the recorded one, and passes the events to
// the recording. It has its own thread and a bounded queue, so that traffic waits for a slow comparison.

import FlowModel
import FlowRecording
import FlowRecords
import FlowReplay
import Foundation
import NIOCore
import ProxyCore
import ProxyToolSupport
import ProxyTransport
import Synchronization
import ToolSupport

/// Compares new flows with recorded ones, and counts the results.
final class ResponseComparer: FlowSink {
    private struct State {
        /// The recorded flow of each new flow in progress.
        var recorded: [FlowID: Flow] = [:]
        var tally = ReplayTally()
        var error: (any Error)?
        /// Content of the recording is damaged.
        var isDamaged = false
        /// A signal has arrived: a cut tells nothing about the server any more.
        var isStopped = false
    }

    private let plan: ReplayPlan
    private let comparison: FlowComparison?
    private let log: EventLog
    private let recorder: FlowRecorder?
    private let progressLine: ProgressLine
    private let queue = RecordQueue()
    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameter comparison: nil: flows are not compared.
    init(
        _ plan: ReplayPlan, comparison: FlowComparison?, recorder: FlowRecorder?, log: EventLog, progressLine: ProgressLine
    ) {
        self.progressLine = progressLine
        self.plan = plan
        self.comparison = comparison
        self.log = log
        self.recorder = recorder
        let thread = Thread { self.run() }
        thread.name = "comparer"
        thread.stackSize = 8 << 20
        thread.start()
    }

    // MARK: Called on event loops

    func submit(_ records: [FlowRecord]) { queue.submit(records) }
    var isFull: Bool { queue.isFull }
    func whenDrained(_ resume: @escaping @Sendable () -> Void) { queue.whenDrained(resume) }

    /// A recorded flow is being sent.
    func began(_ recorded: Flow, as flow: FlowID, lateness: Int64) {
        state.withLock { state in
            state.recorded[flow] = recorded
            state.tally.sent(lateness: lateness)
        }
    }

    /// A recorded flow could not be sent.
    func failed(_ number: Int, _ message: String) {
        state.withLock { $0.tally.failed += 1 }
        let request = (try? plan.flow(number)).map { requestLine($0) } ?? "flow \(number + 1)"
        log.log(.error, "not-sent", "\(request) → not sent: \(message)")
    }

    /// The replay is being stopped.
    func stop() { state.withLock { $0.isStopped = true } }

    // MARK: Its own thread

    private func run() {
        var assemblers: [FlowID: NewFlow] = [:]
        var sink = OutputSink()
        while let batches = queue.take(within: nil) {
            for batch in batches {
                for record in batch.records {
                    // A record that this process has made can be read.
                    try? record.forEachEvent { receive($0, &assemblers, &sink) }
                }
                record(batch.records)
            }
            attempt { try sink.flush() }
            queue.finished(batches)
        }
        attempt { try sink.flush() }
        ended.signal()
    }

    private func receive(_ event: FlowEvent, _ flows: inout [FlowID: NewFlow], _ sink: inout OutputSink) {
        if case .opened(let opening) = event.what {
            flows[event.flow] = NewFlow(event, opening, keepsPieces: comparison != nil)
            return
        }
        flows[event.flow]?.receive(event)
        guard case .ended = event.what, let flow = flows.removeValue(forKey: event.flow)?.flow,
            let recorded = state.withLock({ $0.recorded.removeValue(forKey: event.flow) })
        else { return }
        compare(flow, recorded, &sink)
    }

    private func compare(_ new: Flow, _ recorded: Flow, _ sink: inout OutputSink) {
        log.log(.info, "flow", resultLine(new))
        let isCut = state.withLock { $0.isStopped } && new.error.map { $0.side == nil } ?? false
        guard !isCut else { return state.withLock { $0.tally.cut += 1 } }
        var differences: [String] = []
        if let comparison {
            do {
                differences = try comparison.differences(recorded: recorded, new: new)
            } catch {
                log.log(.error, "not-compared", "\(requestLine(new)): not compared: \(error)")
                return state.withLock { state in
                    state.isDamaged = true
                    state.tally.notCompared += 1
                    state.tally.count(new, recorded: recorded, isDifferent: nil)
                }
            }
        }
        state.withLock { $0.tally.count(new, recorded: recorded, isDifferent: comparison.map { _ in !differences.isEmpty }) }
        guard !differences.isEmpty else { return }
        // Differences may be printed on the same terminal.
        progressLine.clear()
        attempt {
            try sink.write { out in
                out.writeString(requestLine(new) + "\n")
                for difference in differences { out.writeString("  \(difference)\n") }
            }
        }
    }

    /// The recording takes records when it has room.
    private func record(_ records: [FlowRecord]) {
        guard let recorder else { return }
        if recorder.queue.isFull {
            let drained = DispatchSemaphore(value: 0)
            recorder.queue.whenDrained { drained.signal() }
            drained.wait()
        }
        recorder.queue.submit(records)
    }

    private func attempt(_ body: () throws -> Void) {
        do { try body() } catch { state.withLock { if $0.error == nil { $0.error = error } } }
    }

    // MARK: The end

    /// Waits until all flows have been compared.
    /// - Throws: if differences could not be printed.
    func finish() throws -> ToolStatus {
        queue.close()
        ended.wait()
        let (tally, error, isDamaged) = state.withLock { ($0.tally, $0.error, $0.isDamaged) }
        if let error, !(error is ReaderGone) { throw error }
        if tally.different + tally.failed == 0 { return isDamaged ? .damaged : .done }
        return comparison != nil ? .noMatch : .failed
    }

    func summary(leftOut: [String: Int], unsent: Int) -> [String] {
        state.withLock { $0.tally.summary(compares: comparison != nil, leftOut: leftOut, unsent: unsent) }
    }

    /// The number of flows that have ended, and of those that failed.
    var counts: (ended: Int, failed: Int) { state.withLock { ($0.tally.ended, $0.tally.failed) } }

    // MARK: Lines

    private func requestLine(_ flow: Flow) -> String {
        guard let request = flow.request, let url = flow.displayURL else {
            return "\(flow.target.scheme)://\(Endpoint(host: flow.target.host, port: flow.target.port))"
        }
        return "\(visible(String(buffer: request.head.method))) \(visible(String(buffer: url)))"
    }

    private func resultLine(_ flow: Flow) -> String {
        let duration = (flow.response?.ended ?? flow.ended).map { $0 - (flow.request?.started ?? flow.started) }
        let time = duration.map { " in \(readable($0))" } ?? ""
        let error = flow.error.map { " (\(visible($0.message)))" } ?? ""
        guard flow.kind == .http else { return requestLine(flow) + " → \(flow.state)\(time)\(error)" }
        guard let response = flow.response else { return requestLine(flow) + " → failed\(time)\(error)" }
        return requestLine(flow) + " → \(response.head.status)\(time)\(error)"
    }

    private func visible(_ text: String) -> String {
        String(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "\u{FFFD}" : Character($0) })
    }

    private func readable(_ nanoseconds: Int64) -> String { ReplayTally.milliseconds(nanoseconds) }
}

/// A new flow that is assembled from its events. Only the server's content is kept, up to the compared size.
private struct NewFlow {
    private var assembler: FlowAssembler
    private var room = FlowComparison.maximumContent
    private let keepsPieces: Bool

    init(_ event: FlowEvent, _ opening: FlowOpening, keepsPieces: Bool) {
        self.keepsPieces = keepsPieces
        assembler = FlowAssembler(id: event.flow, at: event.at, opening: opening, keepsPieces: keepsPieces)
    }

    var flow: Flow { assembler.flow }

    mutating func receive(_ event: FlowEvent) {
        guard keepsPieces, case .piece(let piece) = event.what else { return assembler.receive(event.what, at: event.at) }
        let size = piece.content.readableBytes
        if piece.from == .server, size <= room {
            room -= size
            assembler.receive(event.what, at: event.at)
        } else {
            assembler.count(piece.kind, from: piece.from, size: UInt64(size), stored: UInt64(size), at: event.at)
        }
    }
}
