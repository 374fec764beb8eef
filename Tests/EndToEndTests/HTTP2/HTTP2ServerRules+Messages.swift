// RFC 9113 §8: requests that are malformed, and some that look so and are not.

private let text = Array("hello".utf8)

extension HTTP2ServerRule {
    /// A request of given fields, and a stream error if that is not allowed.
    private static func fields(
        _ name: String, _ fields: KeyValuePairs<String, String>, allows allowed: Set<HTTP2Verdict> = .malformed
    ) -> HTTP2ServerRule {
        HTTP2ServerRule(name, on: 1, .headers(1, fields), allows: allowed)
    }

    /// A good request with more fields.
    private static func with(
        _ name: String, _ fields: KeyValuePairs<String, String>, allows allowed: Set<HTTP2Verdict> = .malformed
    ) -> HTTP2ServerRule {
        HTTP2ServerRule(name, on: 1, .get(1, "/", fields), allows: allowed)
    }

    /// §8.1 and §8.1.1: the order of frames, and lengths.
    static let messages: [HTTP2ServerRule] = [
        HTTP2ServerRule(
            "§8.1: Trailers", on: 1, .post(1), .data(1, text), .headers(1, ["x-sum": "9"]), allows: .answered),
        HTTP2ServerRule("§8.1: Trailers without content", on: 1, .post(1), .headers(1, ["x-sum": "9"]), allows: .answered),
        HTTP2ServerRule(
            "§8.1: A second section that does not end the stream", on: 1, .post(1), .data(1, text),
            .headers(1, ["x-sum": "9"], end: false), allows: .malformed),
        HTTP2ServerRule(
            "§8.1: DATA behind trailers", on: 1, .post(1, "/never"), .headers(1, ["x-sum": "9"]), .data(1, text, end: true),
            allows: .stream(.streamClosed)),
        HTTP2ServerRule(
            "§8.1: Trailers with a pseudo-field", on: 1, .post(1), .data(1, text), .headers(1, ["x": "1", ":method": "GET"]),
            allows: .malformed),
        HTTP2ServerRule(
            "§8.1: Trailers with a pseudo-field first", on: 1, .post(1), .data(1, text), .headers(1, [":path": "/"]),
            allows: .malformed),
        HTTP2ServerRule(
            "§8.2.1: Trailers with an upper-case name", on: 1, .post(1), .data(1, text), .headers(1, ["X-Sum": "9"]),
            allows: .malformed),
        HTTP2ServerRule(
            "§8.1.1: Content shorter than its length says", on: 1, .post(1, "/", ["content-length": "6"]),
            .data(1, text, end: true),
            allows: .malformed),
        HTTP2ServerRule(
            "§8.1.1: Content longer than its length says", on: 1, .post(1, "/", ["content-length": "4"]), .data(1, text, end: true),
            allows: .malformed),
        HTTP2ServerRule(
            "§8.1.1: Content in two frames longer than its length says", on: 1, .post(1, "/", ["content-length": "9"]),
            .data(1, text),
            .data(1, text, end: true), allows: .malformed),
        HTTP2ServerRule(
            "§8.1.1: Content shorter than its length says, and trailers", on: 1, .post(1, "/", ["content-length": "6"]),
            .data(1, text),
            .headers(1, ["x-sum": "9"]), allows: .malformed),
        HTTP2ServerRule(
            "§8.1.1: A length without content", on: 1,
            .headers(1, block: HPACK.request("POST") + HPACK.block(["content-length": "5"])),
            allows: .malformed),
        HTTP2ServerRule(
            "§8.1.1: The right length, with padding", on: 1, .post(1, "/", ["content-length": "10"]), .data(1, text, padding: 20),
            .data(1, text, end: true), allows: .answered),
        with("§8.1.1: A length of none, and none", ["content-length": "0"], allows: .answered),
        with("RFC 9110 §8.6: Two lengths that differ", ["content-length": "0", "content-length": "1"]),
        with("RFC 9110 §8.6: A length that is no number", ["content-length": "five"]),
        with("RFC 9110 §8.6: A negative length", ["content-length": "-1"]),
        with("RFC 9110 §8.6: A length beyond 2⁶⁴", ["content-length": "18446744073709551616"]),
        with("RFC 9110 §8.6: A length in hexadecimal", ["content-length": "0x0"]),
        HTTP2ServerRule("§8.1: A section of no field", on: 1, .headers(1, block: []), allows: .malformed),
        HTTP2ServerRule(
            "§8.1: A request that its client resets says nothing more", on: 1, .post(1), .data(1, text), .reset(1), allows: .ignored
        ),
        HTTP2ServerRule(
            "§6.10: A section in eight pieces, some of them empty", on: 1,
            .headers(1, block: [], endHeaders: false), .continuation(1, block: [], endHeaders: false),
            .continuation(1, block: Array(HPACK.request().prefix(1)), endHeaders: false),
            .continuation(1, block: Array(HPACK.request()[1..<20]), endHeaders: false),
            .continuation(1, block: Array(HPACK.request()[20..<21]), endHeaders: false),
            .continuation(1, block: [], endHeaders: false),
            .continuation(1, block: Array(HPACK.request()[21...]), endHeaders: false), .continuation(1, block: []),
            allows: .answered),
    ]

