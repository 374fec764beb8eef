// The operators with a quantity: which number of a flow is compared.

import FlowModel
import HTTPSemantics

/// A number of a flow.
enum FlowNumber: Equatable {
    /// Nanoseconds from start to end.
    case duration
    /// Nanoseconds from the end of the request to the head of the response, in whole microseconds.
    case timeToFirstByte
    /// Bytes of content of a side, or of both.
    case size(Side?)
    /// WebSocket messages, or pieces of a TCP stream.
    case messages
    /// The stream of the client connection.
    case stream
    /// The code of the first close frame of a WebSocket.
    case closeCode

    /// A flow without the number is in no range.
    /// - Throws: what fetching content throws.
    func matches(_ flow: some FlowAttributes, _ range: QuantityRange) throws -> Bool {
        switch self {
        case .duration: return flow.ended.map { range.contains($0 - flow.started) } ?? false
        case .timeToFirstByte: return flow.timeToFirstByteMicroseconds.map { range.contains($0 * 1000) } ?? false
        case .size(let side?): return try flow.contentSize(from: side).map { range.contains(Int64(clamping: $0)) } ?? false
        case .size(nil):
            let (request, response) = (try flow.contentSize(from: .client), try flow.contentSize(from: .server))
            guard request != nil || response != nil else { return false }
            let (sum, isOver) = (request ?? 0).addingReportingOverflow(response ?? 0)
            return range.contains(isOver ? .max : Int64(clamping: sum))
        case .messages: return try Self.messages(of: flow, range)
        case .stream: return range.contains(Int64(flow.stream.value))
        case .closeCode:
            guard flow.isWebSocket, let close = try flow.pieces.sizes().close else { return false }
            return CloseReason(close.content).map { range.contains(Int64($0.code)) } ?? false
        }
    }

    private static func messages(of flow: some FlowAttributes, _ range: QuantityRange) throws -> Bool {
        guard flow.isWebSocket || flow.kind == .tcp else { return false }
        var count: Int64 = 0
        try flow.pieces.forEach { _, piece in
            if piece.kind == .text || piece.kind == .binary || flow.kind == .tcp { count += 1 }
            return count <= range.highest
        }
        return range.contains(count)
    }

    /// False only when no flow of the block has a number in the range.
    func mayMatch(_ block: some BlockSummary, _ range: QuantityRange) -> Bool {
        switch self {
        case .duration: return block.mayContain(.duration, range, unit: 1)
        case .timeToFirstByte: return block.mayContain(.timeToFirstByte, range, unit: 1000)
        case .size(.client): return block.mayContain(.requestSize, range, unit: 1)
        case .size(.server): return block.mayContain(.responseSize, range, unit: 1)
        case .size(nil):
            // A flow may have both, or only one of them.
            let bounds = [block.bounds(of: .requestSize), block.bounds(of: .responseSize)].compactMap { $0 }
            guard let least = bounds.map(\.lowerBound).min() else { return false }
            let most = bounds.reduce(Int64(0)) { sum, bounds in
                let (next, isOver) = sum.addingReportingOverflow(max(0, bounds.upperBound))
                return isOver ? .max : next
            }
            return range.overlaps(least, most)
        case .messages: return block.mayContain(.http) || block.mayContain(.tcp)
        case .stream: return true
        case .closeCode: return block.mayContain(.http)
        }
    }
}

extension BlockSummary {
    /// - Parameter unit: of the quantity, in that of the range.
    fileprivate func mayContain(_ quantity: FlowQuantity, _ range: QuantityRange, unit: Int64) -> Bool {
        guard let bounds = bounds(of: quantity) else { return false }
        func scaled(_ bound: Int64) -> Int64 {
            let (product, isOver) = bound.multipliedReportingOverflow(by: unit)
            return isOver ? (bound < 0 ? .min : .max) : product
        }
        return range.overlaps(scaled(bounds.lowerBound), scaled(bounds.upperBound))
    }
}

extension QuantityRange {
    fileprivate func overlaps(_ least: Int64, _ most: Int64) -> Bool { least <= highest && lowest <= most }
}
