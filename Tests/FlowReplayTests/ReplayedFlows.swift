// Flows for tests, from a few words.

import FlowModel
import HTTPSemantics
import NIOCore
import TestSupport

/// A flow of a client connection that began some milliseconds after the start.
func flow(
    _ request: String = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", body: String? = nil, _ answer: String? = "HTTP/1.1 200 OK\r\n\r\n",
    content: ByteBuffer = ByteBuffer(), trailers: [(name: String, value: String)]? = nil, pieces: [FlowPiece] = [],
    kind: FlowKind = .http, client: UInt64 = 1, at milliseconds: Int64 = 0, target: FlowTarget? = nil,
    isRequestWhole: Bool = true, isAnswerWhole: Bool = true, ending: FlowEnding = FlowEnding(state: .complete)
) -> Flow {
    var facts = ClientConnection.unknown
    facts.id = ConnectionID(high: 9, low: client)
    let start = FlowBuilder.start.advanced(byNanoseconds: milliseconds * 1_000_000)
    var flow = FlowBuilder(
        kind, id: FlowID(high: client, low: UInt64(milliseconds)), at: start, client: Shared(facts),
        target: target ?? FlowTarget(scheme: "http", host: "a", port: 80))
    if kind == .http {
        flow = flow.request(request, content: ByteBuffer(string: body ?? ""), isWhole: isRequestWhole)
        if let answer {
            flow = flow.response(answer, content: content, trailers: trailers.map { FieldSection($0) }, isWhole: isAnswerWhole)
        }
    }
    for piece in pieces { flow = flow.event(.piece(piece)) }
    return flow.ended(ending, at: 5).flow
}
