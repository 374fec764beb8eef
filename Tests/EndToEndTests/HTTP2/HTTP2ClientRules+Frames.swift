// A server's connection: what may begin it, and frames that must not come or must not look so (RFC 9113 §3 to §6).

private typealias Kind = HTTP2Frame.Kind
private typealias Flag = HTTP2Frame.Flag
private typealias Setting = HTTP2Setting

private let head = HTTP2Frame.headers(1, [":status": "200"], end: false)
private let whole = [head, HTTP2Frame.data(1, "ok", end: true)]
private let large = [UInt8](repeating: 0x78, count: 16385)
private let anyEnd: Set<HTTP2Verdict> = .connection(.protocolError, .frameSizeError, .internalError) | [.closed]

extension HTTP2ClientRule {
    /// Content that was under way when the error came, perhaps the head as well, may be lost with it.
    private static let failed: Set<Answer> = .badGateway | .cut

    /// §3.4 and §6.5.
    static let openings: [HTTP2ClientRule] = [
        opening("§3.4: A server that speaks HTTP/1", Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8), server: anyEnd),
        opening("§3.4: A server that speaks something else", Array("220 mail.example ESMTP\r\n".utf8), server: anyEnd),
        opening("§3.4: A server that speaks TLS", [0x15, 0x03, 0x01, 0, 2, 2, 0x28, 0, 0, 0], server: anyEnd),
        opening(
            "§3.4: PING before SETTINGS", HTTP2Frame.ping().bytes + HTTP2Frame.settings().bytes, server: .connection(.protocolError)
        ),
        opening(
            "§3.4: An acknowledgement before SETTINGS", HTTP2Frame.settingsAcknowledgement.bytes,
            server: .connection(.protocolError)),
        opening("§3.4: A connection that ends at once", [], closes: true, server: []),
        opening("§3.4: A connection that ends behind SETTINGS", HTTP2Frame.settings().bytes, closes: true, server: []),
        opening("§6.5: SETTINGS on a stream", HTTP2Frame.settings().with(stream: 1).bytes, server: .connection(.protocolError)),
        opening(
            "§6.5: SETTINGS of five octets", HTTP2Frame.settings().with(payload: [0, 3, 0, 0, 0]).bytes,
            server: .connection(.frameSizeError)),
        opening(
            "§6.5.2: INITIAL_WINDOW_SIZE 2³¹", HTTP2Frame.settings([Setting.initialWindowSize: 1 << 31]).bytes,
            server: .connection(.flowControlError)),
        opening(
            "§6.5.2: MAX_FRAME_SIZE 100", HTTP2Frame.settings([Setting.maximumFrameSize: 100]).bytes,
            server: .connection(.protocolError)),
        opening(
            "§6.5.2: ENABLE_PUSH 2", HTTP2Frame.settings([Setting.enablePush: 2]).bytes, server: .connection(.protocolError)),
        opening(
            "§6.5.2: ENABLE_PUSH 1 from a server", HTTP2Frame.settings([Setting.enablePush: 1]).bytes,
            server: .connection(.protocolError)),
        HTTP2ClientRule(
            "§6.5.2: Unknown settings", opening: HTTP2Frame.settings([0x99: 1, 0xFFFF: 2]).bytes, frames: whole, server: .ignored,
            client: .ok),
        HTTP2ClientRule("§6.5.3: SETTINGS that are not acknowledged", frames: whole, server: .ignored, client: .ok),
        HTTP2ClientRule(
            "§6.5.2: Two SETTINGS, the second with a table of none",
            opening: HTTP2Frame.settings().bytes
                + HTTP2Frame.settings([Setting.headerTableSize: 0]).bytes, frames: whole, server: .ignored, client: .ok),
        HTTP2ClientRule(
            "§6.5.2: A window of none at first", opening: HTTP2Frame.settings([Setting.initialWindowSize: 0]).bytes, frames: whole,
            server: .ignored, client: .ok),
        HTTP2ClientRule(
            "§6.8: GOAWAY before there is a stream", opening: HTTP2Frame.settings().bytes + HTTP2Frame.goAway(last: 0).bytes,
            frames: whole, server: [], client: .badGateway | [.reset(.refusedStream)]),
    ]

    private static func connectionError(
        _ name: String, _ frames: HTTP2Frame..., codes: HTTP2Code..., client: Set<Answer> = .badGateway
    ) -> HTTP2ClientRule {
        HTTP2ClientRule(name, frames: frames, server: Set(codes.map { .connectionError($0) }), client: client)
    }

    /// Frames that end the connection.
    static let connectionFrames: [HTTP2ClientRule] = [
        connectionError("§4.2: HEADERS larger than the largest size", .headers(1, block: large), codes: .frameSizeError),
        connectionError(
            "§4.2: An unknown frame larger than the largest size", HTTP2Frame(type: 0x42, stream: 1, payload: large),
            codes: .frameSizeError),
        connectionError(
            "§4.3: PING in the middle of a section", .headers(1, block: [0x88], endHeaders: false), .ping(), codes: .protocolError),
        connectionError(
            "§5.5: An unknown frame in the middle of a section", .headers(1, block: [0x88], endHeaders: false),
            HTTP2Frame(type: 0x42, stream: 1), codes: .protocolError),
        connectionError("§5.1: DATA on an idle stream", .data(99, "x"), codes: .protocolError),
        connectionError("§5.1: HEADERS on an idle stream", .headers(99, [":status": "200"]), codes: .protocolError),
        connectionError("§5.1: RST_STREAM on an idle stream", .reset(99), codes: .protocolError),
        connectionError("§5.1: WINDOW_UPDATE on an idle stream", .windowUpdate(99, 1), codes: .protocolError),
        connectionError("§5.1.1: HEADERS on a stream of the server", .headers(2, [":status": "200"]), codes: .protocolError),
        connectionError("§5.1.1: DATA on a stream of the server", .data(2, "x"), codes: .protocolError),
        connectionError("§6.1: DATA on stream 0", .data(0, "x"), codes: .protocolError),
        connectionError(
            "§6.1: DATA with more padding than there is", head, .data(1).with(payload: [9, 1]).with(flags: Flag.padded),
            codes: .protocolError, client: failed),
        connectionError("§6.2: HEADERS on stream 0", .headers(0, [":status": "200"]), codes: .protocolError),
        connectionError(
            "§6.2: HEADERS with more padding than there is", .headers(1, block: [9, 0x88]).with(flags: 0x0D), codes: .protocolError),
        connectionError("§6.3: PRIORITY on stream 0", .priority(0), codes: .protocolError),
        connectionError("§6.4: RST_STREAM on stream 0", .reset(0), codes: .protocolError),
        connectionError("§6.4: RST_STREAM of five octets", .reset(1).with(payload: [0, 0, 0, 8, 0]), codes: .frameSizeError),
        connectionError("§6.5: An acknowledgement with content", .settings([3: 1]).with(flags: 1), codes: .frameSizeError),
        connectionError(
            "§6.6: PUSH_PROMISE although push is off",
            .pushPromise(1, promised: 2, [":method": "GET", ":scheme": "http", ":path": "/", ":authority": "a"]),
            codes: .protocolError),
        connectionError(
            "§6.6: PUSH_PROMISE of a client's stream", .pushPromise(1, promised: 3, [":method": "GET"]), codes: .protocolError),
        connectionError("§6.7: PING on a stream", .ping().with(stream: 1), codes: .protocolError),
        connectionError("§6.7: PING of nine octets", .ping([1, 2, 3, 4, 5, 6, 7, 8, 9]), codes: .frameSizeError),
        connectionError("§6.8: GOAWAY on a stream", .goAway(last: 1).with(stream: 1), codes: .protocolError),
        connectionError("§6.8: GOAWAY of four octets", .goAway(last: 1).with(payload: [0, 0, 0, 1]), codes: .frameSizeError),
        connectionError("§6.9: WINDOW_UPDATE of 0 for the connection", .windowUpdate(0, 0), codes: .protocolError),
        connectionError(
            "§6.9: WINDOW_UPDATE of three octets", .windowUpdate(1, 0).with(payload: [0, 0, 1]), codes: .frameSizeError),
        connectionError("§6.9.1: A window of the connection beyond 2³¹-1", .windowUpdate(0, 0x7FFF_FFFF), codes: .flowControlError),
        connectionError("§6.10: CONTINUATION of nothing", .continuation(1, block: [0x88]), codes: .protocolError),
        connectionError("§6.10: CONTINUATION on stream 0", .continuation(0, block: [0x88]), codes: .protocolError),
        connectionError(
            "RFC 7541 §2.3.3: An index beyond both tables", .headers(1, block: [0x88, 0xC6]), codes: .compressionError),
        connectionError("RFC 7541 §6.1: Index 0", .headers(1, block: [0x88, 0x80]), codes: .compressionError),
        connectionError("RFC 7541 §4.2: A table size behind a field", .headers(1, block: [0x88, 0x20]), codes: .compressionError),
        connectionError(
            "RFC 7541 §6.3: A table size beyond what was allowed", .headers(1, block: HPACK.tableSize(1 << 24) + [0x88]),
            codes: .compressionError),
        connectionError(
            "RFC 7541 §5.2: The end-of-string symbol in a string",
            .headers(1, block: [0x88, 0x00, 0x01, 0x78] + HPACK.codedString([0xFF, 0xFF, 0xFF, 0xFF])), codes: .compressionError),
        connectionError(
            "RFC 7541 §5.2: A string longer than the block", .headers(1, block: [0x88, 0x00, 0x01, 0x78, 0x7F]),
            codes: .compressionError),
        connectionError(
            "RFC 7541: Trailers that cannot be decoded", head, .data(1, "o"), .headers(1, block: [0x80]), codes: .compressionError,
            client: failed),
    ]
}
