// Who may use the recorder and how often it may be troubled: credentials, addresses, the rate of resets, the treatment of hosts.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import Testing

@testable import ProxyCore

@Suite("Access and limits")
struct AccessTests {
    private static func fields(_ lines: [String]) -> FieldSection {
        RequestHead(
            parsing: ByteBuffer(string: (["GET / HTTP/1.1"] + lines).joined(separator: "\r\n") + "\r\n\r\n"), version: .http1_1
        ).fields
    }

    static let credentials: [(String, Login?)] = [
        ("Proxy-Authorization: Basic dTpw", Login(user: "u", password: "p")),
        ("proxy-authorization: basic dTpw", Login(user: "u", password: "p")),
        ("Proxy-Authorization: Basic dTpwOnc=", Login(user: "u", password: "p:w")),
        ("Proxy-Authorization: Basic dTo=", Login(user: "u", password: "")),
        ("Proxy-Authorization: Basic Og==", Login(user: "", password: "")),
        ("Proxy-Authorization: Basic dQ==", nil),
        ("Proxy-Authorization: Basic d!pw", nil),
        ("Proxy-Authorization: Basic", nil),
        ("Proxy-Authorization: Bearer dTpw", nil),
        ("Authorization: Basic dTpw", nil),
    ]

    @Test("The credentials of a request", arguments: credentials)
    func basic(line: String, expected: Login?) {
        #expect(ClientAccess.basicCredentials(Self.fields([line])) == expected)
    }

    static let addresses: [(String, Bool)] = [
        ("127.0.0.1", false),
        ("10.1.2.3", false),
        ("172.15.0.1", true),
        ("172.16.0.1", false),
        ("172.31.0.1", false),
        ("172.32.0.1", true),
        ("192.168.1.1", false),
        ("192.169.1.1", true),
        ("169.254.1.1", false),
        ("100.63.0.1", true),
        ("100.64.0.1", false),
        ("100.127.0.1", false),
        ("100.128.0.1", true),
        ("8.8.8.8", true),
        ("::1", false),
        ("fe80::1", false),
        ("febf::1", false),
        ("fec0::1", true),
        ("fc00::1", false),
        ("fdff::1", false),
        ("2001:4860::1", true),
    ]

    @Test("An address of the open internet", arguments: addresses)
    func isGlobal(address: String, expected: Bool) {
        #expect(ClientAccess.isGlobal(address) == expected)
    }

    @Test("Resets are allowed at a rate: what was used comes back with time, and never more than the limit")
    func resets() {
        var limits = HTTP2Limits()
        limits.maximumAbandonedStreams = 3
        limits.abandonedStreamsPerSecond = 2
        var limit = ResetRateLimit(limits)
        let start = Timestamp(nanoseconds: 1_700_000_000_000_000_000)
        func take(_ count: Int, after milliseconds: Int64) -> [Bool] {
            (0..<count).map { _ in limit.take(at: start.advanced(byNanoseconds: milliseconds * 1_000_000)) }
        }
        #expect(take(4, after: 0) == [true, true, true, false])
        #expect(take(2, after: 1000) == [true, false])
        #expect(take(5, after: 3_600_000) == [true, true, true, false, false])
    }

    static let treatments: [(tcp: String?, ignored: String?, allowed: String?, serverName: String?, HostTreatment)] = [
        (nil, nil, nil, nil, .intercept),
        ("192.0.2.1:443", nil, nil, nil, .tcp),
        ("a.example:443", nil, nil, "a.example", .tcp),
        ("a.example:443", nil, nil, nil, .intercept),
        (nil, "a.example:443", nil, "a.example", .passThrough),
        (nil, "192.0.2.1:443", nil, "a.example", .passThrough),
        (nil, nil, "a.example:443", "a.example", .intercept),
        (nil, nil, "a.example:443", "b.example", .passThrough),
        (nil, nil, "a.example:443", nil, .passThrough),
        ("a.example:443", nil, "a.example:443", "a.example", .tcp),
        ("a.example:443", "a.example:443", nil, "a.example", .passThrough),
        ("a.example:443", nil, "b.example:443", "a.example", .passThrough),
    ]

    @Test("The treatment of a host by its destination or its server name", arguments: treatments)
    func treatment(tcp: String?, ignored: String?, allowed: String?, serverName: String?, expected: HostTreatment) {
        func patterns(_ host: String?) -> [HostPattern] { host.map { host in [{ $0 == host }] } ?? [] }
        var rules = HostRules()
        rules.tcp = patterns(tcp)
        rules.ignored = patterns(ignored)
        rules.allowed = patterns(allowed)
        let policy = HostPolicy(rules)
        #expect(policy.treatment(of: Endpoint(host: "192.0.2.1", port: 443), serverName: serverName) == expected)
    }
}
