// What is read from an HTTP/2 connection: the messages of its streams, resets, the end of the connection, settings, priorities.

import HTTPSemantics
import NIOCore

/// An error code of RFC 9113 §7.
package struct HTTP2ErrorCode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    package var rawValue: UInt32

    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let noError = HTTP2ErrorCode(rawValue: 0)
    package static let protocolError = HTTP2ErrorCode(rawValue: 1)
    package static let internalError = HTTP2ErrorCode(rawValue: 2)
    package static let flowControlError = HTTP2ErrorCode(rawValue: 3)
    package static let settingsTimeout = HTTP2ErrorCode(rawValue: 4)
    package static let streamClosed = HTTP2ErrorCode(rawValue: 5)
    package static let frameSizeError = HTTP2ErrorCode(rawValue: 6)
    package static let refusedStream = HTTP2ErrorCode(rawValue: 7)
    package static let cancel = HTTP2ErrorCode(rawValue: 8)
    package static let compressionError = HTTP2ErrorCode(rawValue: 9)
    package static let connectError = HTTP2ErrorCode(rawValue: 10)
    package static let enhanceYourCalm = HTTP2ErrorCode(rawValue: 11)
    package static let inadequateSecurity = HTTP2ErrorCode(rawValue: 12)
    package static let http11Required = HTTP2ErrorCode(rawValue: 13)

    private static let names = [
        "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
        "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
    ]

    /// The RFC's name, or the number in hexadecimal.
    package var description: String {
        Int(rawValue) < Self.names.count ? Self.names[Int(rawValue)] : "0x" + String(rawValue, radix: 16)
    }
}

/// What was read from an HTTP/2 connection.
package enum HTTP2Event: Sendable, Equatable {
    /// A part of a message: of a request where the peer is a client, otherwise of a response. `wire` of content is the content itself, since each
    /// connection has frames of its own.
    case request(StreamID, RequestEvent)
    case response(StreamID, ResponseEvent)
    /// The peer sent RST_STREAM. Nothing more comes of the stream.
    case reset(StreamID, HTTP2ErrorCode)
    /// The peer broke a rule on one stream, which we have reset. `head` holds the fields that were malformed, as far as they are known.
    /// `isRelaxable`: it passes with lenient validation.
    case failed(StreamID, HTTP2ErrorCode, message: String, head: ByteBuffer, isRelaxable: Bool = false)
    /// A head or trailer section of the stream breaks a rule, can be read in one way only, and passes: what is wrong, in a sentence.
    case note(StreamID, String)
    /// The peer has not looked at a request of ours and never will: it may be said again on another connection (RFC 9113 §8.7).
    case unprocessed(StreamID)
    /// A field section larger than we take; the rest of the stream is ignored and can still be answered.
    case fieldsTooLarge(StreamID, head: ByteBuffer)
    /// The peer takes no new streams beyond `last`.
    case goAway(last: StreamID, HTTP2ErrorCode, debug: String)
    /// The peer's settings are known or have changed: what it said, in its order, as far as somebody might want to know.
    case settings([PeerSetting])
    /// The peer asked whether we are there (RFC 9113 §6.7), and is answered.
    case ping
    /// A PRIORITY frame or the priority in a HEADERS frame (RFC 9113 §5.3).
    case priority(StreamID, HTTP2Priority)
    /// A PRIORITY_UPDATE frame (RFC 9218 §7.1).
    case priorityUpdate(StreamID, value: ByteBuffer)
    /// The peer broke a rule of the connection. A GOAWAY with the code is on its way; nothing more is read.
    case terminated(HTTP2ErrorCode, message: String)
}

/// The deprecated priority signal of RFC 7540.
package struct HTTP2Priority: Sendable, Equatable {
    package var dependency: StreamID
    /// 1 to 256.
    package var weight: Int32
    package var isExclusive: Bool

    package init(dependency: StreamID, weight: Int32, isExclusive: Bool) {
        self.dependency = dependency
        self.weight = weight
        self.isExclusive = isExclusive
    }
}

/// Sizes and counts beyond which a peer is refused, and what is announced to it.
package struct HTTP2Limits: Sendable, Equatable {
    /// Bytes of a field section: names, values, and 32 for each line (RFC 9113 §6.5.2). The same as for HTTP/1.
    package var maximumFieldSectionSize = 256 * 1024
    package var maximumFieldCount = 1000
    /// Streams that a client may have open at a time. RFC 9113 §6.5.2 asks for at least 100; browsers use hundreds.
    package var maximumConcurrentStreams: UInt32 = 1000
    /// Frames that ask for work and carry nothing (PING, SETTINGS, empty DATA …), without a message in between.
    package var maximumIdleFrames = 10_000
    /// Streams that a client may give up at once, or that are reset for what it does on them, and how many more a second. Browsers drop
    /// hundreds when a page is left; an attack (CVE-2023-44487) needs hundreds of thousands.
    package var maximumAbandonedStreams = 1000
    package var abandonedStreamsPerSecond = 100
    /// Receive windows. A stream begins with the protocol's default, so that one which nobody reads holds little; the window doubles
    /// whenever it was used up and passed on, until a download on a long line is not held back by it.
    package var initialWindow: Int32 = 65_535
    package var maximumWindow: Int32 = 8 * 1024 * 1024
    /// What the windows of all streams of a connection may have grown by together: so much is held when all of them stall.
    package var maximumGrowth = 64 * 1024 * 1024
    /// Bytes in flight on a whole connection; opened again as soon as they arrive, so that no stream waits for another.
    package var connectionWindow: Int32 = 64 * 1024 * 1024

    package init() {}
}

/// How strictly fields are looked at.
package enum HTTP2Validation: Sendable {
    /// A malformed message is a stream error (RFC 9113 §8.1.1). For responses, what browsers tolerate and is clear is let through.
    case strict
    /// Only what cannot be passed on is refused.
    case lenient
}
