// Protobuf and gRPC by their fields.

import NIOCore

/// One protobuf message.
struct ProtobufView: ContentView {
    static let name = "protobuf"
    static let help = "application/protobuf: the fields of one message by their wire types"

    private let content: ByteBuffer

    static func fit(_ content: ViewedContent) -> ContentFit? {
        guard let type = content.type, ProtobufMedia(contentType: type, of: content.bytes) == .message else { return nil }
        return .type
    }

    init(_ content: ViewedContent) throws(ContentMismatch) {
        self.content = content.bytes
        // Content of another type, for which the view was named, begins with a field at least.
        guard content.type.flatMap({ ProtobufMedia(contentType: $0) }) == nil else { return }
        var reader = ProtobufReader(content.bytes)
        do throws(ProtobufError) {
            _ = try reader.next()
        } catch {
            throw ContentMismatch("it does not begin with a field of protobuf")
        }
    }

    func write(into lines: inout CountedLines) { lines.writeProtobuf { $0.write(message: content) } }
}
