// The bytes that a flow was on one connection, as its events have them: HTTP/1, HTTP/2, or what followed them. One event at a time, so that
// large content is never in memory as a whole.

import FlowModel
import HTTPSemantics
import NIOCore

/// Iterates over the bytes of a flow on one of its two connections.
struct FlowBytes: Sendable {
    /// Bytes that one side sent at one moment.
    struct Chunk: Sendable {
        var at: Timestamp
        var from: Side
        var bytes: ByteBuffer
        var form: Form
    }

    /// How the flow is on the connection.
    enum Form: Sendable {
        case http1
        case http2
        /// Bytes as they were recorded.
        case stream
    }

    let id: FlowID
    /// The connection: that of the client, or that to the server.
    let connection: Side
    /// The identifier as a stream of HTTP/2.
    let stream: UInt32
    /// Bytes of it were written.
    var hasBegun = false
    /// All bytes of the client are in chunks before ``next``.
    private(set) var isClientDone = false
    /// nil after the last one.
    private(set) var next: Chunk?
    private(set) var form: Form

    private let flow: FlowReference
    private var events: FlowEventCursor
    private var http1: HTTP1Bytes
    private var http2: HTTP2Bytes

    /// - Parameters:
    ///   - connection: whose bytes are wanted.
    ///   - stream: its identifier if it is a stream of HTTP/2.
    /// - Throws: errors of fetching a piece.
    init(_ flow: Flow, on connection: Side, stream: UInt32) throws {
        // Heads that fit the content which is in the recording.
        let reference = FlowReference(flow.asStored)
        let flow = reference.value
        self.flow = reference
        self.connection = connection
        self.stream = stream
        id = flow.id
        form = flow.form(on: connection)
        events = FlowEventCursor(flow, marksDamage: true)
        http1 = HTTP1Bytes(reference)
        http2 = HTTP2Bytes(reference, stream: stream)
        try advance()
    }

    /// It began in HTTP/1, and the rest is HTTP/2.
    var isUpgraded: Bool { next?.form == .http2 && flow.value.isUpgradedToHTTP2(on: connection) }

    /// The settings that a side has sent on the connection; none of the recorder itself.
    func settings(of side: Side) -> [PeerSetting] {
        guard side == connection else { return [] }
        return (side == .client ? flow.value.client?.value.settings : flow.value.server?.value.settings) ?? []
    }

    /// Moves ``next`` to the next chunk.
    /// - Throws: errors of fetching a piece.
    mutating func advance() throws {
        next = nil
        while let event = try events.next() {
            let found = chunk(of: event)
            if case .finished(.client) = event.what { isClientDone = true }
            if endsHTTP1(event.what) { form = .http2 }
            guard let (from, bytes, form) = found, bytes.readableBytes > 0 else { continue }
            next = Chunk(at: event.at, from: from, bytes: bytes, form: form)
            return
        }
        isClientDone = true
    }

    /// HTTP/2 follows: after the 101, or where that is not recorded, after the request.
    private func endsHTTP1(_ event: FlowEvent.What) -> Bool {
        guard flow.value.isUpgradedToHTTP2(on: connection) else { return false }
        return switch event {
        case .interim(let head): head.status == 101
        case .finished(.client): !hasRecordedSwitch
        default: false
        }
    }

    /// The 101 with which HTTP/2 begins is one of its interim responses.
    var hasRecordedSwitch: Bool { flow.value.interims.contains { $0.value.status == 101 } }

    private mutating func chunk(of event: FlowEvent) -> (from: Side, bytes: ByteBuffer, form: Form)? {
        var out = ByteBuffer()
        switch event.what {
        case .malformed(let from, let bytes):
            // The recorder does not forward what it cannot read.
            guard from == connection, form != .http2 else { return nil }
            return (from, bytes, form)
        case .piece(let piece) where form == .stream:
            return (piece.from, piece.content, form)
        case .localReply(let reply):
            guard connection == .client, form != .stream else { return nil }
            if form == .http2 {
                http2.write(reply, into: &out)
            } else {
                out.writeImmutableBuffer(reply.head.wire)
                out.writeImmutableBuffer(reply.content)
            }
            return (.server, out, form)
        default:
            // The client received the answer of the recorder in the place of the server's.
            if connection == .client, flow.value.localReply != nil, event.what.isFromServer { return nil }
            let form = form
            let from: Side?
            switch form {
            case .http1: from = http1.write(event.what, into: &out)
            case .http2: from = http2.write(event.what, into: &out)
            case .stream: from = nil
            }
            return from.map { ($0, out, form) }
        }
    }
}

/// A flow that several values have: a copy of it would count references to each of its parts.
final class FlowReference: Sendable {
    let value: Flow

    init(_ value: Flow) { self.value = value }
}

/// A value for each side of a connection.
struct OfSides<Value: Sendable>: Sendable {
    var client: Value
    var server: Value

    subscript(side: Side) -> Value {
        get { side == .client ? client : server }
        set { if side == .client { client = newValue } else { server = newValue } }
    }
}

extension Flow {
    /// How the flow is on one of its connections.
    func form(on connection: Side) -> FlowBytes.Form {
        guard kind == .http else { return .stream }
        switch connection {
        case .client:
            if let request { return request.head.version.major >= 2 ? .http2 : .http1 }
            return client?.value.tls?.alpn == "h2" ? .http2 : .http1
        case .server:
            if isUpgradedToHTTP2(on: .server) { return .http1 }
            if let head = response?.head ?? interims.first?.value { return head.version.major >= 2 ? .http2 : .http1 }
            if let alpn = server?.value.tls?.alpn { return alpn == "h2" ? .http2 : .http1 }
            return server?.value.settings != nil || request.map { $0.head.version.major >= 2 } == true ? .http2 : .http1
        }
    }

    /// The request is of HTTP/1, and the connection became one of HTTP/2 with it (RFC 7540 section 3.2).
    func isUpgradedToHTTP2(on connection: Side) -> Bool {
        request?.head.upgrade == .h2c && response.map { $0.head.version.major >= 2 } == true
    }

    /// After the heads each side sends bytes that are not content of a message.
    var isSwitched: Bool {
        let status = response?.head.status ?? 0
        if isWebSocket || status == 101 && request?.head.upgrade != .h2c { return true }
        return request?.head.isMethod("CONNECT") == true && (200..<300).contains(status)
    }
}

extension FlowEvent.What {
    fileprivate var isFromServer: Bool {
        switch self {
        case .interim, .response, .trailers(.server, _), .finished(.server): true
        case .piece(let piece): piece.from == .server
        default: false
        }
    }
}