    /// §8.2: fields.
    static let fields: [HTTP2ServerRule] = [
        with("§8.2: An upper-case name", ["X-Test": "1"]),
        with("§8.2.1: A name with a space", ["x test": "1"]),
        with("§8.2.1: A name with NUL", ["x\u{0}test": "1"]),
        with("§8.2.1: A name with DEL", ["x\u{7F}": "1"]),
        with("§8.2.1: A name with a line feed", ["x\ntest": "1"]),
        with("§8.2.1: A name beyond ASCII", ["ä": "1"]),
        with("§8.2.1: A name with a colon", ["x:y": "1"]),
        with("§8.2.1: A name of no octet", ["": "1"]),
        with("§8.2.1: A value with NUL", ["x": "a\u{0}b"]),
        with("§8.2.1: A value with a line feed", ["x": "a\nb"]),
        with("§8.2.1: A value with a carriage return", ["x": "a\rb"]),
        with("§8.2.1: A value with a whole request inside", ["x": "a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n"]),
        // Malformed by the letter; clear all the same, and nghttp2 leaves it to its user.
        with("§8.2.1: A value that begins with a space", ["x": " a"], allows: .malformed | .answered),
        with("§8.2.1: A value that ends with a tab", ["x": "a\t"], allows: .malformed | .answered),
        with("§8.2.1: A value of no octet, and one beyond ASCII", ["x": "", "y": "é\u{80}"], allows: .answered),
        with("§8.2.2: Connection", ["connection": "keep-alive"]),
        with("§8.2.2: Connection: close", ["connection": "close"]),
        with("§8.2.2: Keep-Alive", ["keep-alive": "timeout=5"]),
        with("§8.2.2: Proxy-Connection", ["proxy-connection": "keep-alive"]),
        with("§8.2.2: Transfer-Encoding", ["transfer-encoding": "chunked"]),
        with("§8.2.2: Upgrade", ["upgrade": "foo"]),
        with("§8.2.2: TE other than trailers", ["te": "trailers, deflate"]),
        with("§8.2.2: TE: gzip", ["te": "gzip"]),
        with("§8.2.2: TE: trailers", ["te": "trailers"], allows: .answered),
        with("§8.2.3: Crumbs of a cookie", ["cookie": "a=1", "cookie": "b=2"], allows: .answered),
        with("§8.2: Names of all token characters", ["a!#$%&'*+-.^_`|~09z": "1"], allows: .answered),
    ]

