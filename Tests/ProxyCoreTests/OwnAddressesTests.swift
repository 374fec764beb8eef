// Addresses to which nothing is forwarded: the recorder's listeners and its view, in every form in which a client can name them.

import FlowModel
import NIOCore
import Testing

@testable import ProxyCore

@Suite("Addresses to which nothing is forwarded")
struct OwnAddressesTests {
    @Test(
        "A view on loopback is known by each name of loopback, with its port",
        arguments: [
            ("127.0.0.1", 41873, true), ("127.0.0.2", 41873, true), ("localhost", 41873, true), ("LOCALHOST.", 41873, true),
            ("a.localhost", 41873, true), ("::1", 41873, true), ("::ffff:127.0.0.1", 41873, true), ("127.0.0.1", 41874, false),
            ("192.0.2.1", 41873, false), ("localhost.example", 41873, false), ("::ffff:192.0.2.1", 41873, false),
        ] as [(String, UInt16, Bool)])
    func names(host: String, port: UInt16, isView: Bool) {
        let own = OwnAddresses()
        own.add(Endpoint(host: "127.0.0.1", port: 8080))
        own.add(Endpoint(host: "127.0.0.1", port: 41873), of: .view)
        #expect(own.owner(of: Endpoint(host: host, port: port)) == (isView ? .view : nil))
        #expect(own.owner(of: Endpoint(host: host, port: 8080)) == (isView || port == 41874 ? .listener : nil))
    }

    private static let reason = "is the view of this recorder, to which nothing is forwarded"

    @Test(
        "A request for the view is refused in each way of asking, and is a failed flow",
        arguments: [
            ("regular", "GET http://127.0.0.1:41873/ HTTP/1.1\r\nHost: 127.0.0.1:41873\r\n\r\n"),
            ("regular", "GET http://[::1]:41873/api/1/status HTTP/1.1\r\nHost: [::1]:41873\r\n\r\n"),
            ("regular", "CONNECT localhost:41873 HTTP/1.1\r\nHost: localhost:41873\r\n\r\n"),
            ("upstream:http://p.example:81", "GET http://127.0.0.1:41873/ HTTP/1.1\r\nHost: 127.0.0.1:41873\r\n\r\n"),
            ("reverse:http://127.0.0.1:41873", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ])
    func requests(mode: String, request: String) throws {
        let play = try Playbook(mode)
        play.ownAddresses.add(Endpoint(host: "127.0.0.1", port: 41873), of: .view)
        let lines = play.client(sends: request)
        #expect(lines.contains { $0.hasPrefix("send client: HTTP/1.1 502 ") && $0.contains(Self.reason) })
        #expect(!lines.contains { $0.hasPrefix("open") })
        #expect(play.flows.count == 1)
        #expect(play.flows.first?.hasPrefix("http failed ") == true)
        #expect(play.flows.first?.hasSuffix(Self.reason) == true)
    }

    @Test("A name that leads to the view is refused when its address is known, before anything is sent")
    func rebinding() throws {
        let play = try Playbook()
        play.ownAddresses.add(Endpoint(host: "127.0.0.1", port: 41873), of: .view)
        let request = "GET http://evil.example:41873/ HTTP/1.1\r\nHost: evil.example:41873\r\n\r\n"
        #expect(play.client(sends: request) == ["open upstream 1: evil.example:41873"])
        let lines = play.serverOpens(at: "127.0.0.1", port: 41873)
        #expect(lines.contains { $0.hasPrefix("send client: HTTP/1.1 502 ") })
        #expect(lines.allSatisfy { !$0.hasPrefix("send upstream") })
        #expect(play.flows.first?.hasSuffix("127.0.0.1:41873 \(Self.reason)") == true)
    }

    @Test("A client of SOCKS does not reach the view")
    func socks() throws {
        let play = try Playbook("socks5")
        play.ownAddresses.add(Endpoint(host: "127.0.0.1", port: 41873), of: .view)
        #expect(play.client(sends: "\u{05}\u{01}\u{00}") == ["send client: \u{05}\0"])
        // CONNECT to 127.0.0.1, whose port is A391 in hexadecimal digits.
        let lines = play.deliver(.received(.client, ByteBuffer(bytes: [5, 1, 0, 1, 127, 0, 0, 1, 0xA3, 0x91])))
        #expect(!lines.contains { $0.hasPrefix("open") })
        #expect(lines.contains { $0.hasPrefix("close") })
    }
}
