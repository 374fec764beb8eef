// A message as the recording has it. Redaction may have changed its content or removed its content codings, and a recorder may have left
// content out: the head describes what was sent then. Those that send or export the stored content need a head that describes it, or
// their reader would wait for bytes that do not come, or decode bytes that are not encoded.

import HTTPSemantics
import NIOCore

extension Message<RequestHead> {
    /// The message with a head, and a size, that fit its stored content (RFC 9112 section 6, RFC 9110 section 8.4). Itself where they do.
    package var asStored: Message {
        guard isStoredDifferently else { return self }
        var stored = self
        let framing = DeclaredFraming(head.fields).framing(ofRequest: storedSize, hasTrailers: trailers != nil, head.version)
        stored.head = RequestHead(
            parsing: head.wire.describing(framing, keepsCodings: keepsCodings, head.version), version: head.version)
        stored.forgetDifference()
        return stored
    }
}

extension Message<ResponseHead> {
    /// The message with a head, and a size, that fit its stored content (RFC 9112 section 6, RFC 9110 section 8.4). Itself where they do.
    package var asStored: Message {
        guard isStoredDifferently else { return self }
        var stored = self
        let framing = DeclaredFraming(head.fields).framing(ofResponse: storedSize, isWhole: ended != nil, head.version)
        stored.head = ResponseHead(
            parsing: head.wire.describing(framing, keepsCodings: keepsCodings, head.version), version: head.version)
        stored.forgetDifference()
        return stored
    }
}

extension Message {
    /// The stored content is not the content that the head describes.
    fileprivate var isStoredDifferently: Bool { storedSize != size || isStoredDecoded || isCut }

    /// Empty content is not valid in a content coding: clients fail to decode it.
    fileprivate var keepsCodings: Bool { !isStoredDecoded && storedSize > 0 }

    fileprivate mutating func forgetDifference() {
        size = storedSize
        isStoredDecoded = false
        isCut = false
    }
}

extension Flow {
    /// The flow with heads, and sizes, that fit the stored content of its messages.
    package var asStored: Flow {
        // What follows a switch of protocols is not content of the two messages.
        guard kind == .http, !isWebSocket, response?.head.status != 101, request?.head.isMethod("CONNECT") != true else {
            return self
        }
        var stored = self
        stored.request = request?.asStored
        stored.response = response?.asStored
        return stored
    }
}

extension ByteBuffer {
    /// A head in which the framing of content is another. All other bytes stay as they were received.
    fileprivate func describing(_ framing: ContentFraming, keepsCodings: Bool, _ version: HTTPVersion) -> ByteBuffer {
        let bytes = readableBytesUInt8Span
        var out = ByteBuffer()
        out.reserveCapacity(bytes.count + 32)
        var field = framing.field
        func writeFraming(into out: inout ByteBuffer) {
            if let (name, value) = field { out.writeString("\(version.major >= 2 ? name.lowercased() : name): \(value)\r\n") }
            field = nil
        }
        var start = 0
        // HTTP/1 has a start-line.
        var isFirst = version.major < 2
        var isLeftOut = false
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != 0x0A { end += 1 }
            end = Swift.min(end + 1, bytes.count)
            defer { start = end }
            let isEnd = bytes[start] == 0x0A || bytes[start] == 0x0D
            // A line that begins with white space continues the value before it (RFC 9112 section 5.2).
            let isContinuation = bytes[start] == 0x20 || bytes[start] == 0x09
            if isEnd, !isFirst {
                writeFraming(into: &out)
            } else if !isFirst, !isContinuation {
                let name = nameRange(start, end)
                let isFraming =
                    equalsIgnoringCase(name, "content-length") || equalsIgnoringCase(name, "transfer-encoding")
                if isFraming { writeFraming(into: &out) }
                isLeftOut = isFraming || (!keepsCodings && equalsIgnoringCase(name, "content-encoding"))
            }
            if isEnd { isLeftOut = false }
            if !isLeftOut { out.writeImmutableBuffer(slice(ByteRange(start, end))) }
            isFirst = false
        }
        writeFraming(into: &out)
        return out
    }

    /// The name of a field line: the bytes before its colon, without white space. That of a pseudo-field is empty.
    private func nameRange(_ start: Int, _ end: Int) -> ByteRange {
        let bytes = readableBytesUInt8Span
        var colon = start
        while colon < end, bytes[colon] != 0x3A { colon += 1 }
        while colon > start, bytes[colon - 1] == 0x20 || bytes[colon - 1] == 0x09 { colon -= 1 }
        return ByteRange(start, colon)
    }
}
