// Content that is protobuf or gRPC, by its media type.

import HTTPSemantics
import NIOCore

enum ProtobufMedia: Equatable {
    /// One message, not framed.
    case message
    case grpc
    /// The same frames with JSON in them.
    case grpcJSON
    /// Trailers may come as a last frame, since browsers show none (grpc/doc/PROTOCOL-WEB.md).
    case grpcWeb

    /// - Parameter contentType: with its parameters.
    init?(contentType: ByteBuffer) {
        let end = contentType.readableBytesView.firstIndex(of: 0x3B) ?? contentType.readableBytesView.endIndex
        let media = contentType.slice(ByteRange(0, end - contentType.readerIndex)).trimmed()
        func isOne(of names: StaticString...) -> Bool { names.contains { media.equalsIgnoringCase($0) } }
        if isOne(of: "application/grpc", "application/grpc+proto") {
            self = .grpc
        } else if isOne(of: "application/grpc+json") {
            self = .grpcJSON
        } else if isOne(of: "application/grpc-web", "application/grpc-web+proto") {
            self = .grpcWeb
        } else if isOne(of: "application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf") {
            self = .message
        } else {
            return nil
        }
    }

    /// Content with a wrong media type is left to other views: an error page in text, from something between client and server.
    init?(contentType: ByteBuffer, of content: ByteBuffer) {
        self.init(contentType: contentType)
        if ViewedContent.isText(content), self != .message || !ProtobufReader.isMessage(content) { return nil }
    }
}
