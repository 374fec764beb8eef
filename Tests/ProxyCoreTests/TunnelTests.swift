import FlowModel
import HTTPSemantics
import NIOCore
import ProxyCore
import TestSupport
import Testing

@Suite("A tunnel")
struct TunnelTests {
    private static let connect = "CONNECT example.org:7000 HTTP/1.1\r\nHost: example.org:7000\r\n\r\n"
    private static let established = "send client: HTTP/1.1 200 Connection established\r\n\r\n"

    /// A client whose CONNECT has been answered.
    private func tunnel() throws -> Playbook {
        let play = try Playbook()
        play.skip {
            play.client(sends: Self.connect)
            play.serverOpens()
        }
        return play
    }

    @Test("CONNECT is answered when the server is there; a failure is a 502 and a flow")
    func connect() throws {
        let play = try Playbook()
        #expect(play.client(sends: Self.connect) == ["open upstream 1: example.org:7000"])
        #expect(play.serverOpens() == [Self.established])
        let failing = try Playbook()
        #expect(failing.client(sends: Self.connect) == ["open upstream 1: example.org:7000"])
        let lines = failing.deliver(.openFailed(ConnectionHandle(1), reason: "connection refused"))
        #expect(lines.first?.hasPrefix("send client: HTTP/1.1 502") == true)
        #expect(
            failing.flows == [
                "http failed CONNECT http://example.org:7000 example.org:7000 ! server: cannot connect to example.org:7000: connection refused"
            ])
    }

    @Test("HTTP in the clear behind CONNECT is recorded as HTTP, and goes out as it came")
    func plainHTTP() throws {
        let play = try tunnel()
        let request = "GET / HTTP/1.1\r\nHost: example.org:7000\r\n\r\n"
        #expect(play.client(sends: request) == ["send upstream 1: \(request)"])
        let response = "HTTP/1.1 204 No Content\r\n\r\n"
        #expect(play.server(sends: response) == ["send client: \(response)"])
        #expect(play.flows == ["http complete GET http://example.org:7000 / | 204"])
    }

    @Test("What is not HTTP and not TLS is a TCP flow, each end reaching the other as its own")
    func rawTCP() throws {
        let play = try tunnel()
        #expect(play.client(sends: "\u{1}\u{2}ping") == ["send upstream 1: \u{1}\u{2}ping"])
        #expect(play.server(sends: "pong") == ["send client: pong"])
        #expect(play.deliver(.halfClosed(.client)) == ["finish upstream 1"])
        #expect(play.server(sends: "bye") == ["send client: bye"])
        #expect(play.deliver(.halfClosed(ConnectionHandle(1))) == ["finish client", "close upstream 1", "close client"])
        #expect(play.flows == ["tcp complete >\u{1}\u{2}ping <pong <bye"])
    }

    @Test("A server that speaks first makes it a TCP flow")
    func serverFirst() throws {
        let play = try tunnel()
        #expect(play.server(sends: "220 mail\r\n") == ["send client: 220 mail\r\n"])
        #expect(play.client(sends: "EHLO x\r\n") == ["send upstream 1: EHLO x\r\n"])
        #expect(play.deliver(.closed(ConnectionHandle(1), error: nil, isReset: true)) == ["abort upstream 1", "abort client"])
        #expect(play.flows == ["tcp incomplete <220 mail\r\n >EHLO x\r\n ! server: the server reset the connection"])
    }

    @Test(
        "A line in capitals that names no version of HTTP is a TCP flow",
        arguments: ["NICK me\r\nUSER me 0 * :me\r\n", "AUTH secret\r\n", "OPTIONS rtsp://h/ RTSP/1.0\r\n\r\n", "GET /\r\n"])
    func notHTTP(text: String) throws {
        let play = try tunnel()
        #expect(play.client(sends: text) == ["send upstream 1: \(text)"])
        #expect(play.flows == ["tcp incomplete >\(text)"])
    }

    @Test("A client that ends without a word leaves it to the server to speak")
    func silentClient() throws {
        let play = try tunnel()
        #expect(play.deliver(.halfClosed(.client)) == ["finish upstream 1"])
        #expect(play.server(sends: "the time") == ["send client: the time"])
        #expect(play.deliver(.halfClosed(ConnectionHandle(1))) == ["finish client", "close upstream 1", "close client"])
        #expect(play.flows == ["tcp complete <the time"])
    }

    @Test("A server that ends before any data ends the client's connection in the same way, at once")
    func silentServer() throws {
        for isReset in [false, true] {
            let play = try tunnel()
            if isReset {
                let lines = play.deliver(.closed(ConnectionHandle(1), error: "connection reset by peer", isReset: true))
                #expect(lines == ["abort upstream 1", "abort client"])
                #expect(play.flows == ["tcp incomplete ! server: the server reset the connection"])
            } else {
                #expect(play.deliver(.halfClosed(ConnectionHandle(1))) == ["finish client"])
                #expect(play.client(sends: "\u{1}late") == ["send upstream 1: \u{1}late"])
                #expect(play.deliver(.halfClosed(.client)) == ["finish upstream 1", "close upstream 1", "close client"])
                #expect(play.flows == ["tcp complete >\u{1}late"])
            }
        }
    }

    @Test("A client that waits for a server that cannot be had is not left waiting")
    func unreachable() throws {
        let play = try Playbook("transparent", originalDestination: Endpoint(host: "192.0.2.1", port: 25))
        #expect(play.started == ["open upstream 1: 192.0.2.1:25"])
        #expect(play.deliver(.openFailed(ConnectionHandle(1), reason: "connection refused")) == ["close upstream 1"])
        #expect(play.fire(.handshake) == ["abort client"])
        #expect(play.flows == ["tcp failed ! server: cannot connect to 192.0.2.1:25: connection refused"])
        // One that speaks is answered in its own protocol.
        let other = try Playbook("transparent", originalDestination: Endpoint(host: "192.0.2.1", port: 80))
        #expect(other.started == ["open upstream 1: 192.0.2.1:80"])
        #expect(other.deliver(.openFailed(ConnectionHandle(1), reason: "connection refused")) == ["close upstream 1"])
        #expect(other.client(sends: "GET / HTTP/1.1\r\nHost: a\r\n\r\n").first?.hasPrefix("send client: HTTP/1.1 502") == true)
        #expect(other.fire(.handshake) == ["handshake does not run"])
    }

    @Test("A destination that is the recorder itself is refused before and behind the connection")
    func loops() throws {
        let transparent = try Playbook("transparent", originalDestination: Endpoint(host: "127.0.0.1", port: 8080))
        #expect(transparent.started == ["close upstream 1"])
        #expect(transparent.fire(.handshake) == ["abort client"])
        let words = "192.0.2.9:7000 is the recorder itself, so the request would go round in circles"
        // A listener on all addresses is reached by each of the machine's.
        let play = try Playbook()
        play.ownAddresses.add(Endpoint(host: "0.0.0.0", port: 7000))
        #expect(play.client(sends: Self.connect) == ["open upstream 1: example.org:7000"])
        #expect(play.serverOpens(at: "192.0.2.9", port: 7000).first?.hasPrefix("send client: HTTP/1.1 502") == true)
        #expect(play.flows == ["http failed CONNECT http://example.org:7000 example.org:7000 ! server: \(words)"])
    }

    @Test(
        "An IPv6 address in CONNECT needs no brackets where it is clear what the port is",
        arguments: [
            ("[::1]:443", "[::1]:443"),
            ("::1:443", "[::1]:443"),
            ("2001:db8:0:0:0:0:0:1:8443", "[2001:db8:0:0:0:0:0:1]:8443"),
            ("2001:db8::1:80", "[2001:db8::1]:80"),
            ("2001:db8::1", nil),
            ("1:2:3:4:5:6:7:8", nil),
            ("a:b:80", nil),
            ("::1:99999", nil),
            ("a.example:1:80", nil),
        ] as [(String, String?)])
    func bareIPv6(target: String, opened: String?) throws {
        let play = try Playbook()
        let lines = play.client(sends: "CONNECT \(target) HTTP/1.1\r\nHost: \(target)\r\n\r\n")
        if let opened {
            #expect(lines == ["open upstream 1: \(opened)"])
        } else {
            #expect(lines.first?.hasPrefix("send client: HTTP/1.1 400 ") == true)
        }
    }

    @Test(
        "A name below localhost leads back to the recorder as localhost does",
        arguments: ["localhost", "LOCALHOST.", "a.localhost", "b.a.localhost."])
    func loopbackNames(name: String) throws {
        let play = try Playbook()
        let lines = play.client(sends: "CONNECT \(name):8080 HTTP/1.1\r\nHost: \(name):8080\r\n\r\n")
        #expect(lines.first?.hasPrefix("send client: HTTP/1.1 502 ") == true)
    }

    @Test(
        "Addresses that SOCKS names are written as people write them",
        arguments: [
            ([4] + [UInt8](repeating: 0, count: 15) + [1], "[::1]:80"),
            ([4, 0x20, 1, 0xD, 0xB8] + [UInt8](repeating: 0, count: 10) + [0xA, 0], "[2001:db8::a00]:80"),
            ([4] + [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 192, 0, 2, 1], "192.0.2.1:80"),
            ([1, 192, 0, 2, 1], "192.0.2.1:80"),
        ] as [([UInt8], String)])
    func addresses(address: [UInt8], text: String) throws {
        let play = try Playbook("socks5")
        #expect(play.deliver(.received(.client, ByteBuffer(bytes: [5, 1, 0]))) == ["send client: \u{5}\u{0}"])
        #expect(
            play.deliver(.received(.client, ByteBuffer(bytes: [5, 1, 0] + address + [0, 80]))) == ["open upstream 1: \(text)"])
    }

    @Test("With the lazy strategy CONNECT is answered at once and the server contacted when there is something to say")
    func lazy() throws {
        let play = try Playbook(strategy: .lazy)
        #expect(play.client(sends: Self.connect) == [Self.established])
        #expect(play.client(sends: "\u{1}\u{2}") == ["open upstream 1: example.org:7000"])
        #expect(play.serverOpens() == ["send upstream 1: \u{1}\u{2}"])
    }

    @Test("Where no server is connected to, a client that says nothing is taken to wait for it")
    func silentWithoutServer() throws {
        let lazy = try Playbook(strategy: .lazy)
        #expect(lazy.client(sends: Self.connect) == [Self.established])
        #expect(lazy.fire(.handshake) == ["open upstream 1: example.org:7000"])
        #expect(lazy.serverOpens() == [])
        #expect(lazy.server(sends: "220 mail\r\n") == ["send client: 220 mail\r\n"])
        #expect(lazy.flows == ["tcp incomplete <220 mail\r\n"])
        // Whether there is TLS on this side as well, the client would have said by then.
        let behindTLS = try Playbook("reverse:tls://imap.example:993", strategy: .lazy)
        #expect(behindTLS.fire(.handshake) == ["open upstream 1: imap.example:993"])
        // A client that is connected to its server may think as long as it likes before it speaks HTTP.
        let eager = try tunnel()
        #expect(eager.fire(.handshake) == ["handshake does not run"])
    }

    @Test("After 101 both directions are relayed within the same flow")
    func upgrade() throws {
        let play = try Playbook()
        let fields = "Host: example.org\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
        #expect(play.client(sends: "GET http://example.org/ HTTP/1.1\r\n\(fields)") == ["open upstream 1: example.org:80"])
        #expect(play.serverOpens() == ["send upstream 1: GET / HTTP/1.1\r\n\(fields)"])
        let switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
        #expect(play.server(sends: switching + "hello") == ["send client: \(switching)hello"])
        #expect(play.client(sends: "you") == ["send upstream 1: you"])
        #expect(play.deliver(.halfClosed(ConnectionHandle(1))) == ["finish client"])
        #expect(play.deliver(.halfClosed(.client)) == ["finish upstream 1", "close upstream 1", "close client"])
        #expect(play.flows == ["http complete GET http://example.org:80 http://example.org/ <you> | 101 <hello>"])
    }
}
