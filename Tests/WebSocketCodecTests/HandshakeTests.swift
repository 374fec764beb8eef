import HTTPSemantics
import NIOCore
import TestSupport
import Testing
import WebSocketCodec

private let key = "dGhlIHNhbXBsZSBub25jZQ=="
private let acceptValue = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

private func request(_ fields: [String], line: String = "GET /chat HTTP/1.1") -> RequestHead {
    let text = ([line, "Host: server.example.com"] + fields).joined(separator: "\r\n") + "\r\n\r\n"
    return RequestHead(parsing: ByteBuffer(string: text), version: .http1_1)
}

private func response(_ fields: [String], line: String = "HTTP/1.1 101 Switching Protocols") -> ResponseHead {
    let text = ([line] + fields).joined(separator: "\r\n") + "\r\n\r\n"
    return ResponseHead(parsing: ByteBuffer(string: text), version: .http1_1)
}

@Suite("The opening handshake")
struct HandshakeTests {
    private static let upgrade = ["Upgrade: websocket", "Connection: Upgrade"]
    private static let opening = upgrade + ["Sec-WebSocket-Key: \(key)", "Sec-WebSocket-Version: 13"]
    private static let accepting = upgrade + ["Sec-WebSocket-Accept: \(acceptValue)"]

    @Test("RFC 6455 §1.3: the accept value of the example")
    func accept() {
        #expect(WebSocketHandshake.accept(for: key) == acceptValue)
        #expect(WebSocketHandshake.key(nonce: Array("the sample nonce".utf8)) == key)
    }

    @Test(
        "The accept value follows SHA-1 over the edges of its blocks",
        arguments: [
            // Computed by Python's hashlib. The key and 36 bytes more are 36, 55, 56, 63, 64, 65 and 128 bytes long.
            (0, "Kfh9QIsMVZcl6xEPYxPHzW8SZ8w="),
            (19, "yzaGyu0mcUukN7CdsSwa30tnCpc="),
            (20, "dUYRM7bOMwDmbriNIPr11x+r3E0="),
            (27, "NCEiOv6lMC9mC8oEZnneqRdJ4DU="),
            (28, "xMWmCBqYJY4uXzUs8PNU1t+Pzro="),
            (29, "m8kT+K/C9sp8j44+NnEexy4o+Tg="),
            (92, "QozTWdJkJ6Mr6+QwqAHt8yNpBdc="),
        ])
    func digests(_ length: Int, _ expected: String) {
        #expect(WebSocketHandshake.accept(for: String(repeating: "a", count: length)) == expected)
    }

    @Test("RFC 6455 §1.2: a request is recognised")
    func recognisedRequest() throws {
        let head = request(Self.opening + ["Origin: http://example.com", "Sec-WebSocket-Protocol: chat, superchat"])
        #expect(try WebSocketHandshake.offer(in: head) == WebSocketOffer(key: key, protocols: ["chat", "superchat"]))
    }

    @Test("Lists, case and white space do not hide a request")
    func variedRequest() throws {
        let head = request([
            "upgrade: h2c, WebSocket", "CONNECTION: keep-alive, UPGRADE", "sec-websocket-key:   \(key)  ",
            "sec-websocket-version: 13",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x", "Sec-WebSocket-Protocol: a",
            "Sec-WebSocket-Protocol: b",
        ])
        let extensions = [
            WebSocketExtension("permessage-deflate", [.init("client_max_window_bits")]), WebSocketExtension("x"),
        ]
        #expect(try WebSocketHandshake.offer(in: head) == WebSocketOffer(key: key, protocols: ["a", "b"], extensions: extensions))
    }

