// How long a session waits: for servers and the proxies on the way to them, each by itself, and for the end of a tunnel whose client has left.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import TLSEngine
import Testing

@testable import ProxyCore

@Suite("Deadlines")
struct DeadlineTests {
    private static let connect = "CONNECT example.org:7000 HTTP/1.1\r\nHost: example.org:7000\r\n\r\n"

    @Test(
        "An upstream proxy that is silent is given up after the time for a handshake",
        arguments: ["http", "https", "socks5"])
    func silentProxy(kind: String) throws {
        let words = "the upstream proxy proxy.example:1080 did not complete the handshake in time"
        // A tunnel.
        let play = try Playbook("upstream:\(kind)://proxy.example:1080", verifies: false)
        #expect(play.client(sends: Self.connect) == ["open upstream 1: proxy.example:1080"])
        // What it is sent is the matter of other tests.
        play.skip { play.serverOpens(port: 1080) }
        let opened = play.now
        #expect(play.timers[.servers] == opened.advanced(byNanoseconds: SessionTimeouts().handshake))
        let lines = play.fire(.servers)
        #expect(lines.first?.hasPrefix("send client: HTTP/1.1 502") == true)
        #expect(Array(lines.dropFirst()) == ["close upstream 1", "finish client"])
        #expect(play.flows == ["http failed CONNECT http://example.org:7000 example.org:7000 ! server: \(words)"])
        // A request in the clear through SOCKS, and a proxy that stops in the middle.
        guard kind == "socks5" else { return }
        let request = try Playbook("upstream:socks5://proxy.example:1080")
        request.skip {
            request.client(sends: "GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n")
            request.serverOpens(port: 1080)
            request.deliver(.received(ConnectionHandle(1), ByteBuffer(bytes: [5, 0])))
        }
        let end = request.fire(.servers)
        #expect(end.count == 3 && end.first == "close upstream 1" && end.last == "finish client")
        #expect(end[1].hasPrefix("send client: HTTP/1.1 502 ") && end[1].hasSuffix("mitm: \(words)\n"))
        #expect(request.flows == ["http failed GET http://example.org:80 http://example.org/ ! server: \(words)"])
    }

    @Test("A proxy that lets us through is watched no longer")
    func openProxy() throws {
        let play = try Playbook("upstream:http://proxy.example:1080")
        play.skip {
            play.client(sends: Self.connect)
            play.serverOpens(port: 1080)
        }
        #expect(play.server(sends: "HTTP/1.1 200 OK\r\n\r\n") == ["send client: HTTP/1.1 200 Connection established\r\n\r\n"])
        #expect(play.fire(.servers) == ["servers does not run"])
    }

    @Test("Each server has a deadline of its own: one that answers does not stop the clock of another")
    func eachItsOwn() throws {
        let play = try Playbook(verifies: false)
        let client = FramePeer(.client, on: .client, of: play)
        for host in ["a", "b", "c"] {
            let fields = HTTP2Fields([(":method", "GET"), (":scheme", "https"), (":authority", "\(host).example"), (":path", "/")])
            _ = client.frames.sendRequest(fields, endsStream: true, isHead: false, isTunnel: false)
        }
        #expect(client.exchange() == (1...3).map { "open upstream \($0): \(["a", "b", "c"][$0 - 1]).example:443" })
        play.serverOpens(1, port: 443)
        let first = play.now
        // Servers 2 and 3 are sent a ClientHello and do not answer.
        play.skip { play.serverOpens(2, port: 443) }
        let server = try TLSServer(play, on: 1)
        try server.exchange()
        #expect(server.received.hasPrefix("GET / HTTP/1.1\r\n"))
        #expect(play.timers[.servers] == first.advanced(byNanoseconds: SessionTimeouts().handshake + 1_000_000))
        play.skip { play.serverOpens(3, port: 443) }
        let third = play.now
        #expect(play.fire(.servers).filter { $0.hasPrefix("close") } == ["close upstream 2"])
        #expect(play.timers[.servers] == third.advanced(byNanoseconds: SessionTimeouts().handshake))
    }

    /// A client whose CONNECT has been answered.
    private func tunnel() throws -> Playbook {
        let play = try Playbook()
        play.skip {
            play.client(sends: Self.connect)
            play.serverOpens()
        }
        return play
    }

    enum Leaving: String, CaseIterable { case connect, socks5, transparent, passThrough }

