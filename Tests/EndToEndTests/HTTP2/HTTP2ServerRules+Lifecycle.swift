// RFC 9113 §5.1: what may come on a stream in which state.

private let text = Array("hello".utf8)
private let good = HPACK.request()

extension HTTP2ServerRule {
    static let lifecycle: [HTTP2ServerRule] = idle + halfClosed + closed + identifiers

    private static let idle: [HTTP2ServerRule] = [
        HTTP2ServerRule("§5.1 idle: DATA", .data(1, text, end: true), allows: .connection(.protocolError)),
        HTTP2ServerRule("§5.1 idle: RST_STREAM", .reset(1), allows: .connection(.protocolError)),
        HTTP2ServerRule("§5.1 idle: WINDOW_UPDATE", .windowUpdate(1, 100), allows: .connection(.protocolError)),
        HTTP2ServerRule("§5.1 idle: CONTINUATION", .continuation(1, block: good), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§5.1 idle: WINDOW_UPDATE on a stream of the server", .windowUpdate(2, 100), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§5.1 idle: DATA on a stream of the server", .data(2, text), allows: .connection(.protocolError)),
    ]

    /// The client has ended the stream, and the answer does not come.
    private static let halfClosed: [HTTP2ServerRule] = [
        HTTP2ServerRule(
            "§5.1 half-closed (remote): DATA", on: 1, .get(1, "/never"), .data(1, text, end: true),
            allows: .stream(.streamClosed)),
        HTTP2ServerRule(
            "§5.1 half-closed (remote): DATA that ends nothing", on: 1, .get(1, "/never"), .data(1, text), .data(1, text),
            allows: .stream(.streamClosed)),
        HTTP2ServerRule(
            "§5.1 half-closed (remote): DATA behind a request that was malformed", on: 1, .headers(1, ["x": "1"]), .data(1, text),
            allows: .stream(.protocolError)),
        HTTP2ServerRule(
            "§5.1 half-closed (remote): HEADERS", on: 1, .get(1, "/never"), .headers(1, ["x-trailer": "1"]),
            allows: .stream(.streamClosed)),
        HTTP2ServerRule(
            "§5.1 half-closed (remote): HEADERS and CONTINUATION", on: 1, .get(1, "/never"),
            .headers(1, block: [], endHeaders: false), .continuation(1, block: HPACK.block(["x": "1"])),
            allows: .stream(.streamClosed)),
        HTTP2ServerRule(
            "RFC 9113 §4.3: The table counts fields that come after the end", on: 3, .get(1, "/never"),
            .headers(1, block: HPACK.block(["x-kept": "1"], indexing: .incremental)),
            .headers(3, block: good + HPACK.indexed(62)), allows: .answered),
        HTTP2ServerRule(
            "§5.1 half-closed (remote): CONTINUATION", on: 1, .get(1, "/never"), .continuation(1, block: []),
            allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§5.1 half-closed (remote): WINDOW_UPDATE and PRIORITY", on: 1, .get(1), .windowUpdate(1, 5), .priority(1),
            allows: .answered),
        HTTP2ServerRule("§5.1 half-closed (remote): RST_STREAM", on: 1, .get(1, "/never"), .reset(1), allows: .ignored),
    ]

    private static let closed: [HTTP2ServerRule] = [
        HTTP2ServerRule(
            "§5.1 closed by the client's reset: DATA", on: 1, .post(1, "/never"), .reset(1), .data(1, text, end: true),
            allows: .stream(.streamClosed)),
        HTTP2ServerRule(
            "§5.1 closed by the client's reset: HEADERS", on: 1, .post(1, "/never"), .reset(1), .headers(1, ["x": "1"]),
            allows: .either(.streamClosed)),
        HTTP2ServerRule(
            "§5.1 closed by the client's reset: CONTINUATION", on: 1, .post(1, "/never"), .reset(1), .continuation(1, block: []),
            allows: .connection(.protocolError, .streamClosed)),
        HTTP2ServerRule(
            "§5.1 closed by the client's reset: WINDOW_UPDATE, RST_STREAM and PRIORITY", on: 1, .post(1, "/never"), .reset(1),
            .windowUpdate(1, 9), .reset(1), .priority(1), allows: .ignored),
        HTTP2ServerRule(
            "§5.1 closed by both ends: DATA", steps: [.send(.get(1)), .answer(1), .send(.data(1, text, end: true))],
            allows: .connection(.streamClosed)),
        HTTP2ServerRule(
            "§5.1 closed by both ends: HEADERS", steps: [.send(.get(1)), .answer(1), .send(.get(1))],
            allows: .connection(.streamClosed)),
        HTTP2ServerRule(
            "§5.1 closed by both ends: CONTINUATION", steps: [.send(.get(1)), .answer(1), .send(.continuation(1, block: []))],
            allows: .connection(.protocolError, .streamClosed)),
        HTTP2ServerRule(
            "§5.1 closed by both ends: WINDOW_UPDATE, RST_STREAM and PRIORITY",
            steps: [.send(.get(1)), .answer(1), .send(.windowUpdate(1, 9), .reset(1), .priority(1))], allows: .ignored),
        // The server resets the stream for its own reasons; what was under way is to be taken.
        HTTP2ServerRule(
            "§5.1 closed by the server's reset: DATA, WINDOW_UPDATE, RST_STREAM",
            steps: [
                .send(.headers(1, block: HPACK.block([":method": "POST"]), end: false)), .settled,
                .send(.data(1, text), .windowUpdate(1, 9), .reset(1)),
            ], allows: .ignored),
        HTTP2ServerRule(
            "§5.1 closed by the server's reset: HEADERS", on: 1,
            steps: [
                .send(.headers(1, block: HPACK.block([":method": "POST"]), end: false)), .settled, .send(.headers(1, ["x": "1"])),
            ], allows: .stream(.protocolError)),
    ]

    private static let identifiers: [HTTP2ServerRule] = [
        HTTP2ServerRule("§5.1.1: A stream with an even identifier", .get(2), allows: .connection(.protocolError)),
        HTTP2ServerRule("§5.1.1: An identifier that is skipped", on: 5, .get(1), .get(5), allows: .answered),
        HTTP2ServerRule(
            "§5.1.1: An identifier below one that was used", .get(5), .get(3), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§5.1.1: The largest identifier", on: 0x7FFF_FFFF, steps: [.send(.get(0x7FFF_FFFF))], goesOn: false, allows: .answered),
        HTTP2ServerRule("§5.4: A request behind one that is malformed", on: 3, .headers(1, ["x": "1"]), .get(3), allows: .answered),
    ]
}
