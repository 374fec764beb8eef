// The parts of a flow in mitmproxy's files: heads, content, WebSocket conversations, endings.

import FlowModel
import HTTPSemantics
import NIOCore

/// A message and its times.
struct MitmproxyMessage {
    var message: ForeignMessage
    var started: Timestamp
    /// nil if it did not end.
    var ended: Timestamp?
}

extension MitmproxyReader {
    /// - Parameter fallback: replaces a missing start.
    static func message(_ entries: TnetstringEntries, fallback: Timestamp) throws(TnetstringError) -> MitmproxyMessage {
        var message = ForeignMessage(version: HTTPVersion(foreign: try entries.httpVersionText()) ?? .http1_1)
        message.head = try head(entries, "headers")
        if entries["trailers"] != nil { message.trailers = try head(entries, "trailers").section }
        let started = try entries["timestamp_start"]?.time()
        // Versions before 1 have neither time for some complete messages.
        let ended = try entries["timestamp_end"]?.time() ?? (started == nil ? fallback : nil)
        if let content = try entries["content"]?.bytes() {
            message.content = ended == nil ? .cut(content) : .whole(content)
        } else {
            message.content = .missing
        }
        return MitmproxyMessage(message: message, started: started ?? fallback, ended: ended)
    }

    static func requestHead(
        _ request: TnetstringEntries, _ message: ForeignMessage, _ target: FlowTarget
    ) throws(TnetstringError) -> RequestHead {
        var authority = try request["authority"]?.bytes() ?? ByteBuffer()
        // Up to version 8 a record has the form of the request-target instead of the authority.
        if request["authority"] == nil, let form = try request.targetForm?.text(), form != "relative" {
            authority = ByteBuffer(string: Endpoint(host: target.host, port: target.port).description)
        }
        return message.head.request(
            version: message.version, method: try request["method"]?.bytes() ?? ByteBuffer(),
            scheme: ByteBuffer(string: target.scheme),
            authority: authority, path: try request["path"]?.bytes() ?? ByteBuffer())
    }

    private static func head(_ message: TnetstringEntries, _ key: StaticString) throws(TnetstringError) -> HeadBytes {
        var head = HeadBytes()
        for element in try message[key]?.elements() ?? [] {
            let pair = try element.elements()
            guard pair.count == 2 else { throw element.error("header") }
            head.fields.append((try pair[0].bytes(), try pair[1].bytes()))
        }
        return head
    }

    /// - Parameters:
    ///   - conversation: the messages and the close frame.
    ///   - flow: the record with the error, the marker and the comment.
    ///   - fallback: when it ended, if the conversation does not have the time.
    static func receive(
        _ conversation: TnetstringEntries, flow entries: TnetstringEntries, fallback: Timestamp?,
        into flow: inout FlowAssembler
    ) throws(TnetstringError) {
        var last = flow.flow.response?.started ?? flow.flow.started
        // A conversation may have no messages.
        var hasPieces = false
        try conversation["messages"]?.forEachElement { element throws(TnetstringError) in
            let parts = try element.elements()
            guard parts.count >= 4 else { throw element.error("message") }
            let kind: FlowPiece.Kind =
                switch try parts[0].integer() {
                case 1: .text
                case 2: .binary
                case 8: .close
                case 9: .ping
                case 10: .pong
                default: throw parts[0].error("kind of a message")
                }
            last = try parts[3].time()
            hasPieces = true
            flow.receive(
                .piece(FlowPiece(kind: kind, from: try parts[1].bool() ? .client : .server, content: try parts[2].bytes())),
                at: last)
        }
        let ended = try conversation["timestamp_end"]?.time() ?? fallback
        var closedBy: Side?
        if let by = conversation["closed_by_client"] { closedBy = try by.bool() ? .client : .server }
        if let by = conversation["close_sender"] { closedBy = try by.text() == "client" ? .client : .server }
        let code = try conversation["close_code"]?.integer()
        let end = max(ended ?? last, last)
        // RFC 6455 section 7.4.1: 1005 means a close frame without a code, 1006 no close frame.
        if let code, code != 1006 {
            var content = ByteBuffer()
            if code != 1005 {
                content.writeInteger(UInt16(clamping: code))
                content.writeImmutableBuffer(try conversation["close_reason"]?.bytes() ?? ByteBuffer())
            }
            hasPieces = true
            flow.receive(.piece(FlowPiece(kind: .close, from: closedBy ?? .server, content: content)), at: end)
        }
        if !hasPieces { flow.count(.text, from: .client, size: 0, stored: 0, at: end) }
        let isOver = ended != nil || code != nil
        try Self.end(
            entries, at: isOver ? end : nil, closedBy: closedBy, isConversation: true, isCut: code == 1006,
            into: &flow)
    }

    /// Appends the end of a flow, with its error, comment and marker.
    /// - Parameters:
    ///   - at: when it ended, if known.
    ///   - isConversation: the messages after the heads decide whether it is complete.
    ///   - isCut: it did not end regularly.
    static func end(
        _ entries: TnetstringEntries, at: Timestamp?, closedBy: Side? = nil, isConversation: Bool = false,
        isCut: Bool = false,
        into flow: inout FlowAssembler
    ) throws(TnetstringError) {
        let so = flow.flow
        var error: FlowError?
        if let found = try entries["error"]?.entries() {
            let time = try found["timestamp"]?.time() ?? at ?? so.started
            error = FlowError(side: nil, message: try found["msg"]?.text() ?? "", at: time)
        }
        let isComplete = !isCut && (isConversation || so.request?.isComplete == true && so.response?.isComplete == true)
        let state: FlowState =
            error == nil ? (isComplete ? .complete : .incomplete) : so.response == nil && so.kind == .http ? .failed : .incomplete
        var ending = FlowEnding(state: state, error: error, closedBy: closedBy)
        ending.comment = try entries["comment"]?.text()
        if ending.comment?.isEmpty == true { ending.comment = nil }
        ending.tags = try entries.marker().map { [$0] } ?? so.tags
        // A flow without an end was still open; comments and marks are part of the end.
        if let at = [at, error?.at].compactMap({ $0 }).max() {
            flow.receive(.ended(ending), at: at)
        } else if ending.comment != nil || !ending.tags.isEmpty {
            flow.receive(.ended(ending), at: so.request?.ended ?? so.started)
        }
    }
}
