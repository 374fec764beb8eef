// A body of gRPC as messages: each has a byte with the compression flag, four bytes of length, and its content
// (grpc/doc/PROTOCOL-HTTP2.md, Length-Prefixed-Message). The body may end anywhere, and nothing in it is trusted; the decompressed size
// of all messages together has the bound of one body.

import ContentCoding
import HTTPSemantics
import NIOCore

struct GRPCMessage {
    /// The size in its prefix; with `isTruncated` there are fewer bytes.
    var size: Int
    var isCompressed: Bool
    /// gRPC-Web: not a message but the trailers of the call, as field lines.
    var isTrailers: Bool
    var isTruncated: Bool
    /// Decompressed.
    var decoded: DecodedContent

    /// Why the content is not all of the message; nil if it is.
    var remark: String?
}

enum GRPCFramingError: Error, Equatable {
    /// Fewer bytes are left than a prefix has.
    case truncatedPrefix
    case unknownFlags(UInt8)
}

/// Reads the messages of a body, one after the other.
struct GRPCMessageReader {
    static let prefixSize = 5

    private let body: ByteBuffer
    private let codings: [ByteBuffer]
    private let hasTrailers: Bool
    private var offset = 0
    private var room = FlowBody.maximum

    /// - Parameters:
    ///   - media: one of gRPC's.
    ///   - coding: the value of grpc-encoding.
    init(_ body: ByteBuffer, media: ProtobufMedia, coding: ByteBuffer?) {
        self.body = body
        hasTrailers = media == .grpcWeb
        codings = coding.map { [$0] } ?? []
    }

    /// The bytes from the next message on; after an error, the bytes that are not a message.
    var rest: ByteBuffer { body.slice(ByteRange(offset, body.readableBytes)) }

    /// - Returns: nil at the end of the body.
    mutating func next() throws(GRPCFramingError) -> GRPCMessage? {
        let left = body.readableBytes - offset
        guard left > 0 else { return nil }
        let start = body.readerIndex + offset
        let flags: UInt8 = body.getInteger(at: start)!
        guard flags & ~(hasTrailers ? 0x81 : 0x01) == 0 else { throw .unknownFlags(flags) }
        guard let length: UInt32 = body.getInteger(at: start + 1) else { throw .truncatedPrefix }
        let stored = min(Int(length), left - Self.prefixSize)
        let content = body.slice(ByteRange(offset + Self.prefixSize, offset + Self.prefixSize + stored))
        offset += Self.prefixSize + stored
        return message(content, size: Int(length), flags: flags)
    }

    private mutating func message(_ content: ByteBuffer, size: Int, flags: UInt8) -> GRPCMessage {
        var message = GRPCMessage(
            size: size, isCompressed: flags & 1 == 1, isTrailers: flags & 0x80 != 0, isTruncated: content.readableBytes < size,
            decoded: DecodedContent(content: content, outcome: .complete))
        if message.isCompressed, content.readableBytes > 0 {
            message.decoded = decodeContent(content, codings: codings, maximum: room)
            room -= message.decoded.content.readableBytes
        }
        if message.isTruncated {
            message.remark = "truncated: \(readableSize(UInt64(content.readableBytes))) came"
        } else if message.isCompressed, codings.allSatisfy({ ContentCoding(String(buffer: $0)) == .identity }) {
            // PROTOCOL-HTTP2.md, Compressed-Flag: with identity it must be 0.
            message.remark = "it says that it is compressed, and grpc-encoding does not say how"
        } else {
            message.remark = message.decoded.outcome.remark
        }
        return message
    }
}
