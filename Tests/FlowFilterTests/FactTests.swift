// The operators that ask for facts of a flow: sizes, times, connections, messages.

import FlowFilter
import FlowModel
import Foundation
import HTTPSemantics
import NIOCore
import TestSupport
import Testing

private func tls(_ version: String?, _ change: (inout TLSDetails) -> Void = { _ in }) -> TLSDetails {
    var details = TLSDetails()
    details.version = version
    change(&details)
    return details
}

private func client(_ number: UInt64, _ details: TLSDetails? = nil) -> Shared<ClientConnection> {
    Shared(
        ClientConnection(
            id: FlowID(high: 0xC0 + number, low: 1), peer: Endpoint(host: "10.0.0.\(number)", port: 4000),
            local: Endpoint(host: "127.0.0.1", port: 8080), opened: FlowBuilder.start, mode: "regular", tls: details))
}

private func server(_ number: UInt64, _ details: TLSDetails? = nil) -> FlowEvent.What {
    var server = ServerConnection(
        id: FlowID(high: 0x50 + number, low: 1), target: Endpoint(host: "s\(number).example", port: 443), opened: FlowBuilder.start)
    server.tls = details
    return .server(Shared(server))
}

/// HTTP/1.0 without TLS, to a server with TLS 1.2; an interim response, trailers; 7 and 2000 bytes, 30 ms.
private let plain = FlowBuilder(client: client(1), stream: StreamID(3))
    .event(
        server(
            1,
            tls("TLSv1.2") {
                $0.isVerified = true
                $0.certificates = [sampleCertificate, ByteBuffer()]
                $0.serverName = "inner.example"
            })
    )
    .request("PUT / HTTP/1.0\r\nHost: a\r\n\r\n", content: ByteBuffer(string: "7 bytes"), at: 2)
    .event(.interim(ResponseHead(parsing: ByteBuffer(string: "HTTP/1.1 103 Early Hints\r\n\r\n"), version: .http1_1)), at: 5)
    .response(
        "HTTP/1.1 200 OK\r\n\r\n", content: ByteBuffer(repeating: 0x61, count: 2000),
        trailers: FieldSection([("X-Sum", "42"), ("Server-Timing", "db")]), at: 22
    ).ended(at: 30).flow

/// HTTP/2 with TLS 1.3, to a server whose certificate is not valid; no content, and the response precedes the end of the request.
private let secure = FlowBuilder(
    client: client(
        2,
        tls("TLSv1.3") {
            $0.serverName = "outer.example"
            $0.alpn = "h2"
            $0.cipher = "TLS_AES_128_GCM_SHA256"
            $0.ja3 = "771abc"
            $0.ja4 = "t13d1516h2"
        }), stream: StreamID(5)
)
.event(
    server(
        2,
        tls("TLSv1.3") {
            $0.alpn = "http/1.1"
            $0.isVerified = false
            $0.verificationError = "self-signed certificate"
        })
)
.request(":method: GET\r\n:scheme: https\r\n:authority: a\r\n:path: /\r\n\r\n", isWhole: false)
.response(":status: 204\r\n\r\n", at: 1).event(.finished(.client), at: 3).ended(at: 4).flow

private let webSocket = FlowBuilder(client: client(1))
    .request("GET /chat HTTP/1.1\r\nHost: a\r\n\r\n").response("HTTP/1.1 101 Switching Protocols\r\n\r\n", at: 1)
    .event(.piece(FlowPiece(kind: .text, from: .client, content: ByteBuffer(string: "to the server"), wireSize: 9)), at: 2)
    .event(.piece(FlowPiece(kind: .ping, from: .server, content: ByteBuffer(string: "unseen"))), at: 3)
    .event(.piece(FlowPiece(kind: .binary, from: .server, content: ByteBuffer(string: "to the client"))), at: 4)
    .event(.piece(FlowPiece(kind: .close, from: .server, content: ByteBuffer(bytes: [3, 0xE9, 0x62]))), at: 5)
    .ended(at: 5).flow

private let tcp = FlowBuilder(.tcp, client: client(3)).data(ByteBuffer(string: "SELECT 1"), from: .client)
    .data(ByteBuffer(string: "one row"), from: .server).ended(at: 9).flow

private let passedThrough: Flow = {
    var ending = FlowEnding(state: .complete)
    ending.passthrough = PassthroughSizes(fromClient: 500, fromServer: 3 << 20)
    return FlowBuilder(.tcp, client: client(3)).event(server(3)).ended(ending, at: 2000).flow
}()

