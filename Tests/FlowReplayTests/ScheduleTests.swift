// What a replayed server sends, and when. These tests move the clock.

import FlowModel
import HTTPSemantics
import NIOCore
import Testing

@testable import FlowReplay

/// Replays one flow, and notes each step and its millisecond.
private struct Stage {
    /// The replay begins an hour after the recording.
    static let start: Int64 = 3_600_000
    let player: FlowPlayer
    var clock: Int64 = 0
    var lines: [String] = []

    init(
        _ flow: Flow, timing: ReplayTiming = .none, matching: DialogueMatching = .content, response: EditedResponse?? = nil,
        isRequestComplete: Bool = true, sent100Continue: Bool = false
    ) {
        let occasion = ResponseContext(request: requestHead(), now: moment(Self.start), keepsDates: true, accept: "new")
        player = FlowPlayer(
            flow, response: response ?? flow.response(for: occasion), timing: timing, matching: matching, now: moment(Self.start),
            isRequestComplete: isRequestComplete, sent100Continue: sent100Continue)
    }

    /// Advances the clock and lets the server send what is due.
    /// - Parameter late: milliseconds that each timer fires too late.
    mutating func play(until end: Int64, late: Int64 = 0) throws {
        while true {
            switch try player.next(at: moment(Self.start + clock)) {
            case .say(let what): lines.append("\(clock) \(Self.text(what))")
            case .wait(let due):
                let at = (due - moment(Self.start)) / 1_000_000
                guard at + late <= end else {
                    clock = end
                    return
                }
                clock = at + late
            case .waitForClient:
                clock = end
                return
            case .end(let ending):
                lines.append("\(clock) end \(ending.state)")
                return
            }
        }
    }

    mutating func hear(_ text: String, _ kind: FlowPiece.Kind = .data) {
        player.receive(FlowPiece(kind: kind, from: .client, content: bytes(text)), at: moment(Self.start + clock))
    }

    static func text(_ what: FlowEvent.What) -> String {
        switch what {
        case .interim(let head), .response(let head): "\(head.status)"
        case .piece(let piece):
            piece.kind == .data ? String(buffer: piece.content) : "\(piece.kind) \(String(buffer: piece.content))"
        case .trailers: "trailers"
        case .finished: "finished"
        default: "?"
        }
    }
}

private let ended = FlowEvent.What.ended(FlowEnding(state: .complete))

@Suite("When a replayed server sends what")
struct ScheduleTests {
    /// The request took 100 ms, the server 40 ms to begin, its content came in pieces.
    private static let stream = flow(
        number: 1,
        [
            (0, .request(requestHead("POST / HTTP/1.1"))), (60, said("content", by: .client)), (100, .finished(.client)),
            (120, .interim(responseHead("HTTP/1.1 103 Early Hints"))), (140, .response(responseHead())),
            (140, said("a", by: .server)),
            (190, said("b", by: .server)), (290, said("c", by: .server)),
            (300, .trailers(from: .server, FieldSection([("x", "y")]))),
            (300, .finished(.server)), (300, ended),
        ])

    @Test(
        "Pauses are kept or scaled, or there is one of fixed length; the first counts from the end of the request",
        arguments: [
            (.none, ["0 103", "0 200", "0 a", "0 b", "0 c", "0 trailers", "0 finished", "0 end complete"]),
            (.recorded, ["20 103", "40 200", "40 a", "90 b", "190 c", "200 trailers", "200 finished", "200 end complete"]),
            (.scaled(2), ["10 103", "20 200", "20 a", "45 b", "95 c", "100 trailers", "100 finished", "100 end complete"]),
            (.scaled(0.5), ["40 103", "80 200", "80 a", "180 b", "380 c", "400 trailers", "400 finished", "400 end complete"]),
            (.fixed(5_000_000), ["5 103", "5 200", "5 a", "5 b", "5 c", "5 trailers", "5 finished", "5 end complete"]),
        ] as [(ReplayTiming, [String])])
    func timings(_ timing: ReplayTiming, _ expected: [String]) throws {
        var stage = Stage(Self.stream, timing: timing)
        try stage.play(until: 1000)
        #expect(stage.lines == expected)
    }

