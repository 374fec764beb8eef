// Flows as text for people, in five levels of detail: nothing, a line, heads, content cut, everything.

import FlowModel
import HTTPSemantics
import NIOCore
import Protobuf

/// Prints flows as text.
package struct FlowTextPrinter: Sendable {
    /// Lines of content at detail 3, and characters of each.
    static let maximumLines = 512
    static let maximumCharacters = 1024

    private let style: TextStyle
    private let flowLine: FlowLine
    private var detail: Int { style.detail }
    private var palette: Palette { style.palette }

    package init(_ style: TextStyle) {
        self.style = style
        flowLine = FlowLine(style: style)
    }

    /// - Parameters:
    ///   - detail: 0 nothing, 1 a line, 2 heads, 3 content up to 512 lines, 4 everything.
    ///   - isColoured: with the colours of a terminal.
    package init(detail: Int, isColoured: Bool) { self.init(TextStyle(detail: detail, isColoured: isColoured)) }

    /// Appends a flow, with its line ends.
    /// - Parameter withMessages: whether the messages of a conversation are printed, as far as the level of detail goes.
    /// - Parameter drain: is given large output before the flow is complete. A conversation may be larger than memory.
    /// - Throws: errors of fetching content; the output so far stays.
    package func print(
        _ flow: Flow, withMessages: Bool = true, into out: inout ByteBuffer, drain: Drain = { _ in }
    ) throws {
        guard detail > 0 else { return }
        flowLine.write(flow, into: &out)
        guard detail > 1 else { return }
        FlowFacts(style: style).write(flow, into: &out)
        if let request = flow.request {
            try message(flow, .client, request.head.wire, request.head.fields, request, &out)
        }
        for interim in flow.interims {
            out.writeString("\n")
            head(interim.value.wire, &out)
        }
        if let response = flow.response {
            try message(flow, .server, response.head.wire, response.head.fields, response, &out)
        }
        if detail > 2, withMessages, flow.isConversation {
            try messages(flow, &out, drain)
        }
        remarks(flow, &out)
        if let comment = flow.comment {
            out.writeString("    comment: ")
            out.writeVisible(comment)
            out.writeString("\n")
        }
        out.writeString("\n")
    }

    /// Appends messages of an open conversation: for each a line that names its flow, and its content.
    /// - Parameter printed: the number of pieces that were printed before.
    package func printMessages(of flow: Flow, after printed: Int, into out: inout ByteBuffer, drain: Drain) throws {
        guard detail > 0 else { return }
        var rest = printed
        func isNew() -> Bool {
            if rest > 0 { rest -= 1 } else { return true }
            return false
        }
        func line(_ at: Timestamp, _ from: Side, _ kind: FlowPiece.Kind, _ size: UInt64, _ content: ByteBuffer?) {
            style.write(at, into: &out)
            if let client = flow.client?.value { out.writeString("\(client.peer) ") }
            out.writeString("\(from == .client ? ">>" : "<<") ")
            out.writeVisible(flow.displayURL ?? ByteBuffer(string: "\(flow.target.host):\(flow.target.port)"))
            message(kind, size, content, &out)
            out.writeString("\n")
        }
        try flow.pieces.forEach { at, piece in
            guard isNew() else { return true }
            line(at, piece.from, piece.kind, piece.size, piece.content)
            if detail > 2, !piece.isClose { view(piece, of: flow, maximumLines: Self.maximumLines, &out) }
            if out.readableBytes > maximumPrinted { try drain(&out) }
            return true
        } damaged: { piece in
            guard isNew() else { return true }
            line(piece.at, piece.from, piece.kind, piece.size, nil)
            out.writeString(damageMark(piece.size))
            return true
        }
    }

    private func damageMark(_ size: UInt64) -> String {
        palette.text("    (damaged: \(readableSize(size)) of the recording cannot be read)", .failure) + "\n"
    }

    /// The kind and size of a message, or the reason of a close frame.
    private func message(_ kind: FlowPiece.Kind, _ size: UInt64, _ content: ByteBuffer?, _ out: inout ByteBuffer) {
        guard kind == .close, let reason = content.flatMap({ CloseReason($0) }) else {
            return out.writeVisible(" \(kind) \(readableSize(size))")
        }
        out.writeString(" close \(reason.code)")
        guard reason.reason.readableBytes > 0 else { return }
        out.writeString(" (")
        out.writeVisible(reason.reason)
        out.writeString(")")
    }

    private func view(_ content: ViewedContent, maximumLines: Int, _ out: inout ByteBuffer) {
        var content = content
        content.schema = style.schema
        content.write(into: &out, as: style.contentView, limits: limits(maximumLines), palette: palette)
    }

    private func limits(_ lines: Int) -> ContentLimits {
        ContentLimits(lines: lines, characters: detail > 3 ? .max : Self.maximumCharacters)
    }

    /// A message of a conversation, as far as it is stored.
    private func view(_ piece: FlowPiece, of flow: Flow, maximumLines: Int, _ out: inout ByteBuffer) {
        let share = StoredShare(piece)
        if share?.stored != 0 { view(viewed(piece, of: flow), maximumLines: detail > 3 ? .max : maximumLines, &out) }
        if let share { out.writeString(palette.text("    (\(share.sentence))", .warning) + "\n") }
    }

    /// A message of a conversation, for its view.
    private func viewed(_ piece: FlowPiece, of flow: Flow) -> ViewedContent {
        var content = ViewedContent(piece.content)
        content.origin = ContentOrigin(
            side: piece.from, method: flow.request?.head.method, target: flow.request?.head.target,
            subprotocol: flow.isWebSocket ? flow.response?.head.fields.first("sec-websocket-protocol") : nil)
        return content
    }

    // MARK: Heads and content

    private func message(
        _ flow: Flow, _ side: Side, _ wire: ByteBuffer, _ fields: FieldSection, _ message: Message<some Any>,
        _ out: inout ByteBuffer
    ) throws {
        let (size, trailers) = (message.size, message.trailers)
        out.writeString("\n")
        head(wire, details: detail > 2 ? HeadDetails(style: style, started: flow.started) : nil, &out)
        if detail > 2, size > 0, !flow.isWebSocket, !(side == .server && flow.response?.head.status == 101) {
            out.writeString("\n")
            try content(of: flow, from: side, fields, size: size, into: &out)
        }
        if detail > 2, side == .client, size == 0 { query(flow, &out) }
        if let omission = flow.redaction?.omission(of: side) {
            out.writeString("    ")
            palette.write(.warning, into: &out) { $0.writeVisible("(\(omission.sentence))") }
            out.writeString("\n")
        }
        if message.ended == nil, flow.expectsContent(from: side, fields, size) {
            out.writeString(palette.text("    (incomplete: \(readableSize(size)) came)", .warning) + "\n")
        }
        if let trailers {
            out.writeString("\n    trailers\n")
            head(trailers.wire, hasStartLine: false, &out)
        }
        if detail > 2, side == .server { statusDetails(trailers?.grpcStatusDetails ?? fields.grpcStatusDetails, &out) }
    }

    /// Appends the content of a message as its view shows it.
    /// - Throws: errors of fetching content, unless it is damaged.
    package func content(
        of flow: Flow, from side: Side, _ fields: FieldSection, size: UInt64, into out: inout ByteBuffer
    ) throws {
        let body = try FlowBody(flow, side, size: size)
        if body.isDamaged { out.writeString(damageMark(size)) }
        // The media type does not describe bytes that could not be decoded.
        let type = body.decoded.isDecoded ? fields.first("content-type") : nil
        var content = ViewedContent(body.decoded.content, type: type, messageCoding: fields.messageCoding)
        content.origin = ContentOrigin(
            side: side, method: flow.request?.head.method, target: flow.request?.head.target, fields: fields,
            pieces: content.media == "text/event-stream" && flow.storedCodings(from: side).isEmpty
                ? try flow.contentPieces(side) : nil)
        if body.storedShare?.stored != 0 { view(content, maximumLines: detail > 3 ? .max : Self.maximumLines, &out) }
        if let remark = body.remark { out.writeString(palette.text("    (\(remark))", .warning) + "\n") }
    }

    /// Appends a message of a conversation as its view shows it.
    package func content(of piece: FlowPiece, in flow: Flow, into out: inout ByteBuffer) {
        view(viewed(piece, of: flow), maximumLines: detail > 3 ? .max : Self.maximumLines, &out)
    }

    /// Why a call of gRPC failed, beyond its code and message.
    private func statusDetails(_ status: ByteBuffer?, _ out: inout ByteBuffer) {
        guard let status else { return }
        out.writeString("\n    status details\n")
        let type = ByteBuffer(string: "application/protobuf; messageType=google.rpc.Status")
        view(ViewedContent(status, type: type), maximumLines: detail > 3 ? .max : Self.maximumLines, &out)
    }

    /// A request of GraphQL in the query of its target.
    private func query(_ flow: Flow, _ out: inout ByteBuffer) {
        guard let head = flow.request?.head, head.method.readableBytesView.elementsEqual("GET".utf8),
            let view = GraphQLView(queryOf: head.target)
        else { return }
        out.writeString("\n")
        CountedLines.append(to: &out, limits(detail > 3 ? .max : Self.maximumLines), palette) { view.show(in: &$0) }
    }

    /// The recorder's own response, bytes that could not be parsed, and notes.
    private func remarks(_ flow: Flow, _ out: inout ByteBuffer) {
        if let reply = flow.localReply?.value {
            out.writeString("\n    answer of the recorder itself\n")
            head(reply.head.wire, &out)
            if detail > 2, reply.content.readableBytes > 0 {
                out.writeString("\n")
                view(ViewedContent(reply.content), maximumLines: .max, &out)
            }
        }
        for malformed in flow.malformed.map(\.value) {
            out.writeString(
                "\n    refused bytes of the \(malformed.from), \(readableSize(UInt64(malformed.bytes.readableBytes)))\n")
            guard detail > 2 else { continue }
            view(ViewedContent(malformed.bytes), maximumLines: detail > 3 ? .max : Self.maximumLines, &out)
        }
        for note in flow.notes.map(\.value) {
            out.writeString("    note: ")
            out.writeVisible((note.side.map { "\($0): " } ?? "") + note.message)
            out.writeString("\n")
        }
        if let redaction = flow.redaction {
            out.writeString("    redacted: ")
            out.writeVisible(redaction.sentence)
            out.writeString("\n")
        }
    }

    /// The lines of a head, indented, without the empty one. The names of fields are coloured.
    /// - Parameter details: what is shown below the lines.
    private func head(_ wire: ByteBuffer, hasStartLine: Bool = true, details: HeadDetails? = nil, _ out: inout ByteBuffer) {
        var isFirst = hasStartLine
        for line in wire.lines where line.readableBytes > 0 {
            out.writeString("    ")
            // A field of HTTP/2 may begin with a colon.
            let colon = line.readableBytesView.dropFirst().firstIndex(of: UInt8(ascii: ":"))
            if palette.isColoured, !isFirst || line.readableBytesView.first == UInt8(ascii: ":"), let colon {
                let length = colon - line.readerIndex
                palette.write(.name, into: &out) { $0.writeVisible(line.slice(ByteRange(0, length))) }
                out.writeVisible(line.slice(ByteRange(length, line.readableBytes)))
            } else if isFirst {
                palette.write(.method, into: &out) { $0.writeVisible(line) }
            } else {
                out.writeVisible(line)
            }
            out.writeString("\n")
            details?.write(line, isStartLine: isFirst && line.readableBytesView.first != UInt8(ascii: ":"), into: &out)
            isFirst = false
        }
    }

    private func messages(_ flow: Flow, _ out: inout ByteBuffer, _ drain: Drain) throws {
        out.writeString("\n")
        var lines = detail > 3 ? Int.max : Self.maximumLines
        var shown = 0
        func line(_ at: Timestamp, _ from: Side, _ kind: FlowPiece.Kind, _ size: UInt64, _ content: ByteBuffer?) {
            out.writeString(from == .client ? "    >>" : "    <<")
            message(kind, size, content, &out)
            out.writeString(" +\(readableDuration(at - flow.started))\n")
        }
        try flow.pieces.forEach { at, piece in
            guard lines > 0 else { return false }
            line(at, piece.from, piece.kind, piece.size, piece.content)
            let start = out.writerIndex
            if !piece.isClose { view(piece, of: flow, maximumLines: lines, &out) }
            if detail == 3 { lines -= max(1, out.lineEnds(from: start)) }
            shown += 1
            if out.readableBytes > maximumPrinted { try drain(&out) }
            return true
        } damaged: { piece in
            guard lines > 0 else { return false }
            line(piece.at, piece.from, piece.kind, piece.size, nil)
            out.writeString(damageMark(piece.size))
            lines -= detail == 3 ? 1 : 0
            shown += 1
            return true
        }
        if shown < flow.pieces.count {
            out.writeString("    (cut: \(flow.pieces.count - shown) more messages, --detail 4 shows them)\n")
        }
    }
}

