// A server's responses: what is no response fails its stream, what is merely odd passes (RFC 9113 §8).

private typealias Kind = HTTP2Frame.Kind
private typealias Flag = HTTP2Frame.Flag

private let head = HTTP2Frame.headers(1, [":status": "200"], end: false)
private let whole = [head, HTTP2Frame.data(1, "ok", end: true)]

extension HTTP2ClientRule {
    /// A response of which nothing can be passed on.
    private static func malformed(_ name: String, _ fields: KeyValuePairs<String, String>) -> HTTP2ClientRule {
        HTTP2ClientRule(name, .headers(1, fields, end: true), server: .stream(.protocolError), client: .badGateway)
    }

    /// A response that goes wrong behind its head.
    private static func breaks(_ name: String, _ frames: HTTP2Frame...) -> HTTP2ClientRule {
        HTTP2ClientRule(name, frames: [head] + frames, server: .stream(.protocolError), client: .cut)
    }

    /// A response that passes.
    private static func passes(
        _ name: String, request: HTTP2Frame = .get(1, "/bad"), _ frames: HTTP2Frame..., as answers: String...
    ) -> HTTP2ClientRule {
        HTTP2ClientRule(name, request: request, frames: frames, server: .ignored, client: Set(answers.map { .whole($0) }))
    }

    static let malformedResponses: [HTTP2ClientRule] = [
        HTTP2ClientRule(
            "§8.1: DATA before HEADERS", .data(1, "ok", end: true), server: .stream(.protocolError), client: .badGateway),
        HTTP2ClientRule(
            "§8.1: DATA between an interim response and the final one", .headers(1, [":status": "103"], end: false), .data(1, "ok"),
            server: .stream(.protocolError), client: .badGateway),
        HTTP2ClientRule(
            "§8.1: A section of no field", .headers(1, block: []), server: .stream(.protocolError), client: .badGateway),
        malformed("§8.3.2: No :status", ["server": "x"]),
        malformed("§8.3.2: A :status of letters", [":status": "abc"]),
        malformed("§8.3.2: A :status of two digits", [":status": "20"]),
        malformed("§8.3.2: A :status of four digits", [":status": "2000"]),
        malformed("§8.3.2: An empty :status", [":status": ""]),
        malformed("§8.3: Two :status", [":status": "200", ":status": "200"]),
        malformed("§8.3: :status behind a field", ["server": "x", ":status": "200"]),
        malformed("§8.3: A pseudo-field of requests", [":status": "200", ":path": "/"]),
        malformed("§8.3: A pseudo-field with another status in capitals", [":status": "200", ":Status": "404"]),
        malformed("§8.3: An unknown pseudo-field behind a field", [":status": "200", "x": "1", ":y": "1"]),
        malformed("§8.3: An unknown pseudo-field with a line end", [":status": "200", ":x": "a\r\nb"]),
        malformed("§8.2.1: A name with a space", [":status": "200", "x y": "1"]),
        malformed("§8.2.1: A name with a line end", [":status": "200", "x\r\ny": "1"]),
        malformed("§8.2.1: A name with a colon", [":status": "200", "x:y": "1"]),
        malformed("§8.2.1: A name of no octet", [":status": "200", "": "1"]),
        malformed("§8.2.1: A value with NUL", [":status": "200", "x": "a\u{0}b"]),
        malformed("§8.2.1: A value with a line end", [":status": "200", "x": "a\r\nset-cookie: b"]),
        malformed("RFC 9110 §8.6: Two lengths that differ", [":status": "200", "content-length": "1", "content-length": "2"]),
        malformed("RFC 9110 §8.6: A length that is no number", [":status": "200", "content-length": "ten"]),
        malformed("§8.6: 101 means nothing in HTTP/2", [":status": "101"]),
        malformed("§8.1: An interim response that ends the stream", [":status": "103"]),
        breaks("§8.1: An interim response behind the head", .headers(1, [":status": "103"], end: false)),
        breaks("§8.1: A second head", .headers(1, [":status": "200"], end: true)),
        breaks("§8.1: Trailers that do not end the stream", .headers(1, ["x-sum": "9"], end: false)),
        breaks("§8.1: Trailers with a pseudo-field of requests", .data(1, "o"), .headers(1, ["x": "1", ":path": "/"])),
        breaks("§8.2.1: Trailers with a line end in a value", .data(1, "o"), .headers(1, ["x": "1\r\n\r\n"])),
        HTTP2ClientRule(
            "§6.9: WINDOW_UPDATE of 0 for a stream", .windowUpdate(1, 0), server: .stream(.protocolError), client: .badGateway),
        HTTP2ClientRule(
            "§6.9: WINDOW_UPDATE of 0 for a stream whose response has begun", head, .windowUpdate(1, 0),
            server: .stream(.protocolError), client: .cut),
        HTTP2ClientRule(
            "§6.3: PRIORITY of four octets", .priority(1).with(payload: [0, 0, 0, 0]), server: .stream(.frameSizeError),
            client: .badGateway),
        HTTP2ClientRule(
            "§6.9.1: A window of a stream beyond 2³¹-1", .windowUpdate(1, 0x7FFF_FFFF), server: .stream(.flowControlError),
            client: .badGateway),
        HTTP2ClientRule(
            "§4.2: DATA larger than the largest size", head, .data(1, [UInt8](repeating: 0, count: 16385)),
            server: .either(.frameSizeError), client: .badGateway | .cut),
    ]

