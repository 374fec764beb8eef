// RFC 9113 §3 to §7: connections and frames.

private typealias Kind = HTTP2Frame.Kind
private typealias Flag = HTTP2Frame.Flag

private let text = Array("hello".utf8)
private let good = HPACK.request()
private let overpadded = HTTP2Frame.data(1).with(payload: [6] + text).with(flags: Flag.padded | Flag.endStream)

extension HTTP2ServerRule {
    /// §3.4. Nothing is sent before the steps.
    static let prefaces: [HTTP2ServerRule] = [
        // What does not begin like HTTP/2 may be HTTP/1 or anything else, which has its own refusals.
        HTTP2ServerRule(
            "§3.4: Something else than a preface", steps: [.bytes(Array("INVALID CONNECTION PREFACE\r\n\r\n".utf8))],
            allows: .connection(.protocolError) | [.closed, .plainText]),
        HTTP2ServerRule(
            "§3.4: A preface that goes wrong behind its first line",
            steps: [.bytes(Array("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".utf8)), .send(.settings())],
            allows: .connection(.protocolError) | [.closed, .plainText]),
        HTTP2ServerRule(
            "§3.4: A preface that ends too early", steps: [.bytes(Array(HTTP2Frame.preface.prefix(20))), .finish],
            allows: .connection(.protocolError) | [.closed, .plainText]),
        HTTP2ServerRule(
            "§3.4: A preface without SETTINGS behind it",
            steps: [.bytes(HTTP2Frame.preface), .send(.ping())], allows: .connection(.protocolError) | [.closed]),
        HTTP2ServerRule(
            "§3.4: A request instead of SETTINGS",
            steps: [.bytes(HTTP2Frame.preface), .send(.get(1))], allows: .connection(.protocolError) | [.closed]),
        HTTP2ServerRule(
            "§3.4: An acknowledgement instead of SETTINGS",
            steps: [.bytes(HTTP2Frame.preface), .send(.settingsAcknowledgement, .get(1))],
            allows: .connection(.protocolError) | [.closed]),
        HTTP2ServerRule(
            "§3.4: Preface, settings and a request in one piece", on: 1,
            steps: [.bytes(HTTP2Frame.preface + HTTP2Frame.settings().bytes + HTTP2Frame.get(1).bytes)], allows: .answered),
        HTTP2ServerRule(
            "§3.4: Preface, settings and a request octet by octet", on: 1,
            steps: (HTTP2Frame.preface + HTTP2Frame.settings().bytes + HTTP2Frame.get(1).bytes).map { .bytes([$0]) },
            allows: .answered),
        HTTP2ServerRule(
            "§3.4: A connection that ends behind the preface",
            steps: [.bytes(HTTP2Frame.preface), .send(.settings()), .finish], allows: [.closed]),
    ]

