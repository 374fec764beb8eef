// Flows as text for people, in five levels of detail: nothing, a line, heads, content cut, everything.

import FlowModel
import HTTPSemantics
import NIOCore

/// Prints flows as text.
package struct FlowTextPrinter: Sendable {
    /// Lines of content at detail 3.
    static let maximumLines = 512

    private let detail: Int
    private let isColoured: Bool

    /// - Parameters:
    ///   - detail: 0 nothing, 1 a line, 2 heads, 3 content up to 512 lines, 4 everything.
    ///   - isColoured: with the colours of a terminal.
    package init(detail: Int, isColoured: Bool) {
        self.detail = detail
        self.isColoured = isColoured
    }

    /// Appends a flow, with its line ends.
    /// - Parameter withMessages: whether the messages of a conversation are printed, as far as the level of detail goes.
    /// - Parameter drain: is given large output before the flow is complete. A conversation may be larger than memory.
    /// - Throws: errors of fetching content; the output so far stays.
    package func print(
        _ flow: Flow, withMessages: Bool = true, into out: inout ByteBuffer, drain: Drain = { _ in }
    ) throws {
        guard detail > 0 else { return }
        line(flow, &out)
        guard detail > 1 else { return }
        connections(flow, &out)
        if let request = flow.request {
            try message(
                flow, .client, request.head.wire, request.head.fields, request.trailers, request.size, request.isComplete, &out)
        }
        for interim in flow.interims {
            out.writeString("\n")
            head(interim.value.wire, &out)
        }
        if let response = flow.response {
            try message(
                flow, .server, response.head.wire, response.head.fields, response.trailers, response.size, response.isComplete, &out
            )
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
        func line(_ from: Side, _ kind: FlowPiece.Kind, _ size: UInt64) {
            if let client = flow.client?.value { out.writeString("\(client.peer) ") }
            out.writeString("\(from == .client ? ">>" : "<<") ")
            out.writeVisible(flow.displayURL ?? ByteBuffer(string: "\(flow.target.host):\(flow.target.port)"))
            out.writeString(" \(kind) \(readableSize(size))\n")
        }
        try flow.pieces.forEach { _, piece in
            guard isNew() else { return true }
            line(piece.from, piece.kind, UInt64(piece.content.readableBytes))
            if detail > 2 {
                ViewedContent(piece.content).write(into: &out, maximumLines: detail > 3 ? .max : Self.maximumLines)
            }
            if out.readableBytes > maximumPrinted { try drain(&out) }
            return true
        } damaged: { piece in
            guard isNew() else { return true }
            line(piece.from, piece.kind, piece.size)
            out.writeString(damageMark(piece.size))
            return true
        }
    }

    private func damageMark(_ size: UInt64) -> String {
        coloured("    (damaged: \(readableSize(size)) of the recording cannot be read)\n", 31)
    }

    // MARK: One line

    private func line(_ flow: Flow, _ out: inout ByteBuffer) {
        if let client = flow.client?.value, !client.peer.host.isEmpty { out.writeString("\(client.peer): ") }
        switch flow.kind {
        case .http: httpLine(flow, &out)
        case .tcp: tcpLine(flow, &out)
        case .tls: out.writeVisible("TLS \(flow.target.host):\(flow.target.port)")
        }
        if let error = flow.error {
            out.writeString(coloured(" << ", 31))
            if flow.response == nil, flow.kind == .http { out.writeString("error: ") }
            var text = ByteBuffer()
            text.writeVisible(error.message)
            out.writeString(coloured(String(buffer: text), 31))
        } else if flow.ended == nil {
            out.writeString(coloured(flow.isBeingRecorded ? " << still open" : " << open at the end of the recording", 33))
        }
        if !flow.notes.isEmpty { out.writeString(" (\(flow.notes.count == 1 ? "a note" : "\(flow.notes.count) notes"))") }
        if !flow.tags.isEmpty { out.writeVisible(" [\(flow.tags.joined(separator: ", "))]") }
        out.writeString("\n")
    }

    private func httpLine(_ flow: Flow, _ out: inout ByteBuffer) {
        if let request = flow.request {
            var method = ByteBuffer()
            method.writeVisible(request.head.method)
            out.writeString(coloured(String(buffer: method), 1))
            out.writeString(" ")
            out.writeVisible(flow.displayURL ?? request.head.target)
            if request.head.version != .http1_1 { out.writeString(" \(request.head.version)") }
        } else {
            out.writeString("no request")
        }
        if let reply = flow.localReply?.value.head {
            out.writeString(" << ")
            out.writeString(coloured("\(reply.status)", 31))
            out.writeVisible(" \(String(buffer: reply.reason))\(reply.reason.readableBytes > 0 ? " " : "")by the recorder")
        }
        guard let response = flow.response else { return }
        let status = response.head.status
        out.writeString(" << ")
        out.writeString(coloured("\(status)", status >= 400 ? 31 : status >= 300 ? 33 : 32))
        out.writeString(" ")
        out.writeVisible(response.head.reason)
        out.writeString(response.head.reason.readableBytes > 0 ? " " : "")
        if let grpc = GRPCStatus(response) {
            var text = ByteBuffer()
            text.writeVisible("grpc \(grpc.name)")
            out.writeString(coloured(String(buffer: text), grpc.isOK ? 32 : 31))
            out.writeString(" ")
        }
        if flow.isWebSocket { out.writeString("WebSocket \(flow.pieces.count) messages ") }
        out.writeString(readableSize(response.size))
        if !response.isComplete, status != 101 { out.writeString(" (incomplete)") }
        if let request = flow.request {
            out.writeString(" \(readableDuration((response.ended ?? flow.ended ?? response.started) - request.started))")
        }
    }

    private func tcpLine(_ flow: Flow, _ out: inout ByteBuffer) {
        let isPassthrough = flow.passthrough != nil
        out.writeVisible("\(flow.target.scheme.uppercased()) \(flow.target.host):\(flow.target.port)")
        let fromClient = flow.passthrough?.fromClient ?? (try? flow.pieces.wireSize(from: .client)) ?? 0
        let fromServer = flow.passthrough?.fromServer ?? (try? flow.pieces.wireSize(from: .server)) ?? 0
        out.writeString(isPassthrough ? " passed through" : "")
        out.writeString(" >> \(readableSize(fromClient)) << \(readableSize(fromServer))")
        if let closedBy = flow.closedBy { out.writeString(", \(flow.isReset ? "reset" : "closed") by the \(closedBy)") }
        if let ended = flow.ended { out.writeString(" \(readableDuration(ended - flow.started))") }
    }

    // MARK: Heads and content

    private func connections(_ flow: Flow, _ out: inout ByteBuffer) {
        func connection(_ side: String, _ endpoint: String, _ details: TLSDetails?, _ settings: [PeerSetting]?) {
            out.writeString("    \(side) \(endpoint)")
            if let details, let version = details.version {
                out.writeString(" \(version) \(details.cipher ?? "")")
                if let alpn = details.alpn { out.writeVisible(" \(alpn)") }
                if let name = details.serverName { out.writeVisible(" SNI \(name)") }
                if details.isResumed { out.writeString(" resumed") }
                if details.isVerified == false { out.writeVisible(" NOT VERIFIED: \(details.verificationError ?? "")") }
            }
            out.writeString("\n")
            guard detail > 2, let settings else { return }
            out.writeString("        SETTINGS \(settings.map(\.description).joined(separator: " "))\n")
        }
        if let client = flow.client?.value, !client.peer.host.isEmpty {
            connection("client", client.peer.description, client.tls, client.settings)
        }
        if let server = flow.server?.value {
            connection(
                "server", server.target.description + (server.peer.map { " (\($0))" } ?? ""), server.tls, server.settings)
        }
    }

    private func message(
        _ flow: Flow, _ side: Side, _ wire: ByteBuffer, _ fields: FieldSection, _ trailers: FieldSection?, _ size: UInt64,
        _ isComplete: Bool,
        _ out: inout ByteBuffer
    ) throws {
        out.writeString("\n")
        head(wire, &out)
        if detail > 2, size > 0, !flow.isWebSocket, !(side == .server && flow.response?.head.status == 101) {
            let body = try FlowBody(flow, side, fields: fields, size: size)
            out.writeString("\n")
            if body.isDamaged { out.writeString(damageMark(size)) }
            // The media type does not describe bytes that could not be decoded.
            let type = body.decoded.isDecoded ? fields.first("content-type") : nil
            ViewedContent(body.decoded.content, type: type, messageCoding: fields.first("grpc-encoding"))
                .write(into: &out, maximumLines: detail > 3 ? .max : Self.maximumLines)
            if let remark = body.remark { out.writeString(coloured("    (\(remark))\n", 33)) }
        }
        if !isComplete, side == .client || flow.response?.head.status != 101 {
            out.writeString(coloured("    (incomplete: \(readableSize(size)) came)\n", 33))
        }
        if let trailers {
            out.writeString("\n    trailers\n")
            head(trailers.wire, &out)
        }
    }

    /// The recorder's own response, bytes that could not be parsed, and notes.
    private func remarks(_ flow: Flow, _ out: inout ByteBuffer) {
        if let reply = flow.localReply?.value {
            out.writeString("\n    answer of the recorder itself\n")
            head(reply.head.wire, &out)
            if detail > 2, reply.content.readableBytes > 0 {
                out.writeString("\n")
                ViewedContent(reply.content).write(into: &out, maximumLines: .max)
            }
        }
        for malformed in flow.malformed.map(\.value) {
            out.writeString(
                "\n    refused bytes of the \(malformed.from), \(readableSize(UInt64(malformed.bytes.readableBytes)))\n")
            guard detail > 2 else { continue }
            ViewedContent(malformed.bytes).write(into: &out, maximumLines: detail > 3 ? .max : Self.maximumLines)
        }
        for note in flow.notes.map(\.value) {
            out.writeString("    note: ")
            out.writeVisible((note.side.map { "\($0): " } ?? "") + note.message)
            out.writeString("\n")
        }
    }

    /// The lines of a head, indented, without the empty one.
    private func head(_ wire: ByteBuffer, _ out: inout ByteBuffer) {
        for line in wire.lines where line.readableBytes > 0 {
            out.writeString("    ")
            out.writeVisible(line)
            out.writeString("\n")
        }
    }

    private func messages(_ flow: Flow, _ out: inout ByteBuffer, _ drain: Drain) throws {
        out.writeString("\n")
        var lines = detail > 3 ? Int.max : Self.maximumLines
        var shown = 0
        func line(_ at: Timestamp, _ from: Side, _ kind: FlowPiece.Kind, _ size: UInt64) {
            let arrow = from == .client ? ">>" : "<<"
            out.writeString("    \(arrow) \(kind) \(readableSize(size)) +\(readableDuration(at - flow.started))\n")
        }
        try flow.pieces.forEach { at, piece in
            guard lines > 0 else { return false }
            line(at, piece.from, piece.kind, UInt64(piece.content.readableBytes))
            let start = out.writerIndex
            ViewedContent(piece.content).write(into: &out, maximumLines: detail > 3 ? .max : lines)
            if detail == 3 { lines -= max(1, out.lineEnds(from: start)) }
            shown += 1
            if out.readableBytes > maximumPrinted { try drain(&out) }
            return true
        } damaged: { piece in
            guard lines > 0 else { return false }
            line(piece.at, piece.from, piece.kind, piece.size)
            out.writeString(damageMark(piece.size))
            lines -= detail == 3 ? 1 : 0
            shown += 1
            return true
        }
        if shown < flow.pieces.count {
            out.writeString("    (cut: \(flow.pieces.count - shown) more messages, --detail 4 shows them)\n")
        }
    }

    private func coloured(_ text: String, _ colour: Int) -> String { isColoured ? "\u{1b}[\(colour)m\(text)\u{1b}[0m" : text }
}

extension Flow {
    /// Its pieces are messages of both sides, not the content of a request and a response.
    package var isConversation: Bool { kind == .tcp || isWebSocket || response?.head.status == 101 }

    /// Bytes that a side sent: of content, of messages, of a stream or of a connection that was passed through.
    package func size(from side: Side) -> UInt64 {
        if let passthrough { return side == .client ? passthrough.fromClient : passthrough.fromServer }
        if isConversation { return (try? pieces.wireSize(from: side)) ?? 0 }
        return (side == .client ? request?.size : response?.size) ?? 0
    }
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

    /// The lines of the bytes, without their ends (LF or CRLF).
    var lines: [ByteBuffer] {
        var lines: [ByteBuffer] = []
        let span = readableBytesUInt8Span
        var start = 0
        for i in 0...span.count where i == span.count || span[i] == 0x0A {
            if i == span.count, start == i { break }
            let end = i > start && span[i - 1] == 0x0D ? i - 1 : i
            lines.append(slice(ByteRange(start, end)))
            start = i + 1
        }
        return lines
    }
}