    @Test("A late timer does not delay later events")
    func lateTimers() throws {
        var stage = Stage(Self.stream, timing: .recorded)
        try stage.play(until: 1000, late: 7)
        #expect(stage.lines == ["27 103", "47 200", "47 a", "97 b", "197 c", "207 trailers", "207 finished", "207 end complete"])
    }

    @Test(
        "Timings are read, and invalid ones are rejected",
        arguments: [
            ("none", ReplayTiming.none),
            ("max", ReplayTiming.none),
            ("recorded", .scaled(1)),
            ("2x", .scaled(2)),
            ("0.5x", .scaled(0.5)),
            ("50ms", nil),
            ("0x", nil),
            ("-1x", nil),
            ("nanx", nil),
            ("5", nil),
            ("", nil),
            ("infx", nil),
        ] as [(String, ReplayTiming?)])
    func reading(_ text: String, _ expected: ReplayTiming?) {
        let timing = ReplayTiming(text)
        #expect(timing == expected)
    }

    @Test("A 100 that was sent is not sent twice, and HEAD gets no content")
    func leftOut() throws {
        let recorded = flow(
            number: 1,
            [
                (0, .request(requestHead())), (0, .finished(.client)), (1, .interim(responseHead("HTTP/1.1 100 Continue"))),
                (2, .response(responseHead())),
                (2, said("content", by: .server)), (3, .trailers(from: .server, FieldSection([("x", "y")]))),
                (3, .finished(.server)), (3, ended),
            ])
        var twice = Stage(recorded, sent100Continue: true)
        try twice.play(until: 1)
        #expect(twice.lines == ["0 200", "0 content", "0 trailers", "0 finished", "0 end complete"])
        var head = Stage(recorded, response: .some(EditedResponse(head: responseHead(), range: nil, hasContent: false)))
        try head.play(until: 1)
        #expect(head.lines == ["0 100", "0 200", "0 finished", "0 end complete"])
    }

    @Test(
        "A range is cut from the pieces",
        arguments: [(0..<3, ["abc"]), (2..<5, ["c", "de"]), (3..<4, ["d"]), (5..<7, ["f", "g"]), (0..<0, [])]
            as [(Range<UInt64>, [String])])
    func range(_ range: Range<UInt64>, _ expected: [String]) throws {
        let pieces: [(Int64, FlowEvent.What)] = ["abc", "def", "g"].map { (1, said($0, by: .server)) }
        let recorded = flow(
            number: 1,
            [(0, .request(requestHead())), (0, .finished(.client)), (1, .response(responseHead()))] + pieces + [
                (1, .finished(.server)), (1, ended),
            ])
        var stage = Stage(
            recorded, response: .some(EditedResponse(head: responseHead("HTTP/1.1 206 P"), range: range, hasContent: true)))
        try stage.play(until: 1)
        #expect(stage.lines == ["0 206"] + expected.map { "0 \($0)" } + ["0 finished", "0 end complete"])
    }

    @Test("Where the client gave up, the server stays silent; where the server did, it ends as it did")
    func cuts() throws {
        func recorded(_ ending: FlowEnding) -> Flow {
            flow(
                number: 1,
                [
                    (0, .request(requestHead())), (0, .finished(.client)), (1, .response(responseHead())),
                    (1, said("a", by: .server)), (9, .ended(ending)),
                ])
        }
        let at = moment(9)
        let endings: [FlowEnding] = [
            FlowEnding(state: .incomplete, error: FlowError(side: .client, message: "gone", at: at), closedBy: .client),
            FlowEnding(state: .incomplete, closedBy: .client),
            FlowEnding(state: .incomplete, error: FlowError(side: .server, message: "gone", at: at)),
            FlowEnding(state: .incomplete, error: FlowError(side: nil, message: "stopped", at: at)),
        ]
        var lines: [[String]] = []
        for ending in endings {
            var stage = Stage(recorded(ending), timing: .recorded)
            try stage.play(until: 100)
            lines.append(stage.lines)
        }
        let silent = ["1 200", "1 a"]
        let cut = ["1 200", "1 a", "9 end incomplete"]
        #expect(lines == [silent, silent, cut, cut])
    }

