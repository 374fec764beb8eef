// Stages between the events of a flow and its recording: redaction, then the limit on bodies. A stage sees every event of one flow, in order,
// and passes on what is to be stored.

import HTTPSemantics
import NIOCore

/// Changes the events of one flow before they are stored. Used by one thread at a time.
package protocol FlowEventStage: AnyObject {
    /// Takes the next event of the flow. The first one is `opened`, the last one `ended`.
    ///
    /// The stage passes on `opened` at once, and `ended` when it comes, after everything that it held: the flow's record is closed then. What
    /// it passes on later than it came may have its earlier time. A recording that is copied has the facts of an earlier redaction
    /// (`redacted`) before its content; they are passed on.
    /// - Parameter next: takes an event that is to be stored.
    func receive(_ what: FlowEvent.What, at: Timestamp, into next: (FlowEvent.What, Timestamp) -> Void)
}

extension FlowEventStage {
    /// The events stop without an end, as those of a recording that was cut: passes on what the stage held, and no end.
    package func stop(at: Timestamp, into next: (FlowEvent.What, Timestamp) -> Void) {
        receive(.ended(FlowEnding(state: .incomplete)), at: at) { what, at in
            if case .ended = what { return }
            next(what, at)
        }
    }
}

/// Makes the stages of each flow.
package struct FlowEventStages: Sendable {
    private let makers: [@Sendable () -> any FlowEventStage]

    /// - Parameter makers: make one stage for a flow that begins, in the order in which the events pass them.
    package init(_ makers: [@Sendable () -> any FlowEventStage] = []) { self.makers = makers }

    package var isEmpty: Bool { makers.isEmpty }

    /// The stages for a flow that begins, as one; nil without any.
    package func begin() -> (any FlowEventStage)? {
        guard let last = makers.last else { return nil }
        return makers.dropLast().reversed().reduce(last()) { ChainedStage($1(), $0) }
    }
}

/// Two stages, one after the other.
private final class ChainedStage: FlowEventStage {
    private let first: any FlowEventStage
    private let second: any FlowEventStage

    init(_ first: any FlowEventStage, _ second: any FlowEventStage) {
        self.first = first
        self.second = second
    }

    func receive(_ what: FlowEvent.What, at: Timestamp, into next: (FlowEvent.What, Timestamp) -> Void) {
        first.receive(what, at: at) { what, at in second.receive(what, at: at, into: next) }
    }
}
