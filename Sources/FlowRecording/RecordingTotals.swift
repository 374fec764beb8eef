// Counts of flows that were recorded, refused and cut.

import FlowModel
import FlowRecords

/// Counts of a recording so far.
package struct RecordingTotals: Sendable, Equatable {
    package var flows = 0
    package var complete = 0
    package var incomplete = 0
    package var failed = 0
    package var bytesFromClients: UInt64 = 0
    package var bytesFromServers: UInt64 = 0
    /// Why flows failed or were cut: the error messages, with a count each. Bounded; the rest is `other`.
    package var reasons: [String: Int] = [:]

    /// What redaction changed.
    package var redaction = RedactionTotals()
    /// What the disk has cost.
    package var disk = DiskTotals()

    static let maximumReasons = 100

    mutating func count(_ record: FlowRecord) {
        if record.isFirst { flows += 1 }
        bytesFromClients += record.wireSizeFromClient
        bytesFromServers += record.wireSizeFromServer
        if let facts = record.redaction { redaction.count(facts) }
        guard record.hasEnded else { return }
        switch record.state {
        case .complete: complete += 1
        case .incomplete: incomplete += 1
        case .failed: failed += 1
        }
        if let message = record.errorMessage { count(reason: message) }
    }

    /// The filter has refused a flow of which records were counted, and which has not ended.
    mutating func discard(fromClient: UInt64, fromServer: UInt64) {
        flows -= 1
        bytesFromClients -= fromClient
        bytesFromServers -= fromServer
    }

    private mutating func count(reason: String) {
        let known = reasons[reason] != nil || reasons.count < Self.maximumReasons
        reasons[known ? reason : "other", default: 0] += 1
    }

    /// `1204 flows (1200 complete, 3 incomplete, 1 failed), 1.2 MiB from clients, 310.0 MiB from servers`, and what is not in the
    /// files: the flows are those that came.
    package var summary: String {
        var parts = ["\(complete) complete"]
        if incomplete > 0 { parts.append("\(incomplete) incomplete") }
        if failed > 0 { parts.append("\(failed) failed") }
        let open = flows - complete - incomplete - failed
        if open > 0 { parts.append("\(open) open") }
        return "\(flows) flows (\(parts.joined(separator: ", "))), \(Self.size(bytesFromClients)) from clients, "
            + "\(Self.size(bytesFromServers)) from servers" + (disk.text.map { "; " + $0 } ?? "")
    }

    static func size(_ bytes: UInt64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(bytes)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        guard unit > 0 else { return "\(bytes) B" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}
