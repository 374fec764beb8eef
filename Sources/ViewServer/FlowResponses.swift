// Responses about one flow: its facts and heads, its content as views show it, and the forms in which it can be copied.

import ContentCoding
import FlowArchive
import FlowModel
import FlowPrinter
import FlowView
import HTTPSemantics
import NIOCore
import Protobuf

extension ViewAPI {
    /// Lines of content in one response, and characters of each line.
    private static let maximumLines = 5000
    private static let maximumCharacters = 4096
    /// Bytes of content, as sent, that views show: they are laid out in memory.
    static let maximumShown = 8 * 1024 * 1024

    /// - Parameter what: what follows the flow in the path.
    func flow(_ name: String, _ what: [String], _ query: ViewQuery) throws(ViewError) -> ViewResponse {
        let ordinal = try ordinal(name)
        do {
            guard let flow = try what.isEmpty ? index.flowWithCertificates(ordinal) : index.flow(ordinal) else {
                throw ViewError.notFound
            }
            switch (what.first, what.count) {
            case (nil, _): return try details(flow, ordinal)
            case ("content", 2): return try content(flow, ordinal, what[1], query)
            case ("compare", 2): return try comparison(of: flow, with: what[1])
            case ("messages", 1): return try messages(flow, ordinal, query)
            case ("messages", 2): return try message(flow, ordinal, what[1], query)
            case ("raw", 2): return try raw(flow, try side(what[1]), isDecoded: query["decoded"] == "1")
            case ("preview", 2): return try preview(flow, try side(what[1]))
            case ("curl", 1), ("http", 1), ("json", 1): return try text(flow, what[0], query)
            default: throw ViewError.notFound
            }
        } catch let error as ViewError {
            throw error
        } catch {
            throw ViewError(.internalServerError, "\(error)")
        }
    }

    /// - Parameter name: an identifier, or the number of a row.
    func ordinal(_ name: String) throws(ViewError) -> Int {
        if let number = Int(name) { return number }
        guard let id = FlowID(name), let ordinal = index.ordinal(of: id) else { throw .notFound }
        return ordinal
    }

    private func side(_ name: String) throws(ViewError) -> Side {
        switch name {
        case "request": .client
        case "response": .server
        default: throw .notFound
        }
    }

    // MARK: Details

    private func details(_ flow: Flow, _ ordinal: Int) throws -> ViewResponse {
        var facts = ByteBuffer()
        try FlowJSONPrinter(rawBody: false, withContent: false, schema: schema).print(flow, into: &facts)
        var json = JSONText()
        json.object { json in
            json.member("n", ordinal)
            json.member("kind", index.rowFacts(ordinal)?.kind.name ?? "\(flow.kind)")
            json.member("open", flow.isBeingRecorded)
            json.member("flow", json: facts)
            heads(flow, &json)
            timing(flow, &json)
            if flow.isConversation { json.member("messages", flow.pieces.count) }
            json.key("certificates")
            json.array(flow.server?.value.tls?.certificates ?? []) { json, certificate in
                json.string(certificateNames(certificate).map { String(buffer: $0) } ?? "")
            }
            json.key("views")
            json.array(ContentViewChoice.names) { $0.string($1) }
            for (name, side) in [("request_image", Side.client), ("response_image", .server)] as [(StaticString, Side)] {
                if let type = try? imageType(flow, side) { json.member(name, type) }
            }
        }
        return ViewResponse(.json, json)
    }

    /// Heads and trailers as they were received.
    private func heads(_ flow: Flow, _ json: inout JSONText) {
        json.key("heads")
        json.object { json in
            if let request = flow.request {
                json.member("request", visible: request.head.wire, keepsLines: true)
                if let trailers = request.trailers { json.member("request_trailers", visible: trailers.wire, keepsLines: true) }
            }
            if !flow.interims.isEmpty {
                json.key("informational")
                json.array(flow.interims) { json, head in json.visible(head.value.wire, keepsLines: true) }
            }
            if let response = flow.response {
                json.member("response", visible: response.head.wire, keepsLines: true)
                if let trailers = response.trailers { json.member("response_trailers", visible: trailers.wire, keepsLines: true) }
            }
            if let reply = flow.localReply { json.member("local", visible: reply.value.head.wire, keepsLines: true) }
        }
    }

