// A flow in one line: when, what was asked, how it was answered, how much, how long.

import FlowModel
import HTTPSemantics
import NIOCore
import Protobuf

/// Writes lines of flows.
struct FlowLine {
    /// A URL is never cut to less.
    private static let minimumURL = 20

    let style: TextStyle

    private var palette: Palette { style.palette }

    /// Appends the line, cut to the terminal's width.
    func write(_ flow: Flow, into out: inout ByteBuffer) {
        let start = out.writerIndex
        style.write(flow.started, into: &out)
        let text = out.writerIndex
        let operation = flow.graphQLOperation
        write(flow, nil, operation, into: &out)
        if let columns = style.columns(), let line = out.getSlice(at: start, length: out.writerIndex - start) {
            let excess = line.columns - columns
            if excess > 0, let url = flow.visibleURL {
                out.moveWriterIndex(to: text)
                write(flow, url.cut(toColumns: max(Self.minimumURL, url.columns - excess)), operation, into: &out)
            }
        }
        out.writeInteger(UInt8(0x0A))
    }

    /// - Parameters:
    ///   - url: what stands for the URL; nil is the whole one.
    ///   - operation: of GraphQL.
    private func write(_ flow: Flow, _ url: ByteBuffer?, _ operation: String?, into out: inout ByteBuffer) {
        if let client = flow.client?.value.peer.host, !client.isEmpty, !client.isLoopback {
            out.writeString(client)
            out.writeStaticString(" ")
        }
        switch flow.kind {
        case .http: exchange(flow, url, operation, &out)
        case .tcp: stream(flow, &out)
        case .tls: out.writeVisible("TLS \(flow.target.host):\(flow.target.port)")
        }
        end(flow, &out)
        if !flow.notes.isEmpty { out.writeString(" (\(flow.notes.count == 1 ? "a note" : "\(flow.notes.count) notes"))") }
        if !flow.tags.isEmpty { out.writeVisible(" [\(flow.tags.joined(separator: ", "))]") }
    }

    // MARK: Parts

    private func exchange(_ flow: Flow, _ url: ByteBuffer?, _ operation: String?, _ out: inout ByteBuffer) {
        if let request = flow.request {
            palette.write(.method, into: &out) { $0.writeVisible(request.head.method) }
            out.writeStaticString(" ")
            if let url { out.writeImmutableBuffer(url) } else { out.writeVisible(flow.displayURL ?? request.head.target) }
            if let operation { out.writeVisible(" \(operation)") }
            if request.head.version != .http1_1 { out.writeString(" \(request.head.version)") }
        } else {
            out.writeStaticString("no request")
        }
        if let reply = flow.localReply?.value.head {
            out.writeStaticString(" << ")
            status(reply, &out)
            out.writeStaticString(" (by the recorder)")
        }
        guard let response = flow.response else { return }
        out.writeStaticString(" << ")
        if flow.isConversation {
            conversation(flow, response, &out)
        } else {
            answer(flow, response, &out)
        }
    }

    private func status(_ head: ResponseHead, _ out: inout ByteBuffer) {
        palette.write(Palette.role(ofStatus: head.status), into: &out) { $0.writeString("\(head.status)") }
        guard head.reason.readableBytes > 0 else { return }
        out.writeStaticString(" ")
        out.writeVisible(head.reason)
    }

    private func answer(_ flow: Flow, _ response: Message<ResponseHead>, _ out: inout ByteBuffer) {
        status(response.head, &out)
        if let type = response.head.fields.first("content-type") {
            out.writeStaticString(" ")
            if let grpc = GRPCStatus(fields: response.head.fields, trailers: response.trailers) {
                palette.write(grpc.isOK ? .good : .failure, into: &out) { $0.writeVisible("grpc \(grpc.name)") }
            } else {
                out.writeVisible(type.withoutParameters)
            }
        }
        out.writeStaticString(" ")
        out.writeString(readableSize(response.size))
        if response.ended == nil {
            out.writeStaticString(" (incomplete)")
        } else if let share = flow.storedShare(of: .server) {
            out.writeString(" (\(share.short))")
        }
        if let request = flow.request {
            out.writeStaticString(" ")
            out.writeString(readableDuration((response.ended ?? flow.ended ?? response.started) - request.started))
        }
    }

