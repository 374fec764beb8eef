// Priority signals that came before their request was sent.

import HTTP2Codec
import HTTPSemantics
import NIOCore

/// Signals for streams that are not open upstream.
struct PendingPriorities {
    /// A client may name streams that it never opens, or that have ended: the limit of such signals that are kept.
    private static let maximum = 1000
    private var frames: [StreamID: HTTP2Priority] = [:]
    private var updates: [StreamID: ByteBuffer] = [:]

    mutating func keep(_ priority: HTTP2Priority, of stream: StreamID) {
        if frames.count >= Self.maximum { frames = [:] }
        frames[stream] = priority
    }

    mutating func keep(update value: ByteBuffer, of stream: StreamID) {
        if updates.count >= Self.maximum { updates = [:] }
        updates[stream] = value
    }

    /// The priority of a stream that opens now.
    mutating func take(_ stream: StreamID) -> (priority: HTTP2Priority?, update: ByteBuffer?) {
        frames.isEmpty && updates.isEmpty
            ? (nil, nil) : (frames.removeValue(forKey: stream), updates.removeValue(forKey: stream))
    }
}
