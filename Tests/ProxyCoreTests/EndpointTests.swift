import FlowModel
import HTTP1Codec
import HTTPSemantics
import NIOCore
import TLSEngine
import Testing

@testable import ProxyCore

/// An exchange between two endpoints, without a session: what each endpoint is told, and the bytes that it sends.
private struct Scene {
    let context: SessionContext
    let client: ClientHTTP1
    let server: ServerHTTP1
    let exchange: Exchange

    init(_ request: String, version: HTTPVersion = .http1_1, framing: BodyFraming = .none) throws {
        let specification = try ModeSpecification("regular", isServing: false)
        let configuration = ProxyConfiguration(
            mode: specification.mode, modeText: specification.text, strategy: .eager, keepsHostHeader: false,
            serverTLS: try TLSServerContext(TLSServerOptions()), clientTLS: try TLSClientContext(TLSClientOptions()),
            authority: Playbook.authority, ownAddresses: OwnAddresses())
        context = SessionContext(configuration: configuration, seed: 1)
        client = ClientHTTP1(Transport(.socket(.client)), context)
        server = ServerHTTP1(Transport(.socket(ConnectionHandle(1))), context)
        exchange = Exchange(
            flow: FlowID(high: 0, low: 0), client: .http1(client),
            request: RequestHead(parsing: ByteBuffer(string: request), version: version), framing: framing,
            target: ExchangeTarget(Destination(endpoint: Endpoint(host: "a", port: 80), isTLS: false)))
        client.exchange = exchange
        exchange.server = .http1(server)
        server.exchange = exchange
    }

    /// What is sent to both sides while something is done.
    func sent(_ body: () throws -> Void) rethrows -> [String] {
        var output = ProxyOutput()
        context.begin(at: Timestamp(nanoseconds: 1), &output)
        try body()
        context.end(&output)
        return output.commands.compactMap { command in
            if case .send(let handle, let bytes) = command { "\(handle) \(String(buffer: bytes))" } else { nil }
        }
    }

    func receiveHead(_ text: String, _ version: HTTPVersion, _ framing: BodyFraming) {
        let head = ResponseHead(parsing: ByteBuffer(string: text), version: version)
        exchange.received(head)
        exchange.client.sendHead(head, framing, of: exchange)
    }

    func receive(_ text: String) {
        let content = ByteBuffer(string: text)
        exchange.client.sendContent(content, wire: content, of: exchange)
    }

    func end() { exchange.client.sendEnd(nil, wire: ByteBuffer(), of: exchange) }
}

@Suite("An endpoint of HTTP/1 by itself")
struct EndpointTests {
    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    @Test("A response of HTTP/1 is sent as it came")
    func verbatim() throws {
        let scene = try Scene(Self.get)
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        let sent = scene.sent {
            scene.receiveHead(head, .http1_1, .length(2))
            scene.receive("hi")
            scene.end()
        }
        #expect(sent == ["client \(head)", "client hi"])
        #expect(!scene.client.hasLengthMismatch)
    }

    @Test(
        "A response of HTTP/2 gets the framing that HTTP/1 needs, and no more content than it promised",
        arguments: [
            (":status: 200\r\n\r\n", ["hello"], "5\r\nhello\r\n0\r\n\r\n", false),
            (":status: 200\r\ncontent-length: 5\r\n\r\n", ["hel", "lo"], "hello", false),
            (":status: 200\r\ncontent-length: 3\r\n\r\n", ["hel", "lo"], "hel", true),
            (":status: 200\r\ncontent-length: 9\r\n\r\n", ["hello"], "hello", true),
            (":status: 204\r\n\r\n", ["hello"], "", false),
        ])
    func translated(head: String, content: [String], expected: String, isMismatch: Bool) throws {
        let scene = try Scene(Self.get)
        _ = scene.sent { scene.receiveHead(head, .http2, .stream) }
        let sent = scene.sent {
            for text in content { scene.receive(text) }
            scene.end()
        }
        #expect(sent.map { $0.dropFirst("client ".count) }.joined() == expected)
        #expect(scene.client.hasLengthMismatch == isMismatch)
    }

    @Test("A request of HTTP/2 is sent with one length or in chunks, and fails where its content contradicts the length")
    func requests() throws {
        func head(_ fields: String) -> String { ":method: POST\r\n:scheme: http\r\n:authority: a\r\n:path: /\r\n\(fields)\r\n" }
        func sent(_ fields: String, _ content: String) throws -> (sent: [String], failure: ExchangeFailure?) {
            let scene = try Scene(head(fields), version: .http2, framing: .stream)
            var failure: ExchangeFailure?
            let sent = scene.sent {
                scene.server.sendHead(of: scene.exchange, isForwardProxy: false, .keep)
                do throws(ExchangeFailure) {
                    let bytes = ByteBuffer(string: content)
                    try scene.exchange.server?.sendContent(bytes, wire: bytes, of: scene.exchange)
                    try scene.exchange.server?.sendEnd(nil, wire: ByteBuffer(), of: scene.exchange)
                } catch {
                    failure = error
                }
            }
            return (Array(sent.dropFirst()), failure)
        }
        #expect(try sent("", "hi").sent == ["upstream 1 2\r\nhi\r\n", "upstream 1 0\r\n\r\n"])
        #expect(try sent("content-length: 2\r\n", "hi").sent == ["upstream 1 hi"])
        for content in ["h", "hid"] { #expect(try sent("content-length: 2\r\n", content).failure?.status == 400) }
    }
}

@Suite("Requests that are sent once more")
struct RepeatedRequestTests {
    @Test("A request is sent once more and not a third time")
    func once() throws {
        let scene = try Scene("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(scene.exchange.isReplayable)
        scene.exchange.rewind()
        #expect(!scene.exchange.isReplayable)
    }
}

@Suite("Turns of recorded servers")
struct RecordingScheduleTests {
    @Test("Servers continue in the order of their moments, and those that wait for something else by now do not")
    func order() throws {
        func moment(_ value: Int) -> Timestamp { Timestamp(nanoseconds: Int64(value)) }
        var schedule = RecordingSchedule()
        var exchanges: [(moment: Int, exchange: Exchange)] = []
        for value in [5, 3, 9, 1, 7, 3] {
            let scene = try Scene("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            let recorded = RecordedServer(scene.context)
            recorded.waiting = .moment(moment(value))
            scene.exchange.server = .recorded(recorded)
            schedule.add(scene.exchange, at: moment(value))
            exchanges.append((value, scene.exchange))
        }
        exchanges[3].exchange.server?.recorded?.waiting = .client
        #expect(schedule.next() == moment(3))
        let taken = schedule.take(at: moment(7))
        #expect(taken.map { exchange in exchanges.first { $0.exchange === exchange }?.moment } == [3, 3, 5, 7])
        #expect(taken.first === exchanges[1].exchange)
        #expect(schedule.next() == moment(9))
    }
}
