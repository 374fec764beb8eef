// Heads from one version of HTTP to the other: which fields become pseudo-fields and back (RFC 9113 §8.3), which belong to one connection
// and stay behind (RFC 9113 §8.2.2), and how the end of content is told (RFC 9112 §6.3).

import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore

extension HTTP2Fields {
    /// A request for a server of HTTP/2.
    /// - Parameters:
    ///   - target: replaces the path; nil keeps it.
    ///   - authority: replaces :authority or Host; nil keeps it.
    ///   - framing: how the end of the content was found where it came from.
    ///   - isTLS: what :scheme says of a request that came by HTTP/1.
    ///   - opensWebSocket: the GET of HTTP/1 becomes extended CONNECT (RFC 8441 §5), which has no key.
    init(
        _ head: RequestHead, _ framing: BodyFraming, target: ByteBuffer?, authority: ByteBuffer?, isTLS: Bool,
        opensWebSocket: Bool = false
    ) {
        if head.isFramedByStream {
            self.init(over: head.wire)
            appendSecond(head, authority: authority)
            return
        }
        self.init()
        append(":method", opensWebSocket ? ByteBuffer(string: "CONNECT") : head.method)
        if opensWebSocket { append(":protocol", "websocket") }
        append(":scheme", isTLS ? "https" : "http")
        if let authority = authority ?? head.fields.first("host") { append(":authority", authority) }
        let path = target ?? head.target
        append(":path", path.readableBytes == 0 ? ByteBuffer(string: "/") : path)
        let connectionOptions = head.fields.connectionOptions
        let changes = FramingFields(head.fields, framing, version: head.version, isRequest: true)
        appendUnfolded(head.fields, changes) { line in
            !head.fields.wire.equalsIgnoringCase(line.name, "host") && !head.fields.isConnectionSpecific(line)
                && !(opensWebSocket && head.fields.wire.equalsIgnoringCase(line.name, "sec-websocket-key"))
                && !connectionOptions.contains { head.fields.slice(line.name).equalsIgnoringCase($0) }
        }
    }

    /// A request that came by HTTP/2: pseudo-fields and fields in their order, as they came but for the authority.
    private mutating func appendSecond(_ head: RequestHead, authority: ByteBuffer?) {
        let start = head.fields.isEmpty ? head.wire.readableBytes : head.wire.readableBytes - 2 - head.fields.wire.readableBytes
        FieldSection.forEachLine(in: head.wire.slice(ByteRange(0, start))) { name, value in
            if let authority, head.wire.equals(name, ":authority") {
                append(":authority", authority)
            } else {
                append(name, value)
            }
        }
        // Without :authority the Host field says it, and goes on as it is (RFC 9113 §8.3.1).
        appendSame(head.fields, at: start) { line in
            !(authority != nil && head.fields.wire.equals(line.name, "host")) && !head.fields.isConnectionSpecific(line)
        }
    }

    /// Lines of a section that stands in the base.
    /// - Parameter start: where.
    private mutating func appendSame(_ section: FieldSection, at start: Int, where keep: (FieldSection.Line) -> Bool) {
        var hasTE = false
        for (index, line) in section.lines.enumerated() where keep(line) {
            if section.isTE(line) {
                if !hasTE { append("te", "trailers") }
                hasTE = true
                continue
            }
            append(
                ByteRange(start + Int(line.name.start), start + Int(line.name.end)),
                ByteRange(start + Int(line.value.start), start + Int(line.value.end)),
                isNeverIndexed: section.neverIndexed.contains(index))
        }
    }

    /// A response for a client of HTTP/2.
    init(_ head: ResponseHead, _ framing: BodyFraming) {
        if head.isFramedByStream, head.fields.hasLowerCaseNames {
            self.init(over: head.fields.wire)
            append(":status", "\(head.status)")
            appendSame(head.fields, at: 0) { !head.fields.isConnectionSpecific($0) }
            return
        }
        self.init()
        append(":status", "\(head.status)")
        let connectionOptions = head.fields.connectionOptions
        let changes = FramingFields(head.fields, framing, version: head.version, isRequest: false)
        appendUnfolded(head.fields, changes) { line in
            !head.fields.isConnectionSpecific(line)
                && !connectionOptions.contains { head.fields.slice(line.name).equalsIgnoringCase($0) }
        }
    }

