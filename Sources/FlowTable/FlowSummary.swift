// What a person asks first about a recording: how many flows of which kind, from when to when, which hosts, statuses and methods, which flows
// are slow or large, which failed and why.

import FlowModel
import HTTPSemantics
import NIOCore

/// The summary of flows, in one pass.
package struct FlowSummary: FlowAccumulator {
    /// Rows of hosts and of errors, and flows of each list.
    static let hosts = 10
    static let errors = 5
    static let listed = 5

    private(set) var kinds: [FlowKind: Int] = [:]
    private(set) var states: [FlowState: Int] = [:]
    private(set) var webSockets = 0
    private(set) var started: Timestamp?
    private(set) var ended: Timestamp?
    private(set) var requestBytes: UInt64 = 0
    private(set) var responseBytes: UInt64 = 0
    private(set) var byHost = FlowGroups(GroupQuery(by: [.column(.host)], hostStatistics))
    private(set) var byStatus = FlowGroups(GroupQuery(by: [.column(.status)], [.count]))
    private(set) var byMethod = FlowGroups(GroupQuery(by: [.column(.method)], [.count]))
    private(set) var byError = FlowGroups(GroupQuery(by: [.column(.error)], [.count]))
    /// Of exchanges: conversations last as long as their users want.
    private(set) var durations = ColumnSummary()
    private(set) var slowest = LargestFlows(listed)
    private(set) var largest = LargestFlows(listed)

    private static let hostStatistics: [GroupStatistic] = [
        .count, .errors, .sum(.column(.responseBytes)), .percentile(.init(text: "50", share: 0.5), .column(.duration)),
        .percentile(.init(text: "95", share: 0.95), .column(.duration)),
    ]

    package init() {}

    package var flows: Int { kinds.values.reduce(0, +) }

    package mutating func add(_ flow: some FlowAttributes) {
        kinds[flow.kind, default: 0] += 1
        states[flow.state, default: 0] += 1
        started = min(started ?? flow.started, flow.started)
        let last = flow.ended ?? flow.started
        ended = max(ended ?? last, last)
        let sent = ((try? flow.contentSize(from: .client)) ?? nil) ?? 0
        let received = ((try? flow.contentSize(from: .server)) ?? nil) ?? 0
        requestBytes &+= sent
        responseBytes &+= received
        byHost.add(flow)
        if flow.errorMessage != nil { byError.add(flow) }
        largest.add(flow, Int64(clamping: sent &+ received))
        guard flow.kind == .http else { return }
        byMethod.add(flow)
        byStatus.add(flow)
        if flow.isWebSocket { webSockets += 1 }
        guard !flow.isWebSocket, flow.status != 101, let end = flow.ended else { return }
        durations.add((end - flow.started) / 1000, hasPercentiles: true)
        slowest.add(flow, (end - flow.started) / 1000)
    }

    package mutating func merge(_ other: FlowSummary) {
        kinds.merge(other.kinds, uniquingKeysWith: +)
        states.merge(other.states, uniquingKeysWith: +)
        webSockets += other.webSockets
        if let start = other.started { started = min(started ?? start, start) }
        if let end = other.ended { ended = max(ended ?? end, end) }
        requestBytes &+= other.requestBytes
        responseBytes &+= other.responseBytes
        byHost.merge(other.byHost)
        byStatus.merge(other.byStatus)
        byMethod.merge(other.byMethod)
        byError.merge(other.byError)
        durations.merge(other.durations)
        slowest.merge(other.slowest)
        largest.merge(other.largest)
    }
}

/// The flows with the largest values of a number; of equal ones the first.
struct LargestFlows: Sendable {
    struct Entry: Sendable {
        var value: Int64
        var started: Timestamp
        var id: FlowID
        var status: Int
        /// nil unless it is HTTP.
        var method: ByteBuffer?
        /// The URL, or host and port.
        var place: ByteBuffer

        func isBefore(_ other: Entry) -> Bool {
            if value != other.value { return value > other.value }
            return (started, id) < (other.started, other.id)
        }
    }

    private let limit: Int
    /// In their order.
    private(set) var entries: [Entry] = []

    init(_ limit: Int) { self.limit = limit }

    mutating func add(_ flow: some FlowAttributes, _ value: Int64) {
        if entries.count == limit, let last = entries.last, value < last.value { return }
        guard value > 0 else { return }
        var place = flow.displayURL ?? flow.targetHost.bracketed
        if flow.method == nil, flow.targetPort > 0 { place.writeString(":\(flow.targetPort)") }
        // Bytes of their own: a slice keeps the whole block.
        insert(
            Entry(
                value: value, started: flow.started, id: flow.id, status: flow.status,
                method: flow.method.map { ByteBuffer(bytes: $0.readableBytesView) },
                place: ByteBuffer(bytes: place.readableBytesView)))
    }

    private mutating func insert(_ entry: Entry) {
        let index = entries.firstIndex { entry.isBefore($0) } ?? entries.count
        guard index < limit else { return }
        entries.insert(entry, at: index)
        if entries.count > limit { entries.removeLast() }
    }

    mutating func merge(_ other: LargestFlows) {
        for entry in other.entries { insert(entry) }
    }
}
