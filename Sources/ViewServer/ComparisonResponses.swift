// The differences between two flows, as mitm-replay reports them.

import FlowModel
import FlowPrinter
import FlowReplay
import FlowView

extension ViewAPI {
    /// Differences that are listed; the others are counted.
    private static let maximumDifferences = 200
    /// Bytes of each content that are compared: they are in memory.
    private static let maximumCompared = 8 * 1024 * 1024

    /// - Parameter name: the flow that takes the place of the new one.
    func comparison(of recorded: Flow, with name: String) throws -> ViewResponse {
        guard let other = try index.flow(ordinal(name)) else { throw ViewError.notFound }
        guard recorded.kind == other.kind else {
            throw ViewError(
                .unprocessableEntity, "a flow of the kind \(recorded.kind) cannot be compared with one of the kind \(other.kind)")
        }
        let comparison = FlowComparison(maximumDifferences: Self.maximumDifferences, maximumContent: Self.maximumCompared)
        let differences = try comparison.differences(recorded: recorded, new: other)
        var json = JSONText()
        try json.object { json in
            differences.writeMembers(into: &json.writer)
            // Messages are compared one at a time, and whole.
            let isCut = try [recorded, other].contains {
                try !$0.isWebSocket && $0.contentSize(from: .server) ?? 0 > Self.maximumCompared
            }
            if isCut { json.member("compared_bytes", Self.maximumCompared) }
        }
        return ViewResponse(.json, json)
    }
}
