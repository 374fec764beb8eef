// What we keep of a stream: how far its message has come in, and what waits to go out.

import HTTPSemantics
import NIOCore

/// One stream of a connection, from its first frame until nghttp2 closes it.
final class HTTP2Stream {
    let id: Int32

    // In.
    /// The request, or the final response, has come; a section behind it is the trailers.
    var hasHead = false
    var isInputEnded = false
    /// END_STREAM has come.
    var hasPeerEnded = false
    /// It is one more than the client may have open.
    var isTooMany = false
    /// Octets of the interim responses that have come, by the measure of RFC 9113 §6.5.2.
    var interimSize = 0
    /// What Content-Length announced, in bytes, and what has come.
    var announced: UInt64?
    var received: UInt64 = 0
    /// The stream answers HEAD, so it has no content whatever it announces.
    var answersHead = false
    /// CONNECT: bytes of another protocol follow, which end anyhow.
    var isTunnel = false
    /// It failed or was reset, and the owner knows; nothing more is told.
    var isSilent = false
    /// The owner wants no more of the message.
    var isInputUnwanted = false
    /// Bytes that have come and not yet gone on, and those that have since the window was last enlarged.
    var consumedOfWindow = 0
    var window: Int32 = 0

    // Out.
    private var front = ByteBuffer()
    /// What follows `front`; most messages need no more than that.
    private var behind: CircularBuffer<ByteBuffer>?
    private(set) var queuedBytes = 0
    /// The owner has said everything.
    var isOutputEnded = false
    /// It is all sent.
    var isOutputDone = false
    var trailers: HTTP2Fields?
    /// The head was submitted with a data source.
    var hasSource = false
    /// The source had nothing when it was asked.
    var isDeferred = false

    init(id: Int32) { self.id = id }

    func enqueue(_ bytes: ByteBuffer) {
        if queuedBytes == 0 {
            front = bytes
        } else {
            if behind == nil { behind = CircularBuffer() }
            behind?.append(bytes)
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
                front = behind?.popFirst() ?? ByteBuffer()
            } else {
                out.writeImmutableBuffer(front.readSlice(length: rest) ?? ByteBuffer())
                rest = 0
            }
        }
        queuedBytes -= count
    }

    func dropQueue() {
        front = ByteBuffer()
        behind = nil
        queuedBytes = 0
    }
}

/// The streams of a connection by their numbers. Questions come in runs, field after field of one stream, so the last one is remembered.
struct HTTP2Streams {
    private var known: [Int32: HTTP2Stream] = [:]
    private var last: HTTP2Stream?

    subscript(id: Int32) -> HTTP2Stream? {
        mutating get {
            if let last, last.id == id { return last }
            guard let stream = known[id] else { return nil }
            last = stream
            return stream
        }
        set {
            known[id] = newValue
            last = newValue
        }
    }

    var count: Int { known.count }

    mutating func remove(_ id: Int32) -> HTTP2Stream? {
        if last?.id == id { last = nil }
        return known.removeValue(forKey: id)
    }
}
