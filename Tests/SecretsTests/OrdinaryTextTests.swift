import BenchmarkTraffic
import FlowFilter
import FlowModel
import Foundation
import NIOCore
import TestSupport
import Testing

@testable import Secrets

@Suite("Ordinary text")
struct OrdinaryTextTests {
    private var random = SeededGenerator(seed: 7)

    private mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) } }

    @Test("Random Base64, hexadecimal digits, UUIDs, hashes and bytes have no secrets")
    mutating func randomText() throws {
        var text = ByteBuffer()
        for _ in 0..<2000 {
            let data = bytes(Int.random(in: 12...200, using: &random))
            text.writeString("{\"data\": \"\(Data(data).base64EncodedString())\", ")
            text.writeString(
                "\"url\": \"\(Data(data).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_"))\", ")
            text.writeString("\"sha256\": \"\(bytes(32).map { String(format: "%02x", $0) }.joined())\", ")
            text.writeString("\"md5\": \"\(bytes(16).map { String(format: "%02x", $0) }.joined())\", \"id\": \"\(UUID())\",\n")
            text.writeString("\"key-\(UUID())\": 1, \"color\": \"#\(bytes(3).map { String(format: "%02x", $0) }.joined())\"}\n")
            text.writeBytes(data)
        }
        #expect(try SecretScanner.builtIn.scan(text) == [])
    }

    /// Pieces of pages, scripts, style sheets and documentation that resemble secrets.
    private static let pieces = [
        #"<script src="https://cdn.example/npm/vue@3.4.1/dist/vue.js" integrity="sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC"></script>"#,
        #"<a href="https://fonts.googleapis.com/css2?family=Inter:wght@400;700&amp;display=swap">a</a> <input type="password" name="password">"#,
        #"!function(e,t){"object"==typeof exports?module.exports=t():e.token=t()}(this,(function(){return{access_token:e.access_token,refresh_token:t.refreshToken}}));"#,
        #"headers:{Authorization:"Bearer "+e.token,"X-Api-Key":t.apiKey},fetch("http://"+a+":"+b+"@"+c)"#,
        #"url(data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==)"#,
        #"Set the header `Authorization: Bearer <token>`, or `Authorization: Basic <credentials>`. See https://docs.example/auth#basic."#,
        #"curl -H "Authorization: Bearer $TOKEN" https://user:$PASSWORD@example.com/ -H 'x-api-key: YOUR_API_KEY'"#,
        #"www-authenticate: Bearer realm="https://auth.docker.io/token",service="registry.docker.io""#,
        #"access-control-allow-headers: authorization, x-api-key, content-type"#,
        #"etag: W/"5f7c-18c9d2e4b6a"; x-request-id: 0HMVFE0A5JBGD:00000001; traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"#,
        #"set-cookie: session=7f9c24e8-3b1a; expires=Thu, 01 Jan 2026 00:00:00 GMT; path=/; HttpOnly"#,
        #"{"client_secret_expires_at":0,"token_endpoint":"https://a.example/token","access_token":"string","password":"***"}"#,
        #"{"version":"v1.0-rc1","sha":"d6cd1e2bd19e03a81132a23b2025920577f84e37","tree":"827efc6d56897b048c772eb4087f854f46256132"}"#,
        #"-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUJ0b0Zl0Yq0yJ0b0Zl0Yq0yJ0b0ZlMAoGCCqGSM49BAMCMA0xCzAJBgNVBAYTAlVT\n-----END CERTIFICATE-----"#,
        #"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SaG6UOoqKLsabgH5C9okWi0dh2l9GKJl user@host"#,
        #"postgres://localhost:5432/app redis://cache:6379 amqp://guest@mq jdbc:postgresql://db/app?user=app"#,
        #"Server=db;Database=app;Trusted_Connection=True; Asia/Tokyo AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"#,
        #"The robot asked: basic information, bearer of news; heroku.com twilio.com discord.com sk-learn task-proj hf_hub npm_config_cache"#,
        #"https://hooks.slack.com/services/ https://api.telegram.org/bot<token>/getMe https://discord.com/api/webhooks/"#,
        #"x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855; x-amz-date: 20260101T000000Z"#,
    ]

    @Test("Pages, scripts, style sheets and documentation have no secrets")
    func pieces() throws {
        for piece in Self.pieces { #expect(try SecretScanner.builtIn.scan(ByteBuffer(string: piece)) == [], "\(piece)") }
        let together = ByteBuffer(string: String(repeating: Self.pieces.joined(separator: "\n"), count: 3))
        #expect(try SecretScanner.builtIn.scan(together) == [])
    }

    @Test("What redaction wrote is no secret")
    func redacted() throws {
        for text in [
            "authorization: Bearer «redacted»", "https://a:«redacted»@b", "?access_token=%C2%ABredacted:0123456789abcdef%C2%BB&a=1",
            "{\"access_token\": \"\\u00abredacted\\u00bb\"}", "Server=a;User=b;Password=«redacted:0123456789abcdef»;",
            "redis://:«redacted»@c",
        ] { #expect(try SecretScanner.builtIn.scan(ByteBuffer(string: text)) == [], "\(text)") }
    }

    @Test("The traffic of the benchmarks has no secrets but the bearer tokens of its API")
    func traffic() throws {
        var traffic = Traffic(seed: 1)
        var tokens = 0
        for _ in 0..<400 {
            let events = traffic.next()
            guard case .opened(let opening)? = events.first?.what else { throw POSIXError(.EINVAL) }
            var assembler = FlowAssembler(id: events[0].flow, at: events[0].at, opening: opening, keepsPieces: true)
            for event in events { assembler.receive(event.what, at: event.at) }
            try FlowSecrets(.builtIn).forEach(of: assembler.flow) { secret in
                tokens += 1
                #expect(
                    [secret.finding.rule, secret.place, secret.field?.lowercased()] == [
                        "bearer-token", "request.headers", "authorization",
                    ])
            }
        }
        #expect(tokens > 10)
    }
}
