// Reads flow files of mitmproxy 0.11 to 12 (flow format up to 21), one record at a time. MitmproxyVersions.swift and
// docs/foreign-formats.md describe a record.

import FlowModel
import HTTPSemantics
import NIOCore

/// Converts records to flows. It reads no input itself: the caller splits the input into records by
/// ``Tnetstring/length(at:offset:)``.
package struct MitmproxyReader {
    /// A whole record is in memory while it is read.
    package static let maximumRecord = 2 << 30 - 1 << 20

    /// The number of flows of kinds that a recording cannot contain, by mitmproxy's name of the kind.
    package private(set) var leftOut: [String: Int] = [:]
    private var connections = ForeignConnections()
    /// Up to version 11 a WebSocket conversation was a separate record, usually after the one of its handshake. The first of the
    /// two waits here for the other, by the identifier of the handshake.
    private var handshakes: [FlowID: FlowAssembler] = [:]
    private var conversations: [FlowID: (entries: TnetstringEntries, alone: Flow)] = [:]
    private var order: [FlowID] = []

    package init() {}

    /// Reads one record.
    /// - Parameter offset: of the record in the input.
    /// - Returns: nil for a flow that is left out, or that waits for its conversation.
    /// - Throws: `TnetstringError` if the record is not a valid flow; the next record may be. ``ForeignError`` for an unsupported
    ///   version.
    package mutating func read(_ record: ByteBuffer, at offset: UInt64) throws -> Flow? {
        var bytes = record
        var at = offset
        let flow = try Tnetstring(takingFrom: &bytes, offset: &at).entries()
        try MitmproxyVersion.check(flow)
        switch try flow["type"]?.text() ?? "http" {
        case "http": return try http(flow)
        case "tcp": return try tcp(flow)
        case "websocket": return try conversation(flow)
        case let other:
            leftOut[other, default: 0] += 1
            return nil
        }
    }

    /// Ends reading.
    /// - Returns: the handshakes and conversations whose other half is missing.
    package mutating func finish() -> [Flow] {
        defer { (handshakes, conversations, order) = ([:], [:], []) }
        return order.compactMap { handshakes[$0]?.flow ?? conversations[$0]?.alone }
    }

    // MARK: Kinds

    private mutating func http(_ entries: TnetstringEntries) throws -> Flow? {
        guard let request = try entries["request"]?.entries() else {
            throw TnetstringError(kind: .expected("request"), offset: entries.offset)
        }
        let id = try Self.id(entries)
        let started = try request["timestamp_start"]?.time() ?? entries["timestamp_created"]?.time() ?? Timestamp(nanoseconds: 0)
        let (client, server) = try connections.both(of: entries, id: id, started: started)
        let target = FlowTarget(
            scheme: try request["scheme"]?.text() ?? "", host: HARLocation.asciiHost(try request["host"]?.text() ?? ""),
            port: UInt16(clamping: try request["port"]?.integer() ?? 0))
        var flow = FlowAssembler(
            id: id, at: started,
            opening: FlowOpening(kind: .http, client: client, target: target, stream: StreamID(1)), keepsPieces: true)
        if let server { flow.receive(.server(server), at: started) }
        var asked = try Self.message(request, fallback: started)
        asked.message.fit(.request)
        let head = try Self.requestHead(request, asked.message, target)
        flow.receive(.request(head), at: started)
        asked.message.finish(.client, at: max(asked.ended ?? started, started), into: &flow)
        var responseEnd: Timestamp?
        if let response = try entries["response"]?.entries() {
            responseEnd = try Self.answer(response, to: head.method, fallback: flow.flow.request?.ended ?? started, into: &flow)
        }
        if let conversation = try entries["websocket"]?.entries() {
            try Self.receive(conversation, flow: entries, fallback: nil, into: &flow)
            return flow.flow
        }
        try Self.end(entries, at: responseEnd, into: &flow)
        return mayOpenConversation(entries, flow.flow) ? try join(flow, id) : flow.flow
    }

    /// - Returns: when it ended, even if its content was not stored.
    private static func answer(
        _ response: TnetstringEntries, to method: ByteBuffer, fallback: Timestamp, into flow: inout FlowAssembler
    ) throws(TnetstringError) -> Timestamp? {
        var answered = try message(response, fallback: fallback)
        let status = try response.status?.integer() ?? 0
        answered.message.fit(.response(status: status, method: method))
        let head = answered.message.head.response(
            version: answered.message.version, status: status, reason: try response.reason?.bytes() ?? ByteBuffer())
        flow.receive(.response(head), at: answered.started)
        answered.ended = answered.ended.map { max($0, answered.started) }
        answered.message.finish(.server, at: answered.ended ?? answered.started, into: &flow)
        return answered.ended
    }

    private mutating func tcp(_ entries: TnetstringEntries) throws -> Flow {
        let id = try Self.id(entries)
        guard let messages = entries["messages"] else { throw TnetstringError(kind: .expected("messages"), offset: entries.offset) }
        let clientEntries = try entries["client_conn"]?.entries()
        let serverEntries = try entries["server_conn"]?.entries()
        let started =
            try entries["timestamp_created"]?.time() ?? serverEntries?["timestamp_start"]?.time()
            ?? clientEntries?["timestamp_start"]?.time() ?? Timestamp(nanoseconds: 0)
        let (client, server) = try connections.both(of: entries, id: id, started: started)
        let peer = server?.value.target ?? Endpoint(host: "", port: 0)
        let isTLS = server?.value.tls != nil || client.value.tls != nil
        var flow = FlowAssembler(
            id: id, at: started,
            opening: FlowOpening(
                kind: .tcp, client: client, target: FlowTarget(scheme: isTLS ? "tls" : "tcp", host: peer.host, port: peer.port),
                stream: StreamID(1)), keepsPieces: true)
        if let server { flow.receive(.server(server), at: started) }
        var last = started
        try messages.forEachElement { element throws(TnetstringError) in
            let parts = try element.elements()
            guard parts.count >= 3 else { throw element.error("message") }
            last = try parts[2].time()
            let side: Side = try parts[0].bool() ? .client : .server
            flow.receive(.piece(FlowPiece(from: side, content: try parts[1].bytes())), at: last)
        }
        let closed = try serverEntries?["timestamp_end"]?.time() ?? clientEntries?["timestamp_end"]?.time()
        try Self.end(entries, at: closed.map { max($0, last) } ?? last, isConversation: true, into: &flow)
        return flow.flow
    }

    /// Whether a separate record may have the conversation of an exchange. Not every version marks it.
    private func mayOpenConversation(_ entries: TnetstringEntries, _ flow: Flow) -> Bool {
        flow.status == 101 && !entries.contains("websocket")
    }

    /// - Returns: nil if the conversation has not been read yet.
    private mutating func join(_ flow: FlowAssembler, _ id: FlowID) throws(TnetstringError) -> Flow? {
        if let conversation = conversations.removeValue(forKey: id) {
            order.removeAll { $0 == id }
            return try Self.joined(flow, conversation.entries)
        }
        // A file may contain a flow twice.
        if let older = handshakes.updateValue(flow, forKey: id) { return older.flow }
        order.append(id)
        return nil
    }

    /// A conversation of a version before 12, joined with its handshake.
    /// - Returns: nil if the handshake has not been read yet.
    private mutating func conversation(_ entries: TnetstringEntries) throws -> Flow? {
        let handshake = try entries["metadata"]?.entries()["websocket_handshake"]?.text()
        guard let id = handshake.map({ FlowID(mitmproxy: $0) }) else { return try alone(entries) }
        if let flow = handshakes.removeValue(forKey: id) {
            order.removeAll { $0 == id }
            return try Self.joined(flow, entries)
        }
        if let older = conversations.updateValue((entries, try alone(entries)), forKey: id) { return older.alone }
        order.append(id)
        return nil
    }

    private static func ended(_ entries: TnetstringEntries) throws(TnetstringError) -> Timestamp? {
        try entries["server_conn"]?.entries()["timestamp_end"]?.time()
    }

    private static func joined(_ handshake: FlowAssembler, _ entries: TnetstringEntries) throws(TnetstringError) -> Flow {
        var flow = handshake
        try receive(entries, flow: entries, fallback: try ended(entries), into: &flow)
        return flow.flow
    }

    /// A conversation without a record of its handshake.
    private mutating func alone(_ entries: TnetstringEntries) throws -> Flow {
        let own = try Self.id(entries)
        let fallback = try Self.ended(entries)
        var started: Timestamp?
        try entries["messages"]?.forEachElement { element throws(TnetstringError) in
            if started == nil, let time = try element.elements().dropFirst(3).first { started = try time.time() }
        }
        let at = started ?? fallback ?? Timestamp(nanoseconds: 0)
        let (client, server) = try connections.both(of: entries, id: own, started: at)
        let peer = server?.value.target ?? Endpoint(host: "", port: 0)
        let target = FlowTarget(scheme: server?.value.tls == nil ? "http" : "https", host: peer.host, port: peer.port)
        var flow = FlowAssembler(
            id: own, at: at, opening: FlowOpening(kind: .http, client: client, target: target, stream: StreamID(1)),
            keepsPieces: true)
        if let server { flow.receive(.server(server), at: at) }
        try Self.receive(entries, flow: entries, fallback: fallback, into: &flow)
        return flow.flow
    }

    private static func id(_ entries: TnetstringEntries) throws(TnetstringError) -> FlowID {
        guard let value = entries["id"] else { throw TnetstringError(kind: .expected("id"), offset: entries.offset) }
        return FlowID(mitmproxy: try value.text())
    }
}

extension FlowID {
    /// A UUID, or a stable identifier made from any other text.
    fileprivate init(mitmproxy text: String) {
        self = FlowID(text) ?? FlowID(high: stableHash(text.utf8, seed: 1), low: stableHash(text.utf8, seed: 2))
    }
}
