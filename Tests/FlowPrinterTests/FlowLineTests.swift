// The line of a flow: conversations, times, the width of a terminal, colours.

import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore
import Testing

private func printed(_ flow: Flow, detail: Int = 1, isColoured: Bool = false, _ change: (inout TextStyle) -> Void = { _ in }) throws
    -> String
{
    var style = TextStyle(detail: detail, isColoured: isColoured)
    change(&style)
    var out = ByteBuffer()
    try FlowTextPrinter(style).print(flow, into: &out)
    return String(buffer: out)
}

private func message(_ kind: FlowPiece.Kind, _ text: String, from side: Side) -> FlowEvent.What {
    .piece(FlowPiece(kind: kind, from: side, content: ByteBuffer(string: text), wireSize: 1))
}

private func get(_ path: String, _ events: [(Int64, FlowEvent.What)]) -> Flow {
    flow(.http, [(0, request("GET \(path) HTTP/1.1\r\nHost: a.example\r\n\r\n"))] + events)
}

private let answered: [(Int64, FlowEvent.What)] = [
    (0, .finished(.client)), (5, response("HTTP/1.1 404 Not Found\r\nContent-Type: text/html; charset=utf-8\r\n\r\n")),
    (7, .finished(.server)), (7, .ended(FlowEnding(state: .complete))),
]

@Suite("The line of a conversation")
struct ConversationLineTests {
    private static let upgraded: [(Int64, FlowEvent.What)] = [
        (1, response("HTTP/1.1 101 Switching Protocols\r\n\r\n")), (2, message(.text, "hello", from: .client)),
        (2, message(.ping, "p", from: .server)), (3, message(.text, "hi", from: .server)),
        (4, message(.binary, "\u{0}", from: .server)),
    ]

    private static func line(_ rest: String) -> String { "10.0.0.1 GET https://a.example/ws << 101 WebSocket \(rest)\n" }

    @Test(
        "A WebSocket's line counts what each side sent, and tells how it was closed and by which side",
        arguments: [
            (
                [message(.close, "\u{3}\u{0}", from: .client)],
                line(">> 1 message 5 B << 2 messages 3 B, close 768 by the client 4.00 s")
            ),
            ([message(.close, "", from: .server)], line(">> 1 message 5 B << 2 messages 3 B, close by the server 4.00 s")),
            ([], line(">> 1 message 5 B << 2 messages 3 B, reset by the client 4.00 s")),
        ])
    func webSocket(end: [FlowEvent.What], expected: String) throws {
        var ending = FlowEnding(state: .complete)
        (ending.closedBy, ending.isReset) = (.client, true)
        let events = Self.upgraded + end.map { (5, $0) } + [(4000, .ended(ending))]
        #expect(try text(get("/ws", events), detail: 1) == expected)
    }

    @Test("The reason of a close frame is text, in the line and among the messages")
    func closeReason() throws {
        let close = FlowEvent.What.piece(
            FlowPiece(kind: .close, from: .server, content: ByteBuffer(bytes: [0x03, 0xE9] + Array("by\u{1b}e".utf8))))
        let conversation = get("/ws", Self.upgraded + [(5, close)])
        #expect(try text(conversation, detail: 1).contains(", close 1001 (by\\x1be) by the server << open at the end"))
        #expect(try text(conversation, detail: 3).contains("    << close 1001 (by\\x1be) +5.0 ms\n"))
    }

    @Test("The stream after a switch to another protocol is counted too")
    func upgrade() throws {
        let stream = get(
            "/up",
            [
                (1, response("HTTP/1.1 101 Switching Protocols\r\n\r\n")), (2, piece("abc", from: .client)),
                (3, .ended(FlowEnding(state: .complete, closedBy: .server))),
            ])
        #expect(
            try text(stream, detail: 1)
                == "10.0.0.1 GET https://a.example/up << 101 Switching Protocols >> 1 message 3 B << 0 B, closed by the server 3.0 ms\n"
        )
    }
}

