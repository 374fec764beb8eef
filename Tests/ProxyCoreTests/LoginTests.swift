import FlowModel
import HTTP2Codec
import NIOCore
import ProxyCore
import Testing

@Suite("Who may use the proxy")
struct LoginTests {
    /// Knows nothing at once.
    private static let slow = CredentialCheck(cached: { _ in nil }, verify: { $0.password == "p" })
    private static let right = Login(user: "u", password: "p")
    private static let wrong = Login(user: "u", password: "x")

    private static func request(_ path: String, _ basic: String) -> String {
        "GET http://example.org\(path) HTTP/1.1\r\nHost: example.org\r\nProxy-Authorization: Basic \(basic)\r\n\r\n"
    }

    @Test("A request waits, and so do later ones, until its login is verified; the login is then cached")
    func waits() throws {
        let play = try Playbook(credentials: Self.slow)
        #expect(play.client(sends: Self.request("/a", "dTpw")) == ["verify u:p"])
        #expect(play.client(sends: Self.request("/b", "dTpw")) == [])
        #expect(play.verified(Self.right, isRight: true) == ["open upstream 1: example.org:80"])
        #expect(play.serverOpens() == ["send upstream 1: GET /a HTTP/1.1\r\nHost: example.org\r\n\r\n"])
        let lines = play.server(sends: "HTTP/1.1 204 No Content\r\n\r\n")
        #expect(
            lines == [
                "send client: HTTP/1.1 204 No Content\r\n\r\n",
                "send upstream 1: GET /b HTTP/1.1\r\nHost: example.org\r\n\r\n",
            ])
    }

    @Test("A login that is found to be wrong is answered 407; one that was asked of by a client that has gone is recorded")
    func wrong() throws {
        let play = try Playbook(credentials: Self.slow)
        #expect(play.client(sends: Self.request("/a", "dTp4")) == ["verify u:x"])
        let lines = play.verified(Self.wrong, isRight: false)
        #expect(lines.first?.hasPrefix("send client: HTTP/1.1 407 Proxy Authentication Required\r\n") == true)
        let gone = try Playbook(credentials: Self.slow)
        #expect(gone.client(sends: Self.request("/a", "dTpw")) == ["verify u:p"])
        gone.deliver(.closed(.client, error: nil, isReset: false))
        #expect(gone.verified(Self.right, isRight: true) == [])
        #expect(
            gone.flows == ["http failed GET http://:0 http://example.org/a ! client: the client closed the connection"])
    }

    @Test("CONNECT waits for its login, with what the client says behind it")
    func connect() throws {
        let play = try Playbook(credentials: Self.slow)
        let connect = "CONNECT example.org:7 HTTP/1.1\r\nHost: example.org:7\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
        #expect(play.client(sends: connect + "\u{1}\u{2}early") == ["verify u:p"])
        #expect(play.verified(Self.right, isRight: true) == ["open upstream 1: example.org:7"])
        #expect(
            play.serverOpens() == [
                "send client: HTTP/1.1 200 Connection established\r\n\r\n", "send upstream 1: \u{1}\u{2}early",
            ])
    }

    @Test("A SOCKS client waits for its login")
    func socks() throws {
        for (login, isRight) in [(Self.right, true), (Self.wrong, false)] {
            let play = try Playbook("socks5", credentials: Self.slow)
            #expect(play.client(sends: "\u{5}\u{1}\u{2}") == ["send client: \u{5}\u{2}"])
            // With the request behind it, as a hasty client does.
            let request = "\u{5}\u{1}\u{0}\u{1}\u{7f}\u{0}\u{0}\u{1}\u{0}\u{7}"
            let lines = play.client(sends: "\u{1}\u{1}\(login.user)\u{1}\(login.password)" + request)
            #expect(lines == ["verify \(login.user):\(login.password)"])
            let then = play.verified(login, isRight: isRight)
            let granted = ["send client: \u{1}\u{0}", "open upstream 1: 127.0.0.1:7"]
            #expect(then == (isRight ? granted : ["send client: \u{1}\u{1}", "finish client"]))
        }
    }

    @Test("A client of HTTP/2 waits for its login, and all of its streams")
    func http2() throws {
        let play = try Playbook(credentials: Self.slow)
        let peer = FramePeer(.client, on: .client, of: play)
        func ask(_ path: String, _ basic: String) {
            let fields = [
                (":method", "GET"), (":scheme", "http"), (":authority", "example.org"), (":path", path),
                ("proxy-authorization", "Basic \(basic)"),
            ]
            _ = peer.frames.sendRequest(HTTP2Fields(fields), endsStream: true, isHead: false)
        }
        ask("/a", "dTp4")
        ask("/b", "dTpw")
        #expect(peer.exchange() == ["verify u:x", "pause client"])
        let refused = play.verified(Self.wrong, isRight: false)
        #expect(refused.filter { !$0.hasPrefix("send") } == ["verify u:p"])
        #expect(peer.takeReceived().first?.hasPrefix("407 ") == true)
        #expect(play.verified(Self.right, isRight: true) == ["open upstream 1: example.org:80", "read client"])
    }
}
