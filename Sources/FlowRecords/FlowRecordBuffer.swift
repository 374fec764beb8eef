// What the sessions of one thread have recorded and not handed over yet: finished records, and those of flows that are open.

import FlowModel
import HTTPSemantics
import NIOCore

/// The records of one thread.
package struct FlowRecordBuffer {
    /// Records to hand over, in the order in which they were finished.
    package private(set) var finished: [FlowRecord] = []
    /// Records of open flows in which something has happened.
    private var open: [FlowRecord] = []
    private var openBytes = 0
    private var orders = 0
    /// Empty records that can be filled.
    private var spare: [FlowRecord] = []
    private let maximumOpenBytes: Int
    /// The events as well, when a replay or a test follows them; nil does not keep them.
    package var events: [FlowEvent]?

    /// - Parameter maximumOpenBytes: bytes of items and content after which the records of open flows are finished as well.
    package init(maximumOpenBytes: Int = 1024 * 1024) { self.maximumOpenBytes = maximumOpenBytes }

    package var isEmpty: Bool { finished.isEmpty && open.isEmpty }
    package var hasOpen: Bool { !open.isEmpty }

    // MARK: Filling

    /// A record for a flow that begins.
    /// - Parameter stages: change the events of the flow.
    package mutating func record(for flow: FlowID, stages: FlowEventStages = FlowEventStages()) -> FlowRecord {
        let record: FlowRecord
        if let empty = spare.popLast() {
            record = empty
            record.begin(flow)
        } else {
            record = FlowRecord(flow)
        }
        record.stage = stages.begin()
        return record
    }

    /// Keeps empty records, to fill them.
    package mutating func keep(_ records: [FlowRecord]) {
        if !records.isEmpty { spare = records }
    }

    /// Appends an event to the record of its flow, unless that has ended. It passes the record's stage first.
    package mutating func add(_ what: FlowEvent.What, to record: FlowRecord, at: Timestamp) {
        guard !record.hasEnded else { return }
        events?.append(FlowEvent(flow: record.id, at: at, what: what))
        if record.stage == nil { store(what, in: record, at: at) } else { pass(what, through: record, at: at) }
    }

    private mutating func pass(_ what: FlowEvent.What, through record: FlowRecord, at: Timestamp) {
        record.stage?.receive(what, at: at) { what, at in store(what, in: record, at: at) }
        guard case .ended = what else { return }
        precondition(record.hasEnded, "a stage passes the end of a flow on")
        // Another thread gets the record.
        record.stage = nil
    }

    private mutating func store(_ what: FlowEvent.What, in record: FlowRecord, at: Timestamp) {
        if !record.isPending { enter(record) }
        let before = record.size
        switch what {
        case .opened(let opening): record.opened(opening, at: at)
        case .server(let server): record.connected(server, at: at)
        case .client(let client): record.identified(client, at: at)
        case .piece(let piece): return store(piece, in: record, at: at)
        case .ended(let ending):
            record.ended(ending, at: at)
            leave(record, bytes: before)
            return finish(record)
        default: record.receive(what, at: at)
        }
        grew(record, from: before)
    }

    private mutating func store(_ piece: FlowPiece, in record: FlowRecord, at: Timestamp) {
        let before = record.size
        guard piece.content.readableBytes > RecordLimits.maximumPiece else {
            record.piece(piece, piece.content, continues: false, at: at)
            return grew(record, from: before)
        }
        leave(record, bytes: before)
        var rest = piece.content
        while let bytes = rest.readSlice(length: min(rest.readableBytes, RecordLimits.maximumPiece)), bytes.readableBytes > 0 {
            record.piece(piece, bytes, continues: rest.readableBytes > 0, at: at)
            finish(record.takePart())
        }
    }

    @inline(__always) private mutating func grew(_ record: FlowRecord, from before: Int) {
        openBytes += record.size - before
        if record.size > RecordLimits.maximumPending {
            leave(record, bytes: record.size)
            finish(record.takePart())
        } else if openBytes > maximumOpenBytes {
            finishOpen()
        }
    }

    private mutating func enter(_ record: FlowRecord) {
        record.place = open.count
        orders &+= 1
        record.order = orders
        open.append(record)
    }

    /// - Parameter bytes: its size as far as it was counted.
    private mutating func leave(_ record: FlowRecord, bytes: Int) {
        // Events that came with another buffer have not been handed over from there.
        guard record.place < open.count, open[record.place] === record else { return }
        openBytes -= bytes
        let last = open.removeLast()
        guard last !== record else { return }
        open[record.place] = last
        last.place = record.place
    }

    private mutating func finish(_ record: FlowRecord) { finished.append(record) }

    /// Forgets what an open flow has recorded since its last record.
    package mutating func discard(_ record: FlowRecord) {
        guard record.isPending, !record.hasEnded else { return }
        leave(record, bytes: record.size)
        _ = record.takePart()
    }

    // MARK: Handing over

    /// Finishes the records of open flows, in the order in which they began. The flows continue in other records.
    package mutating func finishOpen() {
        open.sort { $0.order < $1.order }
        for record in open { finish(record.takePart()) }
        open.removeAll(keepingCapacity: true)
        openBytes = 0
    }

    /// Takes the finished records.
    package mutating func take() -> [FlowRecord] {
        var taken: [FlowRecord] = []
        taken.reserveCapacity(finished.count)
        swap(&taken, &finished)
        return taken
    }
}
