// Bounds of the quantities of a block's flows, in its header: a question for flows that are slow or large skips the blocks without one.

import FlowModel
import FlowRecords
import HTTPSemantics
import NIOCore

/// For each ``FlowQuantity`` the least and the most that a flow that is whole in the block has.
struct BlockBounds: Equatable {
    private struct Bounds: Equatable {
        var least = Int64.max
        var most = Int64.min

        static let unknown = Bounds(least: .min, most: .max)

        mutating func note(_ value: Int64) {
            least = min(least, value)
            most = max(most, value)
        }
    }

    private var duration = Bounds()
    private var timeToFirstByte = Bounds()
    private var requestSize = Bounds()
    private var responseSize = Bounds()

    /// Set in the `u32` at offset 52 of a header that has bounds.
    static let areWritten: UInt32 = 1
    /// Bytes in the header.
    static let size = 64

    /// The bounds of no flows.
    init() {}

    /// Reads the bounds of a header.
    /// - Parameters:
    ///   - payload: the header from the bounds on, which are moved over.
    ///   - areWritten: the first writers had a filter of hosts, or zeros, in their place.
    init?(reading payload: inout ByteBuffer, areWritten: Bool) {
        guard var bytes = payload.readSlice(length: Self.size) else { return nil }
        guard areWritten else {
            (duration, timeToFirstByte, requestSize, responseSize) = (.unknown, .unknown, .unknown, .unknown)
            return
        }
        func next() -> Bounds {
            let (least, most) = bytes.readMultipleIntegers(endianness: .little, as: (Int64, Int64).self) ?? (.min, .max)
            return Bounds(least: least, most: most)
        }
        (duration, timeToFirstByte, requestSize, responseSize) = (next(), next(), next(), next())
    }

    func write(into out: inout ByteBuffer) {
        for bounds in [duration, timeToFirstByte, requestSize, responseSize] {
            out.writeMultipleIntegers(bounds.least, bounds.most, endianness: .little)
        }
    }

    subscript(quantity: FlowQuantity) -> ClosedRange<Int64>? {
        let bounds =
            switch quantity {
            case .duration: duration
            case .timeToFirstByte: timeToFirstByte
            case .requestSize: requestSize
            case .responseSize: responseSize
            }
        return bounds.least <= bounds.most ? bounds.least...bounds.most : nil
    }

    /// Adds a flow that is whole in its record.
    // SAFETY: the record begins with a whole prefix.
    mutating func note(flow record: UnsafeRawBufferPointer) {
        func number<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: T.Type = T.self) -> T {
            unsafe T(littleEndian: record.loadUnaligned(fromByteOffset: offset, as: T.self))
        }
        let flags = number(FlowPrefix.flags, UInt8.self)
        let kind = FlowKind(rawValue: number(FlowPrefix.kind))
        let hasRequest = flags & FlowPrefix.hasRequest != 0
        let hasResponse = number(FlowPrefix.responseFieldsAt, UInt32.self) > 0
        duration.note(number(FlowPrefix.ended, Int64.self) &- number(FlowPrefix.started, Int64.self))
        if hasRequest, hasResponse {
            if let time = TimeToFirstByte.microseconds(number(FlowPrefix.timeToFirstByte)) {
                timeToFirstByte.note(time)
            } else {
                timeToFirstByte = .unknown
            }
        }
        // The sizes of a WebSocket and of a connection that was passed through are in the items.
        let isCounted = kind == .http ? flags & FlowPrefix.isWebSocket == 0 : number(FlowPrefix.pieces, UInt32.self) > 0
        if kind == .tcp || kind == .http && hasRequest {
            if isCounted {
                requestSize.note(Int64(clamping: number(FlowPrefix.requestSize, UInt64.self)))
            } else {
                requestSize = .unknown
            }
        }
        if kind == .tcp || kind == .http && hasResponse {
            if isCounted {
                responseSize.note(Int64(clamping: number(FlowPrefix.responseSize, UInt64.self)))
            } else {
                responseSize = .unknown
            }
        }
    }
}
