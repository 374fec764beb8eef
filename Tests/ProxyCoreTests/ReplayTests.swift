// Sessions whose servers are recordings: what clients get, and that no server is contacted for it.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import ProxyCore
import TLSEngine
import Testing
import WebSocketCodec

private let get = "GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n"
private let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2"

private func origin(_ lines: [ScriptLine]) throws -> Playbook {
    try Playbook("origin", strategy: .lazy, responder: ScriptedResponder(lines))
}

@Suite("A played exchange of HTTP/1")
struct PlayedHTTP1Tests {
    @Test("Requests on one connection are answered in turn, pipelined ones too")
    func keepAlive() throws {
        let responder = ScriptedResponder([.head(ok), .piece("hi"), .finished, .complete])
        let play = try Playbook("origin", strategy: .lazy, responder: responder)
        let answer = "\(ok)\r\n\r\nhi"
        #expect(play.client(sends: get) == ["send client: \(answer)"])
        #expect(play.client(sends: get.replacing("/a", with: "/b") + get) == ["send client: \(answer)\(answer)"])
        #expect(
            responder.asked == ["GET http://a.example:80 /a", "GET http://a.example:80 /b", "GET http://a.example:80 /a"])
        #expect(
            play.flows == ["/a", "/b", "/a"].map { "http complete GET http://a.example:80 \($0) | 200 <hi>" })
        #expect(play.deliver(.halfClosed(.client)) == ["finish client", "close client"])
    }

    @Test(
        "The end of a response is framed as its head declares",
        arguments: [
            (
                get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
                ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nx: y\r\n\r\n"]
            ),
            (get, "HTTP/1.1 200 OK", ["HTTP/1.1 200 OK\r\n\r\nabc", "finish client"]),
            (get, "HTTP/1.0 200 OK\r\nContent-Length: 3", ["HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "finish client"]),
            (
                get.replacing("HTTP/1.1", with: "HTTP/1.0"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked",
                ["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", "finish client"]
            ),
            (
                get.replacing("HTTP/1.1", with: "HTTP/1.0"), "HTTP/1.1 200 OK\r\nContent-Length: 3",
                ["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "finish client"]
            ),
            (
                get, ":status: 200\r\nx: y",
                ["HTTP/1.1 200 OK\r\nx: y\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nx: y\r\n\r\n"]
            ),
        ] as [(String, String, [String])])
    func framing(_ request: String, _ head: String, _ expected: [String]) throws {
        let trailers = ScriptLine.send(.trailers(from: .server, FieldSection([("x", "y")])))
        let play = try origin([.head(head), .piece("ab"), .piece("c"), trailers, .finished, .complete])
        let lines = play.client(sends: request)
        #expect(lines == ["send client: \(expected[0])"] + expected.dropFirst())
    }

    @Test("HEAD, 204 and 304 have no content, and the connection persists")
    func noContent() throws {
        for (method, head) in [
            ("HEAD", ok),
            ("GET", "HTTP/1.1 204 No Content"),
            ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9"),
        ] {
            let play = try origin([.head(head), .finished, .complete])
            let request = get.replacing("GET", with: method)
            #expect(play.client(sends: request) == ["send client: \(head)\r\n\r\n"])
            #expect(play.client(sends: request) == ["send client: \(head)\r\n\r\n"])
        }
    }

    @Test("A client that asks before it sends its content hears 100 at once, and the responder knows")
    func expectation() throws {
        let responder = ScriptedResponder([.head(ok), .piece("hi"), .finished, .complete])
        let play = try Playbook("origin", strategy: .lazy, responder: responder)
        let head = "POST /a HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
        #expect(play.client(sends: head) == ["send client: HTTP/1.1 100 Continue\r\n\r\n"])
        #expect(play.client(sends: "abc") == ["send client: \(ok)\r\n\r\nhi"])
        #expect(responder.asked == ["POST http://a.example:80 /a <abc> 100"])
        #expect(play.flows == ["http complete POST http://a.example:80 /a <abc> | 200 <hi>"])
    }

    @Test("Interim responses and pauses come as scripted")
    func pauses() throws {
        let play = try origin([
            .wait(20), .head("HTTP/1.1 103 Early Hints"), .wait(30), .head(ok), .piece("h"), .wait(50), .piece("i"), .finished,
            .complete,
        ])
        let start = play.now
        #expect(play.client(sends: get) == [])
        func due() -> Int64? { play.timers[.replay].map { ($0 - start) / 1_000_000 } }
        #expect(due() == 21)
        #expect(play.fire(.replay) == ["send client: HTTP/1.1 103 Early Hints\r\n\r\n"])
        #expect(due() == 51)
        #expect(play.fire(.replay) == ["send client: \(ok)\r\n\r\nh"])
        #expect(due() == 101)
        #expect(play.fire(.replay) == ["send client: i"])
    }

    @Test("A response in progress is activity: it is not cut when it takes longer than the idle timeout")
    func longReplay() throws {
        let minutes: Int64 = 60_000
        let play = try origin([
            .head("HTTP/1.1 200 OK\r\nContent-Length: 3"), .piece("a"), .wait(8 * minutes), .piece("b"), .wait(8 * minutes),
            .piece("c"), .finished, .complete,
        ])
        #expect(play.client(sends: get) == ["send client: HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na"])
        #expect(play.fire(.replay) == ["send client: b"])
        #expect(play.fire(.idle) == [])
        #expect(play.fire(.replay) == ["send client: c"])
        #expect(play.flows == ["http complete GET http://a.example:80 /a | 200 <abc>"])
    }

    @Test("What the recording does not hold to the end is cut: closed, or reset, as it was")
    func cuts() throws {
        let started = "HTTP/1.1 200 OK\r\nContent-Length: 9"
        let reset = FlowEnding(
            state: .incomplete, error: FlowError(side: .server, message: "gone", at: Timestamp(nanoseconds: 0)), isReset: true)
        for (lines, end) in [
            ([ScriptLine.head(started), .piece("abc")], "finish client"),
            ([.head(started), .piece("abc"), .end(reset)], "abort client"),
            ([.head(started), .piece("abc"), .finished, .complete], "finish client"),
        ] {
            let play = try origin(lines)
            #expect(play.client(sends: get) == ["send client: \(started)\r\n\r\nabc", end])
        }
        // What does not fit would be read as the next response.
        for (length, pieces, sent) in [(0, ["abc"], ""), (2, ["abc"], ""), (4, ["abc", "de"], "abc")] {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: \(length)"
            let play = try origin([.head(head)] + pieces.map { .piece($0) } + [.finished, .complete])
            #expect(play.client(sends: get) == ["send client: \(head)\r\n\r\n\(sent)", "finish client"])
        }
        let silent = try origin([.end(FlowEnding(state: .failed))])
        #expect(silent.client(sends: get) == ["finish client"])
        #expect(silent.flows == ["http failed GET http://a.example:80 /a ! server: the recording of the response ends here"])
    }

    @Test(
        "An answer of ours has the words of its status, and content where there may be some",
        arguments: [
            (
                "GET", 503,
                "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: 9\r\n\r\nmitm: no\n"
            ),
            ("HEAD", 404, "HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n"),
            ("GET", 204, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
        ] as [(String, Int, String)])
    func refusals(_ method: String, _ status: Int, _ expected: String) throws {
        let play = try Playbook("origin", strategy: .lazy, responder: ScriptedResponder { _ in .refuse(status: status, "no") })
        #expect(play.client(sends: get.replacing("GET", with: method)) == ["send client: \(expected)", "finish client"])
    }

    @Test("A close is without an answer, and so is a reset")
    func closes() throws {
        for (isReset, end) in [(false, "finish client"), (true, "abort client")] {
            let play = try Playbook(
                "origin", strategy: .lazy, responder: ScriptedResponder { _ in .close("a fault", isReset: isReset) })
            #expect(play.client(sends: get) == [end])
        }
    }

    @Test(
        "A request that is sent on goes as a whole, to the server and with its name",
        arguments: [
            ("Content-Length: 5\r\n\r\nab", "cde", "Content-Length: 5\r\n\r\nabcde"),
            (
                "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "3\r\ncde\r\n0\r\nX: y\r\n\r\n",
                "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nX: y\r\n\r\n"
            ),
        ])
    func forwarding(_ first: String, _ second: String, _ expected: String) throws {
        let play = try Playbook(
            "origin", strategy: .lazy,
            responder: ScriptedResponder { _ in .forward(Endpoint(host: "real.example", port: 81), isTLS: false) })
        let head = "POST /a HTTP/1.1\r\nHost: a.example\r\n"
        #expect(play.client(sends: head + first) == [])
        #expect(play.client(sends: second) == ["open upstream 1: real.example:81"])
        let sent = "POST /a HTTP/1.1\r\nHost: real.example:81\r\n" + expected
        #expect(play.serverOpens() == ["send upstream 1: \(sent)"])
        #expect(play.server(sends: "\(ok)\r\n\r\nhi") == ["send client: \(ok)\r\n\r\nhi"])
        // The next one uses the same connection.
        #expect(play.client(sends: head + first + second) == ["send upstream 1: \(sent)"])
        #expect(
            play.flows.first == "http complete POST http://a.example:80 /a <abcde> | 200 <hi>")
    }

    @Test("Much content goes as the client takes it")
    func backPressure() throws {
        let size = 4 << 20
        let piece = String(repeating: "x", count: 64 * 1024)
        let pieces = Array(repeating: ScriptLine.piece(piece), count: size / piece.utf8.count)
        let play = try origin([.head("HTTP/1.1 200 OK\r\nContent-Length: \(size)")] + pieces + [.finished, .complete])
        play.client(sends: get)
        var sent = play.takeSent(.client).readableBytes
        #expect(sent < 600_000)
        play.deliver(.writable(.client, false))
        let afterPause = sent + play.takeSent(.client).readableBytes
        play.fire(.replay)
        #expect(play.takeSent(.client).readableBytes == 0)
        sent = afterPause
        play.deliver(.writable(.client, true))
        var rounds = 0
        while play.flows.first?.hasPrefix("http complete") != true, rounds < 100 {
            sent += play.takeSent(.client).readableBytes
            play.fire(.replay)
            rounds += 1
        }
        sent += play.takeSent(.client).readableBytes
        #expect(rounds > 10)
        #expect(sent == size + "HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n".utf8.count)
    }

    @Test("A server that answers while the request continues does")
    func duplex() throws {
        let responder = ScriptedResponder(
            duplex: [
                .receive(1), .head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"), .piece("one"), .receive(1), .piece("two"),
                .clientEnds, .finished, .complete,
            ])
        let play = try Playbook("origin", strategy: .lazy, responder: responder)
        #expect(play.client(sends: "POST /a HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n") == [])
        #expect(
            play.client(sends: "1\r\na\r\n") == ["send client: HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"])
        #expect(play.client(sends: "1\r\nb\r\n") == ["send client: 3\r\ntwo\r\n"])
        #expect(play.client(sends: "0\r\n\r\n") == ["send client: 0\r\n\r\n"])
        #expect(play.flows == ["http complete POST http://a.example:80 /a <ab> | 200 <onetwo>"])
    }
}

@Suite("A played exchange of HTTP/2")
struct PlayedHTTP2Tests {
    private func begin(_ responder: ScriptedResponder) throws -> (play: Playbook, client: FramePeer) {
        let play = try Playbook("origin", strategy: .lazy, responder: responder)
        let client = FramePeer(.client, on: .client, of: play)
        client.exchange()
        return (play, client)
    }

    private static func fields(_ path: String, method: String = "GET") -> HTTP2Fields {
        HTTP2Fields([(":method", method), (":scheme", "http"), (":authority", "a.example"), (":path", path)])
    }

    @Test("Heads, content, trailers and the codes of resets come as they were")
    func exchanges() throws {
        let reset = FlowEnding(
            state: .incomplete,
            error: FlowError(
                side: .server, message: "the server reset the stream with ENHANCE_YOUR_CALM", at: Timestamp(nanoseconds: 0)),
            isReset: true)
        let (play, client) = try begin(
            ScriptedResponder { path in
                switch path {
                case "/trailers":
                    .play(
                        ScriptedServer([
                            .head(":status: 200\r\nx: y"), .piece("ab"),
                            .send(.trailers(from: .server, FieldSection([("sum", "1")]))), .finished, .complete,
                        ]))
                case "/reset": .play(ScriptedServer([.head(":status: 200"), .piece("ab"), .end(reset)]))
                case "/empty":
                    .play(
                        ScriptedServer(
                            [.head("HTTP/1.1 204 No Content\r\nConnection: close"), .finished, .complete], hasContent: false))
                case "/early":
                    .play(
                        ScriptedServer([
                            .head("HTTP/1.1 103 Early Hints\r\nLink: </s>"), .head("\(ok)"), .piece("hi"), .finished, .complete,
                        ]))
                default: .refuse(status: 404, "no")
                }
            })
        var received: [String] = []
        for path in ["/trailers", "/reset", "/empty", "/early", "/none"] {
            _ = client.frames.sendRequest(Self.fields(path), endsStream: true)
            client.exchange()
            received.append(client.takeReceived().joined(separator: ", "))
        }
        #expect(
            received == [
                "200 x=y, ab, end", "200, ab, reset ENHANCE_YOUR_CALM", "204, end", "103 link=</s>, 200 content-length=2, hi, end",
                "404 content-type=text/plain; charset=utf-8 content-length=9, mitm: no\n, end",
            ])
        #expect(play.flows.first == "http complete GET http://a.example:80 /trailers | 200 <ab> trailers [\"sum\"]")
    }

    @Test("HEAD of a miss is answered without content")
    func head() throws {
        let (_, client) = try begin(ScriptedResponder { _ in .refuse(status: 404, "no") })
        _ = client.frames.sendRequest(Self.fields("/a", method: "HEAD"), endsStream: true, isHead: true)
        client.exchange()
        #expect(client.takeReceived() == ["404", "end"])
    }

    @Test("Streams go side by side, each at its time")
    func sideBySide() throws {
        let (play, client) = try begin(
            ScriptedResponder { path in
                .play(
                    ScriptedServer([.wait(path == "/slow" ? 50 : 10), .head(":status: 200"), .piece(path), .finished, .complete]))
            })
        for path in ["/slow", "/fast"] { _ = client.frames.sendRequest(Self.fields(path), endsStream: true) }
        client.exchange()
        #expect(client.takeReceived() == [])
        play.fire(.replay)
        #expect(client.takeReceived() == ["200", "/fast", "end"])
        play.fire(.replay)
        #expect(client.takeReceived() == ["200", "/slow", "end"])
    }

    @Test("Content waits for the window of its stream, and is not laid up")
    func backPressure() throws {
        let piece = String(repeating: "x", count: 64 * 1024)
        let pieces = Array(repeating: ScriptLine.piece(piece), count: 64)
        let (play, client) = try begin(ScriptedResponder([.head(":status: 200")] + pieces + [.finished, .complete]))
        let stream = try #require(client.frames.sendRequest(Self.fields("/a"), endsStream: true))
        client.exchange()
        for _ in 0..<20 where play.timers[.replay] != nil { play.fire(.replay) }
        func recorded() -> Int {
            play.records.reduce(0) { sum, event in
                if case .piece(let piece) = event.what { sum + piece.content.readableBytes } else { sum }
            }
        }
        // Its window, and the buffer.
        #expect(recorded() < 600_000)
        for _ in 0..<200 where play.flows.first?.hasPrefix("http complete") != true {
            client.consume(on: stream)
            client.exchange()
            if play.timers[.replay] != nil { play.fire(.replay) }
        }
        #expect(recorded() == 4 << 20)
        client.receive()
    }

    @Test("A request that is sent on goes to a server of HTTP/1 in chunks")
    func forwarding() throws {
        let (play, client) = try begin(ScriptedResponder { _ in .forward(Endpoint(host: "real.example", port: 80), isTLS: false) })
        let stream = try #require(client.frames.sendRequest(Self.fields("/a", method: "POST"), endsStream: false))
        client.frames.sendData(ByteBuffer(string: "abc"), on: stream)
        client.exchange()
        client.frames.sendEnd(trailers: nil, on: stream)
        #expect(client.exchange() == ["open upstream 1: real.example:80"])
        #expect(
            play.serverOpens().last
                == "send upstream 1: POST /a HTTP/1.1\r\nHost: real.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        )
        play.server(sends: "\(ok)\r\n\r\nhi")
        #expect(client.takeReceived() == ["200 content-length=2", "hi", "end"])
    }
}
