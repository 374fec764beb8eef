// A value of a column, and its text.

import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore

/// A value of a column in one flow.
package enum FlowValue: Sendable, Hashable {
    /// The flow has no such fact.
    case none
    /// Bytes as they were received. They need not be UTF-8.
    case text(ByteBuffer)
    case number(Int64)
    case time(Timestamp)

    /// An empty text is a fact that a flow does not have.
    init(_ text: ByteBuffer?) {
        self = if let text, text.readableBytes > 0 { .text(text) } else { .none }
    }

    init(_ size: UInt64?) { self = size.map { .number(Int64(clamping: $0)) } ?? .none }

    /// The bytes of its text: numbers in decimal digits, times in UTC with nanoseconds (RFC 3339), nothing for no value.
    package var bytes: ByteBuffer {
        switch self {
        case .none: ByteBuffer()
        case .text(let text): text
        case .number(let number): ByteBuffer(string: String(number))
        case .time(let time): ByteBuffer(string: rfc3339(time))
        }
    }

    /// A number, or the nanoseconds of a time.
    package var number: Int64? {
        switch self {
        case .number(let number): number
        case .time(let time): time.nanoseconds
        case .none, .text: nil
        }
    }
}
