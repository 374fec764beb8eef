import FlowModel
import HTTPSemantics
import NIOCore
import Testing

@testable import FlowReplay

@Suite("Answers compared with recorded ones")
struct FlowComparisonTests {
    private func found(_ was: Flow, _ now: Flow, ignoring rules: [String] = []) throws -> [String] {
        try FlowComparison(ignoring: IgnoreRules(rules, for: .responses), maximumDifferences: 5).differences(
            recorded: was, new: now
        ).lines
    }

    private static func answer(_ fields: String) -> String { "HTTP/1.1 200 OK\r\n\(fields)\r\n" }

    @Test(
        "Fields that differ are named; fields of time and framing are ignored",
        arguments: [
            ("A: 1\r\nB: 2\r\n", "b: 2\r\na: 1\r\n", []),
            ("A: 1\r\nA: 2\r\n", "A: 2\r\nA: 1\r\n", ["header a: 1, 2 → 2, 1"]),
            ("Date: x\r\nAge: 1\r\nX-Request-Id: 1\r\nCF-Ray: 7\r\n", "Date: y\r\n", []),
            ("Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n", []),
            ("Set-Cookie: a=1; Expires=Mon; Path=/\r\n", "Set-Cookie: a=1; Expires=Tue; Path=/\r\n", []),
            ("Set-Cookie: a=1\r\n", "Set-Cookie: a=2\r\n", ["header set-cookie: a=1 → a=2"]),
            ("Set-Cookie: a=1, b=2\r\n", "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n", ["header set-cookie: a=1, b=2 → a=1 and b=2"]),
            ("Vary: a, b\r\n", "Vary: a\r\nVary: b\r\n", []),
            (
                "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\nExpires: Tue, 14 Nov 2023 22:14:20 GMT\r\n",
                "Date: Tue, 14 Nov 2023 23:13:20 GMT\r\nExpires: Tue, 14 Nov 2023 23:14:21 GMT\r\n", []
            ),
            (
                "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\nLast-Modified: Tue, 14 Nov 2023 22:00:00 GMT\r\n",
                "Date: Tue, 14 Nov 2023 23:13:20 GMT\r\nLast-Modified: Tue, 14 Nov 2023 22:00:05 GMT\r\n",
                ["header last-modified: Tue, 14 Nov 2023 22:00:00 GMT → Tue, 14 Nov 2023 22:00:05 GMT"]
            ),
            ("Expires: 0\r\n", "Expires: -1\r\n", ["header expires: 0 → -1"]),
            ("Last-Modified: a\r\n", "ETag: \"b\"\r\n", ["header etag: none → \"b\"", "header last-modified: a → none"]),
            ("Location: http://a/x\r\n", "Location: http://a/y\r\n", ["header location: /x → /y"]),
        ] as [(String, String, [String])])
    func fields(was: String, now: String, differences: [String]) throws {
        let result = try found(flow("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Self.answer(was)), flow(Self.request, Self.answer(now)))
        #expect(result == differences)
    }

    private static let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test("Values whose bytes differ are different, also where they look the same or are no text")
    func bytesOfFields() throws {
        func answer(_ value: [UInt8]) -> Flow {
            var was = flow(Self.request, Self.answer(""))
            let wire = ByteBuffer(bytes: Array("HTTP/1.1 200 OK\r\nX: ".utf8) + value + Array("\r\n\r\n".utf8))
            was.response?.head = ResponseHead(parsing: wire, version: .http1_1)
            return was
        }
        let values: [[UInt8]] = [[0xE9], [0xE8], [0xC3, 0xA9], [0x65, 0xCC, 0x81]]
        for (i, a) in values.enumerated() {
            for (j, b) in values.enumerated() {
                let result = try found(answer(a), answer(b))
                #expect(result.isEmpty == (i == j), "\(result)")
            }
        }
        let result = try found(answer([0xE9]), answer([0xE8]))
        #expect(result == [#"header x: \xe9 → \xe8"#])
    }

    @Test("In a file with decoded content the coding is not compared; other fields are")
    func decodedOnImport() throws {
        var was = flow(Self.request, Self.answer("A: 1\r\n"))
        let now = flow(Self.request, Self.answer("Content-Encoding: gzip\r\nA: 2\r\n"))
        let before = try found(was, now)
        #expect(before == ["header a: 1 → 2", "header content-encoding: none → gzip"])
        was.notes = [Timed(at: was.started, value: FlowNote(side: .server, FlowNote.decoded(coding: "gzip")))]
        let after = try found(was, now)
        #expect(after == ["header a: 1 → 2"])
    }

    @Test("A server that refers to itself sends the same under another name")
    func ownHost() throws {
        let was = flow("GET / HTTP/1.1\r\nHost: api.example\r\n\r\n", Self.answer("Location: https://api.example/x\r\n"))
        let now = flow("GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n", Self.answer("Location: http://127.0.0.1:8000/x\r\n"))
        let result = try found(was, now)
        #expect(result == [])
    }

    @Test(
        "Differences of content are named by their places",
        arguments: [
            (#"{"b":1,"a":[{"p":12}]}"#, #"{"a":[{"p":13}], "b":1}"#, ["body: $.a[0].p: 12 → 13"]),
            (#"{"a":1}"#, #"{ "a": 1 }"#, []),
            (#"{"a":1}"#, #"{"a":1,"b c":2}"#, ["body: $['b c']: none → 2"]),
            (#"{"a":1,"z":0}"#, #"{"a":1}"#, ["body: $.z: 0 → none"]),
            (#"[1,2]"#, #"[1,2,3]"#, ["body: $[2]: none → 3", "body: $: 2 elements → 3 elements"]),
            (#"[1,2,3,4]"#, #"[2,3,4,5]"#, ["body: $[0]: 1 → none", "body: $[3]: none → 5"]),
            (
                #"[1,{"a":2},3]"#, #"[0,1,{"a":4},3]"#,
                ["body: $[0]: none → 0", "body: $[1].a: 2 → 4", "body: $: 3 elements → 4 elements"]
            ),
            (
                #"[[1],[2],[3]]"#, #"[]"#,
                [
                    "body: $[0]: [1] → none", "body: $[1]: [2] → none", "body: $[2]: [3] → none",
                    "body: $: 3 elements → 0 elements",
                ]
            ),
            (
                #"{"a":[{"p":1},{"p":2}],"b":true,"c":0}"#, #"{"a":[{"p":3},{"p":4},5],"b":null,"c":0}"#,
                [
                    "body: $.a[0].p: 1 → 3", "body: $.a[1].p: 2 → 4", "body: $.a[2]: none → 5",
                    "body: $.a: 2 elements → 3 elements", "body: $.b: true → null",
                ]
            ),
            ("[1,2,3,4,5,6]", "[7,8,9,10,11,12]", (0..<5).map { "body: $[\($0)]: \($0 + 1) → \($0 + 7)" } + ["+ 1 more"]),
            (#"{"a":1}"#, "oops", [#"body: {"a":1} → oops"#]),
            ("one\ntwo\nthree", "one\n2\nthree", ["body: line 2: two → 2"]),
            ("one", "one\ntwo", ["body: line 2: none → two"]),
            ("a\nb\nc\nd\ne", "a\nB\nc\nD\ne", ["body: line 2: b → B", "body: line 4: d → D"]),
            ("b\nc", "a\nb\nc", ["body: line 1: none → a"]),
            (
                String(repeating: "x", count: 300) + "1", String(repeating: "x", count: 300) + "2",
                ["body: …\(String(repeating: "x", count: 37))1 → …\(String(repeating: "x", count: 37))2"]
            ),
            ("", "x", ["body: empty → 1 bytes"]),
            ("xy", "", ["body: 2 bytes → empty"]),
            ("a\u{1B}[31m", "b", ["body: a\\u{1b}[31m → b"]),
            ("\0abc", "\0abd", ["body: byte 3: 0x63 → 0x64 (of 4)"]),
            ("\0abc", "\0ab", ["body: 4 bytes → 3 bytes, equal up to byte 3"]),
        ] as [(String, String, [String])])
    func content(was: String, now: String, differences: [String]) throws {
        let result = try found(flow(content: ByteBuffer(string: was)), flow(content: ByteBuffer(string: now)))
        #expect(result == differences)
    }

    @Test(
        "Content that cannot be decoded is compared as it was sent, and differs from content that can be",
        arguments: [
            ("sdch", "abc", "sdch", "abd", ["body: abc → abd"]),
            ("sdch", "abc", "sdch", "abc", []),
            ("gzip", "abc", "gzip", "abd", ["body: abc → abd"]),
            ("br", "{\"a\":1}", "zstd", "{\"a\":2}", ["body: $.a: 1 → 2"]),
            ("", "abc", "gzip", "abd", ["body: decoded → cannot be decoded: incorrect header check"]),
            ("sdch", "abc", "", "abd", ["body: the content coding sdch is not known → decoded"]),
        ] as [(String, String, String, String, [String])])
    func undecodable(coding: String, was: String, newCoding: String, now: String, differences: [String]) throws {
        func answer(_ coding: String, _ content: String) -> Flow {
            flow(
                Self.request, Self.answer(coding.isEmpty ? "" : "Content-Encoding: \(coding)\r\n"),
                content: ByteBuffer(string: content))
        }
        let result = try found(answer(coding, was), answer(newCoding, now), ignoring: ["header:content-encoding"])
        #expect(result == differences)
    }

    @Test("Ignored parts are not compared")
    func ignored() throws {
        let was = flow(content: ByteBuffer(string: #"{"a":1,"t":5}"#))
        let now = flow(content: ByteBuffer(string: #"{"a":1,"t":6}"#))
        let results = try [["json:$.t"], ["json:$..t"], ["body"], ["json:$.a"]].map { try found(was, now, ignoring: $0) }
        #expect(results == [[], [], [], ["body: $.t: 5 → 6"]])
        let header = try found(flow(Self.request, Self.answer("X: 1\r\n")), flow(), ignoring: ["header:x"])
        #expect(header == [])
    }

    @Test("A difference has its path and both values for programs")
    func values() throws {
        let was = flow(Self.request, "HTTP/1.1 200 OK\r\nETag: 1\r\n\r\n", content: ByteBuffer(string: #"{"a":[12],"b":"x"}"#))
        let now = flow(Self.request, "HTTP/1.1 500 No\r\n\r\n", content: ByteBuffer(string: #"{"a":[20],"b":"y","c":{}}"#))
        let found = try FlowComparison().differences(recorded: was, new: now).first
        #expect(
            found == [
                FlowDifference(path: "status", place: "status", recorded: .number(200), now: .number(500)),
                FlowDifference(path: "header:etag", place: "header etag", recorded: .text("1"), now: .none),
                FlowDifference(path: "$.a[0]", place: "body: $.a[0]", recorded: .json("12"), now: .json("20")),
                FlowDifference(path: "$.b", place: "body: $.b", recorded: .json("\"x\""), now: .json("\"y\"")),
                FlowDifference(path: "$.c", place: "body: $.c", recorded: .none, now: .json("{}")),
            ])
    }

    @Test("The same content in another coding is the same, but for the field")
    func coding() throws {
        // "ok" by gzip -n
        let coded = ByteBuffer(bytes: [
            0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0xCB, 0xCF, 6, 0, 0x47, 0xDD, 0xDC, 0x79, 2, 0, 0, 0,
        ])
        let was = flow(Self.request, Self.answer("Content-Encoding: gzip\r\nContent-Length: 22\r\n"), content: coded)
        let now = flow(Self.request, Self.answer("Content-Length: 2\r\n"), content: ByteBuffer(string: "ok"))
        let result = try found(was, now)
        #expect(result == ["header content-encoding: gzip → none"])
    }

    @Test("Differences of status, missing answers, trailers and cuts are reported")
    func outcomes() throws {
        let error = FlowError(side: .server, message: "connection refused", at: Timestamp(nanoseconds: 0))
        let gone = flow(Self.request, nil, ending: FlowEnding(state: .failed, error: error))
        let cut = flow(isAnswerWhole: false, ending: FlowEnding(state: .incomplete, error: error))
        let results = try [
            found(flow(), flow(Self.request, "HTTP/1.1 500 Oops\r\n\r\n")), found(flow(), gone), found(gone, flow()),
            found(gone, gone),
            found(flow(trailers: [("Sum", "1")]), flow(trailers: [("Sum", "2")])), found(flow(), cut), found(cut, flow()),
        ]
        #expect(
            results == [
                ["status: 200 → 500"], ["response: 200 → none: connection refused"], ["response: none → 200"], [],
                ["trailer sum: 1 → 2"], ["end: complete → cut: connection refused"], ["end: cut → complete"],
            ])
    }

    @Test("Messages are compared one by one, pings and pongs not at all")
    func messages() throws {
        func piece(_ kind: FlowPiece.Kind, _ text: String) -> FlowPiece {
            FlowPiece(kind: kind, from: .server, content: ByteBuffer(string: text))
        }
        let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        let answer = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
        let was = flow(
            request, answer, pieces: [piece(.text, #"{"n":1}"#), piece(.ping, ""), piece(.text, "b"), piece(.text, "c")])
        let now = flow(request, answer, pieces: [piece(.text, #"{"n":2}"#), piece(.binary, "b")])
        let result = try found(was, now)
        #expect(
            result == [
                "message 1 of the server: $.n: 1 → 2", "message 2 of the server: text → binary", "messages of the server: 3 → 2",
            ])
    }

    @Test("The bytes of the server on a stream are joined before they are compared")
    func streams() throws {
        func pieces(_ texts: [String]) -> [FlowPiece] { texts.map { FlowPiece(from: .server, content: ByteBuffer(string: $0)) } }
        let was = flow(pieces: pieces(["hel", "lo"]), kind: .tcp)
        let results = try [["hello"], ["he", "lp"]].map { try found(was, flow(pieces: pieces($0), kind: .tcp)) }
        #expect(results == [[], ["data of the server: hello → help"]])
    }
}
