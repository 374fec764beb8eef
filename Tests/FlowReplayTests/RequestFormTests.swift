// Requests and recordings that were redacted: a request is compared in the form that each recording has.

import Digests
import FlowModel
import HTTPSemantics
import NIOCore
import Redaction
import Secrets
import TestSupport
import Testing

@testable import FlowReplay

/// Rules that hide the values after `NAME=`, wherever they are.
func masking(_ name: String) -> RecordedRedaction {
    do {
        let rules = try RedactionRules(["pattern:(?<=\(name)=)[^&;\\s]+"], keepsUnparsed: true)
        return RecordedRedaction(Redactor(rules, key: nil))
    } catch {
        fatalError("\(error)")
    }
}

extension Flow {
    /// The flow as a recording with these rules has it.
    fileprivate func redacted(by redaction: RecordedRedaction?) throws -> Flow { try redaction?.stored(self) ?? self }
}

@Suite("A request and redacted recordings")
struct RequestFormTests {
    /// Recordings of `GET /?token=…`, in their order, each with the rules by which it was redacted.
    private static func asker(
        _ recordings: [(token: String, redaction: RecordedRedaction?)], rules: MatchRules = MatchRules(),
        order: ReplayOrder = .sequence, isOnce: Bool = false
    ) throws -> Asker {
        let flows = try recordings.enumerated().map { index, recording in
            try exchange(number: UInt64(index + 1), at: Int64(index * 10), request(recording.token)).redacted(
                by: recording.redaction)
        }
        var asker = Asker(flows, rules: rules, order: order, isOnce: isOnce)
        for redaction in recordings.compactMap(\.redaction) { asker.index.add(redaction) }
        return asker
    }

    private static func request(_ token: String) -> RequestHead {
        requestHead("GET /?token=\(token) HTTP/1.1", ["A: token=\(token)"])
    }

    @Test("A request is answered by a recording in which its value is masked")
    func masked() throws {
        let redaction = masking("token")
        var asker = try Self.asker([("old", redaction)])
        #expect(try asker.ask(Self.request("live")) == "1")
        // The mask itself, which a client may have from a redacted response.
        #expect(try asker.ask(redaction.request(Self.request("old"), ByteBuffer()).head) == "1")
        var without = try Self.asker([("old", nil)])
        #expect(try without.ask(Self.request("live")) == "-")
    }

    @Test("Content is compared as it would have been stored")
    func content() throws {
        let recorded = exchange(number: 1, requestHead("POST / HTTP/1.1"), content: "a=1&token=old")
        var asker = Asker([try recorded.redacted(by: masking("token"))])
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
        let redaction = masking("token")
        let recordings = [("alice", nil), ("bob", nil), ("dora", redaction), ("alice", nil)] as [(String, RecordedRedaction?)]
        var asker = try Self.asker(recordings, order: order, isOnce: isOnce)
        #expect(try (0..<4).map { _ in try asker.ask(Self.request("alice")) } == expected)
        // Every other one is answered by the recording that cannot tell them apart.
        #expect(try asker.ask(Self.request("carol")) == (isOnce ? "x" : "3"))
    }