@Suite("Times, widths and colours")
struct TextStyleTests {
    @Test("The local time of day, or date and time with the difference to UTC")
    func localTime() {
        func both(_ offset: Int64, _ nanoseconds: Int64) -> String {
            let zone = LocalTime { _ in offset }
            var out = ByteBuffer()
            zone.write(clock: Timestamp(nanoseconds: nanoseconds), into: &out)
            out.writeString(" ")
            zone.write(full: Timestamp(nanoseconds: nanoseconds), into: &out)
            return String(buffer: out)
        }
        #expect(both(0, 1_700_000_000_123_456_789) == "22:13:20.123 2023-11-14T22:13:20.123+00:00")
        #expect(both(7200, 1_700_000_000_123_456_789) == "00:13:20.123 2023-11-15T00:13:20.123+02:00")
        #expect(both(-12_600, -1) == "20:29:59.999 1969-12-31T20:29:59.999-03:30")
    }

    @Test("A line begins with its time, as asked", arguments: TextStyle.Time.allCases)
    func times(time: TextStyle.Time) throws {
        let line = "10.0.0.1 GET https://a.example/ << 404 Not Found text/html 0 B 7.0 ms\n"
        var clock = ByteBuffer()
        LocalTime.shared.write(clock: start, into: &clock)
        var full = ByteBuffer()
        LocalTime.shared.write(full: start, into: &full)
        let expected =
            switch time {
            case .none: line
            case .clock: String(buffer: clock) + " " + line
            case .full: String(buffer: full) + " " + line
            case .elapsed: "    0.000 " + line
            }
        #expect(try printed(get("/", answered)) { $0.time = time } == expected)
    }

    @Test("Elapsed time counts from the first flow that was printed")
    func elapsed() throws {
        var style = TextStyle(detail: 1, isColoured: false)
        style.time = .elapsed
        let printer = FlowTextPrinter(style)
        var later = get("/", answered)
        later.started = start.advanced(byNanoseconds: 61_234_567_890)
        var out = ByteBuffer()
        for flow in [get("/", answered), later] { try printer.print(flow, into: &out) }
        #expect(String(buffer: out).split(separator: "\n").map { $0.prefix(10) } == ["    0.000 ", "   61.234 "])
    }

    @Test(
        "On a terminal a long URL is cut so that the line fits; wide characters count twice, combining ones not at all",
        arguments: [
            (String(repeating: "a", count: 100), 80), (String(repeating: "中", count: 100), 80),
            (String(repeating: "e\u{301}", count: 100), 81), ("short", 200),
        ])
    func width(path: String, columns: Int) throws {
        let flow = get("/" + path, answered)
        let whole = try printed(flow)
        let cut = try printed(flow) { $0.columns = { columns } }
        guard path != "short" else {
            #expect(cut == whole)
            return
        }
        #expect(cut.hasPrefix("10.0.0.1 GET https://a.example/") && cut.hasSuffix("… << 404 Not Found text/html 0 B 7.0 ms\n"))
        let width = cut.dropLast().unicodeScalars.reduce(0) { $0 + ($1 == "中" ? 2 : $1 == "\u{301}" ? 0 : 1) }
        // Half of a wide character does not fit.
        #expect(width == columns || path.hasPrefix("中") && width == columns - 1, "\(cut)")
        #expect(try printed(flow, isColoured: true) { $0.columns = { columns } }.contains("…"))
    }

    @Test(
        "A status has the colour of its class",
        arguments: [(200, "32"), (304, "36"), (404, "33"), (500, "31")])
    func colours(status: Int, colour: String) throws {
        let flow = get("/", [(1, response("HTTP/1.1 \(status) A\r\n\r\n"))])
        #expect(try printed(flow, isColoured: true).contains(" << \u{1b}[\(colour)m\(status)\u{1b}[0m A "))
    }

    @Test("A flow that is being recorded has been open for a known time, if the present is known")
    func open() throws {
        var flow = get("/", [])
        flow.isBeingRecorded = true
        #expect(try printed(flow).hasSuffix(" << still open\n"))
        #expect(
            try printed(flow) { $0.now = { start.advanced(byNanoseconds: 3_100_000_000) } }.hasSuffix(" << open since 3.10 s\n"))
    }
}

