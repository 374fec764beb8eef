import FlowModel
import HTTP2Codec
import HTTPSemantics
import NIOCore
import Testing

@testable import ProxyCore

@Suite("A client that leaves with its answer")
struct LeavingClientTests {
    struct Case: CustomStringConvertible {
        var method = "GET"
        var status = "200"
        var length: String?
        var content = "hi"
        var isComplete: Bool
        var description: String { "\(method) \(status) \(length ?? "no length") <\(content)>" }
    }

    /// A client that counts knows that it has everything before the server has said END_STREAM.
    static let cases = [
        Case(length: "2", isComplete: true),
        Case(length: "3", isComplete: false),
        Case(isComplete: false),
        Case(length: "2", content: "hi!", isComplete: false),
        Case(method: "HEAD", length: "700", content: "", isComplete: true),
        Case(status: "204", content: "", isComplete: true),
        Case(status: "304", length: "9", content: "", isComplete: true),
    ]

    /// An exchange whose server has said everything but END_STREAM.
    private func begin(_ example: Case, clientSpeaksHTTP2: Bool) throws -> (play: Playbook, client: FramePeer?) {
        let play = try Playbook("reverse:h2c://example.org:81", keepsHostHeader: true)
        var client: FramePeer?
        if clientSpeaksHTTP2 {
            let peer = FramePeer(.client, on: .client, of: play)
            let fields = [(":method", example.method), (":scheme", "http"), (":path", "/"), (":authority", "example.org")]
            _ = peer.frames.sendRequest(HTTP2Fields(fields), endsStream: true, isHead: example.method == "HEAD", isTunnel: false)
            #expect(peer.exchange() == ["open upstream 1: example.org:81"])
            client = peer
        } else {
            let request = "\(example.method) / HTTP/1.1\r\nHost: example.org\r\n\r\n"
            #expect(play.client(sends: request) == ["open upstream 1: example.org:81"])
        }
        play.serverOpens()
        let server = FramePeer(.server, on: ConnectionHandle(1), of: play)
        server.exchange()
        var fields = [(":status", example.status)]
        if let length = example.length { fields.append(("content-length", length)) }
        server.frames.sendResponse(HTTP2Fields(fields), on: StreamID(1), endsStream: false)
        if !example.content.isEmpty { server.frames.sendData(ByteBuffer(string: example.content), on: StreamID(1)) }
        // The other tests compare what a client gets.
        play.skip {
            server.exchange()
            client?.exchange()
        }
        return (play, client)
    }

    @Test("The exchange is complete when all that was promised has come, however the client leaves", arguments: cases)
    func answered(_ example: Case) throws {
        for clientSpeaksHTTP2 in [true, false] {
            for isReset in [true, false] {
                let (play, client) = try begin(example, clientSpeaksHTTP2: clientSpeaksHTTP2)
                _ = client
                play.skip { play.deliver(.halfClosed(.client)) }
                let end = play.deliver(.closed(.client, error: nil, isReset: isReset)).filter { !$0.hasPrefix("send upstream") }
                #expect(end.count == 1 && end[0].hasSuffix("upstream 1"), "\(end)")
                let flow = try #require(play.flows.first)
                #expect(flow.hasPrefix("http \(example.isComplete ? "complete" : "incomplete") \(example.method) "))
                #expect(flow.contains(" ! client: ") == !example.isComplete)
            }
        }
    }

    @Test("What has not gone out was not had")
    func queued() throws {
        let (play, _) = try begin(Self.cases[0], clientSpeaksHTTP2: true)
        play.deliver(.writable(.client, false))
        #expect(play.deliver(.closed(.client, error: nil, isReset: true)) == ["abort upstream 1"])
        #expect(play.flows.first?.hasPrefix("http incomplete") == true)
    }
}