    /// §4, §5.4, §5.5, §6.5, §6.7, §6.8 and §7: what belongs to the connection.
    static let connections: [HTTP2ServerRule] = [
        HTTP2ServerRule(
            "§4.1: A frame of unknown type is ignored", on: 1,
            HTTP2Frame(type: 0x16, payload: text), HTTP2Frame(type: 0xFF, flags: 0xFF, stream: 77, payload: text), .get(1),
            allows: .answered),
        HTTP2ServerRule(
            "§4.1: An unknown frame on an open stream is ignored", on: 1,
            .post(1), HTTP2Frame(type: 0x42, flags: 0x01, stream: 1, payload: text), .data(1, text, end: true), allows: .answered),
        HTTP2ServerRule(
            "§4.1: Undefined flags are ignored", on: 1,
            .settings().with(flags: 0xFE), .ping().with(flags: 0xFE),
            .headers(1, block: good).with(flags: Flag.endStream | Flag.endHeaders | 0xD2), allows: .answered),
        HTTP2ServerRule(
            "§4.1: Undefined flags of DATA are ignored", on: 1,
            .post(1), .data(1, text).with(flags: Flag.endStream | 0xF6), allows: .answered),
        HTTP2ServerRule(
            "§4.1: The reserved bit is ignored", on: 1, .ping().withReservedBit, .settings().withReservedBit,
            .get(1).withReservedBit,
            allows: .answered),
        HTTP2ServerRule(
            "§4.2: DATA of exactly the largest size", on: 1, .post(1), .data(1, [UInt8](repeating: 1, count: 16384), end: true),
            allows: .answered),
        HTTP2ServerRule(
            "§4.2: DATA larger than the largest size", on: 1, .post(1), .data(1, [UInt8](repeating: 1, count: 16385), end: true),
            allows: .either(.frameSizeError)),
        HTTP2ServerRule(
            "§4.2: HEADERS larger than the largest size", on: 1,
            .headers(1, block: good + HPACK.block(["x": String(repeating: "x", count: 16384)])),
            allows: .connection(.frameSizeError)),
        HTTP2ServerRule(
            "§4.2: CONTINUATION larger than the largest size", on: 1,
            .headers(1, block: good, endHeaders: false),
            .continuation(1, block: HPACK.block(["x": String(repeating: "x", count: 16384)])),
            allows: .connection(.frameSizeError)),
        HTTP2ServerRule(
            "§4.2: SETTINGS larger than the largest size",
            HTTP2Frame(type: Kind.settings, payload: [UInt8](repeating: 0x7F, count: 16386)),
            allows: .connection(.frameSizeError)),
        HTTP2ServerRule(
            "§4.2: An unknown frame larger than the largest size",
            HTTP2Frame(type: 0x42, payload: [UInt8](repeating: 0, count: 16385)),
            allows: .connection(.frameSizeError)),
        HTTP2ServerRule(
            "§4.2: A length of sixteen mebibytes is refused before its content comes",
            HTTP2Frame(type: Kind.ping).with(declaredLength: 0xFF_FFFF), allows: .connection(.frameSizeError)),
        HTTP2ServerRule(
            "§5.5: An unknown frame in the middle of a section", .headers(1, block: good, endHeaders: false),
            HTTP2Frame(type: 0x42, stream: 1, payload: text), .continuation(1, block: []), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.5: An acknowledgement with content", .settings([3: 100]).with(flags: Flag.acknowledgement),
            allows: .connection(.frameSizeError)),
        HTTP2ServerRule("§6.5: SETTINGS on a stream", .settings().with(stream: 1), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.5: SETTINGS whose length is no multiple of six", HTTP2Frame(type: Kind.settings, payload: [0, 3, 0]),
            allows: .connection(.frameSizeError)),
        HTTP2ServerRule("§6.5.2: ENABLE_PUSH 2", .settings([HTTP2Setting.enablePush: 2]), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.5.2: INITIAL_WINDOW_SIZE 2³¹", .settings([HTTP2Setting.initialWindowSize: 1 << 31]),
            allows: .connection(.flowControlError)),
        HTTP2ServerRule(
            "§6.5.2: MAX_FRAME_SIZE 16383", .settings([HTTP2Setting.maximumFrameSize: 16383]), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.5.2: MAX_FRAME_SIZE 2²⁴", .settings([HTTP2Setting.maximumFrameSize: 1 << 24]), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.5.2: Unknown settings are ignored", on: 1, .settings([0x99: 7, 0xFFFF: 0xFFFF_FFFF]), .get(1), allows: .answered),
        HTTP2ServerRule(
            "§6.5.2: The largest values that are allowed", on: 1,
            .settings([1: 0, 2: 0, 3: 0xFFFF_FFFF, 4: 0x7FFF_FFFF, 5: 0xFF_FFFF, 6: 0xFFFF_FFFF]), .get(1), allows: .answered),
        HTTP2ServerRule(
            "§6.5.2: A concurrency of none is for pushes, not for responses", on: 1, .settings([3: 0]), .get(1), allows: .answered),
        // RFC 8441 §3: a value other than 0 and 1 is an error; to a server the setting means nothing.
        HTTP2ServerRule(
            "RFC 8441 §3: ENABLE_CONNECT_PROTOCOL 2", .settings([HTTP2Setting.enableConnectProtocol: 2]),
            allows: .connection(.protocolError) | .ignored),
        HTTP2ServerRule("§6.7: PING on a stream", .ping().with(stream: 1), allows: .connection(.protocolError)),
        HTTP2ServerRule("§6.7: PING of seven octets", .ping([1, 2, 3, 4, 5, 6, 7]), allows: .connection(.frameSizeError)),
        HTTP2ServerRule("§6.7: PING of nine octets", .ping([1, 2, 3, 4, 5, 6, 7, 8, 9]), allows: .connection(.frameSizeError)),
        HTTP2ServerRule("§6.7: PING without content", .ping([]), allows: .connection(.frameSizeError)),
        HTTP2ServerRule("§6.7: An unsolicited acknowledgement", .ping(acknowledges: true), allows: .ignored),
        HTTP2ServerRule("§6.8: GOAWAY on a stream", .goAway(last: 0).with(stream: 1), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.8: GOAWAY of seven octets", HTTP2Frame(type: Kind.goAway, payload: [UInt8](repeating: 0, count: 7)),
            allows: .connection(.frameSizeError)),
        HTTP2ServerRule(
            "§6.8: What was asked for before GOAWAY is answered", on: 1, steps: [.send(.get(1), .goAway(last: 0, debug: "bye"))],
            goesOn: false,
            allows: .answered),
        HTTP2ServerRule(
            "§7: Unknown error codes have no effect beyond the frame", on: 5,
            .post(1), HTTP2Frame(type: Kind.reset, stream: 1, payload: [0, 0, 0, 0xFF]), .get(5), allows: .answered),
        HTTP2ServerRule(
            "§7: GOAWAY with an unknown error code", on: 1,
            steps: [.send(.get(1), .goAway(last: 0, HTTP2Code(rawValue: 0xFF)))], goesOn: false, allows: .answered),
    ]

