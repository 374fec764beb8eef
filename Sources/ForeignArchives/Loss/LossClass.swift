// The classes of what a flow contains that a format of another program may not represent. Each writer declares a fate for each class
// (ForeignWriter.fate), so a new class does not compile until every format has decided. docs/foreign-formats.md has the table.

import FlowModel

/// Something in flows that a conversion may change or lose. The raw value is its name in JSON (`--loss`).
package enum LossClass: String, Sendable, CaseIterable {
    // Whole flows.
    case tcp
    case tls
    case noRequest = "no_request"
    case connect
    case noURL = "no_url"
    case headContent = "head_content"
    case argumentLength = "argument_length"
    case separator
    case noMessage = "no_message"
    // What was sent.
    case http2AsHTTP1 = "http2_as_http1"
    case http3
    case headBytes = "head_bytes"
    case fields
    case interim
    case trailers
    case contentLength = "content_length"
    case contentCoding = "content_coding"
    case largeContent = "large_content"
    case fileContent = "file_content"
    case missingContent = "missing_content"
    case damagedContent = "damaged_content"
    case incomplete
    case webSocket = "websocket"
    case pingPong = "ping_pong"
    case closeFrames = "close_frames"
    case upgradeData = "upgrade_data"
    case malformed
    case localReply = "local_reply"
    case error
    // What people and programs noted.
    case comment
    case tags
    case notes
    // Details: facts of the recording beside the messages.
    case flowID = "flow_id"
    case target
    case chunkTimes = "chunk_times"
    case messageTimes = "message_times"
    case frames
    case streamID = "stream_id"
    case settings
    case connectionID = "connection_id"
    case clientAddress = "client_address"
    case serverAddress = "server_address"
    case mode
    case tlsVersion = "tls_version"
    case tlsNames = "tls_names"
    case certificates
    case fingerprints
    case verification
    case errorSide = "error_side"
    case closing
    case passthrough
    case redaction

    /// It is one of the facts beside the messages. These are not on the line of stderr, and `--strict` ignores them.
    package var isDetail: Bool {
        switch self {
        case .flowID, .target, .chunkTimes, .messageTimes, .frames, .streamID, .settings, .connectionID, .clientAddress,
            .serverAddress,
            .mode,
            .tlsVersion, .tlsNames, .certificates, .fingerprints, .verification, .errorSide, .closing, .passthrough, .redaction:
            true
        default: false
        }
    }

    /// For sentences: `1 interim response`, `2 interim responses`.
    package func counted(_ count: Int) -> String {
        let (one, many) = nouns
        return "\(groupedDigits(count)) \(count == 1 ? one : many ?? one)"
    }

    private var nouns: (one: String, many: String?) {
        switch self {
        case .tcp: ("TCP", nil)
        case .tls: ("TLS", nil)
        case .noRequest: ("without a request", nil)
        case .connect: ("CONNECT", nil)
        case .noURL: ("without a valid URL", nil)
        case .headContent: ("HEAD with content", nil)
        case .argumentLength: ("with a value too long for an argument", nil)
        case .separator: ("with the separator line in the content", nil)
        case .noMessage: ("without bytes of that side", nil)
        case .http2AsHTTP1: ("HTTP/2 as HTTP/1.1", nil)
        case .http3: ("HTTP/3", nil)
        case .headBytes: ("head rewritten from its parts", "heads rewritten from their parts")
        case .fields: ("flow with fields that cannot be written", "flows with fields that cannot be written")
        case .interim: ("interim response", "interim responses")
        case .trailers: ("trailer section", "trailer sections")
        case .contentLength: ("framing fitted to the stored content", nil)
        case .contentCoding: ("content decoded", nil)
        case .largeContent: ("content too large", nil)
        case .fileContent: ("content that needs --bodies", nil)
        case .missingContent: ("content that is not in the recording", nil)
        case .damagedContent: ("damaged content", nil)
        case .incomplete: ("incomplete message", "incomplete messages")
        case .webSocket: ("WebSocket message", "WebSocket messages")
        case .pingPong: ("ping or pong", "pings and pongs")
        case .closeFrames: ("close frame", "close frames")
        case .upgradeData: ("stream after an upgrade", "streams after an upgrade")
        case .malformed: ("malformed part", "malformed parts")
        case .localReply: ("response of the recorder", "responses of the recorder")
        case .error: ("error", "errors")
        case .comment: ("comment", "comments")
        case .tags: ("tag", "tags")
        case .notes: ("note", "notes")
        case .flowID, .target, .chunkTimes, .messageTimes, .frames, .streamID, .settings, .connectionID, .clientAddress,
            .serverAddress,
            .mode,
            .tlsVersion, .tlsNames, .certificates, .fingerprints, .verification, .errorSide, .closing, .passthrough, .redaction:
            (rawValue, nil)
        }
    }

    /// For the table of the documentation.
    package var meaning: String {
        switch self {
        case .tcp: "a TCP flow"
        case .tls: "a TLS connection that failed"
        case .noRequest: "an HTTP flow without a request head"
        case .connect: "a CONNECT request"
        case .noURL: "a request without a URL that can be requested"
        case .headContent: "a HEAD request with content"
        case .argumentLength: "a value that is too long for an argument of a command"
        case .separator: "content with the line that separates records"
        case .noMessage: "no message of the side that is written"
        case .http2AsHTTP1: "heads of HTTP/2 and HTTP/3; changed: as heads of HTTP/1.1"
        case .http3: "HTTP/3 as the version of a request"
        case .headBytes: "white space and line ends of a head that are not the usual ones"
        case .fields: "fields that the format cannot contain"
        case .interim: "interim responses (1xx)"
        case .trailers: "trailers"
        case .contentLength: "fields that do not fit the stored content; changed: they fit"
        case .contentCoding: "content coding of the response; changed: removed"
        case .largeContent: "content above the limit of the format"
        case .fileContent: "content that is not text, or too long for a line"
        case .missingContent: "the mark of content that was not stored"
        case .damagedContent: "content that is damaged in the recording"
        case .incomplete: "the mark of a message that ended early"
        case .webSocket: "WebSocket messages"
        case .pingPong: "pings and pongs"
        case .closeFrames: "close frames"
        case .upgradeData: "data after a 101 or CONNECT that is not WebSocket"
        case .malformed: "bytes that could not be parsed"
        case .localReply: "a response of the recorder itself"
        case .error: "the error of a flow"
        case .comment: "the comment"
        case .tags: "tags"
        case .notes: "notes"
        case .flowID: "the flow's identifier"
        case .target: "where the request was sent: scheme, host and port"
        case .chunkTimes: "where and when each part of the content came"
        case .messageTimes: "when each message began and ended"
        case .frames: "frames and compressed sizes of WebSocket messages"
        case .streamID: "the number of the stream, or of the exchange on its connection"
        case .settings: "SETTINGS of HTTP/2"
        case .connectionID: "which flows shared a connection"
        case .clientAddress: "the client's address"
        case .serverAddress: "the server's address"
        case .mode: "the mode of the recorder"
        case .tlsVersion: "TLS version and cipher suite"
        case .tlsNames: "server name (SNI) and ALPN"
        case .certificates: "the server's certificates"
        case .fingerprints: "JA3 and JA4"
        case .verification: "whether the server was verified"
        case .errorSide: "which side caused an error"
        case .closing: "which side closed a connection, and how"
        case .passthrough: "how many bytes passed unread"
        case .redaction: "what redaction changed"
        }
    }
}

/// What a format does with a class.
package enum LossFate: String, Sendable {
    /// It is written, and read again as it was.
    case kept
    /// It is written in another form.
    case changed
    /// The flow is written without it.
    case lost
    /// A flow that has it is not written.
    case leftOut = "left out"
    /// The format is for something else, so its absence is not a loss: a command of curl has no response.
    case outside = "–"
}
