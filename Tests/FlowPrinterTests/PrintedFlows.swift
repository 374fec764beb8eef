// Flows put together from events, and what the printers make of them.

import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore
import TestSupport

let start = Timestamp(nanoseconds: 1_700_000_000_123_456_789)

func flow(_ kind: FlowKind = .http, _ events: [(Int64, FlowEvent.What)]) -> Flow {
    let client = ClientConnection(
        id: FlowID(high: 1, low: 1), peer: Endpoint(host: "10.0.0.1", port: 5000), local: Endpoint(host: "10.0.0.2", port: 8080),
        opened: start,
        mode: "regular")
    let target = FlowTarget(scheme: kind == .http ? "https" : kind.description, host: "a.example", port: 443)
    var flow = FlowBuilder(
        kind, id: FlowID(high: 0x018B_CFE5_687B_7001, low: 0x8000_0000_0000_0001), at: start, client: Shared(client),
        target: target, stream: StreamID(3))
    for (milliseconds, what) in events { flow = flow.event(what, at: milliseconds) }
    return flow.flow
}

func request(_ text: String) -> FlowEvent.What {
    .request(RequestHead(parsing: ByteBuffer(string: text), version: .http1_1))
}
func response(_ text: String) -> FlowEvent.What {
    .response(ResponseHead(parsing: ByteBuffer(string: text), version: .http1_1))
}
func piece(_ text: String, from side: Side) -> FlowEvent.What { piece(Array(text.utf8), from: side) }
func piece(_ bytes: [UInt8], from side: Side) -> FlowEvent.What {
    .piece(FlowPiece(from: side, content: ByteBuffer(bytes: bytes)))
}

func text(_ flow: Flow, detail: Int) throws -> String {
    var out = ByteBuffer()
    try FlowTextPrinter(detail: detail, isColoured: false).print(flow, into: &out)
    return String(buffer: out)
}

func json(_ flow: Flow, rawBody: Bool = false) throws -> String {
    var out = ByteBuffer()
    try FlowJSONPrinter(rawBody: rawBody).print(flow, into: &out)
    return String(buffer: out)
}