    /// §6: padding, lengths and identifiers of frames on streams.
    static let frames: [HTTP2ServerRule] = [
        HTTP2ServerRule("§6.1: DATA on stream 0", .data(0, text), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.1: DATA with more padding than there is", .post(1), .data(1).with(payload: [6] + text).with(flags: Flag.padded),
            allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.1: DATA with more padding than there is, on a stream that is half-closed (remote)", .get(1, "/never"), overpadded,
            allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.1: DATA with more padding than there is, on a stream that its client has reset", .post(1, "/never"), .reset(1),
            overpadded, allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.1: DATA with more padding than there is, on a stream that the server has reset",
            steps: [.send(.headers(1, block: HPACK.block([":method": "POST"]), end: false)), .settled, .send(overpadded)],
            allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.1: DATA with more padding than there is, on a stream that both have ended, octet by octet",
            steps: [.send(.get(1)), .answer(1)] + overpadded.bytes.map { .bytes([$0]) }, allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.1: Padded DATA without a padding length, on a stream that its client has reset", .post(1, "/never"), .reset(1),
            .data(1).with(flags: Flag.padded), allows: .connection(.protocolError, .frameSizeError)),
        HTTP2ServerRule(
            "§6.1: DATA that is all padding, on a stream that its client has reset", on: 1, .post(1, "/never"), .reset(1),
            .data(1, padding: 9), allows: .stream(.streamClosed)),
        HTTP2ServerRule(
            "§6.1: Padded DATA without a padding length", .post(1), .data(1).with(flags: Flag.padded),
            allows: .connection(.protocolError, .frameSizeError)),
        HTTP2ServerRule(
            "§6.1: DATA that is all padding, then DATA with a padding of none", on: 1, .post(1), .data(1, padding: 255),
            .data(1, text, end: true, padding: 0), allows: .answered),
        HTTP2ServerRule("§6.1: Empty DATA ends the stream", on: 1, .post(1), .data(1), .data(1, end: true), allows: .answered),
        HTTP2ServerRule("§6.2: HEADERS on stream 0", .get(0), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.2: HEADERS with more padding than there is",
            HTTP2Frame(type: Kind.headers, flags: 0x0D, stream: 1, payload: [UInt8(good.count + 1)] + good),
            allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.2: HEADERS with a priority that is cut",
            HTTP2Frame(type: Kind.headers, flags: 0x25, stream: 1, payload: [0, 0, 0, 0]),
            allows: .connection(.frameSizeError, .protocolError)),
        HTTP2ServerRule(
            "§6.2: HEADERS with padding and priority", on: 1, .headers(1, block: good, padding: 9, dependency: 0), allows: .answered
        ),
        HTTP2ServerRule(
            "§6.2: PRIORITY in the middle of a section", .headers(1, block: good, endHeaders: false), .priority(1),
            .continuation(1, block: []), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§4.3: DATA in the middle of a section", .headers(1, block: good, end: false, endHeaders: false), .data(1, text),
            allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§4.3: HEADERS of another stream in the middle of a section", .headers(1, block: good, endHeaders: false), .get(3),
            allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§4.3: PING in the middle of a section", .headers(1, block: good, endHeaders: false), .ping(),
            allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§4.3: SETTINGS in the middle of a section", .headers(1, block: good, endHeaders: false), .settings(),
            allows: .connection(.protocolError)),
        HTTP2ServerRule("§6.3: PRIORITY on stream 0", .priority(0), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.3: PRIORITY of four octets", on: 1, .priority(1).with(payload: [0, 0, 0, 0]), allows: .either(.frameSizeError)),
        HTTP2ServerRule(
            "§6.3: PRIORITY of four octets on an open stream", on: 1, .post(1), .priority(1).with(payload: [0, 0, 0, 0]),
            allows: .stream(.frameSizeError)),
        HTTP2ServerRule("§6.3: PRIORITY on an idle stream", .priority(9), allows: .ignored),
        HTTP2ServerRule(
            "§6.3: PRIORITY of every kind, and HEADERS of a lower stream", on: 1,
            .priority(1, weight: 0), .priority(1, weight: 255), .priority(3, dependency: 1), .priority(1, dependency: 1 << 31),
            .priority(5), .get(1), allows: .answered),
        // RFC 9113 §5.3.2 dropped the scheme. What was an error in RFC 7540 §5.3.1 is one still.
        HTTP2ServerRule(
            "§5.3.1 of RFC 7540: HEADERS that depend on themselves", on: 1, .headers(1, block: good, dependency: 1),
            allows: .either(.protocolError)),
        HTTP2ServerRule(
            "§5.3.1 of RFC 7540: PRIORITY that depends on itself", on: 1, .priority(1, dependency: 1),
            allows: .either(.protocolError)),
        HTTP2ServerRule("§6.4: RST_STREAM on stream 0", .reset(0), allows: .connection(.protocolError)),
        HTTP2ServerRule("§6.4: RST_STREAM on an idle stream", .reset(1), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.4: RST_STREAM of three octets", .post(1), .reset(1).with(payload: [0, 0, 0]), allows: .connection(.frameSizeError)),
        HTTP2ServerRule(
            "§6.4: RST_STREAM of five octets", .post(1), .reset(1).with(payload: [0, 0, 0, 0, 8]),
            allows: .connection(.frameSizeError)),
        HTTP2ServerRule(
            "§6.6: PUSH_PROMISE from a client", .post(1), .pushPromise(1, promised: 2, [":path": "/"]),
            allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.9: WINDOW_UPDATE of 0 for a stream", on: 1, .post(1), .windowUpdate(1, 0), allows: .stream(.protocolError)),
        HTTP2ServerRule(
            "§6.9: WINDOW_UPDATE of 0 with the reserved bit for a stream", on: 1, .post(1), .windowUpdate(1, 1 << 31),
            allows: .stream(.protocolError)),
        HTTP2ServerRule(
            "§6.9: WINDOW_UPDATE of 0 that comes octet by octet", on: 1,
            steps: [.send(.post(1))] + HTTP2Frame.windowUpdate(1, 0).bytes.map { .bytes([$0]) }, allows: .stream(.protocolError)),
        HTTP2ServerRule("§6.9: WINDOW_UPDATE of 0 for the connection", .windowUpdate(0, 0), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.9: WINDOW_UPDATE of three octets", .windowUpdate(0, 0).with(payload: [0, 0, 1]),
            allows: .connection(.frameSizeError)),
        HTTP2ServerRule(
            "§6.9: WINDOW_UPDATE with the reserved bit", on: 1, .windowUpdate(0, 1 | 1 << 31), .get(1), allows: .answered),
        HTTP2ServerRule(
            "§6.9.1: A window of the connection beyond 2³¹-1", .windowUpdate(0, 0x7FFF_FFFF), allows: .connection(.flowControlError)
        ),
        HTTP2ServerRule(
            "§6.9.1: A window of a stream beyond 2³¹-1", on: 1, .post(1), .windowUpdate(1, 0x7FFF_FFFF),
            allows: .stream(.flowControlError)),
        HTTP2ServerRule(
            "§6.9.2: SETTINGS that take a window beyond 2³¹-1", on: 1, .post(1), .windowUpdate(1, 0x7FFF_FFFF - 65535),
            .settings([HTTP2Setting.initialWindowSize: 65536]), allows: .connection(.flowControlError)),
        HTTP2ServerRule("§6.10: CONTINUATION on stream 0", .continuation(0, block: good), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.10: CONTINUATION behind a finished section", .headers(1, block: good, end: false), .continuation(1, block: []),
            allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.10: CONTINUATION behind a CONTINUATION that finished", .headers(1, block: good, end: false, endHeaders: false),
            .continuation(1, block: []), .continuation(1, block: []), allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.10: DATA behind a CONTINUATION that does not finish",
            .headers(1, block: good, end: false, endHeaders: false), .continuation(1, block: [], endHeaders: false), .data(1, text),
            allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.10: CONTINUATION behind DATA", .post(1), .data(1, text), .continuation(1, block: []),
            allows: .connection(.protocolError)),
        HTTP2ServerRule(
            "§6.10: CONTINUATION of another stream", .headers(1, block: good, endHeaders: false), .continuation(3, block: []),
            allows: .connection(.protocolError)),
    ]
}
