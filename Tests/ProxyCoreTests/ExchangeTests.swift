import FlowModel
import HTTPSemantics
import NIOCore
import ProxyCore
import TestSupport
import Testing

@Suite("An HTTP/1 exchange")
struct ExchangeTests {
    private static let get = "GET http://example.org/a?b HTTP/1.1\r\nHost: example.org\r\nX-Case: Kept \r\n\r\n"
    private static let getInOriginForm = "GET /a?b HTTP/1.1\r\nHost: example.org\r\nX-Case: Kept \r\n\r\n"
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

    /// A session whose request has reached the server.
    private func asked(_ request: String = get) throws -> Playbook {
        let play = try Playbook()
        play.skip {
            play.client(sends: request)
            play.serverOpens()
        }
        return play
    }

    /// Commands without the bytes.
    private static func commands(_ turn: Turn) -> [String] { turn.map { String($0.prefix { $0 != ":" }) } }

    @Test("An absolute-form request goes to its host in origin form, everything else byte for byte")
    func absoluteForm() throws {
        let play = try Playbook()
        #expect(play.client(sends: Self.get) == ["open upstream 1: example.org:80"])
        #expect(play.serverOpens() == ["send upstream 1: \(Self.getInOriginForm)"])
        #expect(play.server(sends: Self.ok) == ["send client: \(Self.ok)"])
        #expect(play.flows == ["http complete GET http://example.org:80 http://example.org/a?b | 200 <hi>"])
    }

    @Test("A request that comes byte by byte is the same request")
    func byteByByte() throws {
        let play = try Playbook()
        var lines: [String] = []
        for byte in Self.get.utf8 { lines += play.deliver(.received(.client, ByteBuffer(bytes: [byte]))) }
        #expect(lines == ["open upstream 1: example.org:80"])
        #expect(play.serverOpens() == ["send upstream 1: \(Self.getInOriginForm)"])
        lines = []
        for byte in Self.ok.utf8 { lines += play.deliver(.received(ConnectionHandle(1), ByteBuffer(bytes: [byte]))) }
        #expect(lines.map { $0.replacing("send client: ", with: "") }.joined() == Self.ok)
        #expect(play.flows == ["http complete GET http://example.org:80 http://example.org/a?b | 200 <hi>"])
    }