extension FlowPiece {
    /// A close frame whose reason its line shows.
    fileprivate var isClose: Bool { kind == .close && CloseReason(content) != nil }
}

extension Flow {
    /// Whether content of a message that is not complete is missing.
    fileprivate func expectsContent(from side: Side, _ fields: FieldSection, _ size: UInt64) -> Bool {
        if side == .server { return response?.head.status != 101 }
        // A request that announces no content has none.
        return size > 0 || fields.contains("content-length") || fields.contains("transfer-encoding")
    }

    /// When the content of a side was received.
    fileprivate func contentPieces(_ side: Side) throws -> [ContentPiece] {
        var received: [ContentPiece] = []
        var end = 0
        try pieces.forEach { at, piece in
            guard piece.from == side, piece.kind == .data else { return true }
            end += piece.content.readableBytes
            received.append(ContentPiece(end: end, after: at - started))
            return end < FlowBody.maximum
        }
        return received
    }

    /// Its pieces are messages of both sides, not the content of a request and a response.
    package var isConversation: Bool { kind == .tcp || isWebSocket || response?.head.status == 101 }

    /// Bytes that a side sent, as ``FlowAttributes/contentSize(from:)``; 0 where that does not apply.
    package func size(from side: Side) -> UInt64 { (try? contentSize(from: side)) ?? 0 }
}

/// Takes the output and leaves the buffer empty.
package typealias Drain = (inout ByteBuffer) throws -> Void

/// Bytes of output after which a conversation is drained.
let maximumPrinted = 1024 * 1024

extension ByteBuffer {
    /// The number of line ends after a writer index.
    fileprivate func lineEnds(from start: Int) -> Int {
        viewBytes(at: start, length: writerIndex - start)?.reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) } ?? 0
    }
}
