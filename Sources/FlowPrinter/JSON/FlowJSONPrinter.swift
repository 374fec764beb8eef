// Flows as JSON Lines: one object a flow, in a schema that only grows. Unknown values are left out.

import FlowModel
import HTTPSemantics
import NIOCore
import Protobuf

/// Prints flows as JSON Lines.
package struct FlowJSONPrinter: Sendable {
    private let (rawBody, withContent): (Bool, Bool)
    private let schema: ProtobufSchema

    /// - Parameters:
    ///   - rawBody: bodies as they were sent, in base64; otherwise decoded, as text where they are text.
    ///   - withContent: otherwise bodies have their sizes alone, and messages are left out.
    ///   - schema: the types of protobuf messages.
    package init(rawBody: Bool, withContent: Bool = true, schema: ProtobufSchema = .builtIn) {
        (self.rawBody, self.withContent) = (rawBody, withContent)
        self.schema = schema
    }

    /// Appends a flow's line.
    /// - Parameter drain: is given large output before the flow is complete. A conversation may be larger than memory.
    /// - Throws: errors of fetching content. Nothing is appended then, except the end of a line that was drained in part.
    package func print(_ flow: Flow, into out: inout ByteBuffer, drain: Drain = { _ in }) throws {
        var isDrained = false
        func pour(_ json: JSONWriter) throws {
            guard json.out.count > maximumPrinted else { return }
            json.take(into: &out)
            isDrained = true
            try drain(&out)
        }
        var json = JSONWriter()
        do {
            try write(flow, &json, pour)
        } catch {
            if isDrained { out.writeString("\n") }
            throw error
        }
        json.write(into: &out)
    }

    private func write(_ flow: Flow, _ json: inout JSONWriter, _ pour: (JSONWriter) throws -> Void) throws {
        json.beginObject()
        facts(flow, &json)
        connections(flow, &json)
        if let request = flow.request { try self.request(flow, request, &json, pour) }
        if !flow.interims.isEmpty { interims(flow.interims, &json) }
        if let response = flow.response { try self.response(flow, response, &json, pour) }
        if let reply = flow.localReply { localReply(reply, &json) }
        if flow.isWebSocket, withContent { try webSocket(flow, &json, pour) }
        if withContent, flow.kind == .tcp || (flow.response?.head.status == 101 && !flow.isWebSocket) { try tcp(flow, &json, pour) }
        ending(flow, &json)
        json.endObject()
        json.newLine()
    }

    private func facts(_ flow: Flow, _ json: inout JSONWriter) {
        json.key("id")
        json.string(flow.id.description)
        json.key("kind")
        json.string(flow.kind.description)
        json.key("state")
        json.string(flow.state.description)
        json.key("started")
        json.time(flow.started)
        if let ended = flow.ended {
            json.key("ended")
            json.time(ended)
            json.key("duration_ms")
            json.milliseconds(ended - flow.started)
        }
        if let error = flow.error {
            json.key("error")
            json.beginObject()
            json.key("message")
            json.string(error.message)
            if let side = error.side {
                json.key("side")
                json.string("\(side)")
            }
            json.endObject()
        }
    }

    private func connections(_ flow: Flow, _ json: inout JSONWriter) {
        if let client = flow.client?.value, !client.peer.host.isEmpty {
            json.key("mode")
            json.string(client.mode)
            json.key("client")
            json.beginObject()
            json.key("id")
            json.string(client.id.description)
            json.key("address")
            json.string(client.peer.description)
            if let details = client.tls { tls(details, &json) }
            if let said = client.settings { settings(said, &json) }
            json.endObject()
        }
        json.key("server")
        json.beginObject()
        if let id = flow.server?.value.id {
            json.key("id")
            json.string(id.description)
        }
        if let peer = flow.server?.value.peer {
            json.key("address")
            json.string(peer.description)
        }
        json.key("host")
        json.string(flow.target.host)
        json.key("port")
        json.number(flow.target.port)
        if let details = flow.server?.value.tls { tls(details, &json) }
        if let said = flow.server?.value.settings { settings(said, &json) }
        json.endObject()
    }

    private func settings(_ settings: [PeerSetting], _ json: inout JSONWriter) {
        json.key("settings")
        json.beginArray()
        for setting in settings {
            json.beginObject()
            json.key("id")
            json.number(setting.id)
            if let name = setting.name {
                json.key("name")
                json.string(name)
            }
            json.key("value")
            json.number(setting.value)
            json.endObject()
        }
        json.endArray()
    }

    private func tls(_ details: TLSDetails, _ json: inout JSONWriter) {
        json.key("tls")
        json.beginObject()
        func text(_ name: StaticString, _ value: String?) {
            guard let value else { return }
            json.key(name)
            json.string(value)
        }
        text("version", details.version)
        text("cipher", details.cipher)
        text("sni", details.serverName)
        text("alpn", details.alpn)
        text("ja3", details.ja3)
        text("ja4", details.ja4)
        if details.isResumed {
            json.key("resumed")
            json.bool(true)
        }
        if let isVerified = details.isVerified {
            json.key("verified")
            json.bool(isVerified)
        }
        text("verification_error", details.verificationError)
        if let started = details.handshakeStarted, let ended = details.handshakeEnded {
            json.key("handshake_ms")
            json.milliseconds(ended - started)
        }
        json.endObject()
    }

    // MARK: HTTP

    private func request(
        _ flow: Flow, _ request: Message<RequestHead>, _ json: inout JSONWriter, _ pour: (JSONWriter) throws -> Void
    ) throws {
        json.key("request")
        json.beginObject()
        json.member("method", request.head.method, exact: "method_base64")
        json.key("scheme")
        json.string(flow.target.scheme)
        if let authority = flow.requestAuthority ?? request.head.fields.first("host") {
            json.member("authority", authority, exact: "authority_base64")
        }
        json.member("path", flow.requestPath, exact: "path_base64")
        if let url = flow.displayURL { json.member("url", url, exact: "url_base64") }
        json.key("version")
        json.string(request.head.version.description)
        json.key("stream_id")
        json.number(flow.stream.value)
        json.fields("headers", request.head.fields)
        if let trailers = request.trailers { json.fields("trailers", trailers) }
        // What follows 101 is not the request's content.
        if request.size > 0 || request.ended == nil, flow.response?.head.status != 101 {
            try body(flow, .client, request, request.head.fields, &json, pour)
        }
        json.key("started")
        json.time(request.started)
        if let ended = request.ended {
            json.key("ended")
            json.time(ended)
        }
        json.endObject()
    }

    private func interims(_ heads: [Timed<ResponseHead>], _ json: inout JSONWriter) {
        json.key("informational")
        json.beginArray()
        for head in heads {
            json.beginObject()
            json.key("at")
            json.time(head.at)
            json.key("status")
            json.number(head.value.status)
            json.fields("headers", head.value.fields)
            json.endObject()
        }
        json.endArray()
    }

    private func response(
        _ flow: Flow, _ response: Message<ResponseHead>, _ json: inout JSONWriter, _ pour: (JSONWriter) throws -> Void
    ) throws {
        json.key("response")
        json.beginObject()
        json.key("status")
        json.number(response.head.status)
        json.member("reason", response.head.reason, exact: "reason_base64")
        json.key("version")
        json.string(response.head.version.description)
        json.fields("headers", response.head.fields)
        if let trailers = response.trailers { json.fields("trailers", trailers) }
        grpcStatus(response, &json)
        if response.size > 0 || response.ended == nil, response.head.status != 101 {
            try body(flow, .server, response, response.head.fields, &json, pour)
        }
        json.key("started")
        json.time(response.started)
        if let ended = response.ended {
            json.key("ended")
            json.time(ended)
        }
        if let time = flow.timeToFirstByte {
            json.key("ttfb_ms")
            json.milliseconds(time)
        }
        json.endObject()
    }

    /// How a call of gRPC ended.
    private func grpcStatus(_ response: Message<ResponseHead>, _ json: inout JSONWriter) {
        let fields = response.trailers?.contains("grpc-status") == true ? response.trailers! : response.head.fields
        guard let status = GRPCStatus(fields: response.head.fields, trailers: response.trailers) else { return }
        json.key("grpc")
        json.beginObject()
        if let code = status.code {
            json.key("status")
            json.number(code)
        }
        json.key("name")
        json.string(status.name)
        if let message = fields.first("grpc-message") {
            json.key("message")
            json.string(message.percentDecoded)
        }
        if let details = fields.grpcStatusDetails, let found = schema.type(named: "google.rpc.Status", of: nil) {
            json.key("details")
            var mapping = ProtoJSON(decoder: ProtobufDecoder(found.types))
            _ = mapping.write(details, as: found.type, into: &json)
        }
        json.endObject()
    }

    private func body<Head>(
        _ flow: Flow, _ side: Side, _ message: Message<Head>, _ fields: FieldSection, _ json: inout JSONWriter,
        _ pour: (JSONWriter) throws -> Void
    ) throws {
        let body = withContent ? try FlowBody(flow, side, size: message.size) : nil
        json.key("body")
        json.beginObject()
        json.key("size")
        json.number(message.size)
        json.key("stored")
        json.number(message.storedSize)
        json.key("complete")
        json.bool(message.isComplete && body?.isDamaged != true)
        if message.isStoredDecoded {
            json.key("stored_decoded")
            json.bool(true)
        }
        guard let body else { return json.endObject() }
        guard !body.isDamaged else {
            json.damageMark()
            return json.endObject()
        }
        try json.content(rawBody ? body.wire : body.decoded.content, isText: !rawBody, pour: pour)
        if !rawBody, !body.decoded.isDecoded {
            json.key("decoded")
            json.bool(false)
        }
        if let cut = flow.cut(of: side) { json.truncated(cut) }
        if !rawBody, let remark = body.remark {
            json.key("remark")
            json.string(remark)
        }
        if let type = fields.first("content-type") {
            if !rawBody, body.decoded.isDecoded,
                let media = ProtobufMedia(contentType: type)?.checked(by: body.decoded.content)
            {
                let call = flow.requestTarget.flatMap { RPCMessage(target: $0, from: side) }
                let found = schema.type(named: media.messageType, of: call)
                var protobuf = ProtobufJSON(found?.type, found?.types ?? ProtobufTypes())
                protobuf.write(body.decoded.content, media: media, coding: fields.messageCoding, into: &json)
            }
            if type.isEventStream { try chunks(flow, side, &json) }
        }
        json.endObject()
    }

    /// The times of an event stream: when each piece was received.
    private func chunks(_ flow: Flow, _ side: Side, _ json: inout JSONWriter) throws {
        json.key("chunks")
        json.beginArray()
        try flow.pieces.forEach { at, piece in
            guard piece.kind == .data, piece.from == side else { return true }
            json.beginObject()
            json.key("at")
            json.time(at)
            json.key("size")
            json.number(piece.size)
            json.endObject()
            return true
        }
        json.endArray()
    }

    // MARK: Messages

    private func webSocket(_ flow: Flow, _ json: inout JSONWriter, _ pour: (JSONWriter) throws -> Void) throws {
        json.key("websocket")
        json.beginObject()
        json.key("messages")
        json.beginArray()
        var close: FlowPiece?
        func begin(_ at: Timestamp, _ from: Side, _ kind: FlowPiece.Kind, _ size: UInt64) {
            json.message(at, from)
            json.key("opcode")
            json.string("\(kind)")
            json.key("size")
            json.number(size)
        }
        try flow.pieces.forEach { at, piece in
            if piece.kind == .data { return true }
            if piece.kind == .close, close == nil { close = piece }
            begin(at, piece.from, piece.kind, piece.size)
            if piece.wireSize != piece.size {
                json.key("compressed_size")
                json.number(piece.wireSize)
            }
            json.content(of: piece, isText: !rawBody && piece.kind != .binary)
            json.endObject()
            try pour(json)
            return true
        } damaged: { piece in
            if piece.kind == .data { return true }
            begin(piece.at, piece.from, piece.kind, piece.size)
            json.damageMark()
            json.endObject()
            return true
        }
        json.endArray()
        if let close, let reason = CloseReason(close.content) {
            json.key("close")
            json.beginObject()
            json.key("code")
            json.number(reason.code)
            json.member("reason", reason.reason, exact: "reason_base64")
            json.key("by")
            json.string("\(close.from)")
            json.endObject()
        }
        json.endObject()
    }

    private func tcp(_ flow: Flow, _ json: inout JSONWriter, _ pour: (JSONWriter) throws -> Void) throws {
        json.key("tcp")
        json.beginObject()
        json.key("messages")
        json.beginArray()
        try flow.pieces.forEach { at, piece in
            json.message(at, piece.from)
            json.key("size")
            json.number(piece.size)
            json.content(of: piece, isText: !rawBody)
            json.endObject()
            try pour(json)
            return true
        } damaged: { piece in
            json.message(piece.at, piece.from)
            json.key("size")
            json.number(piece.size)
            json.damageMark()
            json.endObject()
            return true
        }
        json.endArray()
        json.cuts(of: flow)
        if let closedBy = flow.closedBy {
            json.key("closed_by")
            json.string("\(closedBy)")
            json.key("how")
            json.string(flow.isReset ? "reset" : "fin")
        }
        json.endObject()
    }

    /// The recorder's own response.
    private func localReply(_ reply: Timed<LocalReply>, _ json: inout JSONWriter) {
        json.key("local_reply")
        json.beginObject()
        json.key("at")
        json.time(reply.at)
        json.key("status")
        json.number(reply.value.head.status)
        json.member("reason", reply.value.head.reason, exact: "reason_base64")
        json.key("version")
        json.string(reply.value.head.version.description)
        json.fields("headers", reply.value.head.fields)
        json.key("size")
        json.number(reply.value.content.readableBytes)
        json.content(reply.value.content, isText: !rawBody)
        json.endObject()
    }

    private func malformed(_ malformed: [Timed<MalformedBytes>], _ json: inout JSONWriter) {
        json.key("malformed")
        json.beginArray()
        for timed in malformed {
            json.beginObject()
            json.key("at")
            json.time(timed.at)
            json.key("from")
            json.string("\(timed.value.from)")
            json.key("size")
            json.number(timed.value.bytes.readableBytes)
            json.content(timed.value.bytes, isText: !rawBody)
            json.endObject()
        }
        json.endArray()
    }

    private func notes(_ notes: [Timed<FlowNote>], _ json: inout JSONWriter) {
        json.key("notes")
        json.beginArray()
        for note in notes {
            json.beginObject()
            json.key("at")
            json.time(note.at)
            if let side = note.value.side {
                json.key("side")
                json.string("\(side)")
            }
            json.key("message")
            json.string(note.value.message)
            json.endObject()
        }
        json.endArray()
    }

    private func ending(_ flow: Flow, _ json: inout JSONWriter) {
        if !flow.malformed.isEmpty { malformed(flow.malformed, &json) }
        if !flow.notes.isEmpty { notes(flow.notes, &json) }
        if let sizes = flow.passthrough {
            json.key("passthrough")
            json.beginObject()
            json.key("bytes_from_client")
            json.number(sizes.fromClient)
            json.key("bytes_from_server")
            json.number(sizes.fromServer)
            json.endObject()
        }
        if let redaction = flow.redaction { json.redaction(redaction) }
        if !flow.tags.isEmpty {
            json.key("tags")
            json.beginArray()
            flow.tags.forEach { json.string($0) }
            json.endArray()
        }
        if let comment = flow.comment {
            json.key("comment")
            json.string(comment)
        }
    }
}

