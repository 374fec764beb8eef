// Priority signals of an HTTP/2 client on their way to the server, where that is wanted. They come with a request, before it and behind it; what
// comes before the request is on its way waits for it.

import HTTP2Codec
import HTTPSemantics
import NIOCore

/// Signals for streams that are not open upstream.
struct PendingPriorities {
    /// A client may name streams that it never opens, or that are over; what it said of so many is forgotten.
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

    /// What was said of a stream that opens now.
    mutating func take(_ stream: StreamID) -> (priority: HTTP2Priority?, update: ByteBuffer?) {
        frames.isEmpty && updates.isEmpty
            ? (nil, nil) : (frames.removeValue(forKey: stream), updates.removeValue(forKey: stream))
    }
}

extension ClientStack {
    /// PRIORITY, or the priority in HEADERS.
    func forward(_ priority: HTTP2Priority, of stream: StreamID) {
        guard configuration.forwardsPriority else { return }
        guard let (http2, there) = streamUpstream(stream) else { return pendingPriorities.keep(priority, of: stream) }
        http2.sendPriority(translated(priority, for: exchanges[stream]?.upstream), on: there)
    }

    /// PRIORITY_UPDATE.
    func forward(update value: ByteBuffer, of stream: StreamID) {
        guard configuration.forwardsPriority else { return }
        guard let (http2, there) = streamUpstream(stream) else { return pendingPriorities.keep(update: value, of: stream) }
        http2.sendPriorityUpdate(value, on: there)
    }

    private func streamUpstream(_ stream: StreamID) -> (HTTP2Connection, StreamID)? {
        guard let exchange = exchanges[stream], let there = exchange.upstreamStream, let http2 = exchange.upstream?.http2 else {
            return nil
        }
        return (http2, there)
    }

    /// A dependency is named by its number on each connection; one that is not there is the root.
    func translated(_ priority: HTTP2Priority, for upstream: Upstream?) -> HTTP2Priority {
        var priority = priority
        let dependency = exchanges[priority.dependency]
        priority.dependency = dependency?.upstream === upstream ? dependency?.upstreamStream ?? StreamID(0) : StreamID(0)
        return priority
    }
}
