// The recorder's own page: by which addresses it is reached, what it answers, and that no server is contacted for it.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import TLSEngine
import Testing

@testable import ProxyCore

@Suite("The recorder's own page")
struct OnboardingTests {
    private static let transparent = Endpoint(host: "192.0.2.1", port: 80)

    static let requests: [(mode: String, request: String)] = [
        ("regular", "GET http://mitm.it/ HTTP/1.1\r\nHost: mitm.it\r\n\r\n"),
        ("regular", "GET http://MITM.it./?x HTTP/1.1\r\nHost: MITM.it.\r\n\r\n"),
        ("regular", "GET / HTTP/1.1\r\nHost: mitm.it\r\n\r\n"),
        ("regular", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"),
        ("regular", "GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"),
        ("regular", "GET http://localhost:8080/ HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"),
        ("upstream:http://proxy.example:3128", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"),
        ("socks5", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"),
        ("socks5", "GET / HTTP/1.1\r\nHost: mitm.it\r\n\r\n"),
    ]

    @Test(
        "The page is shown for its name and for the recorder's own address, in whatever pieces the request comes",
        arguments: requests)
    func shows(mode: String, request: String) throws {
        for pieces in [[request], request.map { String($0) }] {
            let play = try Playbook(mode)
            var lines: [String] = []
            for piece in pieces { lines += play.client(sends: piece) }
            #expect(lines.first?.hasPrefix("send client: HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n") == true)
            #expect(lines.first?.contains("Its SHA-256 fingerprint is <code>\(Playbook.authority.fingerprint)</code>") == true)
            #expect(lines.dropFirst() == ["finish client"])
            #expect(play.flows == [])
        }
    }

    /// What follows a request.
    private func lines(_ request: String, mode: String = "regular") throws -> [String] {
        let play = try Playbook(mode)
        return Array(play.client(sends: request))
    }

    @Test("HEAD gets no content, other methods are refused")
    func methods() throws {
        #expect(
            try lines("HEAD http://mitm.it/ HTTP/1.1\r\nHost: mitm.it\r\n\r\n") == [
                "send client: HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "finish client",
            ])
        let post = try lines("POST http://mitm.it/ HTTP/1.1\r\nHost: mitm.it\r\nContent-Length: 0\r\n\r\n")
        #expect(post.first?.hasPrefix("send client: HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n") == true)
    }

    static let files: [(path: String, name: String?)] = [
        ("/cert/pem", "mitm-ca-cert.pem"),
        ("/cert/cer", "mitm-ca-cert.cer"),
        ("/cert/p12", "mitm-ca-cert.p12"),
        ("/cert/key", nil),
        ("/favicon.ico", nil),
    ]

    @Test("The certificate is offered under its own name, by the page's name and by the recorder's address", arguments: files)
    func file(path: String, name: String?) throws {
        for host in ["mitm.it", "127.0.0.1:8080"] {
            let lines = try lines("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
            let head = lines.first?.split(separator: "\r\n\r\n").first ?? ""
            #expect(head.contains("HTTP/1.1 \(name == nil ? "404 Not Found" : "200 OK")\r\n"))
            #expect(head.contains("filename=") == (name != nil) && head.contains("filename=\"\(name ?? "")\"") == (name != nil))
            #expect(!lines.contains { $0.contains("PRIVATE KEY") })
        }
    }

    @Test("Other requests for the recorder's own address are refused, and in reverse mode the page's name is one of a server")
    func others() throws {
        for request in [
            "GET http://localhost:8080/x HTTP/1.1\r\nHost: localhost:8080\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: localhost:8080\r\nContent-Length: 0\r\n\r\n",
        ] {
            let sent = try lines(request).filter { $0.hasPrefix("send client") }
            #expect(sent.count == 1 && sent[0].hasPrefix("send client: HTTP/1.1 502 "))
        }
        #expect(
            try lines("GET / HTTP/1.1\r\nHost: mitm.it\r\n\r\n", mode: "reverse:http://b.example")
                == ["open upstream 1: b.example:80"])
    }

    @Test("A SOCKS proxy answers other requests of HTTP with the reason, and asks for no password")
    func besideSOCKS() throws {
        for request in [
            "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
        ] {
            let play = try Playbook("socks5")
            let lines = play.client(sends: request)
            #expect(lines.first?.hasPrefix("send client: HTTP/1.1 400 Bad Request\r\n") == true)
            #expect(lines.first?.hasSuffix("it looks like HTTP, which --mode regular takes\n") == true)
            #expect(lines.dropFirst() == ["finish client"])
            #expect(play.flows.count == 1)
        }
    }

    static let modes: [(mode: String, start: [String])] = [
        ("regular", ["CONNECT mitm.it:443 HTTP/1.1\r\nHost: mitm.it:443\r\n\r\n"]),
        ("regular", ["CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: 192.0.2.1:443\r\n\r\n"]),
        ("socks5", ["\u{5}\u{1}\0", "\u{5}\u{1}\0\u{3}\u{7}mitm.it\u{1}\u{3B}"]),
        ("transparent", []),
    ]

    @Test("The page answers over TLS, by CONNECT, by SOCKS and by the name in SNI", arguments: modes, ["h2", "http/1.1"])
    func overTLS(start: (mode: String, start: [String]), alpn: String) throws {
        let play = try Playbook(start.mode, originalDestination: Endpoint(host: "192.0.2.1", port: 443))
        #expect(play.started == (start.mode == "transparent" ? ["open upstream 1: 192.0.2.1:443"] : []))
        play.skip {
            for text in start.start { play.client(sends: text) }
            if start.start.first?.contains("192.0.2.1") == true { play.serverOpens() }
        }
        play.skipSent(.client)
        var options = TLSClientOptions()
        options.verifies = false
        let tls = try TLSConnection(
            client: TLSClientContext(options), serverName: "mitm.it", alpnOffers: [alpn], sessionKey: "mitm.it")
        _ = try tls.handshake()
        let lines = play.deliver(.received(.client, try #require(tls.takeCiphertext())))
        // A connection that was there before the name is closed; none is opened.
        #expect(lines.filter { !$0.hasPrefix("close upstream") } == ["forge mitm.it"])
        let leaf = try Playbook.authority.issue(LeafRequest(serverName: "mitm.it"), now: 1_700_000_000)
        play.certified(leaf)
        tls.receive(play.takeSent(.client))
        #expect(try tls.handshake())
        #expect(tls.facts.alpn == alpn)
        let text: String
        if alpn == "h2" {
            let frames = HTTP2Connection(.client)
            let fields = HTTP2Fields([(":method", "GET"), (":scheme", "https"), (":authority", "mitm.it"), (":path", "/cert/pem")])
            _ = frames.sendRequest(fields, endsStream: true)
            while let bytes = frames.takeOutput() { try tls.write(bytes) }
            text = try exchange(play, tls) { bytes in
                frames.receive(bytes)
                var text = ""
                while let event = frames.next() {
                    if case .response(_, .content(let content, _, _)) = event { text += String(buffer: content) }
                }
                return text
            }
        } else {
            try tls.write(ByteBuffer(string: "GET /cert/pem HTTP/1.1\r\nHost: mitm.it\r\n\r\n"))
            text = try exchange(play, tls) { String(buffer: $0) }
        }
        #expect(text.hasSuffix(Playbook.authority.certificatePEM))
        #expect(play.flows == [])
    }

    /// Sends what TLS has and reads the answer.
    private func exchange(_ play: Playbook, _ tls: TLSConnection, _ read: (ByteBuffer) -> String) throws -> String {
        let lines = play.deliver(.received(.client, try #require(tls.takeCiphertext())))
        #expect(lines.filter { !$0.hasPrefix("send client") && $0 != "finish client" } == [])
        tls.receive(play.takeSent(.client))
        var text = ""
        while let plain = try tls.read() { text += read(plain) }
        return text
    }

    @Test("A client that connects to the page and is silent causes no connection")
    func silent() throws {
        let play = try Playbook()
        #expect(
            play.client(sends: "CONNECT mitm.it:443 HTTP/1.1\r\nHost: mitm.it:443\r\n\r\n")
                == ["send client: HTTP/1.1 200 Connection established\r\n\r\n"])
        #expect(play.fire(.handshake) == ["finish client"])
    }

    @Test("Through a transparent proxy the page is shown for its name in Host, although the server cannot be reached")
    func transparent() throws {
        let play = try Playbook("transparent", originalDestination: Self.transparent)
        #expect(play.started == ["open upstream 1: 192.0.2.1:80"])
        #expect(play.deliver(.openFailed(ConnectionHandle(1), reason: "timed out")) == ["close upstream 1"])
        let lines = play.client(sends: "GET /cert/pem HTTP/1.1\r\nHost: mitm.it\r\n\r\n")
        #expect(lines.first?.hasSuffix(Playbook.authority.certificatePEM) == true)
        #expect(lines.dropFirst() == ["finish client"])
    }
}
