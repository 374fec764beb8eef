// Which recording answers a request.

import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

@testable import FlowReplay

@Suite("A request finds its recording")
struct MatchingTests {
    private static func rules(_ ignored: [String] = [], body: BodyMatching = .auto, headers: [String] = []) throws -> MatchRules {
        var rules = MatchRules()
        rules.ignore = try IgnoreRules(ignored, for: .matching)
        rules.volatile = .usual
        rules.body = body
        rules.headers = headers
        return rules
    }

    @Test(
        "Two request-targets are equal if path and query are",
        arguments: [
            ("/p?a=1&b=2", "/p?b=2&a=1", [], true),
            ("/p?a=1&a=2", "/p?a=2&a=1", [], true),
            ("/p?a=1", "/p?a=1&a=1", [], false),
            ("/p?a=1", "/p?a=2", [], false),
            ("/p?a", "/p?a=", [], false),
            ("/p", "/p?", [], true),
            ("/p", "/p?&", [], true),
            ("/p", "/P", [], false),
            ("/p", "/p/", [], false),
            ("/p?a=1", "/p", [], false),
            ("/p?a=1#f", "/p?a=1", [], false),
            ("http://a.example/p?a=1", "/p?a=1", [], true),
            ("http://a.example?a=1", "/?a=1", [], true),
            ("*", "/", [], false),
            ("/p?utm_source=x&a=1", "/p?a=1&utm_source=y&utm_other=z", [], true),
            ("/p?UTM_Source=x", "/p", [], true),
            ("/p?_=17", "/p?_=18", [], true),
            ("/p?a=1&t=5", "/p?a=1&t=6", ["query:t"], true),
            ("/p?a=1&%74=5", "/p?a=1&t=6", ["query:t"], true),
            ("/p?a=1", "/p?b=2", ["query"], true),
            ("/p?a=1&t=5", "/p?a=2&t=5", ["query:t"], false),
            ("/p?a=b=c", "/p?a=b", [], false),
        ] as [(String, String, [String], Bool)])
    func targets(_ recorded: String, _ asked: String, _ ignored: [String], _ isSame: Bool) throws {
        let recording = exchange(number: 1, requestHead("GET \(recorded) HTTP/1.1"))
        var asker = Asker([recording], rules: try Self.rules(ignored))
        let answer = try asker.ask(requestHead("GET \(asked) HTTP/1.1"))
        #expect(answer == (isSame ? "1" : "-"))
    }

    /// Their hashes agree in the lower 32 bits, as some do among a million paths, or parameters.
    @Test(
        "Among many paths and queries none is taken for another",
        arguments: [("/item/48885", "/item/107668"), ("/item?id=69494", "/item?id=74029")])
    func alikes(_ recorded: String, _ asked: String) throws {
        var asker = Asker([exchange(number: 1, requestHead("GET \(recorded) HTTP/1.1"))])
        #expect(try asker.ask(requestHead("GET \(asked) HTTP/1.1")) == "-")
        #expect(try asker.ask(requestHead("GET \(recorded) HTTP/1.1")) == "1")
    }

    @Test("Without the list of volatile names they count")
    func volatileOff() throws {
        var asker = Asker([exchange(number: 1, requestHead("GET /?utm_source=x HTTP/1.1"))])
        let other = try asker.ask(requestHead("GET /?utm_source=y HTTP/1.1"))
        let same = try asker.ask(requestHead("GET /?utm_source=x HTTP/1.1"))
        #expect([other, same] == ["-", "1"])
    }

    @Test("A list of volatile names is read: comments, prefixes, case")
    func volatileNames() {
        let names = VolatileNames(parsing: "# all\n token  # ours\r\nX_*\n\n")
        let found = ["token", "TOKEN", "x_", "x_y", "tokens", "all", ""].map { names.contains($0) }
        #expect(found == [true, true, true, true, false, false, false])
    }

