// Heads of recorded requests as a client sends them again: fields of the recorded connection are left out, a WebSocket handshake is made
// again (RFC 6455 §4.1).

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import WebSocketCodec

extension ReplaySession {
    /// How the content of a recorded request of HTTP/1 is framed: as it was, where that fits what the recording holds.
    static func framing(of request: Message<RequestHead>) -> ContentFraming {
        DeclaredFraming(request.head.fields).framing(
            ofRequest: request.size, hasTrailers: request.trailers != nil, request.head.version)
    }

    /// The head of a request of HTTP/1. The credentials belonged to the recorder, and an upgrade to HTTP/2 is not requested again.
    static func requestHead(_ head: RequestHead, _ framing: ContentFraming) -> ByteBuffer {
        let isUpgrade = head.fields.contains("http2-settings")
        guard isUpgrade || !DeclaredFraming(head.fields).declares(framing) else {
            return HTTP1Encoder.request(head, framing: nil, target: nil, host: nil, proxyAuthorization: .remove)
        }
        let left: Set<String> = isUpgrade ? ["upgrade", "http2-settings", "connection"] : []
        let written = write(head, framing) { !left.contains($0) }
        return HTTP1Encoder.request(
            RequestHead(parsing: written, version: head.version), framing: nil, target: nil, host: nil, proxyAuthorization: .remove)
    }

    /// The opening handshake with a key of its own. No extensions are requested: messages are sent uncompressed.
    func webSocketRequest(_ head: RequestHead) -> ByteBuffer {
        let nonce = (0..<4).flatMap { _ in
            let word = keys.random()
            return [
                UInt8(truncatingIfNeeded: word >> 24), UInt8(truncatingIfNeeded: word >> 16), UInt8(truncatingIfNeeded: word >> 8),
            ]
                + [UInt8(truncatingIfNeeded: word)]
        }
        // Messages follow, and no content.
        var out = Self.write(head, .unstated) {
            !["sec-websocket-key", "sec-websocket-extensions", "proxy-authorization", "proxy-connection"].contains($0)
        }
        // Before the empty line.
        out.moveWriterIndex(to: out.writerIndex - 2)
        out.writeString("Sec-WebSocket-Key: \(WebSocketHandshake.key(nonce: nonce))\r\n\r\n")
        return out
    }

    /// - Parameters:
    ///   - framing: of the content, in place of the recorded one.
    ///   - keep: whether another field stays, asked with its name in lower case.
    private static func write(_ head: RequestHead, _ framing: ContentFraming, where keep: (String) -> Bool) -> ByteBuffer {
        var out = ByteBuffer()
        out.writeImmutableBuffer(head.method)
        out.writeStaticString(" ")
        out.writeImmutableBuffer(head.target)
        out.writeString(" \(head.version)\r\n")
        var field = framing.field
        func writeFraming() {
            if let (name, value) = field { out.writeString("\(name): \(value)\r\n") }
            field = nil
        }
        for line in head.fields.lines {
            let name = String(buffer: head.fields.slice(line.name)).lowercased()
            if name == "content-length" || name == "transfer-encoding" {
                writeFraming()
            } else if keep(name) {
                out.writeImmutableBuffer(head.fields.slice(line.name))
                out.writeStaticString(": ")
                out.writeImmutableBuffer(head.fields.slice(line.value).unfolded())
                out.writeStaticString("\r\n")
            }
        }
        writeFraming()
        out.writeStaticString("\r\n")
        return out
    }

    /// The fields of a request of HTTP/2, with the scheme of the present server. A length that does not fit the content makes a
    /// request malformed (RFC 9113 §8.1.1), and so does a transfer coding (§8.2.2); neither is needed.
    func fields(_ request: Message<RequestHead>) -> HTTP2Fields {
        let head = request.head
        let declared = DeclaredFraming(head.fields)
        let isLengthRight = declared.length == request.size
        var hasLength = false
        var fields = HTTP2Fields()
        FieldSection.forEachLine(in: head.wire) { name, value in
            if head.wire.equals(name, ":scheme") {
                fields.append(":scheme", script.scheme)
            } else if head.wire.equalsIgnoringCase(name, "content-length") {
                if isLengthRight, !hasLength { fields.append("content-length", "\(request.size)") }
                hasLength = true
            } else if !head.wire.equals(name, "sec-websocket-extensions"), !head.wire.equals(name, "proxy-authorization"),
                !head.wire.equalsIgnoringCase(name, "transfer-encoding")
            {
                fields.append(head.wire.slice(name), head.wire.slice(value))
            }
        }
        return fields
    }
}
