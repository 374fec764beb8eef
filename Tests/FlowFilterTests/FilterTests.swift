import FlowFilter
import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

/// A flow with the given heads and bodies.
func exchange(
    _ request: String, _ response: String? = nil, sent: String = "", received: ByteBuffer = ByteBuffer(), scheme: String = "https",
    host: String = "api.example", error: String? = nil, comment: String? = nil
) -> Flow {
    let start = Timestamp(nanoseconds: 1_760_000_000_000_000_000)
    let client = ClientConnection(
        id: FlowID(high: 1, low: 1), peer: Endpoint(host: "10.1.2.3", port: 4000), local: Endpoint(host: "127.0.0.1", port: 8080),
        opened: start, mode: "regular")
    let target = FlowTarget(scheme: scheme, host: host, port: scheme == "https" ? 443 : 80)
    let server = ServerConnection(id: FlowID(high: 3, low: 3), target: Endpoint(host: host, port: target.port), opened: start)
    var flow = FlowBuilder(id: FlowID(high: 2, low: 2), at: start, client: Shared(client), target: target)
        .event(.server(Shared(server))).request(request, content: ByteBuffer(string: sent))
    if let response { flow = flow.response(response, content: received) }
    var ending = FlowEnding(
        state: error == nil ? .complete : .failed, error: error.map { FlowError(side: .server, message: $0, at: start) })
    ending.comment = comment
    return flow.ended(ending).flow
}

private let get = exchange(
    "GET /users?id=7 HTTP/1.1\r\nHost: api.example\r\nAccept: application/json\r\nX-Trace: Abc\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Served: by me\r\n\r\n",
    received: ByteBuffer(string: "{\"name\":\n\"Ada\"}"))
private let post = exchange(
    "POST /login HTTP/1.1\r\nHost: api.example\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n",
    "HTTP/1.1 500 Oops\r\nContent-Type: text/css\r\n\r\n", sent: "user=ada", received: ByteBuffer(string: "sorry"), scheme: "http",
    host: "10.0.0.9",
    comment: "look\nhere")
private let failed = exchange("GET / HTTP/1.1\r\nHost: gone.example\r\n\r\n", host: "gone.example", error: "cannot connect")
private let tcp: Flow = {
    let client = ClientConnection(
        id: FlowID(high: 1, low: 1), peer: Endpoint(host: "::1", port: 9), local: Endpoint(host: "::1", port: 8080),
        opened: Timestamp(nanoseconds: 0), mode: "regular")
    return FlowBuilder(
        .tcp, id: FlowID(high: 5, low: 5), at: Timestamp(nanoseconds: 0), client: Shared(client),
        target: FlowTarget(scheme: "tcp", host: "db", port: 5432)
    ).data(ByteBuffer(string: "SELECT 1"), from: .client).data(ByteBuffer(string: "one row"), from: .server).flow
}()
/// In this order in the tables below: g, p, f, t.
private let flows: [(String, Flow)] = [("g", get), ("p", post), ("f", failed), ("t", tcp)]

private func matching(_ expression: String) throws -> String {
    let filter = try FlowFilter(expression)
    return try flows.filter { try filter.matches($0.1) }.map(\.0).joined()
}

@Suite("A filter expression")
struct FilterTests {
    @Test(
        "Each operator selects its flows",
        arguments: [
            ("~all", "gpft"),
            ("~http", "gpf"),
            ("~tcp", "t"),
            ("~udp", ""),
            ("~dns", ""),
            ("~websocket", ""),
            ("~e", "f"),
            ("~q", "f"),
            ("~s", "gp"),
            ("~a", "p"),
            ("~c 200", "g"),
            ("~c 5xx", "p"),
            ("~c >=300", "p"),
            ("~c <300", "g"),
            ("~c 200-500", "gp"),
            ("~m post", "p"),
            ("~m GET", "gf"),
            ("~d example", "gpf"),
            ("~d 10.0.0", "p"),
            ("~u users", "g"),
            ("~u ^https://api.example/users", "g"),
            ("login", "p"),
            ("~h x-trace", "g"),
            ("~hq Accept", "g"),
            ("~hs ^x-served", "g"),
            ("~h Abc$", "g"),
            ("~t json", "g"),
            ("~tq form", "p"),
            ("~ts css", "p"),
            ("~b ada", "gpt".replacing("t", with: "")),
            ("~bq ada", "p"),
            ("~bs ada", "g"),
            ("~b name.*ada", "g"),
            ("~b select", "t"),
            ("~bs select", ""),
            ("~bs row", "t"),
            ("~b '1one'", ""),
            ("~src 10.1.2.3:4", "gpf"),
            ("~src ::1", "t"),
            ("~dst :443", "gf"),
            ("~error connect", "f"),
            ("~id ^0{15}5-", ""),
            ("~id 0005$", "t"),
            ("~messages 2", "t"),
            ("~messages >2", ""),
            ("~messages 0-3", "t"),
            ("~messages <1", ""),
            ("~duration <1ms", "gpf"),
            ("~duration >=1h", ""),
            ("~duration <=0.001", "gpf"),
            ("~duration >1d", ""),
            ("~incomplete", "t"),
            ("~comment ^here", "p"),
            ("~marked", ""),
            ("~meta x", ""),
            ("~replay", ""),
        ])
    func operators(expression: String, expected: String) throws {
        #expect(try matching(expression) == expected)
    }