    /// The 101 of a server of HTTP/1 that accepts WebSocket, for a client of HTTP/2 (RFC 8441 §5).
    init(accepting head: ResponseHead) {
        self.init()
        append(":status", "200")
        let connectionOptions = head.fields.connectionOptions
        appendUnfolded(head.fields) { line in
            !head.fields.isConnectionSpecific(line) && !head.fields.isHandshakeField(line)
                && !connectionOptions.contains { head.fields.slice(line.name).equalsIgnoringCase($0) }
        }
    }

    /// Trailers for a peer of HTTP/2.
    init(trailers: FieldSection) {
        self.init()
        appendUnfolded(trailers) { !trailers.isConnectionSpecific($0) }
    }

    private mutating func appendUnfolded(
        _ section: FieldSection, _ framing: FramingFields? = nil, where keep: (FieldSection.Line) -> Bool
    ) {
        var hasTE = false
        for (index, line) in section.lines.enumerated()
        where keep(line) && framing?.removed.contains(index) != true && section.isNameOfHTTP2(line) {
            if section.isTE(line) {
                // RFC 9113 §8.2.2: TE may say trailers and nothing else.
                if !hasTE { append("te", "trailers") }
                hasTE = true
                continue
            }
            let value = section.slice(line.value)
            let framed = framing?.replaced.first { $0.line == index }?.value
            append(
                section.slice(line.name), framed ?? (section.isCanonical ? value : value.unfolded()),
                isNeverIndexed: section.neverIndexed.contains(index))
        }
    }
}

/// Heads for a peer of HTTP/1, made from those of HTTP/2.
enum HTTP1Translation {
    struct Head {
        var bytes: ByteBuffer
        /// Content follows in chunks.
        var isChunked = false
        /// Content ends where the connection ends.
        var endsWithConnection = false
        /// The length of the content that is promised.
        var length: Int?
    }

    /// The request goes to a server of HTTP/1.1. Extended CONNECT for WebSocket becomes the GET of RFC 6455 §4.1.
    /// - Parameters:
    ///   - target: replaces the request-target; nil keeps it.
    ///   - proxyAuthorization: for an upstream proxy.
    ///   - host: replaces :authority or Host; nil keeps it.
    ///   - webSocketKey: the request is extended CONNECT for WebSocket, and this its key.
    static func request(
        _ head: RequestHead, _ framing: BodyFraming, target: ByteBuffer?, host: ByteBuffer? = nil, webSocketKey: String? = nil,
        proxyAuthorization: String? = nil
    ) -> Head {
        let hasContent = framing != .none
        var out = ByteBuffer()
        out.reserveCapacity(head.wire.readableBytes + 64)
        let opensWebSocket = webSocketKey != nil
        out.writeImmutableBuffer(opensWebSocket ? ByteBuffer(string: "GET") : head.method)
        out.writeStaticString(" ")
        out.writeImmutableBuffer(target ?? head.target)
        out.writeStaticString(" HTTP/1.1\r\nHost: ")
        let host = host ?? (head.authorityRange.isEmpty ? head.fields.first("host") : head.authority)
        out.writeImmutableBuffer(host ?? ByteBuffer())
        out.writeStaticString("\r\n")
        let framing = FramingFields(head.fields, framing, version: head.version, isRequest: true)
        var length: Int?
        var hasTE = false
        var cookie = ByteBuffer()
        for (index, line) in head.fields.lines.enumerated() where !head.fields.isConnectionSpecific(line) {
            if head.fields.wire.equals(line.name, "host") || framing.removed.contains(index) { continue }
            if head.fields.isTE(line) {
                if !hasTE, !opensWebSocket { out.writeStaticString("te: trailers\r\n") }
                hasTE = true
                continue
            }
            if opensWebSocket, head.fields.isHandshakeField(line) { continue }
            // RFC 9113 §8.2.3: crumbs are joined before they leave HTTP/2.
            if head.fields.wire.equals(line.name, "cookie") {
                if cookie.readableBytes > 0 { cookie.writeStaticString("; ") }
                cookie.writeImmutableBuffer(head.fields.slice(line.value))
                continue
            }
            if head.fields.wire.equals(line.name, "content-length") {
                length = head.fields.contentLength.map { Int(clamping: $0) }
            }
            write(head.fields, line, framing, index, into: &out)
        }
        // RFC 9110 §10.1.4: TE is of one connection, and Connection says so.
        if hasTE, !opensWebSocket { out.writeStaticString("Connection: TE\r\n") }
        if cookie.readableBytes > 0 {
            out.writeStaticString("Cookie: ")
            out.writeImmutableBuffer(cookie)
            out.writeStaticString("\r\n")
        }
        if let proxyAuthorization { out.writeString("Proxy-Authorization: \(proxyAuthorization)\r\n") }
        if let key = webSocketKey {
            out.writeStaticString("Upgrade: websocket\r\nConnection: Upgrade\r\n")
            if !head.fields.contains("sec-websocket-version") { out.writeStaticString("Sec-WebSocket-Version: 13\r\n") }
            out.writeString("Sec-WebSocket-Key: \(key)\r\n\r\n")
            return Head(bytes: out)
        }
        let isChunked = hasContent && length == nil
        if isChunked { out.writeStaticString("Transfer-Encoding: chunked\r\n") }
        // RFC 9110 §8.6: methods that mean something by content say that there is none.
        let mayHaveContent = head.isMethod("POST") || head.isMethod("PUT") || head.isMethod("PATCH")
        if !hasContent, length == nil, mayHaveContent { out.writeStaticString("Content-Length: 0\r\n") }
        out.writeStaticString("\r\n")
        return Head(bytes: out, isChunked: isChunked, length: length)
    }

