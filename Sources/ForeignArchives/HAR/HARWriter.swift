// Writes HAR 1.2: one JSON object with an entry for each HTTP flow. Content is decoded, as in browsers. Facts that HAR has no
// member for are in members that begin with an underscore, as HAR requires; our reader and others know them.

import ContentCoding
import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore

/// Writes flows as the entries of one archive.
package struct HARWriter: Sendable {
    /// Larger bodies are left out: an entry is built in memory.
    private static let maximumBody = 256 << 20

    private let version: String
    private var hasEntries = false
    private var isBegun = false
    package private(set) var report = ConversionReport(format: "har")
    /// What the current flow lost to the limits of the format, and to damage.
    private var found: [LossClass: Int] = [:]

    /// - Parameter version: of the program, for `creator`.
    package init(version: String) { self.version = version }

    /// Appends the entry of a flow.
    /// - Returns: false if the flow is not an HTTP exchange, or its malformed request has no URL; nothing is appended then. Readers
    ///   reject a whole file for an entry without a URL.
    /// - Throws: if content cannot be read; nothing is appended then.
    package mutating func write(_ flow: Flow, into out: inout ByteBuffer) throws -> Bool {
        guard flow.kind == .http, let request = flow.request, let url = flow.exportedURL else {
            report.leaveOut(flow, flow.isHTTPWithRequest ? .noURL : flow.kindLeftOut)
            return false
        }
        var json = JSONWriter()
        // A message that is not all stored is incomplete when it is read, and has no end.
        let cuts = [request.isCut && request.ended != nil, flow.response?.isCut == true && flow.response?.ended != nil]
        found = [.messageTimes: cuts.count { $0 }]
        if !request.head.isMethod("CONNECT"), HARLocation(url)?.target == flow.target { found[.target] = 0 }
        if flow.openEnds > 0 { found[.contentLength] = flow.openEnds }
        json.beginObject()
        try facts(flow, request, url, &json)
        json.endObject()
        begin(&out)
        out.writeStaticString(hasEntries ? ",\n" : "\n")
        hasEntries = true
        try report.write(flow, found: found, by: Self.fate)
        json.write(into: &out)
        return true
    }

    /// Ends the file.
    package mutating func finish(into out: inout ByteBuffer) {
        begin(&out)
        out.writeStaticString("\n]}}\n")
    }

    private mutating func begin(_ out: inout ByteBuffer) {
        guard !isBegun else { return }
        isBegun = true
        out.writeString("{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"mitm\",\"version\":\"\(version)\"},\"entries\":[")
    }

    private mutating func facts(_ flow: Flow, _ request: Message<RequestHead>, _ url: ByteBuffer, _ json: inout JSONWriter) throws {
        json.key("startedDateTime")
        json.time(flow.started)
        let steps = HARSteps(flow, request)
        json.key("time")
        json.milliseconds(steps.blocked + steps.send + steps.wait + steps.receive)
        json.key("request")
        try self.request(flow, request, url, &json)
        json.key("response")
        if let reply = flow.localReply?.value { localReply(reply, &json) } else { try response(flow, &json) }
        json.key("cache")
        json.beginObject()
        json.endObject()
        json.key("timings")
        steps.write(&json)
        if let peer = flow.server?.value.peer {
            json.key("serverIPAddress")
            json.string(peer.host)
        }
        if let server = flow.server?.value {
            json.key("connection")
            json.string(server.id.description)
        }
        if let comment = flow.comment {
            json.key("comment")
            json.string(comment)
        }
        json.key("_id")
        json.string(flow.id.description)
        if let error = flow.error {
            json.key("_error")
            json.string(error.message)
        }
        if !flow.notes.isEmpty {
            json.key("_notes")
            json.beginArray()
            for note in flow.notes { json.string((note.value.side.map { "\($0): " } ?? "") + note.value.message) }
            json.endArray()
        }
        if flow.isWebSocket { try conversation(flow, &json) }
    }

    // MARK: Messages

    private mutating func request(_ flow: Flow, _ request: Message<RequestHead>, _ url: ByteBuffer, _ json: inout JSONWriter) throws
    {
        let head = request.asStored.head
        var isDamaged = false
        json.beginObject()
        json.member("method", head.method, exact: "_methodBase64")
        json.key("url")
        json.string(url)
        // A target that a reader cannot derive from the URL: in another form, or with characters that a URL cannot contain.
        if !head.isMethod("CONNECT"), HARLocation(url)?.path != head.target {
            json.member("_target", head.target, exact: "_targetBase64")
        }
        json.key("httpVersion")
        json.string(head.version.description)
        json.key("cookies")
        json.beginArray()
        for line in head.fields.all("cookie") { for part in line.parts(at: 0x3B) { json.pair(part.trimmed()) } }
        json.endArray()
        fields(head.fields, &json)
        if let trailers = request.trailers { fields(trailers, as: "_trailers", &json) }
        json.key("queryString")
        json.beginArray()
        if let query = url.parts(at: 0x3F, maximum: 2).dropFirst().first {
            for part in query.parts(at: 0x26) where part.readableBytes > 0 { json.pair(part) }
        }
        json.endArray()
        if request.size > 0, flow.status != 101 {
            json.key("postData")
            json.beginObject()
            json.key("mimeType")
            json.string(head.fields.first("content-type") ?? ByteBuffer())
            if request.storedSize <= UInt64(Self.maximumBody) {
                if let content = try flow.pieces.contentUnlessDamaged(from: .client) {
                    json.content(content, type: head.fields.first("content-type"))
                } else {
                    isDamaged = true
                    found[.damagedContent, default: 0] += 1
                    json.damageMark()
                }
            } else {
                found[.largeContent, default: 0] += 1
            }
            json.comment(missing: request.hasAllContent ? 0 : request.size - min(request.storedSize, request.size))
            json.endObject()
        }
        sizes(head.wire, head.version, request.size, isComplete: request.ended != nil && !request.isCut && !isDamaged, &json)
        json.endObject()
    }

    private mutating func response(_ flow: Flow, _ json: inout JSONWriter) throws {
        json.beginObject()
        defer { json.endObject() }
        json.key("status")
        json.number(flow.status)
        json.member("statusText", flow.response?.head.reason ?? ByteBuffer(), exact: "_statusTextBase64")
        json.key("httpVersion")
        json.string(flow.response?.head.version.description ?? "")
        json.key("cookies")
        json.beginArray()
        for line in flow.responseFields?.all("set-cookie") ?? [] { json.pair(line.parts(at: 0x3B)[0].trimmed()) }
        json.endArray()
        fields(flow.response?.asStored.head.fields ?? FieldSection(), &json)
        if let trailers = flow.response?.trailers { fields(trailers, as: "_trailers", &json) }
        json.key("redirectURL")
        json.string(flow.responseFields?.first("location") ?? ByteBuffer())
        json.key("content")
        json.beginObject()
        let size = flow.status == 101 ? 0 : flow.response?.size ?? 0
        var isDamaged = false
        let decoded = flow.response?.storedSize ?? 0 <= UInt64(Self.maximumBody) ? try decodedContent(of: flow, &isDamaged) : nil
        json.key("size")
        json.number(decoded.map { UInt64($0.content.readableBytes) } ?? size)
        json.key("mimeType")
        json.string(flow.responseFields?.first("content-type") ?? ByteBuffer())
        if let decoded {
            json.content(decoded.content, type: flow.responseFields?.first("content-type"))
            // Readers keep the Content-Encoding of such content.
            if !decoded.isDecoded {
                json.key("_decoded")
                json.bool(false)
            }
        }
        if isDamaged {
            found[.damagedContent, default: 0] += 1
            json.damageMark()
        } else if decoded == nil {
            found[.largeContent, default: 0] += 1
        }
        if decoded?.isDecoded != true { found[.contentCoding] = 0 }
        if let response = flow.response, !response.hasAllContent, flow.status != 101 {
            json.comment(missing: response.size - min(response.storedSize, response.size))
        }
        json.endObject()
        if let response = flow.response {
            let isComplete = !isDamaged && (response.ended != nil && !response.isCut || flow.status == 101)
            sizes(response.head.wire, response.head.version, size, isComplete: isComplete, &json)
        } else {
            sizes(ByteBuffer(), .http2, 0, isComplete: true, &json)
        }
    }

    /// The recorder's own answer to the client.
    private func localReply(_ reply: LocalReply, _ json: inout JSONWriter) {
        json.beginObject()
        json.key("status")
        json.number(reply.head.status)
        json.member("statusText", reply.head.reason, exact: "_statusTextBase64")
        json.key("httpVersion")
        json.string(reply.head.version.description)
        json.key("cookies")
        json.beginArray()
        json.endArray()
        fields(reply.head.fields, &json)
        json.key("redirectURL")
        json.string(ByteBuffer())
        json.key("content")
        json.beginObject()
        json.key("size")
        json.number(reply.content.readableBytes)
        json.key("mimeType")
        json.string(reply.head.fields.first("content-type") ?? ByteBuffer())
        json.content(reply.content, type: reply.head.fields.first("content-type"))
        json.endObject()
        sizes(reply.head.wire, reply.head.version, UInt64(reply.content.readableBytes), isComplete: true, &json)
        json.key("_localReply")
        json.bool(true)
        json.endObject()
    }

    /// The decoded content of the response. Content that cannot be decoded is as it was sent, even if it is only truncated and the
    /// recording has all of it.
    /// - Returns: nil if it is too large, or damaged.
    private func decodedContent(of flow: Flow, _ isDamaged: inout Bool) throws -> DecodedContent? {
        guard let response = flow.response, flow.status != 101 else {
            return DecodedContent(content: ByteBuffer(), outcome: .complete)
        }
        guard let wire = try flow.pieces.contentUnlessDamaged(from: .server) else {
            isDamaged = true
            return nil
        }
        let decoded = decodeContent(wire, codings: response.storedCodings, maximum: Self.maximumBody)
        switch decoded.outcome {
        case .limited: return nil
        case .truncated where response.isComplete:
            return DecodedContent(content: wire, outcome: .failed(DecodedContent.truncated))
        default: return decoded
        }
    }

    private func sizes(_ head: ByteBuffer, _ version: HTTPVersion, _ body: UInt64, isComplete: Bool, _ json: inout JSONWriter) {
        // HTTP/2 compresses its heads; -1 means unknown.
        json.key("headersSize")
        json.number(version.major >= 2 ? -1 : head.readableBytes)
        json.key("bodySize")
        json.number(body)
        guard !isComplete else { return }
        json.key("_incomplete")
        json.bool(true)
    }

    private func fields(_ fields: FieldSection, as key: StaticString = "headers", _ json: inout JSONWriter) {
        json.key(key)
        json.beginArray()
        for line in fields.lines { json.pair(fields.slice(line.name), fields.slice(line.value)) }
        json.endArray()
    }

    private mutating func conversation(_ flow: Flow, _ json: inout JSONWriter) throws {
        json.key("_resourceType")
        json.string("websocket")
        json.key("_webSocketMessages")
        json.beginArray()
        func begin(_ at: Timestamp, _ from: Side, _ kind: FlowPiece.Kind) -> Int? {
            let opcodes: [FlowPiece.Kind: Int] = [.text: 1, .binary: 2, .close: 8, .ping: 9, .pong: 10]
            guard let opcode = opcodes[kind] else { return nil }
            json.beginObject()
            json.key("type")
            json.string(from == .client ? "send" : "receive")
            json.key("time")
            json.decimal(at.decimalSeconds)
            json.key("opcode")
            json.number(opcode)
            return opcode
        }
        try flow.pieces.forEach { at, piece in
            guard let opcode = begin(at, piece.from, piece.kind) else { return true }
            json.key("data")
            if opcode != 1 {
                json.base64(piece.content)
            } else if !json.string(piece.content) {
                json.key("_dataBase64")
                json.base64(piece.content)
            }
            if let cut = piece.cut?.value { json.comment(missing: cut.size - min(UInt64(piece.content.readableBytes), cut.size)) }
            json.endObject()
            return true
        } damaged: { piece in
            guard begin(piece.at, piece.from, piece.kind) != nil else { return true }
            // Readers ignore a message without data.
            found[.damagedContent, default: 0] += 1
            json.damageMark()
            json.endObject()
            return true
        }
        json.endArray()
    }
}

extension JSONWriter {
    /// The comment on content of which some is not in the recording.
    fileprivate mutating func comment(missing size: UInt64) {
        guard size > 0 else { return }
        key("comment")
        string("\(size) bytes are not in the recording")
    }

    /// Marks content that is left out because it is damaged in the recording.
    fileprivate mutating func damageMark() {
        key("_damaged")
        bool(true)
    }
}
