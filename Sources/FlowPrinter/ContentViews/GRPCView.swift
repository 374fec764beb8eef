// The messages of a gRPC call.

import NIOCore

/// A gRPC body: a line for each message, and its fields below it.
struct GRPCView: ContentView {
    private let messages: GRPCMessageReader
    private let media: ProtobufMedia

    init?(_ content: ViewedContent) {
        guard let type = content.type, let media = ProtobufMedia(contentType: type, of: content.bytes), media != .message else {
            return nil
        }
        messages = GRPCMessageReader(content.bytes, media: media, coding: content.messageCoding)
        self.media = media
    }

    func write(into lines: inout CountedLines) { lines.writeProtobuf { $0.write(messagesOf: messages, media: media) } }
}
