// Encodes heads. A head that needs no change is forwarded as the received bytes; otherwise it is rebuilt line by line, and a line that needs
// no change keeps its bytes. An intermediary must change: RFC 9110 §7.6.1 (Connection and the fields that it names), RFC 9112 §3.2
// (target and Host), §5.2 (folded lines), §2.2 (line ends), §6.3 (one framing: see FramingFields).

import HTTPSemantics
import NIOCore

package enum HTTP1Encoder {
    package enum ProxyAuthorization: Equatable, Sendable {
        /// Forward unchanged.
        case keep
        /// Remove: it authenticated to this proxy.
        case remove
        /// Replace with our own credentials.
        case replace(String)

        package var sent: String? {
            if case .replace(let value) = self { value } else { nil }
        }
    }

    /// The head of a request to forward.
    /// - Parameters:
    ///   - target: replaces the request-target; nil keeps it.
    ///   - host: becomes the value of Host, which is added if missing; nil keeps it.
    ///   - framing: how the end of the content that follows is found; nil keeps the fields that declare it.
    ///   - proxyAuthorization: the treatment of credentials for a proxy (RFC 9110 §11.7.2).
    package static func request(
        _ head: RequestHead, framing: BodyFraming?, target: ByteBuffer?, host: ByteBuffer?,
        proxyAuthorization: ProxyAuthorization = .keep
    ) -> ByteBuffer {
        var changes = HopByHop(head.fields, isRequest: true, keepsProxyAuthorization: proxyAuthorization == .keep)
        if let framing { changes.add(FramingFields(head.fields, framing, version: head.version, isRequest: true)) }
        if proxyAuthorization.sent == nil, head.fields.isCanonical, changes.isEmpty {
            if target == nil, host == nil { return head.wire }
            if let spliced = spliced(head, target, host) { return spliced }
        }
        var out = ByteBuffer()
        out.reserveCapacity(head.wire.readableBytes + 64)
        out.writeImmutableBuffer(head.method)
        out.writeInteger(UInt8(0x20))
        out.writeImmutableBuffer(target ?? head.target)
        out.writeString(" \(changes.version(head.version))\r\n")
        var hasHost = false
        for (index, line) in head.fields.lines.enumerated() where !changes.removed.contains(index) {
            if let host, head.fields.wire.equalsIgnoringCase(line.name, "host") {
                if !hasHost { writeField(head.fields.slice(line.name), host, into: &out) }
                hasHost = true
            } else {
                changes.write(line, index, of: head.fields, into: &out)
            }
        }
        if let host, !hasHost { writeField(ByteBuffer(string: "Host"), host, into: &out) }
        if let sent = proxyAuthorization.sent { out.writeString("Proxy-Authorization: \(sent)\r\n") }
        changes.writeEnd(into: &out)
        return out
    }

    /// The received bytes with another target and another value of Host; nil unless there is one Host with a value.
    private static func spliced(_ head: RequestHead, _ target: ByteBuffer?, _ host: ByteBuffer?) -> ByteBuffer? {
        var out = ByteBuffer()
        out.reserveCapacity(head.wire.readableBytes + (target?.readableBytes ?? 0) + (host?.readableBytes ?? 0))
        var rest = ByteRange(0, head.wire.readableBytes)
        func write(_ replacement: ByteBuffer, for range: ByteRange) {
            out.writeImmutableBuffer(head.wire.slice(ByteRange(Int(rest.start), Int(range.start))))
            out.writeImmutableBuffer(replacement)
            rest.start = range.end
        }
        if let target { write(target, for: head.targetRange) }
        if let host {
            guard let value = onlyHost(head.fields) else { return nil }
            let offset = endOfStartLine(head)
            write(host, for: ByteRange(Int(value.start) + offset, Int(value.end) + offset))
        }
        out.writeImmutableBuffer(head.wire.slice(rest))
        return out
    }

    private static func onlyHost(_ fields: FieldSection) -> ByteRange? {
        guard let index = fields.line("host"), fields.line("host", from: index + 1) == nil else { return nil }
        let value = fields.lines[index].value
        return value.isEmpty ? nil : value
    }

    /// The offset of the fields in a head of HTTP/1.
    private static func endOfStartLine(_ head: RequestHead) -> Int {
        let bytes = head.wire.readableBytesUInt8Span
        var end = Int(head.targetRange.end)
        while end < bytes.count, bytes[end] != 0x0A { end += 1 }
        return min(end + 1, bytes.count)
    }

    /// The head of a response to forward.
    /// - Parameter framing: how the end of the content that follows is found.
    package static func response(_ head: ResponseHead, framing: BodyFraming) -> ByteBuffer {
        var changes = HopByHop(head.fields, isRequest: false)
        changes.add(FramingFields(head.fields, framing, version: head.version, isRequest: false))
        if head.fields.isCanonical, changes.isEmpty { return head.wire }
        var out = ByteBuffer()
        out.reserveCapacity(head.wire.readableBytes)
        out.writeString("\(changes.version(head.version)) \(head.status) ")
        out.writeImmutableBuffer(head.reason)
        out.writeStaticString("\r\n")
        for (index, line) in head.fields.lines.enumerated() where !changes.removed.contains(index) {
            changes.write(line, index, of: head.fields, into: &out)
        }
        changes.writeEnd(into: &out)
        return out
    }

    /// An answer of our own, with its Content-Length.
    package static func response(status: Int, reason: String, fields: [(String, String)], body: ByteBuffer?) -> ByteBuffer {
        var out = ByteBuffer()
        out.writeString("HTTP/1.1 \(status) \(reason)\r\n")
        for (name, value) in fields { out.writeString("\(name): \(value)\r\n") }
        out.writeString("Content-Length: \(body?.readableBytes ?? 0)\r\n\r\n")
        if let body { out.writeImmutableBuffer(body) }
        return out
    }

    fileprivate static func writeField(_ name: ByteBuffer, _ value: ByteBuffer, into out: inout ByteBuffer) {
        out.writeImmutableBuffer(name)
        out.writeStaticString(": ")
        out.writeImmutableBuffer(value)
        out.writeStaticString("\r\n")
    }
}