extension JSONWriter {
    /// Begins the object of a message.
    fileprivate mutating func message(_ at: Timestamp, _ from: Side) {
        beginObject()
        key("at")
        time(at)
        key("from")
        string("\(from)")
    }

    /// The content of a message, or of data of a stream, as far as it is stored.
    fileprivate mutating func content(of piece: FlowPiece, isText: Bool) {
        if UInt64(piece.content.readableBytes) != piece.size {
            key("stored")
            number(piece.content.readableBytes)
        }
        content(piece.content, isText: isText)
        if let cut = piece.cut?.value { truncated(cut) }
    }

    /// Not all of a content is stored: size and digest of the whole.
    fileprivate mutating func truncated(_ cut: ContentCut) {
        key("truncated")
        beginObject()
        members(of: cut)
        endObject()
    }

    private mutating func members(of cut: ContentCut) {
        key("size")
        number(cut.size)
        guard let digest = cut.hexadecimalSHA256 else { return }
        key("sha256")
        string(digest)
    }

    /// The sides of a stream whose data is not all stored.
    fileprivate mutating func cuts(of flow: Flow) {
        let cuts = [Side.client, .server].compactMap { side in flow.cut(of: side).map { (side, $0) } }
        guard !cuts.isEmpty else { return }
        key("truncated")
        beginArray()
        for (side, cut) in cuts {
            beginObject()
            key("from")
            string("\(side)")
            members(of: cut)
            endObject()
        }
        endArray()
    }

