// Heads of recorded requests as a client says them again: what belonged to the recorded connection stays behind, a WebSocket handshake is made
// anew (RFC 6455 §4.1).

import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore
import WebSocketCodec

extension ReplaySession {
    /// The head of a request of HTTP/1. Credentials were the recorder's business, and an upgrade to HTTP/2 is not asked for again.
    static func requestHead(_ head: RequestHead) -> ByteBuffer {
        guard head.fields.contains("http2-settings") else {
            return HTTP1Encoder.request(head, framing: nil, target: nil, host: nil, proxyAuthorization: .remove)
        }
        return write(head) { !["upgrade", "http2-settings", "connection", "proxy-authorization"].contains($0) }
    }

    /// The opening handshake with a key of its own. Extensions are not asked for: messages are sent as they are.
    func webSocketRequest(_ head: RequestHead) -> ByteBuffer {
        let nonce = (0..<4).flatMap { _ in
            let word = keys.random()
            return [
                UInt8(truncatingIfNeeded: word >> 24), UInt8(truncatingIfNeeded: word >> 16), UInt8(truncatingIfNeeded: word >> 8),
            ]
                + [UInt8(truncatingIfNeeded: word)]
        }
        var out = Self.write(head) {
            !["sec-websocket-key", "sec-websocket-extensions", "proxy-authorization", "proxy-connection"].contains($0)
        }
        // Before the empty line.
        out.moveWriterIndex(to: out.writerIndex - 2)
        out.writeString("Sec-WebSocket-Key: \(WebSocketHandshake.key(nonce: nonce))\r\n\r\n")
        return out
    }

    /// - Parameter keep: whether a field stays, asked with its name in lower case.
    private static func write(_ head: RequestHead, where keep: (String) -> Bool) -> ByteBuffer {
        var out = ByteBuffer()
        out.writeImmutableBuffer(head.method)
        out.writeStaticString(" ")
        out.writeImmutableBuffer(head.target)
        out.writeString(" \(head.version)\r\n")
        for line in head.fields.lines where keep(String(buffer: head.fields.slice(line.name)).lowercased()) {
            out.writeImmutableBuffer(head.fields.slice(line.name))
            out.writeStaticString(": ")
            out.writeImmutableBuffer(head.fields.slice(line.value).unfolded())
            out.writeStaticString("\r\n")
        }
        out.writeStaticString("\r\n")
        return out
    }

    /// The fields of a request of HTTP/2, with the scheme of the server that is spoken to now.
    func fields(_ head: RequestHead) -> HTTP2Fields {
        var fields = HTTP2Fields()
        FieldSection.forEachLine(in: head.wire) { name, value in
            if head.wire.equals(name, ":scheme") {
                fields.append(":scheme", script.scheme)
            } else if !head.wire.equals(name, "sec-websocket-extensions"), !head.wire.equals(name, "proxy-authorization") {
                fields.append(head.wire.slice(name), head.wire.slice(value))
            }
        }
        return fields
    }
}