    @Test("A client that leaves without a word keeps its connections for a short time only", arguments: Leaving.allCases)
    func leaves(way: Leaving) throws {
        var rules = HostRules()
        if way == .passThrough { rules.ignored = [{ _ in true }] }
        let mode = way == .socks5 ? "socks5" : way == .transparent ? "transparent" : "regular"
        let play = try Playbook(
            mode, originalDestination: way == .transparent ? Endpoint(host: "192.0.2.1", port: 443) : nil,
            hosts: HostPolicy(rules))
        if mode == "transparent" { #expect(play.started == ["open upstream 1: 192.0.2.1:443"]) }
        play.skip {
            if mode == "regular" { play.client(sends: Self.connect) }
            if mode == "socks5" {
                play.deliver(.received(.client, ByteBuffer(bytes: [5, 1, 0])))
                play.deliver(.received(.client, ByteBuffer(bytes: [5, 1, 0, 1, 192, 0, 2, 1, 3, 225])))
            }
            play.serverOpens()
        }
        #expect(play.deliver(.halfClosed(.client)) == ["finish upstream 1"])
        #expect(play.timers[.tunnel] == play.now.advanced(byNanoseconds: SessionTimeouts().linger))
        #expect(play.fire(.tunnel) == ["finish client", "close upstream 1", "close client"])
        #expect(play.flows == ["tcp complete"])
    }

    @Test("A server that may be answering, or speaks first, has all the time it wants")
    func halfClosed() throws {
        let asked = try tunnel()
        #expect(asked.client(sends: "\u{1}what?") == ["send upstream 1: \u{1}what?"])
        #expect(asked.deliver(.halfClosed(.client)) == ["finish upstream 1"])
        #expect(asked.fire(.tunnel) == ["tunnel does not run"])
        let first = try tunnel()
        #expect(first.deliver(.halfClosed(.client)) == ["finish upstream 1"])
        #expect(first.server(sends: "the time is") == ["send client: the time is"])
        #expect(first.fire(.tunnel) == ["tunnel does not run"])
    }

    @Test("WebSocket in which both have said goodbye ends soon after the first of them has left")
    func closeFrames() throws {
        let play = try Playbook()
        play.skip {
            play.client(
                sends: "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            play.serverOpens()
            play.server(
                sends: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
            play.deliver(.received(.client, ByteBuffer(bytes: [0x88, 0x82, 0, 0, 0, 0, 3, 0xE8])))
            play.deliver(.received(ConnectionHandle(1), ByteBuffer(bytes: [0x88, 2, 3, 0xE8])))
        }
        #expect(play.deliver(.halfClosed(.client)) == ["finish upstream 1"])
        #expect(play.fire(.tunnel) == ["finish client", "close upstream 1", "close client"])
        #expect(play.flows == ["http complete GET http://a.example:80 http://a.example/ | 101 >close 1000 <close 1000"])
    }

    // MARK: reverse:tls

    @Test("A TLS server that is known is contacted at once, and offered what its client offers")
    func contactedAtOnce() throws {
        let play = try Playbook("reverse:tls://a.example:993", verifies: false)
        #expect(play.started == ["open upstream 1: a.example:993"])
        #expect(play.serverOpens(port: 993) == [])
        #expect(String(buffer: play.takeSent(ConnectionHandle(1))) == "")
        let server = try TLSServer(play, sends: "* OK\r\n", at: .withItsHandshake, alpn: "imap")
        let client = try TLSClient(play, alpn: ["imap"], server: server)
        #expect(try client.exchange() == "* OK\r\n")
        #expect(client.lines == ["forge a.example"])
        #expect(client.tls.facts.alpn == "imap")
        #expect(server.facts.serverName == "a.example")
    }

    @Test("A client that says nothing is not waited for long; if it speaks TLS after all, that is taken")
    func silentClient() throws {
        let play = try Playbook("reverse:tls://a.example:993", verifies: false)
        #expect(play.started == ["open upstream 1: a.example:993"])
        play.serverOpens(port: 993)
        let server = try TLSServer(play)
        #expect(play.fire(.handshake).count == 1)
        try server.exchange()
        let client = try TLSClient(play, alpn: [], server: server)
        try client.exchange()
        try client.tls.write(ByteBuffer(string: "a NOOP\r\n"))
        try client.exchange()
        #expect(server.received == "a NOOP\r\n")
        #expect(play.flows == ["tcp incomplete >a NOOP\r\n"])
        let plain = try Playbook("reverse:tls://a.example:993", verifies: false)
        #expect(plain.started == ["open upstream 1: a.example:993"])
        plain.serverOpens(port: 993)
        let other = try TLSServer(plain, sends: "* OK\r\n", at: .withItsHandshake)
        plain.fire(.handshake)
        try other.exchange()
        #expect(String(buffer: plain.takeSent(.client)) == "* OK\r\n")
    }
}
