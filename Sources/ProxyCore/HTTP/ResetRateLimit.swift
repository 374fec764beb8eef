// How many streams a client may give up. Each costs it one small frame, and us a request to the server.

import FlowModel
import HTTP2Codec

/// A bucket that each abandoned stream takes one from, and that time fills again.
struct ResetRateLimit {
    private let limits: HTTP2Limits
    private var left: Int
    private var filled = Timestamp(nanoseconds: 0)

    init(_ limits: HTTP2Limits) {
        self.limits = limits
        left = limits.maximumAbandonedStreams
    }

    /// - Returns: false when it is one too many.
    mutating func take(at now: Timestamp) -> Bool {
        let gained = Int((now - filled) / 1_000_000) * limits.abandonedStreamsPerSecond / 1000
        if gained > 0 {
            left = min(limits.maximumAbandonedStreams, left + gained)
            filled = now
        }
        left -= 1
        return left >= 0
    }
}
