// The messages of a flow in mitmproxy's format.

import FlowModel
import HTTPSemantics
import NIOCore

extension MitmproxyWriter {
    mutating func request(_ request: Message<RequestHead>, _ flow: Flow, _ out: inout TnetstringWriter) throws {
        let head = request.asStored.head
        let target = RequestTarget(head)
        try out.dictionary { out in
            try message(request, head.version, head.fields, from: .client, flow, &out)
            out.text("host")
            out.text(flow.target.host)
            out.text("port")
            out.integer(Int(flow.target.port))
            out.text("method")
            out.bytes(head.method)
            out.text("scheme")
            out.bytes(flow.target.scheme)
            out.text("authority")
            out.bytes(target.authority)
            out.text("path")
            out.bytes(target.path)
        }
    }

    mutating func response(_ response: Message<ResponseHead>, _ flow: Flow, _ out: inout TnetstringWriter) throws {
        try out.dictionary { out in
            try message(response, response.head.version, response.asStored.head.fields, from: .server, flow, &out)
            out.text("status_code")
            out.integer(response.head.status)
            out.text("reason")
            out.bytes(response.head.reason)
        }
    }

    private mutating func message<Head>(
        _ message: Message<Head>, _ version: HTTPVersion, _ fields: FieldSection, from side: Side, _ flow: Flow,
        _ out: inout TnetstringWriter
    ) throws {
        out.text("http_version")
        out.bytes(version == .http2 ? "HTTP/2.0" : version.description)
        out.text("headers")
        self.fields(fields, &out)
        out.text("content")
        let isEmpty = message.size == 0 && (message.ended != nil || flow.isWebSocket || flow.status == 101)
        var isMissing = message.storedSize == 0 && !isEmpty || message.storedSize > UInt64(Self.maximumBody)
        if message.storedSize > UInt64(Self.maximumBody) { found[.largeContent, default: 0] += 1 }
        if !isMissing, let content = try flow.pieces.contentUnlessDamaged(from: side) {
            out.bytes(content)
        } else {
            if !isMissing { found[.damagedContent, default: 0] += 1 }
            isMissing = true
            out.null()
        }
        out.text("trailers")
        if let trailers = message.trailers { self.fields(trailers, &out) } else { out.null() }
        out.text("timestamp_start")
        out.time(message.started)
        out.text("timestamp_end")
        if !isMissing, !message.isComplete, message.ended != nil { found[.messageTimes, default: 0] += 1 }
        // Partial content has no end, which distinguishes it from whole content.
        let end = isMissing ? message.ended ?? flow.ended : message.isComplete ? message.ended : nil
        out.optional(end) { $0.time($1) }
    }

    private func fields(_ fields: FieldSection, _ out: inout TnetstringWriter) {
        out.list { out in
            for line in fields.lines {
                out.list { out in
                    out.bytes(fields.slice(line.name))
                    out.bytes(fields.slice(line.value))
                }
            }
        }
    }

    mutating func conversation(_ flow: Flow, _ out: inout TnetstringWriter) throws {
        var close: (at: Timestamp, piece: FlowPiece)?
        try out.dictionary { out in
            out.text("messages")
            try out.list { out in
                try flow.pieces.forEach { at, piece in
                    if piece.kind == .close, close == nil { close = (at, piece) }
                    // The format has no control frames.
                    guard piece.kind == .text || piece.kind == .binary else { return true }
                    out.list { out in
                        out.integer(piece.kind == .text ? 1 : 2)
                        out.bool(piece.from == .client)
                        out.bytes(piece.content)
                        out.time(at)
                        out.bool(false)
                        out.bool(false)
                    }
                    return true
                } damaged: { _ in
                    found[.damagedContent, default: 0] += 1
                    return true
                }
            }
            let code: UInt16? = close.flatMap { $0.piece.content.getInteger(at: $0.piece.content.readerIndex) }
            // RFC 6455 section 7.4.1: 1005 means a close frame without a code, 1006 no close frame.
            let closeCode = close != nil ? Int(code ?? 1005) : flow.ended != nil ? 1006 : nil
            out.text("closed_by_client")
            out.optional(close.map { $0.piece.from } ?? flow.closedBy) { $0.bool($1 == .client) }
            out.text("close_code")
            out.optional(closeCode) { $0.integer($1) }
            out.text("close_reason")
            let reason = close.flatMap { code == nil ? nil : $0.piece.content.slice(ByteRange(2, $0.piece.content.readableBytes)) }
            out.optional(closeCode) { out, _ in out.text(reason.map { String(buffer: $0) } ?? "") }
            out.text("timestamp_end")
            out.optional(close?.at ?? flow.ended) { $0.time($1) }
        }
    }

    mutating func messages(_ flow: Flow, _ out: inout TnetstringWriter) throws {
        try out.list { out in
            try flow.pieces.forEach { at, piece in
                out.list { out in
                    out.bool(piece.from == .client)
                    out.bytes(piece.content)
                    out.time(at)
                }
                return true
            } damaged: { _ in
                found[.damagedContent, default: 0] += 1
                return true
            }
        }
    }
}

/// The parts of a request-target.
struct RequestTarget {
    /// Empty in origin form.
    var authority: ByteBuffer
    var path: ByteBuffer

    init(_ head: RequestHead) {
        authority = head.authority
        path = head.target
        guard head.version.major < 2 else {
            return
        }
        if head.isMethod("CONNECT") {
            (authority, path) = (head.target, ByteBuffer())
            return
        }
        let bytes = head.target.readableBytesUInt8Span
        guard bytes.count > 0, bytes[0] != 0x2F, bytes[0] != 0x2A else { return }
        // Absolute form: the text after `://`, up to the next slash.
        var slashes: [Int] = []
        for i in 0..<bytes.count where bytes[i] == 0x2F && slashes.count < 3 { slashes.append(i) }
        guard slashes.count >= 2, slashes[1] == slashes[0] + 1 else { return }
        let end = slashes.count > 2 ? slashes[2] : bytes.count
        authority = head.target.slice(ByteRange(slashes[1] + 1, end))
        path = end == bytes.count ? ByteBuffer(string: "/") : head.target.slice(ByteRange(end, bytes.count))
    }
}