    @Test(
        "A response of the recorder itself has a status and does not count as a response; notes are searched",
        arguments: [
            ("~c 502", true),
            ("~c 5xx", true),
            ("~c 200", false),
            ("~local", true),
            ("~s", false),
            ("~q", true),
            ("~note dropped", true),
            ("~note other", false),
            ("~note ^Content-Length", true),
            ("~marked", false),
        ])
    func localReply(expression: String, isFound: Bool) throws {
        var flow = failed
        let head = ResponseHead(parsing: ByteBuffer(string: "HTTP/1.1 502 Bad Gateway\r\n\r\n"), version: .http1_1)
        flow.localReply = Timed(at: flow.started, value: LocalReply(head: head, content: ByteBuffer()))
        flow.notes = [Timed(at: flow.started, value: FlowNote(side: .server, "Content-Length was dropped"))]
        #expect(try FlowFilter(expression).matches(flow) == isFound)
        #expect(try FlowFilter(expression).matches(failed) == (expression == "~q"))
    }

    @Test("Offers of HTTP/3 are found in responses", arguments: [("h3=\":443\"", true), ("h2=\":443\"", false), ("clear", false)])
    func offersHTTP3(value: String, isFound: Bool) throws {
        let flow = exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nAlt-Svc: \(value)\r\n\r\n")
        #expect(try FlowFilter("~h3offered").matches(flow) == isFound)
    }

    @Test(
        "Expressions are parsed as users mean them",
        arguments: [
            ("~u a | ~u b ~u c", "((~u \"a\" | ~u \"b\") & ~u \"c\")"),
            ("~u a ~u b | ~u c", "(~u \"a\" & (~u \"b\" | ~u \"c\"))"),
            ("~u a | ~u b & ~u c", "(~u \"a\" | (~u \"b\" & ~u \"c\"))"),
            ("!~u a & ~u b", "(!(~u \"a\") & ~u \"b\")"),
            ("(~q)", "~q"),
            ("!(~q)", "!(~q)"),
            ("~q&~s", "(~q & ~s)"),
            ("~u a|b", "~u \"a|b\""),
            ("not ~q", "!(~q)"),
            ("~q and ~s or ~e", "((~q & ~s) | ~e)"),
            ("~q && ~s || ~e", "((~q & ~s) | ~e)"),
            ("'a\\d+'", "~u \"a\\\\d+\""),
            ("\"say \\\"it\\\"\"", "~u \"say \\\"it\\\"\""),
            ("~c  404", "~c 404"),
            ("~messages >2 ~duration 0.5s-1m", "(~duration 0.5s-1m & ~messages >2)"),
            ("~b x ~c 200", "(~c 200 & ~b \"x\")"),
            ("android", "~u \"android\""),
            ("notes", "~u \"notes\""),
        ])
    func parses(expression: String, canonical: String) throws {
        let filter = try FlowFilter(expression)
        #expect(filter.canonical == canonical)
        #expect(try FlowFilter(canonical).canonical == canonical)
    }

    @Test(
        "An expression that is not valid is an error with a caret under the spot",
        arguments: [
            ("", 0),
            ("   ", 3),
            ("~c 2..", 3),
            ("~c 2x", 3),
            ("~c", 0),
            ("~zz", 0),
            ("~u", 0),
            ("(~q", 0),
            ("~q)", 2),
            ("~u 'abc", 3),
            ("()", 0),
            ("~u [", 3),
            ("~q |", 4),
            ("& ~q", 0),
            ("~u (a", 0),
            ("and ~q", 0),
            ("~c200", 2),
            ("~u 'a('", 6),
            ("~messages", 0),
            ("~messages 1.5", 10),
            ("~messages 3-2", 10),
            ("~duration 3x", 10),
            ("~duration >1x", 10),
            ("~duration 99999999999h", 10),
        ])
    func errors(expression: String, offset: Int) {
        do throws(FilterSyntaxError) {
            let filter = try FlowFilter(expression)
            Issue.record("read as \(filter.canonical)")
        } catch {
            #expect(error.offset == offset, "\(error.rendered)")
            #expect(error.rendered.split(separator: "\n", omittingEmptySubsequences: false).count == 3)
        }
    }

