// The limit on streams that a client resets. Each costs the client one small frame, and us a request to the server.

import FlowModel
import HTTP2Codec

/// A token bucket: each reset stream takes one token, and time refills it.
struct ResetRateLimit {
    private let limits: HTTP2Limits
    private var left: Int
    private var filled = Timestamp(nanoseconds: 0)

    init(_ limits: HTTP2Limits) {
        self.limits = limits
        left = limits.maximumAbandonedStreams
    }

    /// - Returns: false if the limit is exceeded.
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
