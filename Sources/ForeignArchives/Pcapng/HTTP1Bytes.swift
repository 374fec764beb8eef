// The bytes of an exchange of HTTP/1: heads as they were received, content in chunks as its pieces came where the head declares chunks.

import FlowModel
import HTTPSemantics
import NIOCore

/// Writes the events of one exchange.
struct HTTP1Bytes: Sendable {
    private let flow: FlowReference
    private var isChunked = OfSides(client: false, server: false)
    private var trailers = OfSides<FieldSection?>(client: nil, server: nil)

    init(_ flow: FlowReference) { self.flow = flow }

    /// Appends the bytes of an event.
    /// - Returns: the side that sent them; nil if the event has no bytes.
    mutating func write(_ event: FlowEvent.What, into out: inout ByteBuffer) -> Side? {
        switch event {
        case .request(let head):
            isChunked[.client] = out.write(head, of: flow.value)
            return .client
        case .interim(let head):
            _ = out.write(head, hasContent: false, of: flow.value)
            return .server
        case .response(let head):
            isChunked[.server] = out.write(head, hasContent: hasContent(head), of: flow.value)
            return .server
        case .piece(let piece):
            write(piece, into: &out)
            return piece.from
        case .trailers(let side, let fields):
            trailers[side] = fields
            return nil
        case .finished(let side):
            guard isChunked[side] else { return nil }
            out.writeStaticString("0\r\n")
            if let fields = trailers[side] { out.writeImmutableBuffer(fields.wire) }
            out.writeStaticString("\r\n")
            return side
        default:
            return nil
        }
    }

    private func write(_ piece: FlowPiece, into out: inout ByteBuffer) {
        if piece.kind != .data {
            out.writeFrame(piece)
        } else if isChunked[piece.from], piece.content.readableBytes > 0 {
            out.writeString(String(piece.content.readableBytes, radix: 16) + "\r\n")
            out.writeImmutableBuffer(piece.content)
            out.writeStaticString("\r\n")
        } else {
            out.writeImmutableBuffer(piece.content)
        }
    }

    /// RFC 9112 section 6.3.
    private func hasContent(_ head: ResponseHead) -> Bool {
        if flow.value.request?.head.isMethod("HEAD") == true || flow.value.isSwitched { return false }
        return head.status >= 200 && head.status != 204 && head.status != 304
    }
}

extension ByteBuffer {
    /// Writes the head of a request.
    /// - Returns: whether its content is in chunks.
    fileprivate mutating func write(_ head: RequestHead, of flow: Flow) -> Bool {
        if head.version.major < 2 {
            write(head.wire, without: flow.isWebSocket ? "sec-websocket-extensions" : nil)
            return !flow.isSwitched && head.fields.isChunked
        }
        // As a server of HTTP/1 has received it (RFC 9113 section 8.3.1, RFC 8441 section 5).
        let opensWebSocket = head.upgrade == .webSocket
        writeImmutableBuffer(opensWebSocket ? ByteBuffer(string: "GET") : head.method)
        writeStaticString(" ")
        let isConnect = head.isMethod("CONNECT") && !opensWebSocket
        writeImmutableBuffer(isConnect ? head.authority : head.target)
        writeStaticString(" HTTP/1.1\r\n")
        if !head.fields.contains("host") {
            writeStaticString("Host: ")
            writeImmutableBuffer(head.authority)
            writeStaticString("\r\n")
        }
        if opensWebSocket { writeStaticString("Connection: Upgrade\r\nUpgrade: websocket\r\n") }
        write(head.fields)
        let request = flow.request
        let hasContent = request.map { $0.size > 0 || $0.ended == nil || $0.trailers != nil } ?? false
        let isChunked = hasContent && !flow.isSwitched && !head.fields.contains("content-length")
        writeStaticString(isChunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n")
        return isChunked
    }

    /// Writes the head of a response.
    /// - Returns: whether its content is in chunks.
    fileprivate mutating func write(_ head: ResponseHead, hasContent: Bool, of flow: Flow) -> Bool {
        if head.version.major < 2 {
            write(head.wire, without: flow.isWebSocket ? "sec-websocket-extensions" : nil)
            return hasContent && head.fields.isChunked
        }
        // As a client of HTTP/1 has received it.
        let opensWebSocket = flow.isWebSocket && flow.request?.head.upgrade == .webSocket && head.status == 200
        if opensWebSocket {
            writeStaticString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
        } else {
            writeString("HTTP/1.1 \(head.status) \r\n")
        }
        write(head.fields)
        let isChunked =
            hasContent && !head.fields.contains("content-length") && flow.request?.head.version != .http1_0
        writeStaticString(isChunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n")
        return isChunked
    }

    /// Writes the lines of a section but the one that names the extensions of WebSocket: messages are written without them.
    private mutating func write(_ fields: FieldSection) {
        for line in fields.lines where !fields.wire.equalsIgnoringCase(line.name, "sec-websocket-extensions") {
            writeImmutableBuffer(fields.slice(line.name))
            writeStaticString(": ")
            fields.slice(line.value).writeUnfolded(into: &self)
            writeStaticString("\r\n")
        }
    }

    /// Writes a head as it was received.
    /// - Parameter name: of fields that are left out, with the lines that continue them.
    private mutating func write(_ head: ByteBuffer, without name: StaticString?) {
        guard let name else {
            writeImmutableBuffer(head)
            return
        }
        var rest = head
        var isLeftOut = false
        while rest.readableBytes > 0 {
            let bytes = rest.readableBytesView
            let length = bytes.firstIndex(of: 0x0A).map { $0 - bytes.startIndex + 1 } ?? bytes.count
            guard let line = rest.readSlice(length: length) else { return }
            let first = line.readableBytesView.first
            if first != 0x20, first != 0x09 {
                let end = line.readableBytesView.firstIndex { $0 == 0x3A || $0 == 0x20 || $0 == 0x09 }
                let count = end.map { $0 - line.readableBytesView.startIndex } ?? 0
                isLeftOut = line.equalsIgnoringCase(ByteRange(0, count), name)
            }
            if !isLeftOut { writeImmutableBuffer(line) }
        }
    }

    /// Writes a message of WebSocket as one frame (RFC 6455 section 5.2). The key of a client's mask is 0, so its bytes are readable.
    mutating func writeFrame(_ piece: FlowPiece) {
        let opcode: UInt8 =
            switch piece.kind {
            case .text: 1
            case .binary, .data: 2
            case .close: 8
            case .ping: 9
            case .pong: 10
            }
        let isMasked = piece.from == .client
        let mask: UInt8 = isMasked ? 0x80 : 0
        writeInteger(0x80 | opcode)
        switch piece.content.readableBytes {
        case let size where size <= 125: writeInteger(UInt8(size) | mask)
        case let size where size <= 0xFFFF: writeMultipleIntegers(126 | mask, UInt16(size))
        case let size: writeMultipleIntegers(127 | mask, UInt64(size))
        }
        if isMasked { writeInteger(UInt32(0)) }
        writeImmutableBuffer(piece.content)
    }
}

extension FieldSection {
    /// The content is in chunks (RFC 9112 section 6.3).
    fileprivate var isChunked: Bool { transferCodings.last?.equalsIgnoringCase("chunked") ?? false }
}
