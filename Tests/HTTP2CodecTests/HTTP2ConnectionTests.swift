// Two connections that talk to each other: what one is asked to send is what the other tells.

import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import HTTP2Codec

/// A client and a server with nothing in between.
struct Pair {
    let client: HTTP2Connection
    let server: HTTP2Connection
    /// Bytes that are handed over at a time; nil is all there are.
    var portion: Int?

    init(limits: HTTP2Limits = HTTP2Limits(), portion: Int? = nil) {
        client = HTTP2Connection(.client, limits: limits)
        server = HTTP2Connection(.server, limits: limits)
        self.portion = portion
    }

    /// Carries bytes to and fro until neither side has any, and returns the events of each. Received content counts as forwarded.
    func exchange(consumes: Bool = true) -> (client: [HTTP2Event], server: [HTTP2Event]) {
        var told: (client: [HTTP2Event], server: [HTTP2Event]) = ([], [])
        var isMoving = true
        while isMoving {
            isMoving = hand(client, to: server) || hand(server, to: client)
            drain(client, consumes, &told.client)
            drain(server, consumes, &told.server)
        }
        return told
    }

    private func hand(_ from: HTTP2Connection, to: HTTP2Connection) -> Bool {
        guard var bytes = from.takeOutput() else { return false }
        while bytes.readableBytes > 0 {
            to.receive(bytes.readSlice(length: min(portion ?? bytes.readableBytes, bytes.readableBytes))!)
        }
        return true
    }

    private func drain(_ connection: HTTP2Connection, _ consumes: Bool, _ events: inout [HTTP2Event]) {
        while let event = connection.next() {
            if let (stream, content) = event.content, consumes { connection.consumed(content.readableBytes, on: stream) }
            if case .settings = event { continue }
            events.append(event)
        }
    }
}

func fields(_ pairs: [(StaticString, String)]) -> HTTP2Fields {
    var fields = HTTP2Fields()
    for (name, value) in pairs { fields.append(name, value) }
    return fields
}

let get = fields([
    (":method", "GET"), (":scheme", "https"), (":authority", "a.example"), (":path", "/x"), ("x-a", "1"), ("x-a", "2"),
])
let post = fields([(":method", "POST"), (":scheme", "https"), (":authority", "a.example"), (":path", "/x")])
let ok = fields([(":status", "200"), ("server", "s")])

extension HTTP2Event {
    var isMessage: Bool {
        switch self {
        case .request, .response: true
        default: false
        }
    }

    var content: (StreamID, ByteBuffer)? {
        switch self {
        case .request(let stream, .content(let content, _, _)), .response(let stream, .content(let content, _, _)):
            (stream, content)
        default: nil
        }
    }
}

/// The lines of a head as text, and what followed it. An end is a line of its own, whichever event says it.
func summary(_ events: [HTTP2Event]) -> [String] {
    events.flatMap { event in
        switch event {
        case .request(let stream, .head(let head, let framing, let isLast)):
            ["\(stream) request \(lines(head.wire)) \(framing)"] + (isLast ? ["\(stream) end "] : [])
        case .response(let stream, .interim(let head)): ["\(stream) interim \(lines(head.wire))"]
        case .response(let stream, .head(let head, let framing, let isLast)):
            ["\(stream) response \(lines(head.wire)) \(framing)"] + (isLast ? ["\(stream) end "] : [])
        case .request(let stream, .content(let content, _, let isLast)),
            .response(let stream, .content(let content, _, let isLast)):
            ["\(stream) body \(String(buffer: content))"] + (isLast ? ["\(stream) end "] : [])
        case .request(let stream, .end(let trailers, _)), .response(let stream, .end(let trailers, _)):
            ["\(stream) end \(lines(trailers?.wire ?? ByteBuffer()))"]
        default: ["\(event)"]
        }
    }
}

private func lines(_ wire: ByteBuffer) -> String { String(buffer: wire).split(separator: "\r\n").joined(separator: "|") }