    /// The content is damaged in the recording, so it does not stand here.
    fileprivate mutating func damageMark() {
        key("damaged")
        bool(true)
    }

    /// Pairs of names and values. When one of them is not UTF-8, a second member, `…_base64`, holds all of them in base64.
    mutating func fields(_ name: StaticString, _ section: FieldSection) {
        var isText = true
        key(name)
        beginArray()
        for line in section.lines {
            beginArray()
            if !string(section.slice(line.name)) { isText = false }
            if !string(section.slice(line.value)) { isText = false }
            endArray()
        }
        endArray()
        guard !isText else { return }
        key(name, "_base64")
        beginArray()
        for line in section.lines {
            beginArray()
            base64(section.slice(line.name))
            base64(section.slice(line.value))
            endArray()
        }
        endArray()
    }
}

extension ByteBuffer {
    fileprivate var isEventStream: Bool {
        slice(ByteRange(0, min(17, readableBytes))).equalsIgnoringCase("text/event-stream")
    }
}

extension Flow {
    /// The path and query of the request: its target without scheme and authority.
    fileprivate var requestPath: ByteBuffer {
        guard let target = requestTarget else { return ByteBuffer() }
        let bytes = target.readableBytesUInt8Span
        guard bytes.count > 0, bytes[0] != 0x2F, bytes[0] != 0x2A, request?.head.isMethod("CONNECT") == false else { return target }
        var slashes = 0
        for i in 0..<bytes.count where bytes[i] == 0x2F {
            slashes += 1
            if slashes == 3 { return target.slice(ByteRange(i, bytes.count)) }
        }
        return ByteBuffer(string: "/")
    }
}