    @Test("Methods and hosts count, hosts without regard to case, and not when they are ignored")
    func methodAndHost() throws {
        let flows = [
            exchange(number: 1), exchange(number: 2, host: "B.example"), exchange(number: 3, requestHead("PUT / HTTP/1.1")),
        ]
        var strict = Asker(flows)
        let asked = try [
            strict.ask(), strict.ask(host: "b.EXAMPLE"), strict.ask(requestHead("PUT / HTTP/1.1")), strict.ask(host: "c.example"),
            strict.ask(requestHead("put / HTTP/1.1")),
        ]
        #expect(asked == ["1", "2", "3", "-", "-"])
        var lenient = Asker(flows, rules: try Self.rules(["host"]))
        let either = try [lenient.ask(host: "c.example"), lenient.ask(host: "d.example")]
        #expect(either == ["1", "2"])
    }

    @Test("A flow to an address is known by the name in its Host field, one to a name by that")
    func hostNames() throws {
        let flows = [
            exchange(number: 1, host: "127.0.0.1", requestHead("GET / HTTP/1.1", ["Host: a.example:81"])),
            exchange(number: 2, host: "b.example", requestHead("GET / HTTP/1.1", ["Host: localhost"])),
            exchange(number: 3, host: "10.0.0.1", requestHead("GET / HTTP/1.1", ["Host: 10.0.0.1:82"])),
        ]
        var asker = Asker(flows)
        let asked = try ["a.example", "b.example", "10.0.0.1", "localhost"].map { try asker.ask(host: $0) }
        #expect(asked == ["1", "2", "3", "-"])
    }

