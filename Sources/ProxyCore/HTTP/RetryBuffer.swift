// What a request needs to be sent once more (RFC 9110 §9.2.2, RFC 9113 §8.7): its content as far as a server has it that has not answered.

import HTTP1Codec
import HTTPSemantics
import NIOCore

struct RetryBuffer {
    /// What was sent of the content; nil when it is too much to be kept.
    private var content: ByteBuffer?
    private var trailers: FieldSection?
    /// The request has been sent once more; it is not sent a third time.
    private(set) var hasBeenUsed = false
    /// Content that was forwarded, for which the client's window was opened, and what of it is forwarded again.
    private var forwarded = 0
    private var forwardedBefore = 0

    /// All that was sent is kept.
    var isWhole: Bool { content != nil }
    var bytes: Int { content?.readableBytes ?? 0 }

    /// Begins to keep what is sent to a server.
    mutating func begin() { if !hasBeenUsed { content = ByteBuffer() } }

    mutating func append(_ bytes: ByteBuffer) {
        // Copied, since the bytes that were received may be a small part of what was read.
        content?.writeImmutableBuffer(bytes)
    }

    mutating func end(_ trailers: FieldSection?) { if isWhole { self.trailers = trailers } }

    /// Keeps nothing any more.
    mutating func discard() {
        content = nil
        trailers = nil
    }

    /// Content was forwarded.
    /// - Returns: how much of it for the first time.
    mutating func countForwarded(_ bytes: Int) -> Int {
        let repeated = min(bytes, forwardedBefore)
        forwardedBefore -= repeated
        forwarded += bytes - repeated
        return bytes - repeated
    }

    /// - Parameters:
    ///   - wasSent: a server had it; otherwise all of it still waits.
    ///   - isComplete: the client has sent the whole request.
    /// - Returns: what is sent again, in the framing of HTTP/1 where the request came in it.
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
