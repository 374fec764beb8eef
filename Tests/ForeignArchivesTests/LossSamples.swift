// A flow for each class of loss, and what of a flow the class is about, as text.

import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore
import TestSupport

@testable import ForeignArchives

enum LossSamples {
    static let start = Timestamp(nanoseconds: 1_700_000_000_123_456_789)
    static let target = FlowTarget(scheme: "http", host: "a.example", port: 80)

    /// A flow that has the class; nil for the classes of one format's limits, which their tests have.
    static func flow(_ loss: LossClass) -> Flow? {
        switch loss {
        case .noURL, .headContent, .argumentLength, .separator, .noMessage, .fields, .largeContent, .fileContent,
            .damagedContent, .http3:
            nil
        case .tcp, .closing: stream(FlowEnding(state: .complete, closedBy: .server, isReset: true))
        case .passthrough:
            FlowBuilder(.tcp, at: start, client: client, target: FlowTarget(scheme: "tcp", host: "a.example", port: 1))
                .ended(passthrough).flow
        case .tls: FlowBuilder(.tls, at: start, client: client).ended(FlowEnding(state: .failed)).flow
        case .noRequest:
            FlowBuilder(at: start, client: client, target: target)
                .event(.malformed(from: .client, ByteBuffer(string: "?"))).ended(FlowEnding(state: .failed)).flow
        case .connect:
            FlowBuilder(at: start, client: client, target: target)
                .request("CONNECT b.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n")
                .response("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n").ended().flow
        case .webSocket, .pingPong, .closeFrames, .frames: conversation
        case .upgradeData: upgraded
        case .http2AsHTTP1, .streamID, .settings: http2
        case .missingContent, .contentLength: cut
        default: exchange(loss)
        }
    }

    static var client: Shared<ClientConnection> {
        var client = ClientConnection(
            id: ConnectionID(high: 7, low: 8), peer: Endpoint(host: "192.0.2.1", port: 50000),
            local: Endpoint(host: "192.0.2.9", port: 8080), opened: start, mode: "reverse:http://u:p@a.example")
        var tls = TLSDetails()
        tls.version = "TLSv1.3"
        tls.cipher = "TLS_AES_256_GCM_SHA384"
        tls.serverName = "a.example"
        tls.alpn = "h2"
        tls.alpnOffers = ["h2"]
        tls.ja3 = "771"
        tls.ja4 = "t13d"
        client.tls = tls
        client.settings = [PeerSetting(id: 3, value: 100)]
        return Shared(client)
    }

    static var server: Shared<ServerConnection> {
        var server = ServerConnection(
            id: ConnectionID(high: 9, low: 10), target: Endpoint(host: "a.example", port: 80), opened: start)
        server.peer = Endpoint(host: "192.0.2.2", port: 80)
        server.local = Endpoint(host: "192.0.2.3", port: 50001)
        server.connected = start
        var tls = TLSDetails()
        tls.version = "TLSv1.3"
        tls.certificates = [sampleCertificate]
        tls.isVerified = false
        tls.verificationError = "expired"
        server.tls = tls
        return Shared(server)
    }

    private static var passthrough: FlowEnding {
        var ending = FlowEnding(state: .complete)
        ending.passthrough = PassthroughSizes(fromClient: 5, fromServer: 6)
        return ending
    }

    private static func stream(_ ending: FlowEnding) -> Flow {
        FlowBuilder(.tcp, at: start, client: client, target: FlowTarget(scheme: "tcp", host: "a.example", port: 1))
            .data(ByteBuffer(string: "hello"), from: .client).ended(ending).flow
    }

    private static var begun: FlowBuilder {
        FlowBuilder(id: FlowID(high: 0x0192_0000_0000_7000, low: 0x8000_0000_0000_0001), at: start, client: client, target: target)
            .event(.server(server))
    }

    private static var http2: Flow {
        FlowBuilder(at: start, client: client, target: target, stream: StreamID(5)).event(.server(server))
            .request(":method: GET\r\n:scheme: http\r\n:path: /\r\n:authority: a.example\r\n\r\n", at: 1)
            .response(":status: 200\r\ncontent-length: 2\r\n\r\n", content: ByteBuffer(string: "ok"), at: 2).ended(at: 3).flow
    }