    @Test(
        "A client that names no server is answered for any host, by all that counts; of equal recordings the named host's come first"
    )
    func anyHost() throws {
        let post = requestHead("POST /o HTTP/1.1", [])
        let get = requestHead("GET /e HTTP/1.1", [])
        let accept = requestHead("GET /e HTTP/1.1", ["Accept: b"])
        let flows = [
            exchange(number: 1, host: "localhost", post, content: "A"), exchange(number: 2, host: "127.0.0.1", post, content: "B"),
            exchange(number: 3, host: "a.example", get), exchange(number: 4, host: "127.0.0.1", get),
            exchange(number: 5, host: "b.example", accept),
            exchange(number: 6, host: "localhost", requestHead("HEAD /h HTTP/1.1", [])),
        ]
        for isOnce in [false, true] {
            var asker = Asker(flows, rules: try Self.rules(headers: ["accept"]), isOnce: isOnce)
            func ask(_ head: RequestHead, _ host: String, _ content: String = "") throws -> String {
                try asker.ask(head, host: host, content: content, isForAnyHost: true)
            }
            #expect(
                try [ask(post, "127.0.0.1", "A"), ask(post, "localhost", "B"), ask(post, "localhost", "C")] == ["1", "2", "-"])
            #expect(try [ask(get, "127.0.0.1"), ask(accept, "127.0.0.1")] == ["4", "5"])
            #expect(
                try [ask(get, "127.0.0.1"), ask(get, "127.0.0.1"), ask(get, "localhost")]
                    == (isOnce ? ["3", "x", "x"] : ["4", "4", "4"]))
            #expect(try ask(requestHead("HEAD /h HTTP/1.1", []), "::1") == "6")
            #expect(try asker.ask(post, host: "127.0.0.1", content: "A") == "-")
        }
    }

    @Test(
        "Bodies are compared by meaning",
        arguments: [
            (.auto, "application/json", "{\"a\":1,\"b\":2}", "{ \"b\": 2, \"a\": 1 }", [], true),
            (.auto, "application/problem+json", "[1]", "[ 1 ]", [], true),
            (.auto, "text/plain", "[1]", "[ 1 ]", [], false),
            (.exact, "application/json", "[1]", "[ 1 ]", [], false),
            (.json, "text/plain", "[1]", "[ 1 ]", [], true),
            (.json, "application/json", "{\"t\":1,\"a\":1}", "{\"t\":2,\"a\":1}", ["json:$.t"], true),
            (.auto, "application/json", "{\"t\":1,\"a\":1}", "{\"t\":2,\"a\":2}", ["json:$.t"], false),
            (.auto, "application/json", "no json", "no json", [], true),
            (.auto, "application/json", "{", "{ ", [], false),
            (.auto, "application/x-www-form-urlencoded", "a=1&b=2", "b=2&a=1", [], true),
            (.auto, "application/x-www-form-urlencoded; charset=utf-8", "a=1&t=2", "t=3&a=1", ["form:t"], true),
            (.form, "text/plain", "a=1&b=2", "b=2&a=1", [], true),
            (.auto, "text/plain", "a=1&b=2", "b=2&a=1", [], false),
            (.none, "text/plain", "one", "another", [], true),
            (.auto, "text/plain", "one", "another", ["body"], true),
            (.auto, "text/plain", "one", "", [], false),
            (.auto, "text/plain", "", "one", [], false),
            (.none, "text/plain", "one", "", [], true),
        ] as [(BodyMatching, String, String, String, [String], Bool)])
    func bodies(_ body: BodyMatching, _ type: String, _ recorded: String, _ asked: String, _ ignored: [String], _ isSame: Bool)
        throws
    {
        let head = requestHead("POST / HTTP/1.1", ["Host: a.example", "Content-Type: \(type)"])
        var asker = Asker(
            [exchange(number: 1, head, content: recorded)], rules: try Self.rules(ignored, body: body))
        let answer = try asker.ask(head, content: asked)
        #expect(answer == (isSame ? "1" : "-"))
    }

    @Test(
        "The parts of a multipart form are compared without the boundary that each client makes up",
        arguments: [BodyMatching.auto, .exact])
    func multipart(_ body: BodyMatching) throws {
        func form(_ boundary: String, _ value: String) -> (RequestHead, String) {
            let head = requestHead("POST / HTTP/1.1", ["Content-Type: multipart/form-data; boundary=\(boundary)"])
            return (head, "--\(boundary)\r\nContent-Disposition: form-data; name=a\r\n\r\n\(value)\r\n--\(boundary)--\r\n")
        }
        let (head, content) = form("xyz1", "v")
        var asker = Asker([exchange(number: 1, head, content: content)], rules: try Self.rules(body: body))
        var answers: [String] = []
        for (boundary, value) in [("xyz1", "v"), ("\"other\"", "v"), ("xyz1", "w")] {
            let (head, content) = form(boundary.filter { $0 != "\"" }, value)
            answers.append(try asker.ask(head, content: content))
        }
        #expect(answers == (body == .auto ? ["1", "1", "-"] : ["1", "-", "-"]))
    }

    @Test("Fields count that must be equal, also when one side has none")
    func fields() throws {
        let flows = [
            exchange(number: 1, requestHead("GET / HTTP/1.1", ["Accept: a"])),
            exchange(number: 2, requestHead("GET / HTTP/1.1", ["accept: b"])),
            exchange(number: 3, requestHead("GET / HTTP/1.1", [])),
        ]
        var asker = Asker(flows, rules: try Self.rules(headers: ["accept"]))
        let answers = try [["ACCEPT: b"], ["Accept: a"], [], ["Accept: c"]].map {
            try asker.ask(requestHead("GET / HTTP/1.1", $0))
        }
        #expect(answers == ["2", "1", "3", "-"])
    }

    @Test("How a field that must be equal is spread over lines means nothing")
    func joinedFields() throws {
        let flows = [
            exchange(number: 1, requestHead("GET / HTTP/1.1", ["Accept: a, b", "Cookie: x=1; y=2"])),
            exchange(number: 2, requestHead("GET / HTTP/1.1", ["Accept: a", "Accept: c", "Cookie: x=1", "Cookie: y=2"])),
            exchange(number: 3, requestHead("GET / HTTP/1.1", ["Accept: a", "Cookie: x=1; y=3"])),
        ]
        var asker = Asker(flows, rules: try Self.rules(headers: ["accept", "cookie"]))
        let answers = try [
            ["accept: a", "accept: b", "cookie: x=1", "cookie: y=2"], ["accept: a, c", "cookie: x=1; y=2"],
            ["accept: a", "cookie: x=1", "cookie: y=3"], ["accept: a", "cookie: x=1; y=2"], ["cookie: x=1; y=2", "accept: b, a"],
        ].map { try asker.ask(requestHead("GET / HTTP/1.1", $0)) }
        #expect(answers == ["1", "2", "3", "-", "-"])
    }

    @Test("A conversation answers a request for one, and an ordinary exchange any other request")
    func conversations() throws {
        let upgrade = requestHead("GET / HTTP/1.1", ["Upgrade: websocket", "Connection: Upgrade"])
        let connect = requestHead2([
            ":method: CONNECT", ":protocol: websocket", ":scheme: http", ":authority: a.example", ":path: /h2",
        ])
        let flows = [
            exchange(number: 1),
            // It has no messages.
            exchange(number: 2, upgrade, responseHead("HTTP/1.1 101 Switching Protocols", ["Upgrade: websocket"])),
            exchange(number: 3, connect, responseHead(":status: 200")),
            exchange(number: 4, requestHead("CONNECT a.example:443 HTTP/1.1"), responseHead()),
        ]
        var asker = Asker(flows)
        let answers = try [
            asker.ask(), asker.ask(upgrade, asksForSwitch: true), asker.ask(connect, asksForSwitch: true),
            asker.ask(requestHead("GET /h2 HTTP/1.1")),
            asker.ask(requestHead("GET /other HTTP/1.1"), asksForSwitch: true),
        ]
        #expect(answers == ["1", "2", "3", "-", "-"])
        #expect(asker.index.count == 3)
    }
}

