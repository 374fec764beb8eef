// A message of HTTP/1 as other programs store it: a head, and the content after it, which may be in chunks (RFC 9112).

import FlowModel
import HTTPSemantics
import NIOCore

/// The bytes of a message.
struct HTTP1Message {
    let head: ByteBuffer
    let body: ByteBuffer

    /// - Returns: nil if the bytes do not begin with a head that ends.
    init?(_ bytes: ByteBuffer) {
        guard let end = bytes.endOfHead() else { return nil }
        head = bytes.slice(ByteRange(0, end))
        body = bytes.slice(ByteRange(end, bytes.readableBytes))
    }

    /// The request, with the framing that fits its content.
    /// - Parameter isCut: the file marks it as not whole.
    func request(isCut: Bool) -> (head: RequestHead, message: ForeignMessage) {
        let head = RequestHead(parsing: head, version: .http1_1)
        var message = message(head.fields, head.version, isCut: isCut)
        message.fit(.request)
        guard !message.notes.isEmpty || head.version.major >= 2 else { return (head, message) }
        let isConnect = head.isMethod("CONNECT")
        let host = isConnect ? head.target : head.version.major >= 2 ? head.fields.first("host") ?? ByteBuffer() : ByteBuffer()
        let fitted = message.head.request(
            version: head.version, method: head.method, scheme: ByteBuffer(string: "http"), authority: host, path: head.target)
        return (fitted, message)
    }

    /// The response, as of a request.
    func response(to method: ByteBuffer, isCut: Bool) -> (head: ResponseHead, message: ForeignMessage) {
        let head = ResponseHead(parsing: head, version: .http1_1)
        var message = message(head.fields, head.version, isCut: isCut)
        // A response to HEAD announces content that it does not have.
        if method == ByteBuffer(string: "HEAD") || head.status == 304, body.readableBytes == 0, !isCut {
            message.content = .whole(ByteBuffer())
        }
        message.fit(.response(status: head.status, method: method))
        guard !message.notes.isEmpty || head.version.major >= 2 else { return (head, message) }
        let reason = head.wire.slice(head.reasonRange)
        return (message.head.response(version: head.version, status: head.status, reason: reason), message)
    }

    private func message(_ fields: FieldSection, _ version: HTTPVersion, isCut: Bool) -> ForeignMessage {
        var message = ForeignMessage(version: version)
        message.head.fields = fields.lines.map { (fields.slice($0.name), fields.slice($0.value)) }
        var isWhole = !isCut
        var content = body
        if fields.transferCodings.last?.isName("chunked") == true, let chunks = Chunks(body) {
            content = chunks.content
            isWhole = isWhole && chunks.isWhole
            message.trailers = chunks.trailers
        } else if let length = message.announcedLength, UInt64(body.readableBytes) < length, !fields.contains("content-encoding") {
            // Programs that decode content keep the length that it had.
            isWhole = false
        }
        message.content = isWhole ? .whole(content) : content.readableBytes == 0 ? .missing : .cut(content)
        return message
    }
}

/// Content in chunks (RFC 9112 section 7.1).
private struct Chunks {
    private(set) var content = ByteBuffer()
    private(set) var trailers: FieldSection?
    /// The last chunk is there, and what follows it.
    private(set) var isWhole = false

    /// - Returns: nil if the bytes are not in chunks: many programs keep the field and remove the chunks.
    init?(_ body: ByteBuffer) {
        let bytes = body.readableBytesUInt8Span
        var at = 0
        var isFirst = true
        while at < bytes.count {
            var size = 0
            var digits = 0
            var i = at
            while i < bytes.count, let digit = bytes[i].hexDigit, digits < 15 {
                (size, digits, i) = (size << 4 | digit, digits + 1, i + 1)
            }
            while i < bytes.count, bytes[i] != 0x0A { i += 1 }
            guard i < bytes.count else { break }
            let isLine =
                digits > 0
                && (bytes[at + digits] == 0x0D || bytes[at + digits] == 0x0A || bytes[at + digits] == 0x3B
                    || bytes[at + digits] == 0x20)
            guard isLine else {
                if isFirst { return nil }
                break
            }
            at = i + 1
            isFirst = false
            guard size > 0 else {
                takeTrailers(body, from: at)
                return
            }
            let end = min(bytes.count, at + size)
            content.writeImmutableBuffer(body.slice(ByteRange(at, end)))
            guard at + size <= bytes.count else { return }
            at = end
            if at < bytes.count, bytes[at] == 0x0D { at += 1 }
            if at < bytes.count, bytes[at] == 0x0A { at += 1 }
        }
        if isFirst, bytes.count > 0 { return nil }
    }

    private mutating func takeTrailers(_ body: ByteBuffer, from start: Int) {
        let rest = body.slice(ByteRange(start, body.readableBytes))
        let first = rest.readableBytesView.prefix(2)
        if first.isEmpty || first.first == 0x0A || first.elementsEqual([0x0D, 0x0A]) {
            isWhole = true
        } else if let end = rest.endOfHead() {
            isWhole = true
            let empty = rest.getInteger(at: rest.readerIndex + end - 2, as: UInt8.self) == 0x0D ? 2 : 1
            trailers = FieldSection(parsing: rest.slice(ByteRange(0, end - empty)))
        }
    }
}