/// The changes to the lines of a head: fields that Connection names are removed, and the framing is set. Options that each hop uses in the
/// same way stay as the sender wrote them: close, keep-alive, upgrade, te, http2-settings.
private struct HopByHop {
    /// Lines to remove, and lines with another value.
    var removed: [Int] = []
    var rewritten: [(line: Int, value: ByteBuffer)] = []
    /// The connection is not used again: `Connection: close` is sent.
    private var closes = false
    private var needsHTTP1_1 = false

    var isEmpty: Bool { removed.isEmpty && rewritten.isEmpty && !closes }

    init(_ fields: FieldSection, isRequest: Bool, keepsProxyAuthorization: Bool = true) {
        var nominated: [ByteBuffer] = []
        var next = fields.line("connection")
        while let index = next {
            next = fields.line("connection", from: index + 1)
            let value = fields.lines[index].value
            if Self.areSpokenHere(value, in: fields.wire) { continue }
            let options = fields.slice(value).listElements()
            let kept = options.filter(Self.isSpokenHere)
            nominated += options.filter { !Self.isSpokenHere($0) }
            if kept.isEmpty {
                removed.append(index)
            } else {
                rewritten.append((index, ByteBuffer(string: kept.map { String(buffer: $0) }.joined(separator: ", "))))
            }
        }
        if isRequest { removeAll("proxy-connection", of: fields) }
        if !keepsProxyAuthorization { removeAll("proxy-authorization", of: fields) }
        for name in nominated where !name.isEndToEndField {
            for (index, line) in fields.lines.enumerated() where Self.equal(fields.slice(line.name), name) { removed.append(index) }
        }
    }

    mutating func add(_ framing: FramingFields) {
        guard !framing.isEmpty else { return }
        removed += framing.removed
        rewritten += framing.replaced
        closes = framing.isAmbiguous
        needsHTTP1_1 = framing.needsHTTP1_1
    }

    func version(_ version: HTTPVersion) -> HTTPVersion { needsHTTP1_1 ? .http1_1 : version }

    /// RFC 9112 §9.6: a sender that will close the connection sends `close`.
    func writeEnd(into out: inout ByteBuffer) {
        if closes { out.writeStaticString("Connection: close\r\n") }
        out.writeStaticString("\r\n")
    }

    private mutating func removeAll(_ name: StaticString, of fields: FieldSection) {
        var next = fields.line(name)
        while let index = next {
            removed.append(index)
            next = fields.line(name, from: index + 1)
        }
    }

