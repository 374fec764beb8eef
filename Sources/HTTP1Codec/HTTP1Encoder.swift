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
        var changes = HeadChanges(head.fields, isRequest: true, keepsProxyAuthorization: proxyAuthorization == .keep)
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
        var place = ByteRange.empty
        if host != nil {
            guard let value = onlyHost(head.fields) else { return nil }
            let offset = endOfStartLine(head)
            place = ByteRange(Int(value.start) + offset, Int(value.end) + offset)
        }
        return unsafe head.wire.withUnsafeReadableBytes { wire in
            var out = ByteBufferAllocator().buffer(
                capacity: wire.count + (target?.readableBytes ?? 0) + (host?.readableBytes ?? 0))
            var written = 0
            func write(_ replacement: ByteBuffer, for range: ByteRange) {
                unsafe out.writeBytes(UnsafeRawBufferPointer(rebasing: wire[written..<Int(range.start)]))
                out.writeImmutableBuffer(replacement)
                written = Int(range.end)
            }
            if let target { write(target, for: head.targetRange) }
            if let host { write(host, for: place) }
            unsafe out.writeBytes(UnsafeRawBufferPointer(rebasing: wire[written...]))
            return out
        }
    }

    private static func onlyHost(_ fields: FieldSection) -> ByteRange? {
        guard let index = fields.line("host"), fields.line("host", after: index) == nil else { return nil }
        let value = fields.lines[index].value
        return value.isEmpty ? nil : value
    }

    /// The offset of the fields in a head of HTTP/1.
    private static func endOfStartLine(_ head: RequestHead) -> Int {
        let wire = head.wire
        let bytes = wire.readableBytesUInt8Span
        var end = Int(head.targetRange.end)
        while end < bytes.count, bytes[end] != 0x0A { end += 1 }
        return min(end + 1, bytes.count)
    }

    /// The head of a response to forward.
    /// - Parameter framing: how the end of the content that follows is found.
    package static func response(_ head: ResponseHead, framing: BodyFraming) -> ByteBuffer {
        var changes = HeadChanges(head.fields, isRequest: false)
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

    static func writeField(_ name: ByteBuffer, _ value: ByteBuffer, into out: inout ByteBuffer) {
        out.writeImmutableBuffer(name)
        out.writeStaticString(": ")
        out.writeImmutableBuffer(value)
        out.writeStaticString("\r\n")
    }
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