    @Test("Recordings with different rules have one request in different forms")
    func differentRules() throws {
        var asker = Asker([
            try exchange(number: 1, requestHead("GET /?token=8&code=1 HTTP/1.1")).redacted(by: masking("token")),
            try exchange(number: 2, requestHead("GET /?token=2&code=8 HTTP/1.1")).redacted(by: masking("code")),
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
        var asker = try Self.asker([("old", masking("token")), ("bob", nil)], rules: rules)
        #expect(try (0..<3).map { _ in try asker.ask(Self.request("bob")) } == ["1", "2", "2"])
        #expect(try asker.ask(Self.request("carol")) == "1")
    }

    @Test("A request for any host is asked in each form for each host")
    func anyHost() throws {
        let recorded = exchange(number: 1, host: "b.example", requestHead("GET /?token=old HTTP/1.1"))
        var asker = Asker([try recorded.redacted(by: masking("token"))])
        asker.index.add(masking("token"))
        #expect(try asker.ask(requestHead("GET /?token=live HTTP/1.1"), host: "127.0.0.1", isForAnyHost: true) == "1")
    }

    /// An exchange whose request's content is not, or not all, in the recording.
    private static func partial(_ number: UInt64, stored: String, sent: String, isCut: Bool) -> Flow {
        let digest = ByteBuffer(bytes: Digest.of(bytes(sent).readableBytesUInt8Span, by: .sha256))
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
    func explanation() throws {
        var asker = try Self.asker([("old", masking("token"))])
        let text = asker.explain(requestHead("GET /?token=live&x=1 HTTP/1.1"))
        #expect(text.hasSuffix(", which differs in the query: 'x=1' is not in the recording"))
        #expect(!text.contains("live") && !text.contains("old"))
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
        let flow = Self.redacted(.http, [said("token=«redacted»;", by: .client, .text), said("welcome", by: .server, .text)])
        func player(_ redactions: [RecordedRedaction]) -> FlowPlayer {
            FlowPlayer(flow, response: nil, timing: .none, matching: .content, now: moment(0), redactions: redactions)
        }
        let message = FlowPiece(kind: .text, from: .client, content: bytes("token=live;"))
        #expect(try Self.play(player([masking("code"), masking("token")]), [message]) == ["welcome"])
        #expect(
            try Self.play(player([]), [message]) == ["the client sent 'token=live;', the recording has 'token=??redacted??;'"])
        let other = FlowPiece(kind: .text, from: .client, content: bytes("token=live;x"))
        #expect(
            try Self.play(player([masking("token")]), [other]) == [
                "the client sent 'token=??redacted??;x', the recording has 'token=??redacted??;'"
            ])
    }

    @Test("Of a stream as many bytes are waited for as the recorded client sent, however many are stored")
    func streams() throws {
        let flow = Self.redacted(
            .tcp,
            [Self.sent("token=«redacted»;", size: 11), said("+OK", by: .server), Self.sent("", size: 3), said("bye", by: .server)])
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
        let flows = ["token=«redacted»;1", "token=«redacted»;2"].enumerated().map { index, first in
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

@Suite("The rules that a recording names")
struct RecordedRulesTests {
    private static let key = RedactionKey(Array(repeating: 7, count: RedactionKey.size))
    private static let other = RedactionKey(Array(repeating: 8, count: RedactionKey.size))

    /// The redactions for what a recording with one rule names, and the warnings.
    private static func redactions(_ rules: [String], key: RedactionKey?) -> (found: [RecordedRedaction], warnings: [String]) {
        var recorded = RecordedRules(key: key)
        var warnings: [String] = []
        let found = recorded.redactions(named: rules, after: 0, by: "a.mflow") { warnings.append($0) }
        return (found, warnings)
    }

    @Test("Hashed values equal those of the same key; with another key, or none, that is reported")
    func keys() throws {
        let rules = try RedactionRules(["query:token=hash"])
        let named = Redactor(rules, key: Self.key).named
        #expect(named.count == 2)
        let head = requestHead("GET /?token=abc HTTP/1.1")
        func target(_ key: RedactionKey?) throws -> (target: String, warnings: [String]) {
            let (found, warnings) = Self.redactions(named, key: key)
            return (String(buffer: try #require(found.first).request(head, ByteBuffer()).head.target), warnings)
        }
        let recorded = String(buffer: RecordedRedaction(Redactor(rules, key: Self.key)).request(head, ByteBuffer()).head.target)
        let (same, different, none) = try (target(Self.key), target(Self.other), target(nil))
        #expect(same.target == recorded && same.warnings == [])
        #expect(different.target != recorded && none.target != recorded)
        let warning =
            "values in a.mflow were hashed with the key of another machine, so they equal none of this one; copy its redaction.key to the configuration directory"
        #expect(different.warnings == [warning] && none.warnings == [warning])
    }

    @Test("Secrets are those of the list that the program was given")
    func secrets() throws {
        let head = requestHead("GET /?order=own-12345678 HTTP/1.1")
        func target(_ rules: SecretRules?) throws -> String {
            var recorded = RecordedRules(key: nil, secrets: rules)
            let found = recorded.redactions(named: ["secrets"], after: 0, by: "a.mflow") { Issue.record("\($0)") }
            return String(buffer: try #require(found.first).request(head, ByteBuffer()).head.target)
        }
        #expect(try target(nil) == "/?order=own-12345678")
        let own = try SecretRules(yaml: "rules:\n- {id: own, description: an order, regex: 'own-[0-9]{8}', keywords: ['own-']}\n")
        #expect(try target(own) == "/?order=%C2%ABredacted%C2%BB")
    }

    @Test("Rules of several segments are tried together and by themselves, each once")
    func segments() {
        var recorded = RecordedRules(key: nil)
        func texts(_ named: [String], _ count: Int) -> [[String]] {
            recorded.redactions(named: named, after: count, by: "a.mflow") { Issue.record("\($0)") }.map(\.texts)
        }
        let found = [
            texts(["header:a"], 0), texts(["header:a", "header:b"], 1), texts(["header:a", "header:b"], 1), texts(["header:b"], 0),
        ]
        #expect(found == [[["header:a"]], [["header:a", "header:b"], ["header:b"]], [], []])
    }

    @Test("A rule of a later version is named, and the others are applied")
    func unknown() {
        let (found, warnings) = Self.redactions(["header:a", "later:x", "header:b"], key: nil)
        #expect(found.map(\.texts) == [["header:a", "header:b"]])
        #expect(warnings == ["a.mflow was redacted by the rule 'later:x', which this version does not know"])
    }
}

@Suite("Answers compared with redacted ones")
struct RedactedComparisonTests {
    /// An exchange with a JSON answer.
    private static func exchange(_ answer: String, cookie: String = "1") -> Flow {
        let fields = ["Content-Type: application/json", "Content-Length: \(answer.utf8.count)", "Set-Cookie: sid=\(cookie)"]
        return FlowReplayTests.exchange(number: 1, requestHead(), responseHead("HTTP/1.1 200 OK", fields), answer: answer)
    }

    private static func redaction(_ rules: [String], keepsUnparsed: Bool = true) throws -> RecordedRedaction {
        RecordedRedaction(Redactor(try RedactionRules(rules, keepsUnparsed: keepsUnparsed), key: nil))
    }

    private static func lines(_ recorded: Flow, _ new: Flow, _ redactions: [RecordedRedaction]) throws -> [String] {
        try FlowComparison().differences(recorded: recorded, new: new, redactions: redactions).lines
    }

    @Test("Masked values are equal; other differences are found, and show no hidden value")
    func masked() throws {
        let rules = try Self.redaction(["cookie:*", "json:$.p"])
        let recorded = try rules.stored(Self.exchange("{\"p\":\"old\",\"n\":1}", cookie: "2"))
        #expect(try Self.lines(recorded, Self.exchange("{\"p\":\"new\",\"n\":1}", cookie: "3"), [rules]) == [])
        #expect(try Self.lines(recorded, Self.exchange("{\"p\":\"new\",\"n\":2}"), [rules]) == ["body: $.n: 1 → 2"])
        let without = try Self.lines(recorded, Self.exchange("{\"p\":\"new\",\"n\":1}"), [])
        #expect(without.count == 2)
    }

    @Test("Of several rules those count by which the flow may have been stored, and none for a flow that no rule changed")
    func severalRules() throws {
        let (cookies, members) = (try Self.redaction(["cookie:*"]), try Self.redaction(["json:$.p"]))
        let recorded = try members.stored(Self.exchange("{\"p\":\"old\"}", cookie: "1"))
        #expect(try Self.lines(recorded, Self.exchange("{\"p\":\"new\"}", cookie: "1"), [cookies, members]) == [])
        let plain = Self.exchange("{\"p\":\"old\"}", cookie: "1")
        #expect(try Self.lines(plain, plain, [cookies, members]) == [])
        #expect(
            try Self.lines(plain, Self.exchange("{\"p\":\"new\"}", cookie: "1"), [cookies]) == ["body: $.p: \"old\" → \"new\""])
    }

    @Test("A value that differs and that its own rules do not hide is shown")
    func shown() throws {
        let (cookies, members) = (try Self.redaction(["cookie:*"]), try Self.redaction(["json:$.p"]))
        let recorded = try cookies.stored(Self.exchange("{\"p\":\"old\"}"))
        #expect(
            try Self.lines(recorded, Self.exchange("{\"p\":\"new\"}", cookie: "2"), [members, cookies])
                == ["body: $.p: \"old\" → \"new\""])
    }

    @Test("Content that redaction left out is not compared")
    func leftOut() throws {
        let recorded = try Self.redaction(["json:$.p"], keepsUnparsed: false).stored(Self.exchange("{\"p\":\"old"))
        let rules = try Self.redaction(["json:$.p"])
        #expect(recorded.response?.storedSize == 0)
        #expect(try Self.lines(recorded, Self.exchange("{\"p\":\"new"), [rules]) == [])
    }
}
