// Decides which flows are recorded when a filter limits the recording. A flow's events are held back until the filter's answer is
// certain: at its heads when they suffice, at its end otherwise. A flow that carries much is written while it is undecided, and
// taken back by a tombstone when the answer is no.

import FlowFilter
import FlowModel
import NIOCore

/// The gate before the archive. Used on the writing thread.
struct FlowGate {
    /// Content of one flow that is kept for the filter to look at, and held back while it is undecided.
    static let maximumHeld = 1024 * 1024

    /// What to do after an event.
    enum Decision {
        case wait
        /// Write these, in order.
        case write([FlowEvent])
        /// The flow was written in part: take it back.
        case discard(FlowID)
    }

    private struct Undecided {
        var assembler: FlowAssembler
        var progress = FlowProgress()
        var held: [FlowEvent] = []
        var heldBytes = 0
        var isWritten = false
    }

    private enum State {
        case undecided(Undecided)
        case accepted
        case refused
    }

    private let filter: FlowFilter
    private var states: [FlowID: State] = [:]

    init(filter: FlowFilter) { self.filter = filter }

    mutating func receive(_ event: FlowEvent) throws -> Decision {
        var isEnd = false
        if case .ended = event.what { isEnd = true }
        switch states[event.flow] {
        case nil:
            guard case .opened(let opening) = event.what else { return .write([event]) }
            var flow = Undecided(
                assembler: FlowAssembler(id: event.flow, at: event.at, opening: opening, keepsPieces: filter.needsContent))
            flow.held = [event]
            states[event.flow] = .undecided(flow)
            return .wait
        case .accepted:
            if isEnd { states[event.flow] = nil }
            return .write([event])
        case .refused:
            if isEnd { states[event.flow] = nil }
            return .wait
        case .undecided(var flow):
            states[event.flow] = .refused  // so that `flow` is the only owner of what it holds
            return try decide(&flow, event, isEnd: isEnd)
        }
    }

    private mutating func decide(_ flow: inout Undecided, _ event: FlowEvent, isEnd: Bool) throws -> Decision {
        if flow.heldBytes < Self.maximumHeld || !event.isPiece { flow.assembler.receive(event.what, at: event.at) }
        flow.heldBytes += event.approximateSize
        flow.progress.receive(event.what)
        let answer =
            try isEnd
            ? filter.matches(flow.assembler.flow) : event.isPiece ? nil : filter.decide(flow.assembler.flow, known: flow.progress)
        if !flow.isWritten { flow.held.append(event) }
        switch answer {
        case true?:
            states[event.flow] = isEnd ? nil : .accepted
            return .write(flow.isWritten ? [event] : flow.held)
        case false?:
            states[event.flow] = isEnd ? nil : .refused
            return flow.isWritten ? .discard(event.flow) : .wait
        case nil:
            var decision = Decision.wait
            if flow.isWritten {
                decision = .write([event])
            } else if flow.heldBytes > Self.maximumHeld {
                decision = .write(flow.held)
                flow.held = []
                flow.isWritten = true
            }
            states[event.flow] = .undecided(flow)
            return decision
        }
    }
}

extension FlowEvent {
    fileprivate var isPiece: Bool {
        if case .piece = what { true } else { false }
    }
}
