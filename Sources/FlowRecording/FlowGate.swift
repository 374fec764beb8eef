// Decides which flows are recorded when a filter limits the recording. A flow's records are held until the filter's answer is certain: at
// its heads when they suffice, at its end otherwise. A flow that carries much is written while it is undecided, and removed by a tombstone
// when the answer is no.

import FlowFilter
import FlowModel
import FlowRecords
import NIOCore

/// The gate before the archive. Used on the writing thread.
struct FlowGate {
    /// Content of one flow that is kept for the filter, and held while the flow is undecided.
    static let maximumHeld = 1024 * 1024

    /// What to do after a record.
    enum Decision {
        case wait
        /// Write these, in order.
        case write([FlowRecord])
        /// The flow was written in part: remove it. The bytes on the wire of what was written.
        case discard(FlowID, fromClient: UInt64, fromServer: UInt64)
        /// The filter has no answer, so the flow is recorded: write these, in order.
        case failed(any Error, [FlowRecord])
    }

    private struct Undecided {
        var assembler: FlowAssembler
        var progress = FlowProgress()
        var held: [FlowRecord] = []
        var heldBytes = 0
        var isWritten = false
        var writtenFromClient: UInt64 = 0
        var writtenFromServer: UInt64 = 0

        mutating func countWritten(_ records: [FlowRecord]) {
            for record in records {
                writtenFromClient += record.wireSizeFromClient
                writtenFromServer += record.wireSizeFromServer
            }
        }
    }

    private enum State {
        case undecided(Undecided)
        case accepted
        case refused
    }

    private let filter: FlowFilter
    /// Of flows that have not ended.
    private var states: [FlowID: State] = [:]

    init(filter: FlowFilter) { self.filter = filter }

    mutating func receive(_ record: FlowRecord) -> Decision {
        let known = record.isFirst ? nil : states.removeValue(forKey: record.id)
        switch known {
        case nil:
            guard record.isFirst, var flow = undecided(record) else { return .write([record]) }
            return decide(&flow, record)
        case .accepted?:
            if !record.hasEnded { states[record.id] = .accepted }
            return .write([record])
        case .refused?:
            if !record.hasEnded { states[record.id] = .refused }
            return .wait
        case .undecided(var flow)?:
            return decide(&flow, record)
        }
    }

    private func discard(_ flow: Undecided, _ id: FlowID) -> Decision {
        .discard(id, fromClient: flow.writtenFromClient, fromServer: flow.writtenFromServer)
    }

    /// No more of a flow will be written: what has come decides.
    /// - Returns: a removal if the flow was written in part and does not match; the rest of it is refused then.
    mutating func cut(_ id: FlowID) -> Decision {
        guard case .undecided(let flow)? = states[id], flow.isWritten else { return .wait }
        let matches = (try? filter.matches(flow.assembler.flow)) ?? true
        states[id] = matches ? .accepted : .refused
        return matches ? .wait : discard(flow, id)
    }

    private func undecided(_ record: FlowRecord) -> Undecided? {
        record.opening.map { opening in
            Undecided(
                assembler: FlowAssembler(id: record.id, at: record.started, opening: opening, keepsPieces: filter.needsContent))
        }
    }

    private mutating func decide(_ flow: inout Undecided, _ record: FlowRecord) -> Decision {
        if !flow.isWritten { flow.held.append(record) }
        let answer: Bool?
        do {
            answer = try self.answer(&flow, record)
        } catch {
            if !record.hasEnded { states[record.id] = .accepted }
            return .failed(error, flow.isWritten ? [record] : flow.held)
        }
        switch answer {
        case true?:
            if !record.hasEnded { states[record.id] = .accepted }
            return .write(flow.isWritten ? [record] : flow.held)
        case false?:
            if !record.hasEnded { states[record.id] = .refused }
            return flow.isWritten ? discard(flow, record.id) : .wait
        case nil:
            var decision = Decision.wait
            if flow.isWritten {
                decision = .write([record])
                flow.countWritten([record])
            } else if flow.heldBytes > Self.maximumHeld {
                decision = .write(flow.held)
                flow.countWritten(flow.held)
                flow.held = []
                flow.isWritten = true
            }
            states[record.id] = .undecided(flow)
            return decision
        }
    }

    private func answer(_ flow: inout Undecided, _ record: FlowRecord) throws -> Bool? {
        try record.forEachEvent { event in
            if flow.heldBytes < Self.maximumHeld || !event.isPiece { flow.assembler.receive(event.what, at: event.at) }
            flow.heldBytes += event.approximateSize
            flow.progress.receive(event.what)
        }
        return try record.hasEnded
            ? filter.matches(flow.assembler.flow) : filter.decide(flow.assembler.flow, known: flow.progress)
    }
}

extension FlowEvent {
    fileprivate var isPiece: Bool {
        if case .piece = what { true } else { false }
    }

    /// Bytes that the event keeps alive, roughly.
    fileprivate var approximateSize: Int {
        switch what {
        case .piece(let piece): 160 + piece.content.readableBytes
        case .request(let head): 160 + head.wire.readableBytes
        case .response(let head), .interim(let head): 160 + head.wire.readableBytes
        case .malformed(_, let bytes): 160 + bytes.readableBytes
        default: 160
        }
    }
}
