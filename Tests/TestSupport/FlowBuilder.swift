// Flows for tests, event by event.

import FlowModel
import HTTPSemantics
import NIOCore

/// Builds one flow: `FlowBuilder().request("GET / HTTP/1.1\r\nHost: a\r\n\r\n").response("HTTP/1.1 200 OK\r\n\r\n").ended().flow`.
/// Times are milliseconds after the flow's start.
package struct FlowBuilder: Sendable {
    /// When flows start unless a test gives a time: 2023-11-14T22:13:20Z.
    package static let start = Timestamp(nanoseconds: 1_700_000_000_000_000_000)

    package let id: FlowID
    package let start: Timestamp
    /// All events so far; the first one opens the flow.
    package private(set) var events: [FlowEvent]

    /// - Parameter target: by default port 80 of the host `a`.
    package init(
        _ kind: FlowKind = .http, id: FlowID = FlowID(high: 1, low: 1), at start: Timestamp = FlowBuilder.start,
        client: Shared<ClientConnection> = Shared(.unknown), target: FlowTarget? = nil, stream: StreamID = StreamID(1)
    ) {
        let scheme = kind == .http ? "http" : kind.description
        let opening = FlowOpening(
            kind: kind, client: client, target: target ?? FlowTarget(scheme: scheme, host: "a", port: 80), stream: stream)
        self.id = id
        self.start = start
        events = [FlowEvent(flow: id, at: start, what: .opened(opening))]
    }

    package mutating func add(_ what: FlowEvent.What, at time: Timestamp) {
        events.append(FlowEvent(flow: id, at: time, what: what))
    }

    package consuming func event(_ what: FlowEvent.What, at milliseconds: Int64 = 0) -> FlowBuilder {
        add(what, at: start.advanced(byNanoseconds: milliseconds * 1_000_000))
        return self
    }

    /// Adds a request: its head, its content if there is some, and its end.
    /// - Parameters:
    ///   - head: of HTTP/2 when it begins with a pseudo-header field (`:method: GET`), otherwise of HTTP/1.1.
    ///   - isWhole: whether the request comes to its end.
    package consuming func request(
        _ head: String, content: ByteBuffer = ByteBuffer(), isWhole: Bool = true, at milliseconds: Int64 = 0
    ) -> FlowBuilder {
        self = event(.request(RequestHead(parsing: ByteBuffer(string: head), version: Self.version(of: head))), at: milliseconds)
        if content.readableBytes > 0 { self = data(content, from: .client, at: milliseconds) }
        return isWhole ? event(.finished(.client), at: milliseconds) : self
    }

    /// Adds a response in the same way.
    package consuming func response(
        _ head: String, content: ByteBuffer = ByteBuffer(), trailers: FieldSection? = nil, isWhole: Bool = true,
        at milliseconds: Int64 = 0
    ) -> FlowBuilder {
        self = event(.response(ResponseHead(parsing: ByteBuffer(string: head), version: Self.version(of: head))), at: milliseconds)
        if content.readableBytes > 0 { self = data(content, from: .server, at: milliseconds) }
        if let trailers { self = event(.trailers(from: .server, trailers), at: milliseconds) }
        return isWhole ? event(.finished(.server), at: milliseconds) : self
    }

    private static func version(of head: String) -> HTTPVersion { head.hasPrefix(":") ? .http2 : .http1_1 }

    /// Adds content of a message or bytes of a stream.
    package consuming func data(_ content: ByteBuffer, from side: Side, at milliseconds: Int64 = 0) -> FlowBuilder {
        event(.piece(FlowPiece(from: side, content: content)), at: milliseconds)
    }

    package consuming func ended(
        _ ending: FlowEnding = FlowEnding(state: .complete), at milliseconds: Int64 = 0
    ) -> FlowBuilder {
        event(.ended(ending), at: milliseconds)
    }

    /// The flow that the events make, its content in memory.
    package var flow: Flow {
        guard case .opened(let opening) = events[0].what else { preconditionFailure("the first event opens the flow") }
        var assembler = FlowAssembler(id: id, at: start, opening: opening, keepsPieces: true)
        for event in events.dropFirst() { assembler.receive(event.what, at: event.at) }
        return assembler.flow
    }
}
