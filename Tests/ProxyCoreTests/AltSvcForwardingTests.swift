// Offers of HTTP/3 on their way to a client, between all versions of HTTP.

import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import Testing

@testable import ProxyCore

@Suite("Offers of HTTP/3")
struct AltSvcForwardingTests {
    private static let offer = "h3=\":443\", h2=\":443\""

    @Test("They are forwarded, or taken out; the recording has them and a tag", arguments: [AltSvcPolicy.keep, .strip])
    func http1(policy: AltSvcPolicy) throws {
        let play = try Playbook(altSvc: policy)
        play.skip {
            play.client(sends: "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n")
            play.serverOpens()
        }
        let early = "HTTP/1.1 103 Early Hints\r\nAlt-Svc: h3=\":443\"\r\n\r\n"
        let ok = "HTTP/1.1 200 OK\r\nAlt-Svc: \(Self.offer)\r\nContent-Length: 0\r\n\r\n"
        let stripped =
            "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nAlt-Svc: h2=\":443\"\r\nContent-Length: 0\r\n\r\n"
        #expect(play.server(sends: early + ok) == ["send client: \(policy == .keep ? early + ok : stripped)"])
        let flow = try #require(play.wholeFlows.first)
        #expect(flow.tags == ["h3-offered"])
        #expect(flow.response?.head.wire == ByteBuffer(string: ok) && flow.interims.first?.value.wire == ByteBuffer(string: early))
    }

    @Test("A server of HTTP/2 offers it to clients of both versions", arguments: [AltSvcPolicy.keep, .strip], [false, true])
    func http2(policy: AltSvcPolicy, isMultiplexed: Bool) throws {
        let play = try Playbook("reverse:h2c://a.example", altSvc: policy)
        let client = FramePeer(.client, on: .client, of: play)
        if isMultiplexed {
            let fields = HTTP2Fields([(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")])
            _ = client.frames.sendRequest(fields, endsStream: true)
            #expect(client.exchange() == ["open upstream 1: a.example:80"])
        } else {
            #expect(play.client(sends: "GET / HTTP/1.1\r\nHost: a\r\n\r\n") == ["open upstream 1: a.example:80"])
        }
        play.serverOpens()
        let server = FramePeer(.server, on: ConnectionHandle(1), of: play)
        server.exchange()
        server.frames.sendResponse(
            HTTP2Fields([(":status", "200"), ("alt-svc", Self.offer), ("server", "x")]), on: StreamID(1), endsStream: true)
        let value = policy == .keep ? Self.offer : "h2=\":443\""
        server.exchange()
        if isMultiplexed {
            #expect(client.takeReceived() == ["200 alt-svc=\(value) server=x", "end"])
        } else {
            let sent = String(buffer: play.takeSent(.client))
            #expect(sent.hasPrefix("HTTP/1.1 200 OK\r\nalt-svc: \(value)\r\nserver: x\r\n"))
        }
        #expect(play.wholeFlows.map(\.tags) == [["h3-offered"]])
        #expect(play.wholeFlows.first?.response?.head.fields.first("alt-svc") == ByteBuffer(string: Self.offer))
    }

    @Test("ALTSVC frames do not reach a client", arguments: [UInt32(0), 1])
    func frames(stream: UInt32) throws {
        let play = try Playbook("reverse:h2c://a.example")
        let client = FramePeer(.client, on: .client, of: play)
        let fields = HTTP2Fields([(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")])
        _ = client.frames.sendRequest(fields, endsStream: true)
        #expect(client.exchange() == ["open upstream 1: a.example:80"])
        play.serverOpens()
        let server = FramePeer(.server, on: ConnectionHandle(1), of: play)
        server.exchange()
        client.receive()
        // RFC 7838 §4: the length of the origin, the origin (on stream 0 only), the value.
        let origin = stream == 0 ? "http://a" : ""
        let value = "h3=\":443\""
        var frame = ByteBuffer(bytes: [0, 0, UInt8(2 + origin.utf8.count + value.utf8.count), 0xA, 0])
        frame.writeInteger(stream)
        frame.writeInteger(UInt16(origin.utf8.count))
        frame.writeString(origin + value)
        #expect(play.deliver(.received(ConnectionHandle(1), frame)) == [])
        server.frames.sendResponse(HTTP2Fields([(":status", "204")]), on: StreamID(1), endsStream: true)
        server.exchange()
        #expect(client.takeReceived() == ["204", "end"])
    }
}