    /// The response goes to a client of HTTP/1.
    /// - Parameters:
    ///   - isLast: not an interim response.
    ///   - framing: how the end of the content is found where it comes from.
    static func response(_ head: ResponseHead, to request: RequestHead, isLast: Bool, framing: BodyFraming = .none) -> Head {
        var out = ByteBuffer()
        out.reserveCapacity(head.wire.readableBytes + 64)
        out.writeString("HTTP/1.1 \(head.status) ")
        if head.isFramedByStream { out.writeString(reasonPhrase(head.status)) } else { out.writeImmutableBuffer(head.reason) }
        out.writeStaticString("\r\n")
        let connectionOptions = head.fields.connectionOptions
        let hasContent = framing != .none
        let framing = FramingFields(head.fields, framing, version: head.version, isRequest: false)
        var length: UInt64?
        for (index, line) in head.fields.lines.enumerated()
        where !head.fields.isConnectionSpecific(line) && !framing.removed.contains(index)
            && !connectionOptions.contains(where: { head.fields.slice(line.name).equalsIgnoringCase($0) })
        {
            if head.fields.wire.equalsIgnoringCase(line.name, "content-length") {
                length = head.fields.contentLength
            }
            write(head.fields, line, framing, index, into: &out)
        }
        var result = Head(bytes: ByteBuffer())
        let isBodiless = request.isMethod("HEAD") || head.status == 204 || head.status == 304 || !isLast
        if !isBodiless, let length {
            result.length = Int(clamping: length)
        } else if !isBodiless {
            if !hasContent {
                out.writeStaticString("Content-Length: 0\r\n")
            } else if request.version == .http1_0 {
                out.writeStaticString("Connection: close\r\n")
                result.endsWithConnection = true
            } else {
                out.writeStaticString("Transfer-Encoding: chunked\r\n")
                result.isChunked = true
            }
        }
        if isLast, !request.keepsClientConnection, !result.endsWithConnection {
            out.writeStaticString("Connection: close\r\n")
        }
        if isLast, request.version == .http1_0, request.keepsClientConnection, !result.endsWithConnection {
            out.writeStaticString("Connection: keep-alive\r\n")
        }
        out.writeStaticString("\r\n")
        result.bytes = out
        return result
    }

