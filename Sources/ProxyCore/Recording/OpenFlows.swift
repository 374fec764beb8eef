// The records of a session's open flows, found by the identity of the flow.

import FlowModel
import FlowRecords

/// Flows that have begun and not ended. There are few at a time, and the events of one flow often come in a row.
struct OpenFlows {
    private var records: [FlowRecord] = []
    /// The index of the record that was found last.
    private var current = 0

    /// The record of the flow that an event belongs to; nil when the flow is not open. Its first event opens it.
    /// - Parameters:
    ///   - buffer: provides the record of a flow that begins.
    ///   - stages: change the events of a flow that begins.
    mutating func record(
        of flow: FlowID, _ what: FlowEvent.What, from buffer: inout FlowRecordBuffer, stages: FlowEventStages
    ) -> FlowRecord? {
        if current < records.count, records[current].id == flow { return records[current] }
        if let index = records.lastIndex(where: { $0.id == flow }) {
            current = index
            return records[index]
        }
        guard case .opened = what else { return nil }
        let record = buffer.record(for: flow, stages: stages)
        current = records.count
        records.append(record)
        return record
    }

    mutating func remove(_ record: FlowRecord) {
        guard let index = records.firstIndex(where: { $0 === record }) else { return }
        records.swapAt(index, records.count - 1)
        records.removeLast()
    }
}
