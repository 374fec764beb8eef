// Makes flow and connection identities from the session's time and injected randomness.

import FlowModel

/// UUIDs of version 7 whose 12 bits after the milliseconds are the fraction of the millisecond (RFC 9562 §6.2, method 3), so that
/// identities made on different event loops are ordered to a quarter of a microsecond.
package struct IdentityGenerator: Sendable {
    private var state: UInt64

    /// - Parameter seed: random; two generators with the same seed make the same identities at the same times.
    package init(seed: UInt64) { state = seed }

    package mutating func next(at time: Timestamp) -> FlowID {
        let fraction = UInt64(max(0, time.nanoseconds) % 1_000_000)
        return FlowID(time: time, sequence: UInt16(fraction * 4096 / 1_000_000), random: word())
    }

    /// 32 unpredictable bits.
    mutating func random() -> UInt32 { UInt32(truncatingIfNeeded: word() >> 16) }

    private mutating func word() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15  // SplitMix64: its outputs over one period are all different
        var random = state
        random = (random ^ (random >> 30)) &* 0xBF58_476D_1CE4_E5B9
        random = (random ^ (random >> 27)) &* 0x94D0_49BB_1331_11EB
        return random ^ (random >> 31)
    }
}
