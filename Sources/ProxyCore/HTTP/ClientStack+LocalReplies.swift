// Answers of our own: made in the form of the client's version, recorded as the recorder's (they are nothing that a server said), and sent.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore

extension ClientStack {
    /// An answer as this client will receive it.
    /// - Parameters:
    ///   - isHTTP2: it goes to a stream of HTTP/2. A connection of HTTP/1 closes after it.
    ///   - hasContent: false for what answers HEAD, and for statuses that have none.
    static func localReply(
        status: Int, _ message: String, fields: [(String, String)] = [], hasContent: Bool = true, isHTTP2: Bool
    ) -> LocalReply {
        let content = hasContent ? ByteBuffer(string: "mitm: \(message)\n") : ByteBuffer()
        var fields = fields
        if hasContent { fields.append(("Content-Type", "text/plain; charset=utf-8")) }
        if !isHTTP2 { fields.append(("Connection", "close")) }
        if hasContent { fields.append(("Content-Length", "\(content.readableBytes)")) }
        var wire = ByteBuffer()
        wire.writeString(isHTTP2 ? ":status: \(status)\r\n" : "HTTP/1.1 \(status) \(HTTP1Translation.reasonPhrase(status))\r\n")
        for (name, value) in fields { wire.writeString("\(isHTTP2 ? name.lowercased() : name): \(value)\r\n") }
        wire.writeStaticString("\r\n")
        return LocalReply(head: ResponseHead(parsing: wire, version: isHTTP2 ? .http2 : .http1_1), content: content)
    }

    /// Sends an answer of our own to a client of HTTP/1.
    func send(_ reply: LocalReply) {
        sendToClient(reply.head.wire)
        sendToClient(reply.content)
    }
}

extension HTTP2Connection {
    /// Sends an answer of our own on a stream.
    func answer(_ reply: LocalReply, on stream: StreamID) {
        var fields = HTTP2Fields()
        FieldSection.forEachLine(in: reply.head.wire) { name, value in
            fields.append(reply.head.wire.slice(name), reply.head.wire.slice(value))
        }
        let isEmpty = reply.content.readableBytes == 0
        sendResponse(fields, on: stream, endsStream: isEmpty)
        if !isEmpty {
            sendData(reply.content, on: stream)
            sendEnd(trailers: nil, on: stream)
        }
        endInput(of: stream)
    }
}
