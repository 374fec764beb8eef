// Clients that leave, or are silent, in the middle of the first thing that they send: each is a flow.

import FlowModel
import Testing

@testable import ProxyCore

@Suite("The beginning of a request, of TLS and of SOCKS that is not completed")
struct PartialBeginningTests {
    static let beginnings = ["G", "GET", "GET /", "GET / HT", "GET / HTTP/1.1\r\n", "\u{16}", "\u{16}\u{3}\u{1}\u{0}"]

    @Test("A client that leaves is a failed flow, in each mode", arguments: beginnings, ["regular", "reverse:http://a.example"])
    func ends(beginning: String, mode: String) throws {
        let play = try Playbook(mode)
        // The answers to them are the matter of other tests.
        play.skip {
            play.client(sends: beginning)
            play.deliver(.halfClosed(.client))
        }
        #expect(play.flows.count == 1)
        #expect(play.flows.first?.contains(" failed ") == true)
    }

    @Test("A client that is silent is a failed flow", arguments: beginnings, ["regular", "reverse:http://a.example"])
    func isSilent(beginning: String, mode: String) throws {
        let play = try Playbook(mode)
        play.skip {
            play.client(sends: beginning)
            play.fire(.handshake)
        }
        #expect(play.flows.count == 1)
        #expect(play.flows.first?.contains(" failed ") == true)
    }

    @Test("A client that leaves or is silent in a message of SOCKS is a failed flow", arguments: ["\u{5}", "G", "GET /"])
    func socks(beginning: String) throws {
        for event in [ProxyEvent.halfClosed(.client), nil] {
            let play = try Playbook("socks5")
            play.skip {
                play.client(sends: beginning)
                if let event { play.deliver(event) } else { play.fire(.handshake) }
            }
            let reason =
                event == nil
                ? "the client did not complete the SOCKS handshake in time"
                : "the client closed the connection in the middle of the SOCKS handshake"
            #expect(play.flows.count == 1)
            #expect(play.flows.first?.hasSuffix("! client: \(reason)") == true)
        }
    }
}
