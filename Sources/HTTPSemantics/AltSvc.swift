// Alternative services (RFC 7838): a response can offer its origin over HTTP/3, where no proxy of TCP sees the traffic.

import NIOCore

extension FieldSection {
    /// An Alt-Svc field offers HTTP/3: `h3`, or `h3-` and a draft.
    package var offersHTTP3: Bool {
        var next = line("alt-svc")
        while let index = next {
            if wire.slice(lines[index].value).listElements().contains(where: \.isHTTP3Alternative) { return true }
            next = line("alt-svc", after: index)
        }
        return false
    }

    /// The section without alternatives of HTTP/3. Other alternatives and `clear` stay; a field without a rest is removed.
    /// - Returns: nil if there are none.
    package func withoutHTTP3Alternatives() -> FieldSection? {
        guard offersHTTP3 else { return nil }
        var out = ByteBuffer()
        var kept: [Line] = []
        var excluded: [Int] = []
        for (index, line) in lines.enumerated() {
            let start = out.writerIndex
            let end = index + 1 < lines.count ? Int(lines[index + 1].name.start) : wire.readableBytes
            let name = ByteRange(start, start + line.name.count)
            let elements = wire.equalsIgnoringCase(line.name, "alt-svc") ? slice(line.value).listElements() : []
            let rest = elements.filter { !$0.isHTTP3Alternative }
            if rest.count == elements.count {
                let offset = start - Int(line.name.start)
                out.writeImmutableBuffer(slice(ByteRange(Int(line.name.start), end)))
                kept.append(Line(name: name, value: ByteRange(Int(line.value.start) + offset, Int(line.value.end) + offset)))
            } else if !rest.isEmpty {
                out.writeImmutableBuffer(slice(line.name))
                out.writeStaticString(": ")
                let valueStart = out.writerIndex
                for (number, element) in rest.enumerated() {
                    if number > 0 { out.writeStaticString(", ") }
                    element.writeUnfolded(into: &out)
                }
                kept.append(Line(name: name, value: ByteRange(valueStart, out.writerIndex)))
                out.writeStaticString("\r\n")
            } else {
                continue
            }
            if neverIndexed.contains(index) { excluded.append(kept.count - 1) }
        }
        return FieldSection(wire: out, lines: kept, isCanonical: isCanonical, neverIndexed: excluded)
    }
}

extension ResponseHead {
    /// The head without alternatives of HTTP/3 in its Alt-Svc fields.
    /// - Returns: nil if there are none.
    package func withoutHTTP3Alternatives() -> ResponseHead? {
        guard let rest = fields.withoutHTTP3Alternatives() else { return nil }
        var out = wire.slice(ByteRange(0, startOfFields))
        out.writeImmutableBuffer(rest.wire)
        out.writeStaticString("\r\n")
        return ResponseHead(wire: out, version: version, status: status, reason: reasonRange, fields: rest)
    }

    /// The length of the status line of HTTP/1, or of the pseudo-fields.
    private var startOfFields: Int {
        let wire = wire
        let bytes = wire.readableBytesUInt8Span
        var start = 0
        var isFirst = version.major < 2
        while start < bytes.count, isFirst || bytes[start] == 0x3A {
            isFirst = false
            while start < bytes.count, bytes[start] != 0x0A { start += 1 }
            start += 1
        }
        return min(start, bytes.count)
    }
}

extension ByteBuffer {
    /// An element of Alt-Svc whose protocol is HTTP/3 (RFC 7838 §3): `protocol-id "=" alt-authority`. The identifier is an ALPN name, in which
    /// bytes may be percent-encoded.
    fileprivate var isHTTP3Alternative: Bool {
        let bytes = readableBytesUInt8Span
        var name: [UInt8] = []
        var i = 0
        while i < bytes.count, bytes[i] != 0x3D, name.count < 4 {
            if bytes[i] == 0x25, i + 2 < bytes.count, let high = hexadecimal(bytes[i + 1]), let low = hexadecimal(bytes[i + 2]) {
                name.append(high << 4 | low)
                i += 3
            } else {
                name.append(bytes[i])
                i += 1
            }
        }
        // The fourth byte, if there is one, belongs to a longer name.
        return i < bytes.count && (name == Array("h3".utf8) || name.starts(with: Array("h3-".utf8)))
    }

    private func hexadecimal(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x37
        case 0x61...0x66: digit - 0x57
        default: nil
        }
    }
}