@Suite("The details of a flow")
struct DetailTests {
    @Test("Times and the facts of connections stand below the line")
    func facts() throws {
        var server = ServerConnection(id: FlowID(high: 1, low: 2), target: Endpoint(host: "a.example", port: 443), opened: start)
        server.peer = Endpoint(host: "192.0.2.1", port: 443)
        var tls = TLSDetails()
        (tls.version, tls.cipher, tls.alpn, tls.isVerified) = ("TLSv1.3", "TLS_AES_128_GCM_SHA256", "h2", false)
        tls.verificationError = "certificate has expired"
        server.tls = tls
        let printed = try text(get("/", [(0, .server(Shared(server)))] + answered), detail: 2)
        #expect(printed.contains(", first byte +5.0 ms, ended +7.0 ms\n"))
        #expect(printed.contains("    client 10.0.0.1:5000\n"))
        #expect(
            printed.contains(
                "    server a.example:443 (192.0.2.1:443) TLSv1.3 TLS_AES_128_GCM_SHA256 h2 NOT VERIFIED: certificate has expired\n"
            ))
    }

    @Test("A request without content that failed has nothing that is missing")
    func noContent() throws {
        let error = FlowError(side: .server, message: "no", at: start)
        let failed: [(Int64, FlowEvent.What)] = [(1, .ended(FlowEnding(state: .failed, error: error)))]
        #expect(try !text(get("/", failed), detail: 2).contains("incomplete"))
        let post = request("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n")
        #expect(try text(flow(.http, [(0, post)] + failed), detail: 2).contains("    (incomplete: 0 B came)\n"))
    }

    private static func json(_ text: String) -> Flow {
        get("/", [(1, response("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")), (2, piece(text, from: .server))])
    }

    @Test(
        "Escapes of visible characters in JSON become these characters; the others stay",
        arguments: [
            (#""\u00e4\u4e2d x""#, #""ä中 x""#), (#""\ud83d\ude00""#, #""😀""#), (#""\u001b\u0085\u202e\u2066\u200b\u2028""#, nil),
            (#""\ud83d \ude00 \u12""#, nil), (#""\\u00e4 \n\u0022\u005c""#, nil), (#""\\\u00e4""#, #""\\ä""#),
            (#""\ue000\ufffe""#, nil),
        ])
    func escapes(text: String, expected: String?) throws {
        #expect(try printed(Self.json("[\(text)]"), detail: 3).contains("    [\n      \(expected ?? text)\n    ]\n"))
    }

    @Test("What would steer a terminal is shown escaped in JSON too, in strings and outside of them")
    func hostile() throws {
        let printed = try printed(Self.json("{\"a\u{1b}[2J\": \u{1b}[31m1, \"b\": \"\u{202e}\"}"), detail: 4)
        #expect(!printed.unicodeScalars.contains { $0.value == 0x1B || $0.value == 0x202E }, "\(printed)")
    }

    @Test("JSON has colours: keys, strings, other values")
    func colours() throws {
        let printed = try printed(Self.json(#"{"a":"b","c":[1,true]}"#), detail: 3, isColoured: true)
        for part in ["\u{1b}[36m\"a\"\u{1b}[0m: \u{1b}[32m\"b\"\u{1b}[0m,", "\u{1b}[35m1\u{1b}[0m,", "\u{1b}[35mtrue\u{1b}[0m"] {
            #expect(printed.contains(part), "\(part)")
        }
    }

    @Test("A long line is cut at detail 3 and whole at detail 4")
    func longLine() throws {
        let long = String(repeating: "ä", count: 5000)
        for (content, isColoured) in [("<p>\(long)", false), ("[\"\(long)\"]", true)] {
            let flow = Self.json(content)
            let cut = try printed(flow, detail: 3, isColoured: isColoured)
            #expect(cut.contains("ä\(isColoured ? "\u{1b}[0m" : "")… (cut: 39"), "\(cut)")
            #expect(cut.contains(" more characters, --detail 4 shows them)\n"))
            #expect(cut.count { $0 == "ä" } < 1025)
            #expect(try printed(flow, detail: 4, isColoured: isColoured).contains(long))
        }
    }
}
