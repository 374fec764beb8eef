// A body of gRPC, gRPC-Web or Connect as messages, decompressed. Nothing in it is trusted; the decompressed size of all messages together has
// the bound of one body.

import ContentCoding
import HTTPSemantics
import NIOCore
import Protobuf

struct GRPCMessage {
    var frame: RPCFrame
    /// Decompressed.
    var decoded: DecodedContent
    /// Why the content is not all of the message; nil if it is.
    var remark: String?
}

/// Reads the messages of a body, one after the other.
struct GRPCMessageReader {
    private var frames: RPCFrameReader
    private let codings: [ByteBuffer]
    private var room = FlowBody.maximum

    /// - Parameters:
    ///   - media: one with frames.
    ///   - coding: the value of grpc-encoding or connect-content-encoding.
    init(_ body: ByteBuffer, media: ProtobufMedia, coding: ByteBuffer?) {
        frames = RPCFrameReader(body, media: media)
        codings = coding.map { [$0] } ?? []
    }

    /// The bytes from the next message on; after an error, the bytes that are not a message.
    var rest: ByteBuffer { frames.rest }

    /// - Returns: nil at the end of the body.
    mutating func next() throws(RPCFramingError) -> GRPCMessage? {
        guard let frame = try frames.next() else { return nil }
        var message = GRPCMessage(frame: frame, decoded: DecodedContent(content: frame.content, outcome: .complete))
        if frame.isCompressed, frame.content.readableBytes > 0 {
            message.decoded = decodeContent(frame.content, codings: codings, maximum: room)
            room -= message.decoded.content.readableBytes
        }
        if frame.isTruncated {
            message.remark = "truncated: \(readableSize(UInt64(frame.content.readableBytes))) came"
        } else if frame.isCompressed, codings.allSatisfy({ ContentCoding(String(buffer: $0)) == .identity }) {
            // PROTOCOL-HTTP2.md, Compressed-Flag: with identity it must be 0.
            message.remark = "it says that it is compressed, and grpc-encoding does not say how"
        } else {
            message.remark = message.decoded.outcome.remark
        }
        return message
    }
}
