// What of a message concerns one connection only, and is not forwarded as it is (RFC 9110 §7.6.1, RFC 9113 §8.2.2).

import NIOCore

extension FieldSection {
    /// A connection-specific field, which is not translated (RFC 9113 §8.2.2). TE stays if its value is trailers.
    package func isConnectionSpecific(_ line: Line) -> Bool {
        switch line.name.count {
        case 2: isTE(line) && !slice(line.value).listElements().contains { $0.equalsIgnoringCase("trailers") }
        case 7: wire.equalsIgnoringCase(line.name, "upgrade")
        case 10: wire.equalsIgnoringCase(line.name, "connection") || wire.equalsIgnoringCase(line.name, "keep-alive")
        case 14: wire.equalsIgnoringCase(line.name, "http2-settings")
        case 16: wire.equalsIgnoringCase(line.name, "proxy-connection")
        case 17: wire.equalsIgnoringCase(line.name, "transfer-encoding")
        default: false
        }
    }

    package func isTE(_ line: Line) -> Bool { wire.equalsIgnoringCase(line.name, "te") }

    /// Names of further fields that the Connection fields make hop-by-hop.
    package var connectionOptions: [ByteBuffer] {
        var names: [ByteBuffer] = []
        var next = line("connection")
        while let index = next {
            next = line("connection", after: index)
            var rest = lines[index].value
            while let option = wire.takeListElement(of: &rest) {
                let name = slice(option)
                if !wire.isHopByHopOption(option), !name.isEndToEndField { names.append(name) }
            }
        }
        return names
    }
}

extension ByteBuffer {
    /// Whether an element of Connection is one that each hop uses in the same way.
    package func isHopByHopOption(_ option: ByteRange) -> Bool {
        equalsIgnoringCase(option, "close") || equalsIgnoringCase(option, "keep-alive") || equalsIgnoringCase(option, "upgrade")
            || equalsIgnoringCase(option, "te") || equalsIgnoringCase(option, "http2-settings")
    }

    /// Names of fields that a sender cannot make hop-by-hop by naming them in Connection without changing what the message means
    /// (RFC 9110 §7.6.1).
    package var isEndToEndField: Bool {
        let names: [StaticString] = [
            "host", "content-length", "transfer-encoding", "content-type", "content-encoding", "content-range", "cache-control",
            "trailer", "set-cookie", "cookie", "authorization", "connection", "location", "date",
        ]
        return names.contains { equalsIgnoringCase($0) }
    }

    /// RFC 9112 §5.2: each fold, with the white space around it, becomes one space.
    package func unfolded() -> ByteBuffer {
        var out = ByteBuffer()
        writeUnfolded(into: &out)
        return out
    }

    /// Writes the readable bytes without folds.
    package func writeUnfolded(into out: inout ByteBuffer) {
        let span = readableBytesUInt8Span
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
            if isFold { out.writeInteger(UInt8(0x20)) } else { out.writeImmutableBuffer(slice(ByteRange(i, end))) }
            i = end
        }
    }
}
