// The operators with a quantity: which number of a flow is compared.

import FlowModel

/// A number of a flow.
enum FlowNumber: Equatable {
    /// Nanoseconds from start to end.
    case duration
    /// WebSocket messages, or pieces of a TCP stream.
    case messages

    /// - Throws: what fetching content throws.
    func matches(_ flow: some FlowAttributes, _ range: QuantityRange) throws -> Bool {
        switch self {
        case .duration: return flow.ended.map { range.contains($0 - flow.started) } ?? false
        case .messages:
            guard flow.isWebSocket || flow.kind == .tcp else { return false }
            var count: Int64 = 0
            try flow.pieces.forEach { _, piece in
                if piece.kind == .text || piece.kind == .binary || flow.kind == .tcp { count += 1 }
                return count <= range.highest
            }
            return range.contains(count)
        }
    }
}