    /// The server gives up.
    static let ends: [HTTP2ClientRule] = [
        // A choice where nothing had begun: the reset is passed on, or told as 502.
        HTTP2ClientRule(
            "§6.4: RST_STREAM instead of a response", .reset(1, .internalError), server: .ignored,
            client: .badGateway | [.reset(.internalError)]),
        HTTP2ClientRule(
            "§7: REFUSED_STREAM instead of a response", .reset(1, .refusedStream), server: [],
            client: .badGateway | [.reset(.refusedStream)]),
        HTTP2ClientRule(
            "§7: An unknown code in RST_STREAM", .reset(1).with(payload: [0, 0, 0xFF, 0]), server: .ignored,
            client: .badGateway | [.reset(.internalError), .reset(HTTP2Code(rawValue: 0xFF00))]),
        HTTP2ClientRule(
            "§6.4: RST_STREAM in the middle of a response", head, .data(1, "o"), .reset(1), server: .ignored, client: .cut),
        HTTP2ClientRule(
            "§8.1: RST_STREAM without an error behind a whole response", frames: whole + [.reset(1, .noError)], server: .ignored,
            client: .ok),
        HTTP2ClientRule("The connection ends instead of a response", closes: true, server: [], client: .badGateway),
        HTTP2ClientRule(
            "The connection ends in the middle of a response", head, .data(1, "o"), closes: true, server: [], client: .cut),
        HTTP2ClientRule(
            "The connection ends in the middle of a frame", head, .data(1, "o").with(declaredLength: 9), closes: true, server: [],
            client: .cut),
        HTTP2ClientRule(
            "The connection ends in the middle of a section", .headers(1, block: [0x88], endHeaders: false), closes: true,
            server: [],
            client: .badGateway),
        HTTP2ClientRule(
            "§6.8: GOAWAY that knows the stream, and its response", frames: [.goAway(last: 1)] + whole, server: [], client: .ok),
        HTTP2ClientRule(
            "§6.8: GOAWAY that does not know the stream", .goAway(last: 0), server: [],
            client: .badGateway | [.reset(.refusedStream)]),
        HTTP2ClientRule(
            "§6.8: GOAWAY with an error, and the end", .goAway(last: 1, .internalError), closes: true, server: [],
            client: .badGateway | [.reset(.internalError)]),
    ]

