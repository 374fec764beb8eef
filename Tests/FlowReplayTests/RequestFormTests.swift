// Requests and recordings that were redacted: a request is compared in the form that each recording has.

import Digests
import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import FlowReplay

/// Rules that put `*` in the place of each value that follows `=`.
func masking(_ name: String) -> RecordedRedaction {
    @Sendable func masked(_ bytes: ByteBuffer) -> ByteBuffer {
        var parts = String(buffer: bytes).split(separator: name + "=", omittingEmptySubsequences: false)[...]
        var out = String(parts.removeFirst())
        for part in parts { out += name + "=*" + part.drop { !"&; \r".contains($0) && $0 != "\r\n" } }
        return ByteBuffer(string: out)
    }
    return RecordedRedaction(texts: [name]) { head, content in
        (RequestHead(parsing: masked(head.wire), version: head.version), masked(content))
    } message: {
        masked($0.content)
    }
}

@Suite("A request and redacted recordings")
struct RequestFormTests {
    /// Recordings of `GET /?token=…`, in their order, and the rules by which they were redacted.
    private static func asker(
        _ tokens: [String], _ redactions: [RecordedRedaction?], rules: MatchRules = MatchRules(), order: ReplayOrder = .sequence,
        isOnce: Bool = false
    ) -> Asker {
        let flows = tokens.enumerated().map { index, token in
            exchange(
                number: UInt64(index + 1), at: Int64(index * 10),
                requestHead("GET /?token=\(token) HTTP/1.1", ["A: token=\(token)"]))
        }
        var asker = Asker(flows, rules: rules, order: order, isOnce: isOnce)
        for redaction in redactions { asker.index.add(redaction) }
        return asker
    }

    private static func request(_ token: String) -> RequestHead {
        requestHead("GET /?token=\(token) HTTP/1.1", ["A: token=\(token)"])
    }

    @Test("A request is answered by a recording in which its value is masked")
    func masked() throws {
        var asker = Self.asker(["*"], [masking("token")])
        #expect(try asker.ask(Self.request("live")) == "1")
        // The mask itself, which a client may have from a redacted response.
        #expect(try asker.ask(Self.request("*")) == "1")
        var without = Self.asker(["*"], [])
        #expect(try without.ask(Self.request("live")) == "-")
    }

    @Test("Content is compared as it would have been stored")
    func content() throws {
        var asker = Asker([exchange(number: 1, requestHead("POST / HTTP/1.1"), content: "a=1&token=*")])
        asker.index.add(masking("token"))
        #expect(try asker.ask(requestHead("POST / HTTP/1.1"), content: "a=1&token=live") == "1")
        #expect(try asker.ask(requestHead("POST / HTTP/1.1"), content: "a=2&token=live") == "-")
    }

    @Test(
        "Recordings with and without rules answer one request in the order of the recording, each client with its own values",
        arguments: [
            (.sequence, false, ["1", "3", "4", "4"]), (.sequence, true, ["1", "3", "4", "x"]),
            (.last, false, ["4", "4", "4", "4"]),
            (.cycle, false, ["1", "3", "4", "1"]),
        ] as [(ReplayOrder, Bool, [String])])
    func mixed(_ order: ReplayOrder, _ isOnce: Bool, _ expected: [String]) throws {
        var asker = Self.asker(
            ["alice", "bob", "*", "alice"], [nil, masking("token"), nil, masking("token")], order: order, isOnce: isOnce)
        #expect(try (0..<4).map { _ in try asker.ask(Self.request("alice")) } == expected)
        // Every other one is answered by the recording that cannot tell them apart.
        #expect(try asker.ask(Self.request("carol")) == (isOnce ? "x" : "3"))
    }

    @Test("Recordings with different rules have one request in different forms")
    func differentRules() throws {
        var asker = Asker([
            exchange(number: 1, requestHead("GET /?token=*&code=1 HTTP/1.1")),
            exchange(number: 2, requestHead("GET /?token=2&code=* HTTP/1.1")),
        ])
        asker.index.add(masking("token"))
        asker.index.add(masking("code"))
        #expect(try asker.ask(requestHead("GET /?token=9&code=1 HTTP/1.1")) == "1")
        #expect(try asker.ask(requestHead("GET /?token=2&code=9 HTTP/1.1")) == "2")
        #expect(try asker.ask(requestHead("GET /?token=9&code=9 HTTP/1.1")) == "-")
    }

    @Test("A field that must be equal is compared in the form of each recording")
    func fields() throws {
        var rules = MatchRules()
        rules.headers = ["a"]
        rules.ignore.query = true
        var asker = Self.asker(["*", "bob"], [masking("token"), nil], rules: rules)
        #expect(try (0..<3).map { _ in try asker.ask(Self.request("bob")) } == ["1", "2", "2"])
        #expect(try asker.ask(Self.request("carol")) == "1")
    }

    @Test("A request for any host is asked in each form for each host")
    func anyHost() throws {
        var asker = Asker([exchange(number: 1, host: "b.example", requestHead("GET /?token=* HTTP/1.1"))])
        asker.index.add(nil)
        asker.index.add(masking("token"))
        #expect(try asker.ask(requestHead("GET /?token=live HTTP/1.1"), host: "127.0.0.1", isForAnyHost: true) == "1")
    }

    /// An exchange whose request's content is not, or not all, in the recording.
    private static func partial(_ number: UInt64, stored: String, sent: String, isCut: Bool) -> Flow {
        let digest = ByteBuffer(bytes: SHA256.digest(bytes(sent).readableBytesUInt8Span))
        let cut = ContentCut(size: UInt64(sent.utf8.count), sha256: digest)
        var events: [(Int64, FlowEvent.What)] = [
            (0, .request(requestHead("POST / HTTP/1.1"))),
            (0, .piece(FlowPiece(from: .client, content: bytes(stored), wireSize: UInt64(sent.utf8.count)))),
        ]
        if isCut { events.append((0, .cut(from: .client, cut))) }
        events += [
            (0, .finished(.client)), (1, .response(responseHead())), (1, .finished(.server)),
            (1, .ended(FlowEnding(state: .complete))),
        ]
        return flow(number: number, events)
    }