@Suite("The order in which recordings of one request answer")
struct OrderTests {
    /// `t` is truncated; they begin a second after each other.
    private func flows(_ kinds: String) -> [Flow] {
        kinds.enumerated().map { number, kind in
            exchange(number: UInt64(number + 1), at: Int64(number) * 1000, isComplete: kind != "t")
        }
    }

    @Test(
        "Each order is followed, complete recordings before truncated ones",
        arguments: [
            (.sequence, "ccc", ["1", "2", "3", "3", "3", "3"]),
            (.last, "ccc", ["3", "3", "3", "3", "3", "3"]),
            (.cycle, "ccc", ["1", "2", "3", "1", "2", "3"]),
            (.sequence, "tct", ["2", "1", "3", "2", "2", "2"]),
            (.sequence, "tt", ["1", "2", "2", "2", "2", "2"]),
            (.last, "ct", ["1", "1", "1", "1", "1", "1"]),
            (.last, "tt", ["2", "2", "2", "2", "2", "2"]),
            (.cycle, "tc", ["2", "1", "2", "1", "2", "1"]),
            (.sequence, "c", ["1", "1", "1", "1", "1", "1"]),
        ] as [(ReplayOrder, String, [String])])
    func orders(_ order: ReplayOrder, _ kinds: String, _ expected: [String]) throws {
        var asker = Asker(flows(kinds), order: order)
        let answers = try asker.ask(times: 6)
        #expect(answers == expected)
    }

    @Test(
        "Once means once, and the misses do not end",
        arguments: [
            (.sequence, "ccc", ["1", "2", "3", "x", "x"]),
            (.cycle, "cc", ["1", "2", "x", "x", "x"]),
            (.last, "cc", ["2", "x", "x", "x", "x"]),
            (.sequence, "tc", ["2", "1", "x", "x", "x"]),
        ] as [(ReplayOrder, String, [String])])
    func once(_ order: ReplayOrder, _ kinds: String, _ expected: [String]) throws {
        var asker = Asker(flows(kinds), order: order, isOnce: true)
        let answers = try asker.ask(times: 5)
        #expect(answers == expected)
    }

    @Test("By time the latest answers that is not further from the beginning than now, in whatever order the files stand")
    func time() throws {
        for flows in [flows("cctc"), flows("cctc").reversed()] {
            var asker = Asker(flows, order: .time)
            let answers = try [0, 999, 1000, 2500, 3000, 9000, 1500].map { try asker.ask(elapsed: $0) }
            #expect(answers == ["1", "1", "2", "3", "4", "4", "2"])
        }
        var once = Asker(flows("cc"), order: .time, isOnce: true)
        let answers = try [0, 10, 1000, 1001].map { try once.ask(elapsed: $0) }
        #expect(answers == ["1", "x", "2", "x"])
    }

    @Test("Requests with different content advance separately")
    func groups() throws {
        let head = requestHead("POST / HTTP/1.1")
        let flows = [1, 2, 3, 4].map { exchange(number: $0, head, content: $0 % 2 == 0 ? "even" : "odd") }
        var asker = Asker(flows)
        let answers = try ["odd", "even", "odd", "odd", "even"].map { try asker.ask(head, content: $0) }
        #expect(answers == ["1", "2", "3", "3", "4"])
    }