    @Test("A recording that stops without an end is cut there")
    func noEnd() throws {
        var stage = Stage(flow(number: 1, [(0, .request(requestHead())), (0, .finished(.client)), (5, .response(responseHead()))]))
        try stage.play(until: 100)
        #expect(stage.lines == ["0 200", "0 end incomplete"])
    }
}

@Suite("A played server in a dialogue")
struct DialogueTests {
    /// The client asks at 110, the server answers 30 ms later and asks again at 300, the client answers at 500 and the server ends.
    private static let conversation = flow(
        number: 1,
        [
            (0, .request(requestHead())), (0, .finished(.client)),
            (10, .response(responseHead("HTTP/1.1 101 Switching", ["Upgrade: websocket"]))),
            (10, .finished(.server)), (110, said("ask", by: .client, .text)), (140, said("answer", by: .server, .text)),
            (150, said("", by: .client, .ping)), (150, said("", by: .server, .pong)), (300, said("more?", by: .server, .binary)),
            (500, said("no", by: .client, .text)), (510, said("bye", by: .server, .close)), (520, said("bye", by: .client, .close)),
            (530, ended),
        ])

    @Test("A message waits for the client's before it, and its pause counts from there")
    func messages() throws {
        var stage = Stage(Self.conversation, timing: .recorded)
        try stage.play(until: 1000)
        stage.hear("ask", .text)
        try stage.play(until: 5000)
        stage.hear("ignored", .ping)
        stage.hear("no", .text)
        try stage.play(until: 6000)
        stage.hear("bye", .close)
        try stage.play(until: 9000)
        #expect(
            stage.lines == ["10 101", "1030 text answer", "1190 binary more?", "5010 close bye", "6010 end complete"])
        #expect(stage.player.takeComplaints() == [])
    }

    @Test("A message that the client sent too early counts when its turn comes")
    func early() throws {
        var stage = Stage(Self.conversation, timing: .recorded)
        stage.hear("ask", .text)
        try stage.play(until: 400)
        #expect(stage.lines == ["10 101", "40 text answer", "200 binary more?"])
    }

    @Test("By content a different message is reported and the wait continues; by count it is accepted; by time there is no wait")
    func matching() throws {
        var content = Stage(Self.conversation)
        try content.play(until: 1)
        content.hear("\u{1B}[2J", .text)
        try content.play(until: 2)
        #expect(content.player.takeComplaints() == ["the client sent '?[2J', the recording has 'ask'"])
        content.hear("other", .text)
        content.hear("ask", .text)
        try content.play(until: 3)
        #expect(content.lines == ["0 101", "2 text answer", "2 binary more?"])
        var count = Stage(Self.conversation, matching: .count)
        count.hear("other", .binary)
        try count.play(until: 1)
        #expect(count.lines == ["0 101", "0 text answer", "0 binary more?"])
        var time = Stage(Self.conversation, timing: .recorded, matching: .time)
        try time.play(until: 1000)
        #expect(time.lines == ["10 101", "140 text answer", "300 binary more?", "510 close bye", "530 end complete"])
    }

    /// A stream of bytes: the server greets, is asked in two pieces, answers; the client closes.
    private static func stream(_ ending: FlowEnding) -> Flow {
        flow(
            .tcp, number: 1,
            [
                (0, said("hello", by: .server)), (100, said("AS", by: .client)), (110, said("K", by: .client)),
                (130, said("answer", by: .server)),
                (200, .ended(ending)),
            ])
    }

    @Test("A stream continues after the same number of bytes, however they were cut")
    func bytesOfAStream() throws {
        var stage = Stage(Self.stream(FlowEnding(state: .complete, closedBy: .server)), timing: .recorded)
        try stage.play(until: 1000)
        stage.hear("A")
        try stage.play(until: 2000)
        stage.hear("SK")
        try stage.play(until: 9000)
        #expect(stage.lines == ["0 hello", "2020 answer", "2090 end complete"])
        #expect(stage.player.takeComplaints() == [])
        var other = Stage(Self.stream(FlowEnding(state: .complete, closedBy: .server)))
        other.hear("AXKK")
        try other.play(until: 1)
        #expect(other.lines == ["0 hello", "0 answer", "0 end complete"])
        #expect(other.player.takeComplaints() == ["the client's bytes differ from the recording at byte 1 of 2"])
    }

    @Test(
        "A stream that the client closed waits for the client to close; one that ends too early cannot continue"
    )
    func ends() throws {
        let closing = Self.stream(FlowEnding(state: .complete, closedBy: .client))
        var stage = Stage(closing)
        stage.hear("ASK")
        try stage.play(until: 500)
        let before = stage.lines
        stage.player.clientFinished(at: moment(500))
        try stage.play(until: 600)
        #expect(before == ["0 hello", "0 answer"])
        #expect(stage.lines == before + ["500 end complete"])
        var early = Stage(closing)
        early.hear("A")
        early.player.clientFinished(at: moment(1))
        try early.play(until: 600)
        #expect(early.lines == ["0 hello", "0 end incomplete"])
        var gaveUp = Stage(Self.stream(FlowEnding(state: .incomplete, closedBy: .client, isReset: true)))
        gaveUp.hear("ASK")
        try gaveUp.play(until: 10)
        gaveUp.player.clientFinished(at: moment(10))
        try gaveUp.play(until: 20)
        #expect(gaveUp.lines == ["0 hello", "0 answer", "10 end incomplete"])
    }

    /// The response begins when half of the request is there.
    private static let duplex = flow(
        number: 1,
        [
            (0, .request(requestHead("POST / HTTP/1.1"))), (100, said("one", by: .client)), (120, .response(responseHead())),
            (120, said("ONE", by: .server)),
            (300, said("two", by: .client)), (310, said("TWO", by: .server)), (400, .finished(.client)), (405, .finished(.server)),
            (405, ended),
        ])

    @Test("A response that began before the request was complete follows the request")
    func duplexExchange() throws {
        var stage = Stage(Self.duplex, timing: .recorded, isRequestComplete: false)
        try stage.play(until: 50)
        stage.hear("on")
        try stage.play(until: 60)
        stage.hear("e")
        try stage.play(until: 700)
        stage.hear("two")
        try stage.play(until: 800)
        stage.player.clientFinished(at: moment(800))
        try stage.play(until: 1000)
        #expect(stage.lines == ["80 200", "80 ONE", "710 TWO", "805 finished", "805 end complete"])
    }

    @Test("A complete request gets all of it, and so does one that ends early")
    func duplexAnswersCompleteRequests() throws {
        var complete = Stage(Self.duplex)
        try complete.play(until: 1)
        let everything = ["0 200", "0 ONE", "0 TWO", "0 finished", "0 end complete"]
        #expect(complete.lines == everything)
        var early = Stage(Self.duplex, isRequestComplete: false)
        early.hear("o")
        early.player.clientFinished(at: moment(0))
        try early.play(until: 1)
        #expect(early.lines == everything)
        #expect(early.player.takeComplaints().first == "the client ended before it had sent what is in the recording")
    }

    @Test("Bytes after an upgrade to another protocol take turns from the end of the handshake")
    func otherUpgrade() throws {
        let recorded = flow(
            number: 1,
            [
                (0, .request(requestHead())), (0, .finished(.client)),
                (1, .response(responseHead("HTTP/1.1 101 Switching", ["Upgrade: tcp"]))),
                (1, .finished(.server)), (2, said("in", by: .client)), (3, said("out", by: .server)), (4, ended),
            ])
        var stage = Stage(recorded)
        try stage.play(until: 10)
        stage.hear("in")
        try stage.play(until: 20)
        #expect(stage.lines == ["0 101", "10 out", "10 end complete"])
    }
}

