// Local replies: generated in the client's version, recorded as the recorder's own (no server sent them), and sent.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore

extension LocalReply {
    /// For a client of HTTP/1, whose connection closes after it.
    /// - Parameter hasContent: false for answers to HEAD, and for statuses without content.
    static func http1(
        status: Int, _ message: String, fields: [(String, String)] = [], hasContent: Bool = true
    ) -> LocalReply {
        let line = "HTTP/1.1 \(status) \(HTTP1Translation.reasonPhrase(status))\r\n"
        return LocalReply(.http1_1, line, fields, connection: [("Connection", "close")], message, hasContent: hasContent)
    }

    /// For a stream of HTTP/2.
    static func http2(
        status: Int, _ message: String, fields: [(String, String)] = [], hasContent: Bool = true
    ) -> LocalReply {
        let fields = fields.map { ($0.0.lowercased(), $0.1) }
        return LocalReply(.http2, ":status: \(status)\r\n", fields, connection: [], message, hasContent: hasContent)
    }

    private init(
        _ version: HTTPVersion, _ line: String, _ fields: [(String, String)], connection: [(String, String)], _ message: String,
        hasContent: Bool
    ) {
        let content = hasContent ? ByteBuffer(string: "mitm: \(message)\n") : ByteBuffer()
        let isLowerCase = version == .http2
        var fields = fields
        if hasContent { fields.append((isLowerCase ? "content-type" : "Content-Type", "text/plain; charset=utf-8")) }
        fields += connection
        if hasContent { fields.append((isLowerCase ? "content-length" : "Content-Length", "\(content.readableBytes)")) }
        var wire = ByteBuffer(string: line)
        for (name, value) in fields { wire.writeString("\(name): \(value)\r\n") }
        wire.writeStaticString("\r\n")
        self.init(head: ResponseHead(parsing: wire, version: version), content: content)
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