    @Test("What does not ask for WebSocket is let be")
    func otherRequests() throws {
        let others = [
            request(Self.opening, line: "POST /chat HTTP/1.1"), request(Self.opening, line: "GET /chat HTTP/1.0"),
            request(["Connection: Upgrade", "Sec-WebSocket-Key: \(key)"]), request(["Upgrade: websocket"]),
            request(["Upgrade: h2c", "Connection: Upgrade"]), request([]),
        ]
        for head in others { #expect(try WebSocketHandshake.offer(in: head) == nil) }
    }

    @Test("A request that a server must refuse says why")
    func badRequests() {
        let version = "the request does not ask for version 13 of WebSocket"
        let badKey = "the request has no Sec-WebSocket-Key, more than one, or one that is not 16 bytes in Base64"
        let rows: [([String], String)] = [
            (["Sec-WebSocket-Key: \(key)"], version),
            (["Sec-WebSocket-Key: \(key)", "Sec-WebSocket-Version: 8"], version),
            (["Sec-WebSocket-Key: \(key)", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"], version),
            (["Sec-WebSocket-Version: 13"], badKey),
            (["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: \(key)", "Sec-WebSocket-Key: \(key)"], badKey),
            (["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ="], badKey),
            (["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ==="], badKey),
            (["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQQQ"], badKey),
            (["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q=="], badKey),
            (
                ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: \(key)", "Sec-WebSocket-Extensions: a;"],
                "Sec-WebSocket-Extensions holds \"a;\", which is no extension"
            ),
        ]
        for (fields, message) in rows {
            let head = request(Self.upgrade + fields)
            #expect(throws: WebSocketError(.handshake, message)) { try WebSocketHandshake.offer(in: head) }
        }
    }

    @Test("A response says what was agreed on")
    func agreement() throws {
        let offer = WebSocketOffer(
            key: key, protocols: ["chat", "superchat"],
            extensions: [WebSocketExtension("x-log"), WebSocketExtension("permessage-deflate", [.init("client_max_window_bits")])])
        let head = response(
            Self.accepting + [
                "Sec-WebSocket-Protocol: superchat",
                "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=12; server_no_context_takeover, x-log; a=1",
            ])
        let compression = PerMessageDeflate(client: .init(windowBits: 12), server: .init(takesOverContext: false))
        #expect(
            try WebSocketHandshake.agreement(in: head, to: offer)
                == WebSocketAgreement(
                    subprotocol: "superchat", compression: compression,
                    unknownExtensions: [WebSocketExtension("x-log", [.init("a", "1")])]))
        #expect(try WebSocketHandshake.agreement(in: response(Self.accepting), to: offer) == WebSocketAgreement())
    }

    @Test("A response that does not switch is let be")
    func otherResponses() throws {
        for line in ["HTTP/1.1 200 OK", "HTTP/1.1 426 Upgrade Required"] {
            let head = response(Self.accepting, line: line)
            #expect(try WebSocketHandshake.agreement(in: head, to: WebSocketOffer(key: key)) == nil)
        }
    }

    @Test("A response that a client must refuse says why")
    func badResponses() {
        let offer = WebSocketOffer(
            key: key, protocols: ["chat"],
            extensions: [WebSocketExtension("permessage-deflate", [.init("server_max_window_bits", "10")])])
        let wrongAccept = "Sec-WebSocket-Accept in the response does not belong to the key of the request"
        let rows: [([String], WebSocketError)] = [
            (
                ["Upgrade: h2c", "Connection: Upgrade"],
                WebSocketError(.handshake, "the server switches protocols, but not to WebSocket")
            ),
            (["Upgrade: websocket"], WebSocketError(.handshake, "the server switches protocols, but not to WebSocket")),
            (Self.upgrade, WebSocketError(.handshake, wrongAccept)),
            (Self.upgrade + ["Sec-WebSocket-Accept: \(acceptValue.lowercased())"], WebSocketError(.handshake, wrongAccept)),
            (Self.accepting + ["Sec-WebSocket-Accept: \(acceptValue)"], WebSocketError(.handshake, wrongAccept)),
            (
                Self.accepting + ["Sec-WebSocket-Protocol: other"],
                WebSocketError(.handshake, "the server chose the subprotocol other, which was not asked for")
            ),
            (
                Self.accepting + ["Sec-WebSocket-Protocol: chat, chat"],
                WebSocketError(.handshake, "the server chose the subprotocol chat, chat, which was not asked for")
            ),
            (
                Self.accepting + ["Sec-WebSocket-Extensions: x"],
                WebSocketError(.handshake, closeCode: 1010, "the server accepted the extension x, which was not asked for")
            ),
            (
                Self.accepting + ["Sec-WebSocket-Extensions: permessage-deflate"],
                WebSocketError(
                    .extensionParameters, "the server accepted \"permessage-deflate\", which answers no offer of the client")
            ),
            (
                Self.accepting + [
                    "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9",
                    "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9",
                ], WebSocketError(.extensionParameters, "the server accepted permessage-deflate twice")
            ),
        ]
        for (fields, error) in rows {
            let head = response(fields)
            #expect(throws: error) { try WebSocketHandshake.agreement(in: head, to: offer) }
        }
    }
}
