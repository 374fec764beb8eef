// The events of an HTTP/2 connection: the messages of its streams, resets, the end of the connection, settings, priorities.

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

/// An event that was read from an HTTP/2 connection.
package enum HTTP2Event: Sendable, Equatable {
    /// A part of a message: of a request where the peer is a client, otherwise of a response. `wire` of content is the content itself, because
    /// each connection has frames of its own.
    case request(StreamID, RequestEvent)
    case response(StreamID, ResponseEvent)
    /// The peer sent RST_STREAM. Nothing more comes from the stream.
    case reset(StreamID, HTTP2ErrorCode)
    /// The peer caused a stream error, and we have reset the stream. `head` holds the malformed fields, as far as they are known.
    /// `isRelaxable`: the message passes with lenient validation.
    case failed(StreamID, HTTP2ErrorCode, message: String, head: ByteBuffer, isRelaxable: Bool = false)
    /// A head or trailer section of the stream violates a rule but is not ambiguous, and passes: the violation, in a sentence.
    case note(StreamID, String)
    /// The peer has not processed a request of ours and will not: it may be sent again on another connection (RFC 9113 §8.7).
    case unprocessed(StreamID)
    /// A field section larger than the limit; the rest of the stream is ignored, and the stream can still be answered.
    case fieldsTooLarge(StreamID, head: ByteBuffer)
    /// The peer accepts no streams beyond `last`.
    case goAway(last: StreamID, HTTP2ErrorCode, debug: String)
    /// The peer's settings are known or have changed: its SETTINGS, in their order, up to a limit.
    case settings([PeerSetting])
    /// The peer sent PING (RFC 9113 §6.7), and it is answered.
    case ping
    /// A PRIORITY frame or the priority in a HEADERS frame (RFC 9113 §5.3).
    case priority(StreamID, HTTP2Priority)
    /// A PRIORITY_UPDATE frame (RFC 9218 §7.1).
    case priorityUpdate(StreamID, value: ByteBuffer)
    /// The peer caused a connection error. A GOAWAY with the code is under way; nothing more is read.
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

/// Sizes and counts beyond which a peer is refused, and the values that are announced to it.
package struct HTTP2Limits: Sendable, Equatable {
    /// Bytes of a field section: names, values, and 32 for each line (RFC 9113 §6.5.2). The same as for HTTP/1.
    package var maximumFieldSectionSize = 256 * 1024
    package var maximumFieldCount = 1000
    /// Maximum concurrent streams of a client. RFC 9113 §6.5.2 asks for at least 100; browsers use hundreds.
    package var maximumConcurrentStreams: UInt32 = 1000
    /// Frames that cause work and carry nothing (PING, SETTINGS, empty DATA …), without a message in between.
    package var maximumIdleFrames = 10_000
    /// Streams that a client may reset, or cause to be reset, in a burst, and how many more per second. Browsers reset hundreds when a page is
    /// left; an attack (CVE-2023-44487) needs hundreds of thousands.
    package var maximumAbandonedStreams = 1000
    package var abandonedStreamsPerSecond = 100
    /// Receive windows. A stream begins with the protocol's default, so an unread one holds little. The window doubles whenever it was used up
    /// and forwarded, so it does not limit a download on a long line.
    package var initialWindow: Int32 = 65_535
    package var maximumWindow: Int32 = 8 * 1024 * 1024
    /// The limit on the growth of all stream windows of a connection together: the data that is held when all of them stall.
    package var maximumGrowth = 64 * 1024 * 1024
    /// Bytes in flight on a whole connection. The window opens again as soon as they arrive, so no stream waits for another.
    package var connectionWindow: Int32 = 64 * 1024 * 1024

    package init() {}
}

/// How strictly fields are checked.
package enum HTTP2Validation: Sendable {
    /// A malformed message is a stream error (RFC 9113 §8.1.1). Responses pass if browsers tolerate them and they are not ambiguous.
    case strict
    /// Only messages that cannot be forwarded are refused.
    case lenient
}