    @Test("The next request to the same server uses the same connection, one to another server a new one")
    func reuse() throws {
        let play = try asked()
        #expect(play.server(sends: Self.ok) == ["send client: \(Self.ok)"])
        #expect(play.client(sends: Self.get) == ["send upstream 1: \(Self.getInOriginForm)"])
        #expect(play.server(sends: Self.ok) == ["send client: \(Self.ok)"])
        #expect(
            play.client(sends: "GET http://other.example:81/ HTTP/1.1\r\nHost: other.example:81\r\n\r\n") == [
                "close upstream 1", "open upstream 2: other.example:81",
            ])
    }

    @Test("Pipelined requests are answered in their order, one after the other")
    func pipelining() throws {
        let play = try Playbook()
        #expect(play.client(sends: Self.get + Self.get + Self.get) == ["open upstream 1: example.org:80"])
        #expect(play.serverOpens() == ["send upstream 1: \(Self.getInOriginForm)"])
        #expect(play.server(sends: Self.ok) == ["send client: \(Self.ok)", "send upstream 1: \(Self.getInOriginForm)"])
        #expect(play.server(sends: Self.ok) == ["send client: \(Self.ok)", "send upstream 1: \(Self.getInOriginForm)"])
        #expect(play.server(sends: Self.ok) == ["send client: \(Self.ok)"])
        #expect(play.flows.count == 3)
    }

    @Test("Interim responses pass and are recorded, the final one follows")
    func interim() throws {
        let play = try asked()
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n"
        #expect(play.server(sends: hints) == ["send client: \(hints)"])
        #expect(play.server(sends: Self.ok) == ["send client: \(Self.ok)"])
        #expect(play.flows == ["http complete GET http://example.org:80 http://example.org/a?b | 103 | 200 <hi>"])
    }

    @Test("Chunks, their extensions and trailers pass byte for byte in both directions")
    func chunked() throws {
        let play = try Playbook()
        let body = "3;ext=1\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n"
        let head = "POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n"
        let request = "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(play.client(sends: request) == ["open upstream 1: example.org:80"])
        #expect(play.serverOpens() == ["send upstream 1: \(head)"])
        #expect(play.client(sends: body) == ["send upstream 1: \(body)"])
        let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
        #expect(play.server(sends: response) == ["send client: \(response)"])
        #expect(
            play.flows == ["http complete POST http://example.org:80 http://example.org/ <abc> | 200 <abc> trailers [\"X-Sum\"]"])
    }

    @Test("A response without a length ends with the connection, for the client too")
    func untilClose() throws {
        let play = try asked()
        #expect(play.server(sends: "HTTP/1.1 200 OK\r\n\r\nab") == ["send client: HTTP/1.1 200 OK\r\n\r\nab"])
        #expect(play.deliver(.halfClosed(ConnectionHandle(1))) == ["close upstream 1", "finish client"])
        #expect(play.flows == ["http complete GET http://example.org:80 http://example.org/a?b | 200 <ab>"])
    }

    @Test("A response cut in the middle reaches the client cut, and is recorded as far as it came")
    func truncated() throws {
        let play = try asked()
        play.skip { play.server(sends: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc") }
        #expect(play.deliver(.halfClosed(ConnectionHandle(1))) == ["close upstream 1", "finish client"])
        #expect(
            play.flows == [
                "http incomplete GET http://example.org:80 http://example.org/a?b | 200 <abc> ! server: the server closed the connection in the middle of the response"
            ])
    }

    @Test("A reset in the middle of a response is a reset for the client")
    func reset() throws {
        let play = try asked()
        play.skip { play.server(sends: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc") }
        #expect(
            play.deliver(.closed(ConnectionHandle(1), error: nil, isReset: true)) == ["close upstream 1", "abort client"])
    }

    @Test("A client that half-closes after its request gets its response, then the connection ends")
    func clientHalfClose() throws {
        let play = try asked()
        #expect(play.deliver(.halfClosed(.client)) == [])
        #expect(play.server(sends: Self.ok) == ["send client: \(Self.ok)", "close upstream 1", "finish client", "close client"])
        #expect(play.flows == ["http complete GET http://example.org:80 http://example.org/a?b | 200 <hi>"])
    }

    @Test("A client that goes away is recorded, and the server is let go")
    func clientGone() throws {
        let play = try asked()
        #expect(play.deliver(.closed(.client, error: nil, isReset: true)) == ["abort upstream 1"])
        #expect(
            play.flows == [
                "http incomplete GET http://example.org:80 http://example.org/a?b ! client: the client reset the connection"
            ])
    }

    @Test("A kept connection that the server closed while a request was under way is replaced, if the request may be repeated")
    func repeated() throws {
        let play = try asked()
        play.skip {
            play.server(sends: Self.ok)
            play.client(sends: Self.get)
        }
        #expect(play.deliver(.halfClosed(ConnectionHandle(1))) == ["close upstream 1", "open upstream 2: example.org:80"])
        #expect(play.serverOpens(2) == ["send upstream 2: \(Self.getInOriginForm)"])
    }

    @Test("A request that must not be repeated is answered 502")
    func notRepeated() throws {
        let play = try asked()
        play.skip {
            play.server(sends: Self.ok)
            play.client(sends: "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nContent-Length: 0\r\n\r\n")
        }
        let lines = play.deliver(.halfClosed(ConnectionHandle(1)))
        #expect(lines.first == "close upstream 1")
        #expect(lines.dropFirst().first?.hasPrefix("send client: HTTP/1.1 502 Bad Gateway\r\n") == true)
        #expect(
            play.flows.last
                == "http failed POST http://example.org:80 http://example.org/ ! server: the server closed the connection before it answered"
        )
    }

    @Test("A server that cannot be reached is a 502 and a failed flow")
    func unreachable() throws {
        let play = try Playbook()
        #expect(play.client(sends: Self.get) == ["open upstream 1: example.org:80"])
        let lines = play.deliver(.openFailed(ConnectionHandle(1), reason: "connection refused"))
        #expect(lines.contains { $0.hasPrefix("send client: HTTP/1.1 502 Bad Gateway\r\n") })
        #expect(lines.last == "finish client")
        #expect(
            play.flows == [
                "http failed GET http://example.org:80 http://example.org/a?b ! server: cannot connect to example.org:80: connection refused"
            ])
    }

    @Test("A request for the recorder's own address is refused: it would go round in circles")
    func loop() throws {
        let play = try Playbook()
        let lines = play.client(sends: "GET http://localhost:8080/x HTTP/1.1\r\nHost: localhost:8080\r\n\r\n")
        #expect(lines.contains { $0.hasPrefix("send client: HTTP/1.1 502") })
        #expect(!lines.contains { $0.hasPrefix("open") })
    }

    @Test(
        "A request that cannot be served is refused with its reason and is a failed flow",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
            ("GET / HTTP/1.0\r\n\r\n", "400"),
            ("BROKEN\r\n\r\n", "400"),
            ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505"),
            ("CONNECT nowhere HTTP/1.1\r\nHost: nowhere\r\n\r\n", "400"),
        ])
    func refused(request: String, status: String) throws {
        let play = try Playbook()
        let lines = play.client(sends: request)
        #expect(lines.first?.hasPrefix("send client: HTTP/1.1 \(status) ") == true)
        #expect(lines.last == "finish client")
        #expect(play.flows.count == 1)
        #expect(play.flows.first?.hasPrefix("http failed") == true)
    }

    @Test(
        "A target in absolute form that cannot be used is 400, whatever Host says",
        arguments: [
            "ftp://h/x", "s://]ufd/:", "http://[::1/x", "http:///x", "http://", "http://:80/", "http://h:99999/", "http://h:x/",
            "https://a b".replacing(" ", with: "%20") + ">/", "http://a,b/", "http://a\\b/", "http://h^/", "http://]h/",
            "http://[zz]/",
            "http://[::1]x/", "HTTP://", "http://user@/", "http://?q", "urn://", "wss://", "h2c://h/",
            "http://a\\@h/", "http://a.example:80\\@h/x", "http://a@b@h/", "http://[a]@h/", "http://<@h/", "http://\u{E9}@h/",
            "//h/x".replacing("//", with: "x://") + "|",
        ])
    func unusableTarget(target: String) throws {
        for mode in ["regular", "reverse:http://origin.example:81"] {
            let play = try Playbook(mode)
            let lines = play.client(sends: "GET \(target) HTTP/1.1\r\nHost: example.org\r\n\r\n")
            #expect(lines.count == 2 && lines[0].hasPrefix("send client: HTTP/1.1 400 ") && lines[1] == "finish client", "\(lines)")
            #expect(play.wholeFlows.map { $0.localReply?.value.head.status } == [400])
        }
    }

    @Test(
        "A target in absolute form that names a server goes there",
        arguments: [
            ("http://h", "h:80", "/"),
            ("HTTP://h:81/x?y", "h:81", "/x?y"),
            ("http://user:pw@h/x", "h:80", "/x"),
            ("http://[::1]:82/", "[::1]:82", "/"),
            ("http://[fe80::1%25eth0]/", "[fe80::1%25eth0]:80", "/"),
            ("ws://h/x", "h:80", "/x"),
            ("http://a_b-c.~!$&'()*+;=%41/", "a_b-c.~!$&'()*+;=%41:80", "/"),
            ("http://h:/x", "h:80", "/x"),
            ("http://h?q", "h:80", "/?q"),
        ])
    func usableTarget(target: String, server: String, path: String) throws {
        let play = try Playbook()
        #expect(play.client(sends: "GET \(target) HTTP/1.1\r\nHost: other\r\n\r\n") == ["open upstream 1: \(server)"])
        #expect(play.serverOpens().first?.hasPrefix("send upstream 1: GET \(path) HTTP/1.1\r\n") == true)
    }

    @Test("No 1xx goes to a client of HTTP/1.0, whatever the server says")
    func interimToHTTP1_0() throws {
        let play = try asked(Self.get.replacing("HTTP/1.1", with: "HTTP/1.0"))
        #expect(play.server(sends: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n") == [])
        #expect(play.server(sends: Self.ok) == ["send client: \(Self.ok)", "close upstream 1", "finish client"])
        #expect(play.flows == ["http complete GET http://example.org:80 http://example.org/a?b | 100 | 103 | 200 <hi>"])
        let other = try asked(Self.get.replacing("HTTP/1.1", with: "HTTP/1.0"))
        let lines = other.server(sends: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
        #expect(lines.contains { $0.hasPrefix("send client: HTTP/1.1 502 ") } && !lines.contains { $0.contains(" 101 ") })
    }

    @Test("Chunks are undone for a client of HTTP/1.0, which does not know them")
    func chunksToHTTP1_0() throws {
        let play = try asked(Self.get.replacing("HTTP/1.1", with: "HTTP/1.0"))
        let response = "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        #expect(
            play.server(sends: response) == [
                "send client: HTTP/1.1 200 Fine\r\nConnection: close\r\n\r\nhi", "close upstream 1", "finish client",
            ])
        #expect(play.flows == ["http complete GET http://example.org:80 http://example.org/a?b | 200 <hi>"])
    }

    @Test("The reason phrase keeps its bytes, and the fields that Connection names stay behind, when chunks are undone")
    func headToHTTP1_0() throws {
        let play = try asked(Self.get.replacing("HTTP/1.1", with: "HTTP/1.0"))
        var response = ByteBuffer(string: "HTTP/1.1 200 ")
        response.writeInteger(UInt8(0xE9))
        response.writeString("\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-End: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        let lines = play.deliver(.received(ConnectionHandle(1), response))
        #expect(lines.dropFirst() == ["close upstream 1", "finish client"])
        var expected = ByteBuffer(string: "HTTP/1.1 200 ")
        expected.writeInteger(UInt8(0xE9))
        expected.writeString("\r\nX-End: 2\r\nConnection: close\r\n\r\n")
        #expect(play.takeSent(.client) == expected)
    }

    @Test(
        "A response that is refused leaves its bytes, and the answer that the client got instead is marked as the recorder's",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "", "different values"),
            ("HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\nabc", "", "bare CR or NUL"),
            ("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n", "", "bare CR or NUL"),
            ("220 mail.example ESMTP\r\n\r\n", "", "HTTP/1"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "x\r\nabc\r\n", "its size"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "3\r\nabcd\r\n0\r\n\r\n", "not followed by CRLF"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\nHost: a\r\n\r\n", "trailer section"),
        ])
    func refusedResponse(good: String, bad: String, error: String) throws {
        let play = try asked()
        let lines = play.server(sends: good + bad)
        #expect(
            Self.commands(lines)
                == (bad.isEmpty
                    ? ["close upstream 1", "send client", "finish client"] : ["send client", "close upstream 1", "finish client"]))
        let flow = try #require(play.wholeFlows.first)
        #expect(flow.error?.message.contains(error) == true && flow.error?.side == .server, "\(flow.error?.message ?? "")")
        #expect(flow.malformed.map { String(buffer: $0.value.bytes) } == [bad.isEmpty ? good : bad])
        #expect(flow.malformed.first?.value.from == .server)
        // The head is on its way when the content turns out bad.
        #expect((flow.response == nil) == bad.isEmpty && flow.state == (bad.isEmpty ? .failed : .incomplete))
        let reply = flow.localReply?.value
        #expect((reply != nil) == bad.isEmpty)
        if let reply {
            let text = String(buffer: reply.head.wire) + String(buffer: reply.content)
            #expect(lines.contains("send client: \(text)") && text.hasPrefix("HTTP/1.1 502 Bad Gateway\r\n"), "\(lines)")
        }
    }

    @Test("A head that the server did not finish is kept")
    func cutHead() throws {
        let play = try asked()
        play.server(sends: "HTTP/1.1 200 OK\r\nX: ")
        #expect(
            Self.commands(play.deliver(.halfClosed(ConnectionHandle(1)))) == ["close upstream 1", "send client", "finish client"])
        let flow = try #require(play.wholeFlows.first)
        #expect(flow.malformed.map { String(buffer: $0.value.bytes) } == ["HTTP/1.1 200 OK\r\nX: "])
        #expect(flow.localReply?.value.head.status == 502)
    }

    @Test("A request whose content cannot be read leaves the bytes that could not be")
    func refusedContent() throws {
        let play = try asked("POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n")
        let lines = play.client(sends: "2\r\nhi\r\n5;bad[=x\r\nhello\r\n0\r\n\r\n")
        #expect(lines.first == "send upstream 1: 2\r\nhi\r\n")
        #expect(Self.commands(lines) == ["send upstream 1", "close upstream 1", "send client", "finish client"])
        let flow = try #require(play.wholeFlows.first)
        #expect(flow.malformed.map { String(buffer: $0.value.bytes) } == ["5;bad[=x\r\nhello\r\n0\r\n\r\n"])
        #expect(flow.localReply?.value.head.status == 400)
        #expect(flow.error?.message.hasSuffix("(--no-validate-inbound-headers lets it pass)") == true)
    }

    @Test(
        "What the recorder answers itself is in the flow as its own",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n\r\n", 501),
            ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
            ("GET /\(String(repeating: "a", count: 70_000))", 414),
            ("GET / HTTP/1.1\r\nX: \(String(repeating: "a", count: 300_000))", 431),
            ("CONNECT nowhere HTTP/1.1\r\nHost: nowhere\r\n\r\n", 400),
            ("POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", 413),
            ("HEAD http://localhost:8080/x HTTP/1.1\r\nHost: localhost:8080\r\n\r\n", 502),
        ])
    func localReplies(request: String, status: Int) throws {
        let play = try Playbook(maximumBodySize: 10)
        let lines = play.client(sends: request)
        let flow = try #require(play.wholeFlows.first)
        let reply = try #require(flow.localReply?.value)
        #expect(flow.response == nil && flow.status == status && reply.head.status == status)
        #expect(lines.contains("send client: " + String(buffer: reply.head.wire) + String(buffer: reply.content)))
    }

    @Test("Content beyond the limit is answered 413")
    func tooLarge() throws {
        let play = try Playbook(maximumBodySize: 10)
        let lines = play.client(sends: "POST http://example.org/ HTTP/1.1\r\nHost: example.org\r\nContent-Length: 11\r\n\r\n")
        #expect(lines.first?.hasPrefix("send client: HTTP/1.1 413 ") == true)
    }

    @Test("A slow client stops the reading from the server, and the other way round")
    func backPressure() throws {
        let play = try asked()
        #expect(play.deliver(.writable(.client, false)) == ["pause upstream 1"])
        #expect(play.deliver(.writable(.client, true)) == ["read upstream 1"])
        #expect(play.deliver(.writable(ConnectionHandle(1), false)) == ["pause client"])
        #expect(play.deliver(.writable(ConnectionHandle(1), true)) == ["read client"])
    }

    @Test("When the recorder stops, what is open is recorded as cut")
    func shutdown() throws {
        let play = try asked()
        #expect(play.deliver(.shutdown) == ["close upstream 1", "finish client"])
        #expect(
            play.flows == ["http incomplete GET http://example.org:80 http://example.org/a?b ! recorder: the recorder was stopped"])
    }

    @Test(
        "In reverse mode the Host field names the server, unless the client's is kept",
        arguments: [(false, "origin.example:8443"), (true, "front")])
    func reverse(keeps: Bool, host: String) throws {
        let play = try Playbook("reverse:http://origin.example:8443", keepsHostHeader: keeps)
        #expect(play.client(sends: "GET / HTTP/1.1\r\nHost: front\r\n\r\n") == ["open upstream 1: origin.example:8443"])
        #expect(play.serverOpens() == ["send upstream 1: GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n"])
        #expect(play.server(sends: Self.ok) == ["send client: \(Self.ok)"])
        #expect(play.flows == ["http complete GET http://origin.example:8443 / | 200 <hi>"])
    }
}
