// Flows that are open at the end of a segment. They continue in the segment after it, in the same file or in the next one.

import FlowModel

/// Flows without an end, and where they may continue.
package struct OpenFlows {
    /// The name of the segment at whose end they are open.
    package let segment: Timestamp
    var flows: [FlowID: PartialFlow]
    /// A recorder was writing them when the end was reached.
    private let isLive: Bool

    /// - Returns: nil without flows.
    init?(_ flows: [FlowID: PartialFlow], in segment: Timestamp, isLive: Bool) {
        guard !flows.isEmpty else { return nil }
        self.segment = segment
        self.flows = flows
        self.isLive = isLive
    }

    /// One of them began in an earlier file, whose parts of it were not read.
    var beginsEarlier: Bool { flows.values.contains { $0.beginsEarlier } }

    var sorted: [PartialFlow] { flows.values.sorted { $0.order < $1.order } }

    /// The flows as far as they are recorded, in the order of their starts.
    package var unfinished: [Flow] {
        sorted.map { open in
            var flow = open.flow
            flow.isBeingRecorded = isLive
            return flow
        }
    }
}

/// The answer to a reader whose input continues another segment.
package enum Predecessor {
    case flows(OpenFlows)
    /// The segment is not known, or no flow is open in it.
    case unknown
    /// It is being read: the reader returns nothing more for now.
    case notYetRead
}