    @Test("A recording that comes while it is served has its turn")
    func growing() throws {
        var asker = Asker(flows("c"))
        var answers = try asker.ask(times: 3)
        asker.index.add(exchange(number: 2, at: 9000))
        answers += try asker.ask(times: 2)
        // All of them were truncated before.
        var truncated = Asker(flows("t"), order: .last)
        answers += try truncated.ask(times: 2)
        truncated.index.add(exchange(number: 2, at: 9000))
        answers += try truncated.ask(times: 2)
        #expect(answers == ["1", "1", "1", "2", "2", "1", "1", "2", "2"])
    }

    @Test("A flow that was open when it was read, and has ended since, is one recording")
    func ended() throws {
        let open = flow(number: 1, [(0, .request(requestHead())), (0, .finished(.client)), (1, .response(responseHead()))])
        let stream = flow(.tcp, number: 2, [(0, said("a", by: .server))])
        var asker = Asker([open, stream], isOnce: true)
        asker.index.add(exchange(number: 1))
        asker.index.add(flow(.tcp, number: 2, [(0, said("a", by: .server)), (1, .ended(FlowEnding(state: .complete)))]))
        let answers = try asker.ask(times: 2)
        #expect(answers == ["1", "x"])
        #expect(asker.index.count == 1)
        #expect(asker.index.streams.map(\.state) == [.complete])
    }

    /// Recordings of one page, each `whole`, `304` or `206` as it was requested, and the clients: `w` without a condition, `c` with one.
    @Test(
        "A 206 or 304 answers requests for less; others only if there is nothing else",
        arguments: [
            ("200 304", ReplayOrder.sequence, false, "wwcwcc", "112122"),
            ("304 200", .sequence, false, "wwcc", "2222"),
            ("304 200", .sequence, false, "cwcw", "1222"),
            ("206", .sequence, false, "wcw", "111"),
            ("200 206 200", .cycle, false, "wwww", "1313"),
            ("200 304", .last, false, "wcw", "121"),
            ("200 304", .time, false, "wc", "12"),
            ("200 304", .sequence, true, "wwcc", "1x2x"),
        ])
    func partial(_ recorded: String, _ order: ReplayOrder, _ isOnce: Bool, _ asked: String, _ expected: String) throws {
        let condition = ["Host: a.example", "If-None-Match: \"e\"", "Range: bytes=0-1"]
        let flows = recorded.split(separator: " ").enumerated().map { number, status in
            exchange(
                number: UInt64(number + 1), at: Int64(number),
                status == "200" ? requestHead() : requestHead("GET / HTTP/1.1", condition),
                responseHead("HTTP/1.1 \(status) X"))
        }
        var asker = Asker(flows, order: order, isOnce: isOnce)
        let answers = try asked.map { client in
            try asker.ask(client == "w" ? requestHead() : requestHead("GET / HTTP/1.1", condition), elapsed: 1000)
        }
        #expect(answers.joined() == expected)
    }

    private struct Unreadable: FlowPieces, FlowPieceCursor, Error {
        var count: Int { 1 }
        func cursor() -> any FlowPieceCursor { self }
        func forEach(_ visit: (Timestamp, FlowPiece) throws -> Bool) throws { throw self }
        mutating func next() throws -> (at: Timestamp, piece: FlowPiece)? { throw self }
    }

    @Test("A recording that cannot be read keeps no other from answering")
    func unreadable() throws {
        let head = requestHead("POST / HTTP/1.1")
        var broken = exchange(number: 1, head, content: "a")
        broken.pieces = Unreadable()
        var asker = Asker([broken, exchange(number: 2, head, content: "a")])
        #expect(try [asker.ask(head, content: "a"), asker.ask(head, content: "b")] == ["2", "-"])
    }

    /// A request whose response began before it was complete.
    private func duplex(number: UInt64) -> Flow {
        flow(
            number: number,
            [
                (0, .request(requestHead("POST / HTTP/1.1"))),
                (0, said("one", by: .client)),
                (1, .response(responseHead())),
                (2, said("two", by: .client)),
                (2, .finished(.client)),
                (3, .finished(.server)),
                (3, .ended(FlowEnding(state: .complete))),
            ])
    }