private let failed = FlowBuilder(.tls, client: client(4, tls(nil))).ended(FlowEnding(state: .failed)).flow

/// In this order in the table below: h, s, w, t, p, f.
private let flows: [(String, Flow)] = [
    ("h", plain), ("s", secure), ("w", webSocket), ("t", tcp), ("p", passedThrough), ("f", failed),
]

private let cut = ContentCut(size: 9, sha256: ByteBuffer())

/// Flows of which not all content is stored: a body, a stream, a message.
private let truncated = [
    FlowBuilder().request("GET / HTTP/1.1\r\n\r\n").response("HTTP/1.1 200 OK\r\n\r\n", isWhole: false)
        .event(.piece(FlowPiece(from: .server, content: ByteBuffer(string: "abc"), wireSize: 9))).event(.cut(from: .server, cut))
        .ended().flow,
    FlowBuilder(.tcp).event(.piece(FlowPiece(from: .client, content: ByteBuffer(string: "abc"), wireSize: 9)))
        .event(.cut(from: .client, cut)).ended().flow,
    FlowBuilder().request("GET / HTTP/1.1\r\n\r\n").response("HTTP/1.1 101 Switching Protocols\r\n\r\n")
        .event(.piece(FlowPiece(kind: .text, from: .server, content: ByteBuffer(string: "abc"), cut: Shared(cut)))).ended().flow,
]

@Suite("A question for facts of a flow")
struct FactTests {
    @Test(
        "Each operator selects its flows",
        arguments: [
            ("~size 2007", "h"), ("~size >=0", "hswtp"), ("~size 0", "s"), ("~size 15", "t"), ("~size >3m", "p"),
            ("~size <1k", "swt"),
            ("~sizeq 7", "h"), ("~sizeq 8-9", "wt"), ("~sizeq 500", "p"), ("~sizeq >1k", ""),
            ("~sizes 2000", "h"), ("~sizes >=3m", "p"), ("~sizes 22", "w"), ("~sizes 0", "s"),
            ("~ttfb 20ms", "h"), ("~ttfb 0", "s"), ("~ttfb 1ms", "w"), ("~ttfb <1h", "hsw"),
            ("~version 1.0", "h"), ("~version 1.1", "w"), ("~version 2", "s"), ("~version 3", ""),
            ("~tls 1.2", "h"), ("~tls 1.3", "s"), ("~tls 1.0", ""), ("~tls none", "wtp"),
            ("~sni outer", "s"), ("~sni inner", "h"), ("~alpn ^h2$", "s"), ("~alpn http", "s"), ("~cipher AES_128", "s"),
            ("~ja3 ^771", "s"), ("~ja4 t13d", "s"), ("~verified", "h"),
            ("~cert 'subject:.*CN=host.example'", "h"), ("~cert '^issuer:.*Root R1$'", "h"), ("~cert '^name: \\*\\.api'", "h"),
            ("~cert nowhere", ""),
            ("~client 10.0.0.1:", "hw"), ("~conn -00c1-", "hw"), ("~conn -0053-", "p"), ("~stream 3", "h"), ("~stream >3", "s"),
            ("~stream 1", "wtpf"),
            ("~passthrough", "p"), ("~mq server", "w"), ("~ms server", ""), ("~ms client", "w"), ("~mq unseen | ~ms unseen", ""),
            ("~mq select", "t"), ("~ms row", "t"), ("~mq bytes", ""),
            ("~close 1001", "w"), ("~close 1000", ""), ("~close >1000", "w"),
            ("~trailer ^server-timing", "h"), ("~trailer 42$", "h"), ("~trailer x-none", ""),
            ("~informational", "h"), ("~informational[103]", "h"), ("~informational[1xx]", "h"), ("~informational[100]", ""),
        ])
    func operators(expression: String, expected: String) throws {
        let filter = try FlowFilter(expression)
        #expect(try flows.filter { try filter.matches($0.1) }.map(\.0).joined() == expected)
        #expect(try FlowFilter(filter.canonical).canonical == filter.canonical)
    }

