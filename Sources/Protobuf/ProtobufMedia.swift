// Content that is protobuf, or messages of a remote procedure call, by its media type.

import HTTPSemantics
import NIOCore

package struct ProtobufMedia: Equatable, Sendable {
    /// How messages stand in content.
    package enum Framing: Sendable {
        /// One message.
        case message
        /// Messages, each after its length as a varint.
        case delimited
        /// gRPC: each after a flag and its length (grpc/doc/PROTOCOL-HTTP2.md).
        case grpc
        /// The same; trailers may come as a last frame, since browsers show none (grpc/doc/PROTOCOL-WEB.md).
        case grpcWeb
        /// A stream of Connect: the same frames; the last one has the end of the stream, in JSON (connectrpc.com/docs/protocol).
        case connect
    }

    package var framing: Framing
    /// The messages are JSON.
    package var isJSON = false
    /// The content is in Base64 (grpc-web-text).
    package var isBase64 = false
    /// The full name of the message's type, if a parameter names it.
    package var messageType: String?

    /// Frames of gRPC with protobuf in them.
    package static let grpc = ProtobufMedia(framing: .grpc)

    private init(framing: Framing) { self.framing = framing }

    /// - Parameter contentType: with its parameters.
    package init?(contentType: ByteBuffer) {
        let parts = String(buffer: contentType).split(separator: ";", omittingEmptySubsequences: false).map { $0.trimmed }
        let media = parts.first?.lowercased() ?? ""
        switch media {
        case "application/grpc", "application/grpc+proto": framing = .grpc
        case "application/grpc+json": (framing, isJSON) = (.grpc, true)
        case "application/grpc-web", "application/grpc-web+proto": framing = .grpcWeb
        case "application/grpc-web+json": (framing, isJSON) = (.grpcWeb, true)
        case "application/grpc-web-text", "application/grpc-web-text+proto": (framing, isBase64) = (.grpcWeb, true)
        case "application/connect+proto": framing = .connect
        case "application/connect+json": (framing, isJSON) = (.connect, true)
        case "application/protobuf", "application/x-protobuf", "application/vnd.google.protobuf", "application/x-google-protobuf",
            "application/proto":
            framing = .message
        default: return nil
        }
        for parameter in parts.dropFirst() {
            let pair = parameter.split(separator: "=", maxSplits: 1).map { $0.trimmed }
            guard pair.count == 2 else { continue }
            let isQuoted = pair[1].count > 1 && pair[1].hasPrefix("\"") && pair[1].hasSuffix("\"")
            let value = isQuoted ? pair[1].dropFirst().dropLast() : pair[1][...]
            switch pair[0].lowercased() {
            case "messagetype", "proto": messageType = String(value)
            // Prometheus: encoding=delimited.
            case "encoding" where value == "delimited" && framing == .message: framing = .delimited
            case "delimited" where value == "true" && framing == .message: framing = .delimited
            default: break
            }
        }
    }

    /// Content with frames around its messages.
    package var isFramed: Bool { framing != .message && framing != .delimited }
}

extension Substring {
    fileprivate var trimmed: String {
        var text = self
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return String(text)
    }
}