    @Test(
        "Recordings in which the response began early answer one after the other, whatever the content will be",
        arguments: [(.sequence, false, [1, 3, 3, 3]), (.cycle, false, [1, 3, 1, 3]), (.sequence, true, [1, 3, nil, nil])]
            as [(ReplayOrder, Bool, [UInt64?])])
    func duplexRecordings(_ order: ReplayOrder, _ isOnce: Bool, _ expected: [UInt64?]) throws {
        let head = requestHead("POST / HTTP/1.1")
        let flows = [duplex(number: 1), exchange(number: 2, head, content: "onetwo"), duplex(number: 3)]
        var asker = Asker(flows, order: order, isOnce: isOnce)
        let query = asker.query(head, host: "a.example", content: "", asksForSwitch: false)
        var answers: [UInt64?] = []
        for _ in 0..<4 { answers.append(try asker.index.duplexAnswer(query)?.flow.id.low) }
        #expect(answers == expected)
        guard isOnce else { return }
        // A recording that has answered so does not answer again when the request is complete.
        let complete = try [asker.ask(head, content: "onetwo"), asker.ask(head, content: "onetwo")]
        #expect(complete == ["2", "x"])
    }
}

@Suite("Why no recording answers")
struct MissTests {
    @Test(
        "The nearest recording is named, and how it differs",
        arguments: [
            (
                "GET /a?x=1&y=2 HTTP/1.1", "a.example", "",
                "the query: asked for 'x=1', recorded 'x=7'; the query: 'y=2' is not in the recording"
            ),
            ("PUT /a?x=7 HTTP/1.1", "a.example", "", "the method: asked for 'PUT', recorded 'GET'"),
            (
                "GET /a HTTP/1.1", "b.example", "",
                "the host: asked for 'b.example', recorded 'a.example'; the query: 'x' is missing"
            ),
            ("GET /aa?x=7 HTTP/1.1", "a.example", "", "the path: asked for '/aa', recorded '/a'"),
            ("GET /a?x=7 HTTP/1.1", "a.example", "one", "the body, from byte 0: asked with 'one' (3 bytes), recorded '' (0 bytes)"),
        ] as [(String, String, String, String)])
    func nearest(_ line: String, _ host: String, _ content: String, _ expected: String) throws {
        var asker = Asker([
            exchange(number: 1, requestHead("GET /a?x=7 HTTP/1.1")), exchange(number: 2, requestHead("DELETE /b HTTP/1.1")),
        ])
        let text = asker.explain(requestHead(line), host: host, content: content)
        #expect(text == "the nearest recording is GET http://a.example/a?x=7, which differs in \(expected)")
    }

    @Test(
        "The nearest recording is the nearest by all criteria, wherever it is in the file",
        arguments: [
            ("GET /api/itemz", "", "GET /api/items"),
            ("GET /api/item", "", "GET /api/items"),
            ("GET /simple/fo", "", "GET /simple/foo/"),
            ("GET /api/items/8", "", "GET /api/items/7"),
            ("GET /api/items/7/", "", "GET /api/items/7"),
            ("GET /v2/api/items", "", "GET /api/items"),
            ("POST /api/order", "B", "POST /api/orders"),
            ("PUT /api/orders", "", "POST /api/orders"),
            ("GET /q?a=1&b=2", "", "GET /q?a=1&b=3"),
            ("GET /page/79x", "", "GET /page/79"),
            ("GET /", "", "GET /"),
        ] as [(String, String, String)])
    func nearestPath(_ line: String, _ content: String, _ expected: String) {
        var lines = (0..<300).map { "GET /page/\($0)" }
        lines += (0..<300).map { "GET /other\($0)/page" }
        lines += [
            "GET /", "GET /q?a=5&b=6", "GET /q?a=1&b=3", "GET /api/items", "GET /simple/foo/", "GET /simple/bar/",
            "GET /api/items/7",
        ]
        var flows = lines.enumerated().map { exchange(number: UInt64($0), host: "127.0.0.1", requestHead("\($1) HTTP/1.1", [])) }
        flows.append(exchange(number: 999, host: "b.example", requestHead("POST /api/orders HTTP/1.1"), content: "A"))
        var asker = Asker(flows)
        let head = requestHead("\(line) HTTP/1.1")
        let text = asker.explain(head, host: "localhost", content: content, isForAnyHost: true)
        let parts = expected.split(separator: " ")
        let host = parts[0] == "POST" ? "b.example" : "127.0.0.1"
        #expect(text.hasPrefix("the nearest recording is \(parts[0]) http://\(host)\(parts[1]), which differs in "), "\(text)")
        // Ignored parts are not named.
        #expect(!text.contains("the host"), "\(text)")
    }

