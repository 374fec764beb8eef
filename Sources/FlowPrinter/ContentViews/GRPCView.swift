// The messages of a gRPC call.

import NIOCore

/// A gRPC body: a line for each message, and its fields below it.
struct GRPCView: ContentView {
    static let name = "grpc"
    static let help = "application/grpc, application/grpc-web: a line for each message, and its fields"

    private let messages: GRPCMessageReader
    private let media: ProtobufMedia

    static func fit(_ content: ViewedContent) -> ContentFit? {
        guard let type = content.type, let media = ProtobufMedia(contentType: type, of: content.bytes) else { return nil }
        return media == .message ? nil : .type
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        let media = content.type.flatMap { ProtobufMedia(contentType: $0) } ?? .grpc
        self.media = media == .message ? .grpc : media
        messages = GRPCMessageReader(content.bytes, media: self.media, coding: content.messageCoding)
        // Content of another type, for which the view was named, begins with a message at least.
        guard content.type.flatMap({ ProtobufMedia(contentType: $0) }) == nil else { return }
        var reader = messages
        do throws(GRPCFramingError) {
            if let first = try reader.next(), !first.isTruncated { return }
        } catch {}
        throw ContentMismatch("it does not begin with a message of gRPC")
    }

    func write(into lines: inout CountedLines) { lines.writeProtobuf { $0.write(messagesOf: messages, media: media) } }
}