    @Test("Flows of which not all content is stored are found; their content is searched as far as it is stored")
    func partlyStored() throws {
        let filter = try FlowFilter("~truncated")
        #expect(try truncated.allSatisfy { try filter.matches($0) })
        #expect(try !flows.contains { try filter.matches($0.1) })
        #expect(try truncated.allSatisfy { try FlowFilter("~b abc").matches($0) })
        let before = UnsearchedContent.count
        #expect(try !truncated.contains { try FlowFilter("~b xyz").matches($0) })
        // Other tests count too.
        #expect(UnsearchedContent.count >= before + 3 && UnsearchedContent.sentence != nil)
        #expect(try truncated.map { try $0.contentSize(from: .server) } == [9, 0, 3])
    }

    @Test(
        "The name of a GraphQL operation is found in every form of a request",
        arguments: [
            ("POST / HTTP/1.1\r\ncontent-type: application/json", #"{"query":"query Find { a }"}"#, true),
            (
                "POST / HTTP/1.1\r\ncontent-type: application/json",
                #"{"query":"query A { a } query Find { b }","operationName":"Find"}"#, true
            ),
            (
                "POST / HTTP/1.1\r\ncontent-type: application/json",
                #"{"query":"query A { a } query Find { b }","operationName":"A"}"#, false
            ),
            ("POST / HTTP/1.1\r\ncontent-type: application/json", #"[{"query":"{ a }"},{"query":"mutation Find { b }"}]"#, true),
            ("POST / HTTP/1.1\r\ncontent-type: application/json", #"{"query":"{ Find }"}"#, false),
            ("POST / HTTP/1.1\r\ncontent-type: application/graphql", "query Find { a }", true),
            ("GET /?query=query+Find+%7Ba%7D HTTP/1.1", "", true),
            ("GET /?q=query+Find+%7Ba%7D HTTP/1.1", "", false),
        ])
    func graphQL(head: String, content: String, isFound: Bool) throws {
        let flow = FlowBuilder().request("\(head)\r\nhost: a\r\n\r\n", content: ByteBuffer(string: content)).ended().flow
        #expect(try FlowFilter("~graphql ^find$").matches(flow) == isFound)
        var message = FlowBuilder().request("GET / HTTP/1.1\r\nhost: a\r\n\r\n").response(
            "HTTP/1.1 101 Switching Protocols\r\n\r\n")
        let subscription = ByteBuffer(string: #"{"id":"1","type":"subscribe","payload":{"query":"subscription Find { a }"}}"#)
        message = message.event(.piece(FlowPiece(kind: .text, from: .client, content: subscription)))
        #expect(try FlowFilter("~graphql ^find$").matches(message.flow))
    }

    /// A summary with these bounds.
    private struct Summary: BlockSummary {
        var times: ClosedRange<Timestamp>? { nil }
        func mayContain(_ kind: FlowKind) -> Bool { kind == .http }
        func mayContain(status: Int) -> Bool { true }
        var methodNames: [ByteBuffer]? { nil }
        var hosts: [ByteBuffer]? { nil }
        func bounds(of quantity: FlowQuantity) -> ClosedRange<Int64>? {
            switch quantity {
            case .duration: 1_000_000...5_000_000
            case .timeToFirstByte: 20...300
            case .requestSize: 0...100
            case .responseSize: nil
            }
        }
    }

    @Test(
        "A block is skipped when no flow of it has the quantity, or is of the kind",
        arguments: [
            ("~duration >1s", false), ("~duration >4ms", true), ("~duration <1ms", false), ("~duration 1ms", true),
            ("!~duration >1s", true),
            ("~ttfb >300us", false), ("~ttfb 300us", true), ("~ttfb <20us", false), ("~ttfb 1us-20us", true),
            ("~sizeq >100", false), ("~sizeq 100", true), ("~sizes >=0", false), ("~size >100", false), ("~size <1", true),
            ("~passthrough", false), ("~truncated", true), ("~version 2", true), ("~trailer x", true), ("~close 1000", true),
        ])
    func blocks(expression: String, mayMatch: Bool) throws {
        #expect(try FlowFilter(expression).mayMatch(Summary()) == mayMatch)
    }

    @Test(
        "An argument that is not one of the words is refused with the words",
        arguments: [
            ("~version 4", 9), ("~version http/2", 9), ("~tls 1.4", 5), ("~tls", 0), ("~tls sslv3", 5), ("~tls 1.2|1.3", 8),
            ("~version 1.1|2", 12), ("~informational[x]", 15),
        ])
    func words(expression: String, offset: Int) {
        let error = #expect(throws: FilterSyntaxError.self) { try FlowFilter(expression) }
        #expect(error?.offset == offset)
    }
}
