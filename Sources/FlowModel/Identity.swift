// Identifiers of flows and connections, and times.

/// Identifies a flow: a UUID of version 7 (RFC 9562 §5.7), unique across machines and ordered by time.
package struct FlowID: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// - Parameters:
    ///   - time: its milliseconds become the leading 48 bits.
    ///   - sequence: 12 bits that order the identifiers made within one millisecond; higher bits are cut.
    ///   - random: 62 bits are used.
    package init(time: Timestamp, sequence: UInt16, random: UInt64) {
        let milliseconds = UInt64(max(0, time.nanoseconds / 1_000_000))
        self.init(
            high: milliseconds << 16 | 0x7000 | UInt64(sequence & 0x0FFF),
            low: 0x8000_0000_0000_0000 | random & 0x3FFF_FFFF_FFFF_FFFF)
    }

    /// Reads `018f…-…-7…-…-…`, with or without hyphens; nil when it is not 32 hexadecimal digits.
    package init?(_ text: String) {
        let digits = text.filter { $0 != "-" }
        guard digits.utf8.count == 32, let high = UInt64(digits.prefix(16), radix: 16),
            let low = UInt64(digits.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    package static func < (a: FlowID, b: FlowID) -> Bool { (a.high, a.low) < (b.high, b.low) }

    package var description: String {
        // SAFETY: all 36 bytes are initialised.
        unsafe String(unsafeUninitializedCapacity: 36) { text in
            var place = 0
            for half in [high, low] {
                for shift in stride(from: 60 as UInt64, through: 0, by: -4) {
                    if place == 8 || place == 13 || place == 18 || place == 23 {
                        unsafe text[place] = 0x2D
                        place += 1
                    }
                    let digit = UInt8(truncatingIfNeeded: half >> shift) & 15
                    unsafe text[place] = digit < 10 ? 0x30 + digit : 0x57 + digit
                    place += 1
                }
            }
            return place
        }
    }
}

/// Identifies a client or server connection in the same way.
package typealias ConnectionID = FlowID

/// A moment: nanoseconds since 1970-01-01T00:00:00Z. The clock that makes them is anchored to the wall clock once and then runs
/// monotonically, so a difference of two is a duration even when the wall clock is set.
@usableFromInline package struct Timestamp: Sendable, Hashable, Comparable {
    @usableFromInline package var nanoseconds: Int64

    @inlinable package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable package static func < (a: Timestamp, b: Timestamp) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Nanoseconds from another moment to this one.
    @inlinable package static func - (a: Timestamp, b: Timestamp) -> Int64 { a.nanoseconds &- b.nanoseconds }

    @inlinable package func advanced(byNanoseconds nanoseconds: Int64) -> Timestamp {
        Timestamp(nanoseconds: self.nanoseconds &+ nanoseconds)
    }
}
