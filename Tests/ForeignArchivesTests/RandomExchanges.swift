// Random flows of HTTP, with everything that a conversion may change or lose.

import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport

struct RandomExchanges {
    var random: SeededGenerator
    private var number: Int64 = 0

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }
    private mutating func one<Value>(of values: [Value]) -> Value { values.randomElement(using: &random)! }

    mutating func next() -> Flow {
        number += 1
        let start = LossSamples.start.advanced(byNanoseconds: number * 1_000_000_000)
        let id =
            chance(90)
            ? FlowID(time: start, sequence: 3, random: UInt64.random(in: 0 ... .max, using: &random))
            : FlowID(high: 7, low: UInt64(number))
        let isHTTP2 = chance(30)
        let port = one(of: [80, 443, 8080] as [UInt16])
        let scheme = port == 443 ? "https" : "http"
        let host = port == 8080 ? "a.example:8080" : "a.example"
        var client = LossSamples.client.value
        var server = LossSamples.server.value
        if chance(50) { client.tls = nil }
        if chance(50) { server.tls = nil }
        if chance(50) { client.settings = nil }
        server.target.port = port
        server.peer?.port = port
        var flow = FlowBuilder(
            id: id, at: start, client: Shared(client), target: FlowTarget(scheme: scheme, host: "a.example", port: port),
            stream: StreamID(isHTTP2 ? 5 : 1)
        ).event(.server(Shared(server)))
        let method = one(of: ["GET", "POST", "HEAD"])
        let start2 = ":method: \(method)\r\n:scheme: \(scheme)\r\n:path: /p?q=\(number)\r\n:authority: \(host)\r\n"
        let blank = chance(10) ? "" : " "
        let start1 = "\(method) /p?q=\(number) HTTP/1.1\r\nHost:\(blank)\(host)\r\n"
        if !isHTTP2, method == "GET", chance(15) { return conversation(flow, host).flow }
        message(
            isHTTP2 ? start2 : start1, .client, canHaveContent: method == "POST", isHTTP2: isHTTP2, isCloseDelimited: false, 1,
            &flow
        )
        if chance(10) { flow = flow.event(.note(FlowNote(side: .client, "odd")), at: 2) }
        guard chance(90) else { return flow.ended(ending(isFailed: true), at: 20).flow }
        if chance(10) {
            let head = isHTTP2 ? ":status: 103\r\nlink: x\r\n\r\n" : "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
            flow = flow.event(
                .interim(ResponseHead(parsing: ByteBuffer(string: head), version: isHTTP2 ? .http2 : .http1_1)), at: 9)
        }
        let status = one(of: [200, 200, 200, 404, 204, 304])
        message(
            isHTTP2 ? ":status: \(status)\r\n" : "HTTP/1.1 \(status) Fine\r\n", .server,
            canHaveContent: method != "HEAD" && status != 204 && status != 304, isHTTP2: isHTTP2, isCloseDelimited: chance(20), 10,
            &flow)
        if chance(5) { flow = flow.event(.malformed(from: .server, ByteBuffer(string: "junk")), at: 18) }
        return flow.ended(ending(isFailed: false), at: 20).flow
    }

    /// Content of up to three pieces. Some of it is the line that separates records of GoReplay.
    private mutating func pieces() -> [ByteBuffer] {
        (0..<Int.random(in: 1...3, using: &random)).map { _ in
            if chance(3) { return ByteBuffer(string: "x\n🐵🙈🙉\ny") }
            return ByteBuffer(
                bytes: (0..<Int.random(in: 1...40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) })
        }
    }

    private mutating func message(
        _ start: String, _ side: Side, canHaveContent: Bool, isHTTP2: Bool, isCloseDelimited: Bool, _ at: Int64,
        _ flow: inout FlowBuilder
    ) {
        let content = canHaveContent && chance(80) ? pieces() : []
        let size = content.reduce(0) { $0 + $1.readableBytes }
        let isChunked = !isHTTP2 && canHaveContent && !isCloseDelimited && chance(40)
        let isOpen = side == .server && isCloseDelimited || isHTTP2 && chance(50)
        let isWhole = size == 0 || chance(85)
        var head = start
        if chance(50) { head += isHTTP2 ? "x-one: 1\r\n" : "X-One: 1\r\nx-TWO: b, c\r\n" }
        if isChunked {
            head += "Transfer-Encoding: chunked\r\n"
        } else if size > 0, !isOpen {
            head += "\(isHTTP2 ? "content-length" : "Content-Length"): \(isWhole ? size : size + 9)\r\n"
        } else if canHaveContent, !isOpen, side == .server {
            head += "\(isHTTP2 ? "content-length" : "Content-Length"): 0\r\n"
        }
        let bytes = ByteBuffer(string: head + "\r\n")
        let version: HTTPVersion = isHTTP2 ? .http2 : .http1_1
        flow.add(
            side == .client
                ? .request(RequestHead(parsing: bytes, version: version))
                : .response(ResponseHead(parsing: bytes, version: version)),
            at: flow.start.advanced(byNanoseconds: at * 1_000_000))
        for (index, piece) in content.enumerated() { flow = flow.data(piece, from: side, at: at + 1 + Int64(index)) }
        if isWhole, isChunked || isHTTP2, size > 0, chance(15) {
            flow = flow.event(.trailers(from: side, FieldSection([(isHTTP2 ? "x-sum" : "X-Sum", "1")])), at: at + 5)
        }
        if isWhole { flow = flow.event(.finished(side), at: at + 5) }
    }

    private mutating func conversation(_ flow: FlowBuilder, _ host: String) -> FlowBuilder {
        var flow = flow.request(
            "GET /chat HTTP/1.1\r\nHost: \(host)\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
            at: 1
        ).response("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", at: 2)
        flow = flow.event(.piece(FlowPiece(kind: .text, from: .client, content: ByteBuffer(string: "hi"))), at: 4)
        for at in 5..<Int64.random(in: 5...8, using: &random) {
            let kind: FlowPiece.Kind = one(of: [.text, .binary, .ping, .pong])
            flow = flow.event(
                .piece(FlowPiece(kind: kind, from: one(of: [.client, .server]), content: ByteBuffer(string: "m"))), at: at)
        }
        return flow.ended(ending(isFailed: false), at: 20)
    }

    private mutating func ending(isFailed: Bool) -> FlowEnding {
        var ending = FlowEnding(state: isFailed ? .failed : .complete)
        if isFailed {
            ending.error = FlowError(
                side: chance(50) ? .server : nil, message: "refused",
                at: LossSamples.start.advanced(byNanoseconds: number * 1_000_000_000))
        }
        if chance(10) { ending.comment = "mine" }
        if chance(20) { ending.tags = chance(50) ? ["one"] : ["one", "two"] }
        if chance(10) { (ending.closedBy, ending.isReset) = (.server, true) }
        return ending
    }
}
