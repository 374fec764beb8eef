// The data for a retry of a request (RFC 9110 §9.2.2, RFC 9113 §8.7): its content so far, sent to a server that has not answered.

import HTTP1Codec
import HTTPSemantics
import NIOCore

struct RetryBuffer {
    /// The content that was sent; nil if it is too much to keep.
    private var content: ByteBuffer?
    private var trailers: FieldSection?
    /// The request was retried once; it is not sent a third time.
    private(set) var hasBeenUsed = false
    /// Content that was forwarded, for which the client's window was opened, and the part of it that is forwarded again.
    private var forwarded = 0
    private var forwardedBefore = 0

    /// All sent content is kept.
    var isWhole: Bool { content != nil }
    var bytes: Int { content?.readableBytes ?? 0 }

    /// Begins to keep content that is sent to a server.
    mutating func begin() { if !hasBeenUsed { content = ByteBuffer() } }

    mutating func append(_ bytes: ByteBuffer) {
        // Copied, because the bytes may be a small part of a large read.
        content?.writeImmutableBuffer(bytes)
    }

    mutating func end(_ trailers: FieldSection?) { if isWhole { self.trailers = trailers } }

    /// Stops keeping content.
    mutating func discard() {
        content = nil
        trailers = nil
    }

    /// Content was forwarded.
    /// - Returns: the part of it that was forwarded for the first time.
    mutating func countForwarded(_ bytes: Int) -> Int {
        let repeated = min(bytes, forwardedBefore)
        forwardedBefore -= repeated
        forwarded += bytes - repeated
        return bytes - repeated
    }

    /// - Parameters:
    ///   - wasSent: it was sent to a server; otherwise all of it still waits.
    ///   - isComplete: the client has sent the whole request.
    /// - Returns: the content to send again, in HTTP/1 framing if the request came by HTTP/1.
    mutating func rewind(wasSent: Bool, isComplete: Bool, _ framing: BodyFraming) -> [RequestEvent] {
        hasBeenUsed = true
        forwardedBefore = forwarded
        guard wasSent else { return [] }
        var events: [RequestEvent] = []
        let isChunked = framing == .chunked
        if let content, content.readableBytes > 0 {
            events.append(.content(content, wire: isChunked ? HTTP1Encoder.chunk(content) : content, isLast: false))
        }
        if isComplete {
            events.append(.end(trailers: trailers, wire: isChunked ? HTTP1Encoder.lastChunk(trailers: trailers) : ByteBuffer()))
        }
        discard()
        return events
    }
}
