// Small parts of an entry for HARWriter: the durations of its steps, names with values, content.

import FlowModel
import FlowPrinter
import HTTPSemantics
import NIOCore

/// The durations of the steps of an exchange, in nanoseconds.
struct HARSteps {
    var blocked: Int64 = 0
    var send: Int64 = 0
    var wait: Int64 = 0
    var receive: Int64 = 0

    init(_ flow: Flow, _ request: Message<RequestHead>) {
        blocked = max(0, request.started - flow.started)
        let response = flow.response?.started
        // A server may answer before the request is complete.
        let sent = max(request.started, min(request.ended ?? request.started, response ?? .init(nanoseconds: .max)))
        send = sent - request.started
        // Without a response, the client waited until the end.
        if let answered = response ?? flow.ended { wait = max(0, answered - sent) }
        if let response, let end = flow.response?.ended ?? flow.ended { receive = max(0, end - response) }
    }

    func write(_ json: inout JSONWriter) {
        json.beginObject()
        json.key("blocked")
        json.milliseconds(blocked)
        json.key("dns")
        json.number(-1)
        json.key("connect")
        json.number(-1)
        json.key("ssl")
        json.number(-1)
        json.key("send")
        json.milliseconds(send)
        json.key("wait")
        json.milliseconds(wait)
        json.key("receive")
        json.milliseconds(receive)
        json.endObject()
    }
}

extension JSONWriter {
    mutating func pair(_ name: ByteBuffer, _ value: ByteBuffer) {
        beginObject()
        member("name", name, exact: "_nameBase64")
        member("value", value, exact: "_valueBase64")
        endObject()
    }

    /// `name=value`.
    mutating func pair(_ text: ByteBuffer) {
        let parts = text.parts(at: 0x3D, maximum: 2)
        pair(parts[0], parts.count > 1 ? parts[1] : ByteBuffer())
    }

    /// Text as it is, other bytes in base64, and text whose media type names another encoding than UTF-8.
    mutating func content(_ bytes: ByteBuffer, type: ByteBuffer?) {
        key("text")
        let charset = type.flatMap { mediaTypeParameter("charset", of: $0) }?.lowercased() ?? "utf-8"
        // Other encodings contain ASCII unchanged, except these, and those that begin with an escape.
        let isUTF8 =
            charset == "utf-8" || !charset.hasPrefix("utf-") && bytes.readableBytesView.allSatisfy { $0 < 0x80 && $0 != 0x1B }
        if isUTF8, bytes.isUTF8 {
            string(bytes)
            return
        }
        base64(bytes)
        key("encoding")
        string("base64")
    }
}

extension ByteBuffer {
    /// The parts between separators; at least one.
    func parts(at separator: UInt8, maximum: Int = .max) -> [ByteBuffer] {
        var parts: [ByteBuffer] = []
        let bytes = readableBytesUInt8Span
        var start = 0
        for i in 0..<bytes.count where bytes[i] == separator && parts.count + 1 < maximum {
            parts.append(slice(ByteRange(start, i)))
            start = i + 1
        }
        parts.append(slice(ByteRange(start, bytes.count)))
        return parts
    }
}
