import HTTP2Codec
import HTTPSemantics
import NIOCore
import TLSEngine
import Testing

@testable import ProxyCore

@Suite("Tunnels on the streams of one client")
struct StreamTunnelTests {
    /// A client of TLS in a tunnel on a stream.
    private struct Tunnel {
        let stream: StreamID
        let tls: TLSConnection
    }

    /// Asks for a tunnel, which is open at once, and begins TLS in it.
    private func open(_ name: String, _ client: FramePeer) throws -> (Tunnel, commands: [String]) {
        let fields = HTTP2Fields([(":method", "CONNECT"), (":authority", "\(name):443")])
        let stream = try #require(client.frames.sendRequest(fields, endsStream: false, isHead: false, isTunnel: true))
        var lines = Array(client.exchange())
        var options = TLSClientOptions()
        options.verifies = false
        let tls = try TLSConnection(
            client: TLSClientContext(options), serverName: name, alpnOffers: ["http/1.1"], sessionKey: name)
        _ = try tls.handshake()
        client.frames.sendData(try #require(tls.takeCiphertext()), on: stream)
        lines += client.exchange()
        return (Tunnel(stream: stream, tls: tls), lines)
    }

    /// The content that has come, by stream.
    private func contents(_ play: Playbook, _ client: FramePeer) -> [StreamID: ByteBuffer] {
        client.frames.receive(play.takeSent(.client))
        var contents: [StreamID: ByteBuffer] = [:]
        while let event = client.frames.next() {
            if case .response(let stream, .content(let content, _, _)) = event {
                contents[stream, default: ByteBuffer()].writeImmutableBuffer(content)
            }
        }
        return contents
    }

    @Test("Certificates for two tunnels are asked for at the same time, and each reaches the tunnel that asked for it")
    func certificates() throws {
        let play = try Playbook(strategy: .lazy)
        let client = FramePeer(.client, on: .client, of: play)
        let (first, one) = try open("a.example", client)
        let (second, two) = try open("b.example", client)
        #expect(one + two == ["forge a.example", "forge b.example"])
        for (number, tunnel, name) in [(2, second, "b.example"), (1, first, "a.example")] as [(UInt32, Tunnel, String)] {
            let leaf = try Playbook.authority.issue(LeafRequest(serverName: name), now: 1_700_000_000)
            let lines = play.deliver(.certificateReady(RequestID(number), .success(leaf)))
            #expect(lines.filter { !$0.hasPrefix("send client") } == [])
            let contents = contents(play, client)
            #expect(Array(contents.keys) == [tunnel.stream])
            tunnel.tls.receive(try #require(contents[tunnel.stream]))
            #expect(try tunnel.tls.handshake())
        }
    }
}
