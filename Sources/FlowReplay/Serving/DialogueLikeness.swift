// Whether a client sends in a dialogue what the recorded client sent, though the recording may have it redacted or cut.

import FlowModel
import HTTPSemantics
import NIOCore

/// Compares what a client sends with one recorded flow.
struct DialogueLikeness {
    private let redactions: [RecordedRedaction]
    /// The bytes of a body: rules for bodies changed it as a whole, so its parts cannot be compared.
    private let comparesNothing: Bool

    init(_ flow: Flow, _ redactions: [RecordedRedaction]) {
        self.redactions = flow.redaction == nil ? [] : redactions
        comparesNothing = flow.kind == .http && !flow.hasSwitched && flow.redaction != nil
    }

    /// - Parameters:
    ///   - received: a message, or as many bytes of a stream as the recorded client sent.
    ///   - recorded: a piece of the flow.
    func isSame(_ received: FlowPiece, _ recorded: FlowPiece) -> Bool {
        guard received.kind == recorded.kind else { return false }
        if received.content == recorded.content || comparesNothing { return true }
        if let cut = recorded.cut?.value {
            return cut.isOf(received.content) || redactions.contains { cut.isOf($0.message(received)) }
        }
        // Of bytes only the beginning may have been stored.
        let stored = recorded.content.readableBytes
        if recorded.kind == .data, stored < received.content.readableBytes,
            received.content.commonPrefix(with: recorded.content) == stored
        {
            return true
        }
        return redactions.contains { $0.message(received) == recorded.content }
    }

    /// A message as the log may have it: without what the rules hide.
    func shown(_ received: FlowPiece) -> ByteBuffer {
        redactions.reduce(received.content) { content, redaction in
            redaction.message(FlowPiece(kind: received.kind, from: received.from, content: content))
        }
    }
}
