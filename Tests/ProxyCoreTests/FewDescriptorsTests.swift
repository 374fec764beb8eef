// Requests for which no descriptor is free wait, and are sent as soon as a connection can be used or opened.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import Testing

@testable import ProxyCore

@Suite("Requests without a free descriptor")
struct FewDescriptorsTests {
    private static let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    private static func get(_ authority: String, _ path: String = "/") -> HTTP2Fields {
        HTTP2Fields([(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", path)])
    }

    private static func request(_ host: String, _ path: String = "/") -> String {
        "GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\r\n"
    }

    /// A client of HTTP/2 whose first request is on its way to a.example.
    private func client(of play: Playbook) -> FramePeer {
        let client = FramePeer(.client, on: .client, of: play)
        play.skip {
            _ = client.frames.sendRequest(Self.get("a.example"), endsStream: true)
            client.exchange()
            play.serverOpens()
        }
        play.skipSent(ConnectionHandle(1))
        return client
    }

    @Test("A stream waits for the connection of another one to the same server")
    func sharesConnection() throws {
        let play = try Playbook()
        let client = client(of: play)
        _ = client.frames.sendRequest(Self.get("a.example", "/2"), endsStream: true)
        #expect(client.exchange() == ["open upstream 2: a.example:80"])
        #expect(play.deliver(.noDescriptor(ConnectionHandle(2))) == [])
        _ = client.frames.sendRequest(Self.get("a.example", "/3"), endsStream: true)
        #expect(client.exchange() == [])
        for path in ["/2", "/3"] {
            let turn = play.server(sends: Self.ok)
            #expect(turn.filter { !$0.hasPrefix("send client") } == ["send upstream 1: \(Self.request("a.example", path))"])
        }
        play.server(sends: Self.ok)
        #expect(client.takeReceived() == Array(repeating: ["200 content-length=0", "end"], count: 3).flatMap(\.self))
        #expect(play.flows.count { $0.hasSuffix("| 200") } == 3)
    }

    @Test("A stream to another server gets the descriptor of a connection that no stream uses")
    func takesIdleConnection() throws {
        let play = try Playbook()
        let client = client(of: play)
        _ = client.frames.sendRequest(Self.get("b.example"), endsStream: true)
        #expect(client.exchange() == ["open upstream 2: b.example:80"])
        #expect(play.deliver(.noDescriptor(ConnectionHandle(2))) == [])
        #expect(play.server(sends: Self.ok).filter { !$0.hasPrefix("send client") } == ["close upstream 1"])
        #expect(play.deliver(.closed(ConnectionHandle(1), error: nil, isReset: false)) == [])
        #expect(play.deliver(.descriptorsFree) == ["open upstream 3: b.example:80"])
        #expect(play.serverOpens(3) == ["send upstream 3: \(Self.request("b.example"))"])
    }

    @Test("Streams are sent when a descriptor is free, and wait again when it was taken")
    func waitsAgain() throws {
        let play = try Playbook()
        let client = client(of: play)
        _ = client.frames.sendRequest(Self.get("a.example", "/2"), endsStream: true)
        #expect(client.exchange() == ["open upstream 2: a.example:80"])
        #expect(play.deliver(.noDescriptor(ConnectionHandle(2))) == [])
        #expect(play.deliver(.descriptorsFree) == ["open upstream 3: a.example:80"])
        #expect(play.deliver(.noDescriptor(ConnectionHandle(3))) == [])
        #expect(play.deliver(.descriptorsFree) == ["open upstream 4: a.example:80"])
        #expect(play.serverOpens(4) == ["send upstream 4: \(Self.request("a.example", "/2"))"])
    }

    @Test("A stream that is reset while it waits is not sent")
    func resetsStream() throws {
        let play = try Playbook()
        let client = client(of: play)
        let stream = try #require(client.frames.sendRequest(Self.get("a.example", "/2"), endsStream: true))
        #expect(client.exchange() == ["open upstream 2: a.example:80"])
        #expect(play.deliver(.noDescriptor(ConnectionHandle(2))) == [])
        client.frames.reset(stream, .cancel)
        #expect(client.exchange() == [])
        #expect(play.deliver(.descriptorsFree) == [])
    }

    @Test("A client of HTTP/1 that changes its server waits for the descriptor of the first")
    func changesServer() throws {
        let play = try Playbook()
        play.skip {
            play.client(sends: "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n")
            play.serverOpens()
            play.server(sends: Self.ok)
        }
        #expect(
            play.client(sends: "GET http://b.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n")
                == ["close upstream 1", "open upstream 2: b.example:80"])
        #expect(play.deliver(.noDescriptor(ConnectionHandle(2))) == [])
        #expect(play.deliver(.closed(ConnectionHandle(1), error: nil, isReset: false)) == [])
        #expect(play.deliver(.descriptorsFree) == ["open upstream 2: b.example:80"])
        #expect(play.serverOpens(2) == ["send upstream 2: \(Self.request("b.example"))"])
    }

    @Test("A tunnel on a stream waits for a descriptor")
    func opensTunnel() throws {
        let play = try Playbook()
        let client = FramePeer(.client, on: .client, of: play)
        let fields = HTTP2Fields([(":method", "CONNECT"), (":authority", "a.example:443")])
        _ = client.frames.sendRequest(fields, endsStream: false, isHead: false, isTunnel: true)
        #expect(client.exchange() == ["open upstream 1: a.example:443"])
        #expect(play.deliver(.noDescriptor(ConnectionHandle(1))) == [])
        #expect(client.takeReceived() == [])
        #expect(play.deliver(.descriptorsFree) == ["open upstream 1: a.example:443"])
        play.serverOpens(1, port: 443)
        #expect(client.takeReceived() == ["200"])
    }
}