    /// Microseconds from the start of the flow, for each thing that happened at a known time.
    private func timing(_ flow: Flow, _ json: inout JSONText) {
        func after(_ time: Timestamp?) -> Int64? { time.map { ($0 - flow.started) / 1000 } }
        let server = flow.server?.value
        let times: [(StaticString, Int64?)] = [
            ("server_opened", after(server?.opened)), ("server_connected", after(server?.connected)),
            ("tls_started", after(server?.tls?.handshakeStarted)), ("tls_ended", after(server?.tls?.handshakeEnded)),
            ("request_started", after(flow.request?.started)), ("request_ended", after(flow.request?.ended)),
            ("response_started", after(flow.response?.started)), ("response_ended", after(flow.response?.ended)),
            ("ended", after(flow.ended)),
        ]
        json.key("timing")
        json.object { json in
            for (name, time) in times { if let time { json.member(name, Int(time)) } }
        }
    }

    // MARK: Content

    private var schema: ProtobufSchema { options.environment.schema ?? .builtIn }

    func printer(_ view: String) throws(ViewError) -> FlowTextPrinter {
        guard let choice = ContentViewChoice(view) else {
            throw ViewError(.unprocessableEntity, "there is no view '\(view.prefix(40))'")
        }
        var style = TextStyle(detail: 4, isColoured: true)
        style.contentView = choice
        style.schema = schema
        return FlowTextPrinter(style)
    }

    private func content(_ flow: Flow, _ ordinal: Int, _ name: String, _ query: ViewQuery) throws -> ViewResponse {
        let view = query["view"] ?? "auto"
        let printer = try printer(view)
        let (side, fields, size) = try message(of: flow, name)
        let key = RenderedContents.Key(ordinal: ordinal, part: name, view: view, size: size)
        let content = try contents.content(key) {
            var text = ByteBuffer()
            if name == "local" {
                let piece = FlowPiece(from: .server, content: flow.localReply?.value.content ?? ByteBuffer())
                printer.content(of: piece, in: flow, into: &text)
            } else if size > 0, !flow.isConversation || side == .client {
                let isCut = size > UInt64(Self.maximumShown)
                let shown = isCut ? try flow.beginning(of: side, maximum: Self.maximumShown) : flow
                try printer.content(of: shown, from: side, fields, size: min(size, UInt64(Self.maximumShown)), into: &text)
                if isCut { Self.noteCut(size, &text) }
            }
            return RenderedContent(text)
        }
        return try lines(of: content, query)
    }

    /// Adds that content is longer than what is shown.
    static func noteCut(_ size: UInt64, _ text: inout ByteBuffer) {
        let shown = readableSize(UInt64(maximumShown))
        text.writeString("    (only the first \(shown) of \(readableSize(size)) are shown; download it for the rest)\n")
    }

    private func message(of flow: Flow, _ name: String) throws(ViewError) -> (Side, FieldSection, UInt64) {
        switch name {
        case "request":
            guard let request = flow.request else { throw .notFound }
            return (.client, request.head.fields, request.size)
        case "response":
            guard let response = flow.response else { throw .notFound }
            return (.server, response.head.fields, response.size)
        case "local":
            guard let reply = flow.localReply?.value else { throw .notFound }
            return (.server, reply.head.fields, UInt64(reply.content.readableBytes))
        default: throw .notFound
        }
    }

    func lines(of content: RenderedContent, _ query: ViewQuery) throws(ViewError) -> ViewResponse {
        let from = try query.number("from", 0...Int(UInt32.max), otherwise: 0)
        let count = try query.number("lines", 0...Self.maximumLines, otherwise: 500)
        let range = min(from, content.count)..<min(from + count, content.count)
        var json = JSONText()
        json.object { json in
            json.member("from", range.lowerBound)
            json.member("total", content.count)
            json.key("lines")
            json.array(range) { json, number in
                json.string(String(buffer: content.line(number).prefix(bytes: Self.maximumCharacters)))
            }
        }
        return ViewResponse(.json, json)
    }

    // MARK: Bytes

    /// Bytes of images and previews, and of a download that is decoded: they are in memory.
    private static let maximumPreview = 16 * 1024 * 1024
    private static let maximumDecoded = 64 * 1024 * 1024
    /// Bytes that tell the type of an image, and of their encoded form.
    private static let signatureSize = 16
    private static let encodedSignatureSize = 4096

    private func raw(_ flow: Flow, _ side: Side, isDecoded: Bool) throws -> ViewResponse {
        let name = "flow-\(flow.id)-\(side == .client ? "request" : "response")"
        if isDecoded, !flow.storedCodings(from: side).isEmpty {
            let decoded = try decoded(flow, side, maximum: Self.maximumDecoded)
            guard decoded.outcome != .limited else {
                throw ViewError(
                    .unprocessableEntity,
                    "the content has more than \(readableSize(UInt64(Self.maximumDecoded))); download it as it was sent")
            }
            return ViewResponse(.ok, .download(name: name), decoded.content)
        }
        return ViewResponse(.download(name: name)) { send in
            try flow.pieces.forEach { _, piece in
                if piece.from == side { try send(piece.content) }
                return true
            }
        }
    }

