// How the content of a message is written to a peer of HTTP/1 (RFC 9112 §6, §7.1).

import HTTP1Codec
import HTTPSemantics
import NIOCore

enum HTTP1Content {
    /// As it came on the wire, by HTTP/1.
    case verbatim
    case chunked
    /// Without framing. `remaining` is what the head promises of it, below zero when more has come; nil: the head promises nothing.
    case bare(remaining: Int?)
    /// The message has none, whatever comes.
    case none

    init(of head: HTTP1Translation.Head) {
        self = head.isChunked ? .chunked : .bare(remaining: head.length)
    }

    /// More content came than the head promised, or less.
    var hasLengthMismatch: Bool {
        if case .bare(let remaining?) = self { remaining != 0 } else { false }
    }

    /// More content came than the head promised.
    var isExceeded: Bool {
        if case .bare(let remaining?) = self { remaining < 0 } else { false }
    }

    /// The bytes for a part of the content; nothing beyond what was promised, which the peer would read as another message.
    mutating func bytes(of content: ByteBuffer, wire: ByteBuffer) -> ByteBuffer {
        switch self {
        case .verbatim: return wire
        case .chunked: return HTTP1Encoder.chunk(content)
        case .bare(let remaining?):
            self = .bare(remaining: remaining - content.readableBytes)
            let count = min(content.readableBytes, max(0, remaining))
            return content.getSlice(at: content.readerIndex, length: count) ?? ByteBuffer()
        case .bare(nil): return content
        case .none: return ByteBuffer()
        }
    }

    /// The bytes for the end of the message.
    func end(_ trailers: FieldSection?, wire: ByteBuffer) -> ByteBuffer {
        switch self {
        case .verbatim:
            if let trailers, trailers.hasSpaceBeforeColon { return HTTP1Encoder.lastChunk(trailers: trailers) }
            return wire
        case .chunked: return HTTP1Encoder.lastChunk(trailers: trailers)
        case .bare, .none: return ByteBuffer()
        }
    }
}
