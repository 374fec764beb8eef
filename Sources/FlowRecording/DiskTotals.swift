// What a full or failing disk has cost a recording: the time for which traffic waited, and what is not in the files.

import FlowArchive
import FlowModel
import FlowRecords

/// Whether a recording takes flows, and what it has missed.
package struct DiskTotals: Sendable, Equatable {
    package enum Condition: String, Sendable {
        case recording
        /// Traffic waits for the disk.
        case paused
        /// Traffic continues and is not recorded.
        case passing
        /// The recording has stopped.
        case stopped
    }

    package internal(set) var condition = Condition.recording
    /// When the condition began, in nanoseconds of a monotonic clock.
    var since: Int64 = 0
    /// Nanoseconds for which traffic waited, and for which it continued and was not recorded.
    package internal(set) var paused: Int64 = 0
    package internal(set) var passed: Int64 = 0
    /// Flows that are not in the files; flows of which only the beginning is there.
    package internal(set) var missingFlows = 0
    package internal(set) var cutFlows = 0
    /// Content on the wire that is not in the files.
    package internal(set) var missingBytes: UInt64 = 0
    /// Flows that the filter has refused and of which the beginning could not be removed from the files.
    package internal(set) var refusedFlows = 0

    /// Files that were deleted to make room.
    package internal(set) var deletedFiles = 0

    package init() {}

    /// With the time of the condition so far.
    func at(_ now: Int64) -> DiskTotals {
        var totals = self
        switch condition {
        case .paused: totals.paused += now - since
        case .passing: totals.passed += now - since
        case .recording, .stopped: break
        }
        totals.since = now
        return totals
    }

    /// `not recorded: 37 flows and the end of 2 flows, 1.2 MiB; traffic waited 3.1 s for the disk`; nil if there is nothing to report.
    var text: String? {
        var parts: [String] = []
        switch condition {
        case .paused: parts.append("traffic waits for the disk now")
        case .passing: parts.append("traffic continues unrecorded now")
        case .recording, .stopped: break
        }
        if let missing { parts.append("not recorded: \(missing)") }
        if refusedFlows > 0 { parts.append("recorded in part although the filter refused them: \(Self.flows(refusedFlows))") }
        if paused > 0 { parts.append("traffic waited \(Self.seconds(paused)) for the disk") }
        if passed > 0 { parts.append("traffic continued unrecorded for \(Self.seconds(passed))") }
        if deletedFiles > 0 { parts.append("files deleted to make room: \(deletedFiles)") }
        return parts.isEmpty ? nil : parts.joined(separator: "; ")
    }

    /// `37 flows and the end of 2 flows, 1.2 MiB`; nil if nothing is missing.
    package var missing: String? {
        var flows: [String] = []
        if missingFlows > 0 { flows.append(Self.flows(missingFlows)) }
        if cutFlows > 0 { flows.append("the end of \(Self.flows(cutFlows))") }
        guard !flows.isEmpty else { return nil }
        return "\(flows.joined(separator: " and ")), \(RecordingTotals.size(missingBytes))"
    }

    static func flows(_ count: Int) -> String { count == 1 ? "1 flow" : "\(count) flows" }

    /// `3.1 s`
    static func seconds(_ nanoseconds: Int64) -> String {
        let tenths = (nanoseconds + 50_000_000) / 100_000_000
        return "\(tenths / 10).\(tenths % 10) s"
    }
}

/// Counts what is not recorded, and knows the flows of which no further record is wanted.
struct MissedFlows {
    private struct Flow {
        var isCut: Bool
        var bytes: UInt64 = 0
    }

    private(set) var flows = 0
    private(set) var bytes: UInt64 = 0
    private(set) var refusedFlows = 0
    /// Flows that have not ended.
    private var open: [FlowID: Flow] = [:]
    /// Flows whose beginning is written, or will be when there is room; those of which that is certain.
    private var cut: Set<FlowID> = []
    private var certainlyCut = 0

    var cutFlows: Int { certainlyCut + cut.count }
    /// No flow is open of which a part is missing.
    var isEmpty: Bool { open.isEmpty }

    func contains(_ flow: FlowID) -> Bool { open[flow] != nil }

    /// Counts a record that is not recorded.
    mutating func count(_ record: FlowRecord) {
        let size = record.wireSizeFromClient + record.wireSizeFromServer
        var flow = open.removeValue(forKey: record.id) ?? Flow(isCut: !record.isFirst)
        if record.isFirst { flows += 1 } else if flow.isCut { cut.insert(record.id) }
        bytes += size
        flow.bytes += size
        if !record.hasEnded { open[record.id] = flow }
    }

    /// A flow ends in the file before its end.
    mutating func cut(_ flow: FlowID) {
        open[flow] = Flow(isCut: true)
        cut.insert(flow)
    }

    /// The filter has refused a flow, so it is not missing.
    mutating func discard(_ id: FlowID) {
        guard let flow = open.removeValue(forKey: id) else { return }
        bytes -= flow.bytes
        if flow.isCut { cut.remove(id) } else { flows -= 1 }
    }

    /// What was kept in memory is written.
    mutating func wasWritten() {
        certainlyCut += cut.count
        cut = []
    }

    /// What was kept in memory is lost.
    mutating func add(_ lost: UnwrittenRecords) {
        flows += lost.flows
        bytes += lost.bytes
        cut.formUnion(lost.cutFlows)
        cut.subtract(lost.begun)
        refusedFlows = lost.unremovedFlows
        wasWritten()
    }
}