    private func conversation(_ flow: Flow, _ response: Message<ResponseHead>, _ out: inout ByteBuffer) {
        if flow.isWebSocket {
            palette.write(Palette.role(ofStatus: response.head.status), into: &out) { $0.writeString("\(response.head.status)") }
            out.writeStaticString(" WebSocket")
        } else {
            status(response.head, &out)
        }
        let sizes = (try? flow.pieces.sizes()) ?? ConversationSizes()
        messages(sizes, &out)
        if let close = sizes.close {
            out.writeStaticString(", close ")
            if let reason = CloseReason(close.content) {
                let isNormal = reason.code == 1000 || reason.code == 1001
                palette.write(isNormal ? .good : .clientError, into: &out) { $0.writeString("\(reason.code)") }
                out.writeStaticString(" ")
                if reason.reason.readableBytes > 0 {
                    out.writeStaticString("(")
                    out.writeVisible(reason.reason)
                    out.writeStaticString(") ")
                }
            }
            out.writeString("by the \(close.from)")
        } else {
            closed(flow, &out)
        }
        if let ended = flow.ended { out.writeString(" \(readableDuration(ended - flow.started))") }
    }

    private func stream(_ flow: Flow, _ out: inout ByteBuffer) {
        out.writeVisible("\(flow.target.scheme.uppercased()) \(flow.target.host):\(flow.target.port)")
        if let sizes = flow.passthrough {
            out.writeString(" passed through >> \(readableSize(sizes.fromClient)) << \(readableSize(sizes.fromServer))")
        } else {
            messages((try? flow.pieces.sizes()) ?? ConversationSizes(), &out)
        }
        closed(flow, &out)
        if let ended = flow.ended { out.writeString(" \(readableDuration(ended - flow.started))") }
    }

    private func messages(_ sizes: ConversationSizes, _ out: inout ByteBuffer) {
        for (arrow, sent) in [(" >> ", sizes.client), (" << ", sizes.server)] {
            out.writeString(arrow)
            if sent.messages > 0 { out.writeString(sent.messages == 1 ? "1 message " : "\(sent.messages) messages ") }
            out.writeString(readableSize(sent.bytes))
        }
    }

    private func closed(_ flow: Flow, _ out: inout ByteBuffer) {
        guard let closedBy = flow.closedBy else { return }
        out.writeString(", \(flow.isReset ? "reset" : "closed") by the \(closedBy)")
    }

    private func end(_ flow: Flow, _ out: inout ByteBuffer) {
        if let error = flow.error {
            // The recorder's own answer has the error as its reason.
            if flow.localReply != nil, flow.response == nil {
                out.writeStaticString(": ")
            } else {
                palette.write(.failure, into: &out) { $0.writeStaticString(" << ") }
                if flow.response == nil, flow.kind == .http { out.writeStaticString("error: ") }
            }
            palette.write(.failure, into: &out) { $0.writeVisible(error.message) }
        } else if flow.ended == nil {
            palette.write(.warning, into: &out) { $0.writeString(openText(flow)) }
        }
    }

    private func openText(_ flow: Flow) -> String {
        guard flow.isBeingRecorded else { return " << open at the end of the recording" }
        guard let now = style.now(), now >= flow.started else { return " << still open" }
        return " << open since \(readableDuration(now - flow.started))"
    }
}

extension Flow {
    /// The URL, or what the request has instead, as the line shows it; nil if there is none.
    fileprivate var visibleURL: ByteBuffer? {
        guard kind == .http, let request else { return nil }
        var text = ByteBuffer()
        text.writeVisible(displayURL ?? request.head.target)
        return text
    }
}

extension String {
    /// An address of this machine's own.
    fileprivate var isLoopback: Bool { hasPrefix("127.") || self == "::1" }
}

extension ByteBuffer {
    /// A field's value up to its first semicolon, without the spaces before it; the first 60 bytes of it.
    fileprivate var withoutParameters: ByteBuffer {
        let span = readableBytesUInt8Span
        var end = 0
        while end < span.count, span[end] != UInt8(ascii: ";") { end += 1 }
        while end > 0, span[end - 1] == 0x20 || span[end - 1] == 0x09 { end -= 1 }
        return slice(ByteRange(0, min(end, 60)))
    }
}