    private static var handshake: FlowBuilder {
        begun.request(
            "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
        )
        .response("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    }

    private static var conversation: Flow {
        handshake
            .event(.piece(FlowPiece(kind: .text, from: .client, content: ByteBuffer(string: "hi"), wireSize: 9, frames: 2)), at: 4)
            .event(.piece(FlowPiece(kind: .ping, from: .server, content: ByteBuffer(string: "p"))), at: 5)
            .event(.piece(FlowPiece(kind: .close, from: .client, content: ByteBuffer(bytes: [3, 232, 0x62]))), at: 6)
            .ended(at: 7).flow
    }

    private static var upgraded: Flow {
        handshake.data(ByteBuffer(string: "raw"), from: .client, at: 4).data(ByteBuffer(string: "data"), from: .server, at: 5)
            .ended(at: 6).flow
    }

    /// A response of which the recorder stored two of six bytes.
    private static var cut: Flow {
        begun.request("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", at: 1)
            .event(.cut(from: .server, ContentCut(size: 6, sha256: ByteBuffer())))
            .response("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", isWhole: false, at: 2)
            .event(.piece(FlowPiece(from: .server, content: ByteBuffer(string: "ab"), wireSize: 6)), at: 3)
            .event(.finished(.server), at: 4).ended(FlowEnding(state: .complete), at: 5).flow
    }

    /// An exchange with something more.
    private static func exchange(_ loss: LossClass) -> Flow {
        let isChunked = loss == .chunkTimes || loss == .trailers
        var lines = isChunked ? "Transfer-Encoding: chunked\r\n" : "Content-Length: \(loss == .contentCoding ? 22 : 4)\r\n"
        if loss == .contentCoding { lines += "Content-Encoding: gzip\r\n" }
        let blank = loss == .headBytes ? "" : " "
        var flow = begun.request("GET / HTTP/1.1\r\nHost:\(blank)a.example\r\n\r\n", at: 1)
        if loss == .interim {
            flow = flow.event(
                .interim(
                    ResponseHead(parsing: ByteBuffer(string: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), version: .http1_1)),
                at: 2)
        }
        if loss == .notes { flow = flow.event(.note(FlowNote(side: .client, "odd")), at: 2) }
        if loss == .malformed { flow = flow.event(.malformed(from: .server, ByteBuffer(string: "junk")), at: 8) }
        if loss == .redaction {
            flow = flow.event(.redacted(FlowRedaction(changes: [.init(rule: "header:cookie", place: .request)])))
        }
        if loss == .localReply {
            let head = ResponseHead(parsing: ByteBuffer(string: "HTTP/1.1 502 Bad\r\nContent-Length: 1\r\n\r\n"), version: .http1_1)
            return flow.event(.localReply(LocalReply(head: head, content: ByteBuffer(string: "x"))), at: 3)
                .ended(FlowEnding(state: .failed, error: FlowError(side: nil, message: "refused", at: start))).flow
        }
        flow = flow.response("HTTP/1.1 200 OK\r\n\(lines)\r\n", isWhole: false, at: 3)
        let whole = [ByteBuffer(string: "abcd")]
        let parts = [ByteBuffer(string: "ab"), ByteBuffer(string: "cd")]
        let content = loss == .contentCoding ? [gzip] : loss == .chunkTimes ? parts : loss == .incomplete ? [parts[0]] : whole
        for (index, part) in content.enumerated() { flow = flow.data(part, from: .server, at: 4 + Int64(index)) }
        if loss == .trailers { flow = flow.event(.trailers(from: .server, FieldSection([("X-Sum", "1")])), at: 6) }
        if loss != .incomplete { flow = flow.event(.finished(.server), at: 6) }
        return flow.ended(ending(loss), at: 7).flow
    }

    private static func ending(_ loss: LossClass) -> FlowEnding {
        var ending = FlowEnding(state: loss == .incomplete || loss == .error || loss == .errorSide ? .incomplete : .complete)
        if loss == .error || loss == .errorSide || loss == .incomplete {
            ending.error = FlowError(
                side: loss == .incomplete ? nil : .server, message: "cut", at: start.advanced(byNanoseconds: 7_000_000))
        }
        if loss == .comment { ending.comment = "mine" }
        if loss == .tags { ending.tags = ["one", "two"] }
        return ending
    }

    /// `ok` in gzip.
    private static let gzip = ByteBuffer(bytes: [
        0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0xCB, 0xCF, 6, 0, 0x47, 0xDD, 0xDC, 0x79, 2, 0, 0, 0,
    ])
}
