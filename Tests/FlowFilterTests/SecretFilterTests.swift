import FlowModel
import HTTPSemantics
import NIOCore
import Secrets
import TestSupport
import Testing

@testable import FlowFilter

private func token(_ index: Int) -> String {
    "ghp_" + String("0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3".dropFirst(index).prefix(36))
}
private func bytes(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

/// A zlib stream (RFC 1950) of one block that is not compressed, with its bytes changed by nothing but the frame.
private func storedDeflate(_ text: String) -> ByteBuffer {
    let content = Array(text.utf8)
    var (a, b) = (UInt32(1), UInt32(0))
    for byte in content { (a, b) = ((a + UInt32(byte)) % 65521, (b + (a + UInt32(byte)) % 65521) % 65521) }
    var stream = ByteBuffer(bytes: [0x78, 0x01, 0x01])
    stream.writeInteger(UInt16(content.count), endianness: .little)
    stream.writeInteger(~UInt16(content.count), endianness: .little)
    stream.writeBytes(content)
    stream.writeInteger(b << 16 | a)
    return stream
}

@Suite("~secret")
struct SecretFilterTests {
    private static let clean = exchange(
        "GET /a HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", sent: "a", received: bytes("b"))
    private static let tcp = FlowBuilder(
        .tcp, id: FlowID(high: 5, low: 5), at: Timestamp(nanoseconds: 0), target: FlowTarget(scheme: "tcp", host: "db", port: 1)
    ).data(bytes("hello"), from: .client).data(bytes("key \(token(0))\n"), from: .server).flow

    private static func webSocket(_ kind: FlowPiece.Kind) -> Flow {
        var flow = exchange("GET / HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n")
        flow.isWebSocket = true
        var pieces = PiecesInMemory()
        // Data before the first message is not one.
        for (kind, text) in [(FlowPiece.Kind.data, "ok"), (.text, "hello"), (.ping, "a"), (kind, "{\"k\":\"\(token(0))\"}")] {
            let piece = FlowPiece(kind: kind, from: .client, content: bytes(text), wireSize: UInt64(text.utf8.count))
            pieces.pieces.append((at: flow.started, piece: piece))
        }
        flow.pieces = pieces
        return flow
    }

    /// A flow with a secret, the place, the field, and where the secret begins.
    private static let cases: [(flow: Flow, place: String, field: String?, start: Int)] = [
        (exchange("GET /a?t=\(token(0)) HTTP/1.1\r\nhost: a\r\n\r\n"), "request.target", nil, 5),
        (exchange("GET /a HTTP/1.1\r\nhost: a\r\nX-Key: a \(token(0))\r\n\r\n"), "request.headers", "X-Key", 2),
        (
            exchange("GET /a HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nset-cookie: s=\(token(0)); path=/\r\n\r\n"),
            "response.headers", "set-cookie", 2
        ),
        (exchange("POST /a HTTP/1.1\r\nhost: a\r\n\r\n", sent: "a=\(token(0))&b=1"), "request.body", nil, 2),
        (
            exchange("GET /a HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", received: bytes("{\"k\":\"\(token(0))\"}")),
            "response.body", nil, 6
        ),
        (tcp, "tcp.messages[1]", nil, 4),
        (webSocket(.text), "websocket.messages[2]", nil, 6),
        (webSocket(.binary), "websocket.messages[2]", nil, 6),
    ]

    @Test("A secret is found in each text of a flow, and its place is that of JSON Lines")
    func places() throws {
        #expect(try !FlowFilter("~secret").matches(Self.clean))
        for (flow, place, field, start) in Self.cases {
            for expression in ["~secret", "~secret github-token", "~secret 'github-*'", "~secret gith* & ~all"] {
                #expect(try FlowFilter(expression).matches(flow), "\(place)")
            }
            #expect(try !FlowFilter("~secret gitlab-token").matches(flow))
            var found: [FlowSecret] = []
            try FlowSecrets(.builtIn).forEach(of: flow) { found.append($0) }
            #expect(
                found.map { [$0.place, $0.field, "\($0.range)", $0.finding.rule] } == [
                    [place, field, "\(start..<start + 40)", "github-token"]
                ])
        }
    }

    @Test("A body is searched without its content codings, and trailers are searched")
    func codings() throws {
        let zipped = storedDeflate("{\"k\":\"\(token(0))\"}")
        let flow = exchange(
            "GET /a HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-encoding: deflate\r\n\r\n", received: zipped)
        #expect(try FlowFilter("~secret github-token").matches(flow))
        var trailing = Self.clean
        trailing.response?.trailers = FieldSection([("x-key", token(0))])
        var found: [FlowSecret] = []
        try FlowSecrets(.builtIn).forEach(of: trailing) { found.append($0) }
        #expect(found.map(\.place) == ["response.trailers"] && found.map(\.field) == ["x-key"] && found.map(\.range) == [0..<40])
    }

    @Test("A rule that does not exist is an error with the nearest name")
    func unknownRule() {
        for (expression, message) in [
            ("~secret github-tokn", "there is no rule 'github-tokn' for secrets; did you mean 'github-token'?"),
            ("~secret login", "there is no rule 'login' for secrets; write & before another term, and see --list-rules"),
        ] {
            let error = #expect(throws: FilterSyntaxError.self) { try FlowFilter(expression) }
            #expect(error?.message.hasPrefix(message) == true && error?.offset == 8, "\(error.debugDescription)")
        }
        var environment = FilterEnvironment()
        environment.acceptsAnySecretRule = true
        #expect(throws: Never.self) { try FlowFilter("~secret own", environment: environment) }
    }

    @Test("Rules of the environment take the place of our own")
    func ownRules() throws {
        var environment = FilterEnvironment()
        environment.secretRules = try SecretRules(yaml: "[{id: own, regex: 'a{4}'}]")
        let flow = exchange("GET /aaaa HTTP/1.1\r\nhost: a\r\n\r\n")
        #expect(try FlowFilter("~secret own", environment: environment).matches(flow))
        #expect(try FlowFilter("~secret", environment: environment).matches(flow))
        #expect(try !FlowFilter("~secret").matches(flow))
    }

    @Test(
        "The rules of findings are those that the expression names, and every rule if it names none",
        arguments: [
            ("~secret jwt", ["jwt"]), ("~secret jwt | ~secret 'aws-*' & ~c 200", ["jwt", "aws-*"]), ("~secret jwt | ~secret", []),
            ("~all", []), ("!~secret jwt", []), ("~secret jwt & !~secret slack-token", ["jwt"]),
        ])
    func names(expression: String, names: [String]) throws {
        #expect(try FlowFilter(expression).secretRuleNames == names)
    }

    @Test("Blocks without HTTP and TCP flows are skipped, and content is needed")
    func planning() throws {
        let filter = try FlowFilter("~secret")
        #expect(filter.needsContent)
        #expect(filter.canonical == "~secret")
        #expect(try FlowFilter("~c 200 & ~secret jwt").canonical == "(~c 200 & ~secret jwt)")
    }
}