    /// What browsers take, or what the RFC allows though it is rare.
    static let oddResponses: [HTTP2ClientRule] = [
        passes(
            "§8.2: Upper-case names pass in lower case", .headers(1, [":status": "200", "X-Upper": "Yes"]), as: "200 x-upper: Yes"),
        // RFC 9113 §8.2.2 calls them malformed; servers send them, and browsers look away.
        passes(
            "§8.2.2: Connection is taken out", .headers(1, [":status": "200", "connection": "close", "x": "1"]), as: "200 x: 1"),
        passes("§8.2.2: Keep-Alive is taken out", .headers(1, [":status": "200", "keep-alive": "timeout=5"]), as: "200"),
        passes("§8.2.2: Proxy-Connection is taken out", .headers(1, [":status": "200", "proxy-connection": "close"]), as: "200"),
        passes("§8.2.2: Upgrade is taken out", .headers(1, [":status": "200", "upgrade": "h2c"]), as: "200"),
        passes(
            "§8.2.2: Transfer-Encoding is taken out", .headers(1, [":status": "200", "transfer-encoding": "chunked"], end: false),
            .data(1, "ok", end: true), as: "200 <ok>"),
        passes(
            "§8.1.1: A length that is one too large", .headers(1, [":status": "200", "content-length": "3"], end: false),
            .data(1, "ok", end: true), as: "200 content-length: 3 <ok>", "200 <ok>"),
        passes(
            "§8.1.1: A length that is one too small", .headers(1, [":status": "200", "content-length": "1"], end: false),
            .data(1, "ok", end: true), as: "200 content-length: 1 <ok>", "200 <ok>"),
        passes(
            "§8.2.1: White space around a value", .headers(1, [":status": "200", "x": " a\t"]), as: "200 x:  a\t"),
        passes("§8.2.1: A value beyond ASCII", .headers(1, [":status": "200", "x": "é"]), as: "200 x: é"),
        passes(
            "§8.1.1: DATA on a response to HEAD is dropped", request: .headers(1, block: HPACK.request("HEAD", "/bad")), head,
            .data(1, "ok", end: true), as: "200"),
        passes(
            "§8.1.1: A length on a response to HEAD", request: .headers(1, block: HPACK.request("HEAD", "/bad")),
            .headers(1, [":status": "200", "content-length": "1000"]), as: "200 content-length: 1000"),
        passes("§8.1.1: 304 with a length", .headers(1, [":status": "304", "content-length": "99"]), as: "304 content-length: 99"),
        passes(
            "RFC 9110 §15.3.5: DATA on 204", .headers(1, [":status": "204"], end: false), .data(1, "ok", end: true),
            // They may be forwarded to a client of HTTP/2: the end of the message is clear.
            as: "204", "204 <ok>"),
        passes(
            "§8.3: A reason phrase in a pseudo-field is taken out",
            .headers(1, [":status": "200", ":reason": "Fine", ":x": "", "y": "1"]), as: "200 y: 1"),
        passes(
            "§8.3: An unknown pseudo-field before the status, and in an interim response",
            .headers(1, [":x": "1", ":status": "103", "link": "</s>"], end: false),
            .headers(1, [":reason": "OK", ":status": "200", "y": "1"]), as: "103 link: </s>; 200 y: 1"),
        passes("§8.3.2: A reason phrase behind the status", .headers(1, [":status": "200 OK", "x": "1"]), as: "200 x: 1"),
        passes("§8.3.2: An unknown status", .headers(1, [":status": "799"]), as: "799"),
        passes(
            "§8.1: Interim responses", .headers(1, [":status": "100"], end: false),
            .headers(1, [":status": "103", "link": "</s>"], end: false), head, .data(1, "ok", end: true),
            as: "100; 103 link: </s>; 200 <ok>"),
        passes("§8.1: Trailers", head, .data(1, "ok"), .headers(1, ["x-sum": "9"]), as: "200 <ok> x-sum: 9"),
        passes("§8.1: Trailers without content", head, .headers(1, ["x-sum": "9"]), as: "200 x-sum: 9"),
        passes(
            "§8.2.1: Trailers with an upper-case name", head, .data(1, "ok"), .headers(1, ["X-Sum": "9"]), as: "200 <ok> x-sum: 9"),
        passes(
            "§6.1: Padding, and empty DATA", head, .data(1), .data(1, Array("ok".utf8), padding: 200),
            .data(1, end: true, padding: 0), as: "200 <ok>"),
        passes(
            "§6.2: HEADERS with padding and priority", .headers(1, block: [0x88], end: false, padding: 7, dependency: 3),
            .data(1, "ok", end: true), as: "200 <ok>"),
        passes(
            "§6.10: A head in three pieces", .headers(1, block: [], end: false, endHeaders: false),
            .continuation(1, block: [0x88], endHeaders: false), .continuation(1, block: []), .data(1, "ok", end: true),
            as: "200 <ok>"),
        passes(
            "§4.1: Unknown frames, undefined flags and reserved bits", HTTP2Frame(type: 0xEE, flags: 0xFF, stream: 1, payload: [1]),
            head.withReservedBit, HTTP2Frame(type: 0x0A, payload: [0, 1, 0x61]), .data(1, "ok").with(flags: 0xF7), as: "200 <ok>"),
        passes("§6.3: PRIORITY from a server", .priority(1), .priority(7), head, .data(1, "ok", end: true), as: "200 <ok>"),
        passes(
            "§6.7: An unsolicited acknowledgement", .ping(acknowledges: true), head, .data(1, "ok", end: true),
            as: "200 <ok>"),
        passes(
            "RFC 7541: A table that is made smaller, and larger",
            .headers(1, block: HPACK.tableSize(0) + HPACK.tableSize(4096) + [0x88]),
            as: "200"),
        // RFC 9113 §5.1: late frames on a closed stream; the response was whole.
        HTTP2ClientRule(
            "§5.1: DATA behind the end", frames: whole + [.data(1, "more", end: true)],
            server: .either(.streamClosed) | .connection(.protocolError) | .ignored, client: .ok),
        HTTP2ClientRule(
            "§6.1: DATA with more padding than there is after the end",
            frames: whole + [HTTP2Frame.data(1).with(payload: [9, 1]).with(flags: HTTP2Frame.Flag.padded)],
            server: .connection(.protocolError), client: .ok),
        HTTP2ClientRule(
            "§5.1: HEADERS behind the end", frames: whole + [.headers(1, ["x": "1"])],
            server: .either(.streamClosed) | .connection(.protocolError) | .ignored, client: .ok),
        HTTP2ClientRule(
            "§5.1: WINDOW_UPDATE and PRIORITY behind the end", frames: whole + [.windowUpdate(1, 1), .priority(1)],
            server: .ignored, client: .ok),
    ]
}