    @Test("Among thousands of recordings the nearest is found, though only a few of them are read")
    func nearestOfMany() {
        var generator = SeededGenerator(seed: 7)
        func word(_ length: Int) -> String {
            String((0..<length).map { _ in Character(UnicodeScalar(UInt8.random(in: 0x61...0x7A, using: &generator))) })
        }
        let names = (0..<40).map { _ in word(6) }
        let paths = (0..<3000).map { number in
            "/\(names.randomElement(using: &generator)!)/\(names.randomElement(using: &generator)!)/\(word(5))-\(number)"
        }
        var asker = Asker(paths.enumerated().map { exchange(number: UInt64($0), requestHead("GET \($1)?page=\($0 % 7) HTTP/1.1")) })
        for number in stride(from: 0, to: 3000, by: 300) {
            let path = paths[number]
            let asked = [
                String(path.dropLast()) + "x?page=\(number % 7)", "\(path)/more?page=\(number % 7)", "\(path)?page=9",
                "\(path)?page=\(number % 7)&more=1",
            ]
            for target in asked {
                let text = asker.explain(requestHead("GET \(target) HTTP/1.1"))
                #expect(text.hasPrefix("the nearest recording is GET http://a.example\(path)?page="), "\(target): \(text)")
            }
        }
    }

    @Test("Another body is reported as another body, under the host that was asked for")
    func anotherBody() {
        let post = requestHead("POST /o HTTP/1.1")
        var asker = Asker([
            exchange(number: 1, host: "a.example", post, content: "price=1"),
            exchange(number: 2, host: "b.example", post, content: "x"),
            exchange(number: 3, host: "b.example", post, content: "price=9"),
        ])
        let body = "the body, from byte 6: asked with 'price=2' (7 bytes), recorded"
        let own = asker.explain(post, host: "b.example", content: "price=2")
        #expect(own == "the nearest recording is POST http://b.example/o, which differs in \(body) 'price=9' (7 bytes)")
        let any = asker.explain(post, host: "127.0.0.1", content: "price=2", isForAnyHost: true)
        #expect(any == "the nearest recording is POST http://a.example/o, which differs in \(body) 'price=1' (7 bytes)")
    }

    @Test("Differences of fields that must be equal, and the first different byte of bodies, are reported")
    func fieldsAndBodies() {
        var rules = MatchRules()
        rules.headers = ["accept"]
        let head = requestHead("POST / HTTP/1.1", ["Accept: a"])
        var asker = Asker([exchange(number: 1, head, content: "the same, then this")], rules: rules)
        let field = asker.explain(requestHead("POST / HTTP/1.1", ["Accept: b"]), content: "the same, then this")
        let body = asker.explain(head, content: "the same, then that")
        let prefix = "the nearest recording is POST http://a.example/, which differs in "
        #expect(field == prefix + "the field accept: asked for 'b', recorded 'a'")
        #expect(
            body == prefix
                + "the body, from byte 17: asked with 'he same, then that' (19 bytes), recorded 'he same, then this' (19 bytes)")
    }

    @Test("Bytes of a client are reported in a form that is safe for a terminal")
    func terminal() {
        let head = requestHead("POST / HTTP/1.1")
        var asker = Asker([exchange(number: 1, head, content: "x")])
        let text = asker.explain(head, content: "\u{1B}[2J\n\u{9B}")
        #expect(text.contains("asked with '?[2J???' (7 bytes)"))
    }

    @Test("A conversation, and recordings without a request, are reported as such")
    func others() {
        let upgrade = requestHead("GET /ws HTTP/1.1", ["Upgrade: websocket"])
        var asker = Asker([exchange(number: 1, upgrade, responseHead("HTTP/1.1 101 Switching Protocols"))])
        let plain = asker.explain(requestHead("GET /ws HTTP/1.1"))
        #expect(plain.hasSuffix("differs in the protocol: asked for no upgrade, recorded with one"))
        var empty = Asker([])
        let none = empty.explain(requestHead())
        #expect(none == "the recordings contain no HTTP request")
    }
}
