// Limits on the data that is kept for a side that does not accept it yet.

enum FlowControl {
    /// Limit on waiting bytes; above it their sender is not read, or its window stays closed.
    static let highWaterMark = 256 * 1024
    /// Request content that is kept for retries, for one client; each request up to ``highWaterMark``.
    static let maximumRetryBufferBytes = 4 * 1024 * 1024
}
