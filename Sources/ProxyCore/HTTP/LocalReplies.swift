// Local replies: generated in the client's version, recorded as the recorder's own (no server sent them), and sent.

import FlowModel
import HTTP1Codec
import HTTP2Codec
import HTTPSemantics
import NIOCore

/// An answer of our own, for a client of any version.
struct LocalContent {
    var status: Int
    /// Beside Content-Type and what frames the content.
    var fields: [(String, String)] = []
    var type: String
    var content: ByteBuffer

    init(status: Int, _ type: String, _ content: ByteBuffer) {
        self.status = status
        self.type = type
        self.content = content
    }

    /// A sentence.
    static func message(status: Int, _ text: String) -> LocalContent {
        LocalContent(status: status, "text/plain; charset=utf-8", ByteBuffer(string: "mitm: \(text)\n"))
    }
}

extension LocalReply {
    /// For a client of HTTP/1, whose connection closes after it.
    /// - Parameter hasContent: false for answers to HEAD, and for statuses without content.
    static func http1(_ answer: LocalContent, hasContent: Bool = true) -> LocalReply {
        let line = "HTTP/1.1 \(answer.status) \(HTTP1Translation.reasonPhrase(answer.status))\r\n"
        return LocalReply(.http1_1, line, answer, connection: [("Connection", "close")], hasContent: hasContent)
    }

    /// For a stream of HTTP/2.
    static func http2(_ answer: LocalContent, hasContent: Bool = true) -> LocalReply {
        LocalReply(.http2, ":status: \(answer.status)\r\n", answer, connection: [], hasContent: hasContent)
    }

    private init(
        _ version: HTTPVersion, _ line: String, _ answer: LocalContent, connection: [(String, String)], hasContent: Bool
    ) {
        let content = hasContent ? answer.content : ByteBuffer()
        var fields = answer.fields
        if hasContent { fields.append(("Content-Type", answer.type)) }
        fields += connection
        if hasContent { fields.append(("Content-Length", "\(content.readableBytes)")) }
        var wire = ByteBuffer(string: line)
        for (name, value) in fields { wire.writeString("\(version == .http2 ? name.lowercased() : name): \(value)\r\n") }
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