    /// The 200 of a server of HTTP/2 that accepts WebSocket, for a client of HTTP/1 (RFC 6455 §4.2.2).
    static func switching(_ head: ResponseHead, accept: String) -> ByteBuffer {
        var out = ByteBuffer()
        out.reserveCapacity(head.wire.readableBytes + 128)
        out.writeStaticString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        out.writeString("Sec-WebSocket-Accept: \(accept)\r\n")
        for line in head.fields.lines where !head.fields.isConnectionSpecific(line) && !head.fields.isHandshakeField(line) {
            write(head.fields, line, into: &out)
        }
        out.writeStaticString("\r\n")
        return out
    }

    private static func write(
        _ section: FieldSection, _ line: FieldSection.Line, _ framing: FramingFields? = nil, _ index: Int = 0,
        into out: inout ByteBuffer
    ) {
        out.writeImmutableBuffer(section.slice(line.name))
        out.writeStaticString(": ")
        out.writeImmutableBuffer(framing?.replaced.first { $0.line == index }?.value ?? section.slice(line.value))
        out.writeStaticString("\r\n")
    }

    /// RFC 9110 §15; HTTP/2 has no reason phrases.
    static func reasonPhrase(_ status: Int) -> String {
        let phrases = [
            100: "Continue", 102: "Processing", 103: "Early Hints", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content",
            206: "Partial Content", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
            307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
            404: "Not Found", 405: "Method Not Allowed", 407: "Proxy Authentication Required", 408: "Request Timeout",
            409: "Conflict", 410: "Gone", 412: "Precondition Failed",
            413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type", 416: "Range Not Satisfiable",
            417: "Expectation Failed",
            421: "Misdirected Request", 422: "Unprocessable Content", 425: "Too Early", 426: "Upgrade Required",
            428: "Precondition Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
            500: "Internal Server Error", 501: "Not Implemented",
            502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
            507: "Insufficient Storage",
        ]
        return phrases[status] ?? ""
    }
}

extension FieldSection {
    /// No name has a capital letter; some servers send such by HTTP/2, where they may not stand.
    var hasLowerCaseNames: Bool {
        unsafe wire.withUnsafeReadableBytes { bytes in
            lines.allSatisfy { unsafe bytes.isClear(Int($0.name.start), Int($0.name.end), of: { $0.upperCase }) }
        }
    }

    /// Goes through the lines of a head of HTTP/2, pseudo-fields included.
    static func forEachLine(in wire: ByteBuffer, _ visit: (_ name: ByteRange, _ value: ByteRange) -> Void) {
        let bytes = wire.readableBytesUInt8Span
        var start = 0
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != 0x0A { end += 1 }
            var colon = start + 1
            while colon < end, bytes[colon] != 0x3A { colon += 1 }
            if colon + 2 <= end - 1 { visit(ByteRange(start, colon), ByteRange(colon + 2, end - 1)) }
            start = end + 1
        }
    }

    /// Whether HTTP/2 can carry a field of that name (RFC 9113 §8.2.1). A message with another one is malformed as a whole.
    func isNameOfHTTP2(_ line: Line) -> Bool {
        unsafe wire.withUnsafeReadableBytes { bytes in
            unsafe bytes.isClear(Int(line.name.start), Int(line.name.end)) {
                $0.below(0x21) | $0.equal(to: 0x3A) | $0.equal(to: 0x7F) | $0.beyondASCII
            }
        }
    }

    /// A field of the handshake of WebSocket that HTTP/2 does not have, or a length, which no conversation has.
    func isHandshakeField(_ line: Line) -> Bool {
        wire.equalsIgnoringCase(line.name, "sec-websocket-key") || wire.equalsIgnoringCase(line.name, "sec-websocket-accept")
            || wire.equalsIgnoringCase(line.name, "content-length")
    }
}

/// The first bytes of a client of HTTP/2 (RFC 9113 §3.4).
enum HTTP2Preface {
    private static let bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    /// Whether a stream begins with the preface; nil when it may still.
    static func matches(_ start: ByteBuffer) -> Bool? {
        let count = min(start.readableBytes, bytes.count)
        guard start.readableBytesView.prefix(count).elementsEqual(bytes.prefix(count)) else { return false }
        return count == bytes.count ? true : nil
    }
}