    /// §8.3 and §8.5.
    static let pseudoFields: [HTTP2ServerRule] = [
        fields("§8.3: An unknown pseudo-field", [":method": "GET", ":scheme": "http", ":path": "/", ":authority": "a", ":x": "1"]),
        fields("§8.3: A pseudo-field of responses", [":status": "200", ":method": "GET", ":scheme": "http", ":path": "/"]),
        fields("§8.3: A pseudo-field behind a field", [":method": "GET", ":scheme": "http", "x": "1", ":path": "/"]),
        fields("§8.3.1: No :method", [":scheme": "http", ":path": "/", ":authority": "a"]),
        fields("§8.3.1: No :scheme", [":method": "GET", ":path": "/", ":authority": "a"]),
        fields("§8.3.1: No :path", [":method": "GET", ":scheme": "http", ":authority": "a"]),
        fields("§8.3.1: An empty :path", [":method": "GET", ":scheme": "http", ":path": "", ":authority": "a"]),
        fields("§8.3.1: An empty :method", [":method": "", ":scheme": "http", ":path": "/", ":authority": "a"]),
        fields("§8.3.1: An empty :scheme", [":method": "GET", ":scheme": "", ":path": "/", ":authority": "a"]),
        fields("§8.3: Two :method", [":method": "GET", ":method": "GET", ":scheme": "http", ":path": "/"]),
        fields("§8.3: Two :scheme", [":method": "GET", ":scheme": "http", ":scheme": "http", ":path": "/"]),
        fields("§8.3: Two :path", [":method": "GET", ":scheme": "http", ":path": "/", ":path": "/"]),
        fields("§8.3: Two :authority", [":method": "GET", ":scheme": "http", ":path": "/", ":authority": "a", ":authority": "a"]),
        fields("§8.3.1: A :method with a space", [":method": "GET /x", ":scheme": "http", ":path": "/", ":authority": "a"]),
        fields("§8.3.1: A :method with a line end", [":method": "GET\r\n", ":scheme": "http", ":path": "/", ":authority": "a"]),
        fields("§8.3.1: A :path with a space", [":method": "GET", ":scheme": "http", ":path": "/ HTTP/1.1", ":authority": "a"]),
        fields("§8.3.1: A :path with a line end", [":method": "GET", ":scheme": "http", ":path": "/\r\nX: y", ":authority": "a"]),
        fields(
            "§8.3.1: A :path that begins with no slash", [":method": "GET", ":scheme": "http", ":path": "x", ":authority": "a"]),
        fields(
            "§8.3.1: An :authority with a line end", [":method": "GET", ":scheme": "http", ":path": "/", ":authority": "a\r\nX: y"]),
        // What a client must not say, but a server need not look for.
        fields(
            "§8.3.1: An :authority with a user", [":method": "GET", ":scheme": "http", ":path": "/", ":authority": "u@a"],
            allows: .malformed | .answered),
        fields(
            "§8.3.1: A Host that differs from :authority",
            [":method": "GET", ":scheme": "http", ":path": "/", ":authority": "a", "host": "b"], allows: .malformed | .answered),
        fields(
            "§8.3.1: Neither Host nor :authority", [":method": "GET", ":scheme": "http", ":path": "/"],
            allows: .malformed | .answered),
        fields(
            "§8.3.1: Host instead of :authority", [":method": "GET", ":scheme": "http", ":path": "/", "host": "a"],
            allows: .answered),
        fields(
            "§8.3.1: OPTIONS for the server", [":method": "OPTIONS", ":scheme": "http", ":path": "*", ":authority": "a"],
            allows: .answered),
        fields(
            "§8.3.1: Pseudo-fields in another order", [":path": "/", ":authority": "a", ":scheme": "http", ":method": "GET"],
            allows: .answered),
        fields(
            "§8.3.1: An unknown method", [":method": "M-SEARCH", ":scheme": "http", ":path": "/", ":authority": "a"],
            allows: .answered),
        fields(
            "§8.5: CONNECT with :scheme and :path", [":method": "CONNECT", ":scheme": "http", ":path": "/", ":authority": "a:1"]),
        fields("§8.5: CONNECT without :authority", [":method": "CONNECT"]),
        fields(
            "RFC 8441 §4: :protocol without CONNECT",
            [":method": "GET", ":protocol": "websocket", ":scheme": "http", ":path": "/", ":authority": "a"]),
    ]
}
