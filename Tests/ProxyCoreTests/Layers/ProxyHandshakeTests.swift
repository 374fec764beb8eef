// The handshake with an upstream proxy alone.

import FlowModel
import NIOCore
import Testing

@testable import ProxyCore

@Suite("The handshake with an upstream proxy")
struct ProxyHandshakeTests {
    private static let target = Endpoint(host: "a.example", port: 443)

    /// What a handshake sends and how it ends, a line each.
    private static func run(
        _ kind: UpstreamProxy.Kind, user: String? = nil, password: String? = nil, _ answers: [ByteBuffer], byteByByte: Bool
    ) -> [String] {
        let proxy = UpstreamProxy(
            kind: kind, endpoint: Endpoint(host: "proxy.example", port: 1080), user: user, password: password)
        var (handshake, first) = ProxyHandshake.begin(proxy, to: target)
        var lines = ["send \(String(buffer: first))"]
        do throws(SOCKS5.Failure) {
            for answer in answers {
                let parts = byteByByte ? answer.readableBytesView.map { ByteBuffer(bytes: [$0]) } : [answer]
                for part in parts {
                    switch try handshake.receive(part) {
                    case nil: break
                    case .send(let bytes): lines.append("send \(String(buffer: bytes))")
                    case .open(let rest): lines.append("open" + (rest.readableBytes > 0 ? ", then \(String(buffer: rest))" : ""))
                    }
                }
            }
        } catch {
            lines.append(error.message)
        }
        return lines
    }

    private static let connect = "send CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n"

    static let httpAnswers: [(String, String)] = [
        ("HTTP/1.1 200 OK\r\n\r\n", "open"),
        ("HTTP/1.0 200 Connection established\r\nContent-Length: 5\r\n\r\n", "open"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "open"),
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "the upstream proxy answered CONNECT with 407 Proxy Authentication Required"
        ),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", "the upstream proxy answered CONNECT with 502 Bad Gateway"),
    ]

    @Test("An HTTP proxy is asked by CONNECT, whatever its answer's pieces", arguments: httpAnswers, [false, true])
    func http(answer: (text: String, end: String), byteByByte: Bool) {
        for kind in [UpstreamProxy.Kind.http, .https] {
            let lines = Self.run(kind, [ByteBuffer(string: answer.text)], byteByByte: byteByByte)
            #expect(lines == ["\(Self.connect)\r\n", answer.end])
        }
    }

    @Test("Bytes after the answer to CONNECT are the server's; an interim response is not the answer")
    func rest() {
        let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n220 mail\r\n"
        let lines = Self.run(.http, [ByteBuffer(string: answer)], byteByByte: false)
        #expect(lines == ["\(Self.connect)\r\n", "open, then 220 mail\r\n"])
    }

    @Test("An HTTP proxy gets the credentials that it is configured with")
    func credentials() {
        let lines = Self.run(.http, user: "u", password: "p:w", [ByteBuffer(string: "HTTP/1.1 200 OK\r\n\r\n")], byteByByte: false)
        #expect(lines == ["\(Self.connect)Proxy-Authorization: Basic dTpwOnc=\r\n\r\n", "open"])
    }

    private static let request = "send \u{5}\u{1}\u{0}\u{3}\u{9}a.example\u{1}\u{FFFD}"
    private static let succeeded: [UInt8] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]

    static let socksAnswers: [(user: String?, answers: [[UInt8]], lines: [String])] = [
        (nil, [[5, 0], succeeded], [request, "open"]),
        (nil, [[5, 0], succeeded + Array("hi".utf8)], [request, "open, then hi"]),
        (nil, [[5, 0], [5, 5, 0, 1, 0, 0, 0, 0, 0, 0]], [request, "the upstream proxy answered: connection refused"]),
        (nil, [[5, 2]], ["the upstream proxy wants a user name and a password"]),
        (nil, [[5, 0xFF]], ["the upstream proxy wants a user name and a password"]),
        (nil, [Array("HTTP/1.1 400".utf8)], ["the upstream proxy does not speak SOCKS 5"]),
        ("u", [[5, 0], succeeded], [request, "open"]),
        ("u", [[5, 2], [1, 0], succeeded], ["send \u{1}\u{1}u\u{1}p", request, "open"]),
        (
            "u", [[5, 2], [1, 1]], ["send \u{1}\u{1}u\u{1}p", "the upstream proxy does not accept the user name and the password"]
        ),
    ]

    @Test("A SOCKS proxy is asked step by step, whatever the pieces of its answers", arguments: socksAnswers, [false, true])
    func socks(example: (user: String?, answers: [[UInt8]], lines: [String]), byteByByte: Bool) {
        // Bytes after the end belong to the server: they come in one piece.
        guard !byteByByte || !example.lines.contains("open, then hi") else { return }
        let lines = Self.run(
            .socks5, user: example.user, password: example.user.map { _ in "p" }, example.answers.map { ByteBuffer(bytes: $0) },
            byteByByte: byteByByte)
        #expect(lines == [example.user == nil ? "send \u{5}\u{1}\u{0}" : "send \u{5}\u{2}\u{0}\u{2}"] + example.lines)
    }
}
