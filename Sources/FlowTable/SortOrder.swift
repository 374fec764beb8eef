// The order of flows by a column: keys that are compared without the flows.

import FlowModel
import HTTPSemantics
import NIOCore

/// The value of `--sort`: a column, and whether large values come first.
package struct SortOrder: Sendable, Equatable {
    package let key: FlowKey
    package let isDescending: Bool

    /// - Parameter text: `duration`, `host:desc`; `:asc` is the default.
    /// - Throws: a sentence about what is wrong, with the nearest name.
    package init(_ text: String) throws(TableError) {
        var name = text
        var isDescending = false
        // The name of a header field stands after a colon too.
        for (suffix, descends) in [(":desc", true), (":asc", false)] where text.hasSuffix(suffix) && text != "header\(suffix)" {
            name = String(text.dropLast(suffix.count))
            isDescending = descends
        }
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        if parts.count == 2, parts[0] != "header", !name.hasPrefix("~") {
            throw TableError("'\(text)' has no such direction; write \(parts[0]):desc for the largest first")
        }
        key = try FlowKey(name)
        self.isDescending = isDescending
    }

    /// The key of a flow. Flows without a value come last in both directions.
    package func key(of flow: some FlowAttributes) -> SortKey {
        // Damaged content has no value; the reader of the flow reports the damage.
        SortKey((try? key.value(of: flow)) ?? .none, isDescending: isDescending)
    }
}

/// A value in an order. Equal keys leave flows in the order of the recording.
package struct SortKey: Sendable, Comparable {
    /// Decides most comparisons: the value if it is a number, otherwise its first seven bytes. All bits are set without a value.
    package let prefix: UInt64
    /// A whole text; nil for numbers and no value.
    package let text: ByteBuffer?
    private let isDescending: Bool

    package init(_ value: FlowValue, isDescending: Bool) {
        self.isDescending = isDescending
        switch value {
        case .none: (prefix, text) = (.max, nil)
        case .number, .time:
            let ordered = UInt64(bitPattern: value.number ?? 0) ^ 1 << 63
            (prefix, text) = (min(isDescending ? ~ordered : ordered, .max - 1), nil)
        case .text(let bytes):
            var first: UInt64 = 0
            let span = bytes.readableBytesUInt8Span
            for index in 0..<7 { first = first << 8 | UInt64(index < span.count ? span[index] : 0) }
            (prefix, text) = (isDescending ? ~first & (1 << 56 - 1) : first, bytes)
        }
    }

    /// A key that was stored.
    package init(prefix: UInt64, text: ByteBuffer?, isDescending: Bool) {
        self.prefix = prefix
        self.text = text
        self.isDescending = isDescending
    }

    package static func == (a: SortKey, b: SortKey) -> Bool { a.prefix == b.prefix && a.text == b.text }

    package static func < (a: SortKey, b: SortKey) -> Bool {
        if a.prefix != b.prefix { return a.prefix < b.prefix }
        guard let text = a.text, let other = b.text else { return false }
        return a.isDescending ? isBefore(other, text) : isBefore(text, other)
    }

    private static func isBefore(_ a: ByteBuffer, _ b: ByteBuffer) -> Bool {
        a.readableBytesView.lexicographicallyPrecedes(b.readableBytesView)
    }
}