    @Test("A case-sensitive filter distinguishes case")
    func caseSensitive() throws {
        #expect(try FlowFilter("~m get", caseSensitive: true).matches(get) == false)
        #expect(try FlowFilter("~m GET", caseSensitive: true).matches(get))
    }

    @Test("Coded content is searched decoded, and raw when it cannot be decoded")
    func coded() throws {
        // `printf hello | gzip -n`
        let gzip: [UInt8] = [
            0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0xCB, 0x48, 0xCD, 0xC9, 0xC9, 7, 0, 0x86, 0xA6, 0x10, 0x36, 5, 0, 0, 0,
        ]
        let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
        let flow = exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n", head, received: ByteBuffer(bytes: gzip))
        let broken = exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n", head, received: ByteBuffer(string: "hello, plainly"))
        #expect(try FlowFilter("~b ^hello$").matches(flow))
        #expect(try FlowFilter("~b hello,").matches(broken))
    }

    @Test("A pattern with too many backtracking steps ends with an error")
    func pathological() throws {
        let flow = exchange(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
            received: ByteBuffer(string: String(repeating: "a", count: 5000) + "!"))
        #expect(throws: FilterEvaluationError.self) { try FlowFilter("~b '^(a|a|aa|aaa)+$'").matches(flow) }
    }

    @Test("For a flow that is being recorded the answer is given as soon as it is final")
    func decides() throws {
        var progress = FlowProgress()
        let filter = try FlowFilter("~m GET & ~c 200")
        let other = try FlowFilter("~m POST & ~b x")
        #expect(try filter.decide(get, known: progress) == nil)
        progress.receive(.request(get.request!.head))
        #expect(try filter.decide(get, known: progress) == nil)
        #expect(try other.decide(get, known: progress) == false)
        progress.receive(.response(get.response!.head))
        #expect(try filter.decide(get, known: progress) == true)
    }

    /// A summary with these values.
    private struct Summary: BlockSummary {
        var kinds: [FlowKind]
        var statuses: [Int]
        var times: ClosedRange<Timestamp>? { nil }
        func mayContain(_ kind: FlowKind) -> Bool { kinds.contains(kind) }
        func mayContain(status: Int) -> Bool { statuses.contains(status) }
        var methodNames: [ByteBuffer]? = ["GET", "PUT"].map { ByteBuffer(string: $0) }
        var hosts: [ByteBuffer]? = ["api.example", "10.0.0.1"].map { ByteBuffer(string: $0) }
    }

    @Test(
        "A block is skipped only when no flow of it can match",
        arguments: [
            ("~c 404", false),
            ("~c 200", true),
            ("~c 4xx", false),
            ("~c 2xx", true),
            ("~c >=300", true),
            ("!~c 404", true),
            ("!~c 200", true),
            ("~tcp", false),
            ("~http", true),
            ("~tcp | ~c 404", false),
            ("~tcp | ~c 200", true),
            ("~u x & ~c 404", false),
            ("~udp", false),
            ("~e", true),
            ("~m get", true),
            ("~m POST", false),
            ("!~m POST", true),
            ("~m P", true),
            ("~d example", true),
            ("~d ^example", false),
            ("~d 'api|www'", true),
            ("~d www", false),
            ("~u ^https://api.example/", true),
            ("~u '^https?://api\\.example:8080/x'", true),
            ("~u ^http://www.example/", false),
            ("~u ^http://10.0.0.1/", true),
            ("~u ^http://10.0.0/", false),
            ("~u ^http://10.0.0.1/?x", true),
            ("~u '^http://www.example/|x'", true),
            ("~u http://www.example/", true),
            ("~u ^http://a.api.example/", true),
            ("~u '^http://a\\.api.example/'", false),
            ("~u ^http://api.example.x/", true),
            ("~u '^http://ap?i.example/'", true),
            ("~u ^https://www", true),
            ("~hs[a] b", true),
            ("~query[a]", true),
            ("~tag[a]", true),
        ])
    func blocks(expression: String, mayMatch: Bool) throws {
        #expect(try FlowFilter(expression).mayMatch(Summary(kinds: [.http], statuses: [200, 302])) == mayMatch)
    }

    @Test("Random expressions never trap")
    func random() {
        var generator = SeededGenerator(seed: 3)
        let words = ["~u", "~c", "~b", "a", "(", ")", "|", "&", "!", "200", "'", "\"", " ", "~q", "not", "\\", "[", "~", "é"]
        for _ in 0..<20_000 {
            let expression = (0..<Int.random(in: 0...8, using: &generator)).map { _ in words.randomElement(using: &generator)! }
                .joined(separator: Bool.random(using: &generator) ? " " : "")
            if let filter = try? FlowFilter(expression) { _ = try? filter.matches(get) }
        }
    }
}
