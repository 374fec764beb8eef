// The state of a stream: progress of the incoming message, and the output that waits.

import HTTPSemantics
import NIOCore

/// One stream of a connection, from its first frame until nghttp2 closes it.
final class HTTP2Stream {
    let id: Int32

    // Incoming.
    /// The request, or the final response, was received; a section after it is the trailers.
    var hasHead = false
    var isInputEnded = false
    /// END_STREAM was received.
    var hasPeerEnded = false
    /// It exceeds the client's limit of streams.
    var isTooMany = false
    /// Size of the interim responses received, as RFC 9113 §6.5.2 counts it.
    var interimSize = 0
    /// Bytes announced by Content-Length, and bytes received.
    var announced: UInt64?
    var received: UInt64 = 0
    /// The stream answers HEAD, so it has no content, whatever it announces.
    var answersHead = false
    /// CONNECT: bytes of another protocol follow, which may end at any point.
    var isTunnel = false
    /// It failed or was reset, and the owner was notified; nothing more is reported.
    var isSilent = false
    /// The owner ignores the rest of the message.
    var isInputUnwanted = false
    /// Bytes received and not forwarded yet, and bytes forwarded since the window was last enlarged.
    var consumedOfWindow = 0
    var window: Int32 = 0

    // Outgoing.
    private var front = ByteBuffer()
    /// The buffers after `front`; most messages need only that one.
    private var following: CircularBuffer<ByteBuffer>?
    private(set) var queuedBytes = 0
    /// The owner has ended the message.
    var isOutputEnded = false
    /// All of it is sent.
    var isOutputDone = false
    var trailers: HTTP2Fields?
    /// The head was submitted with a data source.
    var hasSource = false
    /// The source had nothing at the last request.
    var isDeferred = false

    init(id: Int32) { self.id = id }

    func enqueue(_ bytes: ByteBuffer) {
        if queuedBytes == 0 {
            front = bytes
        } else {
            if following == nil { following = CircularBuffer() }
            following?.append(bytes)
        }
        queuedBytes += bytes.readableBytes
    }

    /// Moves bytes from the queue's front to a buffer's end.
    func dequeue(_ count: Int, into out: inout ByteBuffer) {
        var rest = count
        while rest > 0 {
            if front.readableBytes <= rest {
                out.writeImmutableBuffer(front)
                rest -= front.readableBytes
                front = following?.popFirst() ?? ByteBuffer()
            } else {
                out.writeImmutableBuffer(front.readSlice(length: rest) ?? ByteBuffer())
                rest = 0
            }
        }
        queuedBytes -= count
    }

    func dropQueue() {
        front = ByteBuffer()
        following = nil
        queuedBytes = 0
    }
}

/// The streams of a connection by their numbers. Lookups come in runs, field after field of one stream, so the last one is cached.
struct HTTP2Streams {
    private var known = StreamTable<HTTP2Stream>()
    private var last: HTTP2Stream?

    subscript(id: Int32) -> HTTP2Stream? {
        mutating get {
            if let last, last.id == id { return last }
            guard let stream = known[id.unsigned] else { return nil }
            last = stream
            return stream
        }
        set {
            known[id.unsigned] = newValue
            last = newValue
        }
    }

    var count: Int { known.count }

    mutating func remove(_ id: Int32) -> HTTP2Stream? {
        if last?.id == id { last = nil }
        return known.remove(id.unsigned)
    }
}