    private static func areSpokenHere(_ options: ByteRange, in wire: ByteBuffer) -> Bool {
        var rest = options
        while let option = wire.takeListElement(of: &rest) {
            if !isSpokenHere(option, in: wire) { return false }
        }
        return true
    }

    private static func isSpokenHere(_ option: ByteBuffer) -> Bool {
        isSpokenHere(ByteRange(0, option.readableBytes), in: option)
    }

    private static func isSpokenHere(_ option: ByteRange, in wire: ByteBuffer) -> Bool {
        wire.equalsIgnoringCase(option, "close") || wire.equalsIgnoringCase(option, "keep-alive")
            || wire.equalsIgnoringCase(option, "upgrade") || wire.equalsIgnoringCase(option, "te")
            || wire.equalsIgnoringCase(option, "http2-settings")
    }

    private static func equal(_ a: ByteBuffer, _ b: ByteBuffer) -> Bool {
        let (a, b) = (a.readableBytesUInt8Span, b.readableBytesUInt8Span)
        guard a.count == b.count else { return false }
        for i in 0..<a.count where a[i].lowercased != b[i].lowercased { return false }
        return true
    }

    /// Writes one line that stays, unchanged or with its changes.
    func write(_ line: FieldSection.Line, _ index: Int, of fields: FieldSection, into out: inout ByteBuffer) {
        if let (_, value) = rewritten.first(where: { $0.line == index }) {
            return HTTP1Encoder.writeField(fields.slice(line.name), value, into: &out)
        }
        guard fields.isCanonical else {
            // RFC 9112 §5.1: white space before the colon is not forwarded.
            let bytes = fields.wire.readableBytesUInt8Span
            var colon = Int(line.name.end)
            while colon < Int(line.value.start), bytes[colon] != 0x3A { colon += 1 }
            out.writeImmutableBuffer(fields.slice(line.name))
            Self.writeUnfolded(fields.wire.slice(ByteRange(colon, Int(line.value.end))), into: &out)
            out.writeStaticString("\r\n")
            return
        }
        let next = index + 1 < fields.lines.count ? Int(fields.lines[index + 1].name.start) : fields.wire.readableBytes
        out.writeImmutableBuffer(fields.wire.slice(ByteRange(Int(line.name.start), next)))
    }

    /// RFC 9112 §5.2: each fold, with the white space around it, becomes one space.
    private static func writeUnfolded(_ bytes: ByteBuffer, into out: inout ByteBuffer) {
        let span = bytes.readableBytesUInt8Span
        var i = 0
        while i < span.count {
            guard span[i].isWhitespaceOrLineEnd else {
                out.writeInteger(span[i])
                i += 1
                continue
            }
            var end = i
            var isFold = false
            while end < span.count, span[end].isWhitespaceOrLineEnd {
                if span[end] == 0x0A { isFold = true }
                end += 1
            }
            if isFold { out.writeInteger(UInt8(0x20)) } else { out.writeImmutableBuffer(bytes.slice(ByteRange(i, end))) }
            i = end
        }
    }
}

extension UInt8 {
    fileprivate var lowercased: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }
}

extension HTTP1Encoder {
    /// One chunk (RFC 9112 §7.1); nothing for no bytes, because an empty chunk would be the last.
    package static func chunk(_ content: ByteBuffer) -> ByteBuffer {
        guard content.readableBytes > 0 else { return ByteBuffer() }
        var out = ByteBuffer()
        out.reserveCapacity(content.readableBytes + 12)
        out.writeString(String(content.readableBytes, radix: 16))
        out.writeStaticString("\r\n")
        out.writeImmutableBuffer(content)
        out.writeStaticString("\r\n")
        return out
    }

    /// The last chunk, with the trailer section (RFC 9112 §7.1.2).
    package static func lastChunk(trailers: FieldSection?) -> ByteBuffer {
        var out = ByteBuffer()
        out.writeStaticString("0\r\n")
        for line in trailers?.lines ?? [] {
            guard let trailers else { break }
            // RFC 9110 §6.5.1: fields that decide framing or routing are not allowed here.
            let forbidden: [StaticString] = ["content-length", "transfer-encoding", "host", "connection", "trailer"]
            if forbidden.contains(where: { trailers.wire.equalsIgnoringCase(line.name, $0) }) { continue }
            writeField(trailers.slice(line.name), trailers.slice(line.value), into: &out)
        }
        out.writeStaticString("\r\n")
        return out
    }
}
