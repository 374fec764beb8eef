// The bytes that were sent. A head of HTTP/1 is the received bytes. Content is as it was sent; content in chunks has chunks again, one for each
// recorded piece, so that the message can be parsed. A head of HTTP/2 is a line for each field, because its compressed form is not recorded.

import FlowModel
import HTTPSemantics
import NIOCore

/// Writes messages, and the data of streams.
struct RawWriter: MessageWriter {
    private let sides: MessageOptions.Sides
    private(set) var omissions = Omissions()

    init(_ options: MessageOptions) { sides = options.sides }

    mutating func write(_ flow: Flow, into out: inout ByteBuffer, drain: Drain) throws -> Omissions.OfFlow {
        var output = RawOutput(bytes: out)
        out = ByteBuffer()
        defer { out = output.bytes }
        let isDamaged = try flow.isConversation ? conversation(flow, &output, drain) : exchange(flow.asStored, &output, drain)
        let isMissing =
            flow.isConversation
            ? flow.isTruncated
            : (sides.includes(.client) && flow.request?.hasAllContent == false
                || sides.includes(.server) && flow.response?.hasAllContent == false)
        if !isDamaged, !isMissing, output.isEmpty { return omissions.leaveOut(.noMessages) }
        return omissions.leaveOut(Set((isDamaged ? [.damage] : []) + (isMissing ? [.missing] : [])))
    }

    // MARK: Parts

    /// - Returns: whether content was left out because it is damaged.
    private func exchange(_ flow: Flow, _ output: inout RawOutput, _ drain: Drain) throws -> Bool {
        var isDamaged = false
        if sides.includes(.client) {
            if let request = flow.request {
                output.write(request.head.wire)
                let isChunked = request.head.version.major < 2 && request.head.fields.list("transfer-encoding", contains: "chunked")
                let framing = RawFraming(isChunked, request.isComplete, request.trailers)
                isDamaged = try content(flow, .client, framing, &output, drain)
            }
            malformed(flow, .client, &output)
        }
        guard sides.includes(.server) else { return isDamaged }
        for interim in flow.interims { output.write(interim.value.wire) }
        if let response = flow.response {
            output.write(response.head.wire)
            let isChunked = response.head.version.major < 2 && response.head.fields.list("transfer-encoding", contains: "chunked")
            let hasContent = flow.request?.head.isMethod("HEAD") != true && response.head.status != 304
            let framing = RawFraming(isChunked && hasContent, response.isComplete, response.trailers)
            isDamaged = try content(flow, .server, framing, &output, drain) || isDamaged
        } else if let reply = flow.localReply?.value {
            output.write(reply.head.wire)
            output.write(reply.content)
        }
        malformed(flow, .server, &output)
        return isDamaged
    }

    private func content(
        _ flow: Flow, _ side: Side, _ framing: RawFraming, _ output: inout RawOutput, _ drain: Drain
    ) throws -> Bool {
        var isDamaged = false
        try flow.pieces.forEach { _, piece in
            guard piece.kind == .data, piece.from == side, piece.content.readableBytes > 0 else { return true }
            if framing.isChunked { output.write(ByteBuffer(string: String(piece.content.readableBytes, radix: 16) + "\r\n")) }
            output.write(piece.content)
            if framing.isChunked { output.write(ByteBuffer(string: "\r\n")) }
            try output.drain(by: drain)
            return true
        } damaged: { piece in
            isDamaged = piece.kind == .data && piece.from == side
            return !isDamaged
        }
        guard !isDamaged, framing.isComplete else { return isDamaged }
        if framing.isChunked { output.write(ByteBuffer(string: "0\r\n")) }
        if let trailers = framing.trailers { output.write(trailers.wire) }
        if framing.isChunked || framing.trailers != nil { output.write(ByteBuffer(string: "\r\n")) }
        return false
    }

    private func malformed(_ flow: Flow, _ side: Side, _ output: inout RawOutput) {
        for bytes in flow.malformed.map(\.value) where bytes.from == side { output.write(bytes.bytes) }
    }

    /// The heads of an upgrade, and the messages or bytes after it in the order of time. Frames of WebSocket are not recorded.
    private func conversation(_ flow: Flow, _ output: inout RawOutput, _ drain: Drain) throws -> Bool {
        if sides.includes(.client), let request = flow.request { output.write(request.head.wire) }
        if sides.includes(.server), let response = flow.response { output.write(response.head.wire) }
        var isDamaged = false
        try flow.pieces.forEach { _, piece in
            guard sides.includes(piece.from), [.data, .text, .binary].contains(piece.kind) else { return true }
            output.write(piece.content)
            try output.drain(by: drain)
            return true
        } damaged: { piece in
            isDamaged = isDamaged || sides.includes(piece.from)
            return true
        }
        return isDamaged
    }
}

/// How the end of content is found.
private struct RawFraming {
    let isChunked: Bool
    let isComplete: Bool
    let trailers: FieldSection?

    init(_ isChunked: Bool, _ isComplete: Bool, _ trailers: FieldSection?) {
        (self.isChunked, self.isComplete, self.trailers) = (isChunked, isComplete, trailers)
    }
}

/// Output that is drained before it is large.
private struct RawOutput {
    var bytes: ByteBuffer
    private(set) var isEmpty = true

    init(bytes: ByteBuffer) { self.bytes = bytes }

    mutating func write(_ part: ByteBuffer) {
        guard part.readableBytes > 0 else { return }
        isEmpty = false
        bytes.writeImmutableBuffer(part)
    }

    mutating func drain(by drain: Drain) throws {
        if bytes.readableBytes > maximumPrinted { try drain(&bytes) }
    }
}
