// Prints flows as they were asked for. As text, the level of detail depends on whether there is one flow or more, so the first one waits for
// the second.

import FlowArchive
import FlowModel
import ToolSupport

struct Printer {
    let output: FlowOutput
    /// nil: 3 if there is one flow, otherwise 1.
    private let detail: Int?
    /// As text: messages are printed as they arrive, before the end of their flow.
    private let follows: Bool
    /// The number of flows that are printed.
    private let limit: Int
    private var first: Flow?
    private var count = 0
    /// The number of messages that were printed of each open flow.
    private var printed: [FlowID: Int] = [:]

    init(_ output: FlowOutput, detail: Int?, follows: Bool, limit: Int?) {
        self.output = output
        self.detail = detail
        self.follows = follows
        self.limit = limit ?? .max
    }

    /// As many flows were printed as there may be.
    var isFull: Bool { count >= limit }

    /// Writes a flow where it is stored.
    /// - Returns: whether another flow may follow.
    mutating func take(_ flow: RecordView) throws -> Bool {
        guard !isFull else { return false }
        count += 1
        try output.take(flow)
        return !isFull
    }

    /// Prints a flow that can be copied as it is stored.
    /// - Returns: whether another flow may follow.
    mutating func take(_ flow: StoredFlow) throws -> Bool {
        guard !isFull else { return false }
        count += 1
        try output.take(flow)
        return !isFull
    }

    /// - Returns: whether another flow may follow.
    @discardableResult mutating func print(_ flow: Flow) throws -> Bool {
        guard !isFull else { return false }
        count += 1
        try write(flow)
        return !isFull
    }

    private mutating func write(_ flow: Flow) throws {
        if follows, flow.isConversation {
            try output.takeMessages(of: flow, after: printed.removeValue(forKey: flow.id) ?? 0, detail: detail ?? 1)
        }
        if let detail { return try output.take(flow, detail: detail, withMessages: !follows) }
        if count == 1 {
            first = flow
            return
        }
        if let first {
            self.first = nil
            try output.take(first)
        }
        try output.take(flow)
    }

    /// Prints new messages of an open conversation.
    /// - Parameter flow: its pieces are the messages received so far.
    mutating func printNews(_ flow: Flow, where predicate: some FlowPredicate) throws {
        guard follows, flow.isConversation, try printed[flow.id] != nil || predicate.matches(flow) else { return }
        try output.takeMessages(of: flow, after: 0, detail: detail ?? 1)
        printed[flow.id, default: 0] += flow.pieces.count
    }

    /// No flow follows.
    /// - Returns: a sentence about flows that were left out; nil when none was.
    mutating func finish() throws -> String? {
        if let first { try output.take(first, detail: 3) }
        first = nil
        return try output.finish()
    }
}