@Suite("One HTTP/2 connection")
struct HTTP2ConnectionTests {
    @Test(
        "Heads, content, interim responses and trailers arrive as they were sent, however the bytes are cut",
        arguments: [nil, 1, 7, 100])
    func wholeExchange(portion: Int?) throws {
        let pair = Pair(portion: portion)
        let stream = try #require(pair.client.sendRequest(post, endsStream: false))
        pair.client.sendData(ByteBuffer(string: "question"), on: stream)
        pair.client.sendEnd(trailers: fields([("x-sum", "8")]), on: stream)
        let server = pair.exchange().server
        let joined = summary(server).joined(separator: "\n").replacing("\n1 body ", with: "")
        #expect(joined.hasPrefix("1 request :method: POST|:scheme: https|:authority: a.example|:path: /x stream"))
        #expect(joined.hasSuffix("question\n1 end x-sum: 8"))
        pair.server.sendInterim(fields([(":status", "103"), ("link", "</a>")]), on: stream)
        pair.server.sendResponse(ok, on: stream, endsStream: false)
        pair.server.sendEnd(trailers: fields([("grpc-status", "0")]), on: stream)
        #expect(
            summary(pair.exchange().client) == [
                "1 interim :status: 103|link: </a>", "1 response :status: 200|server: s stream", "1 end grpc-status: 0",
            ])
    }

    @Test("A request without content ends with its head; fields keep their order and their repetitions")
    func bodiless() throws {
        let pair = Pair()
        _ = try #require(pair.client.sendRequest(get, endsStream: true))
        #expect(
            summary(pair.exchange().server) == [
                "1 request :method: GET|:scheme: https|:authority: a.example|:path: /x|x-a: 1|x-a: 2 none", "1 end ",
            ])
    }

    @Test("Content beyond the window waits until received content was forwarded, and the window grows with it")
    func windows() throws {
        let pair = Pair()
        let stream = try #require(pair.client.sendRequest(post, endsStream: false))
        pair.client.sendData(ByteBuffer(repeating: 0x61, count: 1_000_000), on: stream)
        let size = { (events: [HTTP2Event]) in
            events.reduce(0) { sum, event in
                sum + (event.content?.1.readableBytes ?? 0)
            }
        }
        let held = size(pair.exchange(consumes: false).server)
        #expect(held == 65_535)
        #expect(pair.client.queuedBytes(on: stream) == 1_000_000 - 65_535)
        pair.server.consumed(held, on: stream)
        let rest = size(pair.exchange().server)
        #expect(rest == 1_000_000 - 65_535)
    }

    @Test("Streams that stall with large windows hold what is allowed together, and leave something to others")
    func stalledWindows() throws {
        var limits = HTTP2Limits()
        limits.maximumGrowth = 1 << 20
        let pair = Pair(limits: limits)
        let size = { (events: [HTTP2Event]) in
            events.reduce(0) { sum, event in
                sum + (event.content?.1.readableBytes ?? 0)
            }
        }
        var held: [Int] = []
        for _ in 0..<20 {
            let stream = try #require(pair.client.sendRequest(post, endsStream: false))
            pair.client.sendData(ByteBuffer(repeating: 0x61, count: 2 << 20), on: stream)
            _ = pair.exchange()
            pair.client.sendData(ByteBuffer(repeating: 0x61, count: 2 << 20), on: stream)
            held.append(size(pair.exchange(consumes: false).server))
        }
        // A window is given back by halves.
        #expect(held[0] > 65_535)
        #expect(held.allSatisfy { $0 > 65_535 / 2 })
        #expect(held.reduce(0, +) <= limits.maximumGrowth + 20 * 65_535)
    }

    @Test("A stream that was upgraded from HTTP/1 gets windows like any other")
    func upgradedWindow() throws {
        let pair = Pair()
        let settings = ByteBuffer(bytes: [0, 3, 0, 0, 0, 100])
        #expect(pair.client.upgrade(settings: settings, isHeadRequest: false))
        #expect(pair.server.upgrade(settings: settings, isHeadRequest: false))
        pair.server.sendResponse(ok, on: StreamID(1), endsStream: false)
        pair.server.sendData(ByteBuffer(repeating: 0x61, count: 1_000_000), on: StreamID(1))
        pair.server.sendEnd(trailers: nil, on: StreamID(1))
        #expect(summary(pair.exchange().client).last == "1 end ")
    }

    @Test("Priorities arrive as they were sent: in HEADERS, in PRIORITY and in PRIORITY_UPDATE")
    func priorities() throws {
        let pair = Pair()
        let first = HTTP2Priority(dependency: StreamID(0), weight: 77, isExclusive: true)
        let stream = try #require(pair.client.sendRequest(post, endsStream: false, priority: first))
        pair.client.sendPriorityUpdate(ByteBuffer(string: "u=5"), on: stream)
        pair.client.sendPriorityUpdate(ByteBuffer(string: "u=1, i"), on: StreamID(9))
        #expect(
            pair.exchange().server.filter { !$0.isMessage } == [
                // RFC 9218 §7.1: an update may come before its stream.
                .priorityUpdate(stream, value: ByteBuffer(string: "u=5")),
                .priorityUpdate(StreamID(9), value: ByteBuffer(string: "u=1, i")), .priority(stream, first),
            ])
        let second = HTTP2Priority(dependency: StreamID(0), weight: 3, isExclusive: false)
        pair.client.sendPriority(second, on: stream)
        #expect(pair.exchange().server == [.priority(stream, second)])
    }

    @Test("An unread stream delays no other")
    func independentStreams() throws {
        let pair = Pair()
        let stalled = try #require(pair.client.sendRequest(post, endsStream: false))
        pair.client.sendData(ByteBuffer(repeating: 0x61, count: 1_000_000), on: stalled)
        _ = pair.exchange(consumes: false)
        let other = try #require(pair.client.sendRequest(get, endsStream: true))
        let told = summary(pair.exchange(consumes: false).server)
        #expect(told.last == "\(other) end ")
    }

    @Test("Fields that may not be indexed stay so on the next connection")
    func neverIndexed() throws {
        let pair = Pair()
        var secret = HTTP2Fields()
        for (name, value) in [(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")] {
            secret.append(ByteBuffer(string: name), ByteBuffer(string: value))
        }
        secret.append(ByteBuffer(string: "authorization"), ByteBuffer(string: "secret"), isNeverIndexed: true)
        _ = pair.client.sendRequest(secret, endsStream: true)
        guard case .request(_, .head(let head, _, _))? = pair.exchange().server.first else {
            Issue.record("no request")
            return
        }
        #expect(head.fields.neverIndexed == [0])
    }

    @Test("A reset reaches the other side with its code, and nothing follows it")
    func reset() throws {
        let pair = Pair()
        let stream = try #require(pair.client.sendRequest(post, endsStream: false))
        _ = pair.exchange()
        pair.client.reset(stream, .cancel)
        #expect(pair.exchange().server == [.reset(stream, .cancel)])
        pair.server.sendResponse(ok, on: stream, endsStream: true)
        #expect(pair.exchange().client == [])
    }

    @Test(
        "What is malformed fails its stream alone",
        arguments: [
            [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("connection", "close")],
            [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("te", "gzip")],
            [(":method", "GET"), (":path", "/")],
            [(":method", "GET"), (":scheme", "https"), (":path", "")],
            [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":status", "200")],
            [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("a b", "x")],
            [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("a", "x\r\ny")],
            [("a", "x"), (":method", "GET"), (":scheme", "https"), (":path", "/")],
        ])
    func malformed(_ pairs: [(String, String)]) throws {
        let pair = Pair()
        var bad = HTTP2Fields()
        for (name, value) in pairs { bad.append(ByteBuffer(string: name), ByteBuffer(string: value)) }
        let first = try #require(pair.client.sendRequest(bad, endsStream: true))
        let told = pair.exchange()
        let isRelaxable = ["connection", "te"].contains(pairs.last?.0 ?? "")
        guard case .failed(first, .protocolError, _, _, isRelaxable)? = told.server.first else {
            Issue.record("\(told.server)")
            return
        }
        #expect(told.client == [.reset(first, .protocolError)])
        let second = try #require(pair.client.sendRequest(get, endsStream: true))
        #expect(pair.exchange().server.count == 1)
        pair.server.sendResponse(ok, on: second, endsStream: true)
        #expect(summary(pair.exchange().client) == ["3 response :status: 200|server: s none", "3 end "])
    }

    /// Fields that RFC 9110 section 5.1 or 5.5 does not allow, and that can be read in one way only.
    private static let odd = [
        ("bad[name", "x"), ("fo@", "x"), ("/", "x"), ("a-name-of-many-letters\"", "x"), ("a", "\u{7}"), ("a", "x\u{7F}"),
        ("a", "many bytes and then \u{1B}"), ("a", "\u{1}many bytes"),
    ]

    @Test("Names that are no token and control characters fail a request, and pass with a note in a response", arguments: odd)
    func oddFields(name: String, value: String) throws {
        let pair = Pair()
        var bad = get
        bad.append(ByteBuffer(string: name), ByteBuffer(string: value))
        let first = try #require(pair.client.sendRequest(bad, endsStream: true))
        guard case .failed(first, .protocolError, _, _, true)? = pair.exchange().server.first else {
            Issue.record("the request passed, or is reported as refused in any case")
            return
        }
        let second = try #require(pair.client.sendRequest(get, endsStream: true))
        _ = pair.exchange()
        var response = ok
        response.append(ByteBuffer(string: name), ByteBuffer(string: value))
        pair.server.sendResponse(response, on: second, endsStream: true)
        let told = pair.exchange().client
        let sentence = name == "a" ? "a field value holds a control character" : "a field name is not a token"
        #expect(told.first == .note(second, sentence))
        #expect(summary(told).dropFirst() == ["3 response :status: 200|server: s|\(name): \(value) none", "3 end "])
    }

    /// A frame's bytes.
    private static func frame(_ type: UInt8, flags: UInt8 = 0, on stream: UInt32, _ payload: [UInt8]) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeInteger(UInt32(payload.count) << 8 | UInt32(type))
        bytes.writeInteger(flags)
        bytes.writeInteger(stream)
        bytes.writeBytes(payload)
        return bytes
    }

    @Test(
        "A frame that breaks a rule of its stream fails that stream alone, wherever the bytes are cut",
        arguments: [
            (8, 0, [0, 0, 0, 0], HTTP2ErrorCode.protocolError, "a WINDOW_UPDATE frame of nothing"),
            (2, 0, [0, 0, 0, 0], .frameSizeError, "a PRIORITY frame of 4 bytes"),
            (0, 0, [1, 2, 3], .streamClosed, "content after the end of the message"),
            (0, 8, [0], .streamClosed, "content after the end of the message"),
            (1, 5, [0x40, 1, 0x78, 1, 0x79], .streamClosed, "a field section after the end of the message"),
        ] as [(UInt8, UInt8, [UInt8], HTTP2ErrorCode, String)])
    func brokenStream(type: UInt8, flags: UInt8, payload: [UInt8], code: HTTP2ErrorCode, message: String) throws {
        let client = HTTP2Connection(.client)
        let first = try #require(client.sendRequest(get, endsStream: true))
        var bytes = try #require(client.takeOutput())
        let broken = bytes.readableBytes
        bytes.writeImmutableBuffer(Self.frame(type, flags: flags, on: first.value, payload))
        let fixed = bytes.readableBytes
        // A field that came after the end is still in the table: 63 is its index, because :authority was added after it.
        let indexed: [UInt8] = type == 1 ? [0x82, 0x86, 0x84, 0x41, 1, 0x61, 0xBF] : [0x82, 0x86, 0x84, 0x41, 1, 0x61]
        bytes.writeImmutableBuffer(Self.frame(1, flags: 5, on: 3, indexed))
        let whole = try summary(told(bytes, cutAt: []))
        #expect(
            whole == [
                "1 request :method: GET|:scheme: https|:authority: a.example|:path: /x|x-a: 1|x-a: 2 none", "1 end ",
                "\(HTTP2Event.failed(first, code, message: message, head: ByteBuffer()))",
                "3 request :method: GET|:scheme: http|:path: /|:authority: a\(type == 1 ? "|x: y" : "") none", "3 end ",
            ])
        for cut in broken...fixed {
            let parts = try summary(told(bytes, cutAt: [cut]))
            #expect(parts == whole, "cut at \(cut)")
        }
        let single = try summary(told(bytes, cutAt: Array(1..<bytes.readableBytes)))
        #expect(single == whole)
    }

    /// What a server tells of bytes that come in pieces. Its SETTINGS are left out.
    private func told(_ bytes: ByteBuffer, cutAt cuts: [Int]) throws -> [HTTP2Event] {
        let server = HTTP2Connection(.server)
        var bytes = bytes
        var start = 0
        for end in cuts + [bytes.readableBytes] {
            let piece = bytes.readSlice(length: end - start)
            server.receive(try #require(piece))
            start = end
        }
        var events: [HTTP2Event] = []
        while let event = server.next() {
            if case .settings = event { continue }
            events.append(event)
        }
        return events
    }

    @Test("Content on closed streams is answered as often as frames that carry nothing are, then the connection ends")
    func strayContent() throws {
        var limits = HTTP2Limits()
        limits.maximumIdleFrames = 10
        let server = HTTP2Connection(.server, limits: limits)
        let client = HTTP2Connection(.client)
        _ = client.sendRequest(get, endsStream: true)
        server.receive(try #require(client.takeOutput()))
        // Streams below one that is open were never opened, and are closed.
        server.receive(Self.frame(1, flags: 5, on: 1001, [0x82, 0x86, 0x84, 0x41, 1, 0x61]))
        for stream in stride(from: UInt32(3), through: 21, by: 2) { server.receive(Self.frame(0, on: stream, [0])) }
        #expect(!server.isTerminated)
        server.receive(Self.frame(0, on: 23, [0]))
        #expect(server.isTerminated)
        var last: HTTP2Event?
        while let event = server.next() { last = event }
        #expect(last == .terminated(.enhanceYourCalm, message: "the peer sent content on 11 streams that were closed"))
    }

    @Test("A field section beyond the limit can still be answered")
    func fieldsTooLarge() throws {
        var limits = HTTP2Limits()
        limits.maximumFieldSectionSize = 1000
        let pair = Pair(limits: limits)
        var large = get
        large.append("x-large", String(repeating: "x", count: 2000))
        let stream = try #require(pair.client.sendRequest(large, endsStream: true))
        guard case .fieldsTooLarge(stream, _)? = pair.exchange().server.first else {
            Issue.record("the limit was not kept")
            return
        }
        pair.server.sendResponse(fields([(":status", "431")]), on: stream, endsStream: true)
        #expect(summary(pair.exchange().client) == ["1 response :status: 431 none", "1 end "])
    }

    @Test("Behind GOAWAY nothing new is sent, and what is open finishes")
    func goAway() throws {
        let pair = Pair()
        let stream = try #require(pair.client.sendRequest(get, endsStream: true))
        _ = pair.exchange()
        pair.server.goAway(.noError)
        #expect(pair.exchange().client == [.goAway(last: stream, .noError, debug: "")])
        #expect(pair.client.sendRequest(get, endsStream: true) == nil)
        pair.server.sendResponse(ok, on: stream, endsStream: true)
        #expect(summary(pair.exchange().client) == ["1 response :status: 200|server: s none", "1 end "])
        #expect(pair.client.isDone)
    }

    @Test("Bytes that are no HTTP/2 end the connection with an error, and never trap", arguments: 0..<64)
    func garbage(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let server = HTTP2Connection(.server)
        if seed % 2 == 0 { server.receive(ByteBuffer(string: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) }
        for _ in 0..<64 where !server.isTerminated {
            let bytes = (0..<Int.random(in: 1...200, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
            server.receive(ByteBuffer(bytes: bytes))
            _ = server.takeOutput()
        }
        #expect(server.isTerminated)
    }
}