    /// The beginning of the content of a side, without content codings.
    /// - Parameter encoded: the most bytes that are decoded.
    private func decoded(_ flow: Flow, _ side: Side, maximum: Int, encoded: Int? = nil) throws -> DecodedContent {
        let maximumEncoded = encoded ?? maximum
        let wire = try flow.pieces.content(from: side, maximum: maximumEncoded + 1)
        var decoded = decodeContent(
            wire.slice(ByteRange(0, min(wire.readableBytes, maximumEncoded))), codings: flow.storedCodings(from: side),
            maximum: maximum)
        if wire.readableBytes > maximumEncoded { decoded.outcome = .limited }
        return decoded
    }

    /// The type of an image that browsers show without running anything, by its first bytes; nil for anything else.
    private func imageType(_ flow: Flow, _ side: Side) throws -> String? {
        let fields = side == .client ? flow.requestFields : flow.responseFields
        guard let type = fields?.first("content-type"), String(buffer: type).lowercased().hasPrefix("image/") else { return nil }
        return ImageSignature.type(
            of: try decoded(flow, side, maximum: Self.signatureSize, encoded: Self.encodedSignatureSize).content)
    }

    /// HTML, SVG, text and images for a frame that has no scripts, no origin and no network.
    private func preview(_ flow: Flow, _ side: Side) throws -> ViewResponse {
        let content = try decoded(flow, side, maximum: Self.maximumPreview).content
        let fields = side == .client ? flow.requestFields : flow.responseFields
        let declared = fields?.first("content-type").map { String(buffer: $0).lowercased() } ?? ""
        let type =
            ImageSignature.type(of: content)
            ?? (declared.hasPrefix("image/svg") ? "image/svg+xml" : declared.contains("html") ? "text/html; charset=utf-8" : nil)
        guard let type else { throw ViewError(.unsupportedMediaType, "this content has no preview") }
        return ViewResponse(.ok, .preview(type: type), content)
    }

    private func text(_ flow: Flow, _ format: String, _ query: ViewQuery) throws -> ViewResponse {
        let flow = try redaction(query)?.redact(flow) ?? flow
        if format == "json" {
            let printer = FlowJSONPrinter(rawBody: false, schema: schema)
            return ViewResponse(.text) { send in
                var out = ByteBuffer()
                try printer.print(flow, into: &out) { part in
                    try send(part)
                    part.clear()
                }
                try send(out)
            }
        }
        guard let chosen = MessageFormat(rawValue: format) else { throw ViewError.notFound }
        var out = ByteBuffer()
        var rest = ByteBuffer()
        var writer = chosen.writer(MessageOptions())
        try writer.write(flow, into: &out) { part in
            rest.writeBuffer(&part)
            part.clear()
        }
        if out.readableBytes == 0, rest.readableBytes == 0 {
            let reason = writer.omissions.sentence ?? ""
            throw ViewError(.unprocessableEntity, "this flow cannot be written as \(format): \(reason)")
        }
        rest.writeBuffer(&out)
        return ViewResponse(.ok, .text, rest)
    }
}

/// Images that browsers show without running anything in them, by their first bytes.
enum ImageSignature {
    static func type(of content: ByteBuffer) -> String? {
        let bytes = Array(content.readableBytesView.prefix(16))
        func has(_ signature: [UInt8], at offset: Int = 0) -> Bool { bytes.dropFirst(offset).starts(with: signature) }
        if has([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return "image/png" }
        if has([0xFF, 0xD8, 0xFF]) { return "image/jpeg" }
        if has(Array("GIF87a".utf8)) || has(Array("GIF89a".utf8)) { return "image/gif" }
        if has(Array("RIFF".utf8)), has(Array("WEBP".utf8), at: 8) { return "image/webp" }
        if has(Array("ftypavif".utf8), at: 4) { return "image/avif" }
        return nil
    }
}

extension Flow {
    /// The flow with the first bytes of a side's content, in memory.
    /// - Throws: errors of fetching content, unless it is damaged.
    fileprivate func beginning(of side: Side, maximum: Int) throws -> Flow {
        // Damage is reported by the view of the content.
        guard let content = try pieces.contentUnlessDamaged(from: side, maximum: maximum) else { return self }
        var kept = PiecesInMemory()
        kept.pieces = [(started, FlowPiece(from: side, content: content))]
        var flow = self
        flow.pieces = kept
        return flow
    }
}