@Suite("One of several recorded streams")
struct StreamChoiceTests {
    private static func stream(_ number: UInt64, _ pieces: [(Side, String)]) -> Flow {
        let events: [(Int64, FlowEvent.What)] = pieces.enumerated().map { (Int64($0.offset), said($0.element.1, by: $0.element.0)) }
        return flow(.tcp, number: number, events + [(99, .ended(FlowEnding(state: .complete, closedBy: .server)))])
    }

    private static let streams = [
        stream(0, [(.client, "PING"), (.server, "PONG")]), stream(1, [(.client, "QUIT"), (.server, "BYE")]),
        stream(2, [(.client, "QUICK"), (.server, "YES")]),
    ]

    /// The stream that is chosen after each piece of the client, and all complaints.
    private func play(_ flows: [Flow], _ pieces: [String], matching: DialogueMatching = .content, ends: Bool = false) throws
        -> [String]
    {
        var lines: [String] = []
        let player = StreamPlayer(
            flows.enumerated().map { (number: $0.offset, flow: $0.element) }, timing: .none, matching: matching, now: moment(0)
        ) { lines.append("stream \($0)") }
        func advance() throws {
            while true {
                switch try player.next(at: moment(0)) {
                case .say(let what): lines.append(Stage.text(what))
                case .end: return lines.append("end")
                case .wait, .waitForClient: return
                }
            }
        }
        try advance()
        for piece in pieces {
            lines.append("> \(piece)")
            player.receive(FlowPiece(from: .client, content: bytes(piece)), at: moment(0))
            try advance()
        }
        if ends {
            player.clientFinished(at: moment(0))
            try advance()
        }
        return lines + player.takeComplaints()
    }

