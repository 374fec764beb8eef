// Targets of requests, endpoints and modes as they are written: parsed alone.

import FlowModel
import HTTPSemantics
import NIOCore
import Testing

@testable import ProxyCore

@Suite("Targets, endpoints and modes")
struct TargetTests {
    static let targets: [(String, String?)] = [
        ("http://h", "http h:80 | h | /"),
        ("http://h/", "http h:80 | h | /"),
        ("https://h/x?y", "https h:443 | h | /x?y"),
        ("HTTP://H:81?q", "http H:81 | H:81 | /?q"),
        ("ws://h/chat", "http h:80 | h | /chat"),
        ("wss://h/chat", "https h:443 | h | /chat"),
        ("http://user:pw@h:8080/x", "http h:8080 | h:8080 | /x"),
        ("http://[::1]/", "http [::1]:80 | [::1] | /"),
        ("http://[2001:db8::1]:81/x", "http [2001:db8::1]:81 | [2001:db8::1]:81 | /x"),
        ("http://h#fragment", "http h:80 | h | /#fragment"),
        ("/x", nil),
        ("*", nil),
        ("h:80", nil),
        ("ftp://h/", nil),
        ("http://", nil),
        ("http://:80/", nil),
        ("http://h:port/", nil),
        ("http://h:65536/", nil),
        ("http://[::1/", nil),
        ("http://a b/", nil),
        ("http://a,b/", nil),
        ("http://a\\@b/", nil),
    ]

    @Test("A target in absolute form", arguments: targets)
    func absolute(target: String, expected: String?) {
        let found = AbsoluteTarget(ByteBuffer(string: target)).map {
            "\($0.isTLS ? "https" : "http") \($0.endpoint) | \(String(buffer: $0.authority)) | \(String(buffer: $0.origin))"
        }
        #expect(found == expected)
    }

    static let endpoints: [(String, UInt16?, String?)] = [
        ("h", 80, "h:80"),
        ("h", nil, nil),
        ("h:81", 80, "h:81"),
        ("h:", 80, "h:80"),
        ("h:", nil, nil),
        ("h:0", nil, "h:0"),
        ("h:65535", nil, "h:65535"),
        ("h:65536", nil, nil),
        ("h:+1", nil, nil),
        (":80", nil, nil),
        ("", 80, nil),
        ("192.0.2.1:80", nil, "192.0.2.1:80"),
        ("[::1]", 80, "[::1]:80"),
        ("[::1]:81", 80, "[::1]:81"),
        ("[::1]:", 80, "[::1]:80"),
        ("[::1]x", 80, nil),
        ("[::1", 80, nil),
        ("::1:81", nil, "[::1]:81"),
        ("::1", 80, nil),
        ("a:b:80", nil, nil),
        ("a b:80", nil, nil),
        ("a/b:80", nil, nil),
        ("a@b:80", nil, nil),
    ]

    @Test("An endpoint, with a default port or without", arguments: endpoints)
    func endpoint(text: String, defaultPort: UInt16?, expected: String?) {
        #expect(Endpoint(parsing: text[...], defaultPort: defaultPort)?.description == expected)
    }

    private static func proxy(
        _ kind: UpstreamProxy.Kind, _ host: String, _ port: UInt16, _ user: String? = nil, _ password: String? = nil
    ) -> ProxyMode {
        .upstream(UpstreamProxy(kind: kind, endpoint: Endpoint(host: host, port: port), user: user, password: password))
    }

    static let modes: [(String, ProxyMode, String?, UInt16?)] = [
        ("regular", .regular, nil, nil),
        ("regular@8081", .regular, nil, 8081),
        ("regular@127.0.0.1:8081", .regular, "127.0.0.1", 8081),
        ("socks5@[::1]:1080", .socks5, "::1", 1080),
        ("transparent", .transparent, nil, nil),
        ("reverse:http://a.example", .reverse(.http, Endpoint(host: "a.example", port: 80)), nil, nil),
        ("reverse:https://a.example/", .reverse(.https, Endpoint(host: "a.example", port: 443)), nil, nil),
        ("reverse:https://[::1]:8443@9000", .reverse(.https, Endpoint(host: "::1", port: 8443)), nil, 9000),
        ("reverse:h2c://a.example:81", .reverse(.h2c, Endpoint(host: "a.example", port: 81)), nil, nil),
        ("reverse:tcp://a.example:25", .reverse(.tcp, Endpoint(host: "a.example", port: 25)), nil, nil),
        ("reverse:tls://a.example:993", .reverse(.tls, Endpoint(host: "a.example", port: 993)), nil, nil),
        ("upstream:http://p.example", proxy(.http, "p.example", 8080), nil, nil),
        ("upstream:https://p.example", proxy(.https, "p.example", 443), nil, nil),
        ("upstream:socks5://p.example", proxy(.socks5, "p.example", 1080), nil, nil),
        ("upstream:http://u:p@p.example:81", proxy(.http, "p.example", 81, "u", "p"), nil, nil),
        ("upstream:http://u:p@p.example:81@9000", proxy(.http, "p.example", 81, "u", "p"), nil, 9000),
        ("upstream:http://u@p.example:81@127.0.0.1:9000", proxy(.http, "p.example", 81, "u", ""), "127.0.0.1", 9000),
        ("upstream:http://p.example:81@9000", proxy(.http, "p.example", 81), nil, 9000),
    ]

    @Test("A mode and where it listens", arguments: modes)
    func mode(text: String, mode: ProxyMode, host: String?, port: UInt16?) throws {
        let found = try ModeSpecification(text)
        #expect(found.mode == mode)
        #expect(found.listenHost == host)
        #expect(found.listenPort == port)
    }

    static let wrongModes: [String] = [
        "",
        "forward",
        "origin",
        "tcp",
        "regular@",
        "regular@host",
        "regular@65536",
        "reverse:a.example",
        "reverse:ftp://a.example",
        "reverse:tcp://a.example",
        "reverse:http://",
        "reverse:http://a b",
        "upstream:a.example:80",
        "upstream:ftp://a.example",
        "upstream:http://",
    ]

    @Test("What is not a mode is an error that names it", arguments: wrongModes)
    func wrong(text: String) {
        let error = #expect(throws: ModeError.self) { try ModeSpecification(text) }
        #expect(error?.description.hasPrefix("mode '\(text)'") == true)
    }

    @Test("A server of recordings has two modes more")
    func serving() throws {
        #expect(try ModeSpecification("origin", isServing: true).mode == .origin)
        #expect(try ModeSpecification("tcp@25", isServing: true).mode == .stream)
    }
}