    @Test("Content that is not in the recording matches by its size and SHA-256, and any content where redaction left it out")
    func unknownContent() throws {
        let head = requestHead("POST / HTTP/1.1")
        let cut = [
            Self.partial(1, stored: "ab", sent: "abcd", isCut: true), Self.partial(2, stored: "", sent: "efgh", isCut: true),
        ]
        var asker = Asker(cut)
        #expect(
            try ["abcd", "efgh", "abcx", "ab", "", "abcd"].map { try asker.ask(head, content: $0) } == [
                "1", "2", "-", "-", "-", "1",
            ])
        var other = Asker(
            cut + [Self.partial(3, stored: "", sent: "secret", isCut: false), exchange(number: 4, head, content: "known")])
        #expect(try ["known", "any", "abcd", ""].map { try other.ask(head, content: $0) } == ["4", "3", "1", "-"])
    }

    @Test("A miss is explained without the values that the rules mask")
    func explanation() {
        var asker = Self.asker(["*"], [masking("token")])
        #expect(
            asker.explain(requestHead("GET /?token=live&x=1 HTTP/1.1"))
                == "the nearest recording is GET http://a.example/?token=*, which differs in the query: 'x=1' is not in the recording"
        )
    }
}

@Suite("A dialogue with a redacted recording")
struct RedactedDialogueTests {
    /// A flow that redaction changed.
    private static func redacted(_ kind: FlowKind, _ events: [FlowEvent.What]) -> Flow {
        let change = FlowRedaction.Change(rule: "pattern:token", place: .messages)
        let opening: [FlowEvent.What] =
            kind == .tcp
            ? []
            : [
                .request(requestHead("GET / HTTP/1.1", ["Upgrade: websocket"])), .finished(.client),
                .response(responseHead("HTTP/1.1 101 x", ["Upgrade: websocket", "Sec-WebSocket-Accept: x"])),
            ]
        let all = [.redacted(FlowRedaction(changes: [change]))] + opening + events + [.ended(FlowEnding(state: .complete))]
        return flow(kind, number: 1, all.map { (0, $0) })
    }

    private static func sent(_ stored: String, size: Int, by side: Side = .client) -> FlowEvent.What {
        .piece(FlowPiece(from: side, content: bytes(stored), wireSize: UInt64(size)))
    }

    /// What the server sends after the pieces of the client, and the complaints.
    private static func play(_ player: FlowPlayer, _ pieces: [FlowPiece]) throws -> [String] {
        var lines: [String] = []
        for piece in pieces {
            player.receive(piece, at: moment(0))
            while case .say(let what) = try player.next(at: moment(0)) {
                if case .piece(let piece) = what { lines.append(String(buffer: piece.content)) }
            }
        }
        return lines + player.takeComplaints()
    }

    @Test("Messages of a WebSocket are compared as they would have been stored")
    func messages() throws {
        let flow = Self.redacted(.http, [said("token=*;", by: .client, .text), said("welcome", by: .server, .text)])
        func player(_ redactions: [RecordedRedaction]) -> FlowPlayer {
            FlowPlayer(flow, response: nil, timing: .none, matching: .content, now: moment(0), redactions: redactions)
        }
        let message = FlowPiece(kind: .text, from: .client, content: bytes("token=live;"))
        #expect(try Self.play(player([masking("code"), masking("token")]), [message]) == ["welcome"])
        #expect(
            try Self.play(player([]), [message]) == ["the client sent 'token=live;', the recording has 'token=*;'"])
        let other = FlowPiece(kind: .text, from: .client, content: bytes("token=live;x"))
        #expect(
            try Self.play(player([masking("token")]), [other]) == ["the client sent 'token=*;x', the recording has 'token=*;'"])
    }

    @Test("Of a stream as many bytes are waited for as the recorded client sent, however many are stored")
    func streams() throws {
        let flow = Self.redacted(
            .tcp, [Self.sent("token=*;", size: 11), said("+OK", by: .server), Self.sent("", size: 3), said("bye", by: .server)])
        let player = StreamPlayer(
            [(0, flow)], timing: .none, matching: .content, now: moment(0), redactions: [masking("token")]
        ) { _ in }
        var lines: [String] = []
        for text in ["tok", "en=live", ";", "end"] {
            player.receive(FlowPiece(from: .client, content: bytes(text)), at: moment(0))
            lines.append("> \(text)")
            while case .say(let what) = try player.next(at: moment(0)) {
                if case .piece(let piece) = what { lines.append(String(buffer: piece.content)) }
            }
        }
        #expect(lines + player.takeComplaints() == ["> tok", "> en=live", "> ;", "+OK", "> end", "bye"])
    }

    @Test("The first bytes choose among redacted streams")
    func choice() throws {
        let flows = ["token=*;1", "token=*;2"].enumerated().map { index, first in
            (index, Self.redacted(.tcp, [Self.sent(first, size: 12), said("\(index + 1)", by: .server)]))
        }
        var chosen: [Int] = []
        for end in ["2", "1"] {
            let player = StreamPlayer(flows, timing: .none, matching: .content, now: moment(0), redactions: [masking("token")]) {
                chosen.append($0)
            }
            player.receive(FlowPiece(from: .client, content: bytes("token=live;\(end)")), at: moment(0))
            _ = try player.next(at: moment(0))
        }
        #expect(chosen == [1, 0])
    }
}
