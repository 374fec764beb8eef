// The messages of a call of gRPC, gRPC-Web or Connect.

import NIOCore
import Protobuf

/// A line for each message, and its fields below it.
struct GRPCView: ContentView {
    static let name = "grpc"
    static let help = "application/grpc, grpc-web, connect: a line for each message, and its fields"

    private let messages: GRPCMessageReader
    private let media: ProtobufMedia
    private let type: MessageType?
    private let types: ProtobufTypes

    static func fit(_ content: ViewedContent) -> ContentFit? {
        content.protobufMedia(checked: true)?.isFramed == true ? .type : nil
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        let named = content.protobufMedia(checked: false).flatMap { $0.isFramed ? $0 : nil }
        media = named ?? .grpc
        (type, types) = content.protobufType(media)
        messages = GRPCMessageReader(content.bytes, media: media, coding: content.messageCoding)
        // Content of another type, for which the view was named, begins with a message at least.
        guard named == nil else { return }
        var reader = messages
        do throws(RPCFramingError) {
            if let first = try reader.next(), !first.frame.isTruncated { return }
        } catch {}
        throw ContentMismatch("it does not begin with a message of gRPC")
    }

    func write(into lines: inout CountedLines) {
        lines.writeProtobuf(types) { $0.write(messagesOf: messages, media: media, as: type) }
    }
}