    @Test("The recording with the same bytes of the client answers, as soon as that is known")
    func byContent() throws {
        let lines = try [["QUIT"], ["PI", "NG"], ["QUI", "CK"]].map { try play(Self.streams, $0) }
        #expect(
            lines == [
                ["> QUIT", "stream 1", "BYE", "end"], ["> PI", "> NG", "stream 0", "PONG", "end"],
                ["> QUI", "> CK", "stream 2", "YES", "end"],
            ])
    }

    @Test("If there is none, the first answers, and the difference is reported")
    func different() throws {
        let lines = try play(Self.streams, ["PONG"])
        #expect(
            lines == [
                "> PONG", "stream 0", "PONG", "end", "the client's bytes differ from the recording at byte 1 of 4",
            ])
        let ended = try play(Self.streams, ["QUI"], ends: true)
        #expect(ended == ["> QUI", "stream 0", "end"])
    }

    @Test("A server that speaks first does; by time there is no wait")
    func serverFirst() throws {
        let greeting = Self.stream(7, [(.server, "220 here"), (.client, "EHLO"), (.server, "250")])
        let lines = try play([greeting] + Self.streams, ["EHLO"])
        #expect(lines == ["stream 0", "220 here", "> EHLO", "250", "end"])
        let byTime = try play(Self.streams, [], matching: .time)
        #expect(byTime == ["stream 0", "PONG", "end"])
        let speaks = [greeting, Self.streams[0]].map(\.serverSpeaksFirst)
        #expect(speaks == [true, false])
    }
}
