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
        /// Content of the recording is damaged.
        var isDamaged = false
        /// A signal has arrived: a cut tells nothing about the server any more.
        var isStopped = false
    }

    private let plan: ReplayPlan
    private let comparison: FlowComparison?
    /// The rules by which recorded flows may have been redacted.
    private let redactions: [RecordedRedaction]
    private let log: EventLog
    private let recorder: FlowRecorder?
    private let report: ResultReport
    private let queue = RecordQueue()
    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameter comparison: nil: flows are not compared.
    init(
        _ plan: ReplayPlan, comparison: FlowComparison?, redactions: [RecordedRedaction], recorder: FlowRecorder?, log: EventLog,
        report: ResultReport
    ) {
        self.report = report
        self.redactions = redactions
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

    func submit(_ records: [FlowRecord]) -> [FlowRecord] { queue.submit(records) }
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
        state.withLock { $0.tally.failedToSend(message) }
        let recorded = try? plan.flow(number)
        let request = recorded?.requestLine ?? "flow \(number + 1)"
        log.log(.error, "not-sent", "\(request) → not sent: \(message)")
        var result = recorded.map { FlowReport($0, .failed) } ?? FlowReport(request: request, url: "", host: "", result: .failed)
        result.reason = message
        report.add(result)
    }

    /// The replay is being stopped.
    func stop() { state.withLock { $0.isStopped = true } }

    // MARK: Its own thread

    private func run() {
        var assemblers: [FlowID: NewFlow] = [:]
        while let batches = queue.take(within: nil) {
            for batch in batches {
                for record in batch.records {
                    // A record that this process has made can be read.
                    try? record.forEachEvent { receive($0, &assemblers) }
                }
                record(batch.records)
            }
            report.flush()
            queue.finished(batches)
        }
        ended.signal()
    }

    private func receive(_ event: FlowEvent, _ flows: inout [FlowID: NewFlow]) {
        if case .opened(let opening) = event.what {
            flows[event.flow] = NewFlow(event, opening, keepsPieces: comparison != nil)
            return
        }
        flows[event.flow]?.receive(event)
        guard case .ended = event.what, let flow = flows.removeValue(forKey: event.flow)?.flow,
            let recorded = state.withLock({ $0.recorded.removeValue(forKey: event.flow) })
        else { return }
        compare(flow, recorded)
    }

    private func compare(_ new: Flow, _ recorded: Flow) {
        if report.format == .text { log.log(.info, "flow", resultLine(new)) }
        let isCut = state.withLock { $0.isStopped } && new.error.map { $0.side == nil } ?? false
        guard !isCut else { return state.withLock { $0.tally.cut += 1 } }
        var differences: FlowDifferences?
        var problem: String?
        if let comparison {
            do {
                differences = try comparison.differences(recorded: recorded, new: new, redactions: redactions)
            } catch {
                problem = "\(error)"
                log.log(.error, "not-compared", "\(new.requestLine): not compared: \(error)")
            }
        }
        let result = state.withLock { state in
            if problem != nil { state.isDamaged = true }
            return state.tally.count(
                new, recorded: recorded, isDifferent: differences.map { !$0.isEmpty }, isReadable: problem == nil)
        }
        var line = FlowReport(recorded, result)
        // The request as it was sent now.
        (line.request, line.url) = (new.requestLine, new.requestURL)
        line.status = new.response?.head.status
        line.duration = new.duration
        line.reason = problem ?? new.error?.message
        line.differences = differences
        report.add(line)
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

    // MARK: The end

    /// Waits until all flows have been compared.
    func finish() -> (status: ToolStatus, tally: ReplayTally) {
        queue.close()
        ended.wait()
        let (tally, isDamaged) = state.withLock { ($0.tally, $0.isDamaged) }
        if tally.different + tally.failed == 0 { return (isDamaged ? .damaged : .done, tally) }
        return (comparison != nil ? .noMatch : .failed, tally)
    }

    /// The number of flows that have ended, and of those that failed.
    var counts: (ended: Int, failed: Int) { state.withLock { ($0.tally.ended, $0.tally.failed) } }

    // MARK: Lines

    private func resultLine(_ flow: Flow) -> String {
        let time = flow.duration.map { " in \(ReplayTally.milliseconds($0))" } ?? ""
        let error = flow.error.map { " (\(visible($0.message)))" } ?? ""
        guard flow.kind == .http else { return flow.requestLine + " → \(flow.state)\(time)\(error)" }
        guard let response = flow.response else { return flow.requestLine + " → failed\(time)\(error)" }
        return flow.requestLine + " → \(response.head.status)\(time)\(error)"
    }
}

private func visible(_ text: String) -> String {
    String(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "\u{FFFD}" : Character($0) })
}

extension Flow {
    /// The URL of the request, or the server of a stream.
    fileprivate var requestURL: String {
        guard let url = displayURL else { return "\(target.scheme)://\(Endpoint(host: target.host, port: target.port))" }
        return visible(String(buffer: url))
    }

    /// The method and the URL.
    fileprivate var requestLine: String {
        request.map { "\(visible(String(buffer: $0.head.method))) \(requestURL)" } ?? requestURL
    }

    /// Nanoseconds from the request to the last byte.
    fileprivate var duration: Int64? { (response?.ended ?? ended).map { $0 - (request?.started ?? started) } }
}

extension FlowReport {
    /// A recorded flow with a result.
    init(_ flow: Flow, _ result: ReplayResult) {
        self.init(
            id: flow.id, request: flow.requestLine, method: flow.request.map { visible(String(buffer: $0.head.method)) },
            url: flow.requestURL, host: flow.target.host, result: result)
    }
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
