// How much is kept for a side that does not take it yet.

enum FlowControl {
    /// Bytes that wait for something are kept up to here; then their sender is not read, or its window stays closed.
    static let highWaterMark = 256 * 1024
    /// Request content that is kept for retries, for one client; each request up to ``highWaterMark``.
    static let maximumRetryBufferBytes = 4 * 1024 * 1024
}
