// Flows for tests, from a few words.

import FlowModel
import HTTPSemantics
import NIOCore

/// A flow of a client connection, that began so many milliseconds behind the start.
func flow(
    _ request: String = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", body: String? = nil, _ answer: String? = "HTTP/1.1 200 OK\r\n\r\n",
    content: ByteBuffer = ByteBuffer(), trailers: [(name: String, value: String)]? = nil, pieces: [FlowPiece] = [],
    kind: FlowKind = .http, client: UInt64 = 1, at milliseconds: Int64 = 0, target: FlowTarget? = nil,
    version: HTTPVersion = .http1_1,
    isRequestWhole: Bool = true, isAnswerWhole: Bool = true, ending: FlowEnding = FlowEnding(state: .complete)
) -> Flow {
    let start = Timestamp(nanoseconds: 1_700_000_000_000_000_000 + milliseconds * 1_000_000)
    var facts = ClientConnection.unknown
    facts.id = ConnectionID(high: 9, low: client)
    let opening = FlowOpening(
        kind: kind, client: Shared(facts), target: target ?? FlowTarget(scheme: "http", host: "a", port: 80), stream: StreamID(1))
    var assembler = FlowAssembler(
        id: FlowID(high: client, low: UInt64(milliseconds)), at: start, opening: opening, keepsPieces: true)
    if kind == .http {
        assembler.receive(.request(RequestHead(parsing: ByteBuffer(string: request), version: version)), at: start)
        if let body { assembler.receive(.piece(FlowPiece(from: .client, content: ByteBuffer(string: body))), at: start) }
        if isRequestWhole { assembler.receive(.finished(.client), at: start) }
        if let answer {
            assembler.receive(.response(ResponseHead(parsing: ByteBuffer(string: answer), version: .http1_1)), at: start)
            if content.readableBytes > 0 { assembler.receive(.piece(FlowPiece(from: .server, content: content)), at: start) }
            if let trailers { assembler.receive(.trailers(from: .server, FieldSection(trailers)), at: start) }
            if isAnswerWhole { assembler.receive(.finished(.server), at: start) }
        }
    }
    for piece in pieces { assembler.receive(.piece(piece), at: start) }
    assembler.receive(.ended(ending), at: start.advanced(byNanoseconds: 5_000_000))
    return assembler.flow
}
