// Protobuf and gRPC by their fields.

import NIOCore

/// One protobuf message.
struct ProtobufView: ContentView {
    private let content: ByteBuffer

    init?(_ content: ViewedContent) {
        guard let type = content.type, ProtobufMedia(contentType: type, of: content.bytes) == .message else { return nil }
        self.content = content.bytes
    }

    func write(into lines: inout CountedLines) { lines.writeProtobuf { $0.write(message: content) } }
}
